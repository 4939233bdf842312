//! Deliveries on their way into the open commits of their partitions: gathered, read together, and refused events beside them.
//!
//! What always holds: a delivery goes into one commit whole, and is settled with it.

use std::time::Duration;

use engine::filter::body_text;
use tokio::time::Instant;

use super::{Sink, SinkError};
use crate::parquet::commit::{Commit, Writing};
use crate::parquet::piece::Piece;
use crate::parquet::table::Body;
use crate::sink::{Feed, Handed};

/// Longest time that a small delivery waits for others, or a quarter of the age of a commit if that is less: nobody sees a row before its
/// commit is kept.
const LINGER_MAX: Duration = Duration::from_millis(100);

impl Sink {
    /// Takes what is there and what comes within a short while. Whoever is woken for each delivery does little else.
    pub(super) async fn linger(&mut self, feed: &mut Feed) -> Result<(), SinkError> {
        let until = Instant::now() + LINGER_MAX.min(Duration::from_millis(self.config.age_ms_max / 4));
        let mut is_over = false;
        loop {
            while let Some(handed) = feed.try_next() {
                // Under load the feed is never empty, and what is old has to be finished all the same.
                if self.gather(handed).await? && Instant::now() >= until {
                    return self.take_all().await;
                }
            }
            if is_over || self.gathered.is_empty() {
                return self.take_all().await;
            }
            is_over = !tokio::time::timeout_at(until, feed.filled()).await.unwrap_or(false);
        }
    }

    /// Lets a delivery wait for others of its partition, or takes it with those that wait: then `true`.
    pub(super) async fn gather(&mut self, handed: Handed) -> Result<bool, SinkError> {
        let partition = handed.delivery.batch.partition();
        if self.gathered.is_apart(&handed) {
            self.take(partition).await?;
        }
        let rows_there = self.open.get(&partition).map_or(0, Commit::rows);
        let is_enough = self.gathered.add(handed, self.config.rows_max.saturating_sub(rows_there));
        if is_enough {
            self.take(partition).await?;
        }
        let is_large = self.gathered.is_large();
        if is_large {
            self.take_all().await?;
        }
        Ok(is_enough || is_large)
    }

    /// Rows of all that waits.
    pub(super) async fn take_all(&mut self) -> Result<(), SinkError> {
        while let Some(partition) = self.gathered.next() {
            self.take(partition).await?;
        }
        Ok(())
    }

    /// Rows of what waits of a partition.
    async fn take(&mut self, partition: u32) -> Result<(), SinkError> {
        let done = self.done.get(&partition).copied().unwrap_or(0);
        let mut deliveries = self.gathered.take(partition);
        if deliveries.iter().any(|handed| handed.delivery.batch.base_offset() < done) {
            deliveries = deliveries.into_iter().filter_map(|handed| self.not_done(handed, done)).collect();
        }
        let Some(first) = deliveries.first() else { return Ok(()) };
        let covers_from = first.covers_from;
        // No file covers what was lost.
        if self.open.get(&partition).is_some_and(|open| open.next() < covers_from) {
            self.finish(|at| at == partition).await?;
        }
        self.open_commit(partition, covers_from).await?;
        let Self { name, config, layout, room, store, again, cells, parser, text, open, dead_letters, .. } = self;
        let writing = Writing { endpoint: name, config, layout, room, store: &**store, again };
        let Some(open) = open.get_mut(&partition) else { return Ok(()) };
        let pieces: Vec<Piece<'_>> = deliveries.iter().map(|handed| Piece::from(&handed.delivery)).collect();
        let rows = deliveries.iter().enumerate();
        let rows = rows.flat_map(|(piece, handed)| handed.delivery.row_indexes().map(move |row| (piece, row)));
        cells.read(open.plan(), &pieces, rows);
        let mut at = 0;
        while at < cells.len() {
            if cells.is_plain(at) {
                match open.push_cells(cells, at, &pieces) {
                    Ok(pushed) => at += pushed,
                    Err(refused) => {
                        dead_letters.add(&cells.event(at, &pieces), &refused)?;
                        at += 1;
                    }
                }
                if open.is_full() {
                    open.encode(writing).await?;
                }
                continue;
            }
            let (event, enrichments) = (cells.event(at, &pieces), pieces[cells.piece(at)].enrichments);
            at += 1;
            let text = body_text(&event, text);
            let document = text.and_then(|text| parser.parse(text).ok());
            let body = document.as_ref().zip(text).map(|(document, text)| Body { root: document.root(), text });
            match open.push(&event, enrichments, body) {
                Ok(false) => {}
                Ok(true) => open.encode(writing).await?,
                Err(refused) => dead_letters.add(&event, &refused)?,
            }
        }
        deliveries.into_iter().for_each(|handed| open.keep(handed.ticket));
        self.finish_large(partition).await
    }

    /// What is left of a delivery behind what finished files cover.
    fn not_done(&mut self, handed: Handed, done: u64) -> Option<Handed> {
        let Handed { delivery, covers_from, ticket } = handed;
        let rows = delivery.len();
        match delivery.from_offset(done) {
            Some(delivery) => {
                self.skipped(rows - delivery.len());
                Some(Handed { delivery, covers_from, ticket })
            }
            None => {
                self.skipped(rows);
                ticket.settle();
                None
            }
        }
    }

    /// Rows that finished files hold already. Right after a start that is the replay; at any other time, or in large numbers, it
    /// says that the folder belongs to another log.
    fn skipped(&mut self, rows: usize) {
        self.skipped_rows += rows;
        if rows > 0 && self.skips.allow(std::time::Instant::now()).is_some() {
            tracing::info!(endpoint = self.name, rows = self.skipped_rows, "already in finished files");
        }
    }
}
