//! Every bound of the frames, each with its reason. `docs/quic.md` names the same numbers.

use engine::limits;

/// Most bytes of a control frame's body: a filter of the longest kind and offsets for every partition fit.
pub const CONTROL_BODY_BYTES_MAX: usize = 64 * 1024;
/// Most bytes of a BATCH's body: the largest stored batch, its mask, and the numbers before them.
pub const BATCH_BODY_BYTES_MAX: usize = limits::BATCH_BYTES_MAX + limits::BATCH_ROWS_MAX / 8 + 64;
/// Most bytes of a PUBLISH's body: its records become one batch.
pub const PUBLISH_BODY_BYTES_MAX: usize = limits::BATCH_BYTES_MAX - engine::batch::HEADER_BYTES;
/// Most bytes of a PUBLISH before its records: type and length, partition, sequence, count.
pub const PUBLISH_HEAD_BYTES_MAX: usize = 5 * super::varint::BYTES_MAX;
/// Most bytes of any other frame on a data or publish stream: they are a few numbers.
pub const STREAM_BODY_BYTES_MAX: usize = 1024;
/// Most bytes of a name: of a node, an agent, a principal, a route, a subscriber, a property.
pub const NAME_BYTES_MAX: usize = 1024;
/// Most bytes of a token: as large as the header that HTTP servers take it in.
pub const TOKEN_BYTES_MAX: usize = 16 * 1024;
/// Most bytes of a password.
pub const PASSWORD_BYTES_MAX: usize = 1024;
/// Most bytes of a text for people.
pub const TEXT_BYTES_MAX: usize = 4 * 1024;
/// Most texts or properties in one frame.
pub const REPEATS_MAX: usize = 64;
/// Most data streams of one subscription: more than this many losses at a time no path has.
pub const GROUPS_MAX: usize = 64;
/// Sequences are below this: a stored batch has 46 bits for one.
pub const SEQUENCES: u64 = 1 << 46;
/// Offsets are at most this: the largest number on the wire.
pub const OFFSET_MAX: u64 = super::varint::MAX;

const _: () = assert!(limits::FILTER_BYTES_MAX + 1024 * 10 + 8 * NAME_BYTES_MAX < CONTROL_BODY_BYTES_MAX);
