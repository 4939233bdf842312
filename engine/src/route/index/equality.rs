//! Equality of one cell or of several at once with constants: one hash table per set of looks (tuple-space search).
//!
//! A batch goes through the table in three passes: hash every row and ask for its slot, read the slots and ask for the entries,
//! read the entries. So at a million routes the memory is waited for once per pass and not once per row. What always holds: a
//! hash only proposes, the key is compared; an entry with its first target is one cache line.

use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::super::EndpointId;
use super::super::access::{Constant, Look};
use super::super::check::{Target, Tests};
use super::super::facts::CellFacts;
use super::super::hits::Hits;
use super::range::RangeIndex;
use super::{Rows, array, folded};
use crate::parse::{ColumnId, Columns, Element, Span, Tag, elements, prefetch};

const NONE: u32 = u32::MAX;
/// Set in [`Entry::more`]: the number of a nested index.
const NESTED: u32 = 1 << 31;
/// Targets of one key from which on those with a range become an index of their own.
const NESTED_MIN: usize = 32;
/// Key bytes in an entry itself.
const INLINE: usize = 16;

/// Kinds of cells in a key, four bits each.
const TEXT: u32 = 1;
const NUMBER: u32 = 2;
const FALSE: u32 = 3;
const TRUE: u32 = 4;

#[derive(Debug)]
#[repr(C, align(64))]
struct Entry {
    hash: u64,
    /// The key if it has up to [`INLINE`] bytes.
    inline: [u8; INLINE],
    key_len: u32,
    /// Where a longer key lies.
    key_at: u32,
    kinds: u32,
    /// The next target, a nested index, or nothing.
    more: u32,
    target: Target,
}

/// Further targets of a key.
#[derive(Debug)]
struct More {
    target: Target,
    next: u32,
}

/// Ranges of the routes of one key, by column, and its other targets.
#[derive(Debug)]
struct Nested {
    ranges: Vec<(ColumnId, RangeIndex)>,
    others: Vec<Target>,
}

/// See the module.
#[derive(Debug)]
pub(in super::super) struct EqualityIndex {
    looks: Vec<Look>,
    secrets: RapidSecrets,
    /// Upper half of a hash, and the number of the entry plus one.
    slots: Vec<u64>,
    entries: Vec<Entry>,
    more: Vec<More>,
    nested: Vec<Nested>,
    keys: Vec<u8>,
}

/// One look into the table.
#[derive(Clone, Copy, Debug)]
struct Probe {
    hash: u64,
    row: u32,
    kinds: u32,
    /// Slot, then entry.
    at: u32,
    key: Span,
    place: Place,
}

/// What the key of a probe lies in.
#[derive(Clone, Copy, Debug)]
enum Place {
    Batch,
    OwnText,
    Keys,
}

/// Memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    probes: Vec<Probe>,
    keys: Vec<u8>,
    /// What matched: row and endpoint.
    matched: Vec<(u32, EndpointId)>,
}

/// A table that is being built.
#[derive(Default)]
pub(super) struct EqualityBuilder {
    all: Vec<(Vec<Constant>, Target)>,
}

impl EqualityBuilder {
    pub fn add(&mut self, key: Vec<Constant>, target: Target) {
        self.all.push((key, target));
    }

    pub fn build(self, looks: Vec<Look>) -> EqualityIndex {
        let mut index = EqualityIndex {
            looks,
            secrets: RapidSecrets::seed(0x616e_6162_7261_6e63),
            slots: vec![0; (self.all.len() * 2).next_power_of_two()],
            entries: Vec::with_capacity(self.all.len()),
            more: Vec::new(),
            nested: Vec::new(),
            keys: Vec::new(),
        };
        let mut key = Vec::new();
        let is_single = index.looks.len() == 1;
        for (constants, target) in self.all {
            key.clear();
            let kinds =
                constants.iter().fold(0, |kinds, constant| kinds << 4 | write_constant(constant, is_single, &mut key));
            index.insert(&key, kinds, target);
        }
        index.nest();
        index.entries.shrink_to_fit();
        index.more.shrink_to_fit();
        index.keys.shrink_to_fit();
        index
    }
}

/// Appends a constant to a key; its kind.
fn write_constant(constant: &Constant, is_single: bool, key: &mut Vec<u8>) -> u32 {
    match constant {
        Constant::Text(text) => {
            if !is_single {
                key.extend_from_slice(&(text.len() as u32).to_le_bytes());
            }
            key.extend_from_slice(text.as_bytes());
            TEXT
        }
        Constant::Number(bits) => {
            key.extend_from_slice(&bits.to_le_bytes());
            NUMBER
        }
        Constant::Bool(false) => FALSE,
        Constant::Bool(true) => TRUE,
    }
}

