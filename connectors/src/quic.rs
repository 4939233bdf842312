//! QUIC: the front door for consumers and gateways (`anabranch/1`, specified in `docs/quic.md`), and for devices that speak MQTT over it.
//!
//! | part | what it is |
//! |---|---|
//! | [`frame`] | the frames of `anabranch/1` as bytes |
//! | [`session`] | both sides of a connection, without a socket |
//! | [`endpoint`] | one UDP socket and one quinn endpoint per core: who is let in, and what a connection may cost |
//! | [`steer`] | connection ids that carry a core's number, and the way of a datagram that came to another core's socket |
//! | [`tls`] | certificates, resumption and 0-RTT of the listener, and whom a client trusts |
//! | [`secret`] | the keys that outlive a restart |
//! | [`source`] | the listener of a core: between streams, session cores and the log |
//! | [`client`] | a client of it for Rust programs: `Subscriber` and `Publisher` |
//! | [`config`] | its settings |

pub mod client;
pub mod config;
pub mod endpoint;
pub mod frame;
mod private_file;
pub mod secret;
pub mod session;
pub mod source;
pub mod steer;
#[cfg(test)]
pub(crate) mod testing;
pub mod tls;

pub use config::QuicConfig;
