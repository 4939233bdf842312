//! Why a PUBLISH cannot be an event, with the reason code that says so to the client.

use engine::limits;

use crate::cloudevents::{AttributeError, DecodeError};
use crate::mqtt::codec::Reason;

/// Why a PUBLISH is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// A batch of CloudEvents: the MQTT binding has none.
    #[error("a batch of CloudEvents cannot be published over MQTT: publish each event on its own")]
    Batch,
    /// An event format that is not JSON.
    #[error("the event format of '{0}' is not understood: use application/cloudevents+json")]
    Format(String),
    /// The payload is no structured CloudEvent, though the content type says so.
    #[error("the payload is no CloudEvent: {0}")]
    Structured(#[from] DecodeError),
    /// The user properties are no CloudEvent, though the required attributes are there.
    #[error("the user properties are no CloudEvent: {0}")]
    Binary(#[from] AttributeError),
    /// More user properties than an event can have.
    #[error("more than {} attributes and user properties", limits::EVENT_HEADERS_MAX)]
    TooManyProperties,
    /// The event would be larger than the log takes.
    #[error("the event would have {bytes} bytes, more than {}", limits::EVENT_BYTES_MAX)]
    TooLarge {
        /// Its size with all that is kept of the PUBLISH.
        bytes: usize,
    },
    /// The client's name is longer than a partition key.
    #[error("the client's name has {0} bytes, more than {max}", max = limits::KEY_BYTES_MAX)]
    KeyTooLong(usize),
    /// A device publishes under the name of another.
    #[error("a device may publish under its own id only, not as '{0}'")]
    NotOwn(String),
    /// A property that only the node stamps.
    #[error("'{0}' is stamped by the node and cannot be sent")]
    Stamped(&'static str),
    /// The property bag in the topic cannot be read.
    #[error("'{0}' in the topic is not percent-encoded UTF-8")]
    PropertyBag(String),
}

impl MappingError {
    /// The reason code of the answer.
    pub fn reason(&self) -> Reason {
        match self {
            Self::Batch | Self::Format(_) | Self::Structured(_) | Self::Binary(_) => Reason::PayloadFormatInvalid,
            Self::TooManyProperties | Self::KeyTooLong(_) => Reason::QuotaExceeded,
            Self::TooLarge { .. } => Reason::PacketTooLarge,
            Self::NotOwn(_) | Self::Stamped(_) => Reason::NotAuthorized,
            Self::PropertyBag(_) => Reason::TopicNameInvalid,
        }
    }
}
