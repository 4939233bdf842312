//! How a filter can be found: which part of it an index can serve, and what is left to check on what the index finds.
//!
//! A filter is split at its outer ORs into alternatives; an alternative matches if all of its conditions are true. One condition
//! (or all the equalities) becomes the **access path**, the others are tests. What holds: an alternative is true for an event
//! exactly if its access path finds it and all its tests are true; only truth counts, so nothing else is kept of what the
//! filter would answer.

use super::columns::ColumnSet;
use super::vector;
use crate::filter::plan::{Comparison, Expr, ExprKind, Literal, Reference, Semantics, Type};
use crate::filter::{
    Filter, Function, GridOperator, GridValues, Pattern, Piece, TopicFilter, fold, looks_like_date_time,
};
use crate::parse::ColumnId;

/// Alternatives above which a filter is taken as one.
const ALTERNATIVES_MAX: usize = 256;

/// How cells of a column are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct Look {
    pub column: ColumnId,
    /// Texts are compared without regard to case.
    pub folded: bool,
    /// Of an array each element is looked at.
    pub arrays: bool,
}

/// A constant that cells are compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Constant {
    Text(Box<str>),
    /// Bits of a double that is not -0.
    Number(u64),
    Bool(bool),
}

/// The way to an alternative.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Access {
    /// No index serves it.
    Scan,
    /// All of these cells are equal to their constants; sorted by look.
    Equal(Vec<(Look, Constant)>),
    /// The cell is equal to one of these.
    In(Look, Vec<Constant>),
    /// A number from the first to the second, in one of the ranges.
    Ranges(Look, Vec<(f64, f64)>),
    /// Starts with one of these.
    Prefix(Look, Vec<Box<str>>),
    /// Ends with one of these.
    Suffix(Look, Vec<Box<str>>),
    /// Has one of these in it.
    Contains(Look, Vec<Box<str>>),
    /// A topic.
    Topic(ColumnId, TopicFilter),
}

/// What is left to check.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Test {
    /// The cell is a number from the first to the second.
    Range(ColumnId, f64, f64),
    /// Comparisons and arithmetic of numbers, 64 rows at a time.
    Vector(Expr),
    /// Anything else, by the interpreter.
    Expr(Expr),
}

impl Test {
    /// About how much work it is.
    pub fn cost(&self) -> u32 {
        match self {
            Self::Range(..) => 1,
            Self::Vector(expr) => expr.cost().div_ceil(4),
            Self::Expr(expr) => expr.cost() + 4,
        }
    }
}

/// One alternative of a filter.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Alternative {
    pub access: Access,
    /// All must be true; the cheap ones first.
    pub tests: Vec<Test>,
}

impl Alternative {
    /// Its index finds about half of all events, and vectors tell faster which of them: a range without one of its ends, with
    /// more to test.
    pub fn is_weak(&self) -> bool {
        let Access::Ranges(look, ranges) = &self.access else { return false };
        let [(low, high)] = ranges[..] else { return false };
        let vectors = self.tests.iter().all(|test| !matches!(test, Test::Expr(_)));
        !look.arrays && (low.is_infinite() || high.is_infinite()) && !self.tests.is_empty() && vectors
    }

    /// The same without an index.
    pub fn into_scan(mut self) -> Self {
        if let Access::Ranges(look, ranges) = std::mem::replace(&mut self.access, Access::Scan) {
            self.tests.splice(0..0, ranges.into_iter().map(|(low, high)| Test::Range(look.column, low, high)));
        }
        self
    }
}

/// Splits a filter. An empty list: it is never true.
pub(super) fn alternatives(filter: &Filter, set: &mut ColumnSet) -> Vec<Alternative> {
    let semantics = filter.semantics();
    let mut root = filter.root().clone();
    set.resolve(&mut root, semantics);
    let mut parts = Vec::new();
    split_or(root, &mut parts);
    if parts.len() > ALTERNATIVES_MAX {
        let ty = Type::Bool;
        parts = vec![Expr { kind: ExprKind::Or(parts), ty, span: 0..0 }];
    }
    parts.into_iter().filter_map(|part| alternative(part, semantics)).collect()
}

/// The alternatives of an OR, with NOT moved inwards.
fn split_or(expr: Expr, out: &mut Vec<Expr>) {
    match push_not(expr, false) {
        Expr { kind: ExprKind::Or(parts), ty, .. } if ty != Type::Null => {
            parts.into_iter().for_each(|part| split_or(part, out));
        }
        other => out.push(other),
    }
}

