//! Rows on their way into a table by the column: the data of many events read at once by the extractor, and what it found turned into
//! what the columns hold.
//!
//! What always holds: a row is *plain* only if all of its data stands in columns and each value fits, so that [`Table::push`] would make
//! the same row of it without a word in `_rest`, `_data` or `_errors`. It is the naive twin; every row that is not plain goes there.
//!
//! [`Table::push`]: super::table::Table::push

use std::hash::{BuildHasher, RandomState};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use engine::event::Event;
use engine::filter::body_text;
use engine::parse::{ColumnId, Columns, Extractor, Fields, Kernel, Span, Step, Tag};

use super::convert::{MISFIT, NULL, VALUE, convert, may_take};
use super::fit::Fit;
use super::lists::Lists;
use super::piece::Piece;
use super::schema::Schema;

/// What a table wants of an event's data.
#[derive(Debug)]
pub struct Plan {
    fields: Fields,
    /// By column of the table; nothing for one that reads an attribute.
    wants: Vec<Option<Want>>,
    /// Columns of one place, where that is more than one, in the order in which they are asked.
    shared: Vec<Vec<usize>>,
    /// The column of a member that makes an event a stranger.
    stranger: ColumnId,
}

#[derive(Debug)]
struct Want {
    fit: Fit,
    /// A row without a value is for the twin to refuse.
    is_needed: bool,
}

impl Plan {
    /// What the columns of a schema want. Data with the member `stranger` is never plain: [`Cells::is_stranger`].
    pub fn new(schema: &Schema, stranger: Option<&str>) -> Self {
        // No two plans have one number, whatever table they are of.
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut fields = Fields::new(NEXT.fetch_add(1, Ordering::Relaxed));
        let (mut wants, mut shared) = (Vec::new(), Vec::<Vec<usize>>::new());
        for (at, column) in schema.columns.iter().enumerate() {
            if column.attribute.is_some() {
                wants.push(None);
                continue;
            }
            let path: Vec<Step> = column.path.iter().map(|name| Step::Member(name.as_str().into())).collect();
            let fit = column.fit();
            if fit.wants_digits() {
                fields.add_digits(&path, at as ColumnId);
            } else {
                fields.add(&path, at as ColumnId);
            }
            wants.push(Some(Want { fit, is_needed: column.required && column.default.is_none() }));
            let place = |other: &usize| {
                schema.columns[*other].attribute.is_none() && schema.columns[*other].path == column.path
            };
            if (0..at).any(|other| place(&other)) {
                match shared.iter_mut().find(|group| place(&group[0])) {
                    Some(group) => group.push(at),
                    None => shared.push((0..=at).filter(place).collect()),
                }
            }
        }
        let marker = wants.len() as ColumnId;
        if let Some(name) = stranger {
            fields.add(&[Step::Member(name.into())], marker);
        }
        Self { fields, wants, shared, stranger: marker }
    }

    /// The column of the table is filled from the data.
    pub fn reads(&self, column: usize) -> bool {
        self.wants[column].is_some()
    }
}

/// Some events' data as cells. One per thread; its memory is used again.
#[derive(Debug)]
pub struct Cells {
    extractor: Extractor,
    columns: Columns,
    rows: Vec<Place>,
    /// Where the data of each lies: in its batch, or in `gathered` where there are several.
    spans: Vec<Span>,
    gathered: Vec<u8>,
    /// What became of each cell, column by column.
    outcomes: Vec<u8>,
    is_plain: Vec<bool>,
    stranger: ColumnId,
    lists: Lists,
    room: String,
}

/// Which event a row is.
#[derive(Clone, Copy, Debug)]
struct Place {
    piece: u32,
    row: u32,
}

impl Default for Cells {
    fn default() -> Self {
        // Keys of the hash of shapes: whoever sends the data must not know them.
        let seed = RandomState::new().hash_one(0u64);
        Self {
            extractor: Extractor::new(Kernel::best(), seed),
            columns: Columns::default(),
            rows: Vec::new(),
            spans: Vec::new(),
            gathered: Vec::new(),
            outcomes: Vec::new(),
            is_plain: Vec::new(),
            stranger: 0,
            lists: Lists::default(),
            room: String::new(),
        }
    }
}

