//! Chunks of lines as batches: the routes' filters by the route table, columns by the extractor, as a node does it.
//!
//! What always holds: the outputs get what the lines one by one would have given them, in the same order. A line that is *odd*, a
//! CloudEvent or no JSON, ends its batch and is handled by itself; where such lines come often, all go one by one for a while.

use std::sync::Arc;

use engine::batch::{Batch, HEADER_BYTES, Row, Span};
use engine::filter::plan::{ExprKind, Literal};
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::lane::Rows;
use engine::route::{EndpointId, Matcher, Route as TableRoute, RouteTable, Source};

use super::input::Lines;
use super::output::OutputError;
use super::routes::{LineError, Route, Routes, unless_closed};

/// The member that makes a JSON object a CloudEvent.
pub(super) const STRANGER: &str = "specversion";
/// Rows of a batch: a row's number has 16 bits in the matcher.
const ROWS_MAX: usize = 32 * 1024;
/// Odd lines of a chunk that each end a batch; with more of them the chunk is finished line by line.
const ODD_MAX: usize = 4;
/// Chunks that are handled line by line after that.
const CHUNKS_BY_LINE: u32 = 15;

/// How chunks become batches.
pub(super) struct Batches {
    /// The only route takes everything and leads here: there is nothing to match.
    takes_all: Option<usize>,
    table: RouteTable,
    matcher: Matcher,
    /// The endpoint of the lines that are CloudEvents, behind those of the outputs.
    strangers: EndpointId,
    rows: Vec<Row>,
    /// By row: lines before it in the chunk.
    lines: Vec<u32>,
    is_matched: Vec<bool>,
    by_line: u32,
}

impl Batches {
    /// `None`: the routes want more of an event than its data, or cost too much for a table.
    pub(super) fn new(routes: &[Route], outputs: usize) -> Option<Self> {
        let strangers = EndpointId::try_from(outputs).ok()?;
        let is_stranger = format!("EXISTS($body.{STRANGER})");
        let (is_stranger, _) = Filter::compile(&is_stranger, Dialect::Anabranch, &CompileOptions::default()).ok()?;
        let route = |at: usize, filter: &Filter, endpoint: EndpointId| TableRoute {
            name: at.to_string(),
            source: Source::DeviceMessages,
            filter: filter.clone(),
            endpoint,
            enabled: true,
            // A line is looked at by every route.
            every_source: true,
        };
        let mut all: Vec<TableRoute> =
            routes.iter().enumerate().map(|(at, found)| route(at, &found.filter, found.output as EndpointId)).collect();
        all.push(route(routes.len(), &is_stranger, strangers));
        let enrichments = vec![Arc::from([]); outputs + 1];
        let table = RouteTable::new(1, &all, None, enrichments).ok().filter(|table| !table.reads_headers())?;
        let takes_all = match routes {
            [only] if matches!(only.filter.root().kind, ExprKind::Literal(Literal::Bool(true))) => Some(only.output),
            _ => None,
        };
        Some(Self {
            takes_all,
            table,
            matcher: Matcher::default(),
            strangers,
            rows: Vec::new(),
            lines: Vec::new(),
            is_matched: Vec::new(),
            by_line: 0,
        })
    }

    /// The rows of the lines in `buffer` behind the header, but those that are blank. Says how many lines there are.
    fn find_rows(&mut self, buffer: &[u8], end: usize) -> u64 {
        self.rows.clear();
        self.lines.clear();
        let mut start = HEADER_BYTES;
        let mut number = 0;
        while start < end {
            let len = memchr::memchr(b'\n', &buffer[start..end]).unwrap_or(end - start);
            let line = &buffer[start..start + len];
            let before = line.len() - line.trim_ascii_start().len();
            let len_trimmed = line.trim_ascii().len();
            if len_trimmed > 0 {
                let value = Span { start: (start + before) as u32, len: len_trimmed as u32 };
                self.rows.push(Row {
                    key: Span::NULL,
                    value,
                    headers: Span { start: value.start + value.len, len: 0 },
                    header_count: 0,
                    timestamp_ms: 0,
                });
                self.lines.push(number);
            }
            start += len + 1;
            number += 1;
        }
        number.into()
    }
}

impl Routes {
    /// Handles the lines that were just read; `bad` hears the number of a bad one, and why. The error is one of an output.
    pub fn chunk(&mut self, lines: &mut Lines, bad: &mut dyn FnMut(u64, &str)) -> Result<(), String> {
        let is_ready = self.targets.iter().all(|target| target.is_closed || target.output.is_ready());
        let Some(batches) = self.batches.as_mut().filter(|_| is_ready) else { return self.by_line(lines, bad) };
        if batches.by_line > 0 {
            batches.by_line -= 1;
            return self.by_line(lines, bad);
        }
        let (first_line, end) = (lines.chunk().first_line, HEADER_BYTES + lines.chunk().bytes.len());
        let mut buffer = lines.lend();
        let count = batches.find_rows(&buffer, end);
        let result = self.pieces(&mut buffer, first_line, bad);
        lines.give_back(buffer, count);
        result
    }

