//! From tree to plan: names resolved, types checked, patterns compiled. What is found wrong is reported, and checking goes on
//! with a value of unknown type in its place, so that one mistake is reported once.

mod call;
mod condition;
mod operands;
mod topic;

use super::diagnostic::Diagnostic;
use super::pattern::Pattern;
use super::plan::{Expr, ExprKind, Literal, Type};
use super::syntax::{BinaryOp, Node, NodeKind};
use super::{CompileOptions, Dialect, Span, resolve};

/// Checks the tree of a whole filter.
pub(super) fn check(
    root: &Node,
    text: &str,
    dialect: Dialect,
    options: &CompileOptions,
    problems: &mut Vec<Diagnostic>,
) -> Expr {
    let mut checker = Checker { text, dialect, options, problems };
    if dialect == Dialect::DigitalTwins {
        condition::digital_twins(&mut checker, root);
    }
    let expr = checker.expr(root);
    // What is broken elsewhere is seldom what it would be when mended.
    if !checker.problems.iter().any(|problem| problem.severity == super::Severity::Error) {
        condition::root(&mut checker, &expr);
    }
    expr
}

pub(super) struct Checker<'c> {
    text: &'c str,
    dialect: Dialect,
    options: &'c CompileOptions,
    problems: &'c mut Vec<Diagnostic>,
}

