//! What every connector's configuration says about itself: its problems, found without opening anything.

use engine::mesh::AckLevel;
use serde::{Deserialize, Deserializer};

/// One thing that is wrong in a connector's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The key it is about, as written in the file.
    pub field: &'static str,
    /// What is wrong.
    pub message: String,
    /// The way out.
    pub help: String,
}

/// Reads an ack level by its name.
pub(crate) fn ack_level<'de, D: Deserializer<'de>>(deserializer: D) -> Result<AckLevel, D::Error> {
    let name = String::deserialize(deserializer)?;
    AckLevel::by_name(&name).ok_or_else(|| {
        serde::de::Error::custom(format_args!("unknown ack level '{name}': use \"memory\", \"written\" or \"synced\""))
    })
}
