//! Comparisons of numbers and arithmetic, 64 rows at a time: what makes scans cheap.
//!
//! A value that is no number, or none that makes sense, is NaN here; NaN stays NaN through all operations, and no comparison with
//! it is true or false, which is what the interpreter's *undefined* does. Where a cell that is no number could still compare (a
//! text with a text, null in some dialects), the row is an **exception**: the interpreter answers for it.

use crate::filter::plan::{Arithmetic, Comparison, Expr, ExprKind, Literal, Reference, Semantics, Type};
use crate::filter::{Function, Truth};
use crate::parse::{ColumnId, Columns, Tag};

/// A condition that is computed by vectors.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    Compare(Comparison, Number, Number, Exceptions),
    /// The cell is true; it is false; otherwise undefined.
    Is(ColumnId),
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
}

/// A number for each row.
#[derive(Clone, Debug)]
pub(super) enum Number {
    Column(ColumnId),
    Constant(f64),
    Arithmetic(Arithmetic, Box<Number>, Box<Number>),
    Negate(Box<Number>),
    Call(Function, Box<Number>),
}

/// Rows for which the interpreter has to be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exceptions {
    None,
    /// Neither side is a number, but both may be of one kind.
    NeitherIsNumber,
    /// Some side is no number.
    SomeIsNoNumber,
}

/// What a condition is for 64 rows, a bit for each; neither true nor false: undefined.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Answer {
    pub yes: u64,
    no: u64,
    /// Ask the interpreter.
    pub exceptions: u64,
}

type Lanes = [f64; 64];

/// A condition as a list of steps on two stacks, one of numbers and one of answers: without recursion, so that it can be
/// compiled for the vectors of the machine.
#[derive(Clone, Debug)]
pub(super) struct Program(Box<[Op]>);

#[derive(Clone, Copy, Debug)]
enum Op {
    Column(ColumnId),
    Constant(f64),
    Arithmetic(Arithmetic),
    Negate,
    Call(Function),
    Compare(Comparison, Exceptions),
    Is(ColumnId),
    /// Of the two topmost answers.
    And,
    Or,
    Not,
}

/// Numbers and answers that a program may have on its stacks.
const STACK: usize = 16;

/// Memory of running programs.
#[derive(Debug)]
pub(super) struct Stack {
    numbers: Box<[Lanes; STACK]>,
    answers: [Answer; STACK],
}

impl Default for Stack {
    fn default() -> Self {
        Self { numbers: Box::new([[0.0; 64]; STACK]), answers: [Answer::default(); STACK] }
    }
}

impl Program {
    /// The steps of a condition; `None` if they need too large a stack.
    pub fn new(condition: &Condition) -> Option<Self> {
        let mut ops = Vec::new();
        condition.steps(&mut ops);
        let (mut numbers, mut answers) = (0usize, 0usize);
        for op in &ops {
            match op {
                Op::Column(_) | Op::Constant(_) => numbers += 1,
                Op::Arithmetic(_) => numbers -= 1,
                Op::Compare(..) => {
                    numbers -= 2;
                    answers += 1;
                }
                Op::Is(_) => answers += 1,
                Op::And | Op::Or => answers -= 1,
                Op::Negate | Op::Call(_) | Op::Not => {}
            }
            if numbers > STACK || answers > STACK {
                return None;
            }
        }
        Some(Self(ops.into()))
    }

