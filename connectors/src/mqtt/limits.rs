//! Bounds that are not settings, each with its reason.

/// Most levels of a topic or topic filter: trees of topics are walked level by level.
pub const TOPIC_LEVELS_MAX: usize = 256;
/// Messages for a member of a shared subscription that wait for room with it. Others get the rest.
pub const SHARE_CREDIT: u32 = 64;
/// Topics whose subscribers a core remembers; beyond it all are looked up anew.
pub const KNOWN_TOPICS_MAX: usize = 64 * 1024;
/// Bytes that one read of the log brings into memory for a session that is behind.
pub const BACKLOG_READ_BYTES_MAX: usize = 256 * 1024;
/// Retained messages that wait to be sent to one session.
pub const WAITING_MAX: usize = 1 << 20;