impl EqualityIndex {
    fn hash(&self, key: &[u8], kinds: u32) -> u64 {
        rapidhash_v3_seeded(key, &self.secrets) ^ u64::from(kinds).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    }

    fn insert(&mut self, key: &[u8], kinds: u32, target: Target) {
        let hash = self.hash(key, kinds);
        let mask = self.slots.len() - 1;
        let mut slot = hash as usize & mask;
        while self.slots[slot] != 0 {
            let at = self.slots[slot] as u32 as usize - 1;
            if self.slots[slot] >> 32 == hash >> 32 && self.is_key(&self.entries[at], hash, kinds, key) {
                let next = self.entries[at].more;
                self.entries[at].more = self.more.len() as u32;
                self.more.push(More { target, next });
                return;
            }
            slot = (slot + 1) & mask;
        }
        let mut inline = [0; INLINE];
        let key_at = self.keys.len() as u32;
        if key.len() <= INLINE {
            inline[..key.len()].copy_from_slice(key);
        } else {
            self.keys.extend_from_slice(key);
        }
        self.entries.push(Entry { hash, inline, key_len: key.len() as u32, key_at, kinds, more: NONE, target });
        self.slots[slot] = (hash >> 32) << 32 | self.entries.len() as u64;
    }

    #[inline(always)]
    fn is_key(&self, entry: &Entry, hash: u64, kinds: u32, key: &[u8]) -> bool {
        if entry.hash != hash || entry.kinds != kinds || entry.key_len as usize != key.len() {
            return false;
        }
        if key.len() <= INLINE {
            return u128::from_le_bytes(entry.inline) == padded(key);
        }
        self.keys[entry.key_at as usize..][..key.len()] == *key
    }

    /// Where one key has many targets, those that ask for a range get an index of their own.
    fn nest(&mut self) {
        for at in 0..self.entries.len() {
            let mut targets = vec![self.entries[at].target];
            let mut next = self.entries[at].more;
            while next != NONE {
                let more = &self.more[next as usize];
                targets.push(more.target);
                next = more.next;
            }
            if targets.len() < NESTED_MIN {
                continue;
            }
            let mut by_column: std::collections::BTreeMap<ColumnId, Vec<(f64, f64, Target)>> = Default::default();
            let mut others = Vec::new();
            for target in targets {
                match target.range() {
                    Some((column, low, high)) => {
                        by_column.entry(column).or_default().push((low, high, target.unchecked()));
                    }
                    None => others.push(target),
                }
            }
            let ranges = by_column.into_iter().map(|(column, list)| (column, RangeIndex::new(list))).collect();
            self.entries[at].more = self.nested.len() as u32 | NESTED;
            self.nested.push(Nested { ranges, others });
        }
        if !self.nested.is_empty() {
            self.compact();
        }
    }

    /// Drops what went into nested indexes.
    fn compact(&mut self) {
        let old = std::mem::take(&mut self.more);
        for entry in self.entries.iter_mut().filter(|entry| entry.more & NESTED == 0) {
            let mut next = std::mem::replace(&mut entry.more, NONE);
            while next != NONE {
                let More { target, next: after } = old[next as usize];
                self.more.push(More { target, next: entry.more });
                entry.more = self.more.len() as u32 - 1;
                next = after;
            }
        }
    }

