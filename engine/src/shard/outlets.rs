//! The way out of a shard: match a synced batch, push its rows into the live lanes, move the head.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{ProducerReport, ShardStats};
use crate::batch::Batch;
use crate::lane::{Delivery, Enrichment, Heads, LaneSender, Rows};
use crate::parse::ExtractStats;
use crate::ring::Producer;
use crate::route::{EndpointId, Matcher, RouteTable};

/// What the node tells a shard; carried out between two batches.
#[derive(Debug)]
pub enum Command {
    /// Use this table from the next batch on. New endpoints come with their lanes, endpoints that are gone lose theirs.
    Install {
        /// The table.
        table: Arc<RouteTable>,
        /// Endpoints whose lane changes; `None` takes it away.
        lanes: Vec<(EndpointId, Option<LaneSender>)>,
    },
    /// From the next batch on, push every batch whole into this lane, whatever the table says, until its receiver is gone.
    Tap(LaneSender),
    /// Say what is to be stored of the producers' progress. The answer needs room, and must not be dropped while the shard lives.
    ReportProducers(Producer<ProducerReport>),
}

/// Lanes, table and heads of one shard.
#[derive(Debug)]
pub(super) struct Outlets {
    table: Arc<RouteTable>,
    lanes: Vec<Option<LaneSender>>,
    /// Endpoints whose lane is not live: only they can want to be, and thousands that keep up cost nothing.
    resting: Vec<EndpointId>,
    taps: Vec<LaneSender>,
    no_enrichments: Arc<[Enrichment]>,
    heads: Heads,
    owned: Vec<u32>,
    matcher: Matcher,
}

impl Outlets {
    pub fn new(table: Arc<RouteTable>, heads: Heads, owned: Vec<u32>) -> Self {
        let (taps, no_enrichments) = (Vec::new(), Arc::from([]));
        let (lanes, resting) = (Vec::new(), Vec::new());
        Self { table, lanes, resting, taps, no_enrichments, heads, owned, matcher: Matcher::default() }
    }

    pub fn handle_command(&mut self, command: Command) {
        match command {
            Command::Install { table, lanes } => {
                self.table = table;
                for (endpoint, lane) in lanes {
                    let at = usize::from(endpoint);
                    if self.lanes.len() <= at {
                        self.lanes.resize_with(at + 1, || None);
                    }
                    self.resting.retain(|resting| *resting != endpoint);
                    self.resting.extend(lane.as_ref().filter(|lane| !lane.is_live()).map(|_| endpoint));
                    self.lanes[at] = lane;
                }
            }
            Command::Tap(lane) => {
                self.taps.retain(|tap| !tap.is_abandoned());
                self.taps.push(lane);
            }
            // The shard answers it.
            Command::ReportProducers(_) => {}
        }
    }

    /// Lanes that want to be live become so, with the heads as they stand between two batches.
    pub fn answer_wishes(&mut self) {
        let Self { lanes, resting, taps, heads, owned, .. } = self;
        let mut answer = |lane: &mut LaneSender| {
            if lane.is_wanted() {
                lane.go_live(owned.iter().map(|partition| (*partition, heads.get(*partition))).collect());
            }
        };
        taps.iter_mut().for_each(&mut answer);
        resting.retain(|endpoint| {
            let Some(lane) = &mut lanes[usize::from(*endpoint)] else { return false };
            answer(lane);
            !lane.is_live()
        });
    }

    /// The batch is synced: everyone who wants rows of it and keeps up gets them now.
    pub fn hand_out(&mut self, batch: Arc<Batch>, stats: &ShardStats) {
        self.matcher.run(&self.table, &batch, None);
        for endpoint in self.matcher.endpoints() {
            let endpoint = *endpoint;
            let matched = self.matcher.matched(endpoint);
            stats.matched(endpoint, matched);
            let lane = self.lanes.get_mut(usize::from(endpoint)).and_then(Option::as_mut).filter(|lane| lane.is_live());
            if let (Some(lane), Some(rows)) = (lane, self.matcher.rows(endpoint)) {
                lane.push(Delivery {
                    batch: batch.clone(),
                    rows,
                    enrichments: self.table.enrichments(endpoint).clone(),
                    table_version: self.table.version(),
                });
                if !lane.is_live() {
                    self.resting.push(endpoint);
                }
            }
        }
        for tap in self.taps.iter_mut().filter(|tap| tap.is_live()) {
            tap.push(Delivery {
                batch: batch.clone(),
                rows: Rows::All,
                enrichments: self.no_enrichments.clone(),
                table_version: self.table.version(),
            });
        }
        stats.synced_events.fetch_add(batch.rows().len() as u64, Ordering::Relaxed);
        self.heads.set(batch.partition(), batch.last_offset() + 1);
    }

    pub fn extracted(&self) -> ExtractStats {
        self.matcher.extracted()
    }

    pub fn orphaned(&self) -> u64 {
        self.matcher.orphaned()
    }
}
