//! What must be true: the ledger knows every event that was sent, what was acknowledged and where, and what each endpoint was
//! given, and finds the contradiction.

use std::collections::{BTreeMap, BTreeSet};

use engine::batch::Batch;
use engine::event::Event;

/// What an event says about itself; its body is this in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: u64,
    pub key: u32,
    pub value: u32,
}

impl Sent {
    /// The event's body.
    pub fn body(&self) -> String {
        format!("{{\"id\":{},\"k\":{},\"t\":{}}}", self.id, self.key, self.value)
    }

    /// Its partition key.
    pub fn key_text(&self) -> String {
        format!("device-{}", self.key)
    }
}

/// Offsets of a partition: first, and behind the last.
pub type Range = (u64, u64);

/// One endpoint's account.
#[derive(Debug, Default)]
pub struct Account {
    /// Of this life of the process: the offset behind what was handed over, by partition.
    handed: BTreeMap<u32, u64>,
    /// Who received it: first receipts by place.
    pub received: BTreeSet<(u32, u64)>,
    /// Given up as dead letters.
    pub given_up: BTreeSet<(u32, u64)>,
    /// Last first receipt of each key.
    last_of_key: BTreeMap<u32, u64>,
    /// Told to be lost.
    pub lost: Vec<(u32, Range)>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Ledger {
    sent: BTreeMap<u64, Sent>,
    next_id: u64,
    /// What somebody was told or shown: place to id. It can never change.
    fixed: BTreeMap<(u32, u64), u64>,
    /// Acknowledged as synced.
    acknowledged: BTreeSet<(u32, u64)>,
    /// Acknowledged as synced, wherever they lie: partition and id.
    kept: BTreeSet<(u32, u64)>,
    pub accounts: Vec<Account>,
    /// Damage was done to finished segments: so often.
    pub damages: u64,
    /// Retention removes segments.
    pub has_retention: bool,
}

/// A contradiction.
pub type Finding = String;

impl Ledger {
    /// Of a world with so many endpoints.
    pub fn new(endpoints: usize) -> Self {
        Self { accounts: (0..endpoints).map(|_| Account::default()).collect(), ..Self::default() }
    }

    /// A new event.
    pub fn send(&mut self, key: u32, value: u32) -> Sent {
        let sent = Sent { id: self.next_id, key, value };
        self.next_id += 1;
        self.sent.insert(sent.id, sent);
        sent
    }

    /// Events that were sent.
    pub fn sent(&self) -> usize {
        self.sent.len()
    }

    /// Events that were acknowledged as synced.
    pub fn acknowledged(&self) -> usize {
        self.acknowledged.len()
    }

    /// These events of one partition were acknowledged as synced at these places.
    pub fn acknowledge(&mut self, partition: u32, offsets: &[u64], ids: &[u64]) -> Result<(), Finding> {
        for (offset, id) in offsets.iter().zip(ids) {
            self.fix(partition, *offset, *id, "acknowledged")?;
            self.acknowledged.insert((partition, *offset));
        }
        Ok(())
    }

    /// This event was acknowledged as synced, though not at which place.
    pub fn must_be_kept(&mut self, partition: u32, id: u64) {
        self.kept.insert((partition, id));
    }

    fn fix(&mut self, partition: u32, offset: u64, id: u64, how: &str) -> Result<(), Finding> {
        match self.fixed.insert((partition, offset), id) {
            Some(before) if before != id => Err(format!(
                "offset {offset} of partition {partition} was event {before} and is now {how} as event {id}"
            )),
            _ => Ok(()),
        }
    }

    /// Looks at an event that somebody is shown.
    fn show(&mut self, event: &Event<'_>, how: &str) -> Result<Sent, Finding> {
        let place = (event.partition(), event.offset());
        let body = event.data().unwrap_or(b"");
        let id = serde_json::from_slice::<serde_json::Value>(body).ok().and_then(|body| body["id"].as_u64());
        let sent = id.and_then(|id| self.sent.get(&id)).copied();
        let Some(sent) = sent.filter(|sent| sent.body().as_bytes() == body) else {
            return Err(format!("{place:?} is {how} with a body that nobody sent: {}", String::from_utf8_lossy(body)));
        };
        self.fix(place.0, place.1, sent.id, how)?;
        Ok(sent)
    }

    /// A life of the process has begun.
    pub fn restarted(&mut self) {
        for account in &mut self.accounts {
            account.handed.clear();
        }
    }

