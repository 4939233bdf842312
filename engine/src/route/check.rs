//! What an index points to: a route's alternative with what is left to check, in 24 bytes.

use super::EndpointId;
use super::access::Test;
use super::facts::CellFacts;
use super::vector::{self, Condition, Program};
use crate::filter::plan::{Expr, Semantics};
use crate::filter::truth_of;
use crate::parse::{ColumnId, Columns, Tag};

/// Nothing is left to check.
const NOTHING: u16 = u16::MAX;
/// A list of tests is: its number is in `low`.
const LIST: u16 = u16::MAX - 1;

/// One alternative of a route.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target {
    /// Number of the route in its layer.
    pub route: u32,
    pub endpoint: EndpointId,
    /// The column of a range test, or [`NOTHING`] or [`LIST`].
    column: u16,
    low: f64,
    high: f64,
}

/// Tests that are shared or too large for a [`Target`].
#[derive(Debug, Default)]
pub(super) struct Tests {
    lists: Vec<(u32, u32)>,
    tests: Vec<Compiled>,
    exprs: Vec<Computed>,
    by_text: std::collections::HashMap<String, u32>,
}

/// An expression, for one row and, where it can be, for 64.
#[derive(Debug)]
struct Computed {
    expr: Expr,
    semantics: Semantics,
    vector: Option<(Condition, Option<Program>)>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Compiled {
    Range(ColumnId, f64, f64),
    /// Index of an expression.
    Expr(u32),
}

impl Tests {
    /// The target for a route and its tests.
    pub fn target(&mut self, route: u32, endpoint: EndpointId, tests: &[Test], semantics: Semantics) -> Target {
        let none = Target { route, endpoint, column: NOTHING, low: 0.0, high: 0.0 };
        match tests {
            [] => none,
            [Test::Range(column, low, high)] if *column < u32::from(LIST) => {
                Target { column: *column as u16, low: *low, high: *high, ..none }
            }
            tests => {
                let list = self.lists.len() as u64;
                let range = self.push(tests, semantics);
                self.lists.push(range);
                Target { column: LIST, low: f64::from_bits(list), ..none }
            }
        }
    }

    /// Adds tests; where they lie.
    pub fn push(&mut self, tests: &[Test], semantics: Semantics) -> (u32, u32) {
        let start = self.tests.len() as u32;
        for test in tests {
            let compiled = match test {
                Test::Range(column, low, high) => Compiled::Range(*column, *low, *high),
                Test::Vector(expr) | Test::Expr(expr) => Compiled::Expr(self.expr(expr, semantics)),
            };
            self.tests.push(compiled);
        }
        (start, self.tests.len() as u32)
    }

    /// The number of an expression: equal ones have the same.
    fn expr(&mut self, expr: &Expr, semantics: Semantics) -> u32 {
        let text = format!("{semantics:?} {:?}", expr.kind);
        if let Some(number) = self.by_text.get(&text) {
            return *number;
        }
        let number = self.exprs.len() as u32;
        let vector = vector::compile(expr, semantics).map(|condition| {
            let program = Program::new(&condition);
            (condition, program)
        });
        self.exprs.push(Computed { expr: expr.clone(), semantics, vector });
        self.by_text.insert(text, number);
        number
    }

    /// To be called when nothing is added any more.
    pub fn seal(&mut self) {
        self.by_text = std::collections::HashMap::new();
        self.lists.shrink_to_fit();
        self.tests.shrink_to_fit();
        self.exprs.shrink_to_fit();
    }

    /// Those between two places.
    pub fn slice(&self, range: (u32, u32)) -> &[Compiled] {
        &self.tests[range.0 as usize..range.1 as usize]
    }

    /// How the test is computed for 64 rows at once, if it is.
    pub fn vector(&self, test: Compiled) -> Option<&Program> {
        match test {
            Compiled::Range(..) => None,
            Compiled::Expr(number) => self.exprs[number as usize].vector.as_ref()?.1.as_ref(),
        }
    }

    /// One test.
    #[inline]
    pub fn is_true(&self, test: Compiled, cells: &CellFacts<'_>) -> bool {
        match test {
            Compiled::Range(column, low, high) => in_range(cells.columns, column, cells.row, low, high),
            Compiled::Expr(number) => {
                let computed = &self.exprs[number as usize];
                let vector = computed.vector.as_ref();
                if let Some(truth) = vector.and_then(|(condition, _)| condition.eval_row(cells.columns, cells.row)) {
                    return truth.is_true();
                }
                truth_of(&computed.expr, *cells, computed.semantics).is_true()
            }
        }
    }

    /// About how many bytes it takes.
    pub fn memory_bytes(&self) -> usize {
        let mut nodes = 0;
        self.exprs.iter().for_each(|computed| computed.expr.walk(&mut |_| nodes += 1));
        self.lists.capacity() * 8
            + self.tests.capacity() * size_of::<Compiled>()
            + self.exprs.capacity() * size_of::<Computed>()
            + nodes * (size_of::<Expr>() + 16)
    }
}

impl Target {
    /// What is left to check is true for the row.
    #[inline(always)]
    pub fn is_true(&self, tests: &Tests, cells: &CellFacts<'_>) -> bool {
        match self.column {
            NOTHING => true,
            LIST => self.list(tests, cells),
            column => in_range(cells.columns, ColumnId::from(column), cells.row, self.low, self.high),
        }
    }

    #[inline(never)]
    fn list(&self, tests: &Tests, cells: &CellFacts<'_>) -> bool {
        tests.slice(tests.lists[self.low.to_bits() as usize]).iter().all(|test| tests.is_true(*test, cells))
    }

    /// Its only test, if that is a range.
    pub fn range(&self) -> Option<(ColumnId, f64, f64)> {
        (self.column < LIST).then_some((ColumnId::from(self.column), self.low, self.high))
    }

    /// The same with nothing left to check.
    pub fn unchecked(&self) -> Self {
        Self { column: NOTHING, ..*self }
    }
}

#[inline(always)]
fn in_range(columns: &Columns, column: ColumnId, row: usize, low: f64, high: f64) -> bool {
    let (tag, value) = columns.cell(column, row);
    let value = f64::from_bits(value);
    // No branches: whether it is in range is anybody's guess.
    (tag == Tag::Number) & (low <= value) & (value <= high)
}
