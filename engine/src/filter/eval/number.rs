//! `as_number`: the lenient reading of a number that .NET calls `NumberStyles.Any` in the invariant culture.

/// Spaces around it, a sign before or after, parentheses for below zero, commas between thousands, an exponent.
pub(super) fn as_number(text: &str) -> Option<f64> {
    let text = text.trim_matches(|c: char| c.is_ascii_whitespace() || c == '\u{b}');
    let (text, parentheses) = match text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
        Some(inside) => (inside.trim_ascii(), true),
        None => (text, false),
    };
    let (text, sign) = signed(text)?;
    if parentheses && sign.is_some() {
        return None;
    }
    let negative = parentheses || sign == Some('-');
    let value = unsigned(text.trim_ascii())?;
    Some(if negative { -value } else { value })
}

/// Text without its sign, which may stand on either side but not on both.
fn signed(text: &str) -> Option<(&str, Option<char>)> {
    let sign = |c: char| matches!(c, '+' | '-');
    if let Some(rest) = text.strip_prefix(sign) {
        return (!rest.ends_with(sign)).then(|| (rest, text.chars().next()));
    }
    match text.strip_suffix(sign) {
        Some(rest) => Some((rest, text.chars().next_back())),
        None => Some((text, None)),
    }
}

fn unsigned(text: &str) -> Option<f64> {
    if text.eq_ignore_ascii_case("infinity") || text == "∞" {
        return Some(f64::INFINITY);
    }
    let (mantissa, exponent) = match text.find(['e', 'E']) {
        Some(at) => (&text[..at], Some(&text[at + 1..])),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    // Commas must follow a digit; .NET does not ask for groups of three.
    let whole_fits = whole.bytes().all(|byte| byte.is_ascii_digit() || byte == b',') && !whole.starts_with(',');
    let some = whole.bytes().chain(fraction.bytes()).any(|byte| byte.is_ascii_digit());
    let exponent_fits = exponent.is_none_or(|exponent| {
        let exponent = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        !exponent.is_empty() && digits(exponent)
    });
    if !(whole_fits && some && digits(fraction) && exponent_fits) {
        return None;
    }
    if whole.contains(',') { text.replace(',', "").parse().ok() } else { text.parse().ok() }
}
