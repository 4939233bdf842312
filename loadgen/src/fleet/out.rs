//! The line under construction: a buffer that is large enough for the longest event, so that nothing has to grow.

/// Bytes of a piece of text that are written at once; the buffer has that much to spare.
pub(super) const PIECE: usize = 32;

/// A short constant text, padded so that it can be written in one go.
#[derive(Clone, Debug)]
pub(super) struct Piece {
    bytes: [u8; PIECE],
    len: u8,
}

impl Piece {
    /// Of a text that fits into one.
    pub(super) const fn short(text: &[u8]) -> Self {
        let mut bytes = [b' '; PIECE];
        let mut at = 0;
        while at < text.len() {
            bytes[at] = text[at];
            at += 1;
        }
        Self { bytes, len: text.len() as u8 }
    }

    /// `text` in as many pieces as it needs.
    pub(super) fn split(text: &[u8]) -> Vec<Self> {
        text.chunks(PIECE).map(Self::short).collect()
    }
}

/// A buffer with room for the longest event.
#[derive(Clone, Debug)]
pub(super) struct Line {
    bytes: Box<[u8]>,
}

impl Line {
    /// For lines of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes: vec![0; bytes_max + 2 * PIECE].into_boxed_slice() }
    }

    /// A pen at its beginning.
    pub(super) fn pen(&mut self) -> Pen<'_> {
        Pen { bytes: &mut self.bytes, at: 0 }
    }
}

/// Writes into a line from left to right. Handed on by value, not by reference: then its place stays in a register, where behind a
/// reference every byte written could change it and it would be read again from memory sixty times an event.
#[derive(Debug)]
pub(super) struct Pen<'a> {
    bytes: &'a mut [u8],
    at: usize,
}

impl<'a> Pen<'a> {
    pub(super) fn written(self) -> &'a [u8] {
        &self.bytes[..self.at]
    }

    /// What stands before the last `bytes` bytes.
    pub(super) fn before_last(&self, bytes: usize) -> &[u8] {
        &self.bytes[..self.at - bytes]
    }

    #[inline(always)]
    pub(super) fn piece(mut self, piece: &Piece) -> Self {
        self.bytes[self.at..self.at + PIECE].copy_from_slice(&piece.bytes);
        self.at += usize::from(piece.len);
        self
    }

    #[inline(always)]
    pub(super) fn pieces(mut self, pieces: &[Piece]) -> Self {
        // Nearly all texts fit into one.
        if let [one] = pieces {
            return self.piece(one);
        }
        for piece in pieces {
            self = self.piece(piece);
        }
        self
    }

    #[inline(always)]
    pub(super) fn text(mut self, text: &[u8]) -> Self {
        self.bytes[self.at..self.at + text.len()].copy_from_slice(text);
        self.at += text.len();
        self
    }

    #[inline(always)]
    pub(super) fn byte(mut self, byte: u8) -> Self {
        self.bytes[self.at] = byte;
        self.at += 1;
        self
    }

    /// `value` with exactly `WIDTH` digits, at most 16.
    #[inline(always)]
    pub(super) fn digits<const WIDTH: usize>(mut self, value: u64) -> Self {
        digits::<WIDTH>(&mut self.bytes[self.at..self.at + WIDTH], value);
        self.at += WIDTH;
        self
    }

    /// `value` in units of 10^-`decimals`.
    #[inline(always)]
    pub(super) fn number(mut self, value: i64, decimals: u8) -> Self {
        // Written in any case, and kept if it is meant.
        self.bytes[self.at] = b'-';
        self.at += usize::from(value < 0);
        let value = value.unsigned_abs();
        if value >= SHORT {
            return self.long_number(value, decimals);
        }
        if decimals == 0 {
            return self.short(value as u32);
        }
        let unit = UNITS[usize::from(decimals & 15)];
        let (whole, rest) = (value as u32 / unit, value as u32 % unit);
        self.short(whole).byte(b'.').fraction(rest, decimals)
    }

    /// A number below 10^8 without leading zeros.
    #[inline(always)]
    fn short(mut self, value: u32) -> Self {
        let digits = if value < 10_000 { four_digits(value) << 32 } else { eight_digits(value) };
        // The first digit is the lowest byte; a zero keeps its last one.
        let zeros = (digits.trailing_zeros() / 8).min(7);
        self.bytes[self.at..self.at + 8].copy_from_slice(&((digits | ZEROS) >> (8 * zeros)).to_le_bytes());
        self.at += 8 - zeros as usize;
        self
    }

    /// A number below 10^8 with `width` digits, at most 8.
    #[inline(always)]
    pub(super) fn fraction(mut self, value: u32, width: u8) -> Self {
        let width = width.min(8);
        let digits = if width <= 4 { four_digits(value) << 32 } else { eight_digits(value) };
        let digits = (digits | ZEROS) >> (8 * (8 - u32::from(width)) % 64);
        self.bytes[self.at..self.at + 8].copy_from_slice(&digits.to_le_bytes());
        self.at += usize::from(width);
        self
    }

    #[cold]
    fn long_number(self, value: u64, decimals: u8) -> Self {
        let mut place = [b'0'; 20];
        let mut rest = value;
        for digit in place.iter_mut().rev() {
            *digit = b'0' + (rest % 10) as u8;
            rest /= 10;
        }
        let count = value.checked_ilog10().map_or(1, |log| log as usize + 1).max(usize::from(decimals) + 1);
        let (whole, fraction) = place[20 - count..].split_at(count - usize::from(decimals));
        let pen = self.text(whole);
        if decimals > 0 { pen.byte(b'.').text(fraction) } else { pen }
    }
}