    /// The answer for the rows of one word.
    #[inline(always)]
    pub fn run(&self, columns: &Columns, word: usize, stack: &mut Stack) -> Answer {
        let Stack { numbers, answers } = stack;
        let (mut top, mut answer) = (0, 0);
        for op in &self.0 {
            match op {
                Op::Constant(value) => {
                    numbers[top] = [*value; 64];
                    top += 1;
                }
                Op::Column(column) => {
                    load(columns, *column, word, &mut numbers[top]);
                    top += 1;
                }
                Op::Arithmetic(op) => {
                    top -= 1;
                    let (below, above) = numbers.split_at_mut(top);
                    arithmetic(*op, &mut below[top - 1], &above[0]);
                }
                Op::Negate => numbers[top - 1].iter_mut().for_each(|value| *value = -*value),
                Op::Call(Function::Abs) => numbers[top - 1].iter_mut().for_each(|value| *value = value.abs()),
                Op::Call(function) => numbers[top - 1].iter_mut().for_each(|value| *value = call(*function, *value)),
                Op::Compare(op, exceptions) => {
                    top -= 2;
                    answers[answer] = compare(*op, *exceptions, &numbers[top], &numbers[top + 1]);
                    answer += 1;
                }
                Op::Is(column) => {
                    let tags: &[Tag; 64] = columns.tags(*column)[word * 64..].first_chunk().expect("whole words");
                    let tagged = |tag: Tag| pack(&tags.map(|found| u8::from(found == tag)));
                    answers[answer] = Answer { yes: tagged(Tag::True), no: tagged(Tag::False), exceptions: 0 };
                    answer += 1;
                }
                Op::And => {
                    answer -= 1;
                    let (a, b) = (answers[answer - 1], answers[answer]);
                    let exceptions = a.exceptions | b.exceptions;
                    answers[answer - 1] = Answer { yes: a.yes & b.yes, no: a.no | b.no, exceptions };
                }
                Op::Or => {
                    answer -= 1;
                    let (a, b) = (answers[answer - 1], answers[answer]);
                    let exceptions = a.exceptions | b.exceptions;
                    answers[answer - 1] = Answer { yes: a.yes | b.yes, no: a.no & b.no, exceptions };
                }
                Op::Not => {
                    let Answer { yes, no, exceptions } = answers[answer - 1];
                    answers[answer - 1] = Answer { yes: no, no: yes, exceptions };
                }
            }
        }
        answers[0]
    }
}

/// `expr` as vectors, if all of it can be.
pub(super) fn compile(expr: &Expr, semantics: Semantics) -> Option<Condition> {
    let all = |parts: &[Expr]| parts.iter().map(|part| compile(part, semantics)).collect::<Option<Vec<_>>>();
    match &expr.kind {
        // What is null for sure has rules of its own.
        _ if expr.ty == Type::Null => None,
        ExprKind::Reference(Reference::Column(column)) => Some(Condition::Is(*column)),
        ExprKind::And(parts) => all(parts).map(Condition::And),
        ExprKind::Or(parts) => all(parts).map(Condition::Or),
        ExprKind::Not(inner) => compile(inner, semantics).map(|inner| Condition::Not(Box::new(inner))),
        ExprKind::Compare { op, left, right } => {
            let (left, right) = (number(left)?, number(right)?);
            let exceptions = exceptions(*op, &left, &right, semantics);
            Some(Condition::Compare(*op, left, right, exceptions))
        }
        _ => None,
    }
}

fn exceptions(op: Comparison, left: &Number, right: &Number, semantics: Semantics) -> Exceptions {
    let is_cell = |number: &Number| matches!(number, Number::Column(_));
    let equality = matches!(op, Comparison::Equal | Comparison::NotEqual);
    match (is_cell(left), is_cell(right)) {
        (false, false) => Exceptions::None,
        _ if equality && semantics.compares_null_and_kinds() => Exceptions::SomeIsNoNumber,
        (true, true) => Exceptions::NeitherIsNumber,
        _ => Exceptions::None,
    }
}

fn number(expr: &Expr) -> Option<Number> {
    let boxed = |expr: &Expr| number(expr).map(Box::new);
    match &expr.kind {
        ExprKind::Reference(Reference::Column(column)) => Some(Number::Column(*column)),
        ExprKind::Literal(Literal::Number(value)) => Some(Number::Constant(*value)),
        ExprKind::Arithmetic { op, left, right } => Some(Number::Arithmetic(*op, boxed(left)?, boxed(right)?)),
        ExprKind::Negate(inner) => Some(Number::Negate(boxed(inner)?)),
        ExprKind::Call { function, args } => {
            let known = matches!(
                function,
                Function::Abs | Function::Square | Function::Ceiling | Function::Floor | Function::Sqrt
            );
            let [arg] = &args[..] else { return None };
            known.then(|| boxed(arg).map(|arg| Number::Call(*function, arg)))?
        }
        _ => None,
    }
}

