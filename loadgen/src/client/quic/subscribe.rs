//! One subscriber that reads and checks everything: batches against their checksum, events against their offsets, positions against
//! what went before. When its connection breaks it goes on from its positions.
//!
//! What always holds: an event is shown once, in the order of its partition, and before the position behind it; a commit names only
//! what was shown.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Endpoint, RecvStream, SendStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::QuicError;
use super::codec::{
    self, Answer, Batch, Commit, Control, Data, Frames, Start, Subscribe, crc_is_right, write_commit, write_credit,
    write_subscribe,
};
use super::dial::{ControlReader, DialError, Dialer, Link, ended, leave, not_the_protocol, write_ended};
use super::plan::{Access, From, Wanted};
use crate::client::told;

const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Pieces of streams that wait to be looked at.
const PIECES_MAX: usize = 64;
/// The only subscription of a connection.
const SUBSCRIPTION: u32 = 1;

/// A subscriber.
#[derive(Clone, Debug)]
pub struct SubscribePlan {
    /// Where to and how to get in.
    pub access: Access,
    /// What to.
    pub wanted: Wanted,
    /// Commit under this name, after so many events and at the end.
    pub commit: Option<(String, u64)>,
    /// The data stream of this group is not read while it says true.
    pub held: Option<(usize, watch::Receiver<bool>)>,
}

/// One event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// Its partition.
    pub partition: u32,
    /// Its offset there.
    pub offset: u64,
    /// When the node accepted it, in milliseconds since 1970.
    pub time_ms: i64,
    /// The partition key.
    pub key: Option<&'a [u8]>,
    /// Its data.
    pub value: Option<&'a [u8]>,
}

/// What a subscriber is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The subscription stands: where its partitions begin. Again after every connection that broke.
    Opened(&'a BTreeMap<u32, u64>),
    /// An event.
    Event(Event<'a>),
    /// Everything of a partition before this offset has been shown.
    Position(u32, u64),
    /// The node has these events of a partition no more: from, and up to.
    Lost(u32, u64, u64),
    /// So many events of one batch are on their way: what is behind them is not.
    BatchEnds,
}

/// What a subscriber saw.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscribeOutcome {
    /// Events shown.
    pub events: u64,
    /// Bytes of their data.
    pub bytes: u64,
    /// BATCH frames.
    pub batches: u64,
    /// Of them, those with a mask.
    pub masked: u64,
    /// Events that the node said to be lost.
    pub lost: u64,
    /// Commits that the node has kept.
    pub commits: u64,
    /// Connections that broke.
    pub reconnects: u64,
    /// Where each partition would go on.
    pub positions: BTreeMap<u32, u64>,
}

/// Why a connection ended.
enum End {
    Stopped,
    Broken(String),
    Fatal(QuicError),
}

impl std::convert::From<DialError> for End {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Again(why) => Self::Broken(why),
            DialError::Fatal(error) => Self::Fatal(error),
        }
    }
}

/// What comes in.
enum Input {
    Control(Control),
    /// A piece of a data stream, by its place among those of the connection.
    Data(usize, Bytes),
    Ended(DialError),
}

/// A data stream.
#[derive(Default)]
struct Group {
    frames: Frames,
    /// By its header.
    number: Option<u32>,
}

struct Subscriber<F> {
    plan: SubscribePlan,
    show: F,
    outcome: SubscribeOutcome,
    ready: Option<oneshot::Sender<()>>,
    /// Partitions of each group; empty until SUBSCRIBED has come.
    groups: Vec<Vec<u32>>,
    streams: Vec<Group>,
    /// Bytes since credit was given last.
    used: u64,
    /// Events shown since the last commit, commits without an answer, and their numbers.
    uncommitted: u64,
    committing: u64,
    request: u64,
    out: Vec<u8>,
}

