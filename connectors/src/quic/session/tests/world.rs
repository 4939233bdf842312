//! A node, a client and the streams between them, in memory and from a seed: the node has a model of the log that keeps a
//! published event once, the streams bring their bytes in pieces and in any order among each other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use engine::batch::{Batch, HeaderWriter};
use engine::event::Event as Row;
use engine::lane::{Delivery, Rows};

use crate::quic::frame::{Code, DataFrame, DataHeader, Welcome, head, kind, varint};
use crate::quic::session::client::{ClientSettings, Event, SubscribeOptions};
use crate::quic::session::server::{
    Action, Grant, Kept, Opened, Outgoing, PublishTicket, Rejected, StartAt, Wanted, write_position,
};
use crate::quic::session::{Client, QuicLimits, Server};

const PARTITIONS: u32 = 4;

/// Whether an event with this number matches a filter: `m3` every third, `x3` all but those, nothing all.
fn matches(filter: &str, number: u64) -> bool {
    let by = || filter[1..].parse::<u64>().expect("a number");
    match filter.bytes().next() {
        Some(b'm') => number.is_multiple_of(by()),
        Some(_) => !number.is_multiple_of(by()),
        None => true,
    }
}

/// The number in an event's data.
fn number(event: &Row<'_>) -> u64 {
    let text = std::str::from_utf8(event.data().expect("data")).expect("text");
    text.split(':').next().and_then(|digits| digits.parse().ok()).expect("a number")
}

#[derive(Debug, Default)]
struct Log {
    batches: Vec<Vec<Arc<Batch>>>,
    ends: Vec<u64>,
    /// Per partition and producer the sequence that it goes on with.
    producers: HashMap<(u32, u64), u64>,
}

impl Log {
    fn append(&mut self, mut batch: Batch, fails: bool) -> Result<Kept, Rejected> {
        let (partition, rows) = (batch.partition(), batch.rows().len() as u64);
        let stamp = batch.producer().expect("it was published");
        let next = self.producers.entry((partition, stamp.producer)).or_insert(stamp.sequence);
        let rejected = |code, expected| Err(Rejected { code, text: "no".to_owned(), expected });
        if stamp.sequence > *next {
            return rejected(Code::OUT_OF_ORDER, Some(*next));
        }
        if stamp.sequence + rows <= *next {
            return Ok(Kept { end_offset: 0 });
        }
        assert_eq!(stamp.sequence, *next, "frames are sent again as they were");
        if fails {
            return rejected(Code::LOG_FAILED, None);
        }
        *next += rows;
        let end = &mut self.ends[partition as usize];
        batch.set_base_offset(*end);
        *end += rows;
        let kept = Kept { end_offset: *end };
        self.batches[partition as usize].push(Arc::new(batch));
        Ok(kept)
    }

    /// What a node knows when it starts again: what stands in the batches.
    fn restart(&mut self) {
        self.producers.clear();
        for batch in self.batches.iter().flatten() {
            let stamp = batch.producer().expect("it was published");
            let next = stamp.sequence + batch.rows().len() as u64;
            self.producers.insert((batch.partition(), stamp.producer), next);
        }
    }

    fn events(&self, partition: u32) -> Vec<(u64, u64)> {
        let rows = self.batches[partition as usize].iter().flat_map(|batch| {
            (0..batch.rows().len()).map(|row| {
                let event = Row::new(batch, row);
                (event.offset(), number(&event))
            })
        });
        rows.collect()
    }
}

/// A subscription as the node serves it.
#[derive(Debug)]
struct Served {
    number: u32,
    filter: String,
    /// Per group its stream and, per partition, where it is.
    groups: Vec<(u64, Vec<(u32, u64)>)>,
}

/// One direction of one stream.
#[derive(Debug, Default)]
struct Pipe(VecDeque<u8>);

impl Pipe {
    fn put(&mut self, bytes: &[u8]) {
        self.0.extend(bytes);
    }

    fn take(&mut self, random: &mut fastrand::Rng) -> Vec<u8> {
        let most = if random.u8(..4) == 0 { 5 } else { 3_000 };
        let count = random.usize(..=self.0.len().min(most));
        self.0.drain(..count).collect()
    }
}

