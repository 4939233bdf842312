//! Names of the default and the Digital Twins dialect.
//!
//! Default dialect: a bare name is an attribute if it is one of CloudEvents' eight, and otherwise a member of the data.
//! Everything else has its own sign: `$property.x`, `$attribute.x` (extensions), `$messageId` (system properties), and
//! `$body.x` for the data whatever its name. So what a name means never depends on what a device sends.

use super::super::check::Checker;
use super::super::diagnostic::nearest;
use super::super::plan::{Reference, System};
use super::super::syntax::{Name, Sigil, Step};
use super::super::{Diagnostic, Span};
use super::CONTEXT_ATTRIBUTES;
use crate::event::SystemProperty;

pub(super) fn anabranch(checker: &mut Checker<'_>, name: &Name, span: &Span) -> Option<Reference> {
    let head = &*name.head;
    match name.sigil {
        Sigil::Quoted => Some(body(Some(head), name)),
        Sigil::Bare if CONTEXT_ATTRIBUTES.contains(&head) => {
            if !name.rest.is_empty() {
                let problem =
                    Diagnostic::error(span.clone(), format!("the attribute `{head}` is text and has no members"))
                        .help("a member of the data with the same name is reached by `$body`")
                        .suggest(name.head_span.clone(), format!("$body.{head}"));
                checker.report(problem);
                return None;
            }
            Some(Reference::Attribute(head.into()))
        }
        Sigil::Bare => {
            warn_bare(checker, head, name);
            Some(body(Some(head), name))
        }
        Sigil::Dollar | Sigil::Braced => dollar(checker, head, name, span),
    }
}

/// Names that are right by the rules and yet rarely meant so.
fn warn_bare(checker: &mut Checker<'_>, head: &str, name: &Name) {
    let span = name.head_span.clone();
    if let Some(attribute) = CONTEXT_ATTRIBUTES.iter().find(|attribute| attribute.eq_ignore_ascii_case(head)) {
        let warning = Diagnostic::warning(span.clone(), format!("`{head}` is a member of the data, not the attribute"))
            .help(format!("the attribute is `{attribute}`; for the member write `$body.{head}`"))
            .suggest(span, *attribute);
        checker.report(warning);
    } else if matches!(head, "data" | "body") && !name.rest.is_empty() {
        let warning = Diagnostic::warning(span.clone(), format!("this reads a member `{head}` inside the data"))
            .help(format!(
                "the data itself is `$body`, and may be left out; if the data has a member `{head}`, write `$body.{head}`"
            ))
            .suggest(span, "$body");
        checker.report(warning);
    }
}

fn body(head: Option<&str>, name: &Name) -> Reference {
    let head = head.map(|head| Step::Member(head.into()));
    Reference::Body(head.into_iter().chain(name.rest.iter().map(|(step, _)| step.clone())).collect())
}

fn dollar(checker: &mut Checker<'_>, head: &str, name: &Name, span: &Span) -> Option<Reference> {
    match head {
        "body" => return Some(body(None, name)),
        "property" => return single(checker, name, span, "property").map(Reference::Property),
        "attribute" => return single(checker, name, span, "attribute").map(Reference::Attribute),
        "twin" => {
            checker.report(super::no_twins(span));
            return None;
        }
        _ => {}
    }
    let Some(system) = SystemProperty::by_keyword(head) else {
        let keywords = SystemProperty::ALL.iter().map(|property| property.keyword);
        let start = name.head_span.start + 1;
        let hyphened =
            |keyword: &&str| keyword.contains('-') && checker.text_of(&(start..start + keyword.len())) == *keyword;
        if let Some(keyword) = keywords.clone().find(hyphened) {
            let span = start - 1..start + keyword.len();
            let problem = Diagnostic::error(span.clone(), format!("`${keyword}` reads as a subtraction"))
                .help("a name with a hyphen goes into backticks")
                .suggest(span, spelled(keyword));
            checker.report(problem);
            return None;
        }
        let near = nearest(head, ["body", "property", "attribute"].into_iter().chain(keywords));
        let problem = Diagnostic::error(name.head_span.clone(), format!("there is nothing called `${head}`"));
        let problem = match near {
            Some(near) => problem.help(format!("did you mean `${near}`?")).suggest(name.head_span.clone(), spelled(near)),
            None => problem.help(format!(
                "a member of the data is `$body.{head}`, an application property `$property.{head}`, a CloudEvents extension \
                 `$attribute.{head}`"
            )),
        };
        checker.report(problem);
        return None;
    };
    if !name.rest.is_empty() {
        let problem =
            Diagnostic::error(span.clone(), format!("the system property `${head}` is text and has no members"));
        checker.report(problem.help("leave out what follows it"));
        return None;
    }
    Some(Reference::System(System::Known(system)))
}

