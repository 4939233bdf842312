//! What waits to go out on a data stream: frames that were written together, and stored batches as they lie in memory.
//!
//! A large batch is not copied: every subscriber that wants it whole sends the same bytes. What always holds: the pieces, one behind
//! the other, are the frames in the order in which they were written.

use std::sync::Arc;

use bytes::Bytes;
use engine::batch::Batch;

/// A batch of so many bytes and more is shared; below that a copy costs less than a piece of its own.
const SHARED_BYTES_MIN: usize = 8 * 1024;

/// See the module.
#[derive(Debug, Default)]
pub struct Outgoing {
    pieces: Vec<Bytes>,
    /// Behind the pieces.
    tail: Vec<u8>,
    /// Of the pieces.
    piece_bytes: usize,
}

/// Keeps the batch for as long as its bytes are on their way.
struct Stored(Arc<Batch>);

impl AsRef<[u8]> for Stored {
    fn as_ref(&self) -> &[u8] {
        self.0.bytes()
    }
}

impl Outgoing {
    /// Bytes that wait.
    pub fn len(&self) -> usize {
        self.piece_bytes + self.tail.len()
    }

    /// Nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where frames are appended.
    pub fn tail(&mut self) -> &mut Vec<u8> {
        &mut self.tail
    }

    /// Appends the bytes of a batch.
    pub fn push_batch(&mut self, batch: &Arc<Batch>) {
        let bytes = batch.bytes();
        if bytes.len() < SHARED_BYTES_MIN {
            self.tail.extend_from_slice(bytes);
            return;
        }
        self.close_tail();
        self.piece_bytes += bytes.len();
        self.pieces.push(Bytes::from_owner(Stored(batch.clone())));
    }

    fn close_tail(&mut self) {
        if !self.tail.is_empty() {
            self.piece_bytes += self.tail.len();
            self.pieces.push(Bytes::from(std::mem::take(&mut self.tail)));
        }
    }

    /// Takes all that waits, in order.
    pub fn take(&mut self) -> Vec<Bytes> {
        self.close_tail();
        self.piece_bytes = 0;
        std::mem::take(&mut self.pieces)
    }
}
