//! What a broker sends, taken apart by hand: any bit that the standards do not allow is a failed test.

use super::packet::{V5, id};

/// A property's value.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Number(u32),
    Bytes(Vec<u8>),
    Pair(String, String),
}

/// Properties in the order they came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Properties(pub Vec<(u8, Value)>);

impl Properties {
    /// A number that may be there once.
    pub fn number(&self, id: u8) -> Option<u32> {
        match self.one(id)? {
            Value::Number(number) => Some(*number),
            other => panic!("property {id:#x} is {other:?}"),
        }
    }

    /// Bytes or text that may be there once.
    pub fn bytes(&self, id: u8) -> Option<&[u8]> {
        match self.one(id)? {
            Value::Bytes(bytes) => Some(bytes),
            other => panic!("property {id:#x} is {other:?}"),
        }
    }

    /// Text that may be there once.
    pub fn text(&self, id: u8) -> Option<&str> {
        self.bytes(id).map(|bytes| std::str::from_utf8(bytes).expect("text is UTF-8"))
    }

    /// User properties.
    pub fn pairs(&self) -> Vec<(&str, &str)> {
        self.0
            .iter()
            .filter_map(|(_, value)| match value {
                Value::Pair(name, value) => Some((name.as_str(), value.as_str())),
                _ => None,
            })
            .collect()
    }

    /// Subscription identifiers, in order of number: the standard gives them none.
    pub fn subscriptions(&self) -> Vec<u32> {
        let mut ids: Vec<u32> =
            self.0.iter().filter(|(found, _)| *found == id::SUBSCRIPTION).map(|(_, value)| number(value)).collect();
        ids.sort_unstable();
        ids
    }

    fn one(&self, id: u8) -> Option<&Value> {
        let mut all = self.0.iter().filter(|(found, _)| *found == id).map(|(_, value)| value);
        let first = all.next();
        assert!(all.next().is_none(), "property {id:#x} is there twice");
        first
    }
}

fn number(value: &Value) -> u32 {
    match value {
        Value::Number(number) => *number,
        other => panic!("{other:?} is no number"),
    }
}

/// A PUBLISH as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    pub dup: bool,
    pub qos: u8,
    pub retain: bool,
    pub topic: String,
    pub id: u16,
    pub props: Properties,
    pub payload: Vec<u8>,
}

impl Message {
    /// The payload as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).expect("the test published text")
    }
}

/// A CONNACK.
#[derive(Clone, Debug, PartialEq)]
pub struct ConnAck {
    pub present: bool,
    pub code: u8,
    pub props: Properties,
}

/// What a broker may send.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    ConnAck(ConnAck),
    Publish(Message),
    /// PUBACK, PUBREC, PUBREL or PUBCOMP by its first byte.
    Receipt {
        first: u8,
        id: u16,
        code: u8,
        props: Properties,
    },
    SubAck {
        id: u16,
        codes: Vec<u8>,
        props: Properties,
    },
    UnsubAck {
        id: u16,
        codes: Vec<u8>,
        props: Properties,
    },
    PingResp,
    Disconnect {
        code: u8,
        props: Properties,
    },
    Auth {
        code: u8,
        props: Properties,
    },
}

