//! The client's side of one node, over as many connections as it takes.
//!
//! The order of a turn: hand in what came (`handle_control`, `handle_data`), take what [`Client::poll_event`] has, then send what
//! [`Client::poll_control`] and, per publish stream, [`Client::poll_publish`] append. A connection begins with
//! [`Client::handle_connected`] and ends with [`Client::handle_disconnected`]; between the two, streams are QUIC's.
//!
//! What always holds: per subscription and partition every matching event is handed over once, in order, whatever happens to
//! connections; memory is bounded by the windows of the subscriptions and `publish_queue_bytes_max`; only what may be repeated
//! is sent before WELCOME, so the first bytes can go as 0-RTT.

mod event;
mod publisher;
mod received;
mod stream;
mod subscription;

use std::collections::VecDeque;

pub use event::{Event, Greeting};
pub use publisher::{PublishError, Published};
pub use received::Received;
pub use subscription::SubscribeOptions;

use super::inbox::Inbox;
use super::{Fault, body};
use crate::quic::frame::{self, Code, Commit, Control, Hello, Pairs, Subscribed, Welcome, bounds};
use publisher::Publisher;
use stream::DataStream;
use subscription::{State, Subscription};

/// The minor version that is spoken.
const MINOR: u64 = 0;

/// Who the client is and what it may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientSettings {
    /// Program and version, for the node's log.
    pub agent: String,
    /// A bearer token; empty: none.
    pub token: String,
    /// User name; empty: none.
    pub user: String,
    /// Its password.
    pub password: String,
    /// Random bytes, for as long as events are not acknowledged.
    pub producer: [u8; 16],
    /// Publish streams wanted: partitions are dealt to them, and a lost packet delays only those of its own.
    pub publish_streams: u32,
    /// A partition's frame that has so many bytes is sent.
    pub publish_frame_bytes: usize,
    /// Bytes of events that wait for their ACK before no more are taken.
    pub publish_queue_bytes_max: usize,
    /// Things to report that wait to be polled; a node that sends more without being paid for it ends the connection.
    pub events_max: usize,
}

impl Default for ClientSettings {
    fn default() -> Self {
        Self {
            agent: concat!("anabranch/", env!("CARGO_PKG_VERSION")).to_owned(),
            token: String::new(),
            user: String::new(),
            password: String::new(),
            producer: [0; 16],
            publish_streams: 1,
            publish_frame_bytes: engine::limits::BATCH_BYTES_SEAL,
            publish_queue_bytes_max: 16 * 1024 * 1024,
            events_max: 64 * 1024,
        }
    }
}

#[derive(Debug)]
struct PendingCommit {
    request: u64,
    subscriber: String,
    positions: Vec<u8>,
}

/// See the module.
#[derive(Debug)]
pub struct Client {
    settings: ClientSettings,
    is_connected: bool,
    is_welcome: bool,
    inbox: Inbox,
    out: Vec<u8>,
    /// What subscriptions brought, in order.
    events: VecDeque<Event>,
    /// What concerns the connection, commits and publishing: nobody has to take events to learn it.
    notices: VecDeque<Event>,
    subscriptions: Vec<Subscription>,
    next_handle: u32,
    /// The next number of a subscription on this connection.
    next_number: u32,
    streams: Vec<DataStream>,
    publisher: Publisher,
    commits: VecDeque<PendingCommit>,
    next_request: u64,
}

impl Client {
    /// Not connected yet.
    pub fn new(settings: ClientSettings) -> Self {
        let publisher = Publisher::new(&settings);
        Self {
            settings,
            is_connected: false,
            is_welcome: false,
            inbox: Inbox::default(),
            out: Vec::new(),
            events: VecDeque::new(),
            notices: VecDeque::new(),
            subscriptions: Vec::new(),
            next_handle: 1,
            next_number: 1,
            streams: Vec::new(),
            publisher,
            commits: VecDeque::new(),
            next_request: 1,
        }
    }

    /// A new token for the next connection.
    pub fn set_token(&mut self, token: String) {
        self.settings.token = token;
    }

    /// There is a connection, or there will be when its 0-RTT is accepted.
    pub fn handle_connected(&mut self) {
        self.handle_disconnected();
        self.is_connected = true;
        let ClientSettings { agent, token, user, password, .. } = &self.settings;
        Hello { minor: MINOR, agent, token, user, password }.write(&mut self.out);
        self.subscribe_all();
    }

    /// The connection is gone. What had arrived whole is still handed over.
    pub fn handle_disconnected(&mut self) {
        self.is_connected = false;
        self.is_welcome = false;
        self.inbox = Inbox::default();
        self.out.clear();
        self.streams.clear();
        self.next_number = 1;
        self.subscriptions.retain(|found| !found.is_leaving());
        self.subscriptions.iter_mut().for_each(Subscription::handle_disconnected);
        self.publisher.handle_disconnected();
    }

