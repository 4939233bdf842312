//! From the bodies of a batch to typed columns: shapes where they are known, the walker for everything else.
//!
//! Devices repeat a few **shapes** for ever: the same names, braces, quotes and commas around other values. An event is split into
//! its skeleton and its holes ([`block`]); the skeleton is looked up in a table of shapes, which knows for every wanted
//! column in which hole its value stands. A shape is learnt from an event that the [walker](super::walk) accepted, and is compared
//! byte for byte, so nothing is guessed: an event with the skeleton of a shape and as many holes, whose scalars are right by grammar
//! and whose text is UTF-8, is JSON with the same members in the same order. Everything else is walked: escapes, arrays of other than
//! numbers and literals, exponents, shapes that are seen for the first time, irregular spacing.
//!
//! What always holds: whatever way a row takes, its cells are those that the walker gives; a body that is not JSON gives
//! [`Tag::Undefined`] in all its cells; in steady state nothing is allocated.

#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx2;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod avx512;
mod block;
mod dispatch;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod fours;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod numbers;
mod portable;
mod scalars;
mod scan;
mod shapes;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod sse;

#[cfg(test)]
mod tests;

#[cfg(all(target_arch = "x86_64", not(miri)))]
pub(super) use fours::{Fours, integers};

use super::ColumnId;
use super::column::{Columns, Span, Tag};
use super::fields::Fields;
use super::kernel::Kernel;
use super::walk::{self, Found, Malformed, Sink, What};
use dispatch::Machine;
use scan::{EVENT_BYTES_MAX, EVENTS_MAX, Scalars, Scan, Scanned};
use shapes::{Seen, Shape, Shapes};

/// 64-byte alignment, for tables that are loaded into registers.
#[cfg(all(target_arch = "x86_64", not(miri)))]
#[repr(C, align(64))]
struct Aligned<T>(T);

/// How far ahead of what is scanned memory is asked for.
const PREFETCH_BYTES: usize = 1024;
/// Rows after which it is asked whether shapes pay for themselves.
const WINDOW_ROWS: u32 = 512;
/// Rows that are walked without a look at their shape after a window in which most shapes were unknown.
const PINNED_ROWS: u64 = 4096;

/// What became of the rows, since the extractor was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtractStats {
    /// Rows with a body.
    pub bodies: u64,
    /// Rows whose shape was known.
    pub shape_hits: u64,
    /// Rows that were walked.
    pub walked: u64,
    /// Rows whose body is not JSON.
    pub not_json: u64,
    /// Shapes learnt.
    pub shapes_learnt: u64,
}

/// A number that stands at `start..end` of the batch and belongs into a cell.
#[derive(Clone, Copy, Debug)]
struct Pending {
    start: u32,
    end: u32,
    cell: u32,
}

/// Fills columns. One per thread; nothing is shared.
#[derive(Debug)]
pub struct Extractor {
    kernel: Kernel,
    work: Work,
}

/// Everything but the choice of the kernel.
#[derive(Debug)]
struct Work {
    scan: Scan,
    scalars: Scalars,
    shapes: Shapes,
    /// Rows of this batch that took the fast path, and from where to where their scalars lie.
    fast: Vec<(u32, u32, u32)>,
    /// One bit per row: its body is JSON.
    json: Vec<u64>,
    /// One bit per row: all of its body is in columns.
    covered: Vec<u64>,
    learnt: Vec<(ColumnId, Found)>,
    /// Numbers of the fast path that are not converted yet.
    pending: Vec<Pending>,
    /// Rows left to be walked without a look at their shape.
    pinned_rows: u64,
    may_pin: bool,
    window_rows: u32,
    window_misses: u32,
    stats: ExtractStats,
}

impl Extractor {
    /// `seed` keys the hash of shapes, so that nobody can prepare collisions: it should be random.
    ///
    /// # Panics
    /// If the machine cannot run the kernel.
    pub fn new(kernel: Kernel, seed: u64) -> Self {
        assert!(kernel.is_available(), "this machine cannot run the kernel {}", kernel.name());
        let work = Work {
            scan: Scan::default(),
            scalars: Scalars::default(),
            shapes: Shapes::new(seed),
            fast: Vec::new(),
            json: Vec::new(),
            covered: Vec::new(),
            learnt: Vec::new(),
            pending: Vec::new(),
            // Without vectors to find shapes with, walking is faster.
            pinned_rows: if kernel == Kernel::Portable { u64::MAX } else { 0 },
            may_pin: true,
            window_rows: 0,
            window_misses: 0,
            stats: ExtractStats::default(),
        };
        Self { kernel, work }
    }

