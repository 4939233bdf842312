//! Matches a batch against a table: columns, then every index, then rows per endpoint.

use super::facts::CellFacts;
use super::gather::Gather;
use super::hits::{HitSet, Hits};
use super::index::{self, Scratch};
use super::{EndpointId, RouteTable, Source, is_observer};
use crate::batch::Batch;
use crate::lane::Rows;
use crate::parse::{ExtractStats, Kernel};

/// Memory of one matching thread, and the result of the last match.
#[derive(Debug)]
pub struct Matcher {
    gather: Gather,
    scratch: Scratch,
    hits: HitSet,
    rows: Vec<u16>,
    orphaned: u64,
}

impl Default for Matcher {
    /// With the fastest kernel of the machine.
    fn default() -> Self {
        Self::new(Kernel::best())
    }
}

impl Matcher {
    /// With the kernel that is named.
    ///
    /// # Panics
    /// If the machine cannot run it.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            gather: Gather::new(kernel),
            scratch: Scratch::default(),
            hits: HitSet::default(),
            rows: Vec::new(),
            orphaned: 0,
        }
    }

    /// Matches all rows. Afterwards [`rows`](Self::rows) has the result. With `only`, other endpoints' routes are left out
    /// where that changes nothing for this one.
    pub fn run(&mut self, table: &RouteTable, batch: &Batch, only: Option<EndpointId>) {
        let rows = batch.rows().len();
        self.hits.reset(rows, table.numbers());
        self.gather.run(&table.columns, batch);
        // Whether an event matched nothing is only known when every route was tried.
        let only = only.filter(|endpoint| table.fallback != Some(*endpoint));
        if self.gather.only_device_messages {
            self.rows.clear();
            self.rows.extend(0..rows as u16);
            if rows > usize::from(u16::MAX) {
                self.rows.push(u16::MAX);
            }
            self.run_source(table, batch, Source::DeviceMessages, only);
        } else {
            for source in Source::ALL {
                self.rows.clear();
                let sources = self.gather.sources.iter().enumerate();
                self.rows.extend(sources.filter(|(_, found)| **found == source).map(|(row, _)| row as u16));
                if !self.rows.is_empty() {
                    self.run_source(table, batch, source, only);
                }
            }
        }
        if only.is_none() {
            self.unmatched(table, rows);
        }
    }

    fn run_source(&mut self, table: &RouteTable, batch: &Batch, source: Source, only: Option<EndpointId>) {
        let Self { gather, scratch, hits, rows, .. } = self;
        let cells = CellFacts { set: &table.columns, columns: &gather.columns, bytes: batch.bytes(), row: 0 };
        for (layer, removed) in &table.layers {
            if let Some(index) = layer.index(source) {
                let mut hits = Hits { set: hits, only, removed };
                index.run(gather.kernel(), &index::Rows { rows, cells }, scratch, &mut hits);
            }
        }
    }

    /// Rows that matched nothing go to the fallback, if they are device messages.
    fn unmatched(&mut self, table: &RouteTable, rows: usize) {
        for word in 0..rows.div_ceil(64) {
            let counted = self.hits.endpoints().iter().filter(|endpoint| !is_observer(**endpoint));
            let matched = counted.fold(0, |all, endpoint| all | self.hits.bits(*endpoint)[word]);
            let valid = if rows - word * 64 >= 64 { !0 } else { (1u64 << (rows - word * 64)) - 1 };
            let mut left = !matched & valid;
            while left != 0 {
                let row = word * 64 + left.trailing_zeros() as usize;
                match table.fallback.filter(|_| self.gather.sources[row] == Source::DeviceMessages) {
                    Some(endpoint) => self.hits.add(endpoint, row),
                    None => self.orphaned += 1,
                }
                left &= left - 1;
            }
        }
    }

    /// The body of a row of the last batch is JSON, as far as the table reads bodies.
    pub fn is_json(&self, row: usize) -> bool {
        self.gather.is_json(row)
    }

    /// The rows of the last batch that `endpoint` gets; `None` if it gets none.
    pub fn rows(&self, endpoint: EndpointId) -> Option<Rows> {
        self.hits.rows(endpoint)
    }

    /// How many rows of the last batch `endpoint` gets.
    pub fn matched(&self, endpoint: EndpointId) -> usize {
        self.hits.count(endpoint)
    }

    /// Endpoints that get rows of the last batch, in no order.
    pub fn endpoints(&self) -> &[EndpointId] {
        self.hits.endpoints()
    }

    /// Events that matched no route and had no fallback, since the start.
    pub fn orphaned(&self) -> u64 {
        self.orphaned
    }

    /// What became of the bodies that routes want to read, since the start.
    pub fn extracted(&self) -> ExtractStats {
        self.gather.stats()
    }
}
