//! MQTT 3.1, 3.1.1 and 5.0, as listener and as endpoint.
//!
//! What always holds: [`codec`] and [`mapping`] take bytes and return values; they know no socket, no clock and no session.

pub mod codec;
pub mod access;
pub mod mapping;
pub mod sink;
pub mod tls;
pub mod transport;
