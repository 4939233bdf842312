//! What is read by the column at once: batches, each with what its endpoint adds to the events.

use engine::batch::Batch;
use engine::lane::{Delivery, Enrichment};

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'p> {
    /// The events.
    pub batch: &'p Batch,
    /// What is added to each.
    pub enrichments: &'p [Enrichment],
}

impl<'p> From<&'p Batch> for Piece<'p> {
    fn from(batch: &'p Batch) -> Self {
        Self { batch, enrichments: &[] }
    }
}

impl<'p> From<&'p Delivery> for Piece<'p> {
    fn from(delivery: &'p Delivery) -> Self {
        Self { batch: &delivery.batch, enrichments: &delivery.enrichments }
    }
}
