//! MQTT packets as bytes, written and read by hand for the conformance tests.
//!
//! What always holds: nothing here knows our codec, so that an error of that one is no error of both; what is built can be wrong on
//! purpose, and what is read is checked strictly, since it comes from the broker under test.

/// A CONNECT's level of 3.1.
pub const V3: u8 = 3;
/// A CONNECT's level of 3.1.1.
pub const V4: u8 = 4;
/// A CONNECT's level of 5.0.
pub const V5: u8 = 5;

/// Identifiers of properties.
pub mod id {
    pub const PAYLOAD_FORMAT: u8 = 0x01;
    pub const MESSAGE_EXPIRY: u8 = 0x02;
    pub const CONTENT_TYPE: u8 = 0x03;
    pub const RESPONSE_TOPIC: u8 = 0x08;
    pub const CORRELATION: u8 = 0x09;
    pub const SUBSCRIPTION: u8 = 0x0B;
    pub const SESSION_EXPIRY: u8 = 0x11;
    pub const ASSIGNED_CLIENT: u8 = 0x12;
    pub const SERVER_KEEP_ALIVE: u8 = 0x13;
    pub const AUTH_METHOD: u8 = 0x15;
    pub const AUTH_DATA: u8 = 0x16;
    pub const PROBLEM_INFORMATION: u8 = 0x17;
    pub const WILL_DELAY: u8 = 0x18;
    pub const RESPONSE_REQUEST: u8 = 0x19;
    pub const RESPONSE_INFORMATION: u8 = 0x1A;
    pub const REASON: u8 = 0x1F;
    pub const RECEIVE_MAX: u8 = 0x21;
    pub const ALIAS_MAX: u8 = 0x22;
    pub const ALIAS: u8 = 0x23;
    pub const QOS_MAX: u8 = 0x24;
    pub const RETAIN_AVAILABLE: u8 = 0x25;
    pub const USER: u8 = 0x26;
    pub const PACKET_BYTES_MAX: u8 = 0x27;
    pub const WILDCARD_AVAILABLE: u8 = 0x28;
    pub const IDS_AVAILABLE: u8 = 0x29;
    pub const SHARED_AVAILABLE: u8 = 0x2A;
}

/// A number as a variable byte integer.
pub fn varint(mut number: usize) -> Vec<u8> {
    let mut out = Vec::new();
    loop {
        let low = (number % 128) as u8;
        number /= 128;
        if number == 0 {
            out.push(low);
            return out;
        }
        out.push(low | 0x80);
    }
}

/// Bytes behind their length in two bytes.
pub fn binary(bytes: impl AsRef<[u8]>) -> Vec<u8> {
    let bytes = bytes.as_ref();
    let mut out = (bytes.len() as u16).to_be_bytes().to_vec();
    out.extend_from_slice(bytes);
    out
}

/// A packet of a first byte and the parts of its body.
pub fn packet(first: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let mut out = vec![first];
    out.extend(varint(body.len()));
    out.extend(body);
    out
}

/// A list of properties, in the order they were added.
#[derive(Clone, Default)]
pub struct Props(pub Vec<u8>);

/// None yet.
pub fn props() -> Props {
    Props::default()
}

impl Props {
    fn add(mut self, id: u8, value: &[u8]) -> Self {
        self.0.push(id);
        self.0.extend_from_slice(value);
        self
    }

    pub fn byte(self, id: u8, value: u8) -> Self {
        self.add(id, &[value])
    }

    pub fn two(self, id: u8, value: u16) -> Self {
        self.add(id, &value.to_be_bytes())
    }

    pub fn four(self, id: u8, value: u32) -> Self {
        self.add(id, &value.to_be_bytes())
    }

    pub fn varint(self, id: u8, value: usize) -> Self {
        self.add(id, &varint(value))
    }

    pub fn text(self, id: u8, value: impl AsRef<[u8]>) -> Self {
        self.add(id, &binary(value))
    }

    pub fn pair(self, name: &str, value: &str) -> Self {
        self.add(id::USER, &[binary(name), binary(value)].concat())
    }

    /// With the length before it.
    pub fn bytes(&self) -> Vec<u8> {
        [varint(self.0.len()), self.0.clone()].concat()
    }

    /// With the length before it in 5, nothing before 5.
    pub fn of(&self, version: u8) -> Vec<u8> {
        if version == V5 { self.bytes() } else { Vec::new() }
    }
}

/// The will of a CONNECT.
#[derive(Clone)]
pub struct Will {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub props: Props,
}

impl Will {
    pub fn new(topic: &str, payload: &str) -> Self {
        Self { topic: topic.to_owned(), payload: payload.into(), qos: 0, retain: false, props: props() }
    }
}

