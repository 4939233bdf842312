//! Publishers that number their events and send them until they are acknowledged, through lives and crashes of the node, and what the
//! node stores of them.

use std::collections::{BTreeMap, VecDeque};

use engine::batch::{Batch, BatchBuilder, HeaderWriter, ProducerStamp, partition_of, seal_records};
use engine::log::{ReadError, write_whole};
use engine::mesh::{Ack, AckLevel, Refused, Submitted, Ticket};
use engine::ring::{Bell, Consumer, Producer, ring};
use engine::shard::{Command, ProducerProgress, ProducerReport, Shard};

use crate::disk::SimDisk;
use crate::ledger::{Finding, Ledger, Sent};
use crate::process::Process;
use crate::sabotage::Sabotage;

/// File of what shards reported.
const PRODUCERS: &str = "producers";
/// Frames under way at a time.
const FRAMES_MAX: usize = 4;
/// Keys of numbered events begin here: nobody else has them.
const KEYS: u32 = 1_000_000;

/// What is stored: rows by partition and producer, and heads by partition.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stored {
    rows: BTreeMap<(u32, u64), (u64, i64)>,
    heads: BTreeMap<u32, u64>,
}

impl Stored {
    /// Reads the file, if there is one.
    pub fn read(disk: &SimDisk) -> Result<Self, String> {
        let Some(text) = crate::process::read_whole(disk, PRODUCERS)? else { return Ok(Self::default()) };
        let mut lines = text.lines();
        let mut list = || serde_json::from_str(lines.next().unwrap_or("[]")).map_err(|error| error.to_string());
        let rows: serde_json::Value = list()?;
        let heads: serde_json::Value = list()?;
        let rows: Vec<(u32, u64, u64, i64)> = serde_json::from_value(rows).map_err(|error| error.to_string())?;
        let heads: Vec<(u32, u64)> = serde_json::from_value(heads).map_err(|error| error.to_string())?;
        let rows = rows.into_iter().map(|(partition, producer, next, seen)| ((partition, producer), (next, seen)));
        Ok(Self { rows: rows.collect(), heads: heads.into_iter().collect() })
    }

    fn write(&self, disk: &SimDisk) -> bool {
        let row = |(key, value): (&(u32, u64), &(u64, i64))| format!("[{},{},{},{}]", key.0, key.1, value.0, value.1);
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        let heads: Vec<String> = self.heads.iter().map(|(partition, head)| format!("[{partition},{head}]")).collect();
        write_whole(disk, PRODUCERS, format!("[{}]\n[{}]\n", rows.join(","), heads.join(",")).as_bytes()).is_ok()
    }

    /// Tells the shards of a new life. What is not believed is gone.
    pub fn restore(
        &mut self,
        reader: &engine::log::LogReader<SimDisk>,
        shards: &mut [Shard],
        sabotage: Sabotage,
    ) -> Result<(), String> {
        self.heads.retain(|partition, head| *head <= reader.bounds(*partition).1);
        self.rows.retain(|(partition, _), _| self.heads.contains_key(partition));
        let mut rows: Vec<_> = self.rows.iter().collect();
        rows.sort_by_key(|(_, (_, seen_ms))| *seen_ms);
        let count = shards.len();
        for ((partition, producer), (next, seen_ms)) in rows {
            let (partition, producer, next, seen_ms) = (*partition, *producer, *next, *seen_ms);
            shards[partition as usize % count].restore_producer(&ProducerProgress {
                partition,
                producer,
                next,
                seen_ms,
            });
        }
        if sabotage == Sabotage::IgnoreLogBehindReports {
            return Ok(());
        }
        for partition in 0..reader.partitions() {
            let mut next = self.heads.get(&partition).copied().unwrap_or(0);
            while next < reader.bounds(partition).1 {
                match reader.read(partition, next, 10_000) {
                    Ok(batches) => {
                        for batch in batches {
                            shards[partition as usize % count].remember_producer(&batch);
                            next = batch.last_offset() + 1;
                        }
                    }
                    Err(
                        ReadError::Damaged { next: behind, .. } | ReadError::FallenOff { first_available: behind, .. },
                    ) => next = behind.max(next + 1),
                    Err(error) => return Err(error.to_string()),
                }
            }
        }
        Ok(())
    }
}

