//! The grammar of numbers and literals, checked for all events of a batch at once, 64 bytes at a time.
//!
//! The scalars lie one after the other, each with a comma behind it. Accepted are `true`, `false`, `null` and numbers without
//! exponent (RFC 8259, section 6); an exponent is legal too, but goes to the walker, which also knows whether the number is too
//! large for a double. The same holds for a scalar that fills a whole block.

use super::block::add;
use super::scan::Scalars;

/// Where the bytes of some kinds are in 64 bytes of scalars.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    /// `,`
    pub comma: u64,
    /// `0` to `9`
    pub digit: u64,
    /// `0`
    pub zero: u64,
    /// `-`
    pub minus: u64,
    /// `.`
    pub point: u64,
}

/// How a kernel sees 64 bytes of scalars.
pub(super) trait Blocks {
    /// The kinds of the bytes.
    fn masks(block: &[u8; 64]) -> Masks;
}

/// What goes on from one block into the next.
#[derive(Clone, Copy, Debug)]
struct Carry {
    start: u64,
    digit: u64,
    point: u64,
    minus: u64,
    zero: u64,
    fraction: bool,
    word: bool,
}

/// Bits of the bytes before, and the last one for the next block.
#[inline(always)]
fn before(bits: u64, carry: &mut u64) -> u64 {
    let result = (bits << 1) | *carry;
    *carry = bits >> 63;
    result
}

/// All of the scalars from byte `from` to byte `to` are right.
#[inline(always)]
pub(super) fn check<B: Blocks>(scalars: &mut Scalars, from: usize, to: usize) -> bool {
    let Scalars { bytes, words, .. } = scalars;
    let mut words_len = 0;
    let mut carry = Carry { start: 1, digit: 0, point: 0, minus: 0, zero: 0, fraction: false, word: false };
    let mut wrong = 0u64;
    let mut at = from;
    while at < to {
        let Some(block) = bytes[at..].first_chunk::<64>() else { return false };
        let valid = if to - at >= 64 { !0 } else { (1u64 << (to - at)) - 1 };
        let masks = B::masks(block);
        let comma = masks.comma & valid;
        let digit = masks.digit & valid;
        let point = masks.point & valid;
        let minus = masks.minus & valid;
        let letter = valid & !(comma | digit | minus | point);
        // A number of this length may be too large for a double.
        wrong |= u64::from(comma == 0 && valid == !0);

        let start = before(comma, &mut carry.start) & valid;
        wrong |= start & comma;
        // Letters stand only in words, and a word starts with a letter: words are looked at one by one.
        let word_starts = letter & start;
        let inside = !comma;
        let after = add(inside, word_starts, &mut carry.word);
        let word = inside & !after;
        wrong |= letter & !word;
        // Four at a time, needed or not, because a loop of unknown length costs more.
        let mut left = word_starts;
        for word in &mut words[words_len..words_len + 4] {
            *word = (at as u32).wrapping_add(left.trailing_zeros());
            left &= left.wrapping_sub(1);
        }
        let mut more = words_len + 4;
        while left != 0 {
            words[more] = at as u32 + left.trailing_zeros();
            left &= left - 1;
            more += 1;
        }
        words_len += word_starts.count_ones() as usize;

        let behind_digit = before(digit, &mut carry.digit);
        let behind_point = before(point, &mut carry.point) & valid;
        let behind_minus = before(minus, &mut carry.minus) & valid;
        wrong |= point & !behind_digit;
        wrong |= behind_point & !digit;
        wrong |= (minus & !start) | (behind_minus & !digit);
        // No digit behind a leading zero.
        let leading_zero = masks.zero & digit & (start | behind_minus);
        wrong |= before(leading_zero, &mut carry.zero) & digit;
        // Only one point.
        let fraction = add(digit, behind_point & digit, &mut carry.fraction);
        wrong |= fraction & !digit & point;
        at += 64;
    }
    let words_right = words[..words_len].iter().fold(true, |right, word| right & is_literal(bytes, *word as usize));
    wrong == 0 && words_right
}

#[inline(always)]
fn is_literal(bytes: &[u8], at: usize) -> bool {
    let Some(word) = bytes[at..].first_chunk::<8>() else { return false };
    let word = u64::from_le_bytes(*word);
    const FIVE: u64 = 0xff_ffff_ffff;
    const SIX: u64 = 0xffff_ffff_ffff;
    word & FIVE == u64::from_le_bytes(*b"true,\0\0\0")
        || word & FIVE == u64::from_le_bytes(*b"null,\0\0\0")
        || word & SIX == u64::from_le_bytes(*b"false,\0\0")
}