/// `$name` as it must be written.
fn spelled(name: &str) -> String {
    if name.contains('-') { format!("$`{name}`") } else { format!("${name}") }
}

/// The one member behind `$property` or `$attribute`.
fn single(checker: &mut Checker<'_>, name: &Name, span: &Span, what: &str) -> Option<Box<str>> {
    let problem = match &name.rest[..] {
        [(Step::Member(member), _)] => return Some(member.clone()),
        [] => Diagnostic::error(span.clone(), format!("the name of the {what} is missing"))
            .help(format!("write `${what}.name`")),
        rest => {
            let joined: Vec<&str> = rest
                .iter()
                .filter_map(|(step, _)| match step {
                    Step::Member(member) => Some(&**member),
                    Step::Element(_) => None,
                })
                .collect();
            let problem =
                Diagnostic::error(span.clone(), format!("one name is expected after `${what}`, for its value is text"));
            if joined.len() == rest.len() {
                problem
                    .help("a name with dots in it goes into backticks")
                    .suggest(span.clone(), format!("${what}.`{}`", joined.join(".").replace('`', "``")))
            } else {
                problem.help("text has no elements")
            }
        }
    };
    checker.report(problem);
    None
}

/// Fields of the Digital Twins filter grammar (sheet `iothub-and-twins.md` 3.4).
const FIELDS: [&str; 6] = ["type", "source", "subject", "dataschema", "datacontenttype", "specversion"];

pub(super) fn digital_twins(checker: &mut Checker<'_>, name: &Name, span: &Span) -> Option<Reference> {
    let head = &*name.head;
    let problem = match name.sigil {
        Sigil::Bare if FIELDS.contains(&head) && name.rest.is_empty() => {
            return Some(Reference::Attribute(head.into()));
        }
        Sigil::Bare if FIELDS.contains(&head) => {
            Diagnostic::error(span.clone(), format!("the field `{head}` is text and has no members"))
                .help("a member of the data is written with `$body`")
                .suggest(name.head_span.clone(), format!("$body.{head}"))
        }
        Sigil::Bare => match nearest(head, FIELDS) {
            Some(near) => Diagnostic::error(name.head_span.clone(), format!("there is no field `{head}`"))
                .help(format!("did you mean `{near}`? Names compare with case"))
                .suggest(name.head_span.clone(), near),
            None if matches!(head, "id" | "time" | "traceparent") => {
                Diagnostic::error(name.head_span.clone(), format!("`{head}` cannot be filtered in this dialect")).help(
                    "the fields are type, source, subject, dataschema, datacontenttype and specversion; \
                     `dialect = \"anabranch\"` knows all attributes",
                )
            }
            None => Diagnostic::error(name.head_span.clone(), format!("there is no field `{head}`"))
                .help(
                    "the fields are type, source, subject, dataschema, datacontenttype and specversion; \
                     a member of the data is written with `$body`",
                )
                .suggest(name.head_span.clone(), format!("$body.{head}")),
        },
        _ if head == "body" => {
            let element = name.rest.iter().find(|(step, _)| matches!(step, Step::Element(_)));
            match element {
                Some((_, element)) => Diagnostic::error(element.clone(), "this dialect does not reach into arrays")
                    .help("filter on a member that is no array, or use `dialect = \"anabranch\"`"),
                None if name.rest.is_empty() => Diagnostic::error(span.clone(), "`$body` alone has no value")
                    .help("name a member of the data, for example `$body.temperature`"),
                None => return Some(body(None, name)),
            }
        }
        _ if head == "twin" => super::no_twins(span),
        _ => Diagnostic::error(name.head_span.clone(), format!("there is nothing called `${head}`"))
            .help("the data is `$body`, in lower case")
            .suggest(
                name.head_span.clone(),
                if nearest(head, ["body"]).is_some() { "$body".to_owned() } else { format!("$body.{head}") },
            ),
    };
    checker.report(problem);
    None
}
