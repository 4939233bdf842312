//! Settings of an endpoint of type `mqtt`.

use serde::{Deserialize, Serialize};

use super::template::Template;
use crate::config::Problem;

/// What is published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MqttFormat {
    /// The event's data; its properties are user properties.
    #[default]
    Data,
    /// The event as a structured CloudEvent.
    CloudEvents,
}

/// The table `[endpoints.NAME]` with `type = "mqtt"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MqttSinkConfig {
    /// The topic, with variables: `alerts/${device}/${subject}`.
    pub topic: String,
    /// Quality of service that subscribers get at most.
    #[serde(default = "qos")]
    pub qos: u8,
    /// Keep it as the topic's retained message.
    #[serde(default)]
    pub retain: bool,
    /// `data` or `cloudevents`.
    #[serde(default)]
    pub format: MqttFormat,
    /// Seconds until what is published expires. Without it the rest of what the event had, if it was published with an expiry.
    #[serde(default)]
    pub expiry_s: Option<u32>,
    /// Where answers go, with variables. Without it as the event says.
    #[serde(default)]
    pub response_topic: Option<String>,
    /// How often one event is published again, through all endpoints of this type together.
    #[serde(default = "hops_max")]
    pub hops_max: u8,
}

fn qos() -> u8 {
    1
}

fn hops_max() -> u8 {
    1
}

impl MqttSinkConfig {
    /// All that is wrong with the values, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut template = |field, text: &str| {
            if let Err(error) = Template::parse(text) {
                found.push(Problem { field, message: format!("`{text}` {error}"), help: error.help() });
            }
        };
        template("topic", &self.topic);
        if let Some(text) = &self.response_topic {
            template("response_topic", text);
        }
        if self.qos > 2 {
            let message = format!("there is no QoS {}", self.qos);
            found.push(Problem { field: "qos", message, help: "use 0, 1 or 2".to_owned() });
        }
        if !(1..=16).contains(&self.hops_max) {
            let message = format!("`hops_max` is {}", self.hops_max);
            let help = "use a number from 1 to 16: 1 publishes no event again that was published again".to_owned();
            found.push(Problem { field: "hops_max", message, help });
        }
        found
    }
}