/// The way of the publishers into one life of the node, and of the reports out of it.
pub struct Gateway {
    core: u16,
    to: Vec<Producer<Submitted>>,
    acks: Vec<Consumer<Ack>>,
    answers: Vec<Option<Consumer<ProducerReport>>>,
    stored: Stored,
    /// Not stored yet.
    next: Stored,
}

impl Gateway {
    /// To the shards and back; `stored` is what they were told.
    pub fn new(core: u16, to: Vec<Producer<Submitted>>, acks: Vec<Consumer<Ack>>, stored: Stored) -> Self {
        let answers = to.iter().map(|_| None).collect();
        Self { core, to, acks, answers, next: stored.clone(), stored }
    }

    /// Asks the shards, takes their answers, and stores them.
    pub fn store(&mut self, commands: &mut [Producer<Command>], disk: &SimDisk) {
        for (answer, commands) in self.answers.iter_mut().zip(commands) {
            if let Some(report) = answer.as_mut().and_then(Consumer::pop) {
                *answer = None;
                let rows = report.changed.iter().map(|one| ((one.partition, one.producer), (one.next, one.seen_ms)));
                self.next.rows.extend(rows);
                self.next.heads.extend(report.heads.into_iter().flatten());
            }
            if answer.is_none() {
                let (to, from) = ring(1, &Bell::default());
                *answer = commands.push(Command::ReportProducers(to)).is_ok().then_some(from);
            }
        }
        if self.next != self.stored && self.next.write(disk) {
            self.stored = self.next.clone();
        }
    }
}

/// Some events of a publisher under way.
struct Frame {
    /// Which life, and which of its tickets.
    slot: u32,
    first: u64,
    end: u64,
}

/// Numbers its events, which have one key.
pub struct NumberedPublisher {
    number: u32,
    producer: u64,
    /// Sequence of the first event that is not acknowledged, and all from it on.
    acked: u64,
    events: VecDeque<Sent>,
    /// Sequence of the next event to be sent.
    next: u64,
    frames: Vec<Frame>,
    /// Events that came again and were known, and frames that were refused because something was missing before them.
    pub again: u64,
    pub out_of_order: u64,
}

impl NumberedPublisher {
    /// Number `number` of them.
    pub fn new(number: u32) -> Self {
        let producer = u64::from(number) << 32;
        Self {
            number,
            producer,
            acked: 0,
            events: VecDeque::new(),
            next: 0,
            frames: Vec::new(),
            again: 0,
            out_of_order: 0,
        }
    }

    /// All that it has is acknowledged.
    pub fn is_done(&self) -> bool {
        self.events.is_empty()
    }

    /// The node is another one: what was under way is lost, or not.
    pub fn reconnect(&mut self) {
        self.frames.clear();
        self.next = self.acked;
    }

    /// Sends something: anew if it may, again if it must.
    pub fn turn(
        &mut self,
        process: &mut Process,
        ledger: &mut Ledger,
        random: &mut fastrand::Rng,
        may_be_new: bool,
        now_ms: i64,
    ) -> Result<(), Finding> {
        if random.u8(..30) == 0 {
            // As after a broken connection: what was sent may arrive, and comes again in other pieces.
            self.next = self.acked;
        }
        while may_be_new && self.events.len() < 20 && random.bool() {
            self.events.push_back(ledger.send(KEYS + self.number, random.u32(..100)));
        }
        let waiting = self.acked + self.events.len() as u64 - self.next;
        if waiting == 0 || self.frames.len() >= FRAMES_MAX {
            return Ok(());
        }
        let (first, end) = (self.next, self.next + random.u64(1..=waiting.min(8)));
        let partitions = process.reader.partitions();
        let batch = self.frame(first, end, partitions, now_ms)?;
        let gateway = &mut process.gateway;
        let slot = random.u32(..);
        let ticket = Ticket { core: gateway.core, slot, generation: 0, level: AckLevel::Synced };
        let shard = batch.partition() as usize % gateway.to.len();
        if gateway.to[shard].push(Submitted { batch, ticket }).is_ok() {
            self.frames.push(Frame { slot, first, end });
            self.next = end;
        }
        Ok(())
    }

