//! The node's side of a connection.
//!
//! The order of a turn: hand in what came (`handle_control`, `handle_publish`, outcomes of actions), do what
//! [`Server::poll_action`] says, write batches while [`Server::may_send`], then send what [`Server::poll_control`] appends. Bytes are
//! read from the control stream only while [`Server::wants_control`], from publish streams only while [`Server::wants_publish`].
//!
//! What always holds: a subscription's answers come in order SUBSCRIBED or REFUSED, then ENDED; an ACK covers only what was
//! reported as kept, in order; nothing is done for a client that was not authenticated.

mod action;
mod check;
mod outgoing;
mod publisher;
mod subscription;
mod write;

use std::collections::VecDeque;

pub use action::{Action, Append, Credentials, Grant, Kept, Opened, PublishTicket, Rejected, StartAt, Wanted};
pub use outgoing::Outgoing;
pub use write::{PACKED_PERCENT_MAX, write_lost, write_position};

use super::inbox::Inbox;
use super::{Fault, QuicLimits};
use crate::quic::frame::{self, Code, Commit, Control, Credit, Groups, Hello, Start, Subscribe, Subscribed, Welcome};
use publisher::Publisher;
use subscription::Subscription;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    AwaitingHello,
    Authenticating,
    Open,
    /// GOAWAY was sent with this code.
    Going(Code),
}

/// See the module.
#[derive(Debug)]
pub struct Server {
    limits: QuicLimits,
    phase: Phase,
    /// The handshake is complete: what comes cannot be a repetition by others.
    is_confirmed: bool,
    inbox: Inbox,
    out: Vec<u8>,
    actions: VecDeque<Action>,
    grant: Grant,
    subscriptions: Vec<Subscription>,
    subscription_min: u64,
    publishers: Vec<Publisher>,
    publish_in_flight_bytes: usize,
    /// Requests that wait for an answer, and whether it was given: answers go out in order.
    commits: VecDeque<(u64, Option<(Code, String)>)>,
    /// Reused from BATCH to BATCH.
    mask: Vec<u8>,
}

impl Server {
    /// A connection whose handshake is complete, or not yet: see [`handle_confirmed`](Self::handle_confirmed).
    pub fn new(limits: QuicLimits, is_confirmed: bool) -> Self {
        Self {
            limits,
            phase: Phase::AwaitingHello,
            is_confirmed,
            inbox: Inbox::default(),
            out: Vec::new(),
            actions: VecDeque::new(),
            grant: Grant::default(),
            subscriptions: Vec::new(),
            subscription_min: 0,
            publishers: Vec::new(),
            publish_in_flight_bytes: 0,
            commits: VecDeque::new(),
            mask: Vec::new(),
        }
    }

    /// The handshake is complete. To be called before bytes are handed in that came after it.
    pub fn handle_confirmed(&mut self) {
        self.is_confirmed = true;
    }

    /// Bytes of the control stream, at most 64 KiB at a time and only while [`wants_control`](Self::wants_control).
    pub fn handle_control(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.inbox.push(bytes);
        self.run()
    }

    /// More bytes of the control stream can be handed in.
    pub fn wants_control(&self) -> bool {
        self.may_run() && self.inbox.len() <= frame::bounds::CONTROL_BODY_BYTES_MAX + 16
    }

    fn may_run(&self) -> bool {
        self.phase != Phase::Authenticating
            && self.out.len() <= self.limits.control_out_bytes_max
            && self.actions.len() < self.limits.actions_max
            && self.commits.len() < self.limits.commits_max
    }

    /// Takes frames while there is room for what they cause.
    fn run(&mut self) -> Result<(), Fault> {
        let mut inbox = std::mem::take(&mut self.inbox);
        let result = self.take_frames(&mut inbox);
        self.inbox = inbox;
        result
    }

