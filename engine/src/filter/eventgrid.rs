//! Event Grid's filters: JSON in, plan out. A filter is the basic tier's `filter` object, a namespace's `filtersConfiguration`, or
//! a bare array of advanced filters (sheet `eventgrid-eventhubs-servicebus.md` 3).
//!
//! All parts must hold, so the plan is an AND of conditions: first those on the subject, then the event types, then the
//! advanced filters in the order written. Nothing asked is the literal true.

mod condition;
mod json;
mod key;

#[cfg(test)]
mod tests;

use super::diagnostic::{Diagnostic, nearest};
use super::grid::{GridCondition, GridOperator, GridValues};
use super::plan::{Expr, ExprKind, Literal, Reference, Type};
use super::{Span, fold};
use json::{Json, Member, Node};

/// What Azure allows of one subscription; more works here (sheet 3.4).
const FILTERS_MAX: usize = 25;
const VALUES_MAX: usize = 25;
const CHARACTERS_MAX: usize = 512;

/// Members of the filter as a whole, in both shapes.
const MEMBERS: [&str; 7] = [
    "includedEventTypes",
    "subjectBeginsWith",
    "subjectEndsWith",
    "isSubjectCaseSensitive",
    "enableAdvancedFilteringOnArrays",
    "advancedFilters",
    "filters",
];

/// Compiles the text of a filter; where it is wrong, what stands for it.
pub(super) fn compile(text: &str, problems: &mut Vec<Diagnostic>) -> Expr {
    let mut parts = Vec::new();
    match json::read(text) {
        Ok(root) => Compiler { problems, parts: &mut parts, values: 0 }.root(&root),
        Err(problem) => problems.push(*problem),
    }
    let whole = text.len() - text.trim_start().len()..text.trim_end().len().max(text.len() - text.trim_start().len());
    match parts.len() {
        0 => Expr { kind: ExprKind::Literal(Literal::Bool(true)), ty: Type::Bool, span: whole },
        1 => parts.remove(0),
        _ => Expr { kind: ExprKind::And(parts), ty: Type::Bool, span: whole },
    }
}

struct Compiler<'c> {
    problems: &'c mut Vec<Diagnostic>,
    parts: &'c mut Vec<Expr>,
    /// Operands of all advanced filters so far.
    values: usize,
}