    /// Looks for shapes even where that does not pay. For tests and measurements, which want to see the shapes.
    pub fn always_look(mut self) -> Self {
        self.work.may_pin = false;
        self.work.pinned_rows = 0;
        self
    }

    /// Fills the columns of `fields`, one row per body, from the spans `bodies` of `bytes`. A span of length `u32::MAX` is no body:
    /// its cells are [`Tag::Undefined`]. `columns` must have room for the rows and the columns; other columns stay as they are.
    pub fn run(&mut self, fields: &Fields, bytes: &[u8], bodies: &[Span], columns: &mut Columns) {
        for column in fields.columns() {
            columns.fill(*column, Tag::Missing);
        }
        dispatch::run(self.kernel, &mut self.work, fields, bytes, bodies, columns);
    }

    /// Fills one more row from text that does not lie in the batch. To be called after [`run`](Self::run).
    pub fn run_text(&mut self, fields: &Fields, text: &[u8], row: usize, columns: &mut Columns) {
        self.work.stats.bodies += 1;
        self.work.walk_text(fields, text, row, columns);
    }

    /// The body of the row was JSON.
    pub fn is_json(&self, row: usize) -> bool {
        self.work.json[row / 64] >> (row % 64) & 1 == 1
    }

    /// The body of the row was an object all of whose members are in columns, each of them once, and members of members as well. An
    /// array that is in a column is so with all that it holds.
    #[inline]
    pub fn is_covered(&self, row: usize) -> bool {
        self.work.covered[row / 64] >> (row % 64) & 1 == 1
    }

    /// The kernel it was made with.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }

    /// What became of the rows so far.
    pub fn stats(&self) -> ExtractStats {
        ExtractStats { shapes_learnt: self.work.shapes.learnt(), ..self.work.stats }
    }
}

impl Work {
    #[inline(always)]
    fn run<M: Machine>(&mut self, fields: &Fields, bytes: &[u8], bodies: &[Span], columns: &mut Columns) {
        for bits in [&mut self.json, &mut self.covered] {
            bits.clear();
            bits.resize(bodies.len().div_ceil(64), 0);
        }
        self.fast.clear();
        self.fast.reserve(bodies.len());
        let is_body = |span: &&Span| span.len != u32::MAX;
        let bytes_all: usize = bodies.iter().filter(is_body).map(|span| span.len as usize).sum();
        self.scalars.reset(bytes_all, bodies.len());
        self.shapes.renew(fields.stamp());
        let mut last = None;
        let mut row = 0;
        while row < bodies.len() {
            row = self.run_some::<M>(fields, bytes, bodies, row, columns, &mut last);
        }
        self.check_scalars::<M>(fields, bytes, bodies, columns);
    }

    /// Some rows from `first` on; the row behind them.
    #[inline(always)]
    fn run_some<M: Machine>(
        &mut self,
        fields: &Fields,
        bytes: &[u8],
        bodies: &[Span],
        first: usize,
        columns: &mut Columns,
        last: &mut Option<u32>,
    ) -> usize {
        self.scan.clear();
        let mut scanned = [(0, None, 0, 0); EVENTS_MAX];
        let mut row = first;
        let mut count = 0;
        while row < bodies.len() && count < EVENTS_MAX {
            let (start, len) = (bodies[row].start as usize, bodies[row].len as usize);
            if bodies[row].len == u32::MAX {
                undefine(fields, row, columns);
                row += 1;
                continue;
            }
            M::prefetch(bytes, start + len + PREFETCH_BYTES, len);
            let scalars_from = self.scalars.len;
            let mut found = None;
            if self.pinned_rows > 0 {
                self.pinned_rows -= 1;
            } else if len <= EVENT_BYTES_MAX {
                if !self.scan.has_room(len) {
                    break;
                }
                found = M::scan(bytes, start, len, &mut self.scan, &mut self.scalars);
                if found.is_none() {
                    self.scalars.len = scalars_from;
                    self.count(false);
                }
            }
            scanned[count] = (row, found, scalars_from as u32, self.scalars.len as u32);
            count += 1;
            row += 1;
        }
        self.stats.bodies += count as u64;
        self.pending.clear();
        for (row, found, from, to) in &scanned[..count] {
            let done = found.as_ref().is_some_and(|found| {
                let done = self.shape_row::<M>(fields, bytes, bodies[*row], *row, found, columns, last);
                if done {
                    self.fast.push((*row as u32, *from, *to));
                }
                self.count(done);
                done
            });
            if !done {
                self.walk(fields, bytes, bodies[*row], *row, columns);
            }
        }
        M::numbers(bytes, &self.pending, columns);
        row
    }

