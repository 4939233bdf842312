//! Our MQTT broker against the statements of MQTT 3.1.1 and 5.0 that begin with MUST, tried with bytes written by hand.
//!
//! A test's name begins with the clause it tries (`c3_1_2_4` is [MQTT-3.1.2-4]; of 5.0 unless it says `v311`), and its comment names
//! the others. Where the standards leave a choice, `docs/mqtt.md` says which is ours.

pub mod answer;
pub mod client;
pub mod packet;

mod allowed;
mod connect;
mod disconnect;
mod flow;
mod keep_alive;
mod kills;
mod limits;
mod malformed;
mod matching;
mod order;
mod properties;
mod publish;
mod redelivery;
mod refused;
mod retained;
mod session;
mod shared;
mod slow;
mod subscribe;
mod subscription;
mod aliases;
mod expiry;
mod versions;
mod websocket;
mod will;