/// A connection.
#[derive(Debug)]
struct Link {
    id: u64,
    server: Server,
    served: Vec<Served>,
    control_up: Pipe,
    control_down: Pipe,
    publish: Vec<Pipe>,
    data: BTreeMap<u64, Pipe>,
    next_stream: u64,
}

/// What the client's owner has of a subscription.
#[derive(Debug, Default)]
struct Seen {
    filter: String,
    starts: Vec<(u32, u64)>,
    events: BTreeMap<u32, Vec<(u64, u64)>>,
}

#[derive(Debug)]
pub(super) struct World {
    random: fastrand::Rng,
    now_ms: u64,
    log: Log,
    /// On the way to the log, of any connection.
    queue: VecDeque<(u64, PublishTicket, Batch)>,
    cursors: BTreeMap<u32, u64>,
    link: Option<Link>,
    links: u64,
    client: Client,
    to_publish: u64,
    published: u64,
    seen: BTreeMap<u32, Seen>,
    committing: BTreeMap<u64, Vec<(u32, u64)>>,
    pub cuts: u32,
    pub kills: u32,
    pub refusals: u32,
    pub changes: u32,
    /// The node has said GOAWAY.
    is_going: bool,
    pub encodings: [u32; 3],
}

impl World {
    pub fn new(seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let settings = ClientSettings {
            producer: random.u128(..).to_be_bytes(),
            publish_streams: random.u32(1..4),
            ..ClientSettings::default()
        };
        let mut client = Client::new(settings);
        let mut seen = BTreeMap::new();
        let starts = [StartAt::Earliest, StartAt::Latest, StartAt::Earliest];
        for (filter, start) in ["", "m3", "x20"].into_iter().zip(starts) {
            let options = SubscribeOptions {
                filter: filter.to_owned(),
                start,
                groups: random.u32(1..=4),
                window_bytes: random.u64(500..50_000),
                ..SubscribeOptions::default()
            };
            seen.insert(client.subscribe(options), Seen { filter: filter.to_owned(), ..Seen::default() });
        }
        let log = Log {
            batches: vec![Vec::new(); PARTITIONS as usize],
            ends: vec![0; PARTITIONS as usize],
            producers: HashMap::new(),
        };
        Self {
            to_publish: random.u64(50..400),
            random,
            now_ms: 1,
            log,
            queue: VecDeque::new(),
            cursors: BTreeMap::new(),
            link: None,
            links: 0,
            client,
            published: 0,
            seen,
            committing: BTreeMap::new(),
            cuts: 0,
            kills: 0,
            refusals: 0,
            changes: 0,
            is_going: false,
            encodings: [0; 3],
        }
    }

    pub fn run(&mut self, steps: u32) {
        for _ in 0..steps {
            match self.random.u32(..1000) {
                0..=3 => self.cut(),
                4 => self.kill(),
                5 => self.go_away(),
                6 | 7 => self.change(),
                8..=99 => self.publish(),
                100..=119 => self.commit(),
                120..=249 => self.append(true),
                _ => self.turn(),
            }
        }
    }

    /// No more faults: everything arrives.
    pub fn settle(&mut self) {
        if self.is_going {
            self.cut();
        }
        self.finish();
        // A client that starts again with nothing but the name it committed under.
        let start = StartAt::Cursor { subscriber: "billing".to_owned(), else_earliest: true };
        let options = SubscribeOptions { start, window_bytes: 2_000, ..SubscribeOptions::default() };
        self.seen.insert(self.client.subscribe(options), Seen::default());
        self.finish();
    }

    fn finish(&mut self) {
        for _ in 0..200_000 {
            self.publish();
            self.client.flush();
            self.append(false);
            self.turn();
            self.turn();
            if self.published == self.to_publish && self.client.is_all_settled() && self.is_caught_up() {
                return;
            }
        }
        panic!("it never ends: {self:#?}");
    }