    fn frame(&self, first: u64, end: u64, partitions: u32, now_ms: i64) -> Result<Batch, Finding> {
        let at = |sequence: u64| (sequence - self.acked) as usize;
        let key = self.events[at(first)].key_text();
        let partition = partition_of(key.as_bytes(), partitions);
        let mut builder = BatchBuilder::new(partition);
        for sent in self.events.range(at(first)..at(end)) {
            builder.push(Some(key.as_bytes()), sent.body().as_bytes(), &HeaderWriter::default(), 0).expect("small");
        }
        let bytes = builder.seal().expect("rows").bytes().to_vec();
        let stamp = ProducerStamp { producer: self.producer, sequence: first };
        seal_records(partition, bytes, (end - first) as u32, now_ms, Some(stamp)).map_err(|error| error.to_string())
    }

    fn answered(&mut self, frame: &Frame, ack: &Ack, ledger: &mut Ledger) -> Result<(), Finding> {
        self.out_of_order += u64::from(matches!(ack.result, Err(Refused::OutOfOrder { .. })));
        match ack.result {
            Ok(placed) => {
                self.again += u64::from(placed.duplicates);
                if u64::from(placed.rows + placed.duplicates) != frame.end - frame.first {
                    return Err(format!("{placed:?} for sequences {} to {}", frame.first, frame.end));
                }
                let offsets: Vec<u64> = (placed.base_offset..placed.base_offset + u64::from(placed.rows)).collect();
                let kept = frame.end - u64::from(placed.rows)..frame.end;
                let fresh = kept.filter(|sequence| *sequence >= self.acked);
                let ids: Vec<u64> = fresh.map(|sequence| self.events[(sequence - self.acked) as usize].id).collect();
                ledger.acknowledge(placed.partition, &offsets[offsets.len() - ids.len()..], &ids)?;
                while self.acked < frame.end {
                    let Some(sent) = self.events.pop_front() else { break };
                    ledger.must_be_kept(placed.partition, sent.id);
                    self.acked += 1;
                }
                self.next = self.next.max(self.acked);
            }
            Err(Refused::OutOfOrder { expected }) if expected < self.acked => {
                if ledger.damages == 0 {
                    return Err(format!("sequence {expected} is expected; all before {} are acknowledged", self.acked));
                }
                // What was acknowledged was damaged: whoever goes on is somebody else.
                self.producer += 1;
                self.next = self.acked;
            }
            Err(Refused::OutOfOrder { expected }) => self.next = self.next.min(expected),
            Err(_) => self.next = self.acked,
        }
        Ok(())
    }
}

/// The publishers take their answers.
pub fn take_answers(
    publishers: &mut [NumberedPublisher],
    process: &mut Process,
    ledger: &mut Ledger,
) -> Result<(), Finding> {
    for acks in &mut process.gateway.acks {
        while let Some(ack) = acks.pop() {
            let found = publishers.iter_mut().find_map(|publisher| {
                let at = publisher.frames.iter().position(|frame| frame.slot == ack.ticket.slot)?;
                let frame = publisher.frames.swap_remove(at);
                Some((publisher, frame))
            });
            let Some((publisher, frame)) = found else { return Err("an answer to nobody".to_owned()) };
            publisher.answered(&frame, &ack, ledger)?;
        }
    }
    Ok(())
}
