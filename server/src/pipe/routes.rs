//! The routes of a pipe, and what happens to each line.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use connectors::cloudevents::Decoder;
use connectors::file::LineFormat;
use connectors::parquet::Body;
use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::Event;
use engine::filter::{CompileOptions, Dialect, Filter, Truth, body_readable};
use engine::parse::{Kind, Parser, Value};

use super::PipeArgs;
use super::batches::Batches;
use super::output::{Line, Output, OutputError};
use crate::config::EndpointKind;

pub(super) struct Route {
    pub filter: Filter,
    /// Index into the outputs.
    pub output: usize,
}

/// An open output and what it got.
pub(super) struct Target {
    /// As given on the command line.
    pub spec: String,
    pub output: Output,
    pub events: u64,
    /// Number of the event that it took last, from 1: an event goes there once, however many routes lead there.
    took: u64,
    /// Nobody reads it any more; the others go on.
    pub is_closed: bool,
}

/// Compiled routes and open outputs.
pub struct Routes {
    routes: Vec<Route>,
    pub(super) targets: Vec<Target>,
    /// How chunks are handled as batches; `None` where each line has to be an event of its own.
    pub(super) batches: Option<Batches>,
    parser: Parser,
    decoder: Decoder,
    headers: HeaderWriter,
    /// JSON pointer to the key of a line that is no CloudEvent.
    key: Option<String>,
    /// Outputs ask for more than the line itself, so each line becomes an event of its own.
    whole_events: bool,
    /// Time of acceptance: that of the run.
    now_ms: i64,
    /// The event of a line that is no CloudEvent: no attributes, all is in the body.
    blank: Batch,
    pub(super) seen: u64,
    pub(super) matched: u64,
}

/// What can go wrong with a line.
pub enum LineError {
    /// The line; go on with the next.
    Bad(String),
    /// An output cannot be written: nothing more can be done.
    Output(String),
}

/// A batch with one event that says nothing.
fn blank() -> Batch {
    let mut builder = BatchBuilder::new(0);
    builder.push(None, b"", &HeaderWriter::default(), 0).expect("an empty event fits");
    builder.seal().expect("it has a row")
}

