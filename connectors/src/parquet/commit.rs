//! A commit under way: the rows of a range of offsets of one partition, in one file or, by folder, in several.
//!
//! What always holds: no file has its name before all are written; dropped half-way a commit leaves only what the next start removes.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::event::Event;
use engine::lane::Enrichment;
use parquet::file::metadata::KeyValue;
use tokio::time::Instant;

use super::cells::{Cells, Plan};
use super::config::ParquetConfig;
use super::file::{FileError, RUN_ROWS_MAX, TABLE_BYTES_MAX, TABLE_ROWS_CHECK, TABLE_ROWS_MAX};
use super::layout::Layout;
use super::learn::Learner;
use super::names::{Name, Part};
use super::open_file::{CommittedFile, OpenFile};
use super::pages::PageRoom;
use super::piece::Piece;
use super::schema::Schema;
use super::spread::Refused;
use super::store::{Again, Store};
use super::table::{Body, Table};
use crate::sink::SettleTicket;

/// What every commit of an endpoint needs to be written.
#[derive(Clone, Copy)]
pub struct Writing<'w> {
    /// Name of the endpoint.
    pub endpoint: &'w str,
    /// Its settings.
    pub config: &'w ParquetConfig,
    /// Which rows go to which folder.
    pub layout: &'w Layout,
    /// Where the files make their pages.
    pub room: &'w PageRoom,
    /// Where the files go.
    pub store: &'w dyn Store,
    /// How failures are taken.
    pub again: &'w Again,
}

impl Writing<'_> {
    /// What the footer of every file says.
    pub fn metadata(&self, partition: u32) -> Vec<KeyValue> {
        [("anabranch.endpoint", self.endpoint.to_owned()), ("anabranch.partition", partition.to_string())]
            .map(|(key, value)| KeyValue::new(key.to_owned(), value))
            .into()
    }
}

/// See the module.
pub struct Commit {
    partition: u32,
    first: u64,
    last: u64,
    rows: u64,
    since: Instant,
    schema_version: u32,
    table: Table,
    /// By folder.
    files: BTreeMap<String, OpenFile>,
    tickets: Vec<SettleTicket>,
    /// Its memory as last counted into a sum.
    pub counted_bytes: u64,
}

/// A commit that is kept.
pub struct Committed {
    /// What it covers; the part is that of no file.
    pub name: Name,
    /// Its files.
    pub files: Vec<CommittedFile>,
    /// Rows of all.
    pub rows: u64,
    /// Rows of which `_errors` says something.
    pub mismatches: u64,
    /// To be settled once the commit is known everywhere.
    pub tickets: Vec<SettleTicket>,
}

impl Commit {
    /// Begins one that covers `partition` from `first` on; `plan` is that of the schema. It can take note of what has no column.
    pub fn begin(schema: &Schema, plan: &Arc<Plan>, observes: bool, partition: u32, first: u64) -> Self {
        let table = Table::new(schema, true).with_plan(plan);
        Self {
            partition,
            first,
            last: first,
            rows: 0,
            since: Instant::now(),
            schema_version: schema.version,
            table: if observes { table.observing() } else { table },
            files: BTreeMap::new(),
            tickets: Vec::new(),
            counted_bytes: 0,
        }
    }

    /// Appends an event with what its endpoint adds; offsets ascend. `body` is its data parsed; `None` where it is no JSON.
    /// `true`: it is time to [`encode`](Self::encode). An event that is refused is covered all the same, without a row.
    pub fn push(
        &mut self,
        event: &Event<'_>,
        enrichments: &[Enrichment],
        body: Option<Body<'_>>,
    ) -> Result<bool, Refused> {
        self.last = event.offset();
        self.table.push(event, enrichments, body)?;
        self.rows += 1;
        // Large events are asked for more often: a column's values are counted in 31 bits.
        let is_large = self.table.rows().is_multiple_of(TABLE_ROWS_CHECK) && self.table.byte_len() >= TABLE_BYTES_MAX;
        Ok(self.table.rows() >= TABLE_ROWS_MAX || is_large)
    }

