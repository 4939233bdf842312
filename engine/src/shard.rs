//! The shard: owner of some partitions. It alone sequences their events, has them appended, matches them and hands them out.
//!
//! [`Shard::step`] is one turn: take commands, take what the log has done, take new batches. It never blocks and never waits;
//! the caller gives it turns and sleeps on its bell. What always holds:
//! - offsets of a partition are given in the order of acceptance, without gap or reuse;
//! - a batch is matched and handed out only after it is synced, so nobody sees an event that a crash could take back;
//! - an ack is sent once per batch, at the level its ticket asks for;
//! - what waits for the log is bounded; at the bound the shard takes no new batches, and the rings push back.

mod commit;
mod dedup;
mod producers;
mod sequence;
mod outlets;
mod stats;

#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use commit::CommitPolicy;
pub use dedup::{DEDUP_ID_BYTES_MAX, DedupSettings};
pub use outlets::Command;
pub use producers::{PRODUCER_BYTES_MAX, ProducerProgress, ProducerReport, ProducerSettings, REPORT_ENTRIES_MAX};
pub use stats::{BATCH_ROWS_BUCKETS, ShardStats};

use crate::batch::Batch;
use crate::lane::Heads;
use crate::limits;
use crate::mesh::{Ack, AckLevel, Append, LogEvent, Placed, Refused, Submitted, Ticket};
use crate::ring::{Consumer, Producer};
use crate::route::RouteTable;
use commit::Committer;
use dedup::{Dedup, Kept};
use outlets::Outlets;
use producers::{Admitted, Producers};
use sequence::Sequencer;

/// Everything a shard is connected to.
#[derive(Debug)]
pub struct Wiring {
    /// Number of this shard.
    pub shard: u32,
    /// Number of shards; partition `p` belongs to shard `p % shards`.
    pub shards: u32,
    /// From each core.
    pub inlets: Vec<Consumer<Submitted>>,
    /// Back to each core.
    pub acks: Vec<Producer<Ack>>,
    /// To the log's writer.
    pub appends: Producer<Append>,
    /// From the log's writer.
    pub log_events: Consumer<LogEvent>,
    /// From whoever runs the node.
    pub commands: Consumer<Command>,
    /// Shared by all shards; this one writes its own partitions' entries.
    pub heads: Heads,
    /// Per partition the first offset that has not been acknowledged; shared and written likewise. Who reads it after an ack knows
    /// that the acknowledged events lie before it.
    pub acked: Heads,
    /// Written by this shard, read by anyone.
    pub stats: Arc<ShardStats>,
    /// When batches are committed.
    pub commit: CommitPolicy,
    /// Whether events that come again are kept once.
    pub dedup: DedupSettings,
    /// Whose numbered events are kept once.
    pub producers: ProducerSettings,
}

/// A batch that is on its way to the disk.
#[derive(Debug)]
struct Pending {
    seq: u64,
    /// None of its events is new: it waits for what they are copies of.
    batch: Option<Arc<Batch>>,
    placed: Placed,
    ticket: Ticket,
    acked: bool,
}

/// See the module.
#[derive(Debug)]
pub struct Shard {
    inlets: Vec<Consumer<Submitted>>,
    next_inlet: usize,
    acks: Vec<Producer<Ack>>,
    /// Acks for which a core's ring had no room.
    ack_backlog: VecDeque<Ack>,
    committer: Committer,
    log_events: Consumer<LogEvent>,
    commands: Consumer<Command>,
    sequencer: Sequencer,
    dedup: Option<Dedup>,
    producers: Producers,
    pending: VecDeque<Pending>,
    pending_bytes: usize,
    outlets: Outlets,
    heads: Heads,
    acked: Heads,
    stats: Arc<ShardStats>,
}

impl Shard {
    /// A shard whose partitions go on at `next_offsets` (one entry per partition of the log).
    pub fn new(wiring: Wiring, next_offsets: &[u64], table: Arc<RouteTable>) -> Self {
        let sequencer = Sequencer::new(wiring.shard, wiring.shards, next_offsets);
        Self {
            inlets: wiring.inlets,
            next_inlet: 0,
            acks: wiring.acks,
            ack_backlog: VecDeque::new(),
            committer: Committer::new(wiring.commit, wiring.appends),
            log_events: wiring.log_events,
            commands: wiring.commands,
            outlets: Outlets::new(table, wiring.heads.clone(), sequencer.owned().collect()),
            heads: wiring.heads,
            sequencer,
            dedup: Dedup::new(wiring.dedup),
            producers: Producers::new(wiring.producers),
            pending: VecDeque::new(),
            pending_bytes: 0,
            acked: wiring.acked,
            stats: wiring.stats,
        }
    }

