//! BATCH frames: how a delivery's rows go out.
//!
//! What always holds: the choice changes bytes, never events.

use engine::batch::{pack, packed_bytes};
use engine::lane::{Delivery, Rows};

use super::Server;
use super::outgoing::Outgoing;
use super::subscription::Subscription;
use crate::quic::frame::{DataFrame, Encoding, Lost, Position, write_batch_head};

/// A batch is packed if its matching rows take at most so many hundredths of its bytes. Packing costs 0.04 ns for each byte that it keeps
/// (`cargo bench -p bench -- pack`), and quinn alone takes 1.27 ns to send one (suite `quic`): from 97 % on, what is left out
/// is not worth the work.
pub const PACKED_PERCENT_MAX: usize = 96;

impl Server {
    /// The subscription is open, has credit, and is not being ended: deliveries may be written.
    #[inline]
    pub fn may_send(&self, subscription: u32) -> bool {
        self.subscriptions.iter().any(|found| found.number == subscription && found.may_send())
    }

    /// Appends the BATCH of a delivery to what goes out on the data stream of its partition, and charges its bytes. To be called
    /// only while [`may_send`](Self::may_send). The whole batch is settled by it: behind it the partition goes on at its end.
    pub fn write_delivery(&mut self, subscription: u32, delivery: &Delivery, out: &mut Outgoing) {
        let Some(found) = self.subscriptions.iter_mut().find(|found| found.number == subscription) else { return };
        let body = write(found, delivery, &mut self.mask, out);
        found.use_credit(body);
    }
}

fn write(to: &Subscription, delivery: &Delivery, mask: &mut Vec<u8>, out: &mut Outgoing) -> usize {
    let batch = &delivery.batch;
    let (partition, next_offset, bytes) = (batch.partition(), batch.last_offset() + 1, batch.bytes());
    let rows = match &delivery.rows {
        Rows::Some(rows) if rows.len() < batch.rows().len() => rows,
        _ => {
            // As stored it is a packed batch too, one without gaps.
            let encoding = if to.whole { Encoding::Whole } else { Encoding::Packed };
            let body = write_batch_head(out.tail(), partition, next_offset, encoding, bytes.len());
            out.push_batch(batch);
            return body;
        }
    };
    let packed = packed_bytes(batch, rows);
    if !to.masked || packed * 100 <= bytes.len() * PACKED_PERCENT_MAX {
        let body = write_batch_head(out.tail(), partition, next_offset, Encoding::Packed, packed);
        pack(batch, rows, out.tail());
        return body;
    }
    mask.clear();
    mask.resize(batch.rows().len().div_ceil(8), 0);
    rows.iter().for_each(|row| mask[usize::from(row / 8)] |= 1 << (row % 8));
    let body = write_batch_head(out.tail(), partition, next_offset, Encoding::Masked(mask), bytes.len());
    out.push_batch(batch);
    body
}

/// Appends a POSITION: nothing of the partition before `next_offset` is still to come.
pub fn write_position(out: &mut Vec<u8>, partition: u32, next_offset: u64) {
    DataFrame::Position(Position { partition, next_offset }).write(out);
}

/// Appends a LOST: the log does not have the events from `from` up to `to` any more.
pub fn write_lost(out: &mut Vec<u8>, partition: u32, from: u64, to: u64) {
    DataFrame::Lost(Lost { partition, from, to }).write(out);
}
