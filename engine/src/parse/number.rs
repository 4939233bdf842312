//! Numbers: from a token to the nearest double.
//!
//! A token of up to 15 digits is an integer below 2^53 over a power of ten that is itself exact, so one division rounds
//! right (Clinger, "How to read floating point numbers accurately", 1990). Everything else goes to the standard library.

/// 10^0 to 10^22: all powers of ten that a double holds exactly.
pub(super) const POWERS: [f64; 23] = [
    1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20,
    1e21, 1e22,
];

/// The value of the token `bytes[start..end]`, which is a JSON number; infinite where it is too large for a double. For a token
/// that is none, some number.
///
/// Up to 16 bytes are taken as two words of eight digits each, and a point is squeezed out; then three multiplications make a
/// number of all digits of a word at once.
#[inline(always)]
pub fn value(bytes: &[u8], start: usize, end: usize) -> f64 {
    let negative = bytes[start] == b'-';
    let len = end - start - usize::from(negative);
    // The sixteen bytes up to the end of the token, the last one on top.
    let before = end.checked_sub(16).and_then(|from| bytes.get(from..end)?.first_chunk::<16>());
    let (Some(before), 1..=16) = (before, len) else { return slow(&bytes[start..end]) };
    // What stands before the token becomes zeros.
    let digits = (u128::from_le_bytes(*before) ^ ZEROS) & (u128::MAX << (8 * (16 - len)));
    let others = (digits.wrapping_add(ABOVE_NINE) | digits) & HIGH;
    let value = if others == 0 {
        let value = sixteen(digits) as f64;
        // An integer is one, so there is no -0.
        return if negative && digits != 0 { -value } else { value };
    } else {
        let at = others.trailing_zeros() / 8;
        let point = u128::from(b'.' ^ b'0') << (8 * at);
        if others.count_ones() > 1 || digits & (0xff << (8 * at)) != point {
            return slow(&bytes[start..end]);
        }
        let whole = digits & ((1 << (8 * at)) - 1);
        // At most 15 digits: below 2^53.
        sixteen((digits ^ point ^ whole) | whole << 8) as f64 / POWERS[15 - at as usize]
    };
    if negative { -value } else { value }
}

/// The token `bytes[start..end]`, which is a JSON number, as a whole number of 64 bits; `None` if it is written with point or exponent,
/// or is out of range.
#[inline]
pub fn whole(bytes: &[u8], start: usize, end: usize) -> Option<i64> {
    let negative = bytes[start] == b'-';
    let len = end - start - usize::from(negative);
    let before = end.checked_sub(16).and_then(|from| bytes.get(from..end)?.first_chunk::<16>());
    let (Some(before), 1..=16) = (before, len) else {
        return std::str::from_utf8(&bytes[start..end]).ok()?.parse().ok();
    };
    let digits = (u128::from_le_bytes(*before) ^ ZEROS) & (u128::MAX << (8 * (16 - len)));
    if (digits.wrapping_add(ABOVE_NINE) | digits) & HIGH != 0 {
        return None;
    }
    // At most 16 digits: below 2^63.
    let value = sixteen(digits) as i64;
    Some(if negative { -value } else { value })
}

const ZEROS: u128 = u128::from_le_bytes([b'0'; 16]);
const HIGH: u128 = u128::from_le_bytes([0x80; 16]);
/// Added to a byte below 128, sets its high bit if it is above 9.
const ABOVE_NINE: u128 = u128::from_le_bytes([0x76; 16]);

/// Sixteen bytes of 0 to 9, the last digit on top.
#[inline(always)]
fn sixteen(digits: u128) -> u64 {
    eight(digits as u64) * 100_000_000 + eight((digits >> 64) as u64)
}

#[inline(always)]
fn eight(digits: u64) -> u64 {
    let pairs = (digits * 10 + (digits >> 8)) & 0x00ff_00ff_00ff_00ff;
    let fours = (pairs * 100 + (pairs >> 16)) & 0x0000_ffff_0000_ffff;
    (fours * 10_000 + (fours >> 32)) & 0xffff_ffff
}

/// The value by the standard library.
#[cold]
pub(super) fn slow(token: &[u8]) -> f64 {
    let value = std::str::from_utf8(token).ok().and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    // An integer is one, so there is no -0.
    if value == 0.0 && !token.iter().any(|byte| matches!(byte, b'.' | b'e' | b'E')) { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every length, every place of the point, with and without a sign and something before it.
    #[test]
    fn has_the_value_that_the_standard_library_reads() {
        let digits = "73051948620317495286";
        for len in 1..=digits.len() {
            for point in 0..len {
                for sign in ["", "-"] {
                    for before in ["", "{\"temperature\":"] {
                        let (whole, fraction) = digits[..len].split_at(point);
                        let token = match (whole, fraction) {
                            ("", fraction) => format!("{sign}{fraction}"),
                            (whole, fraction) => format!("{sign}{whole}.{fraction}"),
                        };
                        let text = format!("{before}{token}");
                        let expected: f64 = token.parse().expect("a number");
                        let value = value(text.as_bytes(), before.len(), text.len());
                        assert_eq!(value.to_bits(), expected.to_bits(), "{token}");
                    }
                }
            }
        }
    }

    #[test]
    fn whole_numbers_are_those_without_point_and_exponent_in_range() {
        let tokens = [
            "0",
            "-0",
            "7",
            "-7",
            "9007199254740993",
            "1234567890123456",
            "12345678901234567",
            "1.0",
            "-1.5",
            "1e3",
            "12E2",
        ];
        let limits = ["9223372036854775807", "-9223372036854775808", "9223372036854775808", "-9223372036854775809"];
        for token in tokens.into_iter().chain(limits) {
            for before in ["", "{\"ts\":", "{\"some_longer_name\":"] {
                let text = format!("{before}{token}");
                let expected: Option<i64> = token.parse().ok();
                assert_eq!(whole(text.as_bytes(), before.len(), text.len()), expected, "{text}");
            }
        }
    }

    #[test]
    fn zeros_keep_their_sign_only_with_a_point() {
        let read = |token: &str| value(token.as_bytes(), 0, token.len()).to_bits();
        assert_eq!([read("-0"), read("0"), read("-0.0"), read("-0e0")], [0, 0, 1 << 63, 1 << 63]);
        let padded = b"{\"some\":\"thing\",\"a\":-0";
        assert_eq!(value(padded, padded.len() - 2, padded.len()).to_bits(), 0);
    }
}
