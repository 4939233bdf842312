//! Operators behind an operand, and how tightly they bind.
//!
//! | tighter ↓ | IoT Hub (sheet `iothub-and-twins.md` 1.7.2) | Anabranch, Digital Twins |
//! |---|---|---|
//! | 1 | `??` | `OR` |
//! | 2 | `OR` | `AND` |
//! | 3 | `AND` | `NOT` |
//! | 4 | `= != <>` | `= != < <= > >=`, `IN`, `BETWEEN`, `LIKE`, `IS`; they do not chain |
//! | 5 | `< <= > >=` | `??` |
//! | 6 | `+ - \|\|` | `+ - \|\|` |
//! | 7 | `* / %` | `* / %` |
//! | 8 | `-x`, `NOT` | `-x` |

use super::super::Dialect;
use super::super::syntax::{Arithmetic, BinaryOp, Comparison, Node, NodeKind};
use super::super::token::{Keyword, Symbol, Token};
use super::{Parser, Span};

/// Power with which unary minus takes its operand.
pub(super) const NEGATE: u8 = 8;
/// Power of comparisons in the ordinary dialects.
const COMPARE: u8 = 4;

/// Power with which `NOT` takes its operand.
pub(super) fn not_power(dialect: Dialect) -> u8 {
    match dialect {
        Dialect::IotHub => 8,
        // The other dialects are not written as conditions and never come here.
        Dialect::Anabranch | Dialect::DigitalTwins | Dialect::EventGrid | Dialect::Mqtt => COMPARE,
    }
}

/// The token can stand behind an operand.
pub(super) fn starts(token: &Token) -> bool {
    match token {
        Token::Keyword(keyword) => {
            matches!(keyword, Keyword::And | Keyword::Or | Keyword::In | Keyword::Between | Keyword::Like | Keyword::Is)
        }
        Token::Symbol(symbol) => {
            matches!(symbol, Symbol::Close | Symbol::Comma) || binary(*symbol, Dialect::Anabranch).is_some()
        }
        Token::End => true,
        _ => false,
    }
}

fn binary(symbol: Symbol, dialect: Dialect) -> Option<(BinaryOp, u8)> {
    let hub = dialect == Dialect::IotHub;
    let equality = |op| (BinaryOp::Compare(op), COMPARE);
    let order = |op| (BinaryOp::Compare(op), if hub { 5 } else { COMPARE });
    Some(match symbol {
        Symbol::Equal => equality(Comparison::Equal),
        Symbol::NotEqual => equality(Comparison::NotEqual),
        Symbol::Less => order(Comparison::Less),
        Symbol::LessEqual => order(Comparison::LessEqual),
        Symbol::Greater => order(Comparison::Greater),
        Symbol::GreaterEqual => order(Comparison::GreaterEqual),
        Symbol::Coalesce => (BinaryOp::Coalesce, if hub { 1 } else { 5 }),
        Symbol::Plus => (BinaryOp::Arithmetic(Arithmetic::Add), 6),
        Symbol::Minus => (BinaryOp::Arithmetic(Arithmetic::Subtract), 6),
        Symbol::Bars => (BinaryOp::Join, 6),
        Symbol::Star => (BinaryOp::Arithmetic(Arithmetic::Multiply), 7),
        Symbol::Slash => (BinaryOp::Arithmetic(Arithmetic::Divide), 7),
        Symbol::Percent => (BinaryOp::Arithmetic(Arithmetic::Remainder), 7),
        _ => return None,
    })
}

fn logic(keyword: Keyword, dialect: Dialect) -> Option<u8> {
    let lift = u8::from(dialect == Dialect::IotHub);
    match keyword {
        Keyword::Or => Some(1 + lift),
        Keyword::And => Some(2 + lift),
        _ => None,
    }
}

impl Parser<'_, '_> {
    /// Reads operators of at least `min_power` behind `left`.
    pub(super) fn operators(&mut self, mut left: Node, min_power: u8) -> Node {
        loop {
            let op_span = self.peek_span();
            match *self.peek() {
                Token::Symbol(symbol) => {
                    let Some((op, power)) = binary(symbol, self.dialect) else { return left };
                    if power < min_power {
                        return left;
                    }
                    left = self.binary(left, op, op_span, power);
                }
                Token::Keyword(keyword @ (Keyword::And | Keyword::Or)) => {
                    let Some(power) = logic(keyword, self.dialect) else { return left };
                    if power < min_power {
                        return left;
                    }
                    left = self.logic(left, keyword, power);
                }
                Token::Keyword(Keyword::In | Keyword::Between | Keyword::Like | Keyword::Is)
                    if COMPARE >= min_power =>
                {
                    left = self.predicate(left, false);
                }
                Token::Keyword(Keyword::Not)
                    if COMPARE >= min_power
                        && matches!(
                            self.peek_second(),
                            Token::Keyword(Keyword::In | Keyword::Between | Keyword::Like)
                        ) =>
                {
                    self.bump();
                    left = self.predicate(left, true);
                }
                _ => return left,
            }
        }
    }