    /// An endpoint is handed these events.
    pub fn handed(&mut self, endpoint: usize, events: &[Event<'_>]) -> Result<(), Finding> {
        for event in events {
            self.show(event, "handed over")?;
            let next = self.accounts[endpoint].handed.entry(event.partition()).or_default();
            if event.offset() < *next {
                let (partition, offset) = (event.partition(), event.offset());
                return Err(format!("endpoint {endpoint} is handed offset {offset} of partition {partition} again"));
            }
            *next = event.offset() + 1;
        }
        Ok(())
    }

    /// The receiver behind an endpoint has got this event. `is_ordered`: the order of its key is promised.
    pub fn received(&mut self, endpoint: usize, event: &Event<'_>, is_ordered: bool) -> Result<(), Finding> {
        let sent = self.show(event, "received")?;
        let account = &mut self.accounts[endpoint];
        if account.received.insert((event.partition(), event.offset())) && is_ordered {
            let last = account.last_of_key.insert(sent.key, event.offset());
            if last.is_some_and(|last| last > event.offset()) {
                return Err(format!(
                    "endpoint {endpoint} got offset {} of key {} after {last:?}",
                    event.offset(),
                    sent.key
                ));
            }
        }
        Ok(())
    }

    /// An endpoint gives this event up.
    pub fn given_up(&mut self, endpoint: usize, event: &Event<'_>) -> Result<(), Finding> {
        self.show(event, "given up")?;
        self.accounts[endpoint].given_up.insert((event.partition(), event.offset()));
        Ok(())
    }

    /// Reads a whole partition through `read` and compares it with what is known. Gives what is damaged.
    pub fn check_partition(
        &mut self,
        partition: u32,
        (start, end): Range,
        mut read: impl FnMut(u64) -> Result<Vec<std::sync::Arc<Batch>>, Hole>,
    ) -> Result<Vec<Range>, Finding> {
        let mut damaged: Vec<Range> = Vec::new();
        if start > 0 && !self.has_retention {
            damaged.push((0, start));
        }
        let mut at = start;
        let mut last_of_key: BTreeMap<u32, u64> = BTreeMap::new();
        let mut ids = BTreeSet::new();
        while at < end {
            let batches = match read(at) {
                Ok(batches) => batches,
                Err(Hole { next }) if next > at => {
                    damaged.push((at, next));
                    at = next;
                    continue;
                }
                Err(Hole { next }) => return Err(format!("partition {partition} at {at}: a hole up to {next}")),
            };
            if batches.is_empty() {
                return Err(format!("partition {partition} ends at {end}, and nothing is to be read at {at}"));
            }
            for batch in batches {
                if batch.base_offset() > at || batch.last_offset() < at {
                    return Err(format!("partition {partition}: a read at {at} gave {}", batch.base_offset()));
                }
                for row in 0..batch.rows().len() {
                    let event = Event::new(&batch, row);
                    let sent = self.show(&event, "read")?;
                    if !ids.insert(sent.id) {
                        return Err(format!("event {} is twice in partition {partition}", sent.id));
                    }
                    if last_of_key.insert(sent.key, sent.id).is_some_and(|last| last > sent.id) {
                        return Err(format!("event {} comes after a later one of its key", sent.id));
                    }
                }
                at = batch.last_offset() + 1;
            }
        }
        if !damaged.is_empty() && self.damages == 0 {
            return Err(format!("partition {partition} has holes that nobody made: {damaged:?}"));
        }
        let missing = self.kept.range((partition, 0)..=(partition, u64::MAX)).find(|(_, id)| !ids.contains(id));
        if let Some((_, id)) = missing.filter(|_| damaged.is_empty() && !self.has_retention && self.damages == 0) {
            return Err(format!("event {id} was acknowledged and is not in partition {partition}"));
        }
        let excused = |offset: u64| damaged.iter().any(|(from, to)| (*from..*to).contains(&offset));
        for (_, offset) in self.acknowledged.range((partition, 0)..=(partition, u64::MAX)) {
            let is_retired = self.has_retention && *offset < start;
            if *offset >= end && !excused(*offset) && !is_retired {
                return Err(format!(
                    "offset {offset} of partition {partition} was acknowledged; the log ends at {end}"
                ));
            }
        }
        Ok(damaged)
    }

    /// Everything is at rest: each endpoint must have got exactly what it wants.
    pub fn check_endpoint(&self, endpoint: usize, wants: impl Fn(&Sent) -> bool) -> Result<(), Finding> {
        let account = &self.accounts[endpoint];
        let inside = |ranges: &[(u32, Range)], (partition, offset): (u32, u64)| {
            ranges.iter().any(|(p, (from, to))| *p == partition && (*from..*to).contains(&offset))
        };
        for (place, id) in &self.fixed {
            let sent = &self.sent[id];
            let is_settled = account.received.contains(place) || account.given_up.contains(place);
            // Damage can go away again (a bit that flips back): what the endpoint was told is what counts.
            let is_excused = inside(&account.lost, *place) && (self.has_retention || self.damages > 0);
            if wants(sent) && !is_settled && !is_excused {
                let acknowledged = self.acknowledged.contains(place);
                let lost = &account.lost;
                return Err(format!(
                    "endpoint {endpoint} never got {place:?}, event {id} (acknowledged: {acknowledged}); lost {lost:?}"
                ));
            }
            if !wants(sent) && is_settled {
                return Err(format!("endpoint {endpoint} got {place:?}, event {id}, which it does not want"));
            }
        }
        Ok(())
    }
}

/// A read found nothing readable before this offset.
#[derive(Debug)]
pub struct Hole {
    pub next: u64,
}
