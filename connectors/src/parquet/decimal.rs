//! Numbers by their digits: from the text of a JSON number to a whole number of units, exactly or not at all.

use super::fit::Misfit;

/// Digits of the longest whole number that is looked at.
const DIGITS_MAX: i64 = 38;

/// `text`, which is a JSON number, times `10^scale`: a whole number of at most `precision` digits.
pub fn scaled(text: &[u8], scale: i64, precision: u8) -> Result<i128, Misfit> {
    let (negative, digits) = match text.strip_prefix(b"-") {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let exponent_at = digits.iter().position(|byte| matches!(byte, b'e' | b'E')).unwrap_or(digits.len());
    let mut power = exponent(&digits[exponent_at..]);
    // The value is `whole * 10^(power + zeros)`; zeros wait until a digit comes behind them.
    let (mut whole, mut zeros, mut is_fraction) = (0i128, 0i64, false);
    for byte in &digits[..exponent_at] {
        if *byte == b'.' {
            is_fraction = true;
            continue;
        }
        power -= i64::from(is_fraction);
        match i128::from(byte.wrapping_sub(b'0')) {
            0 => zeros += i64::from(whole != 0),
            digit @ 1..=9 => {
                let shifted = shift(whole, zeros + 1).and_then(|shifted| shifted.checked_add(digit));
                (whole, zeros) = (shifted.ok_or(Misfit::Digits)?, 0);
            }
            _ => return Err(Misfit::Form),
        }
    }
    if whole == 0 {
        return Ok(0);
    }
    let power = power.saturating_add(zeros).saturating_add(scale);
    if power < 0 {
        // The last digit is none, so it would be lost.
        return Err(Misfit::Digits);
    }
    let held = shift(whole, power).filter(|held| *held < 10i128.pow(u32::from(precision))).ok_or(Misfit::Range)?;
    Ok(if negative { -held } else { held })
}

fn shift(number: i128, places: i64) -> Option<i128> {
    if number == 0 {
        return Some(0);
    }
    let factor = (places <= DIGITS_MAX).then(|| 10i128.pow(places as u32))?;
    number.checked_mul(factor)
}

/// Of `e+12`, `E-3` or nothing; far ones are as far as any number goes.
fn exponent(text: &[u8]) -> i64 {
    let Some((_, text)) = text.split_first() else { return 0 };
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let mut power = 0i64;
    for digit in digits {
        power = (power * 10 + i64::from(digit.wrapping_sub(b'0'))).min(1 << 40);
    }
    if negative { -power } else { power }
}

/// Whether a text is a number as JSON writes it.
pub fn is_number(text: &[u8]) -> bool {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let count = |text: &[u8]| text.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let whole = count(digits);
    if whole == 0 || whole > 1 && digits[0] == b'0' {
        return false;
    }
    let mut rest = &digits[whole..];
    if let Some(fraction) = rest.strip_prefix(b".") {
        let places = count(fraction);
        if places == 0 {
            return false;
        }
        rest = &fraction[places..];
    }
    if let [b'e' | b'E', power @ ..] = rest {
        let power = power.strip_prefix(b"+").or(power.strip_prefix(b"-")).unwrap_or(power);
        let places = count(power);
        return places > 0 && places == power.len();
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn digits_are_held_or_refused() {
        for (text, scale, precision, expected) in [
            ("0", 2, 5, Ok(0)),
            ("-0.000", 2, 5, Ok(0)),
            ("1.5", 2, 5, Ok(150)),
            ("-1.50000000000000000000000000000000000000000000000000", 1, 5, Ok(-15)),
            ("1.005", 2, 5, Err(Misfit::Digits)),
            ("999.99", 2, 5, Ok(99_999)),
            ("1000", 2, 5, Err(Misfit::Range)),
            ("1e2", 2, 5, Ok(10_000)),
            ("12.5E-1", 2, 5, Ok(125)),
            ("1e-3", 2, 5, Err(Misfit::Digits)),
            ("1e99999999999999999999", 0, 38, Err(Misfit::Range)),
            ("0e99999999999999999999", 0, 38, Ok(0)),
            ("1e-99999999999999999999", 0, 38, Err(Misfit::Digits)),
            ("99999999999999999999999999999999999999", 0, 38, Ok(10i128.pow(38) - 1)),
            ("100000000000000000000000000000000000000", 0, 38, Err(Misfit::Range)),
            ("0.1000000000000000055511151231257827", 34, 38, Ok(1_000_000_000_000_000_055_511_151_231_257_827)),
            ("1795165200123", -3, 19, Err(Misfit::Digits)),
            ("1795165200000", -3, 19, Ok(1_795_165_200)),
        ] {
            assert_eq!(scaled(text.as_bytes(), scale, precision), expected, "{text} {scale} {precision}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn a_whole_number_comes_back_however_its_point_is_moved(
            number in -(10i128.pow(30))..10i128.pow(30), point in 0usize..12, more in 0i64..6,
        ) {
            let digits = format!("{:0>13}", number.unsigned_abs());
            let (whole, fraction) = digits.split_at(digits.len() - point);
            let whole = match whole.trim_start_matches('0') {
                "" => "0",
                digits => digits,
            };
            let (sign, dot) = (if number < 0 { "-" } else { "" }, if point > 0 { "." } else { "" });
            let text = format!("{sign}{whole}{dot}{fraction}e{more}");
            prop_assert!(is_number(text.as_bytes()), "{}", text);
            prop_assert_eq!(scaled(text.as_bytes(), point as i64 - more, 38), Ok(number), "{}", text);
        }

        #[test]
        fn numbers_are_what_a_parser_takes(text in "-?[0-9.eE+-]{0,6}") {
            let is_one = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(is_number(text.as_bytes()), is_one, "{}", text);
        }
    }
}
