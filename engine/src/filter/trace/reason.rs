//! The few words beside a value.

use super::super::eval::{Interpreter, Whole};
use super::super::functions::Function;
use super::super::plan::{Expr, ExprKind, Reference, Step, Type};
use super::super::value::Value;
use super::grid;
use crate::event::{Event, Property};
use crate::parse::Kind;

/// Why `expr` has `value`, given the values of its parts.
pub(super) fn reason(
    interpreter: &Interpreter<Whole<'_>>,
    expr: &Expr,
    value: &Value<'_>,
    parts: &[Value<'_>],
) -> Option<String> {
    match &expr.kind {
        ExprKind::Reference(reference) | ExprKind::Exists(reference) => {
            self::reference(interpreter, reference, matches!(expr.kind, ExprKind::Exists(_)), value)
        }
        ExprKind::And(_) if expr.ty == Type::Null => Some("null and anything is null".to_owned()),
        ExprKind::And(exprs) | ExprKind::Or(exprs) => logic(exprs, value, parts, matches!(expr.kind, ExprKind::Or(_))),
        ExprKind::Not(_) => match (&parts[0], value) {
            (part, Value::Undefined) => Some(format!("NOT of {}", noun(part))),
            _ => None,
        },
        ExprKind::Compare { .. } => pair(&parts[0], &parts[1], value),
        ExprKind::In { .. } => parts[1..].iter().find_map(|item| pair(&parts[0], item, value)),
        ExprKind::Between { .. } => pair(&parts[0], &parts[1], value).or_else(|| pair(&parts[0], &parts[2], value)),
        ExprKind::Like { .. } => (*value == Value::Undefined).then(|| format!("LIKE of {}", noun(&parts[0]))),
        ExprKind::Arithmetic { .. } | ExprKind::Negate(_) if *value == Value::Undefined => {
            match parts.iter().find(|part| part.as_number().is_none()) {
                Some(part) => Some(format!("arithmetic with {}", noun(part))),
                None => Some("it has no value for these numbers".to_owned()),
            }
        }
        ExprKind::Join(..) if *value == Value::Undefined => {
            let part = parts.iter().find(|part| !matches!(part, Value::Text(_) | Value::NullText));
            Some(part.map_or_else(|| "the text is too long".to_owned(), |part| format!("joined with {}", noun(part))))
        }
        ExprKind::Coalesce(..) => {
            let which =
                if interpreter.is_defined(&parts[0]) { "left side is defined" } else { "left side is not defined" };
            Some(which.to_owned())
        }
        ExprKind::Call { function, .. } if *value == Value::Undefined => Some(call(*function, parts)),
        ExprKind::TwinChangeIncludes(_) if *value == Value::Undefined => Some(no_data(interpreter)),
        ExprKind::Grid(condition) => {
            let unread = interpreter.facts.root(interpreter.semantics).is_none().then(|| no_data(interpreter));
            Some(grid::reason(interpreter, condition, unread.filter(|_| matches!(condition.key, Reference::Body(_)))))
        }
        ExprKind::Topic { .. } => (*value == Value::Undefined).then(|| format!("the topic is {}", noun(&parts[0]))),
        _ => None,
    }
}

/// A value with its article.
fn noun(value: &Value<'_>) -> &'static str {
    match value {
        Value::Undefined => "an undefined value",
        Value::Missing => "a missing value",
        Value::Null => "null",
        Value::NullText => "a property without a value",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::Text(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Two values that met in a comparison.
fn pair(left: &Value<'_>, right: &Value<'_>, result: &Value<'_>) -> Option<String> {
    let undefined = *result == Value::Undefined;
    let both = std::mem::discriminant(left) == std::mem::discriminant(right);
    match (left, right) {
        (Value::Undefined, _) if undefined => Some("left side is undefined".to_owned()),
        (_, Value::Undefined) if undefined => Some("right side is undefined".to_owned()),
        _ if both && !undefined => None,
        _ if both => Some(format!("{} compared with {}", kind(left), kind(right))),
        _ => Some(format!("{} compared with {}", kind(left), kind(right))),
    }
}

fn kind(value: &Value<'_>) -> &'static str {
    match value {
        Value::Missing => "missing value",
        value => value.kind_name(),
    }
}

/// Which part decided.
fn logic(exprs: &[Expr], value: &Value<'_>, parts: &[Value<'_>], or: bool) -> Option<String> {
    let place = |at: usize| match (exprs.len(), at) {
        (2, 0) => "left side".to_owned(),
        (2, _) => "right side".to_owned(),
        _ => format!("part {}", at + 1),
    };
    match value {
        Value::Bool(decided) if *decided == or => {
            let at = parts.iter().position(|part| *part == Value::Bool(or))?;
            Some(format!("{} is {decided}", place(at)))
        }
        Value::Undefined => {
            let at = parts.iter().position(|part| !matches!(part, Value::Bool(_)))?;
            Some(format!("{} is {}", place(at), noun(&parts[at])))
        }
        _ => None,
    }
}

fn call(function: Function, parts: &[Value<'_>]) -> String {
    let name = function.name();
    let bad = parts.iter().find(|part| !matches!(part, Value::Text(_) | Value::Number(_)));
    match (function, bad, parts.first()) {
        (_, Some(bad), _) => format!("{name} of {}", noun(bad)),
        (Function::AsNumber, _, Some(Value::Text(_))) => "the text spells no number".to_owned(),
        (Function::Substring, ..) => "that is not inside the string".to_owned(),
        _ => format!("{name} has no value for this"),
    }
}

fn no_data(interpreter: &Interpreter<Whole<'_>>) -> String {
    match (interpreter.facts.body, interpreter.facts.event.data()) {
        (Some(_), _) => "the data is not a JSON object".to_owned(),
        (None, None) => "the event has no data".to_owned(),
        (None, Some(_)) => "the data is not JSON, or its content type or encoding says otherwise".to_owned(),
    }
}

fn reference(
    interpreter: &Interpreter<Whole<'_>>,
    reference: &Reference,
    exists: bool,
    value: &Value<'_>,
) -> Option<String> {
    let event = interpreter.facts.event;
    match reference {
        Reference::Body(path) => {
            if interpreter.facts.root(interpreter.semantics).is_none() {
                return Some(no_data(interpreter));
            }
            match value {
                Value::Missing => Some(lost(interpreter, path)),
                Value::Bool(false) if exists => Some(lost(interpreter, path)),
                Value::Undefined => Some("text that looks like a date counts as undefined".to_owned()),
                _ => None,
            }
        }
        Reference::NoBody | Reference::Column(_) => Some("the body as a whole has no value".to_owned()),
        _ if !(*value == Value::Undefined || *value == Value::NullText || exists && *value == Value::Bool(false)) => {
            None
        }
        _ if *value == Value::NullText => Some("the property is there without a value".to_owned()),
        Reference::Property(name) => Some(format!("property `{name}` is absent")),
        Reference::Attribute(name) => Some(match event.property(name) {
            Property::Absent => format!("attribute `{name}` is absent"),
            _ => format!("attribute `{name}` is absent; there is a property of that name: `$property.{name}`"),
        }),
        Reference::System(_) => Some("the system property is absent".to_owned()),
        Reference::SystemOrProperty { property, .. } => {
            Some(format!("there is neither a system property nor a property `{property}`"))
        }
    }
}

/// Where a path leads nowhere, and what may have been meant.
fn lost(interpreter: &Interpreter<Whole<'_>>, path: &[Step]) -> String {
    let mut at = interpreter.facts.root(interpreter.semantics);
    let mut walked = String::new();
    for step in path {
        let Some(value) = at else { break };
        let place = if walked.is_empty() { "the data".to_owned() } else { format!("`{walked}`") };
        let (next, text, what) = match step {
            Step::Member(name) => (value.get(name), format!(".{name}"), format!("no member `{name}`")),
            Step::Element(index) => (value.at(*index as usize), format!("[{index}]"), format!("no element {index}")),
        };
        if next.is_none() {
            let problem = match (value.kind(), step) {
                (Kind::Object(_), Step::Member(name)) => {
                    let other = value.members().map(|(found, _)| found).find(|found| found.eq_ignore_ascii_case(name));
                    match other {
                        Some(other) => format!("{place} has {what}, but `{other}`"),
                        None => format!("{place} has {what}"),
                    }
                }
                (Kind::Array(_), Step::Element(_)) => format!("{place} has {what}"),
                (_, Step::Member(_)) => format!("{place} is not an object"),
                (_, Step::Element(_)) => format!("{place} is not an array"),
            };
            return problem + &elsewhere(interpreter.facts.event, path);
        }
        walked.push_str(text.strip_prefix('.').filter(|_| walked.is_empty()).unwrap_or(&text));
        at = next;
    }
    "it is not there".to_owned()
}

/// A single name that is no member of the data may be a property or an extension.
fn elsewhere(event: Event<'_>, path: &[Step]) -> String {
    let [Step::Member(name)] = path else { return String::new() };
    if event.property(name) != Property::Absent {
        format!("; there is a property of that name: `$property.{name}`")
    } else if event.attribute(name).is_some() {
        format!("; there is an attribute of that name: `$attribute.{name}`")
    } else {
        String::new()
    }
}