    fn is_caught_up(&self) -> bool {
        let Some(link) = &self.link else { return false };
        link.served.len() == self.seen.len()
            && self.committing.is_empty()
            && self.seen.keys().all(|handle| {
                let positions = self.client.positions(*handle);
                positions.len() == PARTITIONS as usize
                    && positions.iter().all(|(partition, next)| *next == self.log.ends[*partition as usize])
            })
    }

    fn cut(&mut self) {
        self.is_going = false;
        if self.link.take().is_some() {
            self.client.handle_disconnected();
            self.cuts += 1;
        }
    }

    /// The node ends this connection soon.
    fn go_away(&mut self) {
        if let Some(link) = self.link.as_mut().filter(|_| !self.is_going) {
            link.server.go_away(Code::GOING_AWAY, 10, "restart", "");
            self.is_going = true;
        }
    }

    /// What a subscription was opened on changes.
    fn change(&mut self) {
        let Some(link) = &mut self.link else { return };
        if let Some(served) = link.served.pop() {
            link.server.handle_ended(served.number, Code::SOURCE_CHANGED, "changed").expect("it is open");
            self.changes += 1;
        }
    }

    fn kill(&mut self) {
        self.cut();
        self.queue.clear();
        self.log.restart();
        self.kills += 1;
    }

    fn publish(&mut self) {
        if self.published == self.to_publish || self.links == 0 {
            return;
        }
        let data = format!("{}:{}", self.published, "x".repeat(self.random.usize(..200)));
        // The key of a number is always the same, so order can be told per key.
        let key = format!("key-{}", self.published % 11);
        let mut headers = HeaderWriter::default();
        engine::event::put_attribute(&mut headers, "type", "t");
        if self.client.publish(Some(key.as_bytes()), data.as_bytes(), &headers).is_ok() {
            self.published += 1;
        }
        if self.random.u8(..8) == 0 {
            self.client.flush();
        }
    }

    fn commit(&mut self) {
        let Some(handle) = self.seen.keys().next().copied() else { return };
        let positions = self.client.positions(handle);
        if !positions.is_empty() && self.committing.len() < 4 {
            let request = self.client.commit("billing", &positions);
            self.committing.insert(request, positions);
        }
    }

    /// The log takes one batch of those that are on the way.
    fn append(&mut self, may_fail: bool) {
        let Some((id, ticket, batch)) = self.queue.pop_front() else { return };
        let fails = may_fail && self.random.u8(..20) == 0;
        let result = self.log.append(batch, fails);
        self.refusals += u32::from(result.is_err());
        if let Some(link) = self.link.as_mut().filter(|link| link.id == id) {
            link.server.handle_appended(&ticket, result);
        }
    }

    fn connect(&mut self) {
        self.links += 1;
        self.client.handle_connected();
        let limits = QuicLimits { publish_in_flight_bytes_max: 4_000, commits_max: 2, ..QuicLimits::default() };
        self.link = Some(Link {
            id: self.links,
            server: Server::new(limits, true),
            served: Vec::new(),
            control_up: Pipe::default(),
            control_down: Pipe::default(),
            publish: (0..8).map(|_| Pipe::default()).collect(),
            data: BTreeMap::new(),
            next_stream: 3,
        });
    }

    /// One piece of work of those that are always there.
    fn turn(&mut self) {
        self.now_ms += self.random.u64(..20);
        if self.link.is_none() {
            return self.connect();
        }
        match self.random.u8(..9) {
            0 => self.client_sends(),
            1 => self.server_acts(),
            2 => self.server_serves(),
            3 => self.take_event(),
            4 => {
                let Some(link) = &mut self.link else { return };
                if link.server.wants_control() {
                    let bytes = link.control_up.take(&mut self.random);
                    link.server.handle_control(&bytes).expect("the client keeps the rules");
                }
            }
            5 => {
                let Some(link) = &mut self.link else { return };
                let index = self.random.usize(..link.publish.len());
                if link.server.wants_publish() && !link.publish[index].0.is_empty() {
                    let bytes = link.publish[index].take(&mut self.random);
                    let stream = 2 + 4 * index as u64;
                    link.server.handle_publish(stream, &bytes, self.now_ms as i64).expect("the client keeps the rules");
                }
            }
            6 => {
                let Some(link) = &mut self.link else { return };
                let mut out = Vec::new();
                link.server.poll_control(&mut out).expect("the client keeps the rules");
                link.control_down.put(&out);
            }
            7 => {
                let Some(link) = &mut self.link else { return };
                let bytes = link.control_down.take(&mut self.random);
                self.client.handle_control(&bytes, self.now_ms).expect("the node keeps the rules");
            }
            _ => {
                let Some(link) = &mut self.link else { return };
                let waiting: Vec<u64> = link.data.keys().copied().collect();
                if !waiting.is_empty() {
                    let stream = waiting[self.random.usize(..waiting.len())];
                    let bytes = link.data.get_mut(&stream).expect("listed").take(&mut self.random);
                    self.client.handle_data(stream, &bytes).expect("the node keeps the rules");
                }
            }
        }
    }