    /// One turn at `now_us`, a clock that only grows. `true` if there was something to do: call again before sleeping.
    pub fn step(&mut self, now_us: u64) -> bool {
        let mut worked = false;
        while let Some(command) = self.commands.pop() {
            match command {
                Command::ReportProducers(to) => self.report_producers(to),
                command => self.outlets.handle_command(command),
            }
            worked = true;
        }
        self.outlets.answer_wishes();
        worked |= self.flush_ack_backlog();
        while let Some(event) = self.log_events.pop() {
            self.handle_log_event(event);
            // The device must not wait while a synced group is being matched.
            self.committer.commit(now_us);
            worked = true;
        }
        if !self.committer.is_writing() && !self.pending.is_empty() {
            // Its thread has ended: nothing of what waits will be kept.
            self.fail_from(0);
        }
        worked |= self.take_batches(now_us);
        worked |= self.committer.commit(now_us);
        self.stats.set_matching(self.outlets.extracted(), self.outlets.orphaned());
        worked
    }

    /// When the shard wants a turn though nothing has come: a group waits for more and its time will be over.
    pub fn next_due_us(&self) -> Option<u64> {
        self.committer.next_due_us()
    }

    /// Nothing is on its way to the disk, and no batch waits to be taken.
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.ack_backlog.is_empty() && self.inlets.iter().all(Consumer::is_empty)
    }

    fn handle_log_event(&mut self, event: LogEvent) {
        match event {
            LogEvent::Written { upto_seq } => {
                for at in 0..self.pending.len() {
                    if self.pending[at].seq > upto_seq {
                        break;
                    }
                    if self.pending[at].ticket.level == AckLevel::Written {
                        self.acknowledge(at);
                    }
                }
            }
            LogEvent::Synced(group) => {
                let upto_seq = group.last_seq();
                // Before the hand-out, which takes longer: the next group can go while this one is matched.
                self.committer.take_back(group);
                while self.pending.front().is_some_and(|pending| pending.seq <= upto_seq) {
                    self.acknowledge(0);
                    let Some(done) = self.pending.pop_front() else { break };
                    if let Some(batch) = done.batch {
                        self.pending_bytes -= batch.bytes().len();
                        if let Some(stamp) = batch.producer() {
                            self.producers.synced(&batch, stamp);
                        }
                        self.outlets.hand_out(batch, &self.stats);
                    }
                }
            }
            LogEvent::Failed(group) => {
                let from_seq = group.first_seq();
                self.committer.take_back(group);
                self.fail_from(from_seq);
            }
            LogEvent::Refused(group) => self.committer.take_back(group),
        }
    }

    /// The writer refuses everything from `from_seq` on until it is told to start anew: give the offsets back and say so.
    fn fail_from(&mut self, from_seq: u64) {
        let Some(first) = self.pending.iter().position(|pending| pending.seq >= from_seq) else { return };
        for failed in self.pending.drain(first..).collect::<Vec<_>>() {
            if let Some(batch) = &failed.batch {
                self.pending_bytes -= batch.bytes().len();
                self.sequencer.take_back(batch);
                if failed.acked && batch.base_offset() < self.acked.get(batch.partition()) {
                    // Acknowledged in memory alone, and lost: its offsets will be those of others.
                    self.acked.set(batch.partition(), batch.base_offset());
                }
                self.stats.refused(batch.rows().len());
                match (batch.producer(), &mut self.dedup) {
                    // Who was told that it is kept cannot send it again, and goes on behind it.
                    (Some(_), _) if failed.acked => {}
                    (Some(stamp), _) => self.producers.take_back(batch, stamp),
                    (None, Some(dedup)) => dedup.forget(batch),
                    (None, None) => {}
                }
            }
            if !failed.acked {
                self.send_ack(Ack { ticket: failed.ticket, result: Err(Refused::LogFailed) });
            }
        }
        self.committer.start_anew();
    }

    fn take_batches(&mut self, now_us: u64) -> bool {
        let mut took = false;
        let mut empty = 0;
        while empty < self.inlets.len() {
            if self.pending.len() >= limits::SHARD_PENDING_BATCHES_MAX
                || self.pending_bytes >= limits::SHARD_PENDING_BYTES_MAX
                || !self.committer.has_room(limits::BATCH_BYTES_SEAL)
            {
                break;
            }
            let inlet = self.next_inlet;
            self.next_inlet = (self.next_inlet + 1) % self.inlets.len();
            let Some(Submitted { batch, ticket }) = self.inlets[inlet].pop() else {
                empty += 1;
                continue;
            };
            empty = 0;
            took = true;
            self.append(batch, ticket, now_us);
        }
        took
    }

    fn append(&mut self, mut batch: Batch, ticket: Ticket, now_us: u64) {
        if !self.committer.is_writing() {
            self.stats.refused(batch.rows().len());
            self.send_ack(Ack { ticket, result: Err(Refused::LogFailed) });
            return;
        }
        let before = batch.rows().len();
        if let Some(stamp) = batch.producer() {
            // No look at the ids: its events are known by their numbers, and a batch that is built anew would lose the stamp.
            let admitted = self.producers.admit(&batch, stamp);
            self.stats.set_producers(self.producers.len(), self.producers.forgotten());
            match admitted {
                Admitted::All => {}
                Admitted::Tail(tail) => batch = tail,
                Admitted::None => return self.acknowledge_copies(&batch, ticket),
                Admitted::OutOfOrder { expected } => {
                    return self.send_ack(Ack { ticket, result: Err(Refused::OutOfOrder { expected }) });
                }
            }
        } else if let Some(dedup) = &mut self.dedup {
            let kept = dedup.admit(&batch);
            self.stats.set_forgotten_ids(dedup.forgotten());
            match kept {
                Kept::All => {}
                Kept::Some(kept) => batch = kept,
                Kept::None => return self.acknowledge_copies(&batch, ticket),
            }
        }
        let duplicates = (before - batch.rows().len()) as u32;
        self.stats.duplicates(duplicates);
        let mark = self.committer.mark_for(batch.bytes().len());
        let seq = self.sequencer.place(&mut batch, mark);
        self.stats.accepted(&batch);
        let batch = Arc::new(batch);
        self.committer.push(seq, batch.clone(), now_us);
        self.pending_bytes += batch.bytes().len();
        let placed = Placed {
            partition: batch.partition(),
            base_offset: batch.base_offset(),
            rows: batch.rows().len() as u32,
            duplicates,
        };
        self.pending.push_back(Pending { seq, batch: Some(batch), placed, ticket, acked: false });
        if ticket.level == AckLevel::Memory {
            self.acknowledge(self.pending.len() - 1);
        }
    }

    /// Nothing of `batch` is new. It is as safe as what it repeats, which is among what is on its way to the disk, if it is not
    /// there: so its ack waits for that.
    fn acknowledge_copies(&mut self, batch: &Batch, ticket: Ticket) {
        let duplicates = batch.rows().len() as u32;
        self.stats.duplicates(duplicates);
        let placed = Placed { partition: batch.partition(), base_offset: 0, rows: 0, duplicates };
        match self.pending.back() {
            Some(last) if ticket.level != AckLevel::Memory => {
                let seq = last.seq;
                self.pending.push_back(Pending { seq, batch: None, placed, ticket, acked: false });
            }
            _ => self.send_ack(Ack { ticket, result: Ok(placed) }),
        }
    }

    /// A batch that the log has already: its events are not to be kept again. Before the first turn.
    pub fn remember(&mut self, batch: &Batch) {
        if let Some(dedup) = &mut self.dedup
            && batch.producer().is_none()
        {
            dedup.admit(batch);
        }
    }

    /// As [`remember`](Self::remember) for the numbers of producers, from the heads on that their reports named.
    pub fn remember_producer(&mut self, batch: &Batch) {
        if let Some(stamp) = batch.producer() {
            self.producers.remember(batch, stamp);
        }
    }

    /// What the reports of the shards before said. Before [`remember_producer`](Self::remember_producer), in the order of
    /// `seen_ms`.
    pub fn restore_producer(&mut self, progress: &ProducerProgress) {
        self.producers.restore(progress);
    }

    fn report_producers(&mut self, mut to: Producer<ProducerReport>) {
        let (heads, owned) = (&self.heads, self.sequencer.owned());
        let report = self.producers.report(|| owned.map(|partition| (partition, heads.get(partition))).collect());
        self.stats.set_producers(self.producers.len(), self.producers.forgotten());
        // If nobody waits for it the node is ending.
        let _ = to.push(report);
    }

    fn acknowledge(&mut self, at: usize) {
        let pending = &mut self.pending[at];
        if pending.acked {
            return;
        }
        pending.acked = true;
        if let Some(batch) = &pending.batch
            && batch.last_offset() >= self.acked.get(batch.partition())
        {
            self.acked.set(batch.partition(), batch.last_offset() + 1);
        }
        let ack = Ack { ticket: pending.ticket, result: Ok(pending.placed) };
        self.send_ack(ack);
    }

    fn send_ack(&mut self, ack: Ack) {
        if !self.ack_backlog.is_empty() {
            self.ack_backlog.push_back(ack);
        } else if let Err(ack) = self.acks[usize::from(ack.ticket.core)].push(ack) {
            self.ack_backlog.push_back(ack);
        }
    }

    fn flush_ack_backlog(&mut self) -> bool {
        let before = self.ack_backlog.len();
        while let Some(ack) = self.ack_backlog.pop_front() {
            if let Err(ack) = self.acks[usize::from(ack.ticket.core)].push(ack) {
                self.ack_backlog.push_front(ack);
                break;
            }
        }
        self.ack_backlog.len() < before
    }
}