impl Condition {
    fn steps(&self, out: &mut Vec<Op>) {
        match self {
            Self::Compare(op, left, right, exceptions) => {
                left.steps(out);
                right.steps(out);
                out.push(Op::Compare(*op, *exceptions));
            }
            Self::Is(column) => out.push(Op::Is(*column)),
            Self::And(parts) | Self::Or(parts) => {
                for (at, part) in parts.iter().enumerate() {
                    part.steps(out);
                    if at > 0 {
                        out.push(if matches!(self, Self::And(_)) { Op::And } else { Op::Or });
                    }
                }
            }
            Self::Not(inner) => {
                inner.steps(out);
                out.push(Op::Not);
            }
        }
    }

    /// For one row: true, false or undefined, or nothing where the interpreter has to be asked.
    pub fn eval_row(&self, columns: &Columns, row: usize) -> Option<Truth> {
        match self {
            Self::Compare(op, left, right, exceptions) => {
                let (a, b) = (left.eval_row(columns, row), right.eval_row(columns, row));
                let ask = match exceptions {
                    Exceptions::None => false,
                    Exceptions::NeitherIsNumber => a.is_nan() && b.is_nan(),
                    Exceptions::SomeIsNoNumber => a.is_nan() || b.is_nan(),
                };
                let order = a.partial_cmp(&b);
                let truth = order.map(|order| match op {
                    Comparison::Less => order.is_lt(),
                    Comparison::LessEqual => order.is_le(),
                    Comparison::Greater => order.is_gt(),
                    Comparison::GreaterEqual => order.is_ge(),
                    Comparison::Equal => order.is_eq(),
                    Comparison::NotEqual => order.is_ne(),
                });
                (!ask).then(|| truth.into())
            }
            Self::Is(column) => Some(match columns.cell(*column, row).0 {
                Tag::True => Truth::True,
                Tag::False => Truth::False,
                _ => Truth::Undefined,
            }),
            Self::And(parts) => {
                parts.iter().try_fold(Truth::True, |all, part| Some(all.and(part.eval_row(columns, row)?)))
            }
            Self::Or(parts) => {
                parts.iter().try_fold(Truth::False, |any, part| Some(any.or(part.eval_row(columns, row)?)))
            }
            Self::Not(inner) => Some(inner.eval_row(columns, row)?.negated_if(true)),
        }
    }
}

impl Number {
    fn steps(&self, out: &mut Vec<Op>) {
        match self {
            Self::Column(column) => out.push(Op::Column(*column)),
            Self::Constant(value) => out.push(Op::Constant(*value)),
            Self::Arithmetic(op, left, right) => {
                left.steps(out);
                right.steps(out);
                out.push(Op::Arithmetic(*op));
            }
            Self::Negate(inner) => {
                inner.steps(out);
                out.push(Op::Negate);
            }
            Self::Call(function, inner) => {
                inner.steps(out);
                out.push(Op::Call(*function));
            }
        }
    }

    fn eval_row(&self, columns: &Columns, row: usize) -> f64 {
        match self {
            Self::Constant(value) => *value,
            Self::Column(column) => match columns.cell(*column, row) {
                (Tag::Number, value) => f64::from_bits(value),
                _ => f64::NAN,
            },
            Self::Arithmetic(op, left, right) => {
                let (a, b) = (left.eval_row(columns, row), right.eval_row(columns, row));
                match op {
                    Arithmetic::Add => a + b,
                    Arithmetic::Subtract => a - b,
                    Arithmetic::Multiply => a * b,
                    Arithmetic::Divide => a / b,
                    Arithmetic::Remainder => remainder(a, b),
                }
            }
            Self::Negate(inner) => -inner.eval_row(columns, row),
            Self::Call(function, inner) => call(*function, inner.eval_row(columns, row)),
        }
    }
}

