//! Names of the IoT Hub dialect (sheet `iothub-and-twins.md` 1.7.5 and 1.7.8, C1): the whole token is the name, and its path is
//! taken apart here.

use super::super::check::Checker;
use super::super::diagnostic::nearest;
use super::super::plan::{Path, Reference, System};
use super::super::syntax::{Name, Sigil, Step};
use super::super::{Diagnostic, Span};
use crate::event::SystemProperty;

/// Characters that are operators where they stand alone.
const OPERATORS: &str = "+-*%!|'";

pub(super) fn reference(checker: &mut Checker<'_>, name: &Name, span: &Span) -> Option<Reference> {
    let head = &*name.head;
    if name.sigil == Sigil::Bare {
        warn_operator(checker, head, span.start);
        return Some(Reference::Property(head.into()));
    }
    let start = name.head_span.start + 1;
    let root_len = head.find(['.', '[']).unwrap_or(head.len());
    let (root, path) = head.split_at(root_len);
    if root.eq_ignore_ascii_case("twin") {
        checker.report(super::no_twins(span));
        return None;
    }
    if root.eq_ignore_ascii_case("body") {
        if let Some(path) = path.strip_prefix('.') {
            let steps = steps(checker, path, start + root_len + 1, true)?;
            warn_operator(checker, head, start);
            return Some(Reference::Body(steps));
        }
        if !path.is_empty() {
            steps(checker, head, start, true)?;
        }
        let warning = Diagnostic::warning(span.clone(), format!("`${head}` is always undefined"))
            .help("name a member of the body, for example `$body.temperature`");
        checker.report(warning);
        return Some(Reference::NoBody);
    }
    let known = SystemProperty::by_keyword(head);
    let system = match known {
        Some(known) => System::Known(known),
        None => System::Header(format!("iothub-{}", head.to_ascii_lowercase()).into()),
    };
    if known.is_none() {
        warn_unknown(checker, head, &name.head_span);
    }
    Some(match name.sigil {
        Sigil::Braced => Reference::System(system),
        _ => Reference::SystemOrProperty { system, property: format!("${head}").into() },
    })
}

fn warn_unknown(checker: &mut Checker<'_>, head: &str, span: &Span) {
    let keywords = SystemProperty::ALL.iter().map(|property| property.keyword).chain(["body"]);
    match nearest(head, keywords) {
        Some(near) => {
            let warning = Diagnostic::warning(span.clone(), format!("`${head}` is no system property"))
                .label(format!("did you mean `${near}`?"))
                .help("it is undefined unless an application property has exactly this name")
                .suggest(span.clone(), format!("${near}"));
            checker.report(warning);
        }
        None => warn_operator(checker, head, span.start + 1),
    }
}

/// Names may contain operators, and longest match makes them do so where none was meant.
fn warn_operator(checker: &mut Checker<'_>, name: &str, start: usize) {
    // Names that the service itself gives.
    if name.starts_with("iothub-") {
        return;
    }
    let Some(at) = name.find(|c| OPERATORS.contains(c)) else { return };
    let len = name[at..].find(|c| !OPERATORS.contains(c)).unwrap_or(name.len() - at);
    let operator = &name[at..at + len];
    let span = start + at..start + at + len;
    let warning = Diagnostic::warning(span.clone(), format!("`{name}` is one name that contains `{operator}`"));
    let warning = if operator.contains('\'') {
        warning.help("a quote belongs to the name it touches; put white space around strings")
    } else {
        warning
            .help(format!("if you mean the operator `{operator}`, put white space around it"))
            .suggest(span, format!(" {operator} "))
    };
    checker.report(warning);
}

/// Takes `text`, which starts at `start` of the filter, apart into steps.
fn steps(checker: &mut Checker<'_>, text: &str, start: usize, indexes: bool) -> Option<Path> {
    let mut steps = Vec::new();
    let mut at = start;
    for segment in text.split('.') {
        let span = at..at + segment.len();
        at = span.end + 1;
        let (name, index) = match segment.find('[') {
            Some(bracket) => segment.split_at(bracket),
            None => (segment, ""),
        };
        let problem = if name.is_empty() {
            Some(("a name is missing in the path", "names are joined by single dots: `$body.weather.temperature`"))
        } else if name.contains(['\'', ']']) {
            Some(("this is no name", "there are no quoted names; members with odd names cannot be reached"))
        } else if !index.is_empty() && !indexes {
            Some(("there is no index in such a path", "name members only"))
        } else {
            None
        };
        if let Some((what, help)) = problem {
            refuse(checker, span, what, help);
            return None;
        }
        steps.push(Step::Member(name.into()));
        if !index.is_empty() {
            let digits = index.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let element = digits
                .filter(|digits| !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()))
                .and_then(|digits| digits.parse().ok());
            let Some(element) = element else {
                let span = span.start + name.len()..span.end;
                let what = match index {
                    "[]" => "the index is missing",
                    _ if index.matches('[').count() > 1 => "two indexes cannot follow each other",
                    _ => "this is no index",
                };
                refuse(checker, span, what, "an index is one whole number: `$body.readings[0].value`");
                return None;
            };
            steps.push(Step::Element(element));
        }
    }
    Some(steps.into())
}

fn refuse(checker: &mut Checker<'_>, span: Span, what: &str, help: &str) {
    checker.report(Diagnostic::error(span, "Syntax error.").label(what).help(help));
}

/// The argument of `twin_change_includes`: a bare path into the body of a twin change.
pub(in super::super) fn twin_change_path(checker: &mut Checker<'_>, name: &Name, span: &Span) -> Option<Path> {
    let path = &*name.head;
    let begins =
        |prefix: &str| path.get(..prefix.len()).is_some_and(|head| head == prefix) && path.len() > prefix.len();
    let fits = name.sigil == Sigil::Bare
        && ["properties.reported.", "properties.desired.", "tags."].iter().any(|prefix| begins(prefix));
    if !fits {
        let problem = Diagnostic::error(
            span.clone(),
            "Invalid arguments to built-in function 'twin_change_includes': twin_change_includes(path)",
        )
        .label("not a path of a twin change")
        .help("a path begins with `properties.reported.`, `properties.desired.` or `tags.`, without `$body` and without indexes");
        checker.report(problem);
        return None;
    }
    steps(checker, path, span.start, false)
}
