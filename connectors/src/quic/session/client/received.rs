//! A batch that came, and which of its events are meant.

use engine::batch::SparseBatch;
use engine::event::Event;

use crate::quic::frame::{BatchFrame, Code, DataFrame, Encoding, kind};
use crate::quic::session::Fault;

/// Events of one partition, as they came.
#[derive(Debug)]
pub struct Received {
    /// Handle of the subscription.
    pub subscription: u32,
    /// The partition.
    pub partition: u32,
    /// Events before it were handed over before.
    from: u64,
    /// Events at or behind it are not meant.
    next_offset: u64,
    /// Where the partition goes on when this was handed over.
    pub settled_to: u64,
    /// What it counts against the credit.
    pub body_bytes: usize,
    batch: SparseBatch,
    mask: Option<Box<[u8]>>,
}

impl Received {
    /// Reads the body of a BATCH. `position` says where a partition goes on, if it is one of the subscription.
    pub(super) fn decode(
        subscription: u32,
        body: Vec<u8>,
        position: impl FnOnce(u32) -> Option<u64>,
    ) -> Result<Self, Fault> {
        let body_bytes = body.len();
        let Some(DataFrame::Batch(frame)) = DataFrame::decode(kind::BATCH, &body)? else {
            return Err(Fault::protocol("no BATCH"));
        };
        let BatchFrame { partition, next_offset, encoding, records } = frame;
        let from = match position(partition) {
            Some(from) if next_offset > from => from,
            Some(from) => {
                let text = format!("a BATCH of partition {partition} ends at {next_offset}, which goes on at {from}");
                return Err(Fault::protocol(text));
            }
            None => return Err(Fault::protocol(format!("partition {partition} is not subscribed to"))),
        };
        let at = body.len() - records.len();
        let mask = match encoding {
            Encoding::Masked(mask) => Some(Box::from(mask)),
            Encoding::Whole | Encoding::Packed => None,
        };
        let batch = SparseBatch::decode(partition, body, at)
            .map_err(|error| Fault::new(Code::MALFORMED, format!("a BATCH of partition {partition}: {error}")))?;
        if mask.as_deref().is_some_and(|mask| !fits(mask, batch.len())) {
            return Err(Fault::new(Code::MALFORMED, "the mask of a BATCH does not fit its events"));
        }
        Ok(Self { subscription, partition, from, next_offset, settled_to: next_offset, body_bytes, batch, mask })
    }

    /// The events, in offset order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let meant = self.from..self.next_offset;
        self.batch
            .events()
            .enumerate()
            .filter(|(index, _)| self.mask.as_ref().is_none_or(|mask| mask[index / 8] & 1 << (index % 8) != 0))
            .map(|(_, event)| event)
            .filter(move |event| meant.contains(&event.offset()))
    }
}

/// A bit for each event, up to a whole byte, and none behind the last event.
fn fits(mask: &[u8], events: usize) -> bool {
    let padding = match events % 8 {
        0 => 0,
        used => 0xff << used,
    };
    mask.len() == events.div_ceil(8) && mask.last().is_none_or(|last| last & padding == 0)
}