    fn client_sends(&mut self) {
        let Some(link) = &mut self.link else { return };
        let mut out = Vec::new();
        self.client.poll_control(&mut out);
        link.control_up.put(&out);
        for index in 0..self.client.publish_streams() {
            out.clear();
            self.client.poll_publish(index, self.now_ms, &mut out, 1_000);
            link.publish[index as usize].put(&out);
        }
    }

    fn server_acts(&mut self) {
        let Some(link) = &mut self.link else { return };
        let Some(action) = link.server.poll_action() else { return };
        let done = match action {
            Action::Authenticate(_) => link.server.handle_authenticated(Grant {
                principal: "ann".to_owned(),
                permissions: Welcome::MAY_READ | Welcome::MAY_PUBLISH | Welcome::MAY_COMMIT,
                partitions: PARTITIONS,
                ..Grant::default()
            }),
            Action::Subscribe(wanted) => {
                let opened = open(link, &self.log, &self.cursors, &wanted);
                link.server.handle_opened(wanted.subscription, &opened)
            }
            Action::Unsubscribe { subscription } => link.server.handle_ended(subscription, Code::NONE, ""),
            Action::Commit { subscriber, positions } => {
                assert_eq!(subscriber, "billing");
                self.cursors = positions.into_iter().collect();
                link.server.handle_committed(Ok(()))
            }
            Action::Append(append) => {
                self.queue.push_back((link.id, append.ticket, append.batch));
                Ok(())
            }
        };
        done.expect("the client keeps the rules");
    }

    /// One batch of one partition to one subscription.
    fn server_serves(&mut self) {
        let Some(link) = &mut self.link else { return };
        if link.served.is_empty() {
            return;
        }
        let at = self.random.usize(..link.served.len());
        let served = &mut link.served[at];
        let group = self.random.usize(..served.groups.len());
        let (stream, places) = &mut served.groups[group];
        let place = self.random.usize(..places.len());
        let (partition, next) = &mut places[place];
        let batches = &self.log.batches[*partition as usize];
        let Some(batch) = batches.iter().find(|batch| batch.last_offset() >= *next) else { return };
        if !link.server.may_send(served.number) {
            return;
        }
        let rows: Vec<u16> = (0..batch.rows().len())
            .filter(|row| matches(&served.filter, number(&Row::new(batch, *row))))
            .map(|row| row as u16)
            .collect();
        let from = std::mem::replace(next, batch.last_offset() + 1);
        let rows = if rows.len() == batch.rows().len() { Rows::All } else { Rows::Some(rows.into()) };
        let delivery = Delivery { batch: batch.clone(), rows, enrichments: Arc::from([]), table_version: 1 };
        let mut out = Outgoing::default();
        match (!delivery.is_empty()).then(|| delivery.from_offset(from)).flatten() {
            Some(delivery) => {
                link.server.write_delivery(served.number, &delivery, &mut out);
                let out = out.take().concat();
                self.encodings[encoding(&out)] += 1;
                link.data.get_mut(stream).expect("it is open").put(&out);
            }
            None => {
                write_position(out.tail(), *partition, *next);
                link.data.get_mut(stream).expect("it is open").put(out.tail());
            }
        }
    }

