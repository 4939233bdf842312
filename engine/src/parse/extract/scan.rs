//! One event split into its skeleton and its holes, by any kernel: the blocks give the places, then the skeleton is put together
//! from the pieces between them.

use super::block::{Carry, Masks, step};

/// Longest event that the fast path takes, in bytes: places in it are 16 bits.
pub(super) const EVENT_BYTES_MAX: usize = 32 * 1024;
/// Most holes of an event on the fast path.
pub(super) const HOLES_MAX: usize = 1024;
/// Bytes that are copied at once, so that a piece of the skeleton is most often one load and one store.
const PIECE: usize = 32;

/// What a kernel finds in one event. The buffers are used again for the next.
#[derive(Debug)]
pub(super) struct Scan {
    /// The skeleton in its first `skeleton_len` bytes, and room for a block behind them.
    pub skeleton: Box<[u8]>,
    pub skeleton_len: usize,
    /// First byte of each hole, counted from the start of the event.
    pub starts: Box<[u16]>,
    /// Behind its last byte.
    pub ends: Box<[u16]>,
    pub holes: usize,
    /// Some byte is above 127: the text has to be checked for UTF-8.
    pub non_ascii: bool,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            skeleton: vec![0; EVENT_BYTES_MAX + 128].into(),
            skeleton_len: 0,
            starts: vec![0; HOLES_MAX + 128].into(),
            ends: vec![0; HOLES_MAX + 128].into(),
            holes: 0,
            non_ascii: false,
        }
    }
}

/// The scalars of many events, one after the other, each with a comma behind it.
#[derive(Debug, Default)]
pub(super) struct Scalars {
    /// Scalars in the first `len` bytes, and room for a block behind them.
    pub bytes: Vec<u8>,
    pub len: usize,
}

impl Scalars {
    /// Empties it and makes room for the scalars of events of so many bytes in so many blocks.
    pub fn reset(&mut self, events_bytes: usize, events: usize) {
        self.len = 0;
        let most = events_bytes + (events + 2) * 128;
        if self.bytes.len() < most {
            self.bytes.resize(most, 0);
        }
    }
}

/// How a kernel sees 64 bytes.
pub(super) trait Blocks {
    /// The kinds of the bytes.
    fn masks(block: &[u8; 64]) -> Masks;
    /// Bytes above 127.
    fn non_ascii(block: &[u8; 64]) -> u64;
    /// Bit `i` of the result is the xor of the bits 0 to `i`.
    fn prefix_xor(bits: u64) -> u64;
}

/// Scans the event in `bytes[start..start + len]`. False: it is none for the fast path.
#[inline(always)]
pub(super) fn scan<B: Blocks>(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) -> bool {
    let mut carry = Carry::default();
    let (mut starts, mut ends) = (0, 0);
    let (mut flag, mut non_ascii) = (0, 0);
    let mut at = 0;
    while at < len {
        let left = len - at;
        let mut padded = [0u8; 64];
        let block: &[u8; 64] = match bytes[start + at..].first_chunk() {
            Some(block) => block,
            None => {
                padded[..left].copy_from_slice(&bytes[start + at..start + len]);
                &padded
            }
        };
        let valid = if left >= 64 { !0 } else { (1 << left) - 1 };
        let mut masks = B::masks(block);
        // What lies behind the event belongs to somebody else.
        for mask in
            [&mut masks.quote, &mut masks.colon, &mut masks.open, &mut masks.array, &mut masks.end, &mut masks.space]
        {
            *mask &= valid;
        }
        let found = step(&masks, B::prefix_xor(masks.quote), valid, &mut carry);
        flag |= found.flag;
        non_ascii |= B::non_ascii(block) & valid;
        if ends + 64 > HOLES_MAX || starts + 64 > HOLES_MAX {
            return false;
        }
        starts = places(found.starts, at, &mut out.starts, starts);
        ends = places(found.ends, at, &mut out.ends, ends);
        at += 64;
    }
    if flag != 0 || carry.is_open() || starts != ends {
        return false;
    }
    out.holes = starts;
    out.non_ascii = non_ascii != 0;
    pieces(bytes, start, len, out, scalars);
    true
}

/// Appends the places of the set bits.
#[inline(always)]
fn places(mut bits: u64, base: usize, out: &mut [u16], mut count: usize) -> usize {
    while bits != 0 {
        out[count] = (base + bits.trailing_zeros() as usize) as u16;
        count += 1;
        bits &= bits - 1;
    }
    count
}

/// Puts the skeleton together, and the scalars.
#[inline(always)]
fn pieces(bytes: &[u8], start: usize, len: usize, out: &mut Scan, scalars: &mut Scalars) {
    let mut from = 0;
    let mut to = 0;
    for hole in 0..out.holes {
        let (hole_start, hole_end) = (usize::from(out.starts[hole]), usize::from(out.ends[hole]));
        let is_text = bytes[start + hole_start] == b'"';
        let until = hole_start + usize::from(is_text);
        to = copy(bytes, start + from, until - from, &mut out.skeleton, to);
        from = hole_end;
        if !is_text {
            let behind = copy(bytes, start + hole_start, hole_end - hole_start, &mut scalars.bytes, scalars.len);
            scalars.bytes[behind] = b',';
            scalars.len = behind + 1;
        }
    }
    out.skeleton_len = copy(bytes, start + from, len - from, &mut out.skeleton, to);
}

/// Copies `len` bytes and says where they end. What lies behind them in `out` is overwritten too.
#[inline(always)]
fn copy(bytes: &[u8], from: usize, len: usize, out: &mut [u8], to: usize) -> usize {
    if len <= PIECE
        && let (Some(source), Some(target)) =
            (bytes[from..].first_chunk::<PIECE>(), out[to..].first_chunk_mut::<PIECE>())
    {
        *target = *source;
        return to + len;
    }
    out[to..to + len].copy_from_slice(&bytes[from..from + len]);
    to + len
}
