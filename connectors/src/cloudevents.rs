//! CloudEvents 1.0 as bytes: decoding the three HTTP modes into rows, encoding rows as structured JSON. No socket, no clock.
//!
//! Sources: CloudEvents 1.0 core, JSON format, HTTP protocol binding (sheet `eventgrid-eventhubs-servicebus.md` 7). How an event is
//! stored is `engine::event`'s. The partition key is the extension `partitionkey`, else the `subject`, else the `source`.
//! `docs/cloudevents.md` says how application properties travel.

mod attributes;
mod binary;
mod decode;
mod encode;
mod text;

#[cfg(test)]
mod tests;

pub use attributes::{AttributeError, check_name, check_value};
pub(crate) use attributes::{is_json_type, is_media_type};
pub use binary::{BinaryError, decode_binary};
pub use decode::{DecodeError, Decoder};
pub use encode::{PROPERTIES_EXTENSION, write_structured};
pub use text::write_json_string;
