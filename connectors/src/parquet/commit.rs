//! A commit under way: the rows of a range of offsets of one partition, in one file or, by folder, in several.
//!
//! What always holds: no file has its name before all are written; dropped half-way a commit leaves only what the next start removes.

use std::collections::BTreeMap;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use arrow_array::{Array, RecordBatch};
use bytes::Bytes;
use engine::event::Event;
use engine::lane::Enrichment;
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use tokio::time::Instant;

use super::config::ParquetConfig;
use super::encoder::Encoder;
use super::file::{FileError, TABLE_BYTES_MAX, TABLE_ROWS_CHECK, TABLE_ROWS_MAX};
use super::layout::Layout;
use super::learn::Learner;
use super::manifest;
use super::names::{Name, Part};
use super::schema::Schema;
use super::spread::Refused;
use super::store::{Again, Draft, Store, StoreError};
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
    /// Where the files go.
    pub store: &'w dyn Store,
    /// How failures are taken.
    pub again: &'w Again,
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

struct OpenFile {
    encoder: Encoder<Vec<u8>>,
    draft: Box<dyn Draft>,
    /// Bytes that the draft has.
    sent: u64,
    first_row: i64,
    last_row: i64,
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
    /// Bytes of all.
    pub bytes: u64,
    /// To be settled once the commit is published everywhere.
    pub tickets: Vec<SettleTicket>,
}

/// A file of a commit.
pub struct CommittedFile {
    /// Its path.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its footer.
    pub footer: ParquetMetaData,
}

fn encode_error(path: &str) -> impl Fn(ParquetError) -> FileError + '_ {
    |error| FileError::Encode { path: path.into(), error }
}

impl Commit {
    /// Begins one that covers `partition` from `first` on; it can take note of what has no column.
    pub fn begin(schema: &Schema, observes: bool, partition: u32, first: u64) -> Self {
        let table = Table::new(schema, true);
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

    /// Bytes of its largest file so far, with those that will be when what is in memory is encoded, roughly.
    pub fn file_bytes(&self) -> u64 {
        let of_file = |file: &OpenFile| file.encoder.bytes_written() + file.encoder.memory_bytes() as u64;
        self.files.values().map(of_file).max().unwrap_or(0) + self.table.byte_len() as u64
    }

    /// Bytes in memory, roughly.
    pub fn memory_bytes(&self) -> u64 {
        let of_file = |file: &OpenFile| (file.encoder.memory_bytes() + file.draft.memory_bytes()) as u64;
        self.files.values().map(of_file).sum::<u64>() + self.table.byte_len() as u64
    }

    /// Encodes the rows that have gathered.
    pub async fn encode(&mut self, writing: Writing<'_>) -> Result<(), FileError> {
        if self.table.rows() == 0 {
            return Ok(());
        }
        let rows = self.table.take();
        let split = writing.layout.split(&rows).map_err(|error| encode_error("a row batch")(error.into()))?;
        for (folder, rows) in split {
            self.append(writing, folder, &rows).await?;
        }
        Ok(())
    }

    /// Files that are open.
    pub fn files(&self) -> usize {
        self.files.len()
    }

    async fn append(&mut self, writing: Writing<'_>, folder: String, rows: &RecordBatch) -> Result<(), FileError> {
        let count = self.files.len();
        let stem = || format!("p{:05}-{:020}-{count}", self.partition, self.first);
        let file = self.files.entry(folder).or_insert_with(|| {
            let metadata = [
                ("anabranch.endpoint", writing.endpoint.to_owned()),
                ("anabranch.partition", self.partition.to_string()),
                ("anabranch.schema_version", self.schema_version.to_string()),
            ]
            .map(|(key, value)| KeyValue::new(key.to_owned(), value));
            OpenFile {
                encoder: Encoder::new(Vec::new(), metadata.into()),
                draft: writing.store.begin(&stem()),
                sent: 0,
                first_row: i64::MAX,
                last_row: 0,
            }
        });
        let offsets = rows.column_by_name("_offset").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some(offsets) = offsets.filter(|offsets| !offsets.is_empty()) else { return Ok(()) };
        file.first_row = file.first_row.min(offsets.value(0));
        file.last_row = file.last_row.max(offsets.value(offsets.len() - 1));
        file.encoder.write(writing.config, rows).map_err(encode_error(&stem()))?;
        file.send(writing.again).await.map_err(FileError::from)
    }

    /// Writes everything in memory to the files, as a row group of its own.
    pub async fn spill(&mut self, writing: Writing<'_>) -> Result<(), FileError> {
        self.encode(writing).await?;
        for (folder, file) in &mut self.files {
            file.encoder.flush().map_err(encode_error(folder))?;
            file.send(writing.again).await?;
        }
        Ok(())
    }

    /// Encodes the rest, gives the files their names and makes them known. Once this resolves they survive power loss.
    pub async fn finish(mut self, writing: Writing<'_>) -> Result<Committed, FileError> {
        self.encode(writing).await?;
        let (first, last, count) = (self.first, self.last, self.files.len() as u32);
        let name = |part| Name { partition: self.partition, first, last, part };
        let mut files = Vec::with_capacity(self.files.len());
        let mut drafts = Vec::with_capacity(self.files.len());
        for (number, (folder, file)) in (1..).zip(self.files) {
            let name = name(if count == 1 { Part::Whole } else { Part::Of { number, count } });
            let path = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
            let metadata = [
                ("first_offset", file.first_row.to_string()),
                ("last_offset", file.last_row.to_string()),
                ("covers_from", first.to_string()),
                ("covers_to", last.to_string()),
                ("rows", file.encoder.rows().to_string()),
            ];
            let OpenFile { encoder, mut draft, sent, .. } = file;
            let mut encoded = encoder.finish(&metadata).map_err(encode_error(&path))?;
            let rest = Bytes::from(std::mem::take(encoded.output()));
            writing.again.run(async || draft.write(sent, rest.clone()).await).await?;
            writing.again.run(async || draft.seal().await).await?;
            files.push(CommittedFile { path, bytes: encoded.bytes, footer: encoded.footer });
            drafts.push(draft);
        }
        for (file, draft) in files.iter().zip(&mut drafts) {
            writing.again.run(async || draft.publish(&file.path).await).await?;
        }
        let bytes = files.iter().map(|file| file.bytes).sum();
        let (rows, mismatches, tickets) = (self.rows, self.table.mismatches(), self.tickets);
        let committed = Committed { name: name(Part::Whole), files, rows, mismatches, bytes, tickets };
        if writing.config.manifest {
            manifest::publish(writing.store, writing.again, &committed).await?;
        }
        Ok(committed)
    }
}

impl OpenFile {
    /// Hands over what the encoder has written.
    async fn send(&mut self, again: &Again) -> Result<(), StoreError> {
        let Some(output) = self.encoder.output().filter(|output| !output.is_empty()) else { return Ok(()) };
        let bytes = Bytes::from(std::mem::take(output));
        let (draft, sent) = (&mut self.draft, self.sent);
        again.run(async || draft.write(sent, bytes.clone()).await).await?;
        self.sent += bytes.len() as u64;
        Ok(())
    }
}
