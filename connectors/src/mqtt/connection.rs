//! A connection as the broker sees it: what the client asked for, what it may have, and bytes on their way to it.
//!
//! What always holds: it has no read buffer of its own but the piece of a packet that has not come whole; its out buffer is given
//! back when it is empty; receipts go out in the order in which their messages came in.

use std::collections::VecDeque;
use std::sync::Arc;
use std::task::Waker;

use engine::batch::Batch;

use super::access::{ClientCertificate, Identity};
use super::codec::{Qos, Reason, ReceiptKind, Version};
use super::registry::Place;
use super::session::Session;
use super::will::Will;

/// How far the connection has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// CONNECT is awaited.
    New,
    /// Who it is, is being found out on another thread.
    Authenticating,
    /// Its session is with another core.
    AwaitsSession,
    /// CONNACK was sent.
    Open,
    /// It is over: what is in the out buffer is still to be sent.
    Closed,
}

/// What the client allows the node, out of its CONNECT.
#[derive(Clone, Copy, Debug)]
pub struct Allowed {
    /// Messages of QoS 1 and 2 that it takes before it has acknowledged any.
    pub receive_max: u16,
    /// Largest packet.
    pub packet_bytes_max: u32,
    /// Topic aliases.
    pub topic_alias_max: u16,
    /// Reason strings and user properties on packets other than PUBLISH.
    pub problem_information: bool,
}

impl Default for Allowed {
    fn default() -> Self {
        Self { receive_max: u16::MAX, packet_bytes_max: u32::MAX, topic_alias_max: 0, problem_information: true }
    }
}

/// A receipt that is owed to the client.
#[derive(Clone, Copy, Debug)]
pub struct Owed {
    /// PUBACK or PUBREC.
    pub kind: ReceiptKind,
    /// Of this message.
    pub packet_id: u16,
    /// What it will say.
    pub reason: Reason,
    /// The batch whose acknowledgement it waits for; `None`: it can go.
    pub batch: Option<u32>,
}

/// What is to be claimed once it is known who it is.
#[derive(Debug)]
pub struct Wish {
    /// The session is to begin anew.
    pub clean_start: bool,
    /// Seconds that the session is to outlive the connection.
    pub expiry_s: u32,
    /// The client identifier was given by the node.
    pub is_assigned: bool,
    /// The keep-alive is the node's, not the client's.
    pub keep_alive_differs: bool,
    /// The session expiry is the node's, not the client's.
    pub expiry_differs: bool,
    /// Authentication method, to be named in CONNACK.
    pub auth_method: Option<Box<str>>,
}

/// A message of a shared subscription that was given to this member.
#[derive(Debug)]
pub struct Given {
    /// The batch that holds it.
    pub batch: Arc<Batch>,
    /// Its row.
    pub row: u16,
    /// QoS granted to the member.
    pub qos: Qos,
    /// Retain as published.
    pub retain_as_published: bool,
    /// Identifier of the member's subscription; 0: none.
    pub id: u32,
    /// The group's home.
    pub group: (u16, u32),
}

