//! What a shard hands to an endpoint: a batch and the rows of it that the endpoint's routes want.

mod ends;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use ends::{Heads, LaneItem, LaneReceiver, LaneSender, lane};

use crate::batch::Batch;
use crate::event::Event;

/// Rows of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Every row.
    All,
    /// These, ascending.
    Some(Box<[u16]>),
}

/// A static application property that is added to what an endpoint gets (sheet `iothub-and-twins.md` 1.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Enrichment {
    /// Property name.
    pub key: String,
    /// Its value; overwrites a property of the same name.
    pub value: String,
}

/// A batch and its matching rows on the way to one endpoint. One pointer is cloned per delivery, nothing per event.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The batch, with its offsets.
    pub batch: Arc<Batch>,
    /// The rows that matched; never none.
    pub rows: Rows,
    /// What to add to every event.
    pub enrichments: Arc<[Enrichment]>,
    /// The route table that matched.
    pub table_version: u64,
}

impl Delivery {
    /// Number of events.
    pub fn len(&self) -> usize {
        match &self.rows {
            Rows::All => self.batch.rows().len(),
            Rows::Some(rows) => rows.len(),
        }
    }

    /// Never: a delivery has at least one event.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers of the matching rows, ascending.
    pub fn row_indexes(&self) -> impl Iterator<Item = usize> + '_ {
        let (all, some) = match &self.rows {
            Rows::All => (0..self.batch.rows().len(), &[][..]),
            Rows::Some(rows) => (0..0, &rows[..]),
        };
        all.chain(some.iter().map(|row| usize::from(*row)))
    }

    /// The matching events in offset order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.row_indexes().map(|row| Event::new(&self.batch, row))
    }

    /// Keeps only rows before `offset`; `None` if no row is left.
    pub fn before_offset(mut self, offset: u64) -> Option<Self> {
        let base = self.batch.base_offset();
        if offset > self.batch.last_offset() {
            return Some(self);
        }
        let rows: Box<[u16]> =
            self.row_indexes().filter(|row| base + (*row as u64) < offset).map(|row| row as u16).collect();
        if rows.is_empty() {
            return None;
        }
        self.rows = Rows::Some(rows);
        Some(self)
    }

    /// Keeps only rows at or behind `offset`; `None` if no row is left.
    pub fn from_offset(mut self, offset: u64) -> Option<Self> {
        let base = self.batch.base_offset();
        if offset <= base {
            return Some(self);
        }
        let rows: Box<[u16]> =
            self.row_indexes().filter(|row| base + *row as u64 >= offset).map(|row| row as u16).collect();
        if rows.is_empty() {
            return None;
        }
        self.rows = Rows::Some(rows);
        Some(self)
    }
}