    /// One row by its shape; false if that cannot be done.
    #[inline(always)]
    #[allow(clippy::too_many_arguments, reason = "the inner loop of run_some, cut out to be read")]
    fn shape_row<M: Machine>(
        &mut self,
        fields: &Fields,
        bytes: &[u8],
        span: Span,
        row: usize,
        scanned: &Scanned,
        columns: &mut Columns,
        last: &mut Option<u32>,
    ) -> bool {
        // A shape knows where an array stands, not where its elements do.
        if scanned.has_arrays && fields.has_elements() {
            return false;
        }
        if scanned.non_ascii && simdutf8::basic::from_utf8(span.of(bytes)).is_err() {
            return false;
        }
        let split = self.scan.split(scanned);
        let known = match *last {
            Some(id) if self.shapes.get(id).is(&split) => Seen::Known(id),
            _ => self.shapes.find(&split),
        };
        let id = match known {
            Seen::Known(id) => id,
            Seen::Once => return false,
            Seen::Again(hash) => {
                // A table that is full gives another shape's number away.
                *last = None;
                self.learn(fields, span.of(bytes), scanned, hash);
                return false;
            }
        };
        *last = Some(id);
        let shape = self.shapes.get(id);
        if scanned.has_arrays && !shape.takes_arrays() {
            return false;
        }
        self.stats.shape_hits += 1;
        self.json[row / 64] |= 1 << (row % 64);
        self.covered[row / 64] |= u64::from(shape.is_covered()) << (row % 64);
        shape.bind(&split, bytes, span.start as usize, row, columns, &mut self.pending);
        true
    }

    /// Shapes must pay for the time that it takes to look for them.
    #[inline(always)]
    fn count(&mut self, hit: bool) {
        self.window_rows += 1;
        self.window_misses += u32::from(!hit);
        if self.window_rows == WINDOW_ROWS {
            if self.may_pin && self.window_misses > WINDOW_ROWS * 7 / 8 {
                self.pinned_rows = PINNED_ROWS;
            }
            (self.window_rows, self.window_misses) = (0, 0);
        }
    }

    /// All rows of the fast path have scalars of legal grammar, or the walker takes those that have not.
    #[inline(always)]
    fn check_scalars<M: Machine>(&mut self, fields: &Fields, bytes: &[u8], bodies: &[Span], columns: &mut Columns) {
        let all = self.scalars.len;
        if M::scalars(&mut self.scalars, 0, all) {
            return;
        }
        for at in 0..self.fast.len() {
            let (row, from, to) = self.fast[at];
            if M::scalars(&mut self.scalars, from as usize, to as usize) {
                continue;
            }
            let row = row as usize;
            self.stats.shape_hits -= 1;
            self.json[row / 64] &= !(1 << (row % 64));
            self.covered[row / 64] &= !(1 << (row % 64));
            for column in fields.columns() {
                columns.set(*column, row, Tag::Missing, 0);
            }
            self.walk(fields, bytes, bodies[row], row, columns);
        }
    }

    /// One row of the batch by the walker.
    fn walk(&mut self, fields: &Fields, bytes: &[u8], span: Span, row: usize, columns: &mut Columns) {
        let mut cells = Cells { columns, fields, row, origin: Some(span.start as usize), is_covered: true };
        let result = walk::walk(span.of(bytes), fields, &mut cells).map(|()| cells.is_covered);
        self.walked(result, fields, row, columns);
    }

    /// One row of other text.
    fn walk_text(&mut self, fields: &Fields, text: &[u8], row: usize, columns: &mut Columns) {
        // Cells point into the columns' own text, so it goes there as a whole.
        let own = columns.own_text_mut();
        let start = own.len();
        own.extend_from_slice(text);
        for column in fields.columns() {
            columns.set(*column, row, Tag::Missing, 0);
        }
        let mut cells = Cells { columns, fields, row, origin: None, is_covered: true };
        let mut moved = Moved { cells: &mut cells, by: start };
        let result = walk::walk(text, fields, &mut moved).map(|()| cells.is_covered);
        self.walked(result, fields, row, columns);
    }

    /// What a walk found out: whether all of the body is in columns.
    fn walked(&mut self, result: Result<bool, Malformed>, fields: &Fields, row: usize, columns: &mut Columns) {
        self.stats.walked += 1;
        match result {
            Ok(is_covered) => {
                self.json[row / 64] |= 1 << (row % 64);
                self.covered[row / 64] |= u64::from(is_covered) << (row % 64);
            }
            Err(Malformed) => {
                self.stats.not_json += 1;
                undefine(fields, row, columns);
            }
        }
    }

