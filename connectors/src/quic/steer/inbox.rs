//! Datagrams for a core that another core's socket got.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::Waker;

use engine::ring::Bell;
use quinn::udp::{EcnCodepoint, RecvMeta};

/// Most bytes that wait in an inbox. A core that has not looked for so long does not keep up anyway; QUIC sends again.
pub(super) const INBOX_BYTES_MAX: usize = 1024 * 1024;
/// What a piece costs beside its bytes, so that many small ones are bounded too.
const PIECE_BYTES: usize = 128;

/// Datagrams that came together, of one client, all of one size but the last, which may be shorter.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) from: SocketAddr,
    pub(super) to: Option<IpAddr>,
    pub(super) ecn: Option<EcnCodepoint>,
    pub(super) stride: usize,
    pub(super) bytes: Box<[u8]>,
}

#[derive(Debug, Default)]
struct Queue {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

/// Written by all cores, read by one.
#[derive(Debug, Default)]
pub(super) struct Inbox {
    /// How many there are, so that a look at an empty inbox takes no lock.
    waiting: AtomicUsize,
    queue: Mutex<Queue>,
    bell: Bell,
}

impl Inbox {
    /// False: it is full, and the piece is gone.
    pub(super) fn put(&self, piece: Piece) -> bool {
        let size = piece.bytes.len() + PIECE_BYTES;
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.bytes + size > INBOX_BYTES_MAX {
            return false;
        }
        queue.bytes += size;
        queue.pieces.push_back(piece);
        self.waiting.store(queue.pieces.len(), Ordering::Release);
        drop(queue);
        self.bell.ring();
        true
    }

    /// Whether there is nothing.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.load(Ordering::Acquire) == 0
    }

    /// Moves the first pieces into `buffers`, one into each; how many.
    pub(super) fn take(&self, buffers: &mut [std::io::IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        let mut taken = 0;
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        for (buffer, meta) in buffers.iter_mut().zip(metas) {
            // A piece was in such a buffer before; should one be larger, none of it would be of use.
            let Some(piece) = queue.pieces.pop_front() else { break };
            queue.bytes -= piece.bytes.len() + PIECE_BYTES;
            let length = piece.bytes.len().min(buffer.len());
            buffer[..length].copy_from_slice(&piece.bytes[..length]);
            *meta = RecvMeta::default();
            meta.addr = piece.from;
            meta.dst_ip = piece.to;
            meta.ecn = piece.ecn;
            meta.stride = piece.stride;
            meta.len = length;
            taken += 1;
        }
        self.waiting.store(queue.pieces.len(), Ordering::Release);
        if queue.pieces.is_empty() && queue.pieces.capacity() > 64 {
            queue.pieces = VecDeque::new();
        }
        taken
    }

    /// Wakes `waker` at the next piece. Look once more behind this: one may have come meanwhile.
    pub(super) fn register(&self, waker: &Waker) {
        self.bell.register(waker);
    }
}
