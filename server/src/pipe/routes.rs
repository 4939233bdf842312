//! The routes of a pipe, and what happens to each line.

use std::collections::HashMap;
use std::fmt::Write;
use std::path::Path;

use connectors::cloudevents::Decoder;
use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::Event;
use engine::filter::{CompileOptions, Dialect, Filter, Truth, body_readable};
use engine::parse::{Kind, Parser, Value};

use super::PipeArgs;
use super::output::Output;
use crate::config::EndpointKind;

struct Route {
    filter: Filter,
    /// Index into the outputs.
    output: usize,
}

/// Compiled routes and open outputs.
pub struct Routes {
    routes: Vec<Route>,
    outputs: Vec<(String, Output, u64)>,
    dialect: Dialect,
    parser: Parser,
    decoder: Decoder,
    headers: HeaderWriter,
    /// The event of a line that is no CloudEvent: no attributes, all is in the body.
    blank: Batch,
    seen: u64,
    matched: u64,
}

/// What can go wrong with a line.
pub enum LineError {
    /// The line; go on with the next.
    Bad(String),
    /// The output; nothing more can be done.
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
    pub fn compile(args: &PipeArgs, color: bool) -> Result<Self, String> {
        let Some(dialect) = Dialect::by_name(&args.dialect) else {
            return Err(format!(
                "error: there is no dialect '{}': use anabranch, iothub or digitaltwins\n",
                args.dialect
            ));
        };
        let (mut routes, mut outputs, mut problems) = (Vec::new(), Vec::<(String, Output, u64)>::new(), String::new());
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
                let known = outputs.iter().position(|(name, ..)| *name == spec);
                let output = match known {
                    Some(output) => output,
                    None => match open(&spec, &configured, args) {
                        Ok(output) => {
                            outputs.push((spec, output, 0));
                            outputs.len() - 1
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
        Ok(Self {
            routes,
            outputs,
            dialect,
            parser: Parser::default(),
            decoder: Decoder::default(),
            headers: HeaderWriter::default(),
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
        let Self { routes, outputs, parser, decoder, headers, blank, .. } = self;
        let document = parser.parse(text).map_err(|error| LineError::Bad(format!("not valid JSON: {error}")))?;
        let root = document.root();
        let number = self.seen;
        self.seen += 1;
        blank.set_base_offset(number);
        let matched = if is_cloud_event(root) {
            drop(document);
            let decoded = decoder.decode(text, headers).map_err(|error| LineError::Bad(error.to_string()))?;
            let mut builder = BatchBuilder::new(0);
            let pushed = builder.push(Some(decoded.key), decoded.data, headers, 0);
            pushed.map_err(|error| LineError::Bad(error.to_string()))?;
            let Some(mut batch) = builder.seal() else { return Ok(()) };
            batch.set_base_offset(number);
            let event = Event::new(&batch, 0);
            let document = parser.parse(decoded.data).ok();
            let body =
                document.as_ref().map(|document| document.root()).filter(|_| body_readable(&event, self.dialect));
            route(routes, outputs, &batch, body, decoded.data)
        } else {
            route(routes, outputs, blank, Some(root), text)
        };
        self.matched += u64::from(matched.map_err(LineError::Output)?);
        Ok(())
    }

    /// Writes what is left everywhere.
    pub fn finish(&mut self) -> Result<(), String> {
        self.outputs.iter_mut().try_for_each(|(_, output, _)| output.finish())
    }

    /// How many events went where.
    pub fn summary(&self) -> String {
        let mut out = format!("{} events\n", self.seen);
        for (name, _, events) in &self.outputs {
            let _ = writeln!(out, "  {events} to {name}");
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

fn open(spec: &str, configured: &Configured, args: &PipeArgs) -> Result<Output, String> {
    match configured.get(spec) {
        Some(kind) => Output::configured(kind, args).map_err(|error| format!("endpoint '{spec}': {error}")),
        None => Output::open(spec, args),
    }
}

fn is_cloud_event(root: Value<'_>) -> bool {
    matches!(root.kind(), Kind::Object(_)) && root.get("specversion").is_some()
}

/// One copy per endpoint, however many of its routes match.
fn route(
    routes: &[Route],
    outputs: &mut [(String, Output, u64)],
    batch: &Batch,
    body: Option<Value<'_>>,
    data: &[u8],
) -> Result<bool, String> {
    let event = &Event::new(batch, 0);
    let mut matched = false;
    for (at, route) in routes.iter().enumerate() {
        let is_first =
            |earlier: &Route| earlier.output == route.output && earlier.filter.eval(event, body) == Truth::True;
        if route.filter.eval(event, body) != Truth::True || routes[..at].iter().any(is_first) {
            continue;
        }
        matched = true;
        let (_, output, events) = &mut outputs[route.output];
        *events += 1;
        output.take(batch, body, data)?;
    }
    Ok(matched)
}
