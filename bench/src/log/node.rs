//! The way of a node from sealed batches to synced acks, without its sockets: ring, shard, writer's thread, disk.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use connectors::hub::{self, Log, LogOptions};
use engine::batch::Batch;
use engine::lane::Heads;
use engine::limits;
use engine::mesh::{Ack, AckLevel, Submitted, Ticket};
use engine::ring::{Bell, Consumer, Producer, ring};
use engine::route::RouteTable;
use engine::shard::{Command, CommitPolicy, DedupSettings, Shard, ShardStats, Wiring};

/// Partitions, as a node has them.
pub const PARTITIONS: u32 = 32;

/// One shard with its log.
pub struct Node {
    pub log: Log,
    shard: Shard,
    mesh: Producer<Submitted>,
    acks: Consumer<Ack>,
    _commands: Producer<Command>,
    began: Instant,
    /// Batches that are not acknowledged.
    pub under_way: usize,
}

impl Node {
    /// A new log in `folder`. The writer's thread runs where the caller does.
    pub fn new(folder: &Path, recent_bytes_max: usize) -> Result<Self, Box<dyn Error>> {
        let options = LogOptions { recent_bytes_max, ..LogOptions::new(folder.join("log"), PARTITIONS) };
        let (mut log, recovered) = hub::open(&options)?;
        let bell = Bell::default();
        let writer = log.shard_writer(0, &bell)?;
        let (mesh, inlet) = ring(limits::MESH_BATCHES_MAX, &bell);
        let (ack_to, acks) = ring(limits::ACKS_MAX, &bell);
        let (commands, command_from) = ring(8, &bell);
        let wiring = Wiring {
            shard: 0,
            shards: 1,
            inlets: vec![inlet],
            acks: vec![ack_to],
            appends: writer.appends,
            log_events: writer.events,
            commands: command_from,
            heads: Heads::new(&recovered.next_offsets),
            acked: Heads::new(&recovered.next_offsets),
            stats: Arc::new(ShardStats::default()),
            commit: CommitPolicy::default(),
            dedup: DedupSettings::default(),
            producers: engine::shard::ProducerSettings::default(),
        };
        let table = Arc::new(RouteTable::new(1, &[], None, Vec::new())?);
        let shard = Shard::new(wiring, &recovered.next_offsets, table);
        Ok(Self { log, shard, mesh, acks, _commands: commands, began: Instant::now(), under_way: 0 })
    }

    /// Gives the shard a turn; the slots of what is acknowledged go to `done`.
    pub fn turn(&mut self, mut done: impl FnMut(u32)) -> Result<bool, Box<dyn Error>> {
        let worked = self.shard.step(self.began.elapsed().as_micros() as u64);
        while let Some(ack) = self.acks.pop() {
            ack.result?;
            self.under_way -= 1;
            done(ack.ticket.slot);
        }
        Ok(worked)
    }

    /// Submits a batch; waits for room.
    pub fn submit(&mut self, slot: u32, batch: Batch) -> Result<(), Box<dyn Error>> {
        let ticket = Ticket { core: 0, slot, generation: 0, level: AckLevel::Synced };
        let mut submitted = Submitted { batch, ticket };
        self.under_way += 1;
        while let Err(back) = self.mesh.push(submitted) {
            submitted = back;
            if !self.turn(|_| ())? {
                std::thread::yield_now();
            }
        }
        self.turn(|_| ())?;
        Ok(())
    }

    /// Submits a batch for which there is room.
    pub fn submit_only(&mut self, slot: u32, batch: Batch) -> Result<(), Box<dyn Error>> {
        let ticket = Ticket { core: 0, slot, generation: 0, level: AckLevel::Synced };
        self.mesh.push(Submitted { batch, ticket }).map_err(|_| "the shard does not keep up with half load")?;
        self.under_way += 1;
        Ok(())
    }

    /// Until everything is acknowledged.
    pub fn settle(&mut self) -> Result<(), Box<dyn Error>> {
        while self.under_way > 0 {
            if !self.turn(|_| ())? {
                std::thread::yield_now();
            }
        }
        Ok(())
    }

    /// Ends the writer.
    pub fn close(self) -> Result<(), Box<dyn Error>> {
        let Self { log, shard, .. } = self;
        drop(shard);
        Ok(log.close()?)
    }
}