/// The numbers of a column; NaN where it has none.
#[inline(always)]
fn load(columns: &Columns, column: ColumnId, word: usize, lanes: &mut Lanes) {
    let tags: &[Tag; 64] = columns.tags(column)[word * 64..].first_chunk().expect("whole words");
    let values: &[u64; 64] = columns.values(column)[word * 64..].first_chunk().expect("whole words");
    for (lane, (tag, value)) in lanes.iter_mut().zip(tags.iter().zip(values)) {
        *lane = if *tag == Tag::Number { f64::from_bits(*value) } else { f64::NAN };
    }
}

#[inline(always)]
fn arithmetic(op: Arithmetic, a: &mut Lanes, b: &Lanes) {
    let pairs = a.iter_mut().zip(b);
    match op {
        Arithmetic::Add => pairs.for_each(|(a, b)| *a += b),
        Arithmetic::Subtract => pairs.for_each(|(a, b)| *a -= b),
        Arithmetic::Multiply => pairs.for_each(|(a, b)| *a *= b),
        Arithmetic::Divide => pairs.for_each(|(a, b)| *a /= b),
        Arithmetic::Remainder => pairs.for_each(|(a, b)| *a = remainder(*a, *b)),
    }
}

#[inline]
fn call(function: Function, value: f64) -> f64 {
    match function {
        Function::Abs => value.abs(),
        Function::Square => value * value,
        Function::Ceiling => value.ceil(),
        Function::Floor => value.floor(),
        _ => value.sqrt(),
    }
}

/// `a % b`. Whole numbers that an integer holds take an integer's division, which is some ten times as fast and as exact.
#[inline]
fn remainder(a: f64, b: f64) -> f64 {
    const EXACT: f64 = (1u64 << 53) as f64;
    let (whole_a, whole_b) = (a as i64, b as i64);
    let is_whole = whole_a as f64 == a && whole_b as f64 == b && a.abs() < EXACT && b.abs() < EXACT;
    // The sign of a zero is that of the dividend, which an integer does not keep.
    if is_whole && whole_b != 0 && whole_a > 0 { (whole_a % whole_b) as f64 } else { a % b }
}

#[inline(always)]
fn compare(op: Comparison, exceptions: Exceptions, a: &Lanes, b: &Lanes) -> Answer {
    // The other way round is written out, because neither holds for NaN.
    let (yes, no) = match op {
        Comparison::Less => (bits(a, b, |a, b| a < b), bits(a, b, |a, b| a >= b)),
        Comparison::LessEqual => (bits(a, b, |a, b| a <= b), bits(a, b, |a, b| a > b)),
        Comparison::Greater => (bits(a, b, |a, b| a > b), bits(a, b, |a, b| a <= b)),
        Comparison::GreaterEqual => (bits(a, b, |a, b| a >= b), bits(a, b, |a, b| a < b)),
        Comparison::Equal => (bits(a, b, |a, b| a == b), bits(a, b, |a, b| (a < b) | (a > b))),
        Comparison::NotEqual => (bits(a, b, |a, b| (a < b) | (a > b)), bits(a, b, |a, b| a == b)),
    };
    let exceptions = match exceptions {
        Exceptions::None => 0,
        Exceptions::NeitherIsNumber => bits(a, b, |a, b| a.is_nan() & b.is_nan()),
        Exceptions::SomeIsNoNumber => bits(a, b, |a, b| a.is_nan() | b.is_nan()),
    };
    Answer { yes, no, exceptions }
}

#[inline(always)]
fn bits(a: &Lanes, b: &Lanes, test: impl Fn(f64, f64) -> bool) -> u64 {
    let mut bytes = [0u8; 64];
    for (byte, (a, b)) in bytes.iter_mut().zip(a.iter().zip(b)) {
        *byte = u8::from(test(*a, *b));
    }
    pack(&bytes)
}

/// A bit for each byte of 0 or 1: eight of them by one multiplication.
#[inline(always)]
pub(super) fn pack(bytes: &[u8; 64]) -> u64 {
    bytes.as_chunks::<8>().0.iter().enumerate().fold(0, |bits, (at, bytes)| {
        let packed = u64::from_le_bytes(*bytes).wrapping_mul(0x0102_0408_1020_4080) >> 56;
        bits | packed << (8 * at)
    })
}