    fn take_frames(&mut self, inbox: &mut Inbox) -> Result<(), Fault> {
        while self.may_run() {
            let Some((kind, body)) = inbox.next()? else { break };
            if self.phase == Phase::AwaitingHello && kind != frame::kind::HELLO {
                return Err(Fault::protocol(format!("the first frame is {kind:#04x} and not HELLO")));
            }
            if frame::kind::is_known(kind) && !frame::kind::is_of_a_client(kind) {
                return Err(Fault::protocol(format!("a client sends no frame of type {kind:#04x} here")));
            }
            if let Some(frame) = Control::decode(kind, body)? {
                self.handle_frame(frame)?;
            }
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: Control<'_>) -> Result<(), Fault> {
        match frame {
            Control::Hello(hello) => self.handle_hello(&hello),
            Control::Subscribe(wanted) => self.handle_subscribe(&wanted),
            Control::Unsubscribe(number) => {
                if let Some(found) = self.subscriptions.iter_mut().find(|found| found.number == number)
                    && !std::mem::replace(&mut found.is_ending, true)
                {
                    self.actions.push_back(Action::Unsubscribe { subscription: number });
                }
                Ok(())
            }
            Control::Credit(Credit { subscription, bytes }) => {
                let credit_max = self.limits.credit_max;
                if let Some(found) = self.subscriptions.iter_mut().find(|found| found.number == subscription) {
                    found.add_credit(bytes, credit_max);
                }
                Ok(())
            }
            Control::Commit(commit) => self.handle_commit(&commit),
            _ => Err(Fault::protocol("a frame that only a node sends")),
        }
    }

    fn handle_hello(&mut self, hello: &Hello<'_>) -> Result<(), Fault> {
        if self.phase != Phase::AwaitingHello {
            return Err(Fault::protocol("a second HELLO"));
        }
        self.phase = Phase::Authenticating;
        self.actions.push_back(Action::Authenticate(Box::new(Credentials::of(hello))));
        Ok(())
    }

    /// Who the client is and what it may do. Faults come from frames that waited for it.
    pub fn handle_authenticated(&mut self, grant: Grant) -> Result<(), Fault> {
        debug_assert_eq!(self.phase, Phase::Authenticating);
        let limits = &self.limits;
        let welcome = Welcome {
            minor: 0,
            partitions: grant.partitions,
            credit_max: limits.credit_max,
            subscriptions_max: limits.subscriptions_max,
            publish_streams_max: if grant.may_publish() { limits.publish_streams_max } else { 0 },
            publish_bytes_max: limits.publish_bytes_max,
            permissions: grant.permissions,
            ack_level: grant.ack_level,
            node: &grant.node,
            agent: &grant.agent,
            principal: &grant.principal,
            expires_ms: grant.expires_ms,
        };
        welcome.write(&mut self.out);
        self.grant = grant;
        self.phase = Phase::Open;
        self.run()
    }

    fn handle_subscribe(&mut self, wanted: &Subscribe<'_>) -> Result<(), Fault> {
        let number = wanted.subscription;
        if u64::from(number) < self.subscription_min {
            return Err(Fault::protocol(format!("subscription number {number} is not above all before it")));
        }
        self.subscription_min = u64::from(number) + 1;
        if let Phase::Going(code) = self.phase {
            self.refuse(number, code, "the node ends this connection", "");
        } else if !self.grant.may_read() {
            let text = format!("{} may not subscribe", self.grant.name());
            self.refuse(number, Code::FORBIDDEN, &text, "");
        } else if self.subscriptions.len() >= self.limits.subscriptions_max as usize {
            let text = format!("this connection has {} subscriptions already", self.subscriptions.len());
            self.refuse(number, Code::LIMIT, &text, "end another one, or open a second connection");
        } else if let Some(partition) = action::foreign_partition(wanted, self.grant.partitions) {
            let text = format!("there is no partition {partition}: the log has {}", self.grant.partitions);
            self.refuse(number, Code::NO_SUCH_PARTITION, &text, "");
        } else if let Start::Cursor { subscriber, .. } = wanted.start
            && !is_subscriber(subscriber)
        {
            let text = format!("{subscriber:?} is no name of a subscriber");
            self.refuse(number, Code::SUBSCRIBER_INVALID, &text, "");
        } else {
            self.subscriptions.push(Subscription::new(number, wanted, self.limits.credit_max));
            self.actions.push_back(Action::Subscribe(Box::new(Wanted::of(wanted, self.limits.groups_max))));
        }
        Ok(())
    }

    fn refuse(&mut self, subscription: u32, code: Code, text: &str, advice: &str) {
        let advice = if advice.is_empty() { code.advice() } else { advice };
        frame::Refused { subscription, code, text: cut_text(text), advice: cut_text(advice) }.write(&mut self.out);
    }

    /// The subscription is open and its data streams, if they are not, will be.
    pub fn handle_opened(&mut self, number: u32, opened: &Opened) -> Result<(), Fault> {
        if let Some(found) = self.subscriptions.iter_mut().find(|found| found.number == number) {
            found.open(opened);
            let mut groups = Vec::new();
            opened.groups.iter().for_each(|group| Groups::encode(&mut groups, group.iter().copied()));
            let properties = opened.properties.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let warnings = opened.warnings.iter().take(frame::bounds::REPEATS_MAX).map(|text| cut_text(text));
            Subscribed::put(&mut self.out, number, &groups, properties.take(frame::bounds::REPEATS_MAX), warnings);
        }
        self.run()
    }

    /// The subscription cannot be opened. Without `advice` the client gets the code's own.
    pub fn handle_refused(&mut self, number: u32, code: Code, text: &str, advice: &str) -> Result<(), Fault> {
        if self.forget_subscription(number) {
            self.refuse(number, code, text, advice);
        }
        self.run()
    }

    /// The subscription is over and its data streams end: after [`Action::Unsubscribe`] with [`Code::NONE`], or by the node's own will.
    pub fn handle_ended(&mut self, number: u32, code: Code, text: &str) -> Result<(), Fault> {
        if self.forget_subscription(number) {
            let advice = if code == Code::NONE { "" } else { code.advice() };
            frame::Ended { subscription: number, code, text: cut_text(text), advice }.write(&mut self.out);
        }
        self.run()
    }

    fn forget_subscription(&mut self, number: u32) -> bool {
        let before = self.subscriptions.len();
        self.subscriptions.retain(|found| found.number != number);
        self.subscriptions.len() < before
    }

    fn handle_commit(&mut self, commit: &Commit<'_>) -> Result<(), Fault> {
        if !self.is_confirmed {
            return Err(Fault::new(Code::EARLY_DATA, "COMMIT in 0-RTT"));
        }
        let foreign = commit.positions.iter().find(|(partition, _)| *partition >= self.grant.partitions);
        let refusal = if !self.grant.may_commit() {
            Some((Code::FORBIDDEN, format!("{} may not commit", self.grant.name())))
        } else if !is_subscriber(commit.subscriber) {
            Some((Code::SUBSCRIBER_INVALID, format!("{:?} is no name of a subscriber", commit.subscriber)))
        } else {
            foreign.map(|(partition, _)| (Code::NO_SUCH_PARTITION, format!("there is no partition {partition}")))
        };
        let is_good = refusal.is_none();
        self.commits.push_back((commit.request, refusal));
        if is_good {
            let (subscriber, positions) = (commit.subscriber.to_owned(), commit.positions.iter().collect());
            self.actions.push_back(Action::Commit { subscriber, positions });
        } else {
            self.answer_commits();
        }
        Ok(())
    }

    /// The oldest commit that waits for it is kept, or is not and why.
    pub fn handle_committed(&mut self, result: Result<(), (Code, String)>) -> Result<(), Fault> {
        if let Some((_, answer)) = self.commits.iter_mut().find(|(_, answer)| answer.is_none()) {
            *answer = Some(result.err().unwrap_or((Code::NONE, String::new())));
        }
        self.answer_commits();
        self.run()
    }

    fn answer_commits(&mut self) {
        while let Some((request, Some((code, text)))) = self.commits.front() {
            let advice = if *code == Code::NONE { "" } else { code.advice() };
            let answer = frame::Committed { request: *request, code: *code, text: cut_text(text), advice };
            Control::Committed(answer).write(&mut self.out);
            self.commits.pop_front();
        }
    }

    /// Bytes of a publish stream, at most 64 KiB at a time and only while [`wants_publish`](Self::wants_publish). `stream` is QUIC's
    /// number of it, `now_ms` the time of acceptance in milliseconds since the Unix epoch.
    pub fn handle_publish(&mut self, stream: u64, bytes: &[u8], now_ms: i64) -> Result<(), Fault> {
        if !self.is_confirmed {
            return Err(Fault::new(Code::EARLY_DATA, "a publish stream in 0-RTT"));
        }
        if !self.is_open() {
            return Err(Fault::protocol("a publish stream before WELCOME"));
        }
        let at = match self.publishers.iter().position(|publisher| publisher.stream == stream) {
            Some(at) => at,
            None => self.begin_publisher(stream)?,
        };
        let rules = publisher::Rules {
            principal: &self.grant.principal,
            partitions: self.grant.partitions,
            publish_bytes_max: self.limits.publish_bytes_max as usize,
            event_bytes_max: self.limits.event_bytes_max,
            going: if let Phase::Going(code) = self.phase { Some(code) } else { None },
        };
        let mut input = bytes;
        while let Some(event) = self.publishers[at].take(&mut input, now_ms, &rules, &mut self.out)? {
            match event {
                publisher::Event::Opened(number) => {
                    let same = |publisher: &&Publisher| publisher.number() == Some(number);
                    if self.publishers.iter().filter(same).count() > 1 {
                        return Err(Fault::protocol(format!("two publish streams with number {number}")));
                    }
                }
                publisher::Event::Append(append) => {
                    self.publish_in_flight_bytes += append.ticket.bytes;
                    self.actions.push_back(Action::Append(append));
                }
            }
        }
        Ok(())
    }

    fn begin_publisher(&mut self, stream: u64) -> Result<usize, Fault> {
        if !self.grant.may_publish() {
            return Err(Fault::new(Code::FORBIDDEN, format!("{} may not publish", self.grant.name())));
        }
        let open = self.publishers.iter().filter(|publisher| publisher.is_open()).count();
        // Streams overtake each other: a client that has ended one may open the next though the end has not come yet.
        if open >= self.limits.publish_streams_seen_max() {
            let most = self.limits.publish_streams_max;
            return Err(Fault::new(Code::LIMIT, format!("more than {most} publish streams at a time")));
        }
        self.publishers.push(Publisher::new(stream));
        Ok(self.publishers.len() - 1)
    }

    /// A publish stream has ended, or was reset.
    pub fn handle_publish_end(&mut self, stream: u64, is_reset: bool) -> Result<(), Fault> {
        match self.publishers.iter_mut().find(|publisher| publisher.stream == stream) {
            Some(publisher) => publisher.handle_end(is_reset),
            None => Ok(()),
        }
    }

    /// More bytes of publish streams can be handed in.
    pub fn wants_publish(&self) -> bool {
        self.publish_in_flight_bytes < self.limits.publish_in_flight_bytes_max
            && self.out.len() <= self.limits.control_out_bytes_max
            && self.publishers.len() <= self.limits.publish_streams_seen_max()
    }

    /// What became of a published batch. Outcomes of one partition come in the order of their batches.
    pub fn handle_appended(&mut self, ticket: &PublishTicket, result: Result<Kept, Rejected>) {
        self.publish_in_flight_bytes = self.publish_in_flight_bytes.saturating_sub(ticket.bytes);
        if let Some(found) = self.publishers.iter_mut().find(|publisher| publisher.number() == Some(ticket.publish)) {
            found.handle_outcome(ticket, result, &mut self.out);
        }
    }

    /// Tells the client that the connection will end. Subscriptions and published batches that come from now on are refused.
    pub fn go_away(&mut self, code: Code, after_ms: u64, text: &str, address: &str) {
        Control::GoAway(frame::GoAway { code, after_ms, text: cut_text(text), address }).write(&mut self.out);
        if self.phase == Phase::Open {
            self.phase = Phase::Going(code);
        }
    }

    /// What is to be done next.
    pub fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Appends what is to be sent on the control stream; `true` if that is something. To be called when the bytes before are
    /// on their way: until then answers wait, and ACKs are put together. Faults come from frames that waited for room.
    pub fn poll_control(&mut self, out: &mut Vec<u8>) -> Result<bool, Fault> {
        let before = out.len();
        if self.out.capacity() > 4096 {
            out.append(&mut self.out);
            self.out = Vec::new();
        } else {
            out.append(&mut self.out);
        }
        self.publishers.iter_mut().for_each(|publisher| publisher.write_acks(out));
        self.publishers.retain(|publisher| !publisher.is_done());
        self.run()?;
        Ok(out.len() > before)
    }

    /// Nothing that the client asked for is under way: after [`go_away`](Self::go_away) the connection can be closed.
    pub fn is_settled(&self) -> bool {
        self.out.is_empty()
            && self.actions.is_empty()
            && self.commits.is_empty()
            && self.publishers.iter().all(Publisher::is_settled)
    }

    /// The client was let in. A connection on which this does not come soon is to be closed with [`Code::TIMEOUT`].
    pub fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Open | Phase::Going(_))
    }

    /// What the client is known as; empty before it is authenticated.
    pub fn principal(&self) -> &str {
        &self.grant.principal
    }
}

/// A text as long as a frame's may be.
fn cut_text(text: &str) -> &str {
    &text[..text.floor_char_boundary(frame::bounds::TEXT_BYTES_MAX)]
}

/// A subscriber's name is a file's too.
fn is_subscriber(name: &str) -> bool {
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=128).contains(&name.len()) && name.bytes().all(good)
}
