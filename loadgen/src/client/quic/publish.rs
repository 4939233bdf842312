//! One publishing connection: opened, driven, opened again when it breaks, ended; and the thread that carries some of them.
//!
//! What always holds: an event is in the ledger before its first byte leaves, and acknowledged there only after an ACK that covers it;
//! a producer's 16 bytes stay for as long as the run lasts.

use std::cell::RefCell;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use quinn::{Endpoint, SendStream};
use tokio::sync::{Notify, watch};
use tokio::task::{JoinSet, LocalSet};

use super::QuicError;
use super::codec::{Control as Frame, Nack, code, murmur2, write_producer};
use super::dial::{ControlReader, DialError, Dialer, Link, leave, not_the_protocol, write_ended};
use super::lanes::Lanes;
use super::metronome;
use super::plan::QuicPlan;
use crate::client::Progress;
use crate::client::control::{Control, Phase, ending, halted};
use crate::clock::now_us;
use crate::fleet::{self, Emitted, Fleet, device_id};
use crate::histogram::Latencies;
use crate::ledger::Ledger;
use crate::pace::{Pace, Schedule};

/// First pause before a connection is opened again, and the longest of the doubling ones.
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Events that are made, and bytes that are written, before the other connections of the thread have their turn.
const TURN_EVENTS: usize = 1_024;
const TURN_BYTES: usize = 256 * 1024;

/// What all threads share.
pub(super) struct Run {
    pub plan: QuicPlan,
    pub progress: Arc<Progress>,
    pub control: Control,
    pub dialer: Dialer,
    pub began: Instant,
}

/// What happened to a connection.
pub(super) struct Book {
    pub ledger: Ledger,
    pub latencies: Latencies,
    pub connects: Latencies,
    pub reconnects: u64,
    pub refusals: u64,
    pub frames: u64,
    pub is_abandoned: bool,
    /// When the last ACK came.
    pub ended: Option<Instant>,
}

/// What the two halves of a connection share.
struct State {
    fleet: Fleet,
    /// By place in the fleet, once the node has said how many there are.
    partitions: Vec<u16>,
    lanes: Option<Lanes>,
    book: Book,
    quota: u64,
    sent: u64,
    /// `None` until publishing begins.
    schedule: Option<Schedule>,
    /// At which an open loop looked last for what is due.
    beat: Option<u64>,
    stopping: bool,
    /// The window was full, and is not yet half empty.
    is_full: bool,
    payload: Vec<u8>,
    /// When the node said something last, or had nothing to say.
    heard: Instant,
}

struct Publisher {
    run: Arc<Run>,
    number: u32,
    producer: [u8; 16],
    state: RefCell<State>,
    /// Room in the window, or the end of all waiting.
    news: Notify,
    /// When an open loop sends.
    beats: watch::Receiver<u64>,
}

/// How a connection ended.
enum End {
    /// Everything is sent and acknowledged.
    Finished,
    /// By a fault that another connection may not have.
    Broken(String),
    /// By a fault that every connection will have.
    Fatal(QuicError),
    /// The run was called off.
    Halted,
}

impl From<DialError> for End {
    fn from(error: DialError) -> Self {
        match error {
            DialError::Again(why) => Self::Broken(why),
            DialError::Fatal(error) => Self::Fatal(error),
        }
    }
}

/// What the writer does next.
enum Next {
    Write,
    Wait(Option<Instant>),
    Finished,
}

/// Carries these connections until they have ended. Blocks.
pub(super) fn work(run: &Arc<Run>, connections: Range<u32>) -> Result<Vec<Book>, QuicError> {
    let fault = |error: &dyn std::fmt::Display| QuicError::Fault(error.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| fault(&error))?;
    LocalSet::new().block_on(&runtime, async {
        let endpoint = run.dialer.endpoint()?;
        let mut tasks = JoinSet::new();
        // A closed loop has no use for it.
        let beats = match run.plan.pace {
            Pace::Closed => watch::channel(0).1,
            _ => metronome::start(run.plan.linger).map_err(|error| fault(&error))?,
        };
        for number in connections {
            let publisher = Box::new(Publisher::new(run.clone(), number, beats.clone()));
            tasks.spawn_local(publisher.run(endpoint.clone(), run.control.watch()));
        }
        let (mut books, mut failed) = (Vec::new(), None);
        while let Some(ended) = tasks.join_next().await {
            match ended.map_err(|error| fault(&error)).and_then(|book| book) {
                Ok(book) => books.push(book),
                Err(error) => {
                    run.control.go_on(Phase::Halted);
                    failed.get_or_insert(error);
                }
            }
        }
        leave(&endpoint).await;
        failed.map_or(Ok(books), Err)
    })
}

