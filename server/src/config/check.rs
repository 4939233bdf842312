//! From the text of a configuration to a [`NodeConfig`], or to all of its problems: the walk over its tables.

mod endpoints;
mod routes;
mod values;

use connectors::config::Problem;
use connectors::http::HttpConfig;
use connectors::mqtt::MqttConfig;
use connectors::quic::QuicConfig;
use engine::filter::{Diagnostic, Severity, Span, nearest};
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use self::values::{log_problems, node_problems};
use super::NodeConfig;
use super::table::{Table, error, list};

pub use self::values::problems_of_values;

const LISTENERS: [&str; 3] = ["http", "mqtt", "quic"];
const SECTIONS: [&str; 7] = ["node", "log", "listeners", "endpoints", "routes", "fallback", "enrichments"];
/// The outcome of a check.
#[derive(Clone, Debug)]
pub struct Checked {
    /// The configuration, if nothing is wrong with it.
    pub config: Option<NodeConfig>,
    /// Problems and warnings in the order of their places.
    pub diagnostics: Vec<Diagnostic>,
    text: String,
    origin: String,
}

impl Checked {
    /// Everything found, drawn for a person.
    pub fn render(&self, color: bool) -> String {
        crate::render::diagnostics(&self.origin, &self.text, &self.diagnostics, color)
    }

    /// Number of problems, warnings not counted.
    pub fn errors(&self) -> usize {
        self.diagnostics.iter().filter(|diagnostic| diagnostic.severity == Severity::Error).count()
    }
}

/// Checks `text`, which came from `origin`. Pure.
pub fn check(text: &str, origin: &str) -> Checked {
    let mut checker = Checker { text, found: Vec::new() };
    let root = parse(text, &mut checker.found);
    let config = root.map(|root| checker.root(&root));
    let mut diagnostics = checker.found;
    diagnostics.sort_by_key(|diagnostic| diagnostic.span.start);
    let is_wrong = diagnostics.iter().any(|diagnostic| diagnostic.severity == Severity::Error);
    Checked { config: config.filter(|_| !is_wrong), diagnostics, text: text.to_owned(), origin: origin.to_owned() }
}

fn parse<'t>(text: &'t str, found: &mut Vec<Diagnostic>) -> Option<DeTable<'t>> {
    let (root, errors) = DeTable::parse_recoverable(text);
    for problem in &errors {
        let end = text.len();
        let span = problem.span().map_or(end..end, |span| span.start.min(end)..span.end.min(end));
        found.push(error(span, format!("not valid TOML: {}", problem.message()), "see https://toml.io for the syntax"));
    }
    errors.is_empty().then(|| root.into_inner())
}

struct Checker<'t> {
    text: &'t str,
    found: Vec<Diagnostic>,
}

