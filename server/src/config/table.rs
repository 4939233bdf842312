//! Reads one table into its shape and reports all that is wrong with it, each problem at its key.
//!
//! serde stops at the first mistake and does not know places. So a mistake is reported at the key that causes it, the key is left
//! out, and the rest is read again, until the rest is right or cannot be.

use engine::filter::{Diagnostic, Severity, Span, nearest};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// A table as it stands in the file.
pub struct Table<'t> {
    /// Place of its header, or of the table itself if it is inline.
    pub span: Span,
    /// Its keys with their places.
    pub entries: &'t DeTable<'t>,
    /// How it is called in messages, for instance `[node]`.
    pub name: String,
}

/// A problem at a place.
pub fn error(span: Span, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
    Diagnostic {
        severity: Severity::Error,
        message: message.into(),
        span,
        label: None,
        help: Some(help.into()),
        suggestion: None,
    }
}

impl Table<'_> {
    /// Place of a key.
    pub fn key_span(&self, key: &str) -> Option<Span> {
        self.entries.iter().find(|(found, _)| found.get_ref() == key).map(|(found, _)| found.span())
    }

    /// Place of a key's value; of what comes nearest to it if it is not there. A key of a table within has dots: `access.jwt.audience`.
    pub fn value_span(&self, path: &str) -> Span {
        let (mut entries, mut span) = (self.entries, self.span.clone());
        let mut names = path.split('.').peekable();
        while let Some(name) = names.next() {
            let Some((key, value)) = entries.iter().find(|(key, _)| key.get_ref() == name) else { break };
            match value.get_ref() {
                DeValue::Table(inner) if names.peek().is_some() => (entries, span) = (inner, key.span()),
                _ => return value.span(),
            }
        }
        span
    }

    /// Reads the table without the keys in `except`. `None` if something was wrong: it is in `problems`.
    pub fn read<T: DeserializeOwned>(&self, except: &[&str], problems: &mut Vec<Diagnostic>) -> Option<T> {
        let mut values = toml::Table::new();
        for (key, value) in self.entries.iter() {
            if !except.contains(&key.get_ref().as_ref()) {
                values.insert(key.get_ref().to_string(), plain(value.get_ref()));
            }
        }
        let before = problems.len();
        loop {
            let error = match values.clone().try_into::<T>() {
                Ok(read) => return (problems.len() == before).then_some(read),
                Err(error) => error.message().to_owned(),
            };
            let culprit = culprit::<T>(&values, &error);
            problems.push(self.problem(culprit.as_deref(), &error));
            match culprit {
                Some(key) if values.remove(&key).is_some() => {}
                _ => return None,
            }
        }
    }

    fn problem(&self, key: Option<&str>, message: &str) -> Diagnostic {
        let span = key.and_then(|key| self.key_span(key)).unwrap_or_else(|| self.span.clone());
        if let Some(rest) = message.strip_prefix("unknown field ") {
            let mut names = rest.split('`').skip(1).step_by(2);
            let unknown = names.next().unwrap_or("");
            let known: Vec<&str> = names.collect();
            let help = match nearest(unknown, known.iter().copied()) {
                Some(near) => format!("did you mean `{near}`?"),
                None if known.is_empty() => "remove it".to_owned(),
                None => format!("{} has {}", self.name, list(&known)),
            };
            return error(span, format!("{} has no key `{unknown}`", self.name), help);
        }
        if let Some(rest) = message.strip_prefix("missing field ") {
            let missing = rest.trim_matches('`');
            return error(span, format!("{} needs the key `{missing}`", self.name), format!("add `{missing} = …`"));
        }
        let (what, expected) = match message.split_once(", expected ") {
            Some((what, expected)) => (what, Some(in_words(expected))),
            None => (message, None),
        };
        let help = match &expected {
            Some(expected) => format!("write {expected}"),
            None => "see docs/configuration.md for what it takes".to_owned(),
        };
        let subject = key.map_or_else(|| self.name.clone(), |key| format!("`{key}`"));
        error(span, format!("{subject}: {what}"), help)
    }
}

/// What a person calls a type.
fn in_words(expected: &str) -> String {
    match expected {
        "u16" | "u32" | "u64" | "usize" => "a whole number, 0 or more, without quotes".to_owned(),
        "i32" | "i64" => "a whole number without quotes".to_owned(),
        "a boolean" => "true or false without quotes".to_owned(),
        "a string" | "path string" => "text in quotes".to_owned(),
        "socket address" => "an address with a port in quotes, for instance \"127.0.0.1:8080\"".to_owned(),
        other => other.to_owned(),
    }
}

/// `a`, `b` and `c`
pub fn list(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match quoted.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => quoted.concat(),
    }
}

/// The key that causes the message: named by it, or the one without which it is gone.
fn culprit<T: DeserializeOwned>(values: &toml::Table, message: &str) -> Option<String> {
    if message.starts_with("missing field") {
        return None;
    }
    if let Some(named) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next())
        && values.contains_key(named)
    {
        return Some(named.to_owned());
    }
    values
        .keys()
        .find(|key| {
            let mut rest = values.clone();
            rest.remove(*key);
            rest.try_into::<T>().err().is_none_or(|error| error.message() != message)
        })
        .cloned()
}

/// The value without its places.
pub fn plain(value: &DeValue<'_>) -> toml::Value {
    match value {
        DeValue::String(text) => toml::Value::String(text.to_string()),
        DeValue::Integer(integer) => match i64::from_str_radix(integer.as_str(), integer.radix()) {
            Ok(integer) => toml::Value::Integer(integer),
            // Beyond 64 bits: no key takes that, and as text it is refused with its digits.
            Err(_) => toml::Value::String(integer.as_str().to_owned()),
        },
        DeValue::Float(float) => float.as_str().parse().map_or(toml::Value::Float(f64::NAN), toml::Value::Float),
        DeValue::Boolean(truth) => toml::Value::Boolean(*truth),
        DeValue::Datetime(datetime) => toml::Value::Datetime(*datetime),
        DeValue::Array(array) => toml::Value::Array(array.iter().map(|value| plain(value.get_ref())).collect()),
        DeValue::Table(table) => toml::Value::Table(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), plain(value.get_ref()))).collect(),
        ),
    }
}
