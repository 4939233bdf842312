//! A data stream at the client: which subscription it is of, and the bytes that wait until that one is open.

use crate::quic::frame::{Code, DataFrame, bounds, kind};
use crate::quic::session::Fault;
use crate::quic::session::body::BodyReader;

#[derive(Debug)]
pub(super) struct DataStream {
    /// QUIC's number.
    pub id: u64,
    reader: BodyReader,
    of: Of,
    held: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Of {
    /// DATA has not come.
    Unknown,
    Subscription(u32),
    /// Of one that is over.
    Nobody,
}

impl DataStream {
    pub fn new(id: u64) -> Self {
        Self { id, reader: BodyReader::default(), of: Of::Unknown, held: Vec::new() }
    }

    /// The number of its subscription.
    pub fn number(&self) -> Option<u32> {
        if let Of::Subscription(number) = self.of { Some(number) } else { None }
    }

    /// Nobody wants what comes.
    pub fn ignore(&mut self) {
        self.of = Of::Nobody;
        self.held = Vec::new();
    }

    /// Takes bytes from the front of `input` up to the end of a frame; DATA is seen to.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<(u64, Vec<u8>)>, Fault> {
        if self.of == Of::Nobody {
            *input = &[];
            return Ok(None);
        }
        let Some((kind, body)) = self.reader.take(input)? else { return Ok(None) };
        if self.of == Of::Unknown {
            match DataFrame::decode(kind, &body)? {
                Some(DataFrame::Header(header)) => self.of = Of::Subscription(header.subscription),
                None => {}
                _ => return Err(Fault::protocol("a data stream begins without DATA")),
            }
            // The caller looks whether anybody wants the rest.
            return Ok(Some((kind, Vec::new())));
        }
        if kind == kind::DATA {
            return Err(Fault::protocol("a second DATA on a data stream"));
        }
        Ok(Some((kind, body)))
    }

    /// Keeps bytes until the subscription is open. More than its window and one frame the node does not send.
    pub fn hold(&mut self, bytes: &[u8], window: usize) -> Result<(), Fault> {
        self.held.extend_from_slice(bytes);
        if self.held.len() > window.saturating_add(2 * bounds::BATCH_BODY_BYTES_MAX) {
            return Err(Fault::new(Code::LIMIT, "the node sends more than its credit before SUBSCRIBED"));
        }
        Ok(())
    }

    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    pub fn is_holding(&self) -> bool {
        !self.held.is_empty()
    }

    pub fn is_at_boundary(&self) -> bool {
        self.of == Of::Nobody || self.reader.is_at_boundary()
    }
}