    fn by_line(&mut self, lines: &Lines, bad: &mut dyn FnMut(u64, &str)) -> Result<(), String> {
        let chunk = lines.chunk();
        for (line, text) in (chunk.first_line..).zip(chunk.lines()) {
            let text = text.trim_ascii();
            if !text.is_empty() {
                self.one(line, text, bad)?;
            }
        }
        Ok(())
    }

    fn one(&mut self, line: u64, text: &[u8], bad: &mut dyn FnMut(u64, &str)) -> Result<(), String> {
        match self.line(text) {
            Ok(()) => Ok(()),
            Err(LineError::Bad(reason)) => {
                bad(line, &reason);
                Ok(())
            }
            Err(LineError::Output(error)) => Err(error),
        }
    }

    /// The rows that were found, in pieces that each end with the last of them, with an odd line, or at their largest.
    fn pieces(&mut self, buffer: &mut Vec<u8>, first_line: u64, bad: &mut dyn FnMut(u64, &str)) -> Result<(), String> {
        let Some(batches) = &mut self.batches else { return Ok(()) };
        let (all, lines) = (std::mem::take(&mut batches.rows), std::mem::take(&mut batches.lines));
        let (mut at, mut odd) = (0, 0);
        let mut result = Ok(());
        while at < all.len() && result.is_ok() {
            let piece = &all[at..all.len().min(at + ROWS_MAX)];
            // Too many of them: what is left is taken as if all were.
            let done = if odd > ODD_MAX { Ok(0) } else { self.piece(buffer, piece) };
            match done {
                Ok(done) => {
                    at += done;
                    if done < piece.len() {
                        odd += 1;
                        let text = all[at].value.of(buffer).unwrap_or_default();
                        result = self.one(first_line + u64::from(lines[at]), text, bad);
                        at += 1;
                    }
                }
                Err(error) => result = Err(error),
            }
        }
        if let Some(batches) = &mut self.batches {
            (batches.rows, batches.lines) = (all, lines);
            if odd > ODD_MAX {
                batches.by_line = CHUNKS_BY_LINE;
            }
        }
        result
    }

    /// Handles rows up to the first odd one: how many.
    fn piece(&mut self, buffer: &mut Vec<u8>, rows: &[Row]) -> Result<usize, String> {
        let mut batch = Batch::in_memory(std::mem::take(buffer), rows.to_vec());
        batch.set_base_offset(self.seen);
        let done = self.batch(&batch);
        *buffer = batch.into_parts().0;
        done
    }

    fn batch(&mut self, batch: &Batch) -> Result<usize, String> {
        let Some(batches) = &mut self.batches else { return Ok(0) };
        if let Some(target) = batches.takes_all.map(|at| &mut self.targets[at]) {
            match target.output.take_all(batch) {
                Ok(Some(taken)) => {
                    target.events += taken as u64;
                    self.seen += taken as u64;
                    self.matched += taken as u64;
                    return Ok(taken);
                }
                Ok(None) => {}
                Err(OutputError::Closed) => target.is_closed = true,
                Err(OutputError::Failed(error)) => return Err(error),
            }
        }
        let Batches { table, matcher, is_matched, strangers, .. } = batches;
        matcher.run(table, batch, None);
        let all = batch.rows().len();
        let not_json = (0..all).find(|row| !matcher.is_json(*row));
        let stranger = first_of(matcher.rows(*strangers));
        let end = [not_json, stranger].into_iter().flatten().min().unwrap_or(all);
        is_matched.clear();
        is_matched.resize(end, false);
        for (at, target) in self.targets.iter_mut().enumerate() {
            let Some(rows) = matcher.rows(at as EndpointId).filter(|_| !target.is_closed) else { continue };
            let mut taken = 0;
            let took = match rows {
                Rows::All => {
                    is_matched.fill(true);
                    taken = end as u64;
                    target.output.take_rows(batch, 0..end)
                }
                Rows::Some(rows) => {
                    let rows = rows.iter().map(|row| usize::from(*row)).take_while(|row| *row < end);
                    target.output.take_rows(
                        batch,
                        rows.inspect(|row| {
                            is_matched[*row] = true;
                            taken += 1;
                        }),
                    )
                }
            };
            target.events += taken;
            target.is_closed = !unless_closed(took)?;
        }
        self.seen += end as u64;
        self.matched += is_matched.iter().filter(|matched| **matched).count() as u64;
        Ok(end)
    }
}

fn first_of(rows: Option<Rows>) -> Option<usize> {
    match rows? {
        Rows::All => Some(0),
        Rows::Some(rows) => rows.first().map(|row| usize::from(*row)),
    }
}