impl Routes {
    /// Compiles the routes and opens their endpoints; the message is ready to print.
    pub fn compile(args: &PipeArgs, now_ms: i64, color: bool) -> Result<Self, String> {
        let Some(dialect) = Dialect::by_name(&args.dialect) else {
            return Err(format!(
                "error: there is no dialect '{}': use {}\n",
                args.dialect,
                Dialect::ALL.map(Dialect::name).join(", ")
            ));
        };
        let (mut routes, mut targets, mut problems) = (Vec::new(), Vec::<Target>::new(), String::new());
        if let Some(key) = args.key.as_deref().filter(|key| !key.starts_with('/')) {
            let _ = writeln!(
                problems,
                "error: '{key}' is no JSON pointer\n  help: write /device_id, or /a/b for a member of a member"
            );
        }
        let (mut specs, configured) = match &args.config {
            Some(path) => configured_routes(path)?,
            None => Default::default(),
        };
        for route in &args.route {
            let Some((text, spec)) = route.rsplit_once("=>") else {
                let help = "write FILTER=>ENDPOINT, for instance 'temp > 30=>parquet:hot'";
                let _ = writeln!(problems, "error: the route '{route}' has no =>\n  help: {help}");
                continue;
            };
            match Filter::compile(text, dialect, &CompileOptions::default()) {
                Ok((filter, _warnings)) => specs.push((filter, spec.trim().to_owned())),
                Err(found) => problems.push_str(&crate::render::diagnostics("--route", text, &found, color)),
            }
        }
        // Nothing is opened before all filters are right.
        if problems.is_empty() {
            for (filter, spec) in specs {
                let known = targets.iter().position(|target| target.spec == spec);
                let output = match known {
                    Some(output) => output,
                    None => match open(&spec, &configured, args) {
                        Ok(output) => {
                            targets.push(Target {
                                spec: spec.to_owned(),
                                output,
                                events: 0,
                                took: 0,
                                is_closed: false,
                            });
                            targets.len() - 1
                        }
                        Err(message) => {
                            let _ = writeln!(problems, "error: {message}");
                            continue;
                        }
                    },
                };
                routes.push(Route { filter, output });
            }
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let whole_events = args.key.is_some()
            || args.system_columns
            || args.format == LineFormat::CloudEvents
            || configured.values().any(has_dead_letters);
        let batches = if whole_events { None } else { Batches::new(&routes, targets.len()) };
        Ok(Self {
            routes,
            targets,
            batches,
            parser: Parser::default(),
            decoder: Decoder::default(),
            headers: HeaderWriter::default(),
            key: args.key.clone(),
            whole_events,
            now_ms,
            blank: blank(),
            seen: 0,
            matched: 0,
        })
    }

    /// Events seen.
    pub fn seen(&self) -> u64 {
        self.seen
    }

    /// Events that went somewhere.
    pub fn matched(&self) -> u64 {
        self.matched
    }

    /// Handles one line.
    pub fn line(&mut self, text: &[u8]) -> Result<(), LineError> {
        let Self { routes, targets, parser, decoder, headers, blank, now_ms, .. } = self;
        let document = parser.parse(text).map_err(|error| LineError::Bad(format!("not valid JSON: {error}")))?;
        let root = document.root();
        let number = self.seen;
        let matched = if is_cloud_event(root) {
            drop(document);
            let decoded = decoder.decode(text, headers).map_err(|error| LineError::Bad(error.to_string()))?;
            let batch = batch_of(Some(decoded.key), decoded.data, headers, *now_ms, number)?;
            let document = parser.parse(decoded.data).ok();
            let body = document.as_ref().map(|document| Body { root: document.root(), text: decoded.data });
            route(routes, targets, &Line { batch: &batch, is_cloud_event: true, body, data: decoded.data, number })
        } else if self.whole_events || !matches!(root.kind(), Kind::Object(_)) {
            headers.clear();
            let key = self.key.as_deref().and_then(|pointer| key_of(root, pointer));
            let batch = batch_of(key.as_deref().map(str::as_bytes), text, headers, *now_ms, number)?;
            let body = Some(Body { root, text });
            route(routes, targets, &Line { batch: &batch, is_cloud_event: false, body, data: text, number })
        } else {
            blank.set_base_offset(number);
            let body = Some(Body { root, text });
            route(routes, targets, &Line { batch: blank, is_cloud_event: false, body, data: text, number })
        };
        self.seen += 1;
        self.matched += u64::from(matched.map_err(LineError::Output)?);
        Ok(())
    }

    /// Lets readers of lines see what there is so far.
    pub fn flush(&mut self) -> Result<(), String> {
        for target in self.targets.iter_mut().filter(|target| !target.is_closed) {
            target.is_closed = !unless_closed(target.output.flush())?;
        }
        Ok(())
    }

    /// Nobody reads any output.
    pub fn is_closed(&self) -> bool {
        self.targets.iter().all(|target| target.is_closed)
    }

    /// Writes what is left everywhere, whatever happens to one of them; the first error.
    pub fn finish(&mut self) -> Result<(), String> {
        let open = self.targets.iter_mut().filter(|target| !target.is_closed);
        let results: Vec<_> = open.map(|target| unless_closed(target.output.finish()).map(|_| ())).collect();
        results.into_iter().collect()
    }

    /// How many events went where.
    pub fn summary(&self) -> String {
        let mut out = format!("{} events\n", self.seen);
        for target in &self.targets {
            let _ = writeln!(out, "  {} to {}", target.events, target.spec);
        }
        out
    }
}

/// Endpoints of a configuration by name.
type Configured = HashMap<String, EndpointKind>;

/// The enabled routes of a configuration, each with the name of its endpoint.
fn configured_routes(path: &Path) -> Result<(Vec<(Filter, String)>, Configured), String> {
    let config = crate::config::load_file(path).map_err(|error| error.to_string())?;
    let mut routes = Vec::new();
    for route in config.routes.iter().filter(|route| route.enabled) {
        let options = CompileOptions { source: route.source, ..CompileOptions::default() };
        // Checked with the file.
        if let Ok((filter, _)) = Filter::compile(&route.filter, route.dialect, &options) {
            routes.push((filter, route.endpoint.clone()));
        }
    }
    Ok((routes, config.endpoints.into_iter().map(|endpoint| (endpoint.name, endpoint.kind)).collect()))
}

/// Whether an endpoint may have to write down a whole event.
fn has_dead_letters(kind: &EndpointKind) -> bool {
    matches!(kind, EndpointKind::Parquet(config) if config.has_dead_letters())
}

fn open(spec: &str, configured: &Configured, args: &PipeArgs) -> Result<Output, String> {
    match configured.get(spec) {
        Some(kind) => Output::configured(kind, args).map_err(|error| format!("endpoint '{spec}': {error}")),
        None => Output::open(spec, args),
    }
}

/// A batch with one event.
fn batch_of(
    key: Option<&[u8]>,
    data: &[u8],
    headers: &HeaderWriter,
    now_ms: i64,
    number: u64,
) -> Result<Batch, LineError> {
    let mut builder = BatchBuilder::new(0);
    builder.push(key, data, headers, now_ms).map_err(|error| LineError::Bad(error.to_string()))?;
    let mut batch = builder.seal().expect("it has a row");
    batch.set_base_offset(number);
    Ok(batch)
}

/// The key that a JSON pointer leads to: a string, or a number as it is written.
fn key_of<'v>(root: Value<'v>, pointer: &str) -> Option<Cow<'v, str>> {
    let mut value = root;
    for token in pointer.split('/').skip(1) {
        let name = token.replace("~1", "/").replace("~0", "~");
        value = match value.kind() {
            Kind::Array(_) => value.at(name.parse().ok()?)?,
            _ => value.get(&name)?,
        };
    }
    match value.kind() {
        Kind::String(text) => Some(text.into()),
        Kind::Int(number) => Some(number.to_string().into()),
        Kind::Uint(number) => Some(number.to_string().into()),
        _ => None,
    }
}

fn is_cloud_event(root: Value<'_>) -> bool {
    matches!(root.kind(), Kind::Object(_)) && root.get("specversion").is_some()
}

/// Whether the output is still open; an error is one that somebody must see to.
pub(super) fn unless_closed(result: Result<(), OutputError>) -> Result<bool, String> {
    match result {
        Ok(()) => Ok(true),
        Err(OutputError::Closed) => Ok(false),
        Err(OutputError::Failed(error)) => Err(error),
    }
}

/// Whether some route led somewhere.
fn route(routes: &[Route], targets: &mut [Target], line: &Line<'_>) -> Result<bool, String> {
    let event = Event::new(line.batch, 0);
    let mut matched = false;
    for route in routes {
        let target = &mut targets[route.output];
        if target.took > line.number || target.is_closed {
            continue;
        }
        let is_readable = |_: &Value<'_>| !line.is_cloud_event || body_readable(&event, route.filter.dialect());
        if route.filter.eval(&event, line.body.map(|body| body.root).filter(is_readable)) != Truth::True {
            continue;
        }
        matched = true;
        target.took = line.number + 1;
        target.events += 1;
        target.is_closed = !unless_closed(target.output.take(line))?;
    }
    Ok(matched)
}