impl Compiler<'_> {
    fn error(&mut self, span: &Span, message: impl Into<String>, help: impl Into<String>) {
        self.problems.push(Diagnostic::error(span.clone(), message).help(help));
    }

    fn root(&mut self, root: &Node) {
        match &root.kind {
            Json::Object(members) => match &members[..] {
                // As it stands in a description of the whole subscription.
                [Member { name, value, .. }] if name == "filter" || name == "filtersConfiguration" => match &value.kind
                {
                    Json::Object(members) => self.object(members),
                    other => {
                        let message = format!("`{name}` is an object, and this is {}", other.noun());
                        self.error(&value.span, message, "a bare array of advanced filters stands alone");
                    }
                },
                members => self.object(members),
            },
            Json::Array(filters) => self.advanced(filters, root, false),
            Json::Bool(true) => {}
            _ => self.not_a_filter(root),
        }
    }

    fn not_a_filter(&mut self, node: &Node) {
        let message = format!("an Event Grid filter is an object or an array, and this is {}", node.kind.noun());
        let help = "for example `{\"advancedFilters\": [{\"operatorType\": \"NumberGreaterThan\", \"key\": \"data.temp\", \
                    \"value\": 30}]}`; `{}` takes everything";
        self.error(&node.span, message, help);
    }

    fn object(&mut self, members: &[Member]) {
        for member in members {
            if !MEMBERS.contains(&&*member.name) {
                self.unknown_member(member, &MEMBERS, "an Event Grid filter");
            }
        }
        let exact = self.flag(members, "isSubjectCaseSensitive");
        let arrays = self.flag(members, "enableAdvancedFilteringOnArrays");
        let (begins, ends) = match exact {
            true => (GridOperator::ExactBeginsWith, GridOperator::ExactEndsWith),
            false => (GridOperator::StringBeginsWith, GridOperator::StringEndsWith),
        };
        self.subject(members, "subjectBeginsWith", begins);
        self.subject(members, "subjectEndsWith", ends);
        if let Some(types) = find(members, "includedEventTypes") {
            self.event_types(types);
        }
        for name in ["advancedFilters", "filters"] {
            match find(members, name) {
                None => {}
                Some(node) => match &node.kind {
                    Json::Array(filters) => self.advanced(filters, node, arrays),
                    other => {
                        let message = format!("`{name}` is an array of filters, and this is {}", other.noun());
                        self.error(&node.span, message, "put it into `[ ]`");
                    }
                },
            }
        }
    }

    fn unknown_member(&mut self, member: &Member, known: &[&'static str], of: &str) {
        let problem = Diagnostic::error(member.name_span.clone(), format!("`{}` is no member of {of}", member.name));
        self.problems.push(match nearest(&member.name, known.iter().copied()) {
            Some(near) => {
                problem.help(format!("did you mean `{near}`?")).suggest(member.name_span.clone(), format!("\"{near}\""))
            }
            None => problem.help(format!("the members are {}", known.join(", "))),
        });
    }

    fn flag(&mut self, members: &[Member], name: &str) -> bool {
        match find(members, name).map(|node| (&node.kind, node)) {
            None => false,
            Some((Json::Bool(value), _)) => *value,
            Some((other, node)) => {
                let problem = Diagnostic::error(
                    node.span.clone(),
                    format!("`{name}` is true or false, and this is {}", other.noun()),
                );
                self.problems.push(match other {
                    Json::String(text) if text == "true" || text == "false" => {
                        problem.help("it stands without quotes").suggest(node.span.clone(), text)
                    }
                    _ => problem.help("write `true` or `false`"),
                });
                false
            }
        }
    }

    fn subject(&mut self, members: &[Member], name: &str, operator: GridOperator) {
        let Some(node) = find(members, name) else { return };
        let Json::String(text) = &node.kind else {
            let message = format!("`{name}` is a string, and this is {}", node.kind.noun());
            return self.error(&node.span, message, "write the part of the subject in quotes; there are no wildcards");
        };
        // What the portal writes where nothing is asked.
        if text.is_empty() {
            return;
        }
        let exact = matches!(operator, GridOperator::ExactBeginsWith | GridOperator::ExactEndsWith);
        let operand = if exact { text.as_str().into() } else { fold(text).into() };
        self.push(
            GridCondition {
                key: Reference::Attribute("subject".into()),
                operator,
                values: GridValues::Strings([operand].into()),
                arrays: false,
            },
            &node.span,
        );
    }

    fn event_types(&mut self, node: &Node) {
        let help = "name the types in quotes, or leave the member out to take all";
        let types = match &node.kind {
            Json::Array(types) => &types[..],
            Json::String(_) => std::slice::from_ref(node),
            other => {
                let message = format!("`includedEventTypes` is an array of strings, and this is {}", other.noun());
                return self.error(&node.span, message, help);
            }
        };
        if types.is_empty() {
            return self.error(&node.span, "`includedEventTypes` is empty, so it would take no event", help);
        }
        let mut names: Vec<Box<str>> = Vec::new();
        let mut all = false;
        for item in types {
            match &item.kind {
                Json::String(name) => {
                    all |= name.eq_ignore_ascii_case("all");
                    names.push(fold(name).into());
                }
                other => {
                    let message = format!("an event type is a string, and this is {}", other.noun());
                    self.error(&item.span, message, help);
                }
            }
        }
        if !all {
            self.push(
                GridCondition {
                    key: Reference::Attribute("type".into()),
                    operator: GridOperator::StringIn,
                    values: GridValues::Strings(names.into()),
                    arrays: false,
                },
                &node.span,
            );
        }
    }

    fn advanced(&mut self, filters: &[Node], whole: &Node, arrays: bool) {
        for filter in filters {
            if let Some(condition) = condition::compile(self, filter, arrays) {
                self.values += condition.values.len();
                self.push(condition, &filter.span);
            }
        }
        if filters.len() > FILTERS_MAX {
            let message =
                format!("{} advanced filters are more than the {FILTERS_MAX} that Azure allows", filters.len());
            self.problems
                .push(Diagnostic::warning(whole.first(), message).help("they work here; Azure would refuse them"));
        }
        if self.values > VALUES_MAX {
            let message = format!("{} values are more than the {VALUES_MAX} that Azure allows", self.values);
            self.problems
                .push(Diagnostic::warning(whole.first(), message).help("they work here; Azure would refuse them"));
        }
    }

    fn push(&mut self, condition: GridCondition, span: &Span) {
        self.parts.push(Expr { kind: ExprKind::Grid(Box::new(condition)), ty: Type::Bool, span: span.clone() });
    }
}

/// The member of that name; null is as if it were not there.
fn find<'n>(members: &'n [Member], name: &str) -> Option<&'n Node> {
    members.iter().find(|member| member.name == name).map(|member| &member.value).filter(|node| node.kind != Json::Null)
}