/// See the module.
#[derive(Debug)]
pub struct Connection {
    /// Where it is.
    pub place: Place,
    /// How far it has come.
    pub phase: Phase,
    /// What it speaks.
    pub version: Version,
    /// `tcp`, `tls`, `ws`, `wss` or `quic`.
    pub transport: &'static str,
    /// It comes from this machine.
    pub is_loopback: bool,
    /// The client's certificate, until it is known who it is.
    pub certificate: Option<ClientCertificate>,
    /// Its client identifier; empty before CONNECT.
    pub client_id: Arc<str>,
    /// Who it is.
    pub identity: Option<Arc<Identity>>,
    /// Its session while it is open.
    pub session: Option<Box<Session>>,
    /// Until it has its session.
    pub wish: Option<Box<Wish>>,
    /// The authentication method that it came with.
    pub auth_method: Option<Box<str>>,
    /// Its will.
    pub will: Option<Box<Will>>,
    /// Seconds of silence after which, and half as many, it is taken for gone; 0: never.
    pub keep_alive_s: u16,
    /// When it was heard last, by the monotonic clock.
    pub heard_ms: u64,
    /// Bytes of a packet that has not come whole, or that waits.
    pub partial: Vec<u8>,
    /// It takes no packets: its SUBSCRIBE waits for the tap.
    pub is_paused: bool,
    /// It takes no packets: it is owed too many receipts.
    pub is_full: bool,
    /// `partial` holds packets that can be taken without reading on.
    pub has_more: bool,
    /// The paused SUBSCRIBE can go on.
    pub is_resumed: bool,
    /// Bytes to be sent, from `written` on.
    pub out: Vec<u8>,
    /// See `out`.
    pub written: usize,
    /// Wakes its task.
    pub waker: Option<Waker>,
    /// Its task is to be woken at the end of the turn.
    pub is_touched: bool,
    /// Its session is listed for the store.
    pub is_listed: bool,
    /// Receipts owed, oldest first.
    pub owed: VecDeque<Owed>,
    /// Messages of QoS 1 and 2 that it has sent and that are not done.
    pub received: u16,
    /// What it allows.
    pub allowed: Allowed,
    /// Topics of the aliases that it has set; empty: not set.
    pub aliases_in: Vec<Box<str>>,
    /// Topics of the aliases that it was sent.
    pub aliases_out: Vec<Box<str>>,
    /// The topic that it was last allowed to publish to.
    pub allowed_topic: String,
    /// Who waits for its session.
    pub heir: Option<Place>,
    /// Its backlog is being read.
    pub has_reader: bool,
    /// The partition and offset that the reader of its backlog was sent for.
    pub asked: Option<(u32, u64)>,
    /// Wakes the reader of its backlog.
    pub reader_waker: Option<Waker>,
    /// Messages of QoS 0 before these offsets came while it was away and are not sent.
    pub away_until: Option<Box<[u64]>>,
    /// Messages of shared subscriptions that wait for room.
    pub given: VecDeque<Given>,
    /// Its session is, or may be, in the store.
    pub is_stored: bool,
    /// SUBACKs that wait until what they say is stored, by packet identifier; CONNACK as 0.
    pub held: Vec<(u16, Vec<u8>)>,
    /// Number of its life-cycle events.
    pub sequence: u64,
}

impl Connection {
    /// One that has said nothing yet.
    pub fn new(place: Place, transport: &'static str, is_loopback: bool, now_ms: u64) -> Self {
        Self {
            place,
            phase: Phase::New,
            version: Version::V5,
            transport,
            is_loopback,
            certificate: None,
            client_id: Arc::from(""),
            identity: None,
            session: None,
            wish: None,
            auth_method: None,
            will: None,
            keep_alive_s: 0,
            heard_ms: now_ms,
            partial: Vec::new(),
            is_paused: false,
            is_full: false,
            has_more: false,
            is_resumed: false,
            out: Vec::new(),
            written: 0,
            waker: None,
            is_touched: false,
            is_listed: false,
            owed: VecDeque::new(),
            received: 0,
            allowed: Allowed::default(),
            aliases_in: Vec::new(),
            aliases_out: Vec::new(),
            allowed_topic: String::new(),
            heir: None,
            has_reader: false,
            asked: None,
            reader_waker: None,
            away_until: None,
            given: VecDeque::new(),
            is_stored: false,
            held: Vec::new(),
            sequence: 0,
        }
    }

    /// It speaks MQTT 5.
    pub fn is_v5(&self) -> bool {
        self.version == Version::V5
    }

    /// Bytes that wait to be sent.
    pub fn unsent(&self) -> usize {
        self.out.len() - self.written
    }

    /// It takes packets.
    pub fn takes_packets(&self) -> bool {
        matches!(self.phase, Phase::New | Phase::Open) && !self.is_paused && !self.is_full
    }

    /// `bytes` of what was to be sent are sent. The memory of a burst is given back.
    pub fn sent(&mut self, bytes: usize) {
        self.written += bytes;
        if self.written >= self.out.len() {
            self.written = 0;
            if self.out.capacity() > 4096 {
                self.out = Vec::new();
            } else {
                self.out.clear();
            }
        }
    }

    /// The batch with this number is done: its receipts can go. `Err`: it was not kept.
    pub fn done(&mut self, batch: u32, failed: Option<Reason>) {
        for owed in self.owed.iter_mut().filter(|owed| owed.batch == Some(batch)) {
            owed.batch = None;
            if let Some(reason) = failed {
                owed.reason = reason;
            }
        }
    }
}
