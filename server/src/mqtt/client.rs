//! One connection to a broker, as far as a shell needs it: no reconnects, no store.
//!
//! What always holds: [`Client::wait`] may be dropped at any point and called again, nothing is lost or half sent; a message is
//! given out once per connection and is acknowledged only by [`Client::acknowledge`].

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

use connectors::mqtt::codec::{
    self, ConnAck, Connect, ConnectProperties, Disconnect, Packet, PublishDraft, Qos, Reason, Receipt, ReceiptKind,
    Side, SubscribeOptions, UserProperties, Version, write_connect, write_disconnect, write_pingreq, write_publish,
    write_receipt, write_subscribe,
};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until, timeout};

use super::error::MqttError;
use super::message::Message;
use super::reach::ReachArgs;
use super::tls;

/// From the first packet of TCP to CONNACK.
const CONNECT_WAIT: Duration = Duration::from_secs(15);
/// Until PINGRESP.
const PONG_WAIT: Duration = Duration::from_secs(15);
/// To say goodbye.
const DISCONNECT_WAIT: Duration = Duration::from_secs(2);
/// Largest packet that we take; the broker is told.
const PACKET_BYTES_MAX: u32 = 16 * 1024 * 1024;

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Stream for T {}

/// What is to become of the session.
#[derive(Clone, Copy, Debug)]
pub(super) struct Session {
    /// Forget the one that was.
    pub clean_start: bool,
    /// Seconds that it outlives the connection; MQTT 5.
    pub expiry_s: Option<u32>,
}

/// What the broker said that its sender has to know.
#[derive(Debug)]
pub(super) enum Incoming {
    /// A message; acknowledge it when it is where it belongs.
    Message(Message),
    /// What became of our message.
    Settled { packet_id: u16, reason: Reason, text: Option<String> },
    /// One reason per filter.
    Subscribed { reasons: Vec<Reason>, text: Option<String> },
    /// It has read all that we sent before the ping.
    Pong,
}

/// A connection.
pub(super) struct Client {
    stream: Box<dyn Stream>,
    version: Version,
    /// What CONNACK allows.
    allowed: Allowed,
    /// There was a session, and it goes on.
    pub session_present: bool,
    input: Vec<u8>,
    /// What of `input` has been decoded.
    at: usize,
    output: Vec<u8>,
    keep_alive: Option<Duration>,
    last_sent: Instant,
    pinged: Option<Instant>,
    /// Messages of QoS 2 that came and whose PUBREL has not.
    received: HashSet<u16>,
    /// Our own messages without their last receipt, with what PUBREC said.
    under_way: HashMap<u16, Option<(Reason, Option<String>)>>,
    next_id: u16,
}

/// Seeded by the system, anew each time.
pub(super) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// What CONNACK allows.
#[derive(Clone, Copy, Debug)]
struct Allowed {
    receive_max: u16,
    packet_bytes_max: usize,
    qos_max: Qos,
    retain: bool,
}

impl Client {
    /// Connects, and waits for CONNACK.
    pub async fn connect(reach: &ReachArgs, session: Session) -> Result<Self, MqttError> {
        let late = |_| MqttError::Late { what: "let us in", within: CONNECT_WAIT };
        timeout(CONNECT_WAIT, Self::reach(reach, session)).await.map_err(late)?
    }

