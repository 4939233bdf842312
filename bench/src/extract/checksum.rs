//! What an extractor found, as a few numbers that cost next to nothing beside extracting: equal for all who read the same bytes.

use std::fmt;

/// Columns of [`WANTED`](crate::events::WANTED), by number.
pub mod column {
    /// String.
    pub const DEVICE_ID: usize = 0;
    /// Number.
    pub const TS: usize = 1;
    /// Number.
    pub const TEMP: usize = 2;
    /// Number.
    pub const HUMIDITY: usize = 3;
    /// Number.
    pub const BATTERY: usize = 4;
    /// String.
    pub const STATUS: usize = 5;
}

/// Keeps the sum of an empty string apart from that of a zero.
const TEXT: u64 = 0x5bd1_e995_0000_0001;

/// Sums over some events. Order does not matter, so columns can be summed one after the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Checksum {
    /// Events that are valid JSON.
    pub valid: u64,
    columns: [u64; 6],
}

impl Checksum {
    /// Adds one number, as the double nearest to it.
    #[inline(always)]
    pub fn number(&mut self, column: usize, value: f64) {
        // One more than the bits, so that a zero is not the same as nothing.
        self.columns[column] = self.columns[column].wrapping_add(value.to_bits().wrapping_add(1));
    }

    /// Adds one string, unescaped: its length, its first and its last bytes.
    #[inline(always)]
    pub fn text(&mut self, column: usize, text: &[u8]) {
        let ends = match text.len() {
            8.. => first::<8>(text).wrapping_add(last::<8>(text).rotate_left(29)),
            4.. => first::<4>(text) | last::<4>(text) << 32,
            1.. => first::<1>(text) | last::<1>(text) << 16 | u64::from(text[text.len() / 2]) << 8,
            0 => 0,
        };
        let sum = ends.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(text.len() as u64).wrapping_add(TEXT);
        self.columns[column] = self.columns[column].wrapping_add(sum);
    }
}

impl fmt::Display for Checksum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} valid, columns {:x?}", self.valid, self.columns)
    }
}

#[inline(always)]
fn first<const N: usize>(text: &[u8]) -> u64 {
    text.first_chunk::<N>().map_or(0, little_endian)
}

#[inline(always)]
fn last<const N: usize>(text: &[u8]) -> u64 {
    text.last_chunk::<N>().map_or(0, little_endian)
}

#[inline(always)]
fn little_endian<const N: usize>(chunk: &[u8; N]) -> u64 {
    let mut bytes = [0; 8];
    bytes[..N].copy_from_slice(chunk);
    u64::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(build: impl FnOnce(&mut Checksum)) -> Checksum {
        let mut sum = Checksum::default();
        build(&mut sum);
        sum
    }

    #[test]
    fn every_difference_shows() {
        let texts =
            ["", "a", "b", "ab", "ba", "abc", "abcd", "abcde", "abcdefgh", "abcdefghi", "dev-0000001", "dev-0000010"];
        let mut seen: Vec<Checksum> = texts.iter().map(|text| of(|sum| sum.text(0, text.as_bytes()))).collect();
        seen.extend([0.0, 1.0, -0.0, 0.1, 1e300].map(|number| of(|sum| sum.number(0, number))));
        seen.push(of(|_| {}));
        seen.push(of(|sum| sum.number(1, 1.0)));
        for (at, sum) in seen.iter().enumerate() {
            assert!(!seen[..at].contains(sum), "{at}");
        }
    }

    #[test]
    fn order_does_not_matter() {
        let mixed = of(|sum| {
            sum.number(2, 1.5);
            sum.text(0, b"x");
            sum.number(2, 2.5);
        });
        let columns = of(|sum| {
            sum.number(2, 2.5);
            sum.number(2, 1.5);
            sum.text(0, b"x");
        });
        assert_eq!(mixed, columns);
    }
}
