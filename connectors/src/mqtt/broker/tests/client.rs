//! A client that is played by a test: it writes packets with the codec, and reads what it gets into owned values.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Wake;

use crate::mqtt::codec::{
    self, Connect, ConnectProperties, Packet, Publish, PublishProperties, Qos, Reason, Receipt, ReceiptKind, Side,
    SubscribeOptions, UserProperties, Version, Will, frame,
};
use crate::mqtt::registry::Place;

/// Says whether it was woken.
#[derive(Debug, Default)]
pub struct Flag(AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Flag {
    pub fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }

    pub fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// What a client was sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Got {
    ConnAck { present: bool, reason: Reason },
    Publish(Message),
    Receipt(ReceiptKind, u16, Reason),
    SubAck(u16, Vec<Reason>),
    UnsubAck(u16, Vec<Reason>),
    PingResp,
    Disconnect(Reason),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    pub topic: String,
    pub payload: String,
    pub qos: Qos,
    pub retain: bool,
    pub dup: bool,
    pub packet_id: u16,
    pub ids: Vec<u32>,
    /// The topic came as an alias alone.
    pub is_aliased: bool,
}

/// A client and its end of the connection.
pub struct Script {
    pub core: usize,
    pub place: Place,
    pub version: Version,
    pub flag: Arc<Flag>,
    /// Written, not read by the node.
    pub unread: Vec<u8>,
    /// Bytes of a packet that has not come whole.
    partial: Vec<u8>,
    /// Everything it was sent and has not looked at.
    pub got: VecDeque<Got>,
    /// The node has let go of the connection.
    pub is_closed: bool,
    /// Bytes that its socket takes yet.
    pub takes: usize,
    /// It answers what is to be answered.
    pub answers: bool,
    /// Messages of QoS 2 that were received and not released.
    received: Vec<u16>,
    aliases: HashMap<u16, String>,
}

impl Script {
    pub fn new(core: usize, place: Place) -> Self {
        Self {
            core,
            place,
            version: Version::V5,
            flag: Arc::default(),
            unread: Vec::new(),
            partial: Vec::new(),
            got: VecDeque::new(),
            is_closed: false,
            takes: usize::MAX,
            answers: true,
            received: Vec::new(),
            aliases: HashMap::new(),
        }
    }

    pub fn connect(&mut self, connect: &Connect<'_>) {
        self.version = connect.version;
        assert!(codec::write_connect(&mut self.unread, connect));
    }

    pub fn packet(&mut self, packet: &Packet<'_>) {
        assert!(codec::write(&mut self.unread, self.version, packet), "{packet:?} cannot be written");
    }

    pub fn receipt(&mut self, kind: ReceiptKind, packet_id: u16) {
        codec::write_receipt(&mut self.unread, self.version, kind, &Receipt::new(packet_id, Reason::Success));
    }

    pub fn publish(&mut self, topic: &str, payload: &str, qos: u8, packet_id: u16) {
        self.packet(&Packet::Publish(message(topic, payload, qos, packet_id)));
    }

    pub fn subscribe(&mut self, packet_id: u16, filters: &[(&str, u8)]) {
        let filters = filters.iter().map(|(filter, qos)| (*filter, options(*qos)));
        assert!(codec::write_subscribe(
            &mut self.unread,
            self.version,
            packet_id,
            None,
            UserProperties::default(),
            filters
        ));
    }

    pub fn subscribe_with(&mut self, packet_id: u16, id: Option<u32>, filter: &str, options: SubscribeOptions) {
        let filters = [(filter, options)];
        assert!(codec::write_subscribe(
            &mut self.unread,
            self.version,
            packet_id,
            id,
            UserProperties::default(),
            filters
        ));
    }

    pub fn unsubscribe(&mut self, packet_id: u16, filter: &str) {
        assert!(codec::write_unsubscribe(
            &mut self.unread,
            self.version,
            packet_id,
            UserProperties::default(),
            [filter]
        ));
    }

    pub fn disconnect(&mut self, reason: Reason, session_expiry_s: Option<u32>) {
        let disconnect = codec::Disconnect { session_expiry_s, ..codec::Disconnect::new(reason) };
        assert!(codec::write_disconnect(&mut self.unread, self.version, &disconnect));
    }