    async fn reach(reach: &ReachArgs, session: Session) -> Result<Self, MqttError> {
        let address = &reach.url;
        let password = reach.password()?;
        let tls = if address.is_tls { Some(tls::connector(reach)?) } else { None };
        let unreachable = |error| MqttError::Unreachable { address: address.clone(), error };
        let tcp = TcpStream::connect((address.host.as_str(), address.port)).await.map_err(unreachable)?;
        tcp.set_nodelay(true).map_err(unreachable)?;
        let stream: Box<dyn Stream> = match tls {
            None => Box::new(tcp),
            Some((connector, name)) => {
                let handshake = |error| MqttError::Handshake { address: address.clone(), error };
                Box::new(connector.connect(name, tcp).await.map_err(handshake)?)
            }
        };
        let version = reach.version();
        let mut client = Self {
            stream,
            version,
            allowed: Allowed {
                receive_max: u16::MAX,
                packet_bytes_max: usize::MAX,
                qos_max: Qos::ExactlyOnce,
                retain: true,
            },
            session_present: false,
            input: Vec::new(),
            at: 0,
            output: Vec::new(),
            keep_alive: None,
            last_sent: Instant::now(),
            pinged: None,
            received: HashSet::new(),
            under_way: HashMap::new(),
            next_id: 0,
        };
        let client_id = match (&reach.client_id, version) {
            (Some(id), _) => id.clone(),
            // Before 3.1.1 no broker chooses one, and none is longer than 23 characters.
            (None, Version::V31) => format!("anabranch-{:012x}", random() >> 16),
            (None, _) => String::new(),
        };
        let connect = Connect {
            version,
            clean_start: session.clean_start,
            keep_alive_s: reach.keep_alive,
            client_id: &client_id,
            will: None,
            username: reach.user.as_deref(),
            password: password.as_deref(),
            properties: ConnectProperties {
                session_expiry_s: session.expiry_s,
                packet_bytes_max: Some(PACKET_BYTES_MAX),
                ..ConnectProperties::default()
            },
        };
        if !write_connect(&mut client.output, &connect) {
            return Err(MqttError::Usage("client id, user name or password is longer than 65,535 bytes".to_owned()));
        }
        client.let_in(reach.keep_alive).await?;
        Ok(client)
    }

