//! MQTT 3.1, 3.1.1 and 5.0: the front door for devices, as listener and as endpoint.
//!
//! Every message becomes an event of the log, and every subscription is fed from the log: at once while it keeps up, by its
//! position when it is behind or away.
//!
//! | part | what it is |
//! |---|---|
//! | [`codec`] | packets as bytes; pure |
//! | [`access`] | who may connect, and do what |
//! | [`mapping`] | messages to events and back |
//! | [`session`], [`registry`], [`retained`], [`topics`] | what the standard calls session state |
//! | [`broker`] | one core's connections, sessions and subscriptions; bytes and ticks in, bytes and effects out |
//! | [`store`] | what outlives the process beside the log |
//! | [`node`], [`mail`] | what the cores share, and what they say to each other |
//! | [`transport`], [`tls`], [`source`] | sockets, timers, tasks |
//! | [`sink`] | the endpoint type `mqtt` |

pub mod access;
pub mod broker;
pub mod codec;
pub mod config;
pub mod connection;
pub mod limits;
pub mod mail;
pub mod mapping;
pub mod node;
pub mod registry;
pub mod retained;
pub mod session;
pub mod sink;
pub mod source;
pub mod stats;
pub mod store;
pub mod topics;
pub mod transport;
pub mod will;

pub use crate::tls;
pub use config::MqttConfig;
