//! The topic of an event: a text with the device's id in it, written without allocation.

use std::str::FromStr;

/// Most bytes of a template: an id is little longer than its place, so what it makes is within MQTT's 65,535 bytes.
const TEMPLATE_BYTES_MAX: usize = 32_768;
const PLACE: &str = "{device_id}";

/// A topic, cut at its `{device_id}`s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic {
    /// The device's id stands between each two.
    pieces: Vec<Box<[u8]>>,
}

/// A text that cannot be a topic.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing.
    #[error("the topic is empty")]
    Empty,
    /// What only a filter may have.
    #[error("the topic `{0}` has a `+`, a `#` or a zero byte, which no message may be published to")]
    Wildcard(String),
    /// Too long.
    #[error("the topic has {0} bytes; at most {TEMPLATE_BYTES_MAX} are allowed")]
    TooLong(usize),
}

impl Default for Topic {
    /// `devices/{device_id}/messages/events`
    fn default() -> Self {
        Self { pieces: vec![Box::from(*b"devices/"), Box::from(*b"/messages/events")] }
    }
}

impl FromStr for Topic {
    type Err = TopicError;

    fn from_str(text: &str) -> Result<Self, TopicError> {
        match text {
            "" => Err(TopicError::Empty),
            _ if text.len() > TEMPLATE_BYTES_MAX => Err(TopicError::TooLong(text.len())),
            _ if text.contains(['+', '#', '\0']) => Err(TopicError::Wildcard(text.to_owned())),
            _ => Ok(Self { pieces: text.split(PLACE).map(|piece| Box::from(piece.as_bytes())).collect() }),
        }
    }
}

impl Topic {
    /// Appends the topic of a device.
    pub(super) fn write(&self, device: u32, out: &mut Vec<u8>) {
        for (n, piece) in self.pieces.iter().enumerate() {
            if n > 0 {
                write_device_id(device, out);
            }
            out.extend_from_slice(piece);
        }
    }
}

/// Appends what [`device_id`](crate::fleet::device_id) gives, without a `String`.
fn write_device_id(device: u32, out: &mut Vec<u8>) {
    let (mut id, mut rest) = (*b"dev-000000000", device);
    for digit in id[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    out.extend_from_slice(&id);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fleet::{DEVICES_MAX, device_id};

    #[test]
    fn a_template_takes_the_id_wherever_it_stands() {
        for device in [0, 7, 123_456_789, DEVICES_MAX - 1] {
            let id = device_id(device);
            for template in ["{device_id}", "a/b", "{device_id}/x/{device_id}", "devices/{device_id}/messages/events"] {
                let mut topic = Vec::new();
                template.parse::<Topic>().unwrap().write(device, &mut topic);
                assert_eq!(String::from_utf8(topic).unwrap(), template.replace(PLACE, &id));
            }
        }
        assert_eq!("devices/{device_id}/messages/events".parse(), Ok(Topic::default()));
    }

    #[test]
    fn what_a_broker_would_refuse_is_no_topic() {
        assert_eq!("".parse::<Topic>(), Err(TopicError::Empty));
        assert_eq!("a/#".parse::<Topic>(), Err(TopicError::Wildcard("a/#".to_owned())));
        assert_eq!("x".repeat(40_000).parse::<Topic>(), Err(TopicError::TooLong(40_000)));
    }
}