    fn take_event(&mut self) {
        match self.client.poll_event() {
            Some(Event::Subscribed { subscription, .. }) => {
                let seen = self.seen.get_mut(&subscription).expect("ours");
                if seen.starts.is_empty() {
                    seen.starts = self.client.positions(subscription);
                }
            }
            Some(Event::Batch(received)) => {
                let seen = self.seen.get_mut(&received.subscription).expect("ours");
                let events = seen.events.entry(received.partition).or_default();
                events.extend(received.events().map(|event| (event.offset(), number(&event))));
            }
            Some(Event::Committed { request, result }) => {
                assert_eq!(result, Ok(()));
                let wanted = self.committing.remove(&request).expect("it was asked for once");
                assert!(wanted.iter().all(|(partition, next)| self.cursors[partition] >= *next));
            }
            Some(Event::Welcome(_) | Event::GoingAway { .. } | Event::Postponed { .. }) | None => {}
            Some(other) => panic!("{other:?}"),
        }
    }

    pub fn check(&self) {
        for (handle, seen) in &self.seen {
            assert_eq!(seen.starts.len(), PARTITIONS as usize);
            for (partition, start) in &seen.starts {
                let all = self.log.events(*partition).into_iter();
                let wanted: Vec<_> =
                    all.filter(|(offset, number)| offset >= start && matches(&seen.filter, *number)).collect();
                let got = seen.events.get(partition).cloned().unwrap_or_default();
                assert_eq!(got, wanted, "subscription {handle}, partition {partition} from {start}");
            }
        }
        let mut kept: Vec<u64> = Vec::new();
        for partition in 0..PARTITIONS {
            let numbers: Vec<u64> = self.log.events(partition).into_iter().map(|(_, number)| number).collect();
            assert!(numbers.is_sorted(), "order in partition {partition}: {numbers:?}");
            assert_eq!(self.client.settled(partition), numbers.len() as u64);
            kept.extend(numbers);
        }
        kept.sort_unstable();
        assert_eq!(kept, (0..self.to_publish).collect::<Vec<_>>(), "each event once");
    }
}

/// Opens a subscription of the node: its streams, and where each partition begins.
fn open(link: &mut Link, log: &Log, cursors: &BTreeMap<u32, u64>, wanted: &Wanted) -> Opened {
    let starts: Vec<(u32, u64)> = match &wanted.start {
        StartAt::Latest => (0..PARTITIONS).map(|partition| (partition, log.ends[partition as usize])).collect(),
        StartAt::Offsets(offsets) => offsets.clone(),
        StartAt::Cursor { .. } => {
            (0..PARTITIONS).map(|partition| (partition, cursors.get(&partition).copied().unwrap_or(0))).collect()
        }
        _ => (0..PARTITIONS).map(|partition| (partition, 0)).collect(),
    };
    let each = starts.len().div_ceil(wanted.groups_max as usize);
    let groups: Vec<Vec<(u32, u64)>> = starts.chunks(each).map(<[_]>::to_vec).collect();
    let mut served = Served { number: wanted.subscription, filter: wanted.filter.clone(), groups: Vec::new() };
    for (group, places) in groups.iter().enumerate() {
        let mut header = Vec::new();
        let data = DataHeader { subscription: wanted.subscription, group: group as u32 };
        DataFrame::Header(data).write(&mut header);
        link.data.entry(link.next_stream).or_default().put(&header);
        served.groups.push((link.next_stream, places.clone()));
        link.next_stream += 4;
    }
    link.served.push(served);
    Opened { groups, may_see_all: true, ..Opened::default() }
}

/// The encoding of the BATCH that `bytes` are.
fn encoding(bytes: &[u8]) -> usize {
    let found = head(bytes, usize::MAX).expect("a frame").expect("whole");
    assert_eq!((found.kind, found.total()), (kind::BATCH, bytes.len()));
    let mut rest = &bytes[found.head_bytes..];
    let mut next = || {
        let (value, length) = varint::get(rest).expect("a number");
        rest = &rest[length..];
        value
    };
    let (_partition, _next_offset) = (next(), next());
    next() as usize
}
