//! What a core's listener counts: added to once per request or per chunk of a body.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why an event or a request was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectReason {
    /// Not JSON where JSON is wanted.
    MalformedJson,
    /// JSON, but no CloudEvent.
    InvalidEvent,
    /// No key at the key pointer.
    MissingKey,
    /// Event or body above a limit.
    TooLarge,
    /// A content type or path that is not served.
    Unsupported,
    /// The body did not come in time, or the client went away.
    Incomplete,
    /// The log refused.
    Unavailable,
}

impl RejectReason {
    /// All of them, in the order of the counters.
    pub const ALL: [Self; 7] = [
        Self::MalformedJson,
        Self::InvalidEvent,
        Self::MissingKey,
        Self::TooLarge,
        Self::Unsupported,
        Self::Incomplete,
        Self::Unavailable,
    ];

    /// Its name in metrics and receipts.
    pub fn name(self) -> &'static str {
        match self {
            Self::MalformedJson => "malformed_json",
            Self::InvalidEvent => "invalid_event",
            Self::MissingKey => "missing_key",
            Self::TooLarge => "too_large",
            Self::Unsupported => "unsupported",
            Self::Incomplete => "incomplete",
            Self::Unavailable => "unavailable",
        }
    }
}

/// See the module. Written by one core, read by anyone.
#[derive(Debug, Default)]
pub struct HttpStats {
    /// Connections open now.
    pub connections: AtomicU64,
    /// Requests that brought events.
    pub requests: AtomicU64,
    /// Events acknowledged.
    pub events: AtomicU64,
    /// Bytes of their data.
    pub bytes: AtomicU64,
    rejected: [AtomicU64; RejectReason::ALL.len()],
}

impl HttpStats {
    /// Counts refused events.
    pub fn reject(&self, reason: RejectReason, events: u64) {
        self.rejected[reason as usize].fetch_add(events, Ordering::Relaxed);
    }

    /// Events refused for a reason.
    pub fn rejected(&self, reason: RejectReason) -> u64 {
        self.rejected[reason as usize].load(Ordering::Relaxed)
    }
}
