//! Cases `read_back` and `catch_up`: stored batches read again, and an endpoint that is behind.

use std::sync::Arc;

use engine::batch::{Batch, decode_whole};
use engine::cursor::{Follower, ShardLane, Step};
use engine::event::put_attribute;
use engine::lane::{Heads, LaneSender, lane};
use engine::ring::Bell;
use engine::route::{Matcher, RouteTable};

use super::events::{batches, bodies, telemetry};
use super::matching::table;
use super::{Case, EVENTS};

/// Stored batches, as read from a segment.
pub struct ReadBack {
    stored: Vec<Batch>,
    next: Vec<Vec<u8>>,
}

impl ReadBack {
    /// Events with three attributes.
    pub fn stored() -> Self {
        let stored = batches(0, 0, &bodies(telemetry), |n, headers| {
            put_attribute(headers, "id", &format!("{n:016x}"));
            put_attribute(headers, "source", "/plants/7");
            put_attribute(headers, "type", "com.example.telemetry");
        });
        Self { stored, next: Vec::new() }
    }
}

impl Case for ReadBack {
    fn prepare(&mut self) {
        self.next = self.stored.iter().map(|batch| batch.bytes().to_vec()).collect();
    }

    fn run(&mut self) -> usize {
        let decoded = self.next.drain(..).map(|bytes| decode_whole(bytes).expect("a whole batch"));
        decoded.map(|batch| batch.rows().len()).sum()
    }
}

/// A follower whose lane never goes live, because the log always has more.
pub struct CatchUp {
    follower: Follower,
    matcher: Matcher,
    table: RouteTable,
    /// Kept, for a lane without its other end is abandoned.
    _lane: LaneSender,
    bodies: Vec<String>,
    offset: u64,
    next: Vec<Arc<Batch>>,
}

impl CatchUp {
    /// A tenth of the events is wanted.
    pub fn one_in_ten() -> Self {
        let (sender, receiver) = lane(&Bell::default(), &Bell::default());
        // Far behind, however long it runs.
        let heads = Heads::new(&[u64::MAX / 2]);
        let follower = Follower::new(0, vec![ShardLane::new(receiver, vec![0])], heads, vec![0]);
        let table = table(&["status = 'error'".to_owned()], 1);
        Self {
            follower,
            matcher: Matcher::default(),
            table,
            _lane: sender,
            bodies: bodies(telemetry),
            offset: 0,
            next: Vec::new(),
        }
    }
}

impl Case for CatchUp {
    fn prepare(&mut self) {
        self.next = batches(0, self.offset, &self.bodies, |_, _| {}).into_iter().map(Arc::new).collect();
        self.offset += EVENTS as u64;
    }

    fn run(&mut self) -> usize {
        let end = self.offset;
        let mut delivered = 0;
        loop {
            match self.follower.step(&self.table, &mut self.matcher) {
                Step::Read { from, .. } if from == end => break,
                Step::Read { .. } => self.follower.give(std::mem::take(&mut self.next)),
                Step::Deliver(delivery) => delivered += delivery.len(),
                Step::Advance { .. } => {}
                other => panic!("not while there is more in the log: {other:?}"),
            }
        }
        assert!(delivered > EVENTS / 20 && delivered < EVENTS / 5, "{delivered} of {EVENTS}: about a tenth should");
        EVENTS
    }
}
