//! A world from a seed: publishers, a node on a failing disk, receivers that fail, crashes, and the ledger that watches.

use std::collections::BTreeMap;

use engine::log::WriterSettings;
use engine::mesh::AckLevel;
use engine::shard::CommitPolicy;

use crate::disk::{Faults, SimDisk};
use crate::endpoint::{Mood, Spec};
use crate::ledger::{Finding, Ledger, Range};
use crate::numbered::{self, NumberedPublisher};
use crate::process::{Process, Settings};
use crate::sabotage::Sabotage;

/// Turns after which a world without faults must be at rest.
const REST_TURNS_MAX: usize = 200_000;
/// Starts of the node after which one must have succeeded.
const STARTS_MAX: usize = 200;

/// What a run has seen.
pub type Seen = BTreeMap<&'static str, u64>;

struct World {
    random: fastrand::Rng,
    settings: Settings,
    disk: SimDisk,
    ledger: Ledger,
    now_us: u64,
    faults: Faults,
    keys: u32,
    publishers: usize,
    numbered: Vec<NumberedPublisher>,
    seen: Seen,
    /// Damage is done to finished segments, once in so many turns.
    damage: Option<u32>,
}

/// Runs the world of `seed`; what it has seen, or what is wrong.
pub fn run(seed: u64, sabotage: Sabotage) -> Result<Seen, Finding> {
    let mut random = fastrand::Rng::with_seed(seed);
    let keys = random.u32(2..40);
    let settings = Settings {
        partitions: random.u32(1..6),
        shards: 1,
        cores: random.usize(1..3),
        writer: WriterSettings {
            segment_bytes_max: random.u64(2000..30_000),
            recent_bytes_max: random.choice([0, 0, 3000, 100_000]).unwrap_or(0),
        },
        commit: CommitPolicy {
            bytes_max: random.usize(100..20_000),
            delay_us_max: random.choice([0, 0, 0, 1500]).unwrap_or(0),
        },
        retention_bytes_max: if random.u8(..8) == 0 { 60_000 } else { 0 },
        endpoints: (0..random.usize(1..5)).map(|_| Spec::random(&mut random, keys)).collect(),
        sabotage,
    };
    let rare = |random: &mut fastrand::Rng| random.choice([0, 0, 2_000, 20_000, 100_000]).unwrap_or(0);
    let faults = Faults {
        write_error: rare(&mut random),
        sync_error: rare(&mut random),
        name_error: rare(&mut random),
        read_error: rare(&mut random) / 10,
        capacity: None,
    };
    let mut ledger = Ledger::new(settings.endpoints.len());
    ledger.has_retention = settings.retention_bytes_max > 0;
    let mut world = World {
        disk: SimDisk::new(random.u64(..), sabotage),
        ledger,
        settings,
        now_us: 0,
        faults,
        keys,
        publishers: random.usize(1..6),
        numbered: (0..random.u32(..4)).map(NumberedPublisher::new).collect(),
        seen: Seen::new(),
        damage: (random.u8(..5) == 0).then(|| random.u32(20..400)),
        random,
    };
    world.live()?;
    for (what, count) in world.disk.seen() {
        *world.seen.entry(what).or_default() += count;
    }
    let numbered = |count: fn(&NumberedPublisher) -> u64| world.numbered.iter().map(count).sum();
    let (again, out_of_order) = (numbered(|one| one.again), numbered(|one| one.out_of_order));
    world.saw("numbered events known when they came again", again);
    world.saw("numbered frames out of order", out_of_order);
    world.saw("events sent", world.ledger.sent() as u64);
    world.saw("events acknowledged", world.ledger.acknowledged() as u64);
    Ok(world.seen)
}

impl World {
    fn saw(&mut self, what: &'static str, count: u64) {
        *self.seen.entry(what).or_default() += count;
    }