    async fn let_in(&mut self, keep_alive_s: u16) -> Result<(), MqttError> {
        while codec::frame(&self.input, PACKET_BYTES_MAX as usize)?.is_none() {
            self.wait().await?;
        }
        let Some(frame) = codec::frame(&self.input, PACKET_BYTES_MAX as usize)? else {
            return Err(MqttError::Protocol("no CONNACK"));
        };
        // A broker that does not know our version answers in the form of its own.
        let version = if frame.body.len() == 2 { Version::V311 } else { self.version };
        let connack = match codec::decode(version, Side::Server, &frame)? {
            Packet::ConnAck(connack) => connack,
            Packet::Disconnect(Disconnect { reason, reason_string, .. }) => {
                return Err(MqttError::Refused { reason, text: reason_string.map(str::to_owned) });
            }
            _ => return Err(MqttError::Protocol("its first packet is no CONNACK")),
        };
        let ConnAck { session_present, reason, properties } = connack;
        if reason.is_error() {
            return Err(MqttError::Refused { reason, text: properties.reason_string.map(str::to_owned) });
        }
        if version != self.version && self.version == Version::V5 {
            return Err(MqttError::Protocol("it answers MQTT 5 with an older version; try --mqtt-version 3.1.1"));
        }
        self.session_present = session_present;
        self.allowed = Allowed {
            receive_max: properties.receive_max.unwrap_or(u16::MAX),
            packet_bytes_max: properties.packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize),
            qos_max: properties.qos_max,
            retain: properties.retain_available,
        };
        let keep_alive_s = properties.server_keep_alive_s.unwrap_or(keep_alive_s);
        self.keep_alive = (keep_alive_s > 0).then(|| Duration::from_secs(keep_alive_s.into()));
        self.at = frame.total;
        Ok(())
    }

    /// The next of what has come; none: [`Client::wait`] for more.
    pub fn ready(&mut self) -> Result<Option<Incoming>, MqttError> {
        loop {
            let Some(frame) = codec::frame(&self.input[self.at..], PACKET_BYTES_MAX as usize)? else { return Ok(None) };
            let packet = codec::decode(self.version, Side::Server, &frame)?;
            self.at += frame.total;
            match packet {
                Packet::Publish(publish) => {
                    if publish.qos == Qos::ExactlyOnce && self.received.contains(&publish.packet_id) {
                        let again = Receipt::new(publish.packet_id, Reason::Success);
                        write_receipt(&mut self.output, self.version, ReceiptKind::Rec, &again);
                        continue;
                    }
                    return Ok(Some(Incoming::Message(Message::new(&publish))));
                }
                Packet::PubRel(receipt) => {
                    self.received.remove(&receipt.packet_id);
                    let done = Receipt::new(receipt.packet_id, Reason::Success);
                    write_receipt(&mut self.output, self.version, ReceiptKind::Comp, &done);
                }
                Packet::PubRec(Receipt { packet_id, reason, reason_string, .. }) if !reason.is_error() => {
                    if let Some(said) = self.under_way.get_mut(&packet_id) {
                        *said = Some((reason, reason_string.map(str::to_owned)));
                    }
                    let release = Receipt::new(packet_id, Reason::Success);
                    write_receipt(&mut self.output, self.version, ReceiptKind::Rel, &release);
                }
                Packet::PubAck(receipt) | Packet::PubRec(receipt) | Packet::PubComp(receipt) => {
                    let Some(before) = self.under_way.remove(&receipt.packet_id) else { continue };
                    let last = (receipt.reason, receipt.reason_string.map(str::to_owned));
                    // What became of a message of QoS 2 was said by PUBREC.
                    let (reason, text) = before.filter(|_| !last.0.is_error()).unwrap_or(last);
                    return Ok(Some(Incoming::Settled { packet_id: receipt.packet_id, reason, text }));
                }
                Packet::SubAck(ack) => {
                    let text = ack.reason_string.map(str::to_owned);
                    return Ok(Some(Incoming::Subscribed { reasons: ack.reasons.collect(), text }));
                }
                Packet::PingResp => {
                    self.pinged = None;
                    return Ok(Some(Incoming::Pong));
                }
                Packet::Disconnect(Disconnect { reason, reason_string, .. }) => {
                    return Err(MqttError::Ended { reason, text: reason_string.map(str::to_owned) });
                }
                _ => return Err(MqttError::Protocol("a packet came that was not asked for")),
            }
        }
    }

    /// Sends what there is to send, and reads once. A broker that is silent is asked whether it is there.
    pub async fn wait(&mut self) -> Result<(), MqttError> {
        self.input.drain(..self.at);
        self.at = 0;
        loop {
            let before = self.input.len();
            self.flush().await?;
            if self.input.len() > before {
                return Ok(());
            }
            let silent = match (self.pinged, self.keep_alive) {
                (Some(at), _) => Some(at + PONG_WAIT),
                (None, keep_alive) => keep_alive.map(|most| self.last_sent + most),
            };
            tokio::select! {
                biased;
                read = self.stream.read_buf(&mut self.input) => return match read {
                    Ok(0) => Err(MqttError::Closed { is_v5: self.version == Version::V5 }),
                    Ok(_) => Ok(()),
                    Err(error) => Err(self.broken(error)),
                },
                () = sleep_until(silent.unwrap_or_else(Instant::now)), if silent.is_some() => {
                    if self.pinged.is_some() {
                        return Err(MqttError::Late { what: "answer a ping", within: PONG_WAIT });
                    }
                    self.ping();
                }
            }
        }
    }

    async fn flush(&mut self) -> Result<(), MqttError> {
        while !self.output.is_empty() {
            match self.stream.write(&self.output).await {
                Ok(written) => drop(self.output.drain(..written)),
                // What the broker said before it closed is worth more than that it closed.
                Err(_) if self.has_last_words().await => self.output.clear(),
                Err(error) => return Err(self.broken(error)),
            }
            self.last_sent = Instant::now();
        }
        // TLS may hold back what was written.
        self.stream.flush().await.map_err(|error| self.broken(error))
    }

    async fn has_last_words(&mut self) -> bool {
        matches!(timeout(DISCONNECT_WAIT, self.stream.read_buf(&mut self.input)).await, Ok(Ok(1..)))
    }

    fn broken(&self, error: std::io::Error) -> MqttError {
        use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
        match error.kind() {
            BrokenPipe | ConnectionReset | UnexpectedEof => MqttError::Closed { is_v5: self.version == Version::V5 },
            _ => MqttError::Io(error),
        }
    }

    /// Asks for a sign of life, which comes after all that was sent before has been read.
    pub fn ping(&mut self) {
        write_pingreq(&mut self.output);
        self.pinged = Some(Instant::now());
    }

    /// Subscribes to the filters; the answer is [`Incoming::Subscribed`].
    pub fn subscribe(&mut self, filters: &[String], qos: Qos) -> Result<(), MqttError> {
        let id = self.fresh_id();
        // Not as published: so the flag tells what was kept from what is new, in every version.
        let filters = filters.iter().map(|filter| (filter.as_str(), SubscribeOptions::new(qos)));
        match write_subscribe(&mut self.output, self.version, id, None, UserProperties::NONE, filters) {
            true => Ok(()),
            false => Err(MqttError::Usage("a topic filter is longer than 65,535 bytes".to_owned())),
        }
    }

    /// Takes a message to send; its packet id, 0 at QoS 0.
    pub fn publish(&mut self, draft: PublishDraft<'_>) -> Result<u16, MqttError> {
        let packet_id = if draft.qos == Qos::AtMostOnce { 0 } else { self.fresh_id() };
        let draft = PublishDraft { packet_id, ..draft };
        let refuse = |text: String| Err(MqttError::Unsendable(text));
        if draft.qos > self.allowed.qos_max {
            return refuse(format!("the broker takes messages up to QoS {}; lower --qos", self.allowed.qos_max as u8));
        }
        if draft.retain && !self.allowed.retain {
            return refuse("the broker keeps no retained messages; leave out --retain".to_owned());
        }
        let (bytes, most) = (draft.bytes(self.version).unwrap_or(usize::MAX), self.allowed.packet_bytes_max);
        if bytes > most {
            return refuse(format!("the message needs a packet of {bytes} bytes, and the broker takes {most} at most"));
        }
        if !write_publish(&mut self.output, self.version, &draft) {
            return refuse("the message is longer than MQTT can say".to_owned());
        }
        if packet_id != 0 {
            self.under_way.insert(packet_id, None);
        }
        Ok(packet_id)
    }

    /// Our messages without their last receipt.
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// Whether one more message may be given to [`Client::publish`].
    pub fn has_room(&self) -> bool {
        /// Enough for a fast broker, and little that would have to be said again.
        const WINDOW: usize = 256;
        const OUTPUT_BYTES_MAX: usize = 256 * 1024;
        self.under_way.len() < WINDOW.min(self.allowed.receive_max.into()) && self.output.len() < OUTPUT_BYTES_MAX
    }

    /// The message is where it belongs.
    pub fn acknowledge(&mut self, message: &Message) {
        let kind = match message.qos {
            Qos::AtMostOnce => return,
            Qos::AtLeastOnce => ReceiptKind::Ack,
            Qos::ExactlyOnce => {
                self.received.insert(message.packet_id);
                ReceiptKind::Rec
            }
        };
        write_receipt(&mut self.output, self.version, kind, &Receipt::new(message.packet_id, Reason::Success));
    }

    /// Says goodbye. What cannot be sent in a moment is left.
    pub async fn disconnect(mut self) {
        write_disconnect(&mut self.output, self.version, &Disconnect::new(Reason::Success));
        let _ = timeout(DISCONNECT_WAIT, async {
            self.flush().await?;
            self.stream.shutdown().await.map_err(MqttError::Io)
        })
        .await;
    }

    fn fresh_id(&mut self) -> u16 {
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            // Far fewer are under way than there are ids.
            if !self.under_way.contains_key(&self.next_id) {
                return self.next_id;
            }
        }
    }
}
