//! MQTT topic filters as filters: one to a line, any of them does. The topic of an event is its `subject`.

use super::Span;
use super::diagnostic::Diagnostic;
use super::plan::{Expr, ExprKind, Literal, Reference, Type};
use super::topic::{TopicError, TopicFilter};

/// Compiles the text of a filter; where it is wrong, what stands for it.
pub(super) fn compile(text: &str, problems: &mut Vec<Diagnostic>) -> Expr {
    let mut parts = Vec::new();
    let mut start = 0;
    let mut blank = true;
    for line in text.split('\n') {
        let span = start..start + line.trim_end_matches('\r').len();
        start += line.len() + 1;
        let line = &text[span.clone()];
        // Lines that show nothing are how texts over several lines start and end.
        if line.trim().is_empty() {
            continue;
        }
        blank = false;
        warn_space(line, &span, problems);
        warn_star(line, span.start, problems);
        match TopicFilter::new(line) {
            Ok(filter) => parts.push(topic(filter, span)),
            Err(error) => problems.push(refused(&error, line, span.start)),
        }
    }
    if blank {
        let problem = Diagnostic::error(0..text.len(), "the filter is empty");
        problems.push(problem.help("write a topic filter, for example `sensors/+/temp`, or `#` for every topic"));
    }
    match parts.len() {
        0 => Expr { kind: ExprKind::Literal(Literal::Undefined), ty: Type::Undefined, span: 0..text.len() },
        1 => parts.remove(0),
        _ => Expr { kind: ExprKind::Or(parts), ty: Type::Bool, span: 0..text.len() },
    }
}

/// What is wrong with a topic filter that starts at byte `at` of the text.
pub(super) fn refused(error: &TopicError, line: &str, at: usize) -> Diagnostic {
    let place = error.place(line);
    Diagnostic::error(at + place.start..at + place.end, error.to_string()).help(error.help(line))
}

fn topic(filter: TopicFilter, span: Span) -> Expr {
    let subject = ExprKind::Reference(Reference::Attribute("subject".into()));
    let value = Box::new(Expr { kind: subject, ty: Type::String, span: span.clone() });
    Expr { kind: ExprKind::Topic { value, filter }, ty: Type::Bool, span }
}

/// White space is as good a character of a topic as any, and yet seldom meant.
fn warn_space(line: &str, span: &Span, problems: &mut Vec<Diagnostic>) {
    let trimmed = line.trim();
    if trimmed.len() == line.len() {
        return;
    }
    let side = if line.starts_with(char::is_whitespace) { "starts" } else { "ends" };
    let message = format!("the topic filter {side} with white space, which is a part of it");
    let warning = Diagnostic::warning(span.clone(), message).help("remove it if the topics have none");
    problems.push(warning.suggest(span.clone(), trimmed));
}

/// A wildcard of other languages.
fn warn_star(line: &str, start: usize, problems: &mut Vec<Diagnostic>) {
    let mut at = start;
    for level in line.split('/') {
        let span = at..at + level.len();
        at = span.end + 1;
        if matches!(level, "*" | "**") {
            let (wildcard, takes) = if level == "*" { ("+", "any one level") } else { ("#", "all levels that follow") };
            let warning = Diagnostic::warning(span.clone(), format!("`{level}` is a level of just this name"));
            problems.push(warning.help(format!("`{wildcard}` takes {takes}")).suggest(span, wildcard));
        }
    }
}