/// `expr`, or NOT of it: De Morgan's laws hold in three-valued logic. What is null for sure stays as it is.
fn push_not(expr: Expr, negate: bool) -> Expr {
    let rebuild = |kind, ty| Expr { kind, ty, span: 0..0 };
    match (expr.kind, negate) {
        (ExprKind::Not(inner), negate) if inner.ty != Type::Null => push_not(*inner, !negate),
        (ExprKind::And(parts), true) if expr.ty != Type::Null && parts.iter().all(|part| part.ty != Type::Null) => {
            rebuild(ExprKind::Or(parts.into_iter().map(|part| push_not(part, true)).collect()), expr.ty)
        }
        (ExprKind::Or(parts), true) if expr.ty != Type::Null && parts.iter().all(|part| part.ty != Type::Null) => {
            rebuild(ExprKind::And(parts.into_iter().map(|part| push_not(part, true)).collect()), expr.ty)
        }
        (ExprKind::Compare { op, left, right }, true) if op != Comparison::Equal && op != Comparison::NotEqual => {
            let op = match op {
                Comparison::Less => Comparison::GreaterEqual,
                Comparison::LessEqual => Comparison::Greater,
                Comparison::Greater => Comparison::LessEqual,
                _ => Comparison::Less,
            };
            rebuild(ExprKind::Compare { op, left, right }, expr.ty)
        }
        (kind, false) => rebuild(kind, expr.ty),
        (kind, true) => {
            let inner = rebuild(kind, expr.ty);
            rebuild(ExprKind::Not(Box::new(inner)), Type::Bool)
        }
    }
}

/// All conditions of a conjunction.
fn conditions(expr: Expr, out: &mut Vec<Expr>) {
    match push_not(expr, false) {
        Expr { kind: ExprKind::And(parts), ty, .. } if ty != Type::Null => {
            parts.into_iter().for_each(|part| conditions(part, out));
        }
        other => out.push(other),
    }
}

/// A condition and the index that could serve it.
struct Condition {
    expr: Expr,
    access: Option<Access>,
    /// The index decides it: nothing is left to test.
    exact: bool,
}

fn alternative(expr: Expr, semantics: Semantics) -> Option<Alternative> {
    let mut parts = Vec::new();
    conditions(expr, &mut parts);
    let mut all = Vec::new();
    for expr in parts {
        match &expr.kind {
            ExprKind::Literal(Literal::Bool(true)) => continue,
            ExprKind::Literal(_) => return None,
            _ => {}
        }
        let (access, exact) = access(&expr, semantics).map_or((None, false), |(access, exact)| (Some(access), exact));
        all.push(Condition { expr, access, exact });
    }
    let access = choose(&mut all);
    let mut tests: Vec<Test> = all.into_iter().map(|condition| test(condition, semantics)).collect();
    tests.sort_by_key(Test::cost);
    Some(Alternative { access, tests })
}

/// The best access path; the conditions that it decides are taken out.
fn choose(all: &mut Vec<Condition>) -> Access {
    let mut equal: Vec<(Look, Constant)> = Vec::new();
    all.retain_mut(|condition| match &mut condition.access {
        Some(Access::In(look, constants)) if constants.len() == 1 && condition.exact => {
            // A second constant for the same cell is a test like any other.
            if equal.iter().any(|(other, _)| other == look) || equal.len() == 4 {
                return true;
            }
            equal.extend(constants.pop().map(|constant| (*look, constant)));
            false
        }
        _ => true,
    });
    if !equal.is_empty() {
        equal.sort_by_key(|(look, _)| *look);
        return Access::Equal(equal);
    }
    let rank = |condition: &Condition| match &condition.access {
        Some(Access::In(..)) => 1,
        Some(Access::Topic(..)) => 2,
        Some(Access::Prefix(..)) => 3,
        Some(Access::Suffix(..)) => 4,
        Some(Access::Contains(..)) => 5,
        Some(Access::Ranges(..)) => 6,
        _ => 9,
    };
    let Some(best) = (0..all.len()).min_by_key(|at| rank(&all[*at])) else { return Access::Scan };
    let Some(access) = all[best].access.clone() else { return Access::Scan };
    if all[best].exact {
        all.remove(best);
    }
    access
}

fn test(condition: Condition, semantics: Semantics) -> Test {
    match &condition.access {
        Some(Access::Ranges(look, ranges)) if ranges.len() == 1 && condition.exact && !look.arrays => {
            Test::Range(look.column, ranges[0].0, ranges[0].1)
        }
        _ if vector::compile(&condition.expr, semantics).is_some() => Test::Vector(condition.expr),
        _ => Test::Expr(condition.expr),
    }
}

