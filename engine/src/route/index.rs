//! The indexes of the routes of one source: from cells to the targets that they lead to.
//!
//! What always holds: for every row an index visits each target whose access path is true for the row, perhaps others too where
//! the target's tests know better, and none twice for long; what is visited is checked and counted by the caller.

mod dispatch;
mod equality;
mod prefix;
mod range;
mod topic;
mod words;

use std::collections::{BTreeMap, HashMap};

use super::EndpointId;
use super::access::{Access, Alternative, Constant, Look, Test};
use super::check::{Compiled, Target, Tests};
use super::facts::CellFacts;
use super::hits::Hits;
use super::vector::Stack;
use crate::filter::fold_char;
use crate::filter::plan::{Comparison, Expr, ExprKind, Literal, Reference, Semantics, Type};
use crate::parse::{ColumnId, Columns, Element, Kernel, Span, Tag, elements};
use equality::{EqualityBuilder, EqualityIndex};
use prefix::PrefixIndex;
use range::RangeIndex;
use topic::TopicIndex;
use words::WordIndex;

/// Distinct sets of looks for which there is a table of its own.
const SIGNATURES_MAX: usize = 24;

/// Alternatives with a weak index up to which they are scanned.
const WEAK_SCANS_MAX: usize = 256;

/// Routes that no index serves: each test is evaluated for all rows once, however many of them share it.
#[derive(Debug)]
struct Scan {
    target: Target,
    tests: (u32, u32),
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// Endpoints that get every event, with the route.
    always: Vec<Target>,
    scans: Vec<Scan>,
    equality: Vec<EqualityIndex>,
    ranges: Vec<(Look, RangeIndex)>,
    prefixes: Vec<(Look, PrefixIndex)>,
    suffixes: Vec<(Look, PrefixIndex)>,
    words: Vec<(Look, WordIndex)>,
    topics: Vec<(ColumnId, TopicIndex)>,
    tests: Tests,
    scan_cost: u32,
}

/// Equalities, and where they lead.
struct Equal {
    key: Vec<(Look, Constant)>,
    leads: Leads,
}

/// Not all equalities may become the key: what is left over is tested.
enum Leads {
    To(Target),
    After(u32, EndpointId, Vec<Test>, Semantics),
}

/// What is being built.
#[derive(Default)]
pub(super) struct IndexBuilder {
    index: Index,
    equal: Vec<Equal>,
    ranges: BTreeMap<Look, Vec<(f64, f64, Target)>>,
    prefixes: BTreeMap<Look, Vec<(Box<str>, Target)>>,
    suffixes: BTreeMap<Look, Vec<(Box<str>, Target)>>,
    words: BTreeMap<Look, Vec<(Box<str>, Target)>>,
    topics: BTreeMap<ColumnId, TopicIndex>,
    /// Alternatives whose best index finds about half of all events.
    weak: Vec<(u32, EndpointId, Alternative, Semantics)>,
}

impl IndexBuilder {
    /// Adds an alternative of a route.
    pub fn add(&mut self, route: u32, endpoint: EndpointId, alternative: Alternative, semantics: Semantics) {
        match alternative.is_weak() {
            true => self.weak.push((route, endpoint, alternative, semantics)),
            false => self.insert(route, endpoint, alternative, semantics),
        }
    }

    fn insert(&mut self, route: u32, endpoint: EndpointId, alternative: Alternative, semantics: Semantics) {
        let Alternative { access, tests } = alternative;
        if access == Access::Scan {
            let all = &mut self.index.tests;
            let target = all.target(route, endpoint, &[], semantics);
            if tests.is_empty() {
                self.index.always.push(target);
            } else {
                self.index.scan_cost += tests.iter().map(Test::cost).sum::<u32>();
                let tests = all.push(&tests, semantics);
                self.index.scans.push(Scan { target, tests });
            }
            return;
        }
        if let Access::Equal(key) = access {
            self.equal.push(Equal { key, leads: Leads::After(route, endpoint, tests, semantics) });
            return;
        }
        let target = self.index.tests.target(route, endpoint, &tests, semantics);
        match access {
            Access::Scan | Access::Equal(_) => {}
            Access::In(look, constants) => {
                let leads = |constant| Equal { key: vec![(look, constant)], leads: Leads::To(target) };
                self.equal.extend(constants.into_iter().map(leads));
            }
            Access::Ranges(look, ranges) => {
                let list = self.ranges.entry(look).or_default();
                list.extend(ranges.into_iter().map(|(low, high)| (low, high, target)));
            }
            Access::Prefix(look, texts) => {
                self.prefixes.entry(look).or_default().extend(texts.into_iter().map(|text| (text, target)));
            }
            Access::Suffix(look, texts) => {
                let texts = texts.into_iter().map(|text| (text, target));
                self.suffixes.entry(look).or_default().extend(texts);
            }
            Access::Contains(look, texts) => {
                self.words.entry(look).or_default().extend(texts.into_iter().map(|text| (text, target)));
            }
            Access::Topic(column, filter) => self.topics.entry(column).or_default().add(&filter, target),
        }
    }