    fn logic(&mut self, left: Node, keyword: Keyword, power: u8) -> Node {
        let start = left.span.start;
        self.bump();
        let right = self.expression(power + 1);
        let below = right.height;
        // A chain is one node: it may be as long as the filter's size allows, and indexes want it flat.
        let (mut parts, height) = match (left.kind, keyword) {
            (NodeKind::And(parts), Keyword::And) | (NodeKind::Or(parts), Keyword::Or) => (parts, left.height - 1),
            (kind, _) => {
                let height = left.height;
                (vec![Node { kind, span: left.span, height }], height)
            }
        };
        parts.push(right);
        let kind = if keyword == Keyword::And { NodeKind::And(parts) } else { NodeKind::Or(parts) };
        self.node(start, kind, height.max(below))
    }

    fn binary(&mut self, left: Node, op: BinaryOp, op_span: Span, power: u8) -> Node {
        self.bump();
        let right = self.expression(power + 1);
        let start = left.span.start;
        if self.dialect != Dialect::IotHub
            && matches!(op, BinaryOp::Compare(_))
            && self.refuse_chain(&left, &right, op.symbol())
        {
            return self.error_node(start..right.span.end);
        }
        let below = left.height.max(right.height);
        let kind = NodeKind::Binary { op, op_span, left: Box::new(left), right: Box::new(right) };
        self.node(start, kind, below)
    }

    /// `1 < x < 5` reads well and means nothing.
    fn refuse_chain(&mut self, left: &Node, right: &Node, symbol: &str) -> bool {
        let next = match self.peek() {
            Token::Symbol(symbol) => match binary(*symbol, self.dialect) {
                Some((op @ BinaryOp::Compare(_), _)) => op.symbol(),
                _ => return false,
            },
            _ => return false,
        };
        let text = |node: &Node| self.text.get(node.span.clone()).unwrap_or_default().to_owned();
        let (left_text, right_text) = (text(left), text(right));
        let problem = self
            .dialect
            .syntax_error(self.peek_span(), "comparisons do not chain")
            .help(format!("compare twice: `{left_text} {symbol} {right_text} AND {right_text} {next} …`"));
        self.problems.push(problem);
        true
    }

    /// `IN`, `BETWEEN`, `LIKE` or `IS` behind `value`.
    fn predicate(&mut self, value: Node, negated: bool) -> Node {
        let start = value.span.start;
        let below = value.height;
        let value = Box::new(value);
        if self.dialect != Dialect::Anabranch {
            let problem = self
                .dialect
                .syntax_error(self.peek_span(), &format!("{} is not part of this dialect", self.found()))
                .help("use `dialect = \"anabranch\"` for it, or write it with comparisons");
            self.problems.push(problem);
        }
        if self.eat_keyword(Keyword::In) {
            let mut list = Vec::new();
            let open = self.peek_span();
            if !self.eat(Symbol::Open) {
                let detail = format!("a list in parentheses was expected after IN, not {}", self.found());
                let problem = self.dialect.syntax_error(open.clone(), &detail).help("for example `x IN ('a', 'b')`");
                let lost = self.report(problem, start..open.end);
                self.recover();
                return lost;
            }
            if *self.peek() == Token::Symbol(Symbol::Close) {
                let problem = self
                    .dialect
                    .syntax_error(open.start..self.peek_span().end, "the list of IN is empty")
                    .help("name at least one value");
                self.problems.push(problem);
            } else {
                self.list(&mut list);
            }
            self.close(open);
            let below = list.iter().map(|item| item.height).fold(below, usize::max);
            return self.node(start, NodeKind::In { value, list, negated }, below);
        }
        if self.eat_keyword(Keyword::Between) {
            let low = Box::new(self.expression(COMPARE + 1));
            if !self.eat_keyword(Keyword::And) {
                let span = self.peek_span();
                let detail = format!("AND and the upper bound were expected here, not {}", self.found());
                let problem = self.dialect.syntax_error(span.clone(), &detail).help("for example `x BETWEEN 1 AND 5`");
                if !self.eat(Symbol::Comma) {
                    let lost = self.report(problem, start..low.span.end);
                    self.recover();
                    return lost;
                }
                self.problems.push(problem.suggest(span, " AND"));
            }
            let high = Box::new(self.expression(COMPARE + 1));
            let below = below.max(low.height).max(high.height);
            return self.node(start, NodeKind::Between { value, low, high, negated }, below);
        }
        if self.eat_keyword(Keyword::Like) {
            let pattern = Box::new(self.expression(COMPARE + 1));
            let escape = self.eat_keyword(Keyword::Escape).then(|| Box::new(self.expression(COMPARE + 1)));
            let below = below.max(pattern.height).max(escape.as_ref().map_or(0, |escape| escape.height));
            return self.node(start, NodeKind::Like { value, pattern, escape, negated }, below);
        }
        self.bump();
        let negated = self.eat_keyword(Keyword::Not);
        if !self.eat_keyword(Keyword::Null) {
            let span = self.peek_span();
            let detail = format!("NULL or NOT NULL was expected after IS, not {}", self.found());
            let problem = self.dialect.syntax_error(span.clone(), &detail).help("to compare values, write `=`");
            let lost = self.report(problem, start..span.end);
            self.recover();
            return lost;
        }
        self.node(start, NodeKind::IsNull { value, negated }, below)
    }
}