    /// Bytes have come from the node.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.partial.extend_from_slice(bytes);
        let partial = std::mem::take(&mut self.partial);
        let mut used = 0;
        while let Some(frame) = frame(&partial[used..], usize::MAX).expect("the node writes packets") {
            let packet =
                codec::decode(self.version, Side::Server, &frame).expect("the node writes packets by the rules");
            self.take(packet);
            used += frame.total;
        }
        self.partial = partial[used..].to_vec();
    }

    fn take(&mut self, packet: Packet<'_>) {
        let got = match packet {
            Packet::ConnAck(connack) => Got::ConnAck { present: connack.session_present, reason: connack.reason },
            Packet::Publish(publish) => Got::Publish(self.take_publish(&publish)),
            Packet::PubAck(receipt) => Got::Receipt(ReceiptKind::Ack, receipt.packet_id, receipt.reason),
            Packet::PubRec(receipt) => {
                if self.answers && !receipt.reason.is_error() {
                    self.receipt(ReceiptKind::Rel, receipt.packet_id);
                }
                Got::Receipt(ReceiptKind::Rec, receipt.packet_id, receipt.reason)
            }
            Packet::PubRel(receipt) => {
                self.received.retain(|known| *known != receipt.packet_id);
                if self.answers {
                    self.receipt(ReceiptKind::Comp, receipt.packet_id);
                }
                Got::Receipt(ReceiptKind::Rel, receipt.packet_id, receipt.reason)
            }
            Packet::PubComp(receipt) => Got::Receipt(ReceiptKind::Comp, receipt.packet_id, receipt.reason),
            Packet::SubAck(ack) => Got::SubAck(ack.packet_id, ack.reasons.collect()),
            Packet::UnsubAck(ack) => Got::UnsubAck(ack.packet_id, ack.reasons.collect()),
            Packet::PingResp => Got::PingResp,
            Packet::Disconnect(disconnect) => Got::Disconnect(disconnect.reason),
            other => panic!("a server does not send {other:?}"),
        };
        self.got.push_back(got);
    }

    fn take_publish(&mut self, publish: &Publish<'_>) -> Message {
        let is_aliased = publish.topic.is_empty();
        let topic = match publish.properties.topic_alias {
            Some(alias) if is_aliased => self.aliases.get(&alias).expect("the alias was set").clone(),
            Some(alias) => {
                self.aliases.insert(alias, publish.topic.to_owned());
                publish.topic.to_owned()
            }
            None => publish.topic.to_owned(),
        };
        if self.answers {
            match publish.qos {
                Qos::AtMostOnce => {}
                Qos::AtLeastOnce => self.receipt(ReceiptKind::Ack, publish.packet_id),
                Qos::ExactlyOnce => self.receipt(ReceiptKind::Rec, publish.packet_id),
            }
        }
        Message {
            topic,
            payload: String::from_utf8_lossy(publish.payload).into_owned(),
            qos: publish.qos,
            retain: publish.retain,
            dup: publish.dup,
            packet_id: publish.packet_id,
            ids: publish.properties.subscription_ids.into_iter().collect(),
            is_aliased,
        }
    }

    /// What it has got since it was asked last.
    pub fn take_got(&mut self) -> Vec<Got> {
        self.got.drain(..).collect()
    }

    /// The messages of it.
    pub fn messages(&mut self) -> Vec<Message> {
        let message = |got| if let Got::Publish(message) = got { Some(message) } else { None };
        self.got.drain(..).filter_map(message).collect()
    }

    /// The payloads of these.
    pub fn payloads(&mut self) -> Vec<String> {
        self.messages().into_iter().map(|message| message.payload).collect()
    }
}

pub fn message<'a>(topic: &'a str, payload: &'a str, qos: u8, packet_id: u16) -> Publish<'a> {
    Publish {
        dup: false,
        qos: Qos::of(qos).expect("0, 1 or 2"),
        retain: false,
        topic,
        packet_id,
        properties: PublishProperties::default(),
        payload: payload.as_bytes(),
    }
}

pub fn options(qos: u8) -> SubscribeOptions {
    let qos = Qos::of(qos).expect("0, 1 or 2");
    SubscribeOptions { qos, no_local: false, retain_as_published: false, retain_handling: 0 }
}

fn connect(version: Version, client_id: &str) -> Connect<'_> {
    Connect {
        version,
        clean_start: true,
        keep_alive_s: 0,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    }
}

/// A CONNECT with a session that ends with the connection.
pub fn v311(client_id: &str) -> Connect<'_> {
    connect(Version::V311, client_id)
}

/// The same in version 5.
pub fn v5(client_id: &str) -> Connect<'_> {
    connect(Version::V5, client_id)
}

/// A session that stays for `expiry_s`, and goes on where there is one.
pub fn lasting(client_id: &str, expiry_s: u32) -> Connect<'_> {
    let properties = ConnectProperties { session_expiry_s: Some(expiry_s), ..ConnectProperties::default() };
    Connect { clean_start: false, properties, ..v5(client_id) }
}

/// A will.
pub fn will<'a>(topic: &'a str, payload: &'a str, delay_s: u32) -> Will<'a> {
    Will {
        qos: Qos::AtLeastOnce,
        retain: false,
        topic,
        payload: payload.as_bytes(),
        delay_s,
        properties: PublishProperties::default(),
    }
}
