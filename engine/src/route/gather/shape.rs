//! Headers that are the same from event to event but for the value of the last one: as most listeners write them, where what differs
//! (a topic, an id) comes last.
//!
//! What always holds: where a shape fits, its cells and what it decides are those that a walk through the headers would give.

use super::{Decided, Header, place};
use crate::batch::{Batch, Row, read_varint};
use crate::event::Event;
use crate::parse::{ColumnId, Columns, Span, Tag};

/// What a walk found. Empty: fits nothing.
#[derive(Debug, Default)]
pub(super) struct Shape {
    /// The headers as encoded, up to the value of the last one.
    prefix: Vec<u8>,
    count: u32,
    decided: Decided,
    /// What the prefix fills; spans count from the first header.
    cells: Vec<(ColumnId, Tag, Span)>,
    /// What the last header fills, and whether a null is a value there.
    last: Vec<(ColumnId, bool)>,
}

impl Shape {
    /// Forgets.
    pub fn clear(&mut self) {
        self.count = 0;
    }

    /// Fills the row's cells as the headers want, if they have this shape.
    #[inline]
    pub fn fill(&self, batch: &Batch, row: usize, columns: &mut Columns) -> Option<Decided> {
        let found = &batch.rows()[row];
        let headers = found.headers.of(batch.bytes())?;
        // An event without data is decided by more than its headers.
        if found.header_count != self.count || found.value.len == u32::MAX || !headers.starts_with(&self.prefix) {
            return None;
        }
        for (column, tag, span) in &self.cells {
            let span = Span { start: found.headers.start + span.start, len: span.len };
            columns.set(*column, row, *tag, if *tag == Tag::Text { span.pack() } else { 0 });
        }
        if !self.last.is_empty() {
            let mut at = self.prefix.len();
            let len = read_varint(headers, &mut at)?;
            let value = usize::try_from(len).ok().and_then(|len| headers.get(at..at + len));
            for (column, null_is_value) in &self.last {
                if let Some((tag, span)) = cell(batch, value, *null_is_value) {
                    columns.set(*column, row, tag, span.pack());
                }
            }
        }
        Some(self.decided)
    }

    /// Takes the shape of the row that was just walked through, if the row before has it too: then the next ones may. `layout` has one
    /// entry per header of the row.
    pub fn learn(&mut self, layout: &[Header], batch: &Batch, row: usize, decided: Decided) {
        let rows = batch.rows();
        let Some(before) = row.checked_sub(1).map(|before| &rows[before]) else { return };
        let found = &rows[row];
        let walked = Event::new(batch, row).headers().take(layout.len());
        let Some((at, (name, _))) = walked.enumerate().last() else { return };
        // Fewer than there are: a name that is not text, behind which nobody looks.
        if at + 1 != found.header_count as usize || layout.len() != at + 1 || layout[at].decides() {
            return;
        }
        let headers_of = |row: &Row| row.headers.of(batch.bytes()).unwrap_or(&[]);
        let headers = headers_of(found);
        let prefix = &headers[..name.as_ptr().addr() + name.len() - headers.as_ptr().addr()];
        if before.header_count != found.header_count
            || found.value.len == u32::MAX
            || !headers_of(before).starts_with(prefix)
        {
            return;
        }
        self.prefix.clear();
        self.prefix.extend_from_slice(prefix);
        self.count = found.header_count;
        self.decided = decided;
        self.cells.clear();
        self.last.clear();
        let mut filled = Vec::new();
        for (number, ((_, value), header)) in Event::new(batch, row).headers().zip(layout).enumerate() {
            for (column, null_is_value) in &header.columns {
                // Of several headers of one name the first one counts.
                if filled.contains(column) {
                    continue;
                }
                filled.push(*column);
                if number == at {
                    self.last.push((*column, *null_is_value));
                } else if let Some((tag, span)) = cell(batch, value, *null_is_value) {
                    let start = span.start.saturating_sub(found.headers.start);
                    self.cells.push((*column, tag, Span { start, ..span }));
                }
            }
        }
    }
}

/// What a header's value is in a column: a tag, and where a text lies in the batch. `None` leaves the column as it is.
#[inline]
pub(super) fn cell(batch: &Batch, value: Option<&[u8]>, null_is_value: bool) -> Option<(Tag, Span)> {
    match value.filter(|value| std::str::from_utf8(value).is_ok()) {
        Some(text) => Some((Tag::Text, place(batch, text))),
        None => null_is_value.then_some((Tag::NullText, Span { start: 0, len: 0 })),
    }
}
