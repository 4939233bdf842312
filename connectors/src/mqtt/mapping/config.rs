//! The settings of the mapping, as they stand in `[listeners.mqtt.mapping]`.

use serde::{Deserialize, Serialize};

use super::enrich;
use crate::config::Problem;

/// What becomes of a payload that says little about itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PayloadMode {
    /// Bytes without a content type stay without one: they are read as JSON if they are JSON.
    #[default]
    Auto,
    /// As Event Grid's broker: bytes without content type and payload format are `application/octet-stream`; what is said to be
    /// JSON or text and is no JSON becomes a JSON string.
    EventGrid,
}

/// One attribute that is added to every event that was published.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrichmentConfig {
    /// Name of the attribute: 1 to 20 lower-case letters and digits.
    pub key: String,
    /// A fixed text, or where its value comes from: `${client.authenticationName}`, `${client.attributes.NAME}`,
    /// `${mqtt.message.userProperties.NAME}` or `['NAME']`, `${mqtt.message.topicName}`, `.responseTopic`, `.correlationData`, `.pfi`.
    pub value: String,
}

/// How what is published becomes events.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MappingConfig {
    /// `auto` or `eventgrid`.
    pub payload: PayloadMode,
    /// A payload of MQTT 3.1 and 3.1.1 that is a structured CloudEvent is taken as one; anything else stays data.
    pub structured_311: bool,
    /// Topics of IoT Hub become telemetry.
    pub iothub: bool,
    /// Attributes to add.
    pub enrichments: Vec<EnrichmentConfig>,
}

impl MappingConfig {
    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        enrich::problems(&self.enrichments)
    }
}
