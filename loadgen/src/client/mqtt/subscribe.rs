//! Reads back: one client that subscribes, acknowledges what it gets and shows it, message by message.
//!
//! What always holds: a message is shown before its receipt is written, so what was not shown comes again on the next connection of
//! the session; at QoS 2 a message is shown once per session.

use std::future::poll_fn;
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

use super::codec::{
    Connect, Packet, Publish, Qos, Receipt, ReceiptKind, decode, v5_reason, write_disconnect, write_ping,
    write_receipt, write_subscribe,
};
use super::dial::{DialError, Dialed, Dialer, Stream};
use super::plan::{Access, Target};
use super::{MqttError, told};

const READ_BYTES: usize = 64 * 1024;
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
const SUBSCRIBE_ID: u16 = 1;

/// A subscriber.
#[derive(Clone, Debug)]
pub struct SubscribePlan {
    /// Where to and how to get in.
    pub access: Access,
    /// Client id.
    pub client_id: String,
    /// Topic filters.
    pub filters: Vec<String>,
    /// Quality of service asked for.
    pub qos: Qos,
    /// The session outlives the connection: messages wait at the broker while the subscriber is away, and afterwards.
    pub persistent: bool,
    /// Most QoS 1 and 2 messages that the broker may have under way (version 5).
    pub receive_maximum: u16,
    /// Largest packet taken.
    pub packet_bytes_max: usize,
    /// A pause after each message: a subscriber that does not keep up.
    pub pause: Duration,
}

impl SubscribePlan {
    /// QoS 1 with a session of its own, as fast as messages come.
    pub fn new(target: Target, client_id: &str, filters: Vec<String>) -> Self {
        Self {
            access: Access::new(target),
            client_id: client_id.to_owned(),
            filters,
            qos: Qos::AtLeastOnce,
            persistent: true,
            receive_maximum: 1_000,
            packet_bytes_max: 1024 * 1024,
            pause: Duration::ZERO,
        }
    }
}

/// What a subscriber saw.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOutcome {
    /// Messages shown.
    pub messages: u64,
    /// Bytes of their payloads.
    pub bytes: u64,
    /// Of them, those that the broker marked as perhaps sent before.
    pub dups: u64,
    /// Connections that broke.
    pub reconnects: u64,
}

/// Why a connection ended.
enum End {
    Stopped,
    Broken(String),
    Fatal(MqttError),
}

struct Subscriber<F> {
    plan: SubscribePlan,
    on_message: F,
    outcome: SubscribeOutcome,
    ready: Option<oneshot::Sender<()>>,
    /// QoS 2: ids shown and not released yet, a bit each.
    shown: Box<[u64]>,
    /// Something was read on this connection after CONNACK.
    heard: bool,
}