    fn live(&mut self) -> Result<(), Finding> {
        let lives = self.random.usize(1..5);
        for life in 0..lives {
            self.settings.shards = self.random.u32(1..4).min(self.settings.partitions);
            let mut process = self.start()?;
            process.check_log(&mut self.ledger)?;
            self.disk.set_faults(self.faults);
            let turns = self.random.usize(100..1500);
            let is_last = life + 1 == lives;
            if !is_last && self.random.bool() {
                self.disk.crash_in(Some(self.random.u64(..400)));
            }
            self.work(&mut process, turns)?;
            if is_last {
                if !self.disk.is_off() {
                    return self.come_to_rest(process);
                }
                break;
            }
            let power_was_gone = self.disk.is_off() || self.random.bool();
            self.saw(if power_was_gone { "power failures" } else { "kills" }, 1);
            drop(process);
            self.disk.restart(power_was_gone);
        }
        self.disk.restart(true);
        let process = self.start()?;
        self.come_to_rest(process)
    }

    /// Starts the node; a disk that fails meanwhile is given another chance.
    fn start(&mut self) -> Result<Process, Finding> {
        self.ledger.restarted();
        self.numbered.iter_mut().for_each(NumberedPublisher::reconnect);
        let mut error = String::new();
        for attempt in 0..STARTS_MAX {
            self.disk.set_faults(if attempt < 3 { self.faults } else { Faults::default() });
            if attempt < 3 && self.random.u8(..6) == 0 {
                self.disk.crash_in(Some(self.random.u64(..60)));
            }
            let started = Process::start(&self.settings, &self.disk, &mut self.random);
            self.disk.crash_in(None);
            match started {
                Ok(process) if !self.disk.is_off() => {
                    self.disk.set_faults(Faults::default());
                    return Ok(process);
                }
                Ok(_) => {}
                Err(why) => error = why,
            }
            self.saw("starts that failed", 1);
            self.disk.restart(self.disk.is_off());
        }
        Err(format!("the node does not start: {error}"))
    }

