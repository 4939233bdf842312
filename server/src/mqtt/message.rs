//! A message that came, kept beyond the buffer it came in.

use connectors::mqtt::codec::{Publish, Qos};

/// A message from the broker.
#[derive(Clone, Debug)]
pub(super) struct Message {
    pub topic: String,
    pub qos: Qos,
    pub retain: bool,
    /// 0 at QoS 0.
    pub packet_id: u16,
    pub payload: Vec<u8>,
    pub properties: Properties,
}

/// Its properties.
#[derive(Clone, Debug, Default)]
pub(super) struct Properties {
    pub payload_format: Option<u8>,
    pub expiry_s: Option<u32>,
    pub content_type: Option<String>,
    pub response_topic: Option<String>,
    pub correlation: Option<Vec<u8>>,
    pub user: Vec<(String, String)>,
}

impl Message {
    pub fn new(publish: &Publish<'_>) -> Self {
        let properties = &publish.properties;
        Self {
            topic: publish.topic.to_owned(),
            qos: publish.qos,
            retain: publish.retain,
            packet_id: publish.packet_id,
            payload: publish.payload.to_owned(),
            properties: Properties {
                payload_format: properties.payload_format,
                expiry_s: properties.expiry_s,
                content_type: properties.content_type.map(str::to_owned),
                response_topic: properties.response_topic.map(str::to_owned),
                correlation: properties.correlation.map(<[u8]>::to_owned),
                user: properties.user.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            },
        }
    }
}
