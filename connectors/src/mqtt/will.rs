//! The will: a message that is published for a client that goes without saying so (MQTT 5, section 3.1.2.5).

use std::sync::Arc;

use super::access::Identity;
use super::codec::{self, Publish, PublishProperties, Qos};

/// A will, out of its CONNECT.
#[derive(Clone, Debug, Default)]
pub struct Will {
    /// Whose it is.
    pub client_id: Arc<str>,
    /// Who that is.
    pub identity: Option<Arc<Identity>>,
    /// Its topic.
    pub topic: String,
    /// What it says.
    pub payload: Vec<u8>,
    /// 0, 1 or 2.
    pub qos: u8,
    /// It is retained.
    pub retain: bool,
    /// Seconds that the node waits for the client to come back.
    pub delay_s: u32,
    /// Its MQTT 5 properties as bytes, without the delay.
    pub properties: Vec<u8>,
}

impl Will {
    /// The will in a CONNECT.
    pub fn of(client_id: &Arc<str>, will: &codec::Will<'_>) -> Self {
        let mut properties = Vec::new();
        // They came in one packet, so they fit into one.
        let _ = will.properties.put(&mut properties);
        Self {
            client_id: client_id.clone(),
            identity: None,
            topic: will.topic.to_owned(),
            payload: will.payload.to_vec(),
            qos: will.qos as u8,
            retain: will.retain,
            delay_s: will.delay_s,
            properties,
        }
    }

    /// As if its client had published it.
    pub fn publish(&self) -> Publish<'_> {
        Publish {
            dup: false,
            qos: Qos::of(self.qos).unwrap_or(Qos::AtMostOnce),
            retain: self.retain,
            topic: &self.topic,
            packet_id: 0,
            // They were read once when the CONNECT was: they can be read again.
            properties: PublishProperties::read(&self.properties).unwrap_or_default(),
            payload: &self.payload,
        }
    }
}