/// The four decimal digits of a number below 10^4, the first one in the lowest byte.
#[inline(always)]
fn four_digits(value: u32) -> u64 {
    debug_assert!(value < 10_000, "four digits");
    let hundreds = (value * 10_486) >> 20;
    let twos = hundreds | (value - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f;
    u64::from(tens | (twos - 10 * tens) << 8)
}

/// Numbers below this have at most eight digits.
const SHORT: u64 = 100_000_000;
const ZEROS: u64 = 0x3030_3030_3030_3030;
/// 10^n; whoever divides a number of eight digits by more has nothing before the point.
const UNITS: [u32; 16] = {
    let mut units = [1_000_000_000; 16];
    let (mut n, mut unit) = (0, 1);
    while n < 9 {
        units[n] = unit;
        unit *= 10;
        n += 1;
    }
    units
};

/// The eight decimal digits of a number below 10^8, the first one in the lowest byte: halved three times, all parts at once.
#[inline(always)]
fn eight_digits(value: u32) -> u64 {
    debug_assert!(u64::from(value) < SHORT, "eight digits");
    let fours = u64::from(value / 10_000) | u64::from(value % 10_000) << 32;
    let hundreds = ((fours * 10_486) >> 20) & 0x0000_007f_0000_007f;
    let twos = hundreds | (fours - 100 * hundreds) << 16;
    let tens = ((twos * 103) >> 10) & 0x000f_000f_000f_000f;
    tens | (twos - 10 * tens) << 8
}

/// Writes `value` in decimal over the whole of `place`, which has `WIDTH` bytes, with leading zeros.
#[inline(always)]
pub(super) fn digits<const WIDTH: usize>(place: &mut [u8], value: u64) {
    let low = (eight_digits((value % SHORT) as u32) | ZEROS).to_le_bytes();
    let high = (eight_digits((value / SHORT % SHORT) as u32) | ZEROS).to_le_bytes();
    let at = WIDTH.saturating_sub(8);
    place[at..WIDTH].copy_from_slice(&low[8 - (WIDTH - at)..]);
    place[..at].copy_from_slice(&high[8 - at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_the_standard_library_writes_them() {
        let mut line = Line::new(64);
        let mut values: Vec<i64> =
            vec![0, 1, -1, 9, 10, 99, 100, -100, 101, i64::from(u32::MAX), -1_234_567, i64::MAX / 2];
        values.extend((0..60).map(|n| 1i64 << n));
        for value in values {
            for decimals in 0..=6u8 {
                let written = line.pen().number(value, decimals).written();
                let unit = 10u64.pow(u32::from(decimals));
                let (whole, rest) = (value.unsigned_abs() / unit, value.unsigned_abs() % unit);
                let sign = if value < 0 { "-" } else { "" };
                let expected = match decimals {
                    0 => format!("{sign}{whole}"),
                    _ => format!("{sign}{whole}.{rest:0width$}", width = usize::from(decimals)),
                };
                assert_eq!(String::from_utf8_lossy(written), expected);
            }
        }
    }

    #[test]
    fn pieces_are_the_text() {
        let text: Vec<u8> = (0..100).collect();
        for len in [0, 1, 31, 32, 33, 64, 100] {
            let mut line = Line::new(100);
            assert_eq!(line.pen().pieces(&Piece::split(&text[..len])).written(), &text[..len]);
        }
    }

    #[test]
    fn fixed_widths_have_leading_zeros() {
        let mut place = [0; 9];
        digits::<9>(&mut place, 1_234);
        assert_eq!(&place, b"000001234");
    }
}