/// Bytes that are read from the front.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        assert!(self.0.len() >= count, "a packet from the broker ends too early");
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn byte(&mut self) -> u8 {
        self.take(1)[0]
    }

    fn two(&mut self) -> u16 {
        u16::from_be_bytes(self.take(2).try_into().expect("two bytes"))
    }

    fn four(&mut self) -> u32 {
        u32::from_be_bytes(self.take(4).try_into().expect("four bytes"))
    }

    fn varint(&mut self) -> u32 {
        let mut number = 0;
        for place in 0..4 {
            let byte = self.byte();
            number |= u32::from(byte & 0x7F) << (7 * place);
            if byte < 0x80 {
                assert!(place == 0 || byte != 0, "[MQTT-1.5.5-1] a number longer than it needs to be");
                return number;
            }
        }
        panic!("a variable byte integer of five bytes");
    }

    fn binary(&mut self) -> Vec<u8> {
        let length = self.two();
        self.take(length.into()).to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.binary()).expect("[MQTT-1.5.4-1] text is UTF-8")
    }

    fn properties(&mut self, version: u8) -> Properties {
        if version < V5 {
            return Properties::default();
        }
        let length = self.varint();
        let mut list = Bytes(self.take(length as usize));
        let mut found = Vec::new();
        while !list.0.is_empty() {
            let id = list.byte();
            let value = match id {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28..=0x2A => Value::Number(list.byte().into()),
                0x13 | 0x21..=0x23 => Value::Number(list.two().into()),
                0x02 | 0x11 | 0x18 | 0x27 => Value::Number(list.four()),
                0x0B => Value::Number(list.varint()),
                0x09 | 0x16 => Value::Bytes(list.binary()),
                0x03 | 0x08 | 0x12 | 0x15 | 0x1A | 0x1C | 0x1F => Value::Bytes(list.text().into_bytes()),
                0x26 => Value::Pair(list.text(), list.text()),
                other => panic!("property {other:#x} does not exist"),
            };
            found.push((id, value));
        }
        Properties(found)
    }

    /// Reason code and properties as PUBACK, DISCONNECT and AUTH have them: both may be left out.
    fn reason(&mut self, version: u8) -> (u8, Properties) {
        assert!(version == V5 || self.0.is_empty(), "a reason code before 5");
        if self.0.is_empty() {
            return (0, Properties::default());
        }
        let code = self.byte();
        let props = if self.0.is_empty() { Properties::default() } else { self.properties(version) };
        (code, props)
    }
}

/// A packet of its first byte and its body.
pub fn read(version: u8, first: u8, body: &[u8]) -> Answer {
    let mut bytes = Bytes(body);
    let flags = first & 0x0F;
    let answer = match first >> 4 {
        2 => {
            let (present, code) = (bytes.byte(), bytes.byte());
            assert!(present <= 1, "[MQTT-3.2.2-1] reserved flags of CONNACK");
            // A server that does not know the version of the client may answer in its own.
            let props = if bytes.0.is_empty() { Properties::default() } else { bytes.properties(version) };
            Answer::ConnAck(ConnAck { present: present == 1, code, props })
        }
        3 => {
            let (dup, qos, retain) = (flags & 8 != 0, (flags >> 1) & 3, flags & 1 != 0);
            assert!(qos < 3, "[MQTT-3.3.1-4] QoS 3");
            assert!(qos > 0 || !dup, "[MQTT-3.3.1-2] DUP at QoS 0");
            let topic = bytes.text();
            let id = if qos > 0 { bytes.two() } else { 0 };
            assert!(qos == 0 || id > 0, "[MQTT-2.2.1-4] packet identifier 0");
            let props = bytes.properties(version);
            let payload = bytes.take(bytes.0.len()).to_vec();
            Answer::Publish(Message { dup, qos, retain, topic, id, props, payload })
        }
        4..=7 => {
            let id = bytes.two();
            let (code, props) = bytes.reason(version);
            Answer::Receipt { first, id, code, props }
        }
        9 => {
            let (id, props) = (bytes.two(), bytes.properties(version));
            Answer::SubAck { id, props, codes: bytes.take(bytes.0.len()).to_vec() }
        }
        11 => {
            let (id, props) = (bytes.two(), bytes.properties(version));
            Answer::UnsubAck { id, props, codes: bytes.take(bytes.0.len()).to_vec() }
        }
        13 => Answer::PingResp,
        14 => {
            assert_eq!(version, V5, "a DISCONNECT from a broker before 5");
            let (code, props) = bytes.reason(version);
            assert!(props.number(id::SESSION_EXPIRY).is_none(), "[MQTT-3.14.2-2] session expiry from the server");
            Answer::Disconnect { code, props }
        }
        15 => {
            let (code, props) = bytes.reason(version);
            Answer::Auth { code, props }
        }
        other => panic!("a packet of type {other} from a broker"),
    };
    let wanted = match first >> 4 {
        3 => flags,
        6 => 2,
        _ => 0,
    };
    assert_eq!(flags, wanted, "[MQTT-2.1.3-1] reserved flags of {answer:?}");
    assert!(bytes.0.is_empty(), "bytes behind {answer:?}");
    answer
}
