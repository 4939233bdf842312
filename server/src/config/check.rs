//! From the text of a configuration to a [`NodeConfig`], or to all of its problems.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use connectors::config::Problem;
use connectors::http::HttpConfig;
use connectors::mqtt::MqttConfig;
use connectors::quic::QuicConfig;
use engine::event::Source;
use engine::filter::{CompileOptions, Diagnostic, Dialect, Filter, Severity, Span, nearest};
use engine::limits;
use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

use super::shape::{EndpointShape, EnrichmentShape, FallbackShape, RouteShape};
use super::table::{Table, error, list};
use super::{
    EndpointKind, EndpointSettings, EnrichmentSettings, FallbackSettings, HUB, LogSettings, NodeConfig, NodeSettings,
    RouteSettings, StartFrom,
};

/// Names of endpoints that a user cannot give (sheet `iothub-and-twins.md` 1.4).
const RESERVED: [&str; 5] = ["events", "fileNotifications", "$default", "operationsMonitoringEvents", HUB];
const LISTENERS: [&str; 3] = ["http", "mqtt", "quic"];
const SECTIONS: [&str; 7] = ["node", "log", "listeners", "endpoints", "routes", "fallback", "enrichments"];
const ENDPOINT_TYPES: [&str; 4] = ["webhook", "parquet", "ndjson", "mqtt"];

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

/// The problems of values whatever their origin, for those that came by flag or environment variable.
pub fn problems_of_values(config: &NodeConfig) -> Vec<Problem> {
    let mut found = config.http.problems();
    found.extend(config.mqtt.iter().flat_map(MqttConfig::problems));
    found.extend(config.quic.iter().flat_map(QuicConfig::problems));
    found.extend(node_problems(&config.node));
    found.extend(log_problems(&config.log));
    found
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

fn node_problems(node: &NodeSettings) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut range = |field, value: u32, least: u32, most: u32| {
        if !(least..=most).contains(&value) {
            let help = format!("use a number from {least} to {most}");
            found.push(Problem { field, message: format!("`{field}` is {value}"), help });
        }
    };
    range("partitions", node.partitions, 1, limits::PARTITIONS_MAX);
    range("shards", node.shards, 0, 256);
    if node.data_dir.as_os_str().is_empty() {
        let help = "name a folder, for instance \"./data\"".to_owned();
        found.push(Problem { field: "data_dir", message: "`data_dir` is empty".to_owned(), help });
    }
    if !is_name(&node.name) {
        let message = format!("`{}` is no name", node.name);
        found.push(Problem { field: "name", message, help: NAME_HELP.to_owned() });
    }
    found
}

fn log_problems(log: &LogSettings) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut range = |field, value: u64, least: u64, most: u64| {
        if !(least..=most).contains(&value) {
            let help = format!("use a number from {least} to {most}");
            found.push(Problem { field, message: format!("`{field}` is {value}"), help });
        }
    };
    range("segment_bytes_max", log.segment_bytes_max, 1 << 20, 1 << 36);
    range("commit_bytes_max", log.commit_bytes_max as u64, 4096, limits::COMMIT_BYTES_MAX as u64);
    range("commit_delay_ms_max", log.commit_delay_ms_max, 0, 1000);
    range("dedup_window_s_max", log.dedup_window_s_max, 0, 7 * 24 * 3600);
    range("dedup_ids_max", log.dedup_ids_max as u64, 1, 1 << 28);
    range("producer_window_s_max", log.producer_window_s_max, 1, 7 * 24 * 3600);
    range("producers_max", log.producers_max as u64, 2, 1 << 26);
    range("recent_bytes_max", log.recent_bytes_max as u64, 0, 1 << 34);
    if log.retention_bytes_max != 0 && log.retention_bytes_max < log.segment_bytes_max {
        let message =
            "`retention_bytes_max` is smaller than one segment, and only whole segments are removed".to_owned();
        let help =
            format!("set it to at least {} (segment_bytes_max), or to 0 to keep everything", log.segment_bytes_max);
        found.push(Problem { field: "retention_bytes_max", message, help });
    }
    found
}

