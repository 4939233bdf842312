//! Literals: numbers and strings, as lengths first and values second, since the longest form decides what a text is.

use std::ops::Range;

/// Length of a run of characters that satisfy `is`.
pub(super) fn run_len(text: &str, is: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is(c)).unwrap_or(text.len())
}

fn digits(text: &str) -> usize {
    run_len(text, |c| c.is_ascii_digit())
}

fn exponent(text: &str) -> usize {
    let Some(after) = text.strip_prefix(['e', 'E']) else { return 0 };
    let sign = usize::from(after.starts_with(['+', '-']));
    match digits(&after[sign..]) {
        0 => 0,
        digits => 1 + sign + digits,
    }
}

/// Length of `[0-9]+`.
pub(super) fn integer_len(text: &str) -> usize {
    digits(text)
}

/// Length of `0[xX][0-9a-fA-F]+`.
pub(super) fn hex_len(text: &str) -> usize {
    let Some(after) = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) else { return 0 };
    match run_len(after, |c| c.is_ascii_hexdigit()) {
        0 => 0,
        digits => 2 + digits,
    }
}

/// Length of `[0-9]*\.[0-9]+([eE][+-]?[0-9]+)?` or `[0-9]*[eE][+-]?[0-9]+`.
pub(super) fn real_len(text: &str) -> usize {
    let whole = digits(text);
    let after = &text[whole..];
    if let Some(fraction) = after.strip_prefix('.') {
        let len = digits(fraction);
        return if len == 0 { 0 } else { whole + 1 + len + exponent(&fraction[len..]) };
    }
    match exponent(after) {
        0 => 0,
        len => whole + len,
    }
}

/// Value of a number literal; NaN (undefined) where the form is right and there is no value.
pub(super) fn number(text: &str) -> f64 {
    if hex_len(text) == text.len() {
        // Two's complement in 64 bits; what does not fit is undefined.
        return u64::from_str_radix(&text[2..], 16).map_or(f64::NAN, |bits| bits.cast_signed() as f64);
    }
    text.parse().unwrap_or(f64::NAN)
}

/// A string literal as found.
pub(super) enum Found {
    /// Its length with both quotes, its value, and backslashes that mean nothing (relative to its start).
    String { len: usize, value: String, bad: Vec<Range<usize>> },
    /// The closing quote is missing.
    Open,
}

/// Reads the string literal at the start of `text`. `ordinary` allows `\n`, `\r`, `\t` and a doubled quote as well.
pub(super) fn string(text: &str, ordinary: bool) -> Found {
    let mut chars = text.char_indices().peekable();
    let Some((_, quote)) = chars.next() else { return Found::Open };
    let mut value = String::new();
    let mut bad = Vec::new();
    while let Some((at, c)) = chars.next() {
        if c == quote {
            if ordinary && chars.peek().is_some_and(|(_, next)| *next == quote) {
                chars.next();
                value.push(quote);
                continue;
            }
            return Found::String { len: at + c.len_utf8(), value, bad };
        }
        if c != '\\' {
            value.push(c);
            continue;
        }
        let Some((escape_at, escape)) = chars.next() else { return Found::Open };
        match escape {
            '\'' | '"' | '\\' => value.push(escape),
            'n' if ordinary => value.push('\n'),
            'r' if ordinary => value.push('\r'),
            't' if ordinary => value.push('\t'),
            'u' => match unicode(&text[escape_at + 1..]) {
                Some((c, hex_digits)) => {
                    value.push(c);
                    for _ in 0..hex_digits {
                        chars.next();
                    }
                }
                None => bad.push(at..escape_at + 1),
            },
            _ => bad.push(at..escape_at + escape.len_utf8()),
        }
    }
    Found::Open
}

/// The character of `HHHH` or `HHHH\uHHHH` (a pair of surrogates), and how many characters that takes.
fn unicode(text: &str) -> Option<(char, usize)> {
    let unit = |text: &str| {
        let hex = text.get(..4)?;
        hex.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| u16::from_str_radix(hex, 16).ok())?
    };
    let first = unit(text)?;
    if let Some(c) = char::from_u32(u32::from(first)) {
        return Some((c, 4));
    }
    let second = unit(text[4..].strip_prefix("\\u")?)?;
    char::decode_utf16([first, second]).next()?.ok().map(|c| (c, 10))
}
