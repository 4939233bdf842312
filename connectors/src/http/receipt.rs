//! What a client gets for events that are kept: how many, and where they lie.

use serde::Serialize;

use super::problem::{ERRORS_LISTED_MAX, EventError};
use crate::intake;

#[derive(Serialize)]
struct PartitionShape {
    partition: u32,
    /// Offset of the first event.
    offset: u64,
    count: u64,
}

#[derive(Serialize)]
struct Shape<'r> {
    accepted: u64,
    rejected: u64,
    #[serde(skip_serializing_if = "is_none")]
    duplicates: u64,
    partitions: Vec<PartitionShape>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'r [EventError],
    #[serde(skip_serializing_if = "Option::is_none")]
    errors_not_listed: Option<u64>,
}

fn is_none(count: &u64) -> bool {
    *count == 0
}

/// The receipt as JSON. Batches that follow each other in a partition are one entry.
pub fn to_json(receipt: &intake::Receipt, rejected: u64, errors: &[EventError]) -> Vec<u8> {
    let mut placed = receipt.placed.clone();
    // Batches of which nothing was new have no place.
    placed.retain(|placed| placed.rows > 0);
    placed.sort_unstable_by_key(|placed| (placed.partition, placed.base_offset));
    let mut partitions: Vec<PartitionShape> = Vec::new();
    for part in placed {
        let (partition, offset, count) = (part.partition, part.base_offset, u64::from(part.rows));
        match partitions.last_mut() {
            Some(last) if last.partition == partition && last.offset + last.count == offset => last.count += count,
            _ => partitions.push(PartitionShape { partition, offset, count }),
        }
    }
    let errors_not_listed = (rejected > ERRORS_LISTED_MAX as u64).then(|| rejected - errors.len() as u64);
    let (accepted, duplicates) = (receipt.events(), receipt.duplicates());
    let shape = Shape { accepted, rejected, duplicates, partitions, errors, errors_not_listed };
    serde_json::to_vec(&shape).expect("strings and numbers are always JSON")
}
