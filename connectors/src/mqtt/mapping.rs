//! PUBLISH to event and back: bytes and values in, bytes and values out. No socket, no clock, no log line.
//!
//! | a PUBLISH | becomes |
//! |---|---|
//! | of MQTT 5 whose content type begins with `application/cloudevents` | the CloudEvent that its payload is |
//! | of MQTT 5 with the user properties `id`, `source`, `specversion`, `type` | the CloudEvent of those properties |
//! | to `devices/{d}/messages/events/…`, with the IoT Hub profile | telemetry as IoT Hub's HTTP path stores it |
//! | any other | `MQTT.EventPublished` with the topic as `subject` (sheet `eventgrid-eventhubs-servicebus.md` 4.6) |
//!
//! What always holds: [`message`] gives topic, payload, QoS, RETAIN and properties of the PUBLISH as they were sent, user
//! properties in order and with repeats; what the events' common form cannot hold is in the header `mqtt` (`stored`). The key is
//! the client's authentication name, or its client id without one. An ordinary PUBLISH allocates nothing.

mod config;
mod enrich;
mod error;
mod events;
pub mod iothub;
pub mod lifecycle;
mod mapper;
mod message;
mod stored;

#[cfg(test)]
mod tests;

pub use config::{EnrichmentConfig, MappingConfig, PayloadMode};
pub use error::MappingError;
pub use mapper::{Mapped, Mapper, Publisher, Room};
pub use message::{Message, message};
pub use stored::Stored;

/// `type` of an event that was mapped from a PUBLISH.
pub const EVENT_TYPE: &str = "MQTT.EventPublished";