impl Publisher {
    fn new(run: Arc<Run>, number: u32, beats: watch::Receiver<u64>) -> Self {
        let plan = &run.plan;
        let devices = fleet::share(plan.devices, number, plan.connections);
        let edge = |part: u32| (u128::from(plan.events) * u128::from(part) / u128::from(plan.connections)) as u64;
        let book = Book {
            ledger: Ledger::new(devices.clone()),
            latencies: Latencies::default(),
            connects: Latencies::default(),
            reconnects: 0,
            refusals: 0,
            frames: 0,
            is_abandoned: false,
            ended: None,
        };
        let state = State {
            quota: if devices.is_empty() { 0 } else { edge(number + 1) - edge(number) },
            fleet: Fleet::of(plan.model.clone(), plan.seed, devices),
            partitions: Vec::new(),
            lanes: None,
            book,
            sent: 0,
            schedule: None,
            beat: None,
            stopping: false,
            is_full: false,
            payload: Vec::new(),
            heard: Instant::now(),
        };
        let producer = fastrand::u128(..).to_be_bytes();
        Self { run, number, producer, state: RefCell::new(state), news: Notify::new(), beats }
    }

    async fn run(self: Box<Self>, endpoint: Endpoint, mut phase: watch::Receiver<Phase>) -> Result<Book, QuicError> {
        let (run, plan) = (&self.run, &self.run.plan);
        let (mut pause, mut trying_since, mut attempt) = (PAUSE_FIRST, Instant::now(), 0u32);
        let (mut arrived, mut failed) = (false, None);
        loop {
            let began = Instant::now();
            let opened = tokio::select! {
                opened = run.dialer.dial(&endpoint, attempt) => opened,
                () = self.ending(&mut phase) => break,
            };
            attempt = attempt.wrapping_add(1);
            let end = match opened {
                Ok(link) => {
                    self.opened(&link, began);
                    if !std::mem::replace(&mut arrived, true) {
                        run.control.arrive();
                    }
                    let end = self.drive(link, &mut phase).await;
                    if matches!(end, End::Broken(_)) {
                        let book = &mut self.state.borrow_mut().book;
                        book.reconnects += 1;
                        if book.ended.is_some_and(|ended| ended > began) {
                            (pause, trying_since) = (PAUSE_FIRST, Instant::now());
                        }
                    }
                    end
                }
                Err(error) => error.into(),
            };
            match end {
                End::Finished | End::Halted => break,
                End::Fatal(error) => {
                    failed = Some(error);
                    break;
                }
                End::Broken(why) => run.progress.retried(&why),
            }
            if trying_since.elapsed() >= plan.access.give_up_after {
                self.state.borrow_mut().book.is_abandoned = true;
                break;
            }
            tokio::select! {
                () = tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64())) => {}
                () = self.ending(&mut phase) => break,
            }
            pause = (pause * 2).min(PAUSE_MAX);
        }
        if !arrived {
            run.control.arrive();
        }
        let State { mut lanes, mut book, .. } = self.state.into_inner();
        for (emitted, _) in lanes.iter_mut().flat_map(Lanes::give_up) {
            book.ledger.give_up(emitted.device, emitted.seq);
        }
        failed.map_or(Ok(book), Err)
    }

    /// Until the run is to end, if no ACK is owed; else until it is called off.
    async fn ending(&self, phase: &mut watch::Receiver<Phase>) {
        match self.is_owed() {
            true => halted(phase).await,
            false => ending(phase).await,
        }
    }

    fn opened(&self, link: &Link, began: Instant) {
        let (plan, mut state) = (&self.run.plan, self.state.borrow_mut());
        let state = &mut *state;
        state.book.connects.record(began.elapsed());
        state.heard = Instant::now();
        match &mut state.lanes {
            Some(lanes) => lanes.reconnected(),
            None => {
                let (welcome, event_bytes_max) = (&link.welcome, state.fleet.event_bytes_max() + 64);
                let devices = fleet::share(plan.devices, self.number, plan.connections);
                let partition =
                    |device| ((murmur2(device_id(device).as_bytes()) & 0x7fff_ffff) % welcome.partitions) as u16;
                state.partitions = devices.map(partition).collect();
                let (window, frame) = (plan.window_bytes, plan.frame_bytes);
                state.lanes =
                    Some(Lanes::new(welcome.partitions, window, frame, welcome.publish_bytes_max, event_bytes_max));
            }
        }
    }

    async fn drive(&self, link: Link, phase: &mut watch::Receiver<Phase>) -> End {
        let access = &self.run.plan.access;
        let Link { connection, send: _control, mut control, welcome } = link;
        if welcome.publish_streams_max == 0 {
            let (target, reason) = (access.target.to_string(), "it may not publish".to_owned());
            return End::Fatal(QuicError::Refused { target, code: code::FORBIDDEN, reason });
        }
        let known = self.state.borrow().lanes.as_ref().map_or(0, Lanes::partitions);
        if known != welcome.partitions as usize {
            return not_the_protocol(access, "it came back with another number of partitions").into();
        }
        let streams = u64::from(self.run.plan.streams.max(1)).min(welcome.publish_streams_max) as usize;
        let written = async {
            let mut open = Vec::new();
            for publish in 0..streams {
                let mut stream = connection.open_uni().await.map_err(|error| super::dial::ended(access, error))?;
                let mut head = Vec::new();
                write_producer(publish as u32, &self.producer, &mut head);
                stream.write_all(&head).await.map_err(|error| write_ended(access, &connection, error))?;
                open.push(stream);
            }
            self.write(open, phase).await.map_err(|error| match error {
                Ok(end) => end,
                Err(error) => write_ended(access, &connection, error).into(),
            })
        };
        let end = tokio::select! {
            written = written => match written { Ok(end) | Err(end) => end },
            end = self.read(&mut control, streams) => end,
        };
        connection.close(0u32.into(), b"");
        end
    }

    /// Writes until everything is acknowledged.
    async fn write(
        &self,
        mut streams: Vec<SendStream>,
        phase: &mut watch::Receiver<Phase>,
    ) -> Result<End, Result<End, quinn::WriteError>> {
        let plan = &self.run.plan;
        let mut out: Vec<(usize, Bytes)> = Vec::new();
        let mut beats = self.beats.clone();
        loop {
            match *phase.borrow_and_update() {
                Phase::Connecting => {}
                Phase::Running(start) => {
                    let (part, parts) = (self.number, plan.connections);
                    let schedule = &mut self.state.borrow_mut().schedule;
                    schedule.get_or_insert_with(|| Schedule::new(plan.pace, start, part, parts, 1));
                }
                Phase::Stopping => self.state.borrow_mut().stopping = true,
                Phase::Halted => return Ok(End::Halted),
            }
            match self.next(&mut out) {
                Next::Finished => return Ok(End::Finished),
                Next::Write => {
                    let bytes: usize = out.iter().map(|(_, frame)| frame.len()).sum();
                    self.run.progress.sent_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
                    for (partition, frame) in out.drain(..) {
                        let at = partition % streams.len();
                        streams[at].write_chunk(frame).await.map_err(Err)?;
                    }
                    // Neither the reader nor the other connections wait for a stream that takes everything.
                    tokio::task::yield_now().await;
                }
                Next::Wait(until) => {
                    let timeout = self.state.borrow().heard + plan.access.request_timeout;
                    let until = until.map_or(timeout, |until| until.min(timeout));
                    tokio::select! {
                        biased;
                        _ = phase.changed() => {}
                        () = self.news.notified() => {}
                        Ok(()) = beats.changed() => {}
                        () = tokio::time::sleep_until(until.into()) => {
                            if Instant::now() >= timeout && self.is_owed() {
                                let why = format!("no ACK within {:?}", plan.access.request_timeout);
                                return Err(Ok(End::Broken(why)));
                            }
                        }
                    }
                }
            }
        }
    }

    fn is_owed(&self) -> bool {
        self.state.borrow().lanes.as_ref().is_some_and(|lanes| !lanes.is_empty())
    }

    /// Makes events that are due, and takes frames that are to be written.
    fn next(&self, out: &mut Vec<(usize, Bytes)>) -> Next {
        let state = &mut *self.state.borrow_mut();
        let Some(lanes) = &mut state.lanes else { return Next::Wait(None) };
        let now = Instant::now();
        let us = |at: Instant| at.saturating_duration_since(self.run.began).as_micros() as u64;
        let first = state.sent;
        let beat = *self.beats.borrow();
        let mut is_between_beats = false;
        // What is made is worth waiting for more only as long as more is made.
        let mut is_over = true;
        if lanes.is_empty() {
            state.heard = now;
        }
        if let Some(schedule) = state.schedule.as_mut().filter(|_| !state.stopping && state.sent < state.quota) {
            state.is_full &= !lanes.has_much_room();
            let ts_us = now_us();
            while !state.is_full {
                if state.sent == state.quota {
                    break;
                }
                if (state.sent - first) as usize == TURN_EVENTS {
                    is_over = false;
                    break;
                }
                let intended = schedule.due(state.sent);
                if intended.is_some_and(|at| state.beat == Some(beat) || at > now) {
                    is_between_beats = true;
                    break;
                }
                state.payload.clear();
                let emitted = state.fleet.write_event(ts_us, &mut state.payload);
                let place = (emitted.device - state.book.ledger.devices().start) as usize;
                state.book.ledger.send(emitted.device, emitted.seq);
                let sent = (emitted, us(intended.unwrap_or(now)));
                lanes.push(state.partitions[place].into(), &key_of(emitted.device), &state.payload, sent);
                state.sent += 1;
                state.is_full = !lanes.has_room();
            }
            self.run.progress.sent_events.fetch_add(state.sent - first, Ordering::Relaxed);
            // Unless the turn was too short for all that is due.
            if is_between_beats {
                state.beat = Some(beat);
            }
        }
        if is_over {
            lanes.seal();
        }
        let ledger = &mut state.book.ledger;
        lanes.take(us(now), TURN_BYTES, out, |Emitted { device, seq }| ledger.repeat(device, seq));
        if !out.is_empty() || !is_over {
            return Next::Write;
        }
        let publishes = state.schedule.is_some() || state.stopping;
        if publishes && lanes.is_empty() && (state.stopping || state.sent == state.quota) {
            return Next::Finished;
        }
        Next::Wait(lanes.due_us().map(|due_us| self.run.began + Duration::from_micros(due_us)))
    }

    /// Takes ACKs until something ends.
    async fn read(&self, control: &mut ControlReader, streams: usize) -> End {
        let access = &self.run.plan.access;
        loop {
            let frame = match control.next(access).await {
                Ok(frame) => frame,
                Err(error) => return error.into(),
            };
            match frame {
                Frame::Ack { publish, entries } => {
                    for (partition, next_sequence) in entries {
                        let is_ours = partition as usize % streams == publish as usize;
                        if !is_ours || !self.acknowledged(partition, next_sequence) {
                            let what = format!(
                                "an ACK for sequence {next_sequence} of partition {partition}, which was never sent"
                            );
                            return not_the_protocol(access, what).into();
                        }
                    }
                }
                Frame::Nack(nack) => {
                    if let Some(end) = self.refused(nack) {
                        return end;
                    }
                }
                // The node ends the connection when what is under way is acknowledged.
                Frame::GoAway { .. } => {}
                _ => return not_the_protocol(access, "an answer to no question").into(),
            }
            self.news.notify_one();
        }
    }

    fn acknowledged(&self, partition: u32, next_sequence: u64) -> bool {
        let state = &mut *self.state.borrow_mut();
        let Some(lanes) = &mut state.lanes else { return false };
        let now = Instant::now();
        let now_us = now.saturating_duration_since(self.run.began).as_micros() as u64;
        let (book, mut events, mut last_us) = (&mut state.book, 0, now_us);
        let is_known = lanes.acknowledge(partition, next_sequence, |(Emitted { device, seq }, intended_us)| {
            book.ledger.acknowledge(device, seq);
            book.latencies.record_us(now_us.saturating_sub(intended_us));
            (events, last_us) = (events + 1, intended_us);
        });
        if events > 0 {
            book.frames += 1;
            book.ended = Some(now);
            state.heard = now;
            self.run.progress.acknowledged(events, Duration::from_micros(now_us.saturating_sub(last_us)));
        }
        is_known
    }

    /// What a NACK ends, if anything.
    fn refused(&self, nack: Nack) -> Option<End> {
        let Nack { partition, sequence, code, text, advice, expected, .. } = nack;
        let target = self.run.plan.access.target.to_string();
        if code::drops_events(code) {
            return Some(End::Fatal(QuicError::Publish { target, partition, code, text, advice }));
        }
        if code::is_of_connection(code) {
            return None;
        }
        let from = expected.filter(|_| code == code::OUT_OF_ORDER).unwrap_or(sequence);
        let now_us = self.run.began.elapsed().as_micros() as u64;
        let state = &mut *self.state.borrow_mut();
        state.book.refusals += 1;
        let waits =
            from <= sequence && state.lanes.as_mut().is_some_and(|lanes| lanes.send_again(partition, from, now_us));
        if !waits {
            // A ledger with holes says nothing: a node that forgets what it acknowledged ends the run.
            let what =
                format!("partition {partition} should go on with {from}, which it has acknowledged or never saw");
            return Some(End::Fatal(QuicError::Protocol { target, what }));
        }
        self.run.progress.retried(&format!("partition {partition} was refused with code {code:#04x}: {text}"));
        None
    }
}

/// The id of a device, without allocating.
fn key_of(device: u32) -> [u8; 13] {
    let mut key = *b"dev-000000000";
    let mut rest = device;
    for digit in key[4..].iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_devices_id() {
        for device in [0, 7, 1_234_567, 999_999_999] {
            assert_eq!(key_of(device), device_id(device).as_bytes());
        }
    }
}