    fn work(&mut self, process: &mut Process, turns: usize) -> Result<(), Finding> {
        for _ in 0..turns {
            self.turn(process, true)?;
            if self.disk.is_off() {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Something happens somewhere.
    fn turn(&mut self, process: &mut Process, is_faulty: bool) -> Result<(), Finding> {
        self.now_us += match self.random.u8(..50) {
            0 => self.random.u64(..50_000),
            _ => self.random.u64(..200),
        };
        match self.random.u8(..100) {
            0..15 if is_faulty => self.publish(process),
            15..20 => self.publish_numbered(process, is_faulty)?,
            20..35 => self.take_answers(process)?,
            35..60 => process.turn_shard(self.random.usize(..self.settings.shards as usize), self.now_us),
            60..75 => {
                let sync_us = match self.random.u8(..20) {
                    0 if is_faulty => self.random.u64(..100_000),
                    _ => self.random.u64(..500),
                };
                process.turn_writer(self.random.usize(..self.settings.shards as usize), self.now_us, sync_us);
            }
            75..80 => {
                let shard = self.random.usize(..self.settings.shards as usize);
                process.turn_keeper(shard, &mut self.random);
            }
            80..96 => {
                let endpoint = self.random.usize(..self.settings.endpoints.len());
                process.turn_endpoint(endpoint, &mut self.random, &mut self.ledger, self.now_us)?;
            }
            96 => match self.random.bool() {
                true => process.commit_cursors(),
                false => process.store_producers(),
            },
            97 if is_faulty => process.change_routes(self.random.u32(..5)),
            98 if is_faulty => self.change_moods(process),
            99 if is_faulty => self.trouble_the_disk(),
            _ => {}
        }
        Ok(())
    }

    fn publish(&mut self, process: &mut Process) {
        let publisher = self.random.usize(..self.publishers);
        if process.requests.iter().any(|request| request.publisher == publisher) {
            return;
        }
        let count = if self.random.u8(..20) == 0 { 60 } else { self.random.usize(1..8) };
        let mut events = Vec::new();
        for _ in 0..count {
            // Each key has one publisher: order is promised within a connection.
            let key = self.random.u32(..self.keys) / self.publishers as u32 * self.publishers as u32 + publisher as u32;
            events.push(self.ledger.send(key, self.random.u32(..100)));
        }
        let level = match self.random.u8(..10) {
            0 => AckLevel::Memory,
            1 => AckLevel::Written,
            _ => AckLevel::Synced,
        };
        process.send(publisher, events, level, 1_700_000_000_000 + self.now_us as i64 / 1000);
    }

    fn publish_numbered(&mut self, process: &mut Process, may_be_new: bool) -> Result<(), Finding> {
        if self.numbered.is_empty() {
            return Ok(());
        }
        let publisher = self.random.usize(..self.numbered.len());
        let now_ms = 1_700_000_000_000 + self.now_us as i64 / 1000;
        self.numbered[publisher].turn(process, &mut self.ledger, &mut self.random, may_be_new, now_ms)
    }

    fn take_answers(&mut self, process: &mut Process) -> Result<(), Finding> {
        numbered::take_answers(&mut self.numbered, process, &mut self.ledger)?;
        for (request, result) in process.poll_requests() {
            let Ok(receipt) = result else {
                self.saw("requests refused", 1);
                continue;
            };
            if receipt.events() != request.events.len() as u64 {
                return Err(format!("{} of {} events have a place", receipt.events(), request.events.len()));
            }
            if request.level != AckLevel::Synced {
                continue;
            }
            let mut placed = receipt.placed;
            placed.sort_by_key(|placed| (placed.partition, placed.base_offset));
            let mut by_partition: BTreeMap<u32, Vec<u64>> = BTreeMap::new();
            for (partition, sent) in &request.events {
                by_partition.entry(*partition).or_default().push(sent.id);
            }
            for (partition, ids) in by_partition {
                let of_partition = placed.iter().filter(|placed| placed.partition == partition);
                let offsets: Vec<u64> = of_partition
                    .flat_map(|placed| placed.base_offset..placed.base_offset + u64::from(placed.rows))
                    .collect();
                if offsets.len() != ids.len() {
                    return Err(format!("{} events of partition {partition} have {} places", ids.len(), offsets.len()));
                }
                self.ledger.acknowledge(partition, &offsets, &ids)?;
            }
        }
        Ok(())
    }

    fn change_moods(&mut self, process: &mut Process) {
        let endpoint = self.random.usize(..process.endpoints.len());
        let moods = [Mood::Healthy, Mood::Failing, Mood::Hanging, Mood::Slow, Mood::Flapping, Mood::Mute];
        process.endpoints[endpoint].mood = self.random.choice(moods).unwrap_or(Mood::Healthy);
    }

    fn trouble_the_disk(&mut self) {
        let mut faults = self.faults;
        if self.random.u8(..3) == 0 {
            faults.capacity = Some(self.disk.used() + self.random.usize(..20_000));
        }
        self.disk.set_faults(faults);
        if let Some(every) = self.damage
            && self.random.u32(..100) < every
        {
            let is_done = if self.random.bool() { self.disk.flip_a_bit() } else { self.disk.misdirect_a_sector() };
            self.ledger.damages += u64::from(is_done);
        }
    }

    /// No more faults, no more events: everything must come to its end, and be right.
    fn come_to_rest(&mut self, process: Process) -> Result<(), Finding> {
        let mut process = process;
        self.disk.set_faults(Faults::default());
        self.disk.crash_in(None);
        for endpoint in &mut process.endpoints {
            endpoint.mood = Mood::Healthy;
        }
        let mut turns = 0;
        while !process.is_at_rest() || !self.numbered.iter().all(NumberedPublisher::is_done) {
            self.turn(&mut process, false)?;
            turns += 1;
            if turns > REST_TURNS_MAX {
                return Err(format!("no rest: {}", process.unrest()));
            }
        }
        let damaged: Vec<(u32, Range)> = process.check_log(&mut self.ledger)?;
        for endpoint in 0..self.settings.endpoints.len() {
            let spec = self.settings.endpoints[endpoint].clone();
            let checked = self.ledger.check_endpoint(endpoint, |sent| spec.wants(sent));
            checked.map_err(|finding| format!("{finding}; {spec:?}"))?;
        }
        let (cursors, ends) = process.cursors_and_ends();
        if cursors.iter().any(|cursors| *cursors != ends) {
            return Err(format!("cursors {cursors:?} at rest, the log ends at {ends:?}"));
        }
        self.saw("events lost to damage", damaged.iter().map(|(_, (from, to))| to - from).sum());
        self.saw("turns to rest", turns as u64);
        Ok(())
    }
}
