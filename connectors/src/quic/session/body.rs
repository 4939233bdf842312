//! Bytes of a data stream until they are whole frames, each body in memory of its own so that a batch can stay where it was read to.

use crate::quic::frame::{Code, FrameError, bounds, head, kind, varint};

/// Memory that is taken for a body before its bytes have come.
const AHEAD_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of type and length.
const HEAD_BYTES_MAX: usize = 2 * varint::BYTES_MAX;

#[derive(Debug, Default)]
pub(super) struct BodyReader {
    head: Vec<u8>,
    /// Type and body of the frame that is being read, and how much of it is missing.
    open: Option<(u64, Vec<u8>, usize)>,
}

impl BodyReader {
    /// Takes bytes from the front of `input` up to the end of a frame: its type and body once it is whole.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<(u64, Vec<u8>)>, FrameError> {
        if self.open.is_none() {
            let before = self.head.len();
            self.head.extend_from_slice(&input[..input.len().min(HEAD_BYTES_MAX - before)]);
            let Some(found) = head(&self.head, bounds::BATCH_BODY_BYTES_MAX)? else {
                *input = &[];
                return Ok(None);
            };
            if found.kind != kind::BATCH && found.kind % 2 == 1 && found.body_bytes > bounds::STREAM_BODY_BYTES_MAX {
                let (bytes, bytes_max) = (found.body_bytes as u64, bounds::STREAM_BODY_BYTES_MAX as u64);
                return Err(FrameError::TooLarge { kind: found.kind, bytes, bytes_max });
            }
            *input = &input[found.head_bytes - before..];
            self.head.clear();
            let body = Vec::with_capacity(found.body_bytes.min(AHEAD_BYTES_MAX));
            self.open = Some((found.kind, body, found.body_bytes));
        }
        let Some((_, body, missing)) = &mut self.open else { return Ok(None) };
        let (part, rest) = input.split_at(input.len().min(*missing));
        body.extend_from_slice(part);
        *missing -= part.len();
        *input = rest;
        if *missing > 0 {
            return Ok(None);
        }
        Ok(self.open.take().map(|(kind, body, _)| (kind, body)))
    }

    /// The stream is between two frames.
    pub fn is_at_boundary(&self) -> bool {
        self.open.is_none() && self.head.is_empty()
    }
}

/// What a stream that ends within a frame is.
pub(super) fn cut() -> super::Fault {
    super::Fault::new(Code::MALFORMED, "a stream ends within a frame")
}
