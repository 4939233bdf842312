//! Reason codes in words, and which of them asking again cannot change.

use super::Version;

/// A CONNACK's code in words.
pub fn connack_reason(version: Version, code: u8) -> &'static str {
    match (version, code) {
        (Version::V5, code) => v5_reason(code),
        (Version::V311, 0) => "accepted",
        (Version::V311, 1) => "unacceptable protocol version",
        (Version::V311, 2) => "client id rejected",
        (Version::V311, 3) => "server unavailable",
        (Version::V311, 4) => "bad user or password",
        (Version::V311, 5) => "not authorized",
        (Version::V311, _) => "unknown code",
    }
}

/// A reason code of version 5 in words.
pub fn v5_reason(code: u8) -> &'static str {
    match code {
        0x00 => "success",
        0x04 => "disconnected with will",
        0x10 => "no matching subscribers",
        0x80 => "unspecified error",
        0x81 => "malformed packet",
        0x82 => "protocol error",
        0x83 => "implementation specific error",
        0x84 => "unsupported protocol version",
        0x85 => "client id not valid",
        0x86 => "bad user or password",
        0x87 => "not authorized",
        0x88 => "server unavailable",
        0x89 => "server busy",
        0x8A => "banned",
        0x8B => "server shutting down",
        0x8C => "bad authentication method",
        0x8D => "keep alive timeout",
        0x8E => "session taken over by another connection of the same client id",
        0x8F => "topic filter invalid",
        0x90 => "topic name invalid",
        0x91 => "packet id in use",
        0x92 => "packet id not found",
        0x93 => "receive maximum exceeded",
        0x94 => "topic alias invalid",
        0x95 => "packet too large",
        0x96 => "message rate too high",
        0x97 => "quota exceeded",
        0x98 => "administrative action",
        0x99 => "payload format invalid",
        0x9A => "retain not supported",
        0x9B => "QoS not supported",
        0x9C => "use another server",
        0x9D => "server moved",
        0x9E => "shared subscriptions not supported",
        0x9F => "connection rate exceeded",
        0xA0 => "maximum connect time",
        0xA1 => "subscription ids not supported",
        0xA2 => "wildcard subscriptions not supported",
        _ => "unknown code",
    }
}

/// A CONNACK that the same CONNECT will get again, however often it is sent.
pub fn is_lasting(version: Version, code: u8) -> bool {
    match version {
        Version::V311 => matches!(code, 1 | 2 | 4 | 5),
        Version::V5 => matches!(code, 0x81 | 0x82 | 0x84..=0x87 | 0x8A | 0x8C | 0x90 | 0x95 | 0x99..=0x9D),
    }
}