    /// Learns the shape of an event that was just scanned.
    #[cold]
    fn learn(&mut self, fields: &Fields, event: &[u8], scanned: &Scanned, hash: u64) {
        self.learnt.clear();
        let mut places = Places { found: &mut self.learnt, room: Vec::new(), is_covered: true };
        if walk::walk(event, fields, &mut places).is_err() {
            return;
        }
        let is_covered = places.is_covered;
        if let Some(shape) = Shape::new(&self.scan.split(scanned), &self.learnt, fields, hash, is_covered) {
            self.shapes.learn(shape);
        }
    }
}

/// A body that cannot be read has no values.
#[cold]
fn undefine(fields: &Fields, row: usize, columns: &mut Columns) {
    for column in fields.columns() {
        columns.set(*column, row, Tag::Undefined, 0);
    }
}

/// A walk that fills cells.
struct Cells<'c> {
    columns: &'c mut Columns,
    fields: &'c Fields,
    row: usize,
    /// Where the text starts in the batch; `None` if it lies in the columns' own text.
    origin: Option<usize>,
    is_covered: bool,
}

impl Sink for Cells<'_> {
    #[inline]
    fn put(&mut self, column: ColumnId, found: Found) {
        let origin = self.origin.unwrap_or(0);
        let span = |start: usize, end: usize| Span { start: (origin + start) as u32, len: (end - start) as u32 }.pack();
        let own = self.origin.is_none();
        let (tag, value) = match found.what {
            What::Null => (Tag::Null, 0),
            What::Bool(false) => (Tag::False, 0),
            What::Bool(true) => (Tag::True, 0),
            What::Number(_) if self.fields.wants_digits(column) => {
                (if own { Tag::OwnDigits } else { Tag::Digits }, span(found.start, found.end))
            }
            What::Number(value) => (Tag::Number, value.to_bits()),
            What::Text => (if own { Tag::OwnText } else { Tag::Text }, span(found.start + 1, found.end - 1)),
            What::Rewritten { start, len } => (Tag::OwnText, Span { start: start as u32, len: len as u32 }.pack()),
            What::Array => (if own { Tag::OwnArray } else { Tag::Array }, span(found.start, found.end)),
            What::Object(members) => (Tag::Object, members as u64),
        };
        self.is_covered &= self.columns.cell(column, self.row).0 == Tag::Missing;
        self.columns.set(column, self.row, tag, value);
    }

    fn clear(&mut self, column: ColumnId) {
        self.is_covered &= self.columns.cell(column, self.row).0 == Tag::Missing;
        self.columns.set(column, self.row, Tag::Missing, 0);
    }

    fn unwanted(&mut self) {
        self.is_covered = false;
    }

    fn room(&mut self) -> &mut Vec<u8> {
        self.columns.own_text_mut()
    }
}

/// The same for text that starts at `by` in the columns' own text.
struct Moved<'m, 'c> {
    cells: &'m mut Cells<'c>,
    by: usize,
}

impl Sink for Moved<'_, '_> {
    fn put(&mut self, column: ColumnId, mut found: Found) {
        found.start += self.by;
        found.end += self.by;
        self.cells.put(column, found);
    }

    fn clear(&mut self, column: ColumnId) {
        self.cells.clear(column);
    }

    fn unwanted(&mut self) {
        self.cells.unwanted();
    }

    fn room(&mut self) -> &mut Vec<u8> {
        self.cells.room()
    }
}

/// A walk that notes where the values stand.
struct Places<'p> {
    found: &'p mut Vec<(ColumnId, Found)>,
    room: Vec<u8>,
    is_covered: bool,
}

impl Sink for Places<'_> {
    fn put(&mut self, column: ColumnId, found: Found) {
        self.clear(column);
        self.found.push((column, found));
    }

    fn clear(&mut self, column: ColumnId) {
        let before = self.found.len();
        self.found.retain(|(other, _)| *other != column);
        self.is_covered &= self.found.len() == before;
    }

    fn unwanted(&mut self) {
        self.is_covered = false;
    }

    fn room(&mut self) -> &mut Vec<u8> {
        &mut self.room
    }
}

/// What a scalar or an array on the fast path is. Its grammar is checked later; until then any bytes are something.
#[inline(always)]
fn scalar(first: u8) -> Tag {
    match first {
        b't' => Tag::True,
        b'f' => Tag::False,
        b'n' => Tag::Null,
        b'[' => Tag::Array,
        _ => Tag::Number,
    }
}