fn column(expr: &Expr) -> Option<ColumnId> {
    match expr.kind {
        ExprKind::Reference(Reference::Column(column)) => Some(column),
        _ => None,
    }
}

fn look(column: ColumnId) -> Look {
    Look { column, folded: false, arrays: false }
}

/// The constant of a literal that can be looked up. A string that the quirk takes for a date is never equal to anything.
fn constant(expr: &Expr, semantics: Semantics) -> Option<Constant> {
    match &expr.kind {
        ExprKind::Literal(Literal::String(text)) => {
            let usable = !(semantics.azure_date_quirk && looks_like_date_time(text));
            usable.then(|| Constant::Text(text.clone()))
        }
        ExprKind::Literal(Literal::Number(number)) => number_constant(*number),
        ExprKind::Literal(Literal::Bool(truth)) => Some(Constant::Bool(*truth)),
        _ => None,
    }
}

fn number_constant(number: f64) -> Option<Constant> {
    (!number.is_nan()).then(|| Constant::Number((number + 0.0).to_bits()))
}

fn number(expr: &Expr) -> Option<f64> {
    match expr.kind {
        ExprKind::Literal(Literal::Number(number)) if !number.is_nan() => Some(number),
        _ => None,
    }
}

/// The index that serves a condition, and whether it decides it.
fn access(expr: &Expr, semantics: Semantics) -> Option<(Access, bool)> {
    // Under the quirk a text may count as absent: only equality knows what that means.
    let texts = !semantics.azure_date_quirk;
    match &expr.kind {
        ExprKind::Compare { op, left, right } => {
            let (column, op, other) = match (column(left), column(right)) {
                (Some(column), None) => (column, *op, right),
                (None, Some(column)) => (column, mirrored(*op), left),
                _ => return None,
            };
            if op == Comparison::Equal {
                let constant = constant(other, semantics)?;
                // True or false is no way to tell events apart.
                let tells = !matches!(constant, Constant::Bool(_));
                return tells.then(|| (Access::In(look(column), vec![constant]), true));
            }
            Some((Access::Ranges(look(column), vec![range(op, number(other)?)?]), true))
        }
        ExprKind::In { value, list, negated: false } => {
            let constants: Option<Vec<Constant>> = list.iter().map(|item| constant(item, semantics)).collect();
            let mut constants = constants?;
            constants.sort();
            constants.dedup();
            Some((Access::In(look(column(value)?), constants), true))
        }
        ExprKind::Between { value, low, high, negated: false } => {
            Some((Access::Ranges(look(column(value)?), vec![(number(low)?, number(high)?)]), true))
        }
        ExprKind::Or(parts) if expr.ty != Type::Null => one_of(parts, semantics),
        ExprKind::Like { value, pattern, negated: false } if texts => like(column(value)?, pattern),
        ExprKind::Call { function, args } if texts => {
            let [value, part] = &args[..] else { return None };
            let ExprKind::Literal(Literal::String(part)) = &part.kind else { return None };
            let (look, part) = (look(column(value)?), vec![part.clone()]);
            if part[0].is_empty() {
                return None;
            }
            Some((
                match function {
                    Function::StartsWith => Access::Prefix(look, part),
                    Function::EndsWith => Access::Suffix(look, part),
                    Function::Contains => Access::Contains(look, part),
                    _ => return None,
                },
                true,
            ))
        }
        ExprKind::Topic { value, filter } if texts => Some((Access::Topic(column(value)?, filter.clone()), true)),
        ExprKind::Grid(condition) => {
            let Reference::Column(column) = condition.key else { return None };
            grid(column, condition.operator, &condition.values, condition.arrays)
        }
        _ => None,
    }
}

/// `a = 1 OR a = 2 OR a IN (3, 4)`
fn one_of(parts: &[Expr], semantics: Semantics) -> Option<(Access, bool)> {
    let mut all = Vec::new();
    let mut only = None;
    for part in parts {
        let (Access::In(look, constants), true) = access(part, semantics)? else { return None };
        if *only.get_or_insert(look) != look {
            return None;
        }
        all.extend(constants);
    }
    all.sort();
    all.dedup();
    Some((Access::In(only?, all), true))
}

fn mirrored(op: Comparison) -> Comparison {
    match op {
        Comparison::Less => Comparison::Greater,
        Comparison::LessEqual => Comparison::GreaterEqual,
        Comparison::Greater => Comparison::Less,
        Comparison::GreaterEqual => Comparison::LessEqual,
        same => same,
    }
}

