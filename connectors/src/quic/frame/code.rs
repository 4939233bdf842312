//! Why something was refused or ended: numbers that programs tell apart, each with what to do.

use std::fmt;

/// A code as it stands in frames and at the end of connections and streams. Numbers that are not known are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Code(pub u64);

macro_rules! codes {
    ($($(#[$about:meta])* $name:ident = $number:literal, $word:literal, $todo:literal;)*) => {
        impl Code {
            $($(#[$about])* pub const $name: Self = Self($number);)*

            /// All that version 1 has.
            pub const ALL: &[Self] = &[$(Self::$name),*];

            /// Its name in the table of `docs/quic.md`.
            pub fn name(self) -> &'static str {
                match self.0 {
                    $($number => $word,)*
                    _ => "unknown",
                }
            }

            /// What to do about it, when the one who refuses has nothing better to say.
            pub fn advice(self) -> &'static str {
                match self.0 {
                    $($number => $todo,)*
                    _ => "look the number up in the peer's manual",
                }
            }
        }
    };
}

codes! {
    /// As it was asked for.
    NONE = 0x00, "none", "nothing";
    /// The node has a fault.
    INTERNAL = 0x01, "internal", "connect again; if it stays, read the node's log";
    /// Bytes that are no frame.
    MALFORMED = 0x02, "malformed", "mend the sender; do not repeat it";
    /// A frame above its bound.
    FRAME_TOO_LARGE = 0x03, "frame_too_large", "send smaller frames, as WELCOME says";
    /// A frame that may not come here or now.
    PROTOCOL = 0x04, "protocol", "mend the sender; do not repeat it";
    /// An odd frame type that is not known.
    UNKNOWN_FRAME = 0x05, "unknown_frame", "send only what version 1 has";
    /// Something in 0-RTT that may not be repeated by others.
    EARLY_DATA = 0x06, "early_data", "send it when the handshake is complete";
    /// More than a limit allows.
    LIMIT = 0x07, "limit", "open fewer at a time, as WELCOME says";
    /// Something did not come in time.
    TIMEOUT = 0x08, "timeout", "connect again and send HELLO at once";
    /// The node stops, or wants its clients elsewhere.
    GOING_AWAY = 0x09, "going_away", "connect again after the time that GOAWAY names";
    /// Too much is asked of the node now.
    BUSY = 0x0a, "busy", "wait, twice as long each time, and try again";
    /// Who it is was not proved.
    UNAUTHENTICATED = 0x10, "unauthenticated", "use a certificate, token or password that the node knows";
    /// The token's time is over.
    AUTH_EXPIRED = 0x11, "auth_expired", "connect again with a new token and resume";
    /// The principal may not do this.
    FORBIDDEN = 0x12, "forbidden", "ask who runs the node for the permission";
    /// The filter is wrong or too expensive.
    FILTER_INVALID = 0x20, "filter_invalid", "mend the filter where the text says";
    /// There is no such route.
    NO_SUCH_ROUTE = 0x21, "no_such_route", "name a route that the node has";
    /// There is no such partition.
    NO_SUCH_PARTITION = 0x22, "no_such_partition", "ask for partitions below the number in WELCOME";
    /// The offset lies behind the log's end.
    OFFSET_BEYOND_END = 0x23, "offset_beyond_end", "it is another log: start from earliest or latest";
    /// What the subscription was opened on has changed.
    SOURCE_CHANGED = 0x24, "source_changed", "subscribe again from your offsets";
    /// Positions could not be kept or read.
    CURSORS_FAILED = 0x30, "cursors_failed", "commit again; if it stays, read the node's log";
    /// The subscriber's name is not allowed.
    SUBSCRIBER_INVALID = 0x31, "subscriber_invalid", "use a name of 1 to 128 letters, digits, dots, dashes and underscores";
    /// The log cannot be written.
    LOG_FAILED = 0x40, "log_failed", "wait and send again from the sequence that was refused";
    /// A sequence was left out.
    OUT_OF_ORDER = 0x41, "out_of_order", "send again from the sequence that is expected";
    /// The events are not well formed or use names that are not theirs.
    EVENT_INVALID = 0x42, "event_invalid", "mend the events, or drop them and use their sequences for the next";
    /// An event above its bound.
    EVENT_TOO_LARGE = 0x43, "event_too_large", "make it smaller, or drop it and use its sequence for the next";
    /// A key that belongs to another partition.
    WRONG_PARTITION = 0x44, "wrong_partition", "put each event into the partition of its key";
    /// More events are on their way to the log than the node holds.
    OVERLOADED = 0x45, "overloaded", "wait and send again from the sequence that was refused";
}

impl Code {
    /// As the code of a NACK: the events will never be taken. All others, also those that are not known, say that they are to be
    /// sent again.
    pub fn drops_events(self) -> bool {
        matches!(
            self,
            Self::FORBIDDEN
                | Self::NO_SUCH_PARTITION
                | Self::EVENT_INVALID
                | Self::EVENT_TOO_LARGE
                | Self::WRONG_PARTITION
        )
    }

    /// As the code of a NACK: the events are to be sent again on the next connection; this one takes nothing more.
    pub fn is_of_connection(self) -> bool {
        matches!(self, Self::GOING_AWAY | Self::AUTH_EXPIRED)
    }

    /// As the code of REFUSED or ENDED: the same subscription may be taken later. All others, also those that are not known, are final.
    pub fn is_passing(self) -> bool {
        matches!(
            self,
            Self::INTERNAL
                | Self::TIMEOUT
                | Self::GOING_AWAY
                | Self::BUSY
                | Self::AUTH_EXPIRED
                | Self::SOURCE_CHANGED
                | Self::CURSORS_FAILED
        )
    }

    /// As the end of a connection: another one would end the same way. After all others, also those that are not known, the client
    /// connects again.
    pub fn is_final(self) -> bool {
        matches!(
            self,
            Self::MALFORMED
                | Self::FRAME_TOO_LARGE
                | Self::PROTOCOL
                | Self::UNKNOWN_FRAME
                | Self::EARLY_DATA
                | Self::LIMIT
                | Self::UNAUTHENTICATED
                | Self::FORBIDDEN
        )
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:#04x})", self.name(), self.0)
    }
}
