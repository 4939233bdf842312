//! What comes in on one stream, cut into whole packets.

use std::io;
use std::task::{Context, Poll};

use quinn::RecvStream;

use super::cut::{self, Answered, Length};

/// A packet up to this length is kept until it is whole, so that other streams can go on meanwhile; the rest of a longer one is
/// waited for.
pub(super) const KEPT_BYTES_MAX: usize = 16 * 1024;

/// A packet of this stream was handed on in part: so much of it is missing, and nothing else may come before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Missing(pub(super) usize);

/// What a read brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// So many bytes.
    Bytes(usize),
    /// The client has ended the stream.
    End,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Inlet {
    /// None: the client has ended it.
    receive: Option<RecvStream>,
    /// The beginning of a packet.
    kept: Vec<u8>,
}

impl Inlet {
    pub(super) fn new(receive: RecvStream) -> Self {
        Self { receive: Some(receive), kept: Vec::new() }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.receive.is_none()
    }

    /// Gives up what was kept.
    pub(super) fn end(&mut self) {
        self.receive = None;
        self.kept = Vec::new();
    }

    /// Reads on. `missing` is what the last call left in it. While the stream `is_alone`, nothing is kept but pieces of headers.
    /// `on_packet` sees every packet once: whole, or what has come of it when it is handed on in part.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        into: &mut [u8],
        missing: &mut Option<Missing>,
        is_alone: bool,
        mut on_packet: impl FnMut(&[u8]),
    ) -> Poll<io::Result<Step>> {
        let Some(receive) = &mut self.receive else { return Poll::Ready(Ok(Step::End)) };
        loop {
            // A beginning that leaves no room to read behind it: in a small buffer, or with a very long topic.
            if !self.kept.is_empty() && (missing.is_some() || self.kept.len() >= into.len()) {
                return Poll::Ready(Ok(Step::Bytes(self.hand_on_kept(into, missing, on_packet))));
            }
            let kept = self.kept.len();
            let bytes = match receive.poll_read(cx, &mut into[kept..]) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(Step::End)),
                Poll::Ready(Ok(bytes)) => bytes,
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error.into())),
                Poll::Pending => return Poll::Pending,
            };
            into[..kept].copy_from_slice(&self.kept);
            let all = kept + bytes;
            let start = missing.map_or(0, |Missing(count)| count.min(all));
            if let Some(Missing(count)) = missing
                && *count > all
            {
                *count -= all;
                return Poll::Ready(Ok(Step::Bytes(all)));
            }
            *missing = None;
            let end = start + cut::whole(&into[start..all], &mut on_packet);
            let rest = &into[end..all];
            let goes_on = match cut::length(rest) {
                _ if rest.is_empty() => true,
                Length::Malformed => {
                    *missing = Some(Missing(usize::MAX));
                    true
                }
                Length::Known { total, .. }
                    if is_alone || total > KEPT_BYTES_MAX && cut::answered(rest) != Answered::Unknown =>
                {
                    on_packet(rest);
                    *missing = Some(Missing(total - rest.len()));
                    true
                }
                _ => false,
            };
            if goes_on {
                if self.kept.capacity() > 0 {
                    self.kept = Vec::new();
                }
                return Poll::Ready(Ok(Step::Bytes(all)));
            }
            self.kept.clear();
            self.kept.extend_from_slice(rest);
            if end > 0 {
                return Poll::Ready(Ok(Step::Bytes(end)));
            }
        }
    }

    /// Hands on the beginning of a packet in pieces.
    fn hand_on_kept(
        &mut self,
        into: &mut [u8],
        missing: &mut Option<Missing>,
        mut on_packet: impl FnMut(&[u8]),
    ) -> usize {
        if missing.is_none() {
            on_packet(&self.kept);
        }
        let left = match (*missing, cut::length(&self.kept)) {
            (Some(Missing(left)), _) => left,
            (None, Length::Known { total, .. }) => total,
            // The broker sees that it is none, or the buffer is shorter than a header.
            (None, _) => usize::MAX,
        };
        let count = self.kept.len().min(into.len());
        into[..count].copy_from_slice(&self.kept[..count]);
        self.kept.drain(..count);
        if self.kept.is_empty() {
            self.kept = Vec::new();
        }
        *missing = (left > count).then_some(Missing(left - count));
        count
    }
}