impl Cells {
    /// Reads the data of these rows, each with the number of its piece. What lies in several pieces is copied into one place first, which
    /// costs less than to begin anew with each: small ones are what that is for.
    pub fn read(&mut self, plan: &Plan, pieces: &[Piece<'_>], rows: impl Iterator<Item = (usize, usize)>) {
        self.rows.clear();
        self.spans.clear();
        self.gathered.clear();
        for (piece, row) in rows {
            let batch = pieces[piece].batch;
            let place = &batch.rows()[row];
            let mut span = Span { start: place.value.start, len: place.value.len };
            if pieces.len() > 1 {
                let data = span.of(batch.bytes());
                span.start = self.gathered.len() as u32;
                self.gathered.extend_from_slice(data);
            }
            if place.header_count > 0 && !is_utf8(&Event::new(batch, row), &mut self.room) {
                span.len = u32::MAX;
            }
            self.rows.push(Place { piece: piece as u32, row: row as u32 });
            self.spans.push(span);
        }
        let len = self.rows.len();
        let Self { extractor, columns, spans, gathered, outcomes, is_plain, lists, .. } = self;
        let bytes = bytes(pieces, gathered);
        self.stranger = plan.stranger;
        columns.reset(len, plan.wants.len() + 1);
        columns.fill(plan.stranger, Tag::Missing);
        extractor.run(&plan.fields, bytes, spans, columns);
        is_plain.clear();
        is_plain.extend((0..len).map(|row| extractor.is_covered(row)));
        for (row, is_plain) in is_plain.iter_mut().enumerate() {
            *is_plain &= columns.cell(plan.stranger, row).0 == Tag::Missing;
        }
        outcomes.resize(outcomes.len().max(plan.wants.len() * len), NULL);
        lists.clear();
        for (at, want) in plan.wants.iter().enumerate() {
            if let Some(want) = want {
                let outcomes = &mut outcomes[at * len..][..len];
                convert(extractor.kernel(), &want.fit, columns.split_mut(at as ColumnId), bytes, lists, outcomes);
            }
        }
        for group in &plan.shared {
            (0..len).for_each(|row| take_turns(group, plan, columns, outcomes, row));
        }
        for (at, want) in plan.wants.iter().enumerate() {
            let Some(want) = want else { continue };
            for (outcome, is_plain) in outcomes[at * len..][..len].iter().zip(&mut *is_plain) {
                *is_plain &= *outcome != MISFIT && (*outcome == VALUE || !want.is_needed);
            }
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The number of the piece that a row is of.
    #[inline]
    pub fn piece(&self, at: usize) -> usize {
        self.rows[at].piece as usize
    }

    /// The event that a row is, of the pieces that were read.
    #[inline]
    pub fn event<'p>(&self, at: usize, pieces: &[Piece<'p>]) -> Event<'p> {
        let Place { piece, row } = self.rows[at];
        Event::new(pieces[piece as usize].batch, row as usize)
    }

    /// What the data was read from.
    #[inline]
    pub(super) fn bytes<'b>(&'b self, pieces: &[Piece<'b>]) -> &'b [u8] {
        bytes(pieces, &self.gathered)
    }

    /// The row is plain.
    pub fn is_plain(&self, at: usize) -> bool {
        self.is_plain[at]
    }

    /// How many rows from `at` on are plain, of the first `most`: the rest is not looked at, so that a run costs what it appends.
    pub(super) fn plain_from(&self, at: usize, most: usize) -> usize {
        let rows = &self.is_plain[at..self.len().min(at.saturating_add(most))];
        rows.iter().position(|is_plain| !is_plain).unwrap_or(rows.len())
    }

    /// The data is JSON.
    pub fn is_json(&self, at: usize) -> bool {
        self.extractor.is_json(at)
    }

    /// It has the member that its plan said.
    pub fn is_stranger(&self, at: usize) -> bool {
        self.columns.cell(self.stranger, at).0 != Tag::Missing
    }

    /// Which of some rows have a value in a column, as ones and zeros.
    #[inline]
    pub(super) fn filled(&self, column: usize, rows: Range<usize>) -> &[u8] {
        let first = column * self.len();
        &self.outcomes[first + rows.start..first + rows.end]
    }

    /// The values there, as [`convert`] left them.
    #[inline]
    pub(super) fn values(&self, column: usize, rows: Range<usize>) -> &[u64] {
        &self.columns.values(column as ColumnId)[rows]
    }

    /// The items of a list there, as bits of their type, with zeros and ones that say which are there.
    #[inline]
    pub(super) fn list(&self, column: usize, at: usize) -> (&[u64], &[u8]) {
        self.lists.items(self.columns.values(column as ColumnId)[at])
    }

    /// The texts there, of the [`bytes`](Self::bytes) that were read; empty where there is no value.
    #[inline]
    pub(super) fn texts<'b>(
        &'b self,
        column: usize,
        rows: Range<usize>,
        bytes: &'b [u8],
    ) -> impl Iterator<Item = &'b [u8]> + Clone {
        let filled = self.filled(column, rows.clone());
        let column = column as ColumnId;
        let cells = self.columns.tags(column)[rows.clone()].iter().zip(&self.columns.values(column)[rows]);
        cells.zip(filled).map(move |((tag, value), filled)| match *filled {
            VALUE => self.columns.text(*tag, *value, bytes).unwrap_or_default(),
            _ => &[],
        })
    }
}

fn bytes<'b>(pieces: &[Piece<'b>], gathered: &'b [u8]) -> &'b [u8] {
    match pieces {
        [piece] => piece.batch.bytes(),
        _ => gathered,
    }
}

/// Of the columns of one place the first one that takes a value has it; the others are null.
fn take_turns(group: &[usize], plan: &Plan, columns: &Columns, outcomes: &mut [u8], row: usize) {
    let len = columns.rows();
    let Some(taker) = group.iter().position(|column| outcomes[column * len + row] == VALUE) else { return };
    // One before it may take the value in its way: the twin knows.
    let may_take = |column: &usize| {
        let (tag, want) = (columns.cell(*column as ColumnId, row).0, &plan.wants[*column]);
        want.as_ref().is_some_and(|want| may_take(&want.fit.r#type, tag))
    };
    if group[..taker].iter().any(may_take) {
        return;
    }
    for (at, column) in group.iter().enumerate() {
        if at != taker {
            outcomes[column * len + row] = NULL;
        }
    }
}

/// The data is to be read as it lies.
fn is_utf8(event: &Event<'_>, room: &mut String) -> bool {
    match (event.data(), body_text(event, room)) {
        (Some(data), Some(text)) => std::ptr::eq(data, text),
        _ => false,
    }
}