    /// As [`push`](Self::push) for some of the rows from `first` on of what was read from `pieces`, of which that one is plain. Says how
    /// many.
    pub fn push_cells(&mut self, cells: &Cells, first: usize, pieces: &[Piece<'_>]) -> Result<usize, Refused> {
        self.last = cells.event(first, pieces).offset();
        let most = (TABLE_ROWS_MAX - self.table.rows()).min(RUN_ROWS_MAX);
        let len = self.table.push_cells(cells, first, most, pieces)?;
        self.last = cells.event(first + len - 1, pieces).offset();
        self.rows += len as u64;
        Ok(len)
    }

    /// It is time to [`encode`](Self::encode).
    pub fn is_full(&self) -> bool {
        self.table.rows() >= TABLE_ROWS_MAX || self.table.byte_len() >= TABLE_BYTES_MAX
    }

    /// How data is to be read for its columns.
    pub fn plan(&self) -> &Plan {
        self.table.plan()
    }

    /// The delivery that the rows came with is settled with the commit.
    pub fn keep(&mut self, ticket: SettleTicket) {
        self.tickets.push(ticket);
    }

    /// Settles one without rows.
    pub fn settle(self) {
        debug_assert_eq!(self.rows, 0);
        self.tickets.into_iter().for_each(SettleTicket::settle);
    }

    /// Shows a learner what had no column.
    pub fn teach(&self, learner: &mut Learner) {
        self.table.teach(learner);
    }

    /// When its first row came.
    pub fn since(&self) -> Instant {
        self.since
    }

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Offset behind its last row.
    pub fn next(&self) -> u64 {
        self.last + 1
    }

    /// Files that are open.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    /// Bytes of its largest file so far, with those that will be when what is in memory is encoded, roughly.
    pub fn file_bytes(&self) -> u64 {
        self.files.values().map(OpenFile::bytes).max().unwrap_or(0) + self.table.byte_len() as u64
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> u64 {
        self.files.values().map(OpenFile::memory_bytes).sum::<u64>() + self.table.byte_len() as u64
    }

    /// Encodes the rows that have gathered.
    pub async fn encode(&mut self, writing: Writing<'_>) -> Result<(), FileError> {
        if self.table.rows() == 0 {
            return Ok(());
        }
        let rows = self.table.take();
        let split = writing.layout.split(&rows).map_err(|error| FileError::Encode {
            path: stem(self.partition, self.first, 0).into(),
            error: error.into(),
        })?;
        for (folder, rows) in split {
            let number = self.files.len();
            let begin = || {
                let mut metadata = writing.metadata(self.partition);
                let version = self.schema_version.to_string();
                metadata.push(KeyValue::new("anabranch.schema_version".to_owned(), version));
                OpenFile::begin(writing, stem(self.partition, self.first, number), metadata)
            };
            self.files.entry(folder).or_insert_with(begin).write(writing, rows).await?;
        }
        Ok(())
    }

    /// Writes everything in memory to the files, as a row group of its own.
    pub async fn spill(&mut self, writing: Writing<'_>) -> Result<(), FileError> {
        self.encode(writing).await?;
        for file in self.files.values_mut() {
            file.spill(writing).await?;
        }
        Ok(())
    }

    /// Encodes the rest and gives the files their names. Once this resolves they survive power loss.
    pub async fn finish(mut self, writing: Writing<'_>) -> Result<Committed, FileError> {
        self.encode(writing).await?;
        let count = self.files.len() as u32;
        let whole = Name { partition: self.partition, first: self.first, last: self.last, part: Part::Whole };
        let mut sealed = Vec::with_capacity(self.files.len());
        for (number, (folder, file)) in (1..).zip(self.files) {
            let part = if count == 1 { Part::Whole } else { Part::Of { number, count } };
            let name = Name { part, ..whole };
            let path = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
            sealed.push(file.seal(writing, name, path).await?);
        }
        let mut files = Vec::with_capacity(sealed.len());
        for file in sealed {
            files.push(file.publish(writing.again).await?);
        }
        let (rows, mismatches, tickets) = (self.rows, self.table.mismatches(), self.tickets);
        Ok(Committed { name: whole, files, rows, mismatches, tickets })
    }
}

/// A name for the file of this number while it is open.
fn stem(partition: u32, first: u64, number: usize) -> String {
    format!("p{partition:05}-{first:020}-{number}")
}

impl Committed {
    /// Bytes of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }
}
