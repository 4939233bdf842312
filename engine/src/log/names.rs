//! Names of the log's files.
//!
//! ```text
//! ends                        end offset of every partition when a segment was last finished or removed
//! shard-000/000…000.log       a segment: record batches as accepted
//! shard-000/000…000.index     written when the segment is finished
//! ```

/// File that holds the end offset of every partition, one per line.
pub const ENDS: &str = "ends";

/// Folder of a shard's segments.
pub fn shard_dir(shard: u32) -> String {
    format!("shard-{shard:03}")
}

/// It is the folder of a shard, whatever number of shards there are now.
pub fn is_shard_dir(name: &str) -> bool {
    name.strip_prefix("shard-").is_some_and(|number| number.parse::<u32>().is_ok())
}

/// A segment of a shard's folder.
pub fn segment(shard_dir: &str, number: u64) -> String {
    format!("{shard_dir}/{number:020}.log")
}

/// The number of the segment that a file of a shard's folder is.
pub fn segment_number(file: &str) -> Option<u64> {
    file.strip_suffix(".log").filter(|stem| stem.len() == 20).and_then(|stem| stem.parse().ok())
}

/// The index beside a segment.
pub fn index(segment: &str) -> String {
    format!("{}.index", segment.strip_suffix(".log").unwrap_or(segment))
}