impl Checker<'_> {
    pub(super) fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(super) fn report(&mut self, problem: Diagnostic) {
        self.problems.push(problem);
    }

    pub(super) fn text_of(&self, span: &Span) -> &str {
        self.text.get(span.clone()).unwrap_or_default()
    }

    fn expr(&mut self, node: &Node) -> Expr {
        let span = node.span.clone();
        let (kind, ty) = self.kind(node).unwrap_or((ExprKind::Literal(Literal::Undefined), Type::Dynamic));
        Expr { kind, ty, span }
    }

    fn exprs(&mut self, nodes: &[Node]) -> Vec<Expr> {
        nodes.iter().map(|node| self.expr(node)).collect()
    }

    /// `None` for what is refused.
    fn kind(&mut self, node: &Node) -> Option<(ExprKind, Type)> {
        let literal = |literal, ty| Some((ExprKind::Literal(literal), ty));
        match &node.kind {
            NodeKind::Error => None,
            NodeKind::String(text) => literal(Literal::String(text.as_str().into()), Type::String),
            NodeKind::Number(value) => literal(Literal::Number(*value), Type::Number),
            NodeKind::Bool(value) => literal(Literal::Bool(*value), Type::Bool),
            NodeKind::Null => literal(Literal::Null, Type::Null),
            NodeKind::Undefined => literal(Literal::Undefined, Type::Undefined),
            NodeKind::Name(name) => resolve::expr(self, name, &node.span),
            NodeKind::Not(inner) => {
                let inner = Box::new(self.expr(inner));
                let ok = self.not_operand(&inner, &node.span);
                ok.then_some((ExprKind::Not(inner), Type::Bool))
            }
            NodeKind::Negate(inner) => {
                let inner = Box::new(self.expr(inner));
                let ok = self.negate_operand(&inner, &node.span);
                ok.then_some((ExprKind::Negate(inner), Type::Number))
            }
            NodeKind::And(parts) => {
                let parts = self.exprs(parts);
                let ok = self.logic_operands(&parts, "and");
                // `null and x` is null whatever x is (sheet 1.7.4).
                let null = parts.iter().any(|part| part.ty == Type::Null);
                ok.then_some((ExprKind::And(parts), if null { Type::Null } else { Type::Bool }))
            }
            NodeKind::Or(parts) => {
                let parts = self.exprs(parts);
                let ok = self.logic_operands(&parts, "or");
                ok.then_some((ExprKind::Or(parts), Type::Bool))
            }
            NodeKind::Binary { op, op_span, left, right } => self.binary(*op, op_span, left, right, &node.span),
            NodeKind::In { value, list, negated } => {
                let value = Box::new(self.expr(value));
                let list = self.exprs(list);
                let mut ok = true;
                for item in &list {
                    ok &= self.comparable(super::plan::Comparison::Equal, &value, item, &item.span);
                }
                ok.then_some((ExprKind::In { value, list, negated: *negated }, Type::Bool))
            }
            NodeKind::Between { value, low, high, negated } => {
                let [value, low, high] = [value, low, high].map(|node| Box::new(self.expr(node)));
                let ok = self.comparable(super::plan::Comparison::GreaterEqual, &value, &low, &low.span)
                    & self.comparable(super::plan::Comparison::LessEqual, &value, &high, &high.span);
                ok.then_some((ExprKind::Between { value, low, high, negated: *negated }, Type::Bool))
            }
            NodeKind::Like { value, pattern, escape, negated } => {
                let value = Box::new(self.expr(value));
                let pattern = self.pattern(pattern, escape.as_deref());
                let ok = self.like_operand(&value);
                (ok.then_some((ExprKind::Like { value, pattern: pattern?, negated: *negated }, Type::Bool)))
                    .filter(|_| ok)
            }
            NodeKind::IsNull { value, negated } => {
                let value = Box::new(self.expr(value));
                Some((ExprKind::IsNull { value, negated: *negated }, Type::Bool))
            }
            NodeKind::Exists(inner) => match &inner.kind {
                NodeKind::Name(name) if self.dialect == Dialect::Anabranch => {
                    let reference = resolve::reference(self, name, &inner.span)?;
                    Some((ExprKind::Exists(reference), Type::Bool))
                }
                _ if self.dialect != Dialect::Anabranch => None,
                NodeKind::Error => None,
                _ => {
                    let problem = self
                        .dialect
                        .syntax_error(inner.span.clone(), "EXISTS asks for a name or a path")
                        .help("for example `EXISTS(location.city)`");
                    self.report(problem);
                    None
                }
            },
            NodeKind::Call { name, name_span, args } => self.call(name, name_span, args, &node.span),
        }
    }

    fn binary(
        &mut self,
        op: BinaryOp,
        op_span: &Span,
        left: &Node,
        right: &Node,
        span: &Span,
    ) -> Option<(ExprKind, Type)> {
        let left = Box::new(self.expr(left));
        let right = Box::new(self.expr(right));
        let refused = operands::is_refused(&left) || operands::is_refused(&right);
        if refused && !matches!(op, BinaryOp::Compare(_)) {
            return None;
        }
        match op {
            BinaryOp::Compare(op) => {
                let ok = self.comparable(op, &left, &right, span);
                ok.then_some((ExprKind::Compare { op, left, right }, Type::Bool))
            }
            BinaryOp::Arithmetic(op) => {
                let ok = self.numbers(op.symbol(), &left, &right, op_span);
                ok.then_some((ExprKind::Arithmetic { op, left, right }, Type::Number))
            }
            BinaryOp::Join => {
                let ok = self.strings(&left, &right, op_span);
                ok.then_some((ExprKind::Join(left, right), Type::String))
            }
            BinaryOp::Coalesce => {
                let ty = self.same_type(&left, &right)?;
                Some((ExprKind::Coalesce(left, right), ty))
            }
        }
    }

    fn pattern(&mut self, pattern: &Node, escape: Option<&Node>) -> Option<Pattern> {
        let escape = match escape.map(|escape| (&escape.kind, escape)) {
            None => None,
            Some((NodeKind::String(text), node)) => {
                let mut chars = text.chars();
                match (chars.next(), chars.next()) {
                    (Some(c), None) => Some(c),
                    _ => {
                        let problem = Diagnostic::error(node.span.clone(), "ESCAPE takes one character");
                        self.report(problem.help("for example `name LIKE '50\\\\%' ESCAPE '\\\\'` or `ESCAPE '!'`"));
                        return None;
                    }
                }
            }
            Some((NodeKind::Error, _)) => return None,
            Some((_, node)) => {
                let problem = Diagnostic::error(node.span.clone(), "ESCAPE takes a string of one character");
                self.report(problem.help("for example `ESCAPE '!'`"));
                return None;
            }
        };
        match &pattern.kind {
            NodeKind::String(text) => match Pattern::new(text, escape) {
                Ok(pattern) => Some(pattern),
                Err(error) => {
                    let problem = Diagnostic::error(pattern.span.clone(), error.to_string());
                    self.report(problem.help("`%` is any run of characters, `_` is any one character"));
                    None
                }
            },
            NodeKind::Error => None,
            _ => {
                let problem = Diagnostic::error(pattern.span.clone(), "the pattern of LIKE is a string literal")
                    .help("to compare with a value of the event use `starts_with`, `ends_with` or `contains`");
                self.report(problem);
                None
            }
        }
    }
}