/// Shows every message of the plan's filters until `stop` says true. `ready` hears when the subscriptions stand for the first time.
pub async fn subscribe(
    plan: SubscribePlan,
    mut stop: watch::Receiver<bool>,
    ready: Option<oneshot::Sender<()>>,
    on_message: impl FnMut(&Publish<'_>),
) -> Result<SubscribeOutcome, MqttError> {
    let dialer = Dialer::new(plan.access.clone(), Vec::new(), 1).await?;
    let access = plan.access.clone();
    let mut subscriber = Subscriber {
        plan,
        on_message,
        outcome: SubscribeOutcome::default(),
        ready,
        shown: vec![0; 1024].into_boxed_slice(),
        heard: false,
    };
    let (mut pause, mut trying_since, mut attempt) = (PAUSE_FIRST, Instant::now(), 0u32);
    loop {
        let opened = tokio::select! {
            opened = subscriber.open(&dialer, attempt) => opened,
            () = told(&mut stop) => return Ok(subscriber.outcome),
        };
        attempt = attempt.wrapping_add(1);
        let why = match opened {
            Ok(dialed) => match subscriber.drive(dialed, &mut stop).await {
                End::Stopped => return Ok(subscriber.outcome),
                End::Fatal(error) => return Err(error),
                End::Broken(why) => {
                    subscriber.outcome.reconnects += 1;
                    if std::mem::take(&mut subscriber.heard) {
                        (pause, trying_since) = (PAUSE_FIRST, Instant::now());
                    }
                    why
                }
            },
            Err(DialError::Fatal(error)) => return Err(error),
            Err(DialError::Again(why)) => why,
        };
        if trying_since.elapsed() >= access.give_up_after {
            let target = access.target.to_string();
            return Err(MqttError::Unreachable { target, after: trying_since.elapsed(), why });
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = told(&mut stop) => return Ok(subscriber.outcome),
        }
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

impl<F: FnMut(&Publish<'_>)> Subscriber<F> {
    async fn open(&mut self, dialer: &Dialer, attempt: u32) -> Result<Dialed, DialError> {
        let access = dialer.access();
        let connect = Connect {
            client_id: &self.plan.client_id,
            keep_alive_s: access.keep_alive_s,
            clean_start: !self.plan.persistent,
            username: access.username.as_deref(),
            password: access.password.as_deref().map(str::as_bytes),
            session_expiry_s: if self.plan.persistent { access.session_expiry_s } else { 0 },
            receive_maximum: self.plan.receive_maximum,
        };
        dialer.dial(0, attempt, &connect).await
    }

    async fn drive(&mut self, dialed: Dialed, stop: &mut watch::Receiver<bool>) -> End {
        let Dialed { mut stream, connack, rest } = dialed;
        let version = self.plan.access.version;
        let mut out = Vec::new();
        if !connack.session_present {
            self.shown.fill(0);
        }
        // Also where the session is known: its filters may be those of another plan.
        if let Err(error) = write_subscribe(version, SUBSCRIBE_ID, &self.plan.filters, self.plan.qos, &mut out) {
            return self.fatal(error);
        }
        let keep_alive_s = connack.server_keep_alive_s.unwrap_or(self.plan.access.keep_alive_s);
        let keep_alive = Duration::from_secs(u64::from(keep_alive_s)) * 3 / 4;
        let mut read = rest;
        let (mut wrote, mut heard) = (Instant::now(), Instant::now());
        let mut buffer = vec![0; READ_BYTES].into_boxed_slice();
        loop {
            let used = match self.take_packets(&mut stream, &read, &mut out, stop, &mut wrote, keep_alive).await {
                Ok(used) => used,
                Err(end) => {
                    if matches!(end, End::Stopped) {
                        // Receipts for what was shown go along.
                        write_disconnect(version, !self.plan.persistent, &mut out);
                        drop(tokio::time::timeout(self.plan.access.request_timeout, stream.write_all(&out)).await);
                    }
                    return end;
                }
            };
            read.drain(..used);
            if !out.is_empty() {
                if let Err(end) = self.flush(&mut stream, &mut out).await {
                    return end;
                }
                wrote = Instant::now();
            }
            let idle = async {
                match keep_alive_s {
                    0 => std::future::pending().await,
                    _ => tokio::time::sleep_until((wrote + keep_alive).into()).await,
                }
            };
            tokio::select! {
                count = poll_fn(|cx| stream.poll_read(cx, &mut buffer)) => match count {
                    Ok(0) => return self.broken("the broker closed the connection"),
                    Ok(count) => {
                        (self.heard, heard) = (true, Instant::now());
                        read.extend_from_slice(&buffer[..count]);
                    }
                    Err(error) => return self.broken(error),
                },
                () = idle => {
                    // Since the last ping something should have come.
                    if heard.elapsed() > keep_alive * 2 + self.plan.access.request_timeout {
                        return self.broken("no answer to a ping");
                    }
                    write_ping(&mut out);
                }
                () = told(stop) => {
                    write_disconnect(version, !self.plan.persistent, &mut out);
                    drop(tokio::time::timeout(self.plan.access.request_timeout, stream.write_all(&out)).await);
                    return End::Stopped;
                }
            }
        }
    }

    /// Acts on the whole packets at the front, appending receipts to `out`: how many bytes they have.
    async fn take_packets(
        &mut self,
        stream: &mut Stream,
        bytes: &[u8],
        out: &mut Vec<u8>,
        stop: &mut watch::Receiver<bool>,
        wrote: &mut Instant,
        keep_alive: Duration,
    ) -> Result<usize, End> {
        let version = self.plan.access.version;
        let mut used = 0;
        loop {
            let (packet, size) = match decode(version, &bytes[used..], self.plan.packet_bytes_max) {
                Ok(Some(found)) => found,
                Ok(None) => return Ok(used),
                Err(error) => return Err(self.fatal(error)),
            };
            used += size;
            match packet {
                Packet::Publish(publish) => {
                    self.take_message(&publish, out);
                    if !self.plan.pause.is_zero() {
                        // A slow reader acknowledges as it goes, and is not thought dead meanwhile.
                        if keep_alive > Duration::ZERO && wrote.elapsed() >= keep_alive {
                            write_ping(out);
                        }
                        if !out.is_empty() {
                            self.flush(stream, out).await?;
                            *wrote = Instant::now();
                        }
                        tokio::select! {
                            () = tokio::time::sleep(self.plan.pause) => {}
                            () = told(stop) => return Err(End::Stopped),
                        }
                    }
                }
                Packet::Receipt(Receipt { kind: ReceiptKind::Rel, packet_id, .. }) => {
                    self.shown[usize::from(packet_id / 64)] &= !(1 << (packet_id % 64));
                    write_receipt(ReceiptKind::Comp, packet_id, out);
                }
                Packet::SubAck { packet_id: SUBSCRIBE_ID, codes } => {
                    for (filter, &code) in self.plan.filters.iter().zip(codes) {
                        if code >= 0x80 {
                            let (target, filter) = (self.plan.access.target.to_string(), filter.clone());
                            return Err(End::Fatal(MqttError::Subscription { target, filter, code }));
                        }
                    }
                    if let Some(ready) = self.ready.take() {
                        // Who does not listen any more does not want to know.
                        ready.send(()).ok();
                    }
                }
                Packet::PingResp => {}
                Packet::Disconnect { reason: 0x8E } => {
                    let target = self.plan.access.target.to_string();
                    return Err(End::Fatal(MqttError::Disconnected { target, client: 0, reason: v5_reason(0x8E) }));
                }
                Packet::Disconnect { reason } => return Err(self.broken(v5_reason(reason))),
                Packet::Receipt(_) | Packet::SubAck { .. } | Packet::ConnAck(_) => {
                    return Err(self.broken("an answer to no question"));
                }
            }
        }
    }

    fn take_message(&mut self, publish: &Publish<'_>, out: &mut Vec<u8>) {
        let show = match (publish.qos, publish.packet_id) {
            (Qos::ExactlyOnce, Some(id)) => {
                let (word, bit) = (&mut self.shown[usize::from(id / 64)], 1 << (id % 64));
                let new = *word & bit == 0;
                *word |= bit;
                write_receipt(ReceiptKind::Rec, id, out);
                new
            }
            (Qos::AtLeastOnce, Some(id)) => {
                write_receipt(ReceiptKind::Ack, id, out);
                true
            }
            _ => true,
        };
        if show {
            (self.on_message)(publish);
            self.outcome.messages += 1;
            self.outcome.bytes += publish.payload.len() as u64;
            self.outcome.dups += u64::from(publish.dup);
        }
    }

    async fn flush(&self, stream: &mut Stream, out: &mut Vec<u8>) -> Result<(), End> {
        match tokio::time::timeout(self.plan.access.request_timeout, stream.write_all(out)).await {
            Ok(Ok(())) => {
                out.clear();
                Ok(())
            }
            Ok(Err(error)) => Err(self.broken(error)),
            Err(_) => Err(self.broken("it takes no more bytes")),
        }
    }

    fn broken(&self, why: impl std::fmt::Display) -> End {
        End::Broken(format!("the connection to {} broke: {why}", self.plan.access.target))
    }

    fn fatal(&self, error: super::CodecError) -> End {
        End::Fatal(MqttError::Codec { target: self.plan.access.target.to_string(), error })
    }
}
