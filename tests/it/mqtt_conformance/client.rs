//! The client of the conformance tests: a blocking socket, packets one after the other, everything awaited with a limit.
//!
//! What always holds: nothing is concluded from silence alone. That something does not come is shown by what was sent behind it.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::answer::{self, Answer, ConnAck, Message, Properties};
use super::packet::*;
use crate::mqtt_broker::Broker;

/// Longest wait for a single packet.
const WAIT_MAX: Duration = Duration::from_secs(10);

/// A connection.
pub struct Client {
    pub version: u8,
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Packets that came while another was awaited.
    aside: VecDeque<Answer>,
    last_id: u16,
    markers: u32,
    /// Whether the stream ended by a reset: what the broker said last may be lost then.
    was_reset: bool,
}

impl Broker {
    /// A connection on which nothing has been sent.
    pub fn open(&self, version: u8) -> Client {
        let stream = TcpStream::connect(self.address()).expect("connects");
        stream.set_read_timeout(Some(WAIT_MAX)).and_then(|()| stream.set_nodelay(true)).expect("a socket");
        Client { version, stream, inbox: Vec::new(), aside: VecDeque::new(), last_id: 0, markers: 0, was_reset: false }
    }

    /// Connects and is accepted.
    #[track_caller]
    pub fn join(&self, connect: &Connect) -> (Client, ConnAck) {
        let mut client = self.open(connect.version);
        client.send(&connect.bytes());
        let ack = client.connack();
        assert_eq!(ack.code, 0, "{ack:?}");
        (client, ack)
    }

    /// A client of 5.0 with a clean start.
    #[track_caller]
    pub fn v5(&self, id: &str) -> Client {
        self.join(&Connect::new(V5, id)).0
    }

    /// A client of 3.1.1 with a clean session.
    #[track_caller]
    pub fn v4(&self, id: &str) -> Client {
        self.join(&Connect::new(V4, id)).0
    }

    /// A client of either.
    #[track_caller]
    pub fn of(&self, version: u8, id: &str) -> Client {
        self.join(&Connect::new(version, id)).0
    }
}

impl Client {
    /// Sends bytes as they are. A broker that has closed already is found by reading.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    /// Ends what is sent, as a client does that goes without a word.
    #[track_caller]
    pub fn drop_connection(self) {
        // It may have been closed by the broker.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// The next packet from the socket; `None` at the end of the stream.
    #[track_caller]
    fn read(&mut self) -> Option<Answer> {
        loop {
            if let Some((first, body, total)) = frame(&self.inbox) {
                let answer = answer::read(self.version, first, body);
                self.inbox.drain(..total);
                return Some(answer);
            }
            let mut buffer = [0; 65_536];
            match self.stream.read(&mut buffer) {
                Ok(0) => {
                    assert!(self.inbox.is_empty(), "the stream ended in the middle of a packet");
                    return None;
                }
                Ok(count) => self.inbox.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                    panic!("nothing came within {WAIT_MAX:?}; aside: {:?}", self.aside)
                }
                Err(_) => {
                    self.was_reset = true;
                    return None;
                }
            }
        }
    }

    /// The next packet; `None` at the end of the stream.
    #[track_caller]
    pub fn next(&mut self) -> Option<Answer> {
        self.aside.pop_front().or_else(|| self.read())
    }

    /// The next packet that is wanted; others wait aside.
    #[track_caller]
    fn pick<T>(&mut self, wanted: impl Fn(&Answer) -> Option<T>) -> T {
        if let Some((at, found)) = self.aside.iter().enumerate().find_map(|(at, answer)| Some((at, wanted(answer)?))) {
            self.aside.remove(at);
            return found;
        }
        loop {
            let Some(answer) = self.read() else { panic!("the broker closed; aside: {:?}", self.aside) };
            if let Some(found) = wanted(&answer) {
                return found;
            }
            assert!(!matches!(answer, Answer::Disconnect { .. }), "{answer:?}");
            self.aside.push_back(answer);
        }
    }

    /// The CONNACK, which must be the next packet.
    #[track_caller]
    pub fn connack(&mut self) -> ConnAck {
        match self.next() {
            Some(Answer::ConnAck(ack)) => ack,
            other => panic!("[MQTT-3.2.0-1] {other:?} before CONNACK (reset: {})", self.was_reset),
        }
    }