    pub fn build(mut self) -> Index {
        // A few are cheaper as a scan; for many the index is better than nothing.
        let scan = self.weak.len() <= WEAK_SCANS_MAX;
        for (route, endpoint, alternative, semantics) in std::mem::take(&mut self.weak) {
            let alternative = if scan { alternative.into_scan() } else { alternative };
            self.insert(route, endpoint, alternative, semantics);
        }
        self.index.equality = equality(self.equal, &mut self.index.tests);
        self.index.ranges = self.ranges.into_iter().map(|(look, list)| (look, RangeIndex::new(list))).collect();
        self.index.prefixes =
            self.prefixes.into_iter().map(|(look, list)| (look, PrefixIndex::new(list, false))).collect();
        self.index.suffixes =
            self.suffixes.into_iter().map(|(look, list)| (look, PrefixIndex::new(list, true))).collect();
        self.index.words = self.words.into_iter().map(|(look, list)| (look, WordIndex::new(list))).collect();
        self.index.topics = self.topics.into_iter().collect();
        self.index.tests.seal();
        self.index
    }
}

/// One table per set of looks. Sets that few routes have share the tables of single looks, so that an event meets only so many.
fn equality(all: Vec<Equal>, tests: &mut Tests) -> Vec<EqualityIndex> {
    let looks = |equal: &Equal| equal.key.iter().map(|(look, _)| *look).collect::<Vec<_>>();
    let mut counts: HashMap<Vec<Look>, usize> = HashMap::new();
    for equal in &all {
        *counts.entry(looks(equal)).or_default() += 1;
    }
    let mut by_count: Vec<(Vec<Look>, usize)> = counts.into_iter().collect();
    by_count.sort_by(|a, b| (b.1, &a.0).cmp(&(a.1, &b.0)));
    by_count.truncate(SIGNATURES_MAX);
    let distinct = if by_count.len() == SIGNATURES_MAX { distinct_constants(&all) } else { HashMap::new() };
    let mut places: HashMap<Vec<Look>, usize> =
        by_count.into_iter().enumerate().map(|(place, (looks, _))| (looks, place)).collect();
    let mut builders: Vec<EqualityBuilder> = Vec::new();
    builders.resize_with(places.len(), EqualityBuilder::default);
    for mut equal in all {
        let mut extra = Vec::new();
        let place = match places.get(&looks(&equal)) {
            Some(place) => *place,
            None => {
                let best = (0..equal.key.len()).max_by_key(|at| distinct.get(&equal.key[*at].0)).unwrap_or(0);
                let kept = equal.key.remove(best);
                extra = std::mem::replace(&mut equal.key, vec![kept]);
                let next = places.len();
                *places.entry(looks(&equal)).or_insert(next)
            }
        };
        builders.resize_with(places.len(), EqualityBuilder::default);
        let target = match equal.leads {
            Leads::To(target) => target,
            Leads::After(route, endpoint, mut left, semantics) => {
                left.extend(extra.into_iter().map(|(look, constant)| equals(look, constant)));
                left.sort_by_key(Test::cost);
                tests.target(route, endpoint, &left, semantics)
            }
        };
        builders[place].add(equal.key.into_iter().map(|(_, constant)| constant).collect(), target);
    }
    let mut all_looks: Vec<(usize, Vec<Look>)> = places.into_iter().map(|(looks, place)| (place, looks)).collect();
    all_looks.sort();
    builders.into_iter().zip(all_looks).map(|(builder, (_, looks))| builder.build(looks)).collect()
}

/// How many constants each look is compared with: the more, the fewer routes one of them leads to.
fn distinct_constants(all: &[Equal]) -> HashMap<Look, usize> {
    let mut sets: HashMap<Look, std::collections::HashSet<&Constant>> = HashMap::new();
    for (look, constant) in all.iter().flat_map(|equal| &equal.key) {
        sets.entry(*look).or_default().insert(constant);
    }
    sets.into_iter().map(|(look, set)| (look, set.len())).collect()
}

