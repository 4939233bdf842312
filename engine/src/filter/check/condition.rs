//! What may stand where a condition is expected.

use super::super::plan::{Expr, ExprKind, Literal, Reference, Type};
use super::super::syntax::{BinaryOp, Node, NodeKind};
use super::super::{Diagnostic, Dialect};
use super::Checker;

/// The filter as a whole must be something that can be true.
pub(super) fn root(checker: &mut Checker<'_>, root: &Expr) {
    let what = match root.ty {
        Type::Bool | Type::Dynamic => return,
        Type::String => "a string",
        Type::Number => "a number",
        Type::Null => "null",
        Type::Undefined => "undefined",
    };
    let span = root.span.clone();
    if checker.dialect() == Dialect::IotHub {
        let warning = Diagnostic::warning(span, format!("the condition is {what} and never routes anything"));
        checker.report(warning.help("only `true` routes; compare it with something"));
        return;
    }
    let problem = Diagnostic::error(span.clone(), format!("a filter is true or false, and this is {what}"));
    let problem = match &root.kind {
        ExprKind::Reference(Reference::Attribute(name) | Reference::Property(name)) => {
            problem.help(format!("compare it: `{} = '…'`, or ask whether there is one: `EXISTS({})`", name, name))
        }
        ExprKind::Literal(Literal::String(text)) if text.eq_ignore_ascii_case("true") => {
            problem.help("without quotes it matches everything").suggest(span, "true")
        }
        _ => problem.help("compare it with something, or write `true` to match everything"),
    };
    checker.report(problem);
}

/// The Digital Twins grammar has conditions at fixed places and little else (sheet `iothub-and-twins.md` 3.4).
pub(super) fn digital_twins(checker: &mut Checker<'_>, node: &Node) {
    let span = node.span.clone();
    match &node.kind {
        NodeKind::Error => {}
        NodeKind::Bool(_) => lower_case(checker, node),
        NodeKind::And(parts) | NodeKind::Or(parts) => parts.iter().for_each(|part| digital_twins(checker, part)),
        NodeKind::Call { args, .. } => args.iter().for_each(|arg| operand(checker, arg)),
        NodeKind::Binary { op: BinaryOp::Compare(_), left, right, .. } => {
            operand(checker, left);
            operand(checker, right);
        }
        NodeKind::Not(inner) => {
            let problem = Diagnostic::error(span, "this dialect has no NOT");
            let problem = match &inner.kind {
                NodeKind::Binary { op: BinaryOp::Compare(_), .. } => {
                    problem.help("turn the comparison round: `!=` for `=`")
                }
                _ => problem.help("use `!=`, or `dialect = \"anabranch\"`"),
            };
            checker.report(problem);
        }
        NodeKind::Name(_) => {
            let text = checker.text_of(&span).to_owned();
            let problem = Diagnostic::error(span.clone(), format!("`{text}` alone is no condition"))
                .help("compare it with something")
                .suggest(span.end..span.end, " = true");
            checker.report(problem);
        }
        // Already refused by the parser, as not part of this dialect.
        NodeKind::In { .. } | NodeKind::Between { .. } | NodeKind::Like { .. } | NodeKind::IsNull { .. } => {}
        NodeKind::Exists(_) => {
            let problem = Diagnostic::error(span, "this dialect has no EXISTS").help("write `$body.x != null`");
            checker.report(problem);
        }
        NodeKind::Binary { .. } | NodeKind::Negate(_) => arithmetic(checker, node),
        // The check of the whole refuses what is no condition.
        NodeKind::String(_) | NodeKind::Number(_) | NodeKind::Null | NodeKind::Undefined => {}
    }
}

fn operand(checker: &mut Checker<'_>, node: &Node) {
    match &node.kind {
        NodeKind::Error | NodeKind::Name(_) | NodeKind::String(_) | NodeKind::Number(_) => {}
        NodeKind::Bool(_) | NodeKind::Null => lower_case(checker, node),
        NodeKind::Binary { op: BinaryOp::Arithmetic(_) | BinaryOp::Join | BinaryOp::Coalesce, .. }
        | NodeKind::Negate(_) => arithmetic(checker, node),
        _ => {
            let problem =
                Diagnostic::error(node.span.clone(), "only fields and literals can be compared in this dialect")
                    .help("join conditions with AND and OR");
            checker.report(problem);
        }
    }
}

/// Literals of this grammar are lower case, as everything it compares.
fn lower_case(checker: &mut Checker<'_>, node: &Node) {
    let text = checker.text_of(&node.span).to_owned();
    let lower = text.to_ascii_lowercase();
    if text != lower {
        let problem = Diagnostic::error(node.span.clone(), format!("`{text}` is written `{lower}` in this dialect"));
        checker.report(problem.suggest(node.span.clone(), lower));
    }
}

fn arithmetic(checker: &mut Checker<'_>, node: &Node) {
    let problem = Diagnostic::error(node.span.clone(), "this dialect does not calculate")
        .help("compare with a literal, or use `dialect = \"anabranch\"`");
    checker.report(problem);
}