    fn subscribe_all(&mut self) {
        for wanted in self.subscriptions.iter_mut().filter(|found| found.state == State::Wanted) {
            wanted.ask(self.next_number, &mut self.out);
            self.next_number += 1;
        }
    }

    /// Wants events, from now on and over all connections; returns the subscription's handle.
    pub fn subscribe(&mut self, options: SubscribeOptions) -> u32 {
        let handle = self.next_handle;
        self.next_handle += 1;
        self.subscriptions.push(Subscription::new(handle, options));
        if self.is_connected {
            self.subscribe_all();
        }
        handle
    }

    /// Ends a subscription: [`Event::Ended`] comes behind its last event.
    pub fn unsubscribe(&mut self, handle: u32) {
        let Some(at) = self.subscriptions.iter().position(|found| found.handle == handle) else { return };
        match self.subscriptions[at].number {
            Some(number) if self.is_connected => {
                self.subscriptions[at].leave();
                Control::Unsubscribe(number).write(&mut self.out);
            }
            _ => {
                self.subscriptions.remove(at);
                self.events.push_back(Event::Ended {
                    subscription: handle,
                    code: Code::NONE,
                    text: String::new(),
                    advice: String::new(),
                });
            }
        }
    }

    /// Where each partition goes on behind what [`poll_event`](Self::poll_event) has given: to be committed or kept. Empty before the
    /// subscription was open for the first time.
    pub fn positions(&self, handle: u32) -> Vec<(u32, u64)> {
        let found = self.subscriptions.iter().find(|found| found.handle == handle);
        found.map(Subscription::handed).unwrap_or_default()
    }

    /// Keeps positions, ascending by partition, under the name of a subscriber; [`Event::Committed`] answers the number returned.
    pub fn commit(&mut self, subscriber: &str, positions: &[(u32, u64)]) -> u64 {
        let request = self.next_request;
        self.next_request += 1;
        let mut list = Vec::new();
        Pairs::encode(&mut list, positions.iter().copied());
        self.commits.push_back(PendingCommit { request, subscriber: subscriber.to_owned(), positions: list });
        if self.is_welcome
            && let Some(last) = self.commits.back()
        {
            write_commit(last, &mut self.out);
        }
        request
    }

    /// Puts an event into its partition's next frame. It is sent with the next [`flush`](Self::flush), or when the frame is full.
    pub fn publish(
        &mut self,
        key: Option<&[u8]>,
        data: &[u8],
        headers: &engine::batch::HeaderWriter,
    ) -> Result<Published, PublishError> {
        self.publisher.publish(key, data, headers)
    }

    /// What was published is to be sent, however little it is.
    pub fn flush(&mut self) {
        self.publisher.flush();
    }

    /// Events of a partition with numbers below this are settled: acknowledged, or reported by [`Event::Rejected`].
    pub fn settled(&self, partition: u32) -> u64 {
        self.publisher.settled(partition)
    }

    /// Everything that was published is settled.
    pub fn is_all_settled(&self) -> bool {
        self.publisher.is_all_settled()
    }

    /// Appends up to about `bytes_max` bytes that are to be sent on publish stream `index`, which is opened with the first of
    /// them; `true` if there are any. `now_ms` is a clock that only grows.
    pub fn poll_publish(&mut self, index: u32, now_ms: u64, out: &mut Vec<u8>, bytes_max: usize) -> bool {
        self.is_welcome && self.publisher.poll(index, now_ms, out, bytes_max)
    }

    /// Publish streams of this connection.
    pub fn publish_streams(&self) -> u32 {
        self.publisher.streams()
    }

    /// When, later than `now_ms`, [`poll_publish`](Self::poll_publish) has something again though nothing else happens.
    pub fn next_due_ms(&self, now_ms: u64) -> Option<u64> {
        self.publisher.next_due_ms(now_ms)
    }

    /// Partitions of the log; 0 before the first WELCOME.
    pub fn partitions(&self) -> u32 {
        self.publisher.partitions()
    }

    /// How many events of a partition were published.
    pub fn published(&self, partition: u32) -> u64 {
        self.publisher.published(partition)
    }

    /// Bytes of frames that wait for their ACK.
    pub fn publish_queue_bytes(&self) -> usize {
        self.publisher.queue_bytes()
    }

    /// [`poll_event`](Self::poll_event) has something of a subscription.
    pub fn has_events(&self) -> bool {
        !self.events.is_empty()
    }

    /// Appends what is to be sent on the control stream; `true` if that is something.
    pub fn poll_control(&mut self, out: &mut Vec<u8>) -> bool {
        let has_some = !self.out.is_empty();
        out.append(&mut self.out);
        has_some
    }

