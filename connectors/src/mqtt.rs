//! MQTT 3.1, 3.1.1 and 5.0, as listener and as endpoint.
//!
//! What always holds: [`codec`] takes bytes and returns values; nothing in it knows a socket, a clock or a session.

pub mod codec;
