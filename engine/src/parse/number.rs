//! Numbers: from a token to the nearest double.
//!
//! A token of up to 15 digits is an integer below 2^53 over a power of ten that is itself exact, so one division rounds
//! right (Clinger, "How to read floating point numbers accurately", 1990). Everything else goes to the standard library.

/// 10^0 to 10^22: all powers of ten that a double holds exactly.
const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The value of a token that is a JSON number; infinite where it is too large for a double. For a token that is none, some
/// number.
#[inline]
pub(super) fn value(token: &[u8]) -> f64 {
    let (negative, digits) = match token {
        [b'-', digits @ ..] => (true, digits),
        digits => (false, digits),
    };
    if digits.len() > 17 {
        return slow(token);
    }
    // At most 17 bytes cannot overflow.
    let mut integer = 0u64;
    let mut point = digits.len();
    for (at, byte) in digits.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            if *byte != b'.' {
                return slow(token);
            }
            point = at;
            continue;
        }
        integer = integer * 10 + u64::from(digit);
    }
    finish(token, integer, negative, digits.len() - (point + 1).min(digits.len()), point < digits.len())
}

/// The value of `integer / 10^fraction`.
#[inline]
fn finish(token: &[u8], integer: u64, negative: bool, fraction: usize, has_point: bool) -> f64 {
    if has_point {
        if integer >= 1 << 53 {
            return slow(token);
        }
        let value = integer as f64 / POWERS[fraction];
        return if negative { -value } else { value };
    }
    // An integer is one, so there is no -0.
    let value = integer as f64;
    if negative && integer != 0 { -value } else { value }
}

#[cold]
fn slow(token: &[u8]) -> f64 {
    let value = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    // An integer is one, so there is no -0.
    if value == 0.0 && !token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) { 0.0 } else { value }
}