impl Checker<'_> {
    fn root(&mut self, root: &DeTable<'_>) -> NodeConfig {
        for (key, _) in root.iter() {
            let name = key.get_ref();
            if !SECTIONS.contains(&name.as_ref()) {
                let help = match nearest(name, SECTIONS) {
                    Some(near) => format!("did you mean `{near}`?"),
                    None => format!("there are {}", list(&SECTIONS)),
                };
                self.found.push(error(key.span(), format!("there is no section `{name}`"), help));
            }
        }
        let node = self.section(root, "node", "node", node_problems);
        let log = self.section(root, "log", "log", log_problems);
        let (http, mqtt, quic) = self.listeners(root);
        let endpoints = self.endpoints(root);
        let names: Vec<String> = endpoints.iter().map(|endpoint| endpoint.name.clone()).collect();
        let routes = self.routes(root, &names);
        let fallback = self.fallback(root, &names);
        let enrichments = self.enrichments(root, &names);
        self.unused_endpoints(root, &endpoints, &routes, fallback.as_ref());
        NodeConfig { node, http, mqtt, quic, log, endpoints, routes, fallback, enrichments }
    }

    /// A table of the root with defaults for all of its keys.
    fn section<T: DeserializeOwned + Default>(
        &mut self,
        parent: &DeTable<'_>,
        name: &str,
        path: &str,
        problems: impl Fn(&T) -> Vec<Problem>,
    ) -> T {
        let Some((key, value)) = parent.iter().find(|(key, _)| key.get_ref() == name) else { return T::default() };
        let Some(table) = self.table(key.span(), value.get_ref(), format!("[{path}]")) else { return T::default() };
        let read: T = table.read(&[], &mut self.found).unwrap_or_default();
        self.report(&table, problems(&read));
        read
    }

    fn table<'v>(&mut self, span: Span, value: &'v DeValue<'v>, name: String) -> Option<Table<'v>> {
        match value {
            DeValue::Table(entries) => Some(Table { span, entries, name }),
            other => {
                let message = format!("{name} must be a table, it is {}", kind_of(other));
                self.found.push(error(span, message, format!("write it as {name} with its keys below")));
                None
            }
        }
    }

    fn report(&mut self, table: &Table<'_>, problems: Vec<Problem>) {
        for problem in problems {
            self.found.push(error(table.value_span(problem.field), problem.message, problem.help));
        }
    }

    fn listeners(&mut self, root: &DeTable<'_>) -> (HttpConfig, Option<MqttConfig>, Option<QuicConfig>) {
        let none = (HttpConfig::default(), None, None);
        let Some((key, value)) = root.iter().find(|(key, _)| key.get_ref() == "listeners") else { return none };
        let Some(listeners) = self.table(key.span(), value.get_ref(), "[listeners]".to_owned()) else { return none };
        for (key, _) in listeners.entries.iter().filter(|(key, _)| !LISTENERS.contains(&key.get_ref().as_ref())) {
            let message = format!("there is no listener `{}`", key.get_ref());
            let help = format!("there are {}, written as [listeners.http]", list(&LISTENERS));
            self.found.push(error(key.span(), message, help));
        }
        let http = self.section(listeners.entries, "http", "listeners.http", HttpConfig::problems);
        let has = |name: &str| listeners.entries.iter().any(|(key, _)| key.get_ref() == name);
        let (has_mqtt, has_quic) = (has("mqtt"), has("quic"));
        let mqtt = has_mqtt.then(|| self.section(listeners.entries, "mqtt", "listeners.mqtt", MqttConfig::problems));
        let quic = has_quic.then(|| self.section(listeners.entries, "quic", "listeners.quic", QuicConfig::problems));
        (http, mqtt, quic)
    }

    /// The tables of an array `[[name]]`.
    fn array<'v>(&mut self, root: &'v DeTable<'v>, name: &str) -> Vec<Table<'v>> {
        let Some((key, value)) = root.iter().find(|(key, _)| key.get_ref() == name) else { return Vec::new() };
        let DeValue::Array(array) = value.get_ref() else {
            let message = format!("`{name}` must be an array of tables, it is {}", kind_of(value.get_ref()));
            self.found.push(error(key.span(), message, format!("begin each one with [[{name}]]")));
            return Vec::new();
        };
        let mut tables = Vec::new();
        for value in array.iter() {
            let span = first_line(self.text, value.span());
            tables.extend(self.table(span, value.get_ref(), format!("[[{name}]]")));
        }
        tables
    }

    fn warn(&mut self, span: Span, message: String) {
        let (label, help, suggestion) = (None, None, None);
        self.found.push(Diagnostic { severity: Severity::Warning, message, span, label, help, suggestion });
    }
}

fn kind_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "an integer",
        DeValue::Float(_) => "a float",
        DeValue::Boolean(_) => "a boolean",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "an array",
        DeValue::Table(_) => "a table",
    }
}

/// The header of a table, for problems with the table as a whole.
fn first_line(text: &str, span: Span) -> Span {
    let length = text.get(span.clone()).and_then(|text| text.find('\n')).unwrap_or(span.len());
    span.start..span.start + length
}