const NAME_HELP: &str = "use 1 to 64 letters, digits and the characters - . _";

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
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

    fn endpoints(&mut self, root: &DeTable<'_>) -> Vec<EndpointSettings> {
        let hub = EndpointSettings { name: HUB.to_owned(), from: StartFrom::Latest, kind: EndpointKind::Hub };
        let mut endpoints = vec![hub];
        let Some((key, value)) = root.iter().find(|(key, _)| key.get_ref() == "endpoints") else { return endpoints };
        let Some(all) = self.table(key.span(), value.get_ref(), "[endpoints]".to_owned()) else { return endpoints };
        let mut places: HashMap<PathBuf, String> = HashMap::new();
        for (key, value) in all.entries.iter() {
            let name = key.get_ref().to_string();
            if RESERVED.contains(&name.as_str()) {
                let message = format!("the endpoint name `{name}` is reserved");
                self.found.push(error(
                    key.span(),
                    message,
                    "choose another; the log itself is the endpoint `hub`, always there",
                ));
            } else if !is_name(&name) {
                self.found.push(error(key.span(), format!("`{name}` is no name for an endpoint"), NAME_HELP));
            }
            let Some(table) = self.table(key.span(), value.get_ref(), format!("[endpoints.{name}]")) else { continue };
            let Some((from, kind)) = self.endpoint(&table) else {
                // It is there, with problems that are reported: routes to it are no further problem.
                endpoints.push(EndpointSettings { name, from: StartFrom::Latest, kind: EndpointKind::Hub });
                continue;
            };
            let place = match &kind {
                EndpointKind::Parquet(parquet) => Some(match (&parquet.url, parquet.local_dir()) {
                    (Some(_), Some(dir)) => ("url", dir),
                    (Some(url), None) => ("url", url.trim_end_matches('/').into()),
                    (None, _) => ("dir", parquet.dir.clone()),
                }),
                EndpointKind::Ndjson(ndjson) => Some(("path", ndjson.path.clone())),
                EndpointKind::Hub | EndpointKind::Webhook(_) | EndpointKind::Mqtt(_) => None,
            };
            if let Some((field, path)) = place
                && let Some(other) = places.insert(lexical(&path), name.clone())
            {
                let message = format!("the endpoints `{other}` and `{name}` write to the same place");
                self.found.push(error(table.value_span(field), message, "give each endpoint a place of its own"));
            }
            endpoints.push(EndpointSettings { name, from, kind });
        }
        if endpoints.len() > limits::ENDPOINTS_MAX {
            let message = format!("{} endpoints are more than {}", endpoints.len(), limits::ENDPOINTS_MAX);
            self.found.push(error(key.span(), message, "let several routes share an endpoint"));
        }
        endpoints
    }

    fn endpoint(&mut self, table: &Table<'_>) -> Option<(StartFrom, EndpointKind)> {
        let others: Vec<&str> = table
            .entries
            .iter()
            .map(|(key, _)| key.get_ref().as_ref())
            .filter(|key| !["type", "from"].contains(key))
            .collect();
        let shape: EndpointShape = table.read(&others, &mut self.found)?;
        let from = match shape.from.as_deref() {
            None | Some("latest") => StartFrom::Latest,
            Some("beginning") => StartFrom::Beginning,
            Some(other) => {
                let message = format!("an endpoint cannot start from `{other}`");
                self.found.push(error(table.value_span("from"), message, "write \"latest\" or \"beginning\""));
                return None;
            }
        };
        let except = ["type", "from"];
        let found = &mut self.found;
        let (kind, problems) = match shape.r#type.as_str() {
            "webhook" => {
                let read: connectors::webhook::WebhookConfig = table.read(&except, found)?;
                (EndpointKind::Webhook(read.clone()), read.problems())
            }
            "parquet" => {
                let read: connectors::parquet::ParquetConfig = table.read(&except, found)?;
                (EndpointKind::Parquet(Box::new(read.clone())), read.problems())
            }
            "ndjson" => {
                let read: connectors::file::NdjsonConfig = table.read(&except, found)?;
                (EndpointKind::Ndjson(read.clone()), read.problems())
            }
            "mqtt" => {
                let read: connectors::mqtt::sink::MqttSinkConfig = table.read(&except, found)?;
                (EndpointKind::Mqtt(read.clone()), read.problems())
            }
            other => {
                let help = match nearest(other, ENDPOINT_TYPES) {
                    Some(near) => format!("did you mean \"{near}\"?"),
                    None => format!(
                        "there are {}; the log itself is the endpoint `hub`, always there",
                        list(&ENDPOINT_TYPES)
                    ),
                };
                found.push(error(table.value_span("type"), format!("there is no endpoint type `{other}`"), help));
                return None;
            }
        };
        let is_good = problems.is_empty();
        self.report(table, problems);
        is_good.then_some((from, kind))
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

    fn routes(&mut self, root: &DeTable<'_>, endpoints: &[String]) -> Vec<RouteSettings> {
        let mut routes = Vec::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        for table in self.array(root, "routes") {
            let Some(shape) = table.read::<RouteShape>(&[], &mut self.found) else { continue };
            if !is_name(&shape.name) {
                let message = format!("`{}` is no name for a route", shape.name);
                self.found.push(error(table.value_span("name"), message, NAME_HELP));
            }
            if names.insert(shape.name.clone(), routes.len()).is_some() {
                let message = format!("there are two routes `{}`", shape.name);
                self.found.push(error(table.value_span("name"), message, "give each route a name of its own"));
            }
            self.known_endpoint(&table, "endpoint", &shape.endpoint, endpoints);
            let source =
                self.named(&table, "source", shape.source.as_deref(), Source::by_name, &Source::ALL.map(Source::name));
            let dialect = self.named(
                &table,
                "dialect",
                shape.dialect.as_deref(),
                Dialect::by_name,
                &Dialect::ALL.map(Dialect::name),
            );
            let (Some(source), Some(dialect)) = (source, dialect) else { continue };
            let filter = shape.filter.unwrap_or_else(|| dialect.default_filter().to_owned());
            self.filter(&table, &filter, source, dialect);
            if !shape.enabled {
                self.warn(table.value_span("enabled"), format!("the route `{}` is disabled", shape.name));
            }
            let (name, endpoint, enabled) = (shape.name, shape.endpoint, shape.enabled);
            routes.push(RouteSettings { name, source, dialect, filter, endpoint, enabled });
        }
        routes
    }

    /// A value out of a few names; absent is the default.
    fn named<T: Default>(
        &mut self,
        table: &Table<'_>,
        key: &str,
        value: Option<&str>,
        by_name: impl Fn(&str) -> Option<T>,
        names: &[&str],
    ) -> Option<T> {
        let Some(value) = value else { return Some(T::default()) };
        let known = by_name(value);
        if known.is_none() {
            let help = match nearest(value, names.iter().copied()) {
                Some(near) => format!("did you mean \"{near}\"?"),
                None => format!("there are {}", list(names)),
            };
            self.found.push(error(table.value_span(key), format!("there is no {key} `{value}`"), help));
        }
        known
    }

    fn known_endpoint(&mut self, table: &Table<'_>, key: &str, name: &str, endpoints: &[String]) {
        if endpoints.iter().any(|known| known == name) {
            return;
        }
        let help = match nearest(name, endpoints.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add [endpoints.{name}], or use the built-in `hub`"),
        };
        self.found.push(error(table.value_span(key), format!("there is no endpoint `{name}`"), help));
    }

    /// Compiles a filter and puts its problems at their places inside the file.
    fn filter(&mut self, table: &Table<'_>, filter: &str, source: Source, dialect: Dialect) {
        let options = CompileOptions { source, ..CompileOptions::default() };
        let found = match Filter::compile(filter, dialect, &options) {
            Ok((_, warnings)) => warnings,
            Err(problems) => problems,
        };
        let literal = table.value_span("filter");
        // Where the string stands in the file as it is, without escapes, its own places can be shown.
        let inside = self.text.get(literal.clone()).and_then(|text| text.find(filter)).map(|at| literal.start + at);
        for mut problem in found {
            match inside {
                Some(start) => {
                    problem.span = problem.span.start + start..problem.span.end + start;
                    if let Some(suggestion) = &mut problem.suggestion {
                        suggestion.span = suggestion.span.start + start..suggestion.span.end + start;
                    }
                }
                None => {
                    problem.span = literal.clone();
                    problem.suggestion = None;
                }
            }
            self.found.push(problem);
        }
    }

    fn fallback(&mut self, root: &DeTable<'_>, endpoints: &[String]) -> Option<FallbackSettings> {
        let Some((key, value)) = root.iter().find(|(key, _)| key.get_ref() == "fallback") else {
            return Some(FallbackSettings { endpoint: HUB.to_owned(), enabled: true });
        };
        let table = self.table(key.span(), value.get_ref(), "[fallback]".to_owned())?;
        let shape: FallbackShape = table.read(&[], &mut self.found)?;
        self.known_endpoint(&table, "endpoint", &shape.endpoint, endpoints);
        Some(FallbackSettings { endpoint: shape.endpoint, enabled: shape.enabled })
    }

    fn enrichments(&mut self, root: &DeTable<'_>, endpoints: &[String]) -> Vec<EnrichmentSettings> {
        let mut enrichments = Vec::new();
        let mut seen: BTreeMap<(String, String), ()> = BTreeMap::new();
        for table in self.array(root, "enrichments") {
            let Some(shape) = table.read::<EnrichmentShape>(&[], &mut self.found) else { continue };
            if !is_name(&shape.key) {
                let message = format!("`{}` is no key for an enrichment", shape.key);
                self.found.push(error(table.value_span("key"), message, NAME_HELP));
            }
            if shape.value.starts_with("$twin") {
                let message = format!("`{}` asks for a device twin, and this node keeps none", shape.value);
                self.found.push(error(
                    table.value_span("value"),
                    message,
                    "use static text, or $iothubname for the node's name",
                ));
            } else if shape.value.starts_with('$') && shape.value != "$iothubname" {
                let message = format!("`{}` is not understood", shape.value);
                self.found.push(error(
                    table.value_span("value"),
                    message,
                    "use static text, or $iothubname for the node's name",
                ));
            }
            if shape.endpoints.is_empty() {
                let message = "an enrichment needs at least one endpoint";
                self.found.push(error(
                    table.value_span("endpoints"),
                    message,
                    "name the endpoints whose deliveries get it",
                ));
            }
            for endpoint in &shape.endpoints {
                self.known_endpoint(&table, "endpoints", endpoint, endpoints);
                if seen.insert((shape.key.to_ascii_lowercase(), endpoint.clone()), ()).is_some() {
                    let message = format!("`{endpoint}` gets the enrichment `{}` twice", shape.key);
                    self.found.push(error(table.value_span("key"), message, "keep one of the two"));
                }
            }
            enrichments.push(EnrichmentSettings { key: shape.key, value: shape.value, endpoints: shape.endpoints });
        }
        enrichments
    }

    fn unused_endpoints(
        &mut self,
        root: &DeTable<'_>,
        endpoints: &[EndpointSettings],
        routes: &[RouteSettings],
        fallback: Option<&FallbackSettings>,
    ) {
        let Some((_, all)) = root.iter().find(|(key, _)| key.get_ref() == "endpoints") else { return };
        let DeValue::Table(all) = all.get_ref() else { return };
        for endpoint in endpoints.iter().skip(1) {
            let is_used = routes.iter().any(|route| route.endpoint == endpoint.name)
                || fallback.is_some_and(|fallback| fallback.endpoint == endpoint.name);
            let key = all.iter().find(|(key, _)| key.get_ref() == &endpoint.name);
            if let (false, Some((key, _))) = (is_used, key) {
                self.warn(key.span(), format!("no route leads to the endpoint `{}`", endpoint.name));
            }
        }
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

/// The path with `.` and `..` taken out, without asking the disk.
fn lexical(path: &Path) -> PathBuf {
    let mut clean = PathBuf::new();
    for part in path.components() {
        match part {
            std::path::Component::CurDir => {}
            std::path::Component::ParentDir if clean.file_name().is_some() => {
                clean.pop();
            }
            part => clean.push(part),
        }
    }
    clean
}
