//! Texts and bytes of a column, end to end, with where each ends.

use arrow_buffer::{Buffer, OffsetBuffer, ScalarBuffer};

/// Bytes of a text that are copied at once.
const PIECE: usize = 32;

/// Copies a text as it is. A call of its own, so that nobody makes one copy of unknown length of it and the other.
#[inline(never)]
fn copy_long(to: &mut [u8], text: &[u8]) {
    to[..text.len()].copy_from_slice(text);
}

/// Values of varying length, one behind the other.
#[derive(Debug)]
pub struct Bytes {
    ends: Vec<i32>,
    data: Vec<u8>,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { ends: vec![0], data: Vec::new() }
    }
}

impl Bytes {
    /// Bytes of all values.
    pub fn data_len(&self) -> usize {
        self.data.len()
    }

    /// Bytes in memory.
    pub fn byte_len(&self) -> usize {
        self.data.len() + self.ends.len() * 4
    }

    /// Makes room for values that have about so many bytes.
    pub fn reserve(&mut self, values: usize, bytes: usize) {
        self.ends.reserve(values + 1);
        // Values vary, and some are copied with what lies behind them.
        self.data.reserve(bytes + bytes / 8 + PIECE);
    }

    /// Appends a value.
    pub fn push(&mut self, value: &[u8]) {
        self.data.extend_from_slice(value);
        self.ends.push(self.data.len() as i32);
    }

    /// Appends values that most often lie in `bytes`: then so many bytes are copied at once that their number is known when this is
    /// compiled, and what is too much of them the next value covers.
    pub fn extend_of<'v>(&mut self, values: impl Iterator<Item = &'v [u8]> + Clone, bytes: &[u8]) {
        let mut end = self.data.len();
        let all = values.clone().map(<[u8]>::len).sum::<usize>();
        self.data.resize(end + all + PIECE, 0);
        self.ends.extend(values.map(|value| {
            let start = value.as_ptr().addr().wrapping_sub(bytes.as_ptr().addr());
            let from = bytes.get(start..).and_then(|from| from.first_chunk::<PIECE>());
            match (from, self.data[end..].first_chunk_mut::<PIECE>()) {
                (Some(from), Some(to)) if value.len() <= PIECE => *to = *from,
                _ => copy_long(&mut self.data[end..], value),
            }
            end += value.len();
            end as i32
        }));
        self.data.truncate(end);
    }

    /// Appends empty values, so that there are `values`.
    pub fn pad(&mut self, values: usize) {
        self.ends.resize(values + 1, self.data.len() as i32);
    }

    /// Takes values back, so that `values` are left.
    pub fn truncate(&mut self, values: usize) {
        self.ends.truncate(values + 1);
        self.data.truncate(self.ends[values] as usize);
    }

    /// One of them.
    pub fn of(&self, row: usize) -> &[u8] {
        &self.data[self.ends[row] as usize..self.ends[row + 1] as usize]
    }

    /// All of them; it is empty afterwards.
    pub fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let taken = std::mem::take(self);
        (OffsetBuffer::new(ScalarBuffer::from(taken.ends)), Buffer::from_vec(taken.data))
    }
}
