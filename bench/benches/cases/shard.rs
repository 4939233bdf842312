//! Case `step`: a shard with all of its rings in the hands of the case, and a log that says yes at once.

use std::sync::Arc;

use engine::batch::Batch;
use engine::event::put_attribute;
use engine::lane::{Heads, LaneItem, LaneReceiver, lane};
use engine::mesh::{Ack, AckLevel, Append, LogEvent, Submitted, Ticket};
use engine::ring::{Bell, Consumer, Producer, ring};
use engine::shard::{Command, CommitPolicy, DedupSettings, Shard, ShardStats, Wiring};

use super::events::{batches, bodies, telemetry};
use super::matching::table;
use super::{Case, EVENTS};

/// Longer than a run lasts in the time of its events; ids are forgotten because there are too many.
const WINDOW_MS: u64 = 3_600_000;

/// The shard and the other ends of its rings.
pub struct Step {
    shard: Shard,
    mesh: Producer<Submitted>,
    acks: Consumer<Ack>,
    appends: Consumer<Append>,
    log: Producer<LogEvent>,
    lane: LaneReceiver,
    /// Kept, for a ring without its other end is abandoned.
    _commands: Producer<Command>,
    bodies: Vec<String>,
    rounds: u64,
    next: Vec<Batch>,
}

impl Step {
    /// All ids are new, half of the events match, one endpoint keeps up.
    pub fn new_ids() -> Self {
        let bell = Bell::default();
        let (mesh, inlet) = ring(256, &bell);
        let (ack_to, acks) = ring(256, &bell);
        let (append_to, appends) = ring(64, &bell);
        let (log, log_events) = ring(64, &bell);
        let (mut commands, command_from) = ring(8, &bell);
        let (sender, lane) = lane(&bell, &bell);
        let table = Arc::new(table(&["temp > 27".to_owned()], 1));
        let wiring = Wiring {
            shard: 0,
            shards: 1,
            inlets: vec![inlet],
            acks: vec![ack_to],
            appends: append_to,
            log_events,
            commands: command_from,
            heads: Heads::new(&[0]),
            acked: Heads::new(&[0]),
            stats: Arc::new(ShardStats::default()),
            commit: CommitPolicy::default(),
            dedup: DedupSettings { window_ms: WINDOW_MS, ids_max: EVENTS, seed: 7 },
            producers: engine::shard::ProducerSettings::default(),
        };
        let mut shard = Shard::new(wiring, &[0], table.clone());
        let install = Command::Install { table, lanes: vec![(0, Some(sender))] };
        commands.push(install).expect("the first command");
        shard.step(0);
        lane.want_live();
        shard.step(0);
        let bodies = bodies(telemetry);
        Self { shard, mesh, acks, appends, log, lane, _commands: commands, bodies, rounds: 0, next: Vec::new() }
    }
}

impl Case for Step {
    fn prepare(&mut self) {
        let first = self.rounds * EVENTS as u64;
        self.rounds += 1;
        self.next = batches(0, 0, &self.bodies, |n, headers| {
            put_attribute(headers, "id", &format!("{:016x}", first + n));
            put_attribute(headers, "source", "/plants/7");
            put_attribute(headers, "type", "com.example.telemetry");
        });
    }

    fn run(&mut self) -> usize {
        for (slot, batch) in (0..).zip(self.next.drain(..)) {
            let ticket = Ticket { core: 0, slot, generation: 0, level: AckLevel::Synced };
            self.mesh.push(Submitted { batch, ticket }).expect("room for a run");
        }
        loop {
            let mut worked = self.shard.step(0);
            while let Some(append) = self.appends.pop() {
                let Append::Group(group) = append else { panic!("nothing failed, so nothing starts anew") };
                self.log.push(LogEvent::Synced(group)).expect("room for every group");
                worked = true;
            }
            if !worked {
                break;
            }
        }
        let mut delivered = 0;
        while let Some(item) = self.lane.pop() {
            if let LaneItem::Delivery(delivery) = item {
                delivered += delivery.len();
            }
        }
        assert!(delivered > EVENTS / 3, "{delivered} of {EVENTS} events were delivered: about half should");
        let mut kept = 0;
        while let Some(ack) = self.acks.pop() {
            kept += ack.result.map_or(0, |placed| placed.rows as usize);
        }
        kept
    }
}
