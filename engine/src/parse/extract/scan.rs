//! One event split into its skeleton and its holes, by any kernel: the blocks give the places, then the skeleton is put together
//! from the pieces between them.

use super::block::{Carry, Masks, step};

/// Longest event that the fast path takes, in bytes: places in it are 16 bits.
pub(super) const EVENT_BYTES_MAX: usize = 32 * 1024;
/// Most edges of the holes of an event on the fast path, a block more than is used.
pub(super) const EDGES_MAX: usize = 2048;
/// Most edges in one block: a member with a value has five bytes at least, and two edges. One less than a power of two, so that
/// counts can be or'ed.
pub(super) const BLOCK_EDGES_MAX: u32 = 31;
/// Bytes that are copied at once, so that a piece of the skeleton is most often one load and one store.
const PIECE: usize = 32;

/// Events that are scanned before the first of them is looked at again: by then what was stored for it has settled, and loads
/// that span several of those stores cost nothing extra.
pub(super) const EVENTS_MAX: usize = 32;
/// Bytes of skeletons that are kept.
const SKELETONS_BYTES: usize = 2 * EVENT_BYTES_MAX;
const EDGES: usize = 4 * EDGES_MAX;

/// What a kernel finds in some events. The buffers are used again for the next.
#[derive(Debug)]
pub(super) struct Scan {
    /// Skeletons one after the other, and room for a block behind them.
    pub skeletons: Box<[u8]>,
    pub skeletons_len: usize,
    /// For each hole its first byte and the first byte behind it, counted from the start of the event.
    pub edges: Box<[u16]>,
    pub edges_len: usize,
}

/// One event in a [`Scan`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Scanned {
    skeleton: usize,
    skeleton_len: usize,
    edges: usize,
    pub holes: usize,
    /// Some byte is above 127: the text has to be checked for UTF-8.
    pub non_ascii: bool,
    /// Some hole is an array.
    pub has_arrays: bool,
}

/// An event as it is looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Split<'s> {
    pub skeleton: &'s [u8],
    /// Two for each hole.
    pub edges: &'s [u16],
}

impl Split<'_> {
    pub fn holes(&self) -> usize {
        self.edges.len() / 2
    }

    /// First byte of a hole, and first byte behind it.
    #[inline(always)]
    pub fn hole(&self, hole: usize) -> (usize, usize) {
        (usize::from(self.edges[2 * hole]), usize::from(self.edges[2 * hole + 1]))
    }

    /// The hole that starts there.
    pub fn hole_at(&self, start: usize) -> Option<usize> {
        (0..self.holes()).find(|hole| self.hole(*hole).0 == start)
    }
}

impl Scan {
    /// There is room for one more event of so many bytes.
    #[inline(always)]
    pub fn has_room(&self, len: usize) -> bool {
        self.skeletons_len + len + 128 <= self.skeletons.len() && self.edges_len + EDGES_MAX + 64 <= self.edges.len()
    }

    pub fn clear(&mut self) {
        self.skeletons_len = 0;
        self.edges_len = 0;
    }

    #[inline(always)]
    pub fn split(&self, scanned: &Scanned) -> Split<'_> {
        Split {
            skeleton: &self.skeletons[scanned.skeleton..scanned.skeleton + scanned.skeleton_len],
            edges: &self.edges[scanned.edges..scanned.edges + 2 * scanned.holes],
        }
    }

    /// Takes note of an event that was scanned to here.
    #[inline(always)]
    pub fn finish(&mut self, skeletons_len: usize, edges_len: usize, non_ascii: bool, has_arrays: bool) -> Scanned {
        let scanned = Scanned {
            skeleton: self.skeletons_len,
            skeleton_len: skeletons_len - self.skeletons_len,
            edges: self.edges_len,
            holes: (edges_len - self.edges_len) / 2,
            non_ascii,
            has_arrays,
        };
        self.skeletons_len = skeletons_len;
        self.edges_len = edges_len;
        scanned
    }
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            skeletons: vec![0; SKELETONS_BYTES].into(),
            skeletons_len: 0,
            edges: vec![0; EDGES].into(),
            edges_len: 0,
        }
    }
}