/// The doubles for which `x op constant` is true. The next double stands for "just above".
fn range(op: Comparison, constant: f64) -> Option<(f64, f64)> {
    match op {
        Comparison::Less => Some((f64::NEG_INFINITY, constant.next_down())),
        Comparison::LessEqual => Some((f64::NEG_INFINITY, constant)),
        Comparison::Greater => Some((constant.next_up(), f64::INFINITY)),
        Comparison::GreaterEqual => Some((constant, f64::INFINITY)),
        Comparison::Equal | Comparison::NotEqual => None,
    }
    // Nothing is below the least or above the greatest.
    .filter(|_| !(op == Comparison::Less && constant == f64::NEG_INFINITY))
    .filter(|_| !(op == Comparison::Greater && constant == f64::INFINITY))
}

fn like(column: ColumnId, pattern: &Pattern) -> Option<(Access, bool)> {
    let look = look(column);
    let text = |piece: &Piece| match piece {
        Piece::Text(text) if !text.is_empty() => Some(text.clone()),
        _ => None,
    };
    let is_empty = |piece: &Piece| matches!(piece, Piece::Text(text) if text.is_empty());
    match pattern.pieces() {
        [Piece::Text(all)] => Some((Access::In(look, vec![Constant::Text(all.clone())]), true)),
        [_] => None,
        [first, .., last] => {
            let pieces = pattern.pieces();
            if let Some(prefix) = text(first) {
                return Some((Access::Prefix(look, vec![prefix]), pieces.len() == 2 && is_empty(last)));
            }
            if let Some(suffix) = text(last) {
                return Some((Access::Suffix(look, vec![suffix]), pieces.len() == 2 && is_empty(first)));
            }
            let longest = pieces.iter().filter_map(text).max_by_key(|text| text.len())?;
            let exact = pieces.len() == 3 && is_empty(first) && is_empty(last);
            Some((Access::Contains(look, vec![longest]), exact))
        }
        [] => None,
    }
}

fn grid(column: ColumnId, operator: GridOperator, values: &GridValues, arrays: bool) -> Option<(Access, bool)> {
    let exact_case = matches!(operator, GridOperator::ExactBeginsWith | GridOperator::ExactEndsWith);
    let text_look = Look { column, folded: !exact_case, arrays };
    let look = Look { column, folded: false, arrays };
    let access = match (operator, values) {
        (GridOperator::NumberIn, GridValues::Numbers(numbers)) => {
            Access::In(look, numbers.iter().filter_map(|number| number_constant(*number)).collect())
        }
        (GridOperator::BoolEquals, GridValues::Bool(truth)) => Access::In(look, vec![Constant::Bool(*truth)]),
        (GridOperator::StringIn, GridValues::Strings(texts)) => {
            Access::In(text_look, texts.iter().map(|text| Constant::Text(fold(text).into())).collect())
        }
        (GridOperator::NumberInRange, GridValues::Ranges(ranges)) => Access::Ranges(look, ranges.to_vec()),
        (
            GridOperator::NumberLessThan
            | GridOperator::NumberLessThanOrEquals
            | GridOperator::NumberGreaterThan
            | GridOperator::NumberGreaterThanOrEquals,
            GridValues::Numbers(numbers),
        ) => {
            let [number] = numbers[..] else { return None };
            let op = match operator {
                GridOperator::NumberLessThan => Comparison::Less,
                GridOperator::NumberLessThanOrEquals => Comparison::LessEqual,
                GridOperator::NumberGreaterThan => Comparison::Greater,
                _ => Comparison::GreaterEqual,
            };
            Access::Ranges(look, vec![range(op, number)?])
        }
        (GridOperator::StringBeginsWith | GridOperator::ExactBeginsWith, GridValues::Strings(texts)) => {
            Access::Prefix(text_look, not_empty(texts)?)
        }
        (GridOperator::StringEndsWith | GridOperator::ExactEndsWith, GridValues::Strings(texts)) => {
            Access::Suffix(text_look, not_empty(texts)?)
        }
        (GridOperator::StringContains, GridValues::Strings(texts)) => Access::Contains(text_look, not_empty(texts)?),
        _ => return None,
    };
    // An attribute may be compared as a number by its text: the condition itself knows, the index does not.
    Some((access, false))
}

fn not_empty(texts: &[Box<str>]) -> Option<Vec<Box<str>>> {
    texts.iter().all(|text| !text.is_empty()).then(|| texts.to_vec())
}