    /// Something has happened that is not part of a subscription's row: [`Event::Welcome`], [`Event::Committed`],
    /// [`Event::Rejected`], [`Event::Forgotten`], [`Event::GoingAway`], [`Event::Postponed`].
    pub fn poll_notice(&mut self) -> Option<Event> {
        self.notices.pop_front()
    }

    /// Something has happened, or came. Notices come before what subscriptions brought.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(notice) = self.poll_notice() {
            return Some(notice);
        }
        let event = self.events.pop_front()?;
        let handed = match &event {
            Event::Batch(received) => {
                Some((received.subscription, received.partition, received.settled_to, received.body_bytes))
            }
            Event::Lost { subscription, partition, settled_to, .. } => {
                Some((*subscription, *partition, *settled_to, 0))
            }
            _ => None,
        };
        if let Some((handle, partition, settled_to, bytes)) = handed
            && let Some(found) = self.subscriptions.iter_mut().find(|found| found.handle == handle)
        {
            found.hand_over(partition, settled_to, bytes, &mut self.out);
        }
        Some(event)
    }

    /// Bytes of the control stream.
    pub fn handle_control(&mut self, bytes: &[u8], now_ms: u64) -> Result<(), Fault> {
        self.inbox.push(bytes);
        let mut inbox = std::mem::take(&mut self.inbox);
        let result = self.take_frames(&mut inbox, now_ms);
        self.inbox = inbox;
        result
    }

    fn take_frames(&mut self, inbox: &mut Inbox, now_ms: u64) -> Result<(), Fault> {
        while let Some((kind, body)) = inbox.next()? {
            if !self.is_welcome && kind != frame::kind::WELCOME && kind != frame::kind::GOAWAY {
                return Err(Fault::protocol(format!("the node's first frame is {kind:#04x} and not WELCOME")));
            }
            if let Some(frame) = Control::decode(kind, body)? {
                self.handle_frame(frame, now_ms)?;
            }
        }
        Ok(())
    }

    fn handle_frame(&mut self, frame: Control<'_>, now_ms: u64) -> Result<(), Fault> {
        match frame {
            Control::Welcome(welcome) => self.handle_welcome(&welcome)?,
            Control::Subscribed(subscribed) => self.handle_subscribed(&subscribed)?,
            Control::Refused(refused) => {
                let Some(at) = self.numbered(refused.subscription) else { return Ok(()) };
                if refused.code.is_passing() && !self.subscriptions[at].is_leaving() {
                    self.postpone(at, refused.code, refused.text);
                    return Ok(());
                }
                let is_leaving = self.subscriptions[at].is_leaving();
                let subscription = self.subscriptions.remove(at).handle;
                let (code, text, advice) = (refused.code, refused.text.to_owned(), refused.advice.to_owned());
                self.events.push_back(match is_leaving {
                    // It was over before it was open.
                    true => Event::Ended { subscription, code: Code::NONE, text: String::new(), advice: String::new() },
                    false => Event::Refused { subscription, code, text, advice },
                });
            }
            Control::Ended(ended) => {
                let Some(at) = self.numbered(ended.subscription) else { return Ok(()) };
                if ended.code == Code::SOURCE_CHANGED && !self.subscriptions[at].is_leaving() {
                    self.forget_streams(ended.subscription);
                    self.subscriptions[at].handle_disconnected();
                    self.subscribe_all();
                    return Ok(());
                }
                // Nobody has asked for the end: something of the node's has stopped.
                let is_unasked = ended.code.is_passing() || ended.code == Code::NONE;
                if is_unasked && !self.subscriptions[at].is_leaving() {
                    self.forget_streams(ended.subscription);
                    self.postpone(at, ended.code, ended.text);
                    return Ok(());
                }
                let subscription = self.subscriptions.remove(at).handle;
                let (code, text, advice) = (ended.code, ended.text.to_owned(), ended.advice.to_owned());
                self.events.push_back(Event::Ended { subscription, code, text, advice });
            }
            Control::Committed(committed) => {
                let Some(first) = self.commits.pop_front().filter(|first| first.request == committed.request) else {
                    return Err(Fault::protocol("COMMITTED for another request than the oldest"));
                };
                let result = match committed.code {
                    Code::NONE => Ok(()),
                    code => Err((code, committed.text.to_owned())),
                };
                self.notices.push_back(Event::Committed { request: first.request, result });
            }
            Control::Ack(ack) => self.publisher.handle_ack(&ack)?,
            Control::Nack(nack) => {
                if let Some(event) = self.publisher.handle_nack(&nack, now_ms)? {
                    self.notices.push_back(event);
                }
            }
            Control::GoAway(going) => self.notices.push_back(Event::GoingAway {
                code: going.code,
                after_ms: going.after_ms,
                text: going.text.to_owned(),
                address: going.address.to_owned(),
            }),
            _ => return Err(Fault::protocol("a frame that only a client sends")),
        }
        self.check_events()
    }

    fn check_events(&self) -> Result<(), Fault> {
        if self.events.len() + self.notices.len() > self.settings.events_max {
            return Err(Fault::new(Code::LIMIT, "the node sends more than the client takes"));
        }
        Ok(())
    }

    fn handle_welcome(&mut self, welcome: &Welcome<'_>) -> Result<(), Fault> {
        if std::mem::replace(&mut self.is_welcome, true) {
            return Err(Fault::protocol("a second WELCOME"));
        }
        if welcome.minor > MINOR {
            return Err(Fault::protocol(format!(
                "the node speaks minor version {}, which was not offered",
                welcome.minor
            )));
        }
        self.publisher.handle_welcome(welcome)?;
        self.commits.iter().for_each(|commit| write_commit(commit, &mut self.out));
        self.notices.push_back(Event::Welcome(Greeting::of(welcome)));
        Ok(())
    }

    /// The next connection will ask again.
    fn postpone(&mut self, at: usize, code: Code, text: &str) {
        self.subscriptions[at].handle_disconnected();
        let subscription = self.subscriptions[at].handle;
        self.notices.push_back(Event::Postponed { subscription, code, text: text.to_owned() });
    }

    fn numbered(&self, number: u32) -> Option<usize> {
        self.subscriptions.iter().position(|found| found.number == Some(number))
    }

    fn handle_subscribed(&mut self, subscribed: &Subscribed<'_>) -> Result<(), Fault> {
        let Some(at) = self.numbered(subscribed.subscription) else { return Ok(()) };
        self.subscriptions[at].open(subscribed)?;
        self.events.push_back(Event::Subscribed {
            subscription: self.subscriptions[at].handle,
            properties: subscribed.properties.iter().map(|(name, value)| (name.into(), value.into())).collect(),
            warnings: subscribed.warnings.iter().map(str::to_owned).collect(),
        });
        // What came before it has waited for the positions.
        for mut stream in std::mem::take(&mut self.streams) {
            let result = if stream.number() == Some(subscribed.subscription) {
                let held = stream.take_held();
                self.take_data(&mut stream, &held)
            } else {
                Ok(())
            };
            if !stream.has_ended {
                self.streams.push(stream);
            }
            result?;
        }
        Ok(())
    }

    fn forget_streams(&mut self, number: u32) {
        self.streams.iter_mut().filter(|stream| stream.number() == Some(number)).for_each(DataStream::ignore);
    }

    /// Bytes of a data stream, which QUIC numbers `stream`.
    pub fn handle_data(&mut self, stream: u64, bytes: &[u8]) -> Result<(), Fault> {
        let at = self.streams.iter().position(|found| found.id == stream);
        let mut found = match at {
            Some(at) => self.streams.swap_remove(at),
            None => DataStream::new(stream),
        };
        let result = self.take_data(&mut found, bytes);
        self.streams.push(found);
        result
    }

    fn take_data(&mut self, stream: &mut DataStream, bytes: &[u8]) -> Result<(), Fault> {
        let mut input = bytes;
        loop {
            if let Some(number) = stream.number() {
                match self.numbered(number) {
                    Some(at) if self.subscriptions[at].state == State::Asked => {
                        return stream.hold(input, self.subscriptions[at].window() as usize);
                    }
                    Some(_) => {}
                    None => stream.ignore(),
                }
            }
            let Some((kind, body)) = stream.take(&mut input)? else { return Ok(()) };
            if kind == frame::kind::DATA {
                // It is known now whose the rest is.
                continue;
            }
            if let Some(at) = stream.number().and_then(|number| self.numbered(number)) {
                self.subscriptions[at].handle_frame(kind, body, &mut self.events)?;
                self.check_events()?;
            }
        }
    }

    /// A data stream has ended; `is_reset`: not by its end.
    pub fn handle_data_end(&mut self, stream: u64, is_reset: bool) -> Result<(), Fault> {
        let Some(at) = self.streams.iter().position(|found| found.id == stream) else { return Ok(()) };
        if self.streams[at].is_holding() {
            // Its bytes are still wanted.
            self.streams[at].has_ended = true;
            return Ok(());
        }
        let found = self.streams.swap_remove(at);
        if is_reset || found.is_at_boundary() { Ok(()) } else { Err(body::cut()) }
    }
}

fn write_commit(commit: &PendingCommit, out: &mut Vec<u8>) {
    let Ok(positions) = Pairs::of(frame::kind::COMMIT, &commit.positions) else { return };
    let PendingCommit { request, subscriber, .. } = commit;
    let subscriber = &subscriber[..subscriber.floor_char_boundary(bounds::NAME_BYTES_MAX)];
    Control::Commit(Commit { request: *request, subscriber, positions }).write(out);
}
