//! One connection of `anabranch/1` without a socket: [`Server`] and [`Client`] take bytes and outcomes (`handle_…`) and yield
//! what is to be done and sent (`poll_…`). `docs/quic.md` is the specification.
//!
//! What always holds: whatever the peer sends, memory is bounded by [`QuicLimits`], and a violation ends the connection with
//! the code and the text of a [`Fault`]. At a bound the core says that it wants no more bytes, so that QUIC's flow control
//! holds the peer back. Time is an argument.

mod body;
pub mod client;
mod inbox;
mod limits;
mod producer;
pub mod server;

#[cfg(test)]
mod tests;

pub use self::client::Client;
pub use self::server::Server;
pub use limits::QuicLimits;
pub use producer::producer_number;

use super::frame::{Code, FrameError};

/// Why the connection ends.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {text}")]
pub struct Fault {
    /// What the connection is closed with.
    pub code: Code,
    /// Its reason, for people.
    pub text: String,
}

impl Fault {
    /// A fault of this code.
    pub fn new(code: Code, text: impl Into<String>) -> Self {
        Self { code, text: text.into() }
    }

    fn protocol(text: impl Into<String>) -> Self {
        Self::new(Code::PROTOCOL, text)
    }
}

impl From<FrameError> for Fault {
    fn from(error: FrameError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}