/// Shows everything of the plan's subscription until `stop` says true. `ready` hears when it stands for the first time.
pub async fn subscribe(
    plan: SubscribePlan,
    mut stop: watch::Receiver<bool>,
    ready: Option<oneshot::Sender<()>>,
    show: impl FnMut(Seen<'_>),
) -> Result<SubscribeOutcome, QuicError> {
    let dialer = Dialer::new(plan.access.clone()).await?;
    let endpoint = dialer.endpoint()?;
    let mut subscriber = Subscriber {
        plan,
        show,
        outcome: SubscribeOutcome::default(),
        ready,
        groups: Vec::new(),
        streams: Vec::new(),
        used: 0,
        uncommitted: 0,
        committing: 0,
        request: 0,
        out: Vec::new(),
    };
    let result = subscriber.run(&dialer, &endpoint, &mut stop).await;
    leave(&endpoint).await;
    result.map(|()| subscriber.outcome)
}

impl<F: FnMut(Seen<'_>)> Subscriber<F> {
    async fn run(
        &mut self,
        dialer: &Dialer,
        endpoint: &Endpoint,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), QuicError> {
        let access = dialer.access();
        let (mut pause, mut trying_since, mut attempt) = (PAUSE_FIRST, Instant::now(), 0u32);
        loop {
            let opened = tokio::select! {
                opened = dialer.dial(endpoint, attempt) => opened,
                () = told(stop) => return Ok(()),
            };
            attempt = attempt.wrapping_add(1);
            let end = match opened {
                Ok(link) => {
                    let before = self.outcome.events;
                    let connection = link.connection.clone();
                    let end = self.drive(link, stop).await;
                    connection.close(0u32.into(), b"");
                    if matches!(end, End::Broken(_)) {
                        self.outcome.reconnects += 1;
                        if self.outcome.events > before {
                            (pause, trying_since) = (PAUSE_FIRST, Instant::now());
                        }
                    }
                    end
                }
                Err(error) => error.into(),
            };
            let why = match end {
                End::Stopped => return Ok(()),
                End::Fatal(error) => return Err(error),
                End::Broken(why) => why,
            };
            if trying_since.elapsed() >= access.give_up_after {
                let target = access.target.to_string();
                return Err(QuicError::Unreachable { target, after: trying_since.elapsed(), why });
            }
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = told(stop) => return Ok(()),
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    async fn drive(&mut self, link: Link, stop: &mut watch::Receiver<bool>) -> End {
        match self.drive_untold(link, stop).await {
            Ok(()) => End::Stopped,
            Err(error) => error.into(),
        }
    }

    async fn drive_untold(&mut self, link: Link, stop: &mut watch::Receiver<bool>) -> Result<(), DialError> {
        let access = self.plan.access.clone();
        let Link { connection, mut send, control, .. } = link;
        (self.used, self.committing, self.uncommitted) = (0, 0, 0);
        self.groups.clear();
        self.streams.clear();
        self.out.clear();
        self.write_subscribe();
        let (give, mut take) = mpsc::channel(PIECES_MAX);
        // Ended with this function.
        let mut readers = JoinSet::new();
        readers.spawn(read_control(access.clone(), control, give.clone()));
        let mut ends = false;
        loop {
            self.flush(&connection, &mut send).await?;
            if ends && self.committing == 0 {
                return Ok(());
            }
            tokio::select! {
                input = take.recv() => match input {
                    Some(Input::Control(frame)) => self.take_control(frame)?,
                    Some(Input::Data(at, bytes)) => {
                        self.streams[at].frames.push(&bytes);
                        if !self.groups.is_empty() {
                            self.take_data(at)?;
                        }
                    }
                    Some(Input::Ended(error)) => return Err(error),
                    None => return Err(DialError::Again("nobody reads the connection any more".to_owned())),
                },
                stream = connection.accept_uni() => {
                    let stream = stream.map_err(|error| ended(&access, error))?;
                    // The node opens them in the order of the groups.
                    let at = self.streams.len();
                    let held = self.plan.held.as_ref().filter(|(group, _)| *group == at).map(|(_, held)| held.clone());
                    readers.spawn(read_data(access.clone(), at, stream, held, give.clone()));
                    self.streams.push(Group::default());
                }
                () = told(stop), if !ends => {
                    ends = true;
                    self.commit();
                }
                // Whoever ends does not wait for an answer for ever.
                () = tokio::time::sleep(access.request_timeout), if ends => return Ok(()),
            }
        }
    }

    fn write_subscribe(&mut self) {
        let wanted = &self.plan.wanted;
        // Where there are positions, it goes on from them.
        let positions: Vec<(u32, u64)> =
            self.outcome.positions.iter().map(|(partition, offset)| (*partition, *offset)).collect();
        let start = match &wanted.from {
            _ if !positions.is_empty() => Start::Offsets(&positions),
            From::Latest => Start::Latest,
            From::Earliest => Start::Earliest,
            From::TimeMs(time_ms) => Start::TimeMs(*time_ms),
            From::Cursor(name) => Start::Cursor(name),
            From::Offsets(offsets) => Start::Offsets(offsets),
        };
        let subscribe = Subscribe {
            subscription: SUBSCRIPTION,
            credit: wanted.credit_bytes,
            start,
            route: wanted.route.as_deref(),
            filter: wanted.filter.as_deref(),
            dialect: wanted.dialect.as_deref(),
            groups: Some(wanted.groups.into()),
            encodings: Some(wanted.encodings.into()),
        };
        write_subscribe(&subscribe, &mut self.out);
    }

    async fn flush(&mut self, connection: &quinn::Connection, send: &mut SendStream) -> Result<(), DialError> {
        if !self.out.is_empty() {
            let written = send.write_all(&self.out).await;
            written.map_err(|error| write_ended(&self.plan.access, connection, error))?;
            self.out.clear();
        }
        Ok(())
    }

    fn wrong(&self, what: impl ToString) -> DialError {
        not_the_protocol(&self.plan.access, what)
    }

    fn take_control(&mut self, frame: Control) -> Result<(), DialError> {
        match frame {
            Control::Subscribed { subscription: SUBSCRIPTION, groups, .. } if self.groups.is_empty() => {
                let opened: BTreeMap<u32, u64> = groups.iter().flatten().copied().collect();
                if opened.len() != groups.iter().map(Vec::len).sum::<usize>() || opened.is_empty() {
                    return Err(self.wrong("a subscription without partitions, or with one of them twice"));
                }
                if !self.outcome.positions.is_empty() && opened != self.outcome.positions {
                    return Err(self.wrong("it does not go on where it was asked to"));
                }
                self.groups =
                    groups.iter().map(|group| group.iter().map(|(partition, _)| *partition).collect()).collect();
                self.outcome.positions = opened;
                (self.show)(Seen::Opened(&self.outcome.positions));
                if let Some(ready) = self.ready.take() {
                    // Who does not listen any more does not want to know.
                    ready.send(()).ok();
                }
                // What was faster than this frame.
                (0..self.streams.len()).try_for_each(|at| self.take_data(at))
            }
            Control::Ended(Answer { code: codec::code::NONE, .. }) => {
                Err(DialError::Again("the node ended the subscription".to_owned()))
            }
            Control::Refused(answer) | Control::Ended(answer) => Err(self.refused("the subscription", answer)),
            Control::Committed(answer) if answer.code != 0 => Err(self.refused("a commit", answer)),
            Control::Committed(_) if self.committing > 0 => {
                self.committing -= 1;
                self.outcome.commits += 1;
                Ok(())
            }
            Control::GoAway { code, text } => {
                Err(DialError::Again(format!("the node goes away with code {code:#04x}: {text}")))
            }
            _ => Err(self.wrong("an answer to no question")),
        }
    }

    fn refused(&self, what: &str, answer: Answer) -> DialError {
        let Answer { code, text, advice, .. } = answer;
        match codec::code::is_passing(code) {
            true => DialError::Again(format!("{what} was refused: {text}")),
            false => {
                let (target, what) = (self.plan.access.target.to_string(), what.to_owned());
                DialError::Fatal(QuicError::Subscription { target, what, code, text, advice })
            }
        }
    }

    /// Looks at the whole frames of a data stream.
    fn take_data(&mut self, at: usize) -> Result<(), DialError> {
        let mut frames = std::mem::take(&mut self.streams[at].frames);
        let mut number = self.streams[at].number;
        let taken = loop {
            match frames.data() {
                Ok(None) => break Ok(()),
                Ok(Some(frame)) => {
                    if let Err(error) = self.take_frame(&mut number, frame) {
                        break Err(error);
                    }
                }
                Err(error) => break Err(self.wrong(error)),
            }
        };
        self.streams[at] = Group { frames, number };
        taken
    }

    fn take_frame(&mut self, number: &mut Option<u32>, frame: Data<'_>) -> Result<(), DialError> {
        let Some(group) = *number else {
            let Data::Header { subscription: SUBSCRIPTION, group } = frame else {
                return Err(self.wrong("a data stream does not begin with its header"));
            };
            if group as usize >= self.groups.len() {
                return Err(self.wrong("a data stream of no group"));
            }
            *number = Some(group);
            return Ok(());
        };
        match frame {
            Data::Header { .. } => Err(self.wrong("a second header of a data stream")),
            Data::Position { partition, next_offset } => self.go_on(group, partition, next_offset),
            Data::Lost { partition, from, to } => {
                self.go_on(group, partition, to)?;
                self.outcome.lost += to - from;
                (self.show)(Seen::Lost(partition, from, to));
                Ok(())
            }
            Data::Batch { partition, next_offset, mask, batch, body_bytes } => {
                self.take_batch(group, partition, next_offset, mask, batch)?;
                self.used += body_bytes as u64;
                if self.used >= self.plan.wanted.credit_bytes / 2 {
                    write_credit(SUBSCRIPTION, std::mem::take(&mut self.used), &mut self.out);
                }
                let every = self.plan.commit.as_ref().map_or(u64::MAX, |(_, every)| *every);
                if self.uncommitted >= every {
                    self.commit();
                }
                Ok(())
            }
        }
    }

    fn take_batch(
        &mut self,
        group: u32,
        partition: u32,
        next_offset: u64,
        mask: Option<&[u8]>,
        batch: &[u8],
    ) -> Result<(), DialError> {
        let known = self.outcome.positions.get(&partition).copied();
        let Some(from) = known else { return Err(self.wrong("a batch of a partition that was not subscribed to")) };
        if !crc_is_right(batch) {
            return Err(self.wrong(format!("a batch of partition {partition} has a wrong checksum")));
        }
        let mut records = Batch::new(batch).map_err(|error| self.wrong(error))?;
        if mask.is_some_and(|mask| !is_mask_of(mask, records.len() as usize)) {
            return Err(self.wrong("a mask that is not of its batch"));
        }
        let (mut row, mut least) = (0usize, 0);
        loop {
            let record = match records.next() {
                Ok(None) => break,
                Ok(Some(record)) => record,
                Err(error) => return Err(self.wrong(error)),
            };
            if record.offset < least || record.offset >= next_offset {
                let what = format!("offset {} of partition {partition} is out of order", record.offset);
                return Err(self.wrong(what));
            }
            least = record.offset + 1;
            let matches = mask.is_none_or(|mask| mask[row / 8] >> (row % 8) & 1 == 1);
            row += 1;
            if !matches || record.offset < from {
                continue;
            }
            let codec::Record { offset, time_ms, key, value } = record;
            self.outcome.events += 1;
            self.outcome.bytes += value.map_or(0, |value| value.len() as u64);
            self.uncommitted += 1;
            (self.show)(Seen::Event(Event { partition, offset, time_ms, key, value }));
        }
        self.outcome.batches += 1;
        self.outcome.masked += u64::from(mask.is_some());
        self.go_on(group, partition, next_offset)?;
        (self.show)(Seen::BatchEnds);
        Ok(())
    }

    fn go_on(&mut self, group: u32, partition: u32, next_offset: u64) -> Result<(), DialError> {
        let is_of_group = self.groups.get(group as usize).is_some_and(|group| group.contains(&partition));
        match self.outcome.positions.get_mut(&partition) {
            Some(position) if is_of_group && *position <= next_offset => {
                *position = next_offset;
                (self.show)(Seen::Position(partition, next_offset));
                Ok(())
            }
            Some(position) if is_of_group => {
                let what = format!("partition {partition} goes back from {position} to {next_offset}");
                Err(self.wrong(what))
            }
            _ => Err(self.wrong(format!("partition {partition} comes on the stream of another group"))),
        }
    }

    /// Commits all positions.
    fn commit(&mut self) {
        if let Some((subscriber, _)) = &self.plan.commit
            && !self.outcome.positions.is_empty()
        {
            let positions: Vec<(u32, u64)> =
                self.outcome.positions.iter().map(|(partition, offset)| (*partition, *offset)).collect();
            self.request += 1;
            self.committing += 1;
            self.uncommitted = 0;
            write_commit(&Commit { request: self.request, subscriber, positions: &positions }, &mut self.out);
        }
    }
}

/// A bit for each event, up to a whole byte, and none behind the last event.
fn is_mask_of(mask: &[u8], events: usize) -> bool {
    let padding = match events % 8 {
        0 => 0,
        used => 0xff << used,
    };
    mask.len() == events.div_ceil(8) && mask.last().is_none_or(|last| last & padding == 0)
}

async fn read_control(access: Access, mut control: ControlReader, give: mpsc::Sender<Input>) {
    loop {
        let (input, is_over) = match control.next(&access).await {
            Ok(frame) => (Input::Control(frame), false),
            Err(error) => (Input::Ended(error), true),
        };
        if give.send(input).await.is_err() || is_over {
            return;
        }
    }
}

async fn read_data(
    access: Access,
    at: usize,
    mut stream: RecvStream,
    mut held: Option<watch::Receiver<bool>>,
    give: mpsc::Sender<Input>,
) {
    loop {
        if let Some(held) = &mut held {
            // Nobody is there any more to hold it: it goes on.
            let _ = held.wait_for(|held| !held).await;
        }
        let input = match stream.read_chunk(usize::MAX, true).await {
            Ok(Some(chunk)) => Input::Data(at, chunk.bytes),
            // The end of a subscription is told on the control stream.
            Ok(None) | Err(quinn::ReadError::Reset(_)) => return,
            Err(quinn::ReadError::ConnectionLost(error)) => Input::Ended(ended(&access, error)),
            Err(error) => Input::Ended(DialError::Again(error.to_string())),
        };
        let is_over = matches!(input, Input::Ended(_));
        if give.send(input).await.is_err() || is_over {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::is_mask_of;

    #[test]
    fn a_mask_has_a_bit_for_each_event_and_no_more() {
        assert!(is_mask_of(&[0b101], 3) && is_mask_of(&[0xff], 8) && is_mask_of(&[0, 1], 9) && is_mask_of(&[], 0));
        assert!(!is_mask_of(&[0b1101], 3) && !is_mask_of(&[0xff], 7) && !is_mask_of(&[0, 2], 9));
        assert!(!is_mask_of(&[1, 0], 8) && !is_mask_of(&[1], 9));
    }
}
