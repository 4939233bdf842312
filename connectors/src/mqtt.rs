//! MQTT 3.1, 3.1.1 and 5.0, both directions.

pub mod access;
pub mod tls;
pub mod transport;
