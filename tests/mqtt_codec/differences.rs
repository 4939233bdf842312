//! Where another codec is more lenient or stricter than the standards, and ours is not: each with the clause.

use connectors::mqtt::codec::{Packet, Version};

/// Why `peer` may accept what we refuse with this text.
pub fn accepts(_peer: &str, _version: Version, _detail: &str) -> Option<&'static str> {
    None
}

/// Why `peer` may refuse what we accept.
pub fn refuses(_peer: &str, _version: Version, _bytes: &[u8], _packet: &Packet<'_>) -> Option<&'static str> {
    None
}

/// Why `peer` may read something else.
pub fn reads(_peer: &str, _version: Version, _packet: &Packet<'_>) -> Option<&'static str> {
    None
}
