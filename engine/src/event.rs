//! The event: a CloudEvents 1.0 event as one Kafka record, and the words its headers are written in.
//!
//! | part | where | source |
//! |---|---|---|
//! | data | record value (null: no data) | CloudEvents Kafka binding, binary mode |
//! | `datacontenttype` | header `content-type` | same |
//! | any other attribute or extension `x` | header `ce_x` | same |
//! | partition key, by default the device id | record key | |
//! | system property of the IoT Hub profile | header with its Event Hubs name (`message-id`, `iothub-…`) | sheet `iothub-and-twins.md` 1.2 |
//! | what a publish over MQTT had beside topic, payload and user properties | header `mqtt`, bytes | ours |
//! | application property `n` | header `n`; `app:n` where `n` would be read as one of the above | ours |
//!
//! What a producer leaves out has one meaning for filters and endpoints alike: `specversion` is `1.0`, `id` is
//! `{partition}-{offset}`, `source` is [`DEFAULT_SOURCE`], `type` is [`DEFAULT_TYPE`], `time` is the time of acceptance, and
//! data without a content type is JSON in UTF-8, unless the event came by the IoT Hub profile, where no content type means none, or
//! by MQTT, where it is JSON if it reads as JSON and else bytes of no known type.

mod source;
mod view;
mod vocabulary;

#[cfg(test)]
mod tests;

pub use source::Source;
pub use view::{Event, Headers, Property};
pub use vocabulary::{
    APP_PREFIX, CE_PREFIX, CONTENT_ENCODING, CONTENT_TYPE, DEFAULT_SOURCE, DEFAULT_TYPE, DEVICE_ID, MESSAGE_SOURCE,
    MQTT, SystemProperty, is_reserved, put_attribute, put_property,
};