/// An equality as a test.
fn equals(look: Look, constant: Constant) -> Test {
    let (literal, ty) = match constant {
        Constant::Text(text) => (Literal::String(text), Type::String),
        Constant::Number(bits) => (Literal::Number(f64::from_bits(bits)), Type::Number),
        Constant::Bool(truth) => (Literal::Bool(truth), Type::Bool),
    };
    let expr = |kind, ty| Box::new(Expr { kind, ty, span: 0..0 });
    let left = expr(ExprKind::Reference(Reference::Column(look.column)), Type::Dynamic);
    let right = expr(ExprKind::Literal(literal), ty);
    Test::Expr(Expr { kind: ExprKind::Compare { op: Comparison::Equal, left, right }, ty: Type::Bool, span: 0..0 })
}

/// Rows to match, with their cells.
pub(super) struct Rows<'r> {
    pub rows: &'r [u16],
    pub cells: CellFacts<'r>,
}

/// Memory that is used again for every batch.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    text: String,
    equality: equality::Scratch,
    /// One bit per row to match, and per row that is still in.
    wanted: Vec<u64>,
    alive: Vec<u64>,
    stack: Stack,
}

impl Index {
    /// Visits everything.
    pub fn run(&self, kernel: Kernel, rows: &Rows<'_>, scratch: &mut Scratch, hits: &mut Hits<'_>) {
        for target in &self.always {
            rows.rows.iter().for_each(|row| hits.add(target, usize::from(*row)));
        }
        for index in &self.equality {
            index.run(rows, &self.tests, scratch, hits);
        }
        for (look, index) in &self.ranges {
            each_number(rows, *look, &mut |row, number| {
                index.visit(number, &mut |target| self.hit(rows, row, target, hits))
            });
        }
        for (look, index) in self.prefixes.iter().chain(&self.suffixes) {
            each_text(rows, *look, &mut scratch.text, &mut |row, text| {
                index.visit(text, &mut |target| self.hit(rows, row, target, hits));
            });
        }
        for (look, index) in &self.words {
            each_text(rows, *look, &mut scratch.text, &mut |row, text| {
                index.visit(text, &mut |target| self.hit(rows, row, target, hits));
            });
        }
        for (column, index) in &self.topics {
            let look = Look { column: *column, folded: false, arrays: false };
            each_text(rows, look, &mut scratch.text, &mut |row, text| {
                index.visit(text, &mut |target| self.hit(rows, row, target, hits));
            });
        }
        dispatch::scan(kernel, self, rows, scratch, hits);
    }

    #[inline(always)]
    fn hit(&self, rows: &Rows<'_>, row: usize, target: &Target, hits: &mut Hits<'_>) {
        if hits.wants(target) && target.is_true(&self.tests, &CellFacts { row, ..rows.cells }) {
            hits.add(target, row);
        }
    }

    /// Everything that no index serves.
    #[inline(always)]
    pub(super) fn scan(&self, rows: &Rows<'_>, scratch: &mut Scratch, hits: &mut Hits<'_>) {
        let words = rows.cells.columns.rows().div_ceil(64);
        let Scratch { wanted, alive, stack, .. } = scratch;
        wanted.clear();
        wanted.resize(words, 0);
        rows.rows.iter().for_each(|row| wanted[usize::from(*row) / 64] |= 1 << (row % 64));
        for scan in &self.scans {
            if !hits.wants(&scan.target) {
                continue;
            }
            alive.clear();
            alive.extend_from_slice(wanted);
            for test in self.tests.slice(scan.tests) {
                self.test(*test, rows, alive, stack);
            }
            hits.add_all(&scan.target, alive);
        }
    }

    /// There is something to scan.
    pub(super) fn has_scans(&self) -> bool {
        !self.scans.is_empty()
    }

    /// Takes the rows out for which the test is not true.
    #[inline(always)]
    fn test(&self, test: Compiled, rows: &Rows<'_>, alive: &mut [u64], stack: &mut Stack) {
        let columns = rows.cells.columns;
        match (test, self.tests.vector(test)) {
            (Compiled::Range(column, low, high), _) => {
                let (tags, values) = (columns.tags(column), columns.values(column));
                for (word, alive) in alive.iter_mut().enumerate() {
                    let tags: &[Tag; 64] = tags[word * 64..].first_chunk().expect("whole words");
                    let values: &[u64; 64] = values[word * 64..].first_chunk().expect("whole words");
                    *alive &= range::in_range(tags, values, low, high);
                }
            }
            (test, Some(program)) => {
                for (word, alive) in alive.iter_mut().enumerate().filter(|(_, alive)| **alive != 0) {
                    let answer = program.run(columns, word, stack);
                    let asked = self.ask(test, rows, word, *alive & answer.exceptions);
                    *alive &= (answer.yes & !answer.exceptions) | asked;
                }
            }
            (test, None) => {
                for (word, alive) in alive.iter_mut().enumerate() {
                    *alive = self.ask(test, rows, word, *alive);
                }
            }
        }
    }