    /// Visits the targets of all rows; what is true is counted.
    pub fn run(&self, rows: &Rows<'_>, tests: &Tests, scratch: &mut super::Scratch, hits: &mut Hits<'_>) {
        let super::Scratch { text, equality: Scratch { probes, keys, matched }, .. } = scratch;
        probes.clear();
        keys.clear();
        match &self.looks[..] {
            [look] => self.probe_one(rows, *look, probes, keys, text),
            looks => self.probe_many(rows, looks, probes, keys),
        }
        let mask = self.slots.len() - 1;
        // Second pass: which entry, if any.
        let mut found = 0;
        for at in 0..probes.len() {
            let mut probe = probes[at];
            let mut slot = probe.hash as usize & mask;
            while self.slots[slot] != 0 {
                if self.slots[slot] >> 32 == probe.hash >> 32 {
                    prefetch(&self.entries[self.slots[slot] as u32 as usize - 1]);
                    probe.at = slot as u32;
                    probes[found] = probe;
                    found += 1;
                    break;
                }
                slot = (slot + 1) & mask;
            }
        }
        // Third pass. What one target says is written down first and counted afterwards, so that nothing has to be guessed.
        let CellFacts { columns, bytes, .. } = rows.cells;
        let plain = hits.takes_all();
        matched.resize(found + 1, (0, 0));
        let mut count = 0;
        for probe in &probes[..found] {
            let key = match probe.place {
                Place::Batch => probe.key.of(bytes),
                Place::OwnText => probe.key.of(columns.own_text()),
                Place::Keys => probe.key.of(keys),
            };
            if let Some(entry) = self.find(probe, key, mask) {
                let cells = CellFacts { row: probe.row as usize, ..rows.cells };
                if plain && entry.more == NONE {
                    matched[count] = (probe.row, entry.target.endpoint);
                    count += usize::from(entry.target.is_true(tests, &cells));
                } else {
                    self.visit(entry, &cells, tests, hits);
                }
            }
        }
        for (row, endpoint) in &matched[..count] {
            hits.set.add(*endpoint, *row as usize);
        }
    }

    #[inline(always)]
    fn find(&self, probe: &Probe, key: &[u8], mask: usize) -> Option<&Entry> {
        let mut slot = probe.at as usize;
        loop {
            let word = self.slots[slot];
            if word == 0 {
                return None;
            }
            if word >> 32 == probe.hash >> 32 {
                let entry = &self.entries[word as u32 as usize - 1];
                if self.is_key(entry, probe.hash, probe.kinds, key) {
                    return Some(entry);
                }
            }
            slot = (slot + 1) & mask;
        }
    }

    #[inline(always)]
    fn visit(&self, entry: &Entry, cells: &CellFacts<'_>, tests: &Tests, hits: &mut Hits<'_>) {
        if entry.more != NONE && entry.more & NESTED != 0 {
            return self.visit_nested(&self.nested[(entry.more & !NESTED) as usize], cells, tests, hits);
        }
        hit(&entry.target, cells, tests, hits);
        let mut next = entry.more;
        while next != NONE {
            let more = &self.more[next as usize];
            hit(&more.target, cells, tests, hits);
            next = more.next;
        }
    }

    #[inline(never)]
    fn visit_nested(&self, nested: &Nested, cells: &CellFacts<'_>, tests: &Tests, hits: &mut Hits<'_>) {
        for (column, index) in &nested.ranges {
            let (tag, value) = cells.columns.cell(*column, cells.row);
            if tag == Tag::Number {
                index.visit(f64::from_bits(value), &mut |target| hit(target, cells, tests, hits));
            }
        }
        nested.others.iter().for_each(|target| hit(target, cells, tests, hits));
    }

    /// First pass for a key of one cell: text is hashed where it lies.
    #[inline(always)]
    fn probe_one(&self, rows: &Rows<'_>, look: Look, probes: &mut Vec<Probe>, keys: &mut Vec<u8>, room: &mut String) {
        let CellFacts { columns, bytes, .. } = rows.cells;
        let mask = self.slots.len() - 1;
        let (tags, values) = (columns.tags(look.column), columns.values(look.column));
        let mut push = |row: usize, kinds: u32, key: Span, place: Place, of: &[u8]| {
            let hash = self.hash(of, kinds);
            prefetch(&self.slots[hash as usize & mask]);
            probes.push(Probe { hash, row: row as u32, kinds, at: 0, key, place });
        };
        for row in rows.rows {
            let row = usize::from(*row);
            let (tag, value) = (tags[row], values[row]);
            match tag {
                Tag::Text | Tag::OwnText if !look.folded => {
                    let span = Span::unpack(value);
                    let (place, from) =
                        if tag == Tag::Text { (Place::Batch, bytes) } else { (Place::OwnText, columns.own_text()) };
                    push(row, TEXT, span, place, span.of(from));
                }
                Tag::Undefined | Tag::Missing | Tag::Null | Tag::NullText | Tag::Object => {}
                _ => {
                    let mut element = |kind: u32, key: &[u8]| {
                        let span = Span { start: keys.len() as u32, len: key.len() as u32 };
                        keys.extend_from_slice(key);
                        push(row, kind, span, Place::Keys, key);
                    };
                    each_key(columns, bytes, look, tag, value, room, &mut element);
                }
            }
        }
    }