/// A CONNECT.
#[derive(Clone)]
pub struct Connect {
    pub version: u8,
    pub client_id: Vec<u8>,
    pub clean: bool,
    pub keep_alive_s: u16,
    pub props: Props,
    pub will: Option<Will>,
    pub username: Option<String>,
    pub password: Option<Vec<u8>>,
    /// Flags as well as those that follow from the rest.
    pub flags: u8,
}

impl Connect {
    /// Of a version, with a clean start.
    pub fn new(version: u8, client_id: &str) -> Self {
        Self {
            version,
            client_id: client_id.into(),
            clean: true,
            keep_alive_s: 0,
            props: props(),
            will: None,
            username: None,
            password: None,
            flags: 0,
        }
    }

    /// Takes up the session that is there.
    pub fn resume(mut self) -> Self {
        self.clean = false;
        self
    }

    pub fn props(mut self, props: Props) -> Self {
        self.props = props;
        self
    }

    pub fn will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    pub fn keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive_s = seconds;
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut flags = self.flags | (u8::from(self.clean) << 1);
        let mut payload = binary(&self.client_id);
        if let Some(will) = &self.will {
            flags |= 4 | (will.qos << 3) | (u8::from(will.retain) << 5);
            payload.extend(will.props.of(self.version));
            payload.extend([binary(&will.topic), binary(&will.payload)].concat());
        }
        if let Some(username) = &self.username {
            flags |= 0x80;
            payload.extend(binary(username));
        }
        if let Some(password) = &self.password {
            flags |= 0x40;
            payload.extend(binary(password));
        }
        let name = binary(if self.version == V3 { "MQIsdp" } else { "MQTT" });
        let fixed = [self.version, flags];
        packet(0x10, &[&name, &fixed, &self.keep_alive_s.to_be_bytes(), &self.props.of(self.version), &payload])
    }
}

/// A PUBLISH to send.
#[derive(Clone)]
pub struct Publish {
    pub topic: String,
    pub payload: Vec<u8>,
    pub qos: u8,
    pub retain: bool,
    pub dup: bool,
    pub id: u16,
    pub props: Props,
}

impl Publish {
    /// At QoS 0. `id` stays 0 for the client to choose.
    pub fn new(topic: &str, payload: impl AsRef<[u8]>) -> Self {
        let payload = payload.as_ref().to_vec();
        Self { topic: topic.to_owned(), payload, qos: 0, retain: false, dup: false, id: 0, props: props() }
    }

    pub fn qos(mut self, qos: u8) -> Self {
        self.qos = qos;
        self
    }

    pub fn id(mut self, id: u16) -> Self {
        self.id = id;
        self
    }

    pub fn retain(mut self) -> Self {
        self.retain = true;
        self
    }

    pub fn dup(mut self) -> Self {
        self.dup = true;
        self
    }

    pub fn props(mut self, props: Props) -> Self {
        self.props = props;
        self
    }

    pub fn bytes(&self, version: u8) -> Vec<u8> {
        let first = 0x30 | (u8::from(self.dup) << 3) | (self.qos << 1) | u8::from(self.retain);
        let id = if self.qos > 0 { self.id.to_be_bytes().to_vec() } else { Vec::new() };
        packet(first, &[&binary(&self.topic), &id, &self.props.of(version), &self.payload])
    }
}

/// A SUBSCRIBE of filters with their options.
pub fn subscribe(version: u8, id: u16, props: &Props, filters: &[(&str, u8)]) -> Vec<u8> {
    let mut body = [id.to_be_bytes().to_vec(), props.of(version)].concat();
    for (filter, options) in filters {
        body.extend(binary(filter));
        body.push(*options);
    }
    packet(0x82, &[&body])
}

/// An UNSUBSCRIBE of filters.
pub fn unsubscribe(version: u8, id: u16, filters: &[&str]) -> Vec<u8> {
    let mut body = [id.to_be_bytes().to_vec(), props().of(version)].concat();
    for filter in filters {
        body.extend(binary(filter));
    }
    packet(0xA2, &[&body])
}

/// PUBACK, PUBREC, PUBREL or PUBCOMP, in their short form.
pub fn receipt(first: u8, id: u16) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes()])
}

/// The same with a reason code.
pub fn receipt_with(first: u8, id: u16, code: u8) -> Vec<u8> {
    packet(first, &[&id.to_be_bytes(), &[code]])
}

/// A DISCONNECT of 5 with a reason code and properties.
pub fn disconnect(code: u8, props: &Props) -> Vec<u8> {
    packet(0xE0, &[&[code], &props.bytes()])
}

pub const PUBACK: u8 = 0x40;
pub const PUBREC: u8 = 0x50;
pub const PUBREL: u8 = 0x62;
pub const PUBCOMP: u8 = 0x70;
pub const PINGREQ: [u8; 2] = [0xC0, 0];
/// A DISCONNECT without more, in all versions.
pub const DISCONNECT: [u8; 2] = [0xE0, 0];