    /// Of the rows of a word those for which the test is true, one by one.
    #[inline(never)]
    fn ask(&self, test: Compiled, rows: &Rows<'_>, word: usize, mut left: u64) -> u64 {
        let mut yes = 0;
        while left != 0 {
            let row = word * 64 + left.trailing_zeros() as usize;
            yes |= u64::from(self.tests.is_true(test, &CellFacts { row, ..rows.cells })) << (row % 64);
            left &= left - 1;
        }
        yes
    }

    /// Work that every event costs whatever it holds, in units of about one comparison.
    pub fn scan_cost(&self) -> u32 {
        self.scan_cost
    }

    /// Routes that no index serves.
    pub fn scans(&self) -> impl Iterator<Item = u32> + '_ {
        self.scans.iter().map(|scan| scan.target.route)
    }

    /// About how many bytes it takes.
    pub fn memory_bytes(&self) -> usize {
        self.always.capacity() * size_of::<Target>()
            + self.scans.capacity() * size_of::<Scan>()
            + self.equality.iter().map(EqualityIndex::memory_bytes).sum::<usize>()
            + self.ranges.iter().map(|(_, index)| index.memory_bytes()).sum::<usize>()
            + self.prefixes.iter().chain(&self.suffixes).map(|(_, index)| index.memory_bytes()).sum::<usize>()
            + self.words.iter().map(|(_, index)| index.memory_bytes()).sum::<usize>()
            + self.topics.iter().map(|(_, index)| index.memory_bytes()).sum::<usize>()
            + self.tests.memory_bytes()
    }
}

/// Folded where the look says so.
fn folded<'t>(text: &'t str, look: Look, room: &'t mut String) -> &'t str {
    if !look.folded || text.chars().all(|c| fold_char(c) == c) {
        return text;
    }
    room.clear();
    room.extend(text.chars().map(fold_char));
    room
}

/// Calls `visit` for every text that the look sees.
fn each_text(rows: &Rows<'_>, look: Look, room: &mut String, visit: &mut dyn FnMut(usize, &str)) {
    let CellFacts { columns, bytes, .. } = rows.cells;
    let tags = columns.tags(look.column);
    if !tags.iter().any(|tag| matches!(tag, Tag::Text | Tag::OwnText | Tag::Array | Tag::OwnArray)) {
        return;
    }
    for row in rows.rows {
        let row = usize::from(*row);
        let (tag, value) = columns.cell(look.column, row);
        if let Some(text) = columns.text(tag, value, bytes) {
            // Bodies and headers were checked to be UTF-8.
            if let Ok(text) = std::str::from_utf8(text) {
                visit(row, folded(text, look, room));
            }
        } else if look.arrays
            && let Some(array) = array(columns, bytes, tag, value)
        {
            elements(array, &mut |element| {
                if let Element::Text(text) = element {
                    visit(row, folded(&text, look, room));
                }
            });
        }
    }
}

/// Calls `visit` for every number that the look sees.
fn each_number(rows: &Rows<'_>, look: Look, visit: &mut dyn FnMut(usize, f64)) {
    let CellFacts { columns, bytes, .. } = rows.cells;
    for row in rows.rows {
        let row = usize::from(*row);
        let (tag, value) = columns.cell(look.column, row);
        if tag == Tag::Number {
            visit(row, f64::from_bits(value));
        } else if look.arrays
            && let Some(array) = array(columns, bytes, tag, value)
        {
            elements(array, &mut |element| {
                if let Element::Number(number) = element {
                    visit(row, number);
                }
            });
        }
    }
}

fn array<'c>(columns: &'c Columns, bytes: &'c [u8], tag: Tag, value: u64) -> Option<&'c [u8]> {
    match tag {
        Tag::Array => Some(Span::unpack(value).of(bytes)),
        Tag::OwnArray => Some(Span::unpack(value).of(columns.own_text())),
        _ => None,
    }
}