    /// First pass for a key of several cells, which is put together.
    fn probe_many(&self, rows: &Rows<'_>, looks: &[Look], probes: &mut Vec<Probe>, keys: &mut Vec<u8>) {
        let CellFacts { columns, bytes, .. } = rows.cells;
        let mask = self.slots.len() - 1;
        let usable = |tag: &Tag| matches!(tag, Tag::Text | Tag::OwnText | Tag::Number | Tag::True | Tag::False);
        // A part that no event of the batch has is asked for once.
        if looks.iter().any(|look| !columns.tags(look.column)[..columns.rows()].iter().any(usable)) {
            return;
        }
        'rows: for row in rows.rows {
            let row = usize::from(*row);
            let start = keys.len();
            let mut kinds = 0;
            for look in looks {
                let (tag, value) = columns.cell(look.column, row);
                let kind = match tag {
                    Tag::Text | Tag::OwnText => {
                        let text = columns.text(tag, value, bytes).unwrap_or_default();
                        keys.extend_from_slice(&(text.len() as u32).to_le_bytes());
                        keys.extend_from_slice(text);
                        TEXT
                    }
                    Tag::Number => {
                        keys.extend_from_slice(&number_key(value));
                        NUMBER
                    }
                    Tag::False => FALSE,
                    Tag::True => TRUE,
                    _ => {
                        keys.truncate(start);
                        continue 'rows;
                    }
                };
                kinds = kinds << 4 | kind;
            }
            let hash = self.hash(&keys[start..], kinds);
            prefetch(&self.slots[hash as usize & mask]);
            let key = Span { start: start as u32, len: (keys.len() - start) as u32 };
            probes.push(Probe { hash, row: row as u32, kinds, at: 0, key, place: Place::Keys });
        }
    }

    pub fn memory_bytes(&self) -> usize {
        let nested = |nested: &Nested| {
            nested.ranges.iter().map(|(_, index)| index.memory_bytes()).sum::<usize>()
                + nested.others.capacity() * size_of::<Target>()
        };
        self.slots.capacity() * 8
            + self.entries.capacity() * size_of::<Entry>()
            + self.more.capacity() * size_of::<More>()
            + self.nested.iter().map(nested).sum::<usize>()
            + self.keys.capacity()
    }
}

/// Up to sixteen bytes as a number, the first one lowest.
#[inline(always)]
fn padded(key: &[u8]) -> u128 {
    let word = |bytes: &[u8]| u64::from_le_bytes(*bytes.first_chunk().unwrap_or(&[0; 8]));
    match key.len() {
        len @ 8..=16 => {
            // Two words that may share bytes.
            let (low, high) = (word(key), word(&key[len - 8..]));
            u128::from(low) | u128::from(high) << (8 * (len - 8))
        }
        _ => key.iter().rev().fold(0, |number, byte| number << 8 | u128::from(*byte)),
    }
}

#[inline(always)]
fn hit(target: &Target, cells: &CellFacts<'_>, tests: &Tests, hits: &mut Hits<'_>) {
    if hits.wants(target) && target.is_true(tests, cells) {
        hits.add(target, cells.row);
    }
}

/// A number as key: -0 is 0.
fn number_key(bits: u64) -> [u8; 8] {
    (f64::from_bits(bits) + 0.0).to_bits().to_le_bytes()
}

/// The keys of a cell that is no plain text: of an array those of its elements, where the look says so.
fn each_key(
    columns: &Columns,
    bytes: &[u8],
    look: Look,
    tag: Tag,
    value: u64,
    room: &mut String,
    visit: &mut dyn FnMut(u32, &[u8]),
) {
    match tag {
        Tag::Number => visit(NUMBER, &number_key(value)),
        Tag::False => visit(FALSE, &[]),
        Tag::True => visit(TRUE, &[]),
        Tag::Text | Tag::OwnText => {
            let text = columns.text(tag, value, bytes).and_then(|text| std::str::from_utf8(text).ok());
            if let Some(text) = text {
                visit(TEXT, folded(text, look, room).as_bytes());
            }
        }
        _ if !look.arrays => {}
        tag => {
            let Some(array) = array(columns, bytes, tag, value) else { return };
            elements(array, &mut |element| match element {
                Element::Text(text) => visit(TEXT, folded(&text, look, room).as_bytes()),
                Element::Number(number) => visit(NUMBER, &number_key(number.to_bits())),
                Element::Bool(truth) => visit(if truth { TRUE } else { FALSE }, &[]),
                Element::Null | Element::Array(_) | Element::Object(_) => {}
            });
        }
    }
}
