//! Bytes of a control stream until they are whole frames. Holds one frame that is not whole and what one read brought behind it.

use crate::quic::frame::{FrameError, bounds, head};

/// Capacity that an empty inbox keeps: an idle connection is to cost little.
const KEPT_BYTES_MAX: usize = 1024;

#[derive(Debug, Default)]
pub(super) struct Inbox {
    bytes: Vec<u8>,
    /// What lies before this was taken.
    at: usize,
}

impl Inbox {
    pub fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next whole frame: its type and body.
    pub fn next(&mut self) -> Result<Option<(u64, &[u8])>, FrameError> {
        let rest = &self.bytes[self.at..];
        let found = head(rest, bounds::CONTROL_BODY_BYTES_MAX)?;
        match found.filter(|head| head.total() <= rest.len()) {
            Some(head) => {
                let start = self.at + head.head_bytes;
                self.at = start + head.body_bytes;
                Ok(Some((head.kind, &self.bytes[start..self.at])))
            }
            None => {
                self.compact();
                Ok(None)
            }
        }
    }

    /// Bytes that were not taken.
    pub fn len(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn compact(&mut self) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.bytes.shrink_to(KEPT_BYTES_MAX);
        } else {
            self.bytes.drain(..self.at);
        }
        self.at = 0;
    }
}