    /// An identifier that was not used before.
    pub fn new_id(&mut self) -> u16 {
        self.last_id += 1;
        self.last_id
    }

    /// Subscribes: the reason codes.
    #[track_caller]
    pub fn subscribe(&mut self, filters: &[(&str, u8)]) -> Vec<u8> {
        self.subscribe_with(&props(), filters)
    }

    /// Subscribes with properties.
    #[track_caller]
    pub fn subscribe_with(&mut self, props: &Props, filters: &[(&str, u8)]) -> Vec<u8> {
        let id = self.new_id();
        self.send(&subscribe(self.version, id, props, filters));
        self.suback(id).0
    }

    /// The SUBACK of an identifier.
    #[track_caller]
    pub fn suback(&mut self, wanted: u16) -> (Vec<u8>, Properties) {
        self.pick(|answer| match answer {
            Answer::SubAck { id, codes, props } => {
                assert_eq!(*id, wanted, "[MQTT-3.8.4-2]");
                Some((codes.clone(), props.clone()))
            }
            _ => None,
        })
    }

    /// Unsubscribes: the reason codes, none before 5.
    #[track_caller]
    pub fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let wanted = self.new_id();
        self.send(&unsubscribe(self.version, wanted, filters));
        self.pick(|answer| match answer {
            Answer::UnsubAck { id, codes, .. } => {
                assert_eq!(*id, wanted, "[MQTT-3.10.4-5]");
                Some(codes.clone())
            }
            _ => None,
        })
    }

    /// The next receipt, which must be this one: its reason code.
    #[track_caller]
    pub fn receipt(&mut self, first: u8, id: u16) -> u8 {
        self.receipt_with(first, id).0
    }

    /// The same with its properties.
    #[track_caller]
    pub fn receipt_with(&mut self, wanted: u8, wanted_id: u16) -> (u8, Properties) {
        self.pick(|answer| match answer {
            Answer::Receipt { first, id, code, props } => {
                assert_eq!((*first, *id), (wanted, wanted_id), "[MQTT-2.2.1-5] another receipt: {answer:?}");
                Some((*code, props.clone()))
            }
            _ => None,
        })
    }

    /// Publishes and sees the flow of its QoS through: the reason code.
    #[track_caller]
    pub fn publish(&mut self, topic: &str, payload: &str, qos: u8) -> u8 {
        self.put(Publish::new(topic, payload).qos(qos))
    }

    /// The same for all that a PUBLISH can have.
    #[track_caller]
    pub fn put(&mut self, mut publish: Publish) -> u8 {
        if publish.qos > 0 && publish.id == 0 {
            publish.id = self.new_id();
        }
        self.send(&publish.bytes(self.version));
        match publish.qos {
            0 => 0,
            1 => self.receipt(PUBACK, publish.id),
            _ => {
                let code = self.receipt(PUBREC, publish.id);
                if code < 0x80 {
                    self.send(&receipt(PUBREL, publish.id));
                    assert_eq!(self.receipt(PUBCOMP, publish.id), 0);
                }
                code
            }
        }
    }

    /// The next message, not acknowledged.
    #[track_caller]
    pub fn held(&mut self) -> Message {
        self.pick(|answer| match answer {
            Answer::Publish(message) => Some(message.clone()),
            _ => None,
        })
    }

    /// Acknowledges a message as its QoS has it.
    #[track_caller]
    pub fn acknowledge(&mut self, message: &Message) {
        match message.qos {
            0 => {}
            1 => self.send(&receipt(PUBACK, message.id)),
            _ => {
                self.send(&receipt(PUBREC, message.id));
                assert_eq!(self.receipt(PUBREL, message.id), 0);
                self.send(&receipt(PUBCOMP, message.id));
            }
        }
    }

    /// The next message, acknowledged.
    #[track_caller]
    pub fn message(&mut self) -> Message {
        let message = self.held();
        self.acknowledge(&message);
        message
    }

    /// The payloads of the next messages.
    #[track_caller]
    pub fn texts(&mut self, count: usize) -> Vec<String> {
        let mut texts = Vec::new();
        while texts.len() < count {
            texts.push(self.message().text().to_owned());
        }
        texts
    }

    /// Sees that no message has come or comes to this client from what `publisher` did: a marker of the same publisher is next.
    #[track_caller]
    pub fn is_quiet_after(&mut self, publisher: &mut Client) {
        let marker = self.mark(publisher);
        let message = self.message();
        assert_eq!(message.topic, marker, "a message that should not be: {message:?}");
    }

    /// The same where this client is the publisher itself.
    #[track_caller]
    pub fn is_quiet(&mut self) {
        let marker = self.new_marker();
        self.subscribe(&[(&marker, 1)]);
        self.publish(&marker, "", 1);
        let message = self.message();
        assert_eq!(message.topic, marker, "a message that should not be: {message:?}");
        self.unsubscribe(&[&marker]);
    }

    /// Every message up to a marker of `publisher`, acknowledged.
    #[track_caller]
    pub fn all_after(&mut self, publisher: &mut Client) -> Vec<Message> {
        let marker = self.mark(publisher);
        let mut all = Vec::new();
        loop {
            let message = self.message();
            if message.topic == marker {
                return all;
            }
            all.push(message);
        }
    }

    fn new_marker(&mut self) -> String {
        self.markers += 1;
        let port = self.stream.local_addr().expect("a socket").port();
        format!("$marker/{port}/{}", self.markers)
    }

    #[track_caller]
    fn mark(&mut self, publisher: &mut Client) -> String {
        let marker = self.new_marker();
        self.subscribe(&[(&marker, 1)]);
        publisher.publish(&marker, "", 1);
        marker
    }

    /// PINGREQ, PINGRESP: the connection lives, and whatever was sent before has been read.
    #[track_caller]
    pub fn ping(&mut self) {
        self.send(&PINGREQ);
        self.pick(|answer| matches!(answer, Answer::PingResp).then_some(()));
    }

    /// A normal DISCONNECT, and the end of the stream.
    #[track_caller]
    pub fn leave(mut self) {
        self.send(&DISCONNECT);
        self.ended();
    }

    /// Nothing comes but the end of the stream; publishes that were under way are let pass.
    #[track_caller]
    pub fn ended(mut self) {
        while let Some(answer) = self.next() {
            assert!(matches!(answer, Answer::Publish(_)), "not the end of the stream: {answer:?}");
        }
    }

    /// The broker ends the connection: in 5 with a DISCONNECT of one of these reasons, before 5 without a word.
    #[track_caller]
    pub fn ended_with(self, codes: &[u8]) {
        self.ended_with_props(codes);
    }

    /// The same: the properties of the DISCONNECT.
    #[track_caller]
    pub fn ended_with_props(mut self, codes: &[u8]) -> Properties {
        if self.version < V5 {
            self.ended();
            return Properties::default();
        }
        loop {
            match self.next() {
                Some(Answer::Disconnect { code, props }) => {
                    assert!(codes.contains(&code), "DISCONNECT with {code:#x}, not with {codes:x?}");
                    self.ended();
                    return props;
                }
                Some(Answer::Publish(_)) => {}
                other => panic!("{other:?} instead of DISCONNECT with {codes:x?} (reset: {})", self.was_reset),
            }
        }
    }

    /// The broker refuses the CONNECT with one of these and closes.
    #[track_caller]
    pub fn refused_with(mut self, codes: &[u8]) {
        let ack = self.connack();
        assert!(codes.contains(&ack.code), "CONNACK {:#x}, not {codes:x?}", ack.code);
        assert!(!ack.present, "[MQTT-3.2.2-6]");
        self.ended();
    }

    /// The broker closes: without a word, or with a CONNACK that refuses with one of these.
    #[track_caller]
    pub fn closed_or_refused_with(mut self, codes: &[u8]) {
        match self.next() {
            None => {}
            Some(Answer::ConnAck(ack)) => {
                assert!(codes.contains(&ack.code), "CONNACK {:#x}, not {codes:x?}", ack.code);
                self.ended();
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The first packet: first byte, body, bytes of it all.
fn frame(bytes: &[u8]) -> Option<(u8, &[u8], usize)> {
    let (first, mut length) = (*bytes.first()?, 0);
    for place in 0..4 {
        let byte = *bytes.get(1 + place)?;
        length |= usize::from(byte & 0x7F) << (7 * place);
        if byte < 0x80 {
            let begin = 2 + place;
            return Some((first, bytes.get(begin..begin + length)?, begin + length));
        }
    }
    panic!("a length of more than four bytes");
}