/// The scalars of many events, one after the other, each with a comma behind it.
#[derive(Debug, Default)]
pub(super) struct Scalars {
    /// Scalars in the first `len` bytes, and room for a block behind them.
    pub bytes: Vec<u8>,
    pub len: usize,
    /// Where words start: work memory of the check.
    pub words: Vec<u32>,
}

impl Scalars {
    /// Empties it and makes room for the scalars of events of so many bytes in so many blocks.
    pub fn reset(&mut self, events_bytes: usize, events: usize) {
        self.len = 0;
        let most = events_bytes + (events + 2) * 128;
        if self.bytes.len() < most {
            self.bytes.resize(most, 0);
            // A word and its comma are two bytes at least.
            self.words.resize(most / 2 + 64, 0);
        }
    }
}

/// How a kernel sees 64 bytes.
pub(super) trait Blocks {
    /// The kinds of the bytes.
    fn masks(block: &[u8; 64]) -> Masks;
    /// Where `]` is.
    fn close(block: &[u8; 64]) -> u64;
    /// Bytes above 127.
    fn non_ascii(block: &[u8; 64]) -> u64;
    /// Bit `i` of the result is the xor of the bits 0 to `i`.
    fn prefix_xor(bits: u64) -> u64;
}

/// Scans the event in `bytes[start..start + len]`; there must be [room](Scan::has_room). `None`: it is none for the fast path.
#[inline(always)]
pub(super) fn scan<B: Blocks>(
    bytes: &[u8],
    start: usize,
    len: usize,
    out: &mut Scan,
    scalars: &mut Scalars,
) -> Option<Scanned> {
    let mut carry = Carry::default();
    let first = out.edges_len;
    let mut edges = first;
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
        masks.quote &= valid;
        masks.colon &= valid;
        masks.array &= valid;
        masks.end &= valid;
        masks.space &= valid;
        masks.other &= valid;
        let found = step(&masks, B::prefix_xor(masks.quote), valid, &mut carry, || B::close(block));
        flag |= found.flag;
        non_ascii |= B::non_ascii(block) & valid;
        let count = found.edges.count_ones();
        if count > BLOCK_EDGES_MAX || edges - first + 64 > EDGES_MAX {
            return None;
        }
        edges = places(found.edges, at, &mut out.edges, edges);
        at += 64;
    }
    if flag != 0 || carry.is_open() || !(edges - first).is_multiple_of(2) {
        return None;
    }
    let has_arrays = carry.has_arrays();
    let skeletons_len = match has_arrays {
        true => pieces::<true>(bytes, start, len, out, edges, scalars),
        false => pieces::<false>(bytes, start, len, out, edges, scalars),
    };
    Some(out.finish(skeletons_len, edges, non_ascii != 0, has_arrays))
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

/// Puts the skeleton together, and the scalars; where the skeleton ends.
#[inline(always)]
fn pieces<const HAS_ARRAYS: bool>(
    bytes: &[u8],
    start: usize,
    len: usize,
    out: &mut Scan,
    edges_len: usize,
    scalars: &mut Scalars,
) -> usize {
    let mut from = 0;
    let mut to = out.skeletons_len;
    for edges in out.edges[out.edges_len..edges_len].chunks_exact(2) {
        let (hole_start, hole_end) = (usize::from(edges[0]), usize::from(edges[1]));
        let first = bytes[start + hole_start];
        let is_text = first == b'"';
        let until = hole_start + usize::from(is_text);
        to = copy(bytes, start + from, until - from, &mut out.skeletons, to);
        from = hole_end;
        if HAS_ARRAYS && first == b'[' {
            elements(&bytes[start + hole_start + 1..start + hole_end - 1], scalars);
            continue;
        }
        // A string is copied too, and overwritten by the next scalar: that is cheaper than to ask.
        let behind = copy(bytes, start + hole_start, hole_end - hole_start, &mut scalars.bytes, scalars.len);
        scalars.bytes[behind] = b',';
        if !is_text {
            scalars.len = behind + 1;
        }
    }
    copy(bytes, start + from, len - from, &mut out.skeletons, to)
}

/// Appends what is in an array, without spaces.
fn elements(inside: &[u8], scalars: &mut Scalars) {
    let is_kept = |byte: &&u8| !matches!(byte, b' ' | b'\t' | b'\n' | b'\r');
    for byte in inside.iter().filter(is_kept).chain(b",") {
        scalars.bytes[scalars.len] = *byte;
        scalars.len += 1;
    }
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
