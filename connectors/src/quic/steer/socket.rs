//! A core's socket: what is another core's goes to its inbox, what other cores got for this one comes out of its own.

use std::io::{self, IoSliceMut};
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use quinn::udp::{RecvMeta, Transmit};
use quinn::{AsyncUdpSocket, UdpPoller};

use super::Steering;
use super::inbox::{Inbox, Piece};
use crate::quic::endpoint::QuicStats;

/// As long as a core has no more connections than this, each may send as many datagrams at once as the system takes.
const FEW_CONNECTIONS_MAX: u64 = 256;
/// Datagrams that a connection sends at once on a core with many. For each a connection keeps 1.5 KB for ever once it has sent two
/// at once; ten, the most that the library sends, would be more than all else that it keeps.
const SEGMENTS_OF_MANY: usize = 4;

/// See the module.
#[derive(Debug)]
pub struct SteeredSocket {
    below: Arc<dyn AsyncUdpSocket>,
    steering: Arc<Steering>,
    core: u8,
    stats: Arc<QuicStats>,
    /// The inbox was served last; the socket is next, so that neither starves the other.
    inbox_was_last: AtomicBool,
}

impl SteeredSocket {
    /// Around the core's own socket.
    pub fn new(below: Arc<dyn AsyncUdpSocket>, steering: Arc<Steering>, core: u8, stats: Arc<QuicStats>) -> Self {
        Self { below, steering, core, stats, inbox_was_last: AtomicBool::new(false) }
    }

    fn inbox(&self) -> &Inbox {
        &self.steering.inboxes[usize::from(self.core)]
    }

    fn take(&self, buffers: &mut [IoSliceMut<'_>], metas: &mut [RecvMeta]) -> usize {
        if self.inbox().is_empty() {
            return 0;
        }
        let taken = self.inbox().take(buffers, metas);
        self.stats.steered_in.fetch_add(taken as u64, Ordering::Relaxed);
        taken
    }

    /// Looks at each datagram of a buffer: one byte, if they are all this core's.
    #[inline]
    pub(super) fn sort(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let bytes = &buffer[..meta.len];
        let ids = &self.steering.ids;
        if bytes.chunks(meta.stride.max(1)).any(|datagram| ids.core_in(datagram, self.core) != self.core) {
            self.hand_over(buffer, meta);
        }
    }

    /// Hands over what is another core's; what stays moves together.
    #[cold]
    fn hand_over(&self, buffer: &mut [u8], meta: &mut RecvMeta) {
        let ids = &self.steering.ids;
        let stride = meta.stride.max(1);
        let (mut at, mut kept) = (0, 0);
        while at < meta.len {
            let core = ids.core_in(&buffer[at..meta.len.min(at + stride)], self.core);
            let from = at;
            // Neighbours for the same core go together.
            while at < meta.len && ids.core_in(&buffer[at..meta.len.min(at + stride)], self.core) == core {
                at = meta.len.min(at + stride);
            }
            if core == self.core {
                buffer.copy_within(from..at, kept);
                kept += at - from;
            } else {
                self.give(core, &buffer[from..at], meta);
            }
        }
        meta.len = kept;
    }

    fn give(&self, core: u8, datagrams: &[u8], meta: &RecvMeta) {
        let stride = meta.stride.max(1);
        let ids = &self.steering.ids;
        let is_ours = |datagram: &&[u8]| ids.id_in(datagram).is_some_and(|id| ids.is_ours(id));
        let total = datagrams.len().div_ceil(stride);
        let ours = datagrams.chunks(stride).filter(is_ours).count();
        self.stats.steer_forged.fetch_add((total - ours) as u64, Ordering::Relaxed);
        if ours == 0 {
            return;
        }
        let bytes: Box<[u8]> = match ours == total {
            true => datagrams.into(),
            false => datagrams.chunks(stride).filter(is_ours).flatten().copied().collect(),
        };
        let piece = Piece { from: meta.addr, to: meta.dst_ip, ecn: meta.ecn, stride: meta.stride, bytes };
        let counter = match self.steering.inboxes[usize::from(core)].put(piece) {
            true => &self.stats.steered_out,
            false => &self.stats.steer_dropped,
        };
        counter.fetch_add(ours as u64, Ordering::Relaxed);
    }
}

impl AsyncUdpSocket for SteeredSocket {
    fn create_io_poller(self: Arc<Self>) -> Pin<Box<dyn UdpPoller>> {
        self.below.clone().create_io_poller()
    }

    fn try_send(&self, transmit: &Transmit<'_>) -> io::Result<()> {
        self.below.try_send(transmit)
    }

    fn poll_recv(
        &self,
        cx: &mut Context<'_>,
        buffers: &mut [IoSliceMut<'_>],
        metas: &mut [RecvMeta],
    ) -> Poll<io::Result<usize>> {
        if self.inbox_was_last.load(Ordering::Relaxed) {
            self.inbox_was_last.store(false, Ordering::Relaxed);
        } else {
            let taken = self.take(buffers, metas);
            if taken > 0 {
                self.inbox_was_last.store(true, Ordering::Relaxed);
                return Poll::Ready(Ok(taken));
            }
        }
        match self.below.poll_recv(cx, buffers, metas) {
            Poll::Ready(Ok(count)) => {
                for (buffer, meta) in buffers.iter_mut().zip(metas.iter_mut()).take(count) {
                    self.sort(buffer, meta);
                }
                Poll::Ready(Ok(count))
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                self.inbox().register(cx.waker());
                match self.take(buffers, metas) {
                    0 => Poll::Pending,
                    taken => Poll::Ready(Ok(taken)),
                }
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.below.local_addr()
    }

    fn max_transmit_segments(&self) -> usize {
        let opened = self.stats.connections_opened.load(Ordering::Relaxed);
        let closed = self.stats.connections_closed.load(Ordering::Relaxed);
        match opened.saturating_sub(closed) {
            0..=FEW_CONNECTIONS_MAX => self.below.max_transmit_segments(),
            _ => self.below.max_transmit_segments().min(SEGMENTS_OF_MANY),
        }
    }

    fn max_receive_segments(&self) -> usize {
        self.below.max_receive_segments()
    }

    fn may_fragment(&self) -> bool {
        self.below.may_fragment()
    }
}
