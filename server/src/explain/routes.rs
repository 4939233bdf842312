//! `explain --routes`: which routes of a configuration match an event, and what rejected the others.

use std::fmt::Write;
use std::path::Path;

use engine::event::Event;
use engine::filter::{self, CompileOptions, Filter, Source, Trace};
use engine::parse::Parser;
use engine::route::paths;

use super::{Answer, ExplainArgs, event, tree};
use crate::config::{self, NodeConfig, RouteSettings};

/// Rejected routes that are shown unless all are asked for.
const REJECTED_MAX: usize = 20;

/// A route with what it answers.
struct Tried<'c> {
    route: &'c RouteSettings,
    filter: Filter,
    trace: Trace,
    matches: bool,
}

/// The answer for all routes of the configuration at `path`, or for the one that is named.
pub(super) fn explain(
    args: &ExplainArgs,
    path: &Path,
    bytes: &[u8],
    timestamp_ms: i64,
    color: bool,
) -> Result<Answer, String> {
    let config = config::load_file(path).map_err(|error| error.to_string())?;
    explain_config(args, &config, bytes, timestamp_ms, color)
}

/// The same without the world.
pub(super) fn explain_config(
    args: &ExplainArgs,
    config: &NodeConfig,
    bytes: &[u8],
    timestamp_ms: i64,
    color: bool,
) -> Result<Answer, String> {
    let read = event::read(bytes, &args.property, &args.system, timestamp_ms)
        .map_err(|reason| format!("error: {reason}\n"))?;
    let event = Event::new(&read.batch, 0);
    let source = Source::of(&event);
    let (mut parser, mut room) = (Parser::default(), String::new());
    let body = filter::body_text(&event, &mut room).map(|text| parser.parse(text));
    let note = match &body {
        Some(Err(error)) => Some(format!("note: the data is not JSON: {error}\n")),
        _ => None,
    };
    let document = body.and_then(Result::ok);
    let root = document.as_ref().map(|document| document.root());

    if let Some(name) = &args.route {
        known(config, name)?;
    }
    let mut tried = Vec::new();
    let (mut disabled, mut other_source) = (0, 0);
    for route in config.routes.iter().filter(|route| args.route.as_ref().is_none_or(|name| *name == route.name)) {
        if !route.enabled {
            disabled += 1;
        } else if route.source != source {
            other_source += 1;
        } else {
            let options = CompileOptions { source: route.source, ..CompileOptions::default() };
            let (filter, _) = Filter::compile(&route.filter, route.dialect, &options)
                .map_err(|problems| format!("error: route '{}': {}\n", route.name, problems[0].message))?;
            let body = root.filter(|_| route.dialect.body_readable(&event));
            let trace = filter.trace(&event, body);
            // Conditions are not applied to this source.
            let matches = source == Source::DigitalTwinChangeEvents || filter.eval(&event, body).is_true();
            tried.push(Tried { route, filter, trace, matches });
        }
    }
    let mut text = String::new();
    let (matching, rejected): (Vec<_>, Vec<_>) = tried.iter().partition(|tried| tried.matches);
    let of = tried.len();
    let _ = writeln!(text, "{} of {of} routes match; read as {}, source {}", matching.len(), read.what, source.name());
    text.extend(note);
    for (count, what) in [(disabled, "disabled"), (other_source, "for another source")] {
        if count > 0 {
            let _ = writeln!(text, "not tried: {count} {what}");
        }
    }
    for tried in &matching {
        let _ = writeln!(
            text,
            "\n+ {} -> {}\n    {}",
            tried.route.name,
            tried.route.endpoint,
            one_line(tried.filter.text())
        );
        found_by(&mut text, &tried.filter);
    }
    if let (true, None) = (matching.is_empty(), &args.route) {
        text.push_str(&fallback(config, source));
    }
    let shown = if args.all { rejected.len() } else { REJECTED_MAX };
    for tried in rejected.iter().take(shown) {
        let _ = writeln!(
            text,
            "\n- {} -> {}\n    {}",
            tried.route.name,
            tried.route.endpoint,
            one_line(tried.filter.text())
        );
        let culprit = culprit(&tried.trace);
        let part = tried.filter.text().get(culprit.span.clone()).unwrap_or_default();
        let reason = culprit.reason.as_ref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        let _ = writeln!(text, "    rejected by: {} is {}{reason}", one_line(part), culprit.value);
        let values: Vec<String> = culprit
            .children
            .iter()
            .filter_map(|child| {
                let part = tried.filter.text().get(child.span.clone())?;
                (part != child.value).then(|| format!("{} is {}", one_line(part), child.value))
            })
            .collect();
        if !values.is_empty() {
            let _ = writeln!(text, "    where {}", values.join(", "));
        }
        found_by(&mut text, &tried.filter);
    }
    if rejected.len() > shown {
        let _ = writeln!(text, "\n… and {} more that do not match: --all shows them", rejected.len() - shown);
    }
    if args.route.is_some() {
        for tried in &tried {
            text.push('\n');
            text.push_str(&tree::draw(tried.filter.text(), &tried.trace, color));
        }
    }
    Ok(Answer { text, warnings: String::new() })
}

/// How the matcher finds the route.
fn found_by(text: &mut String, filter: &Filter) {
    let paths = paths(filter);
    if paths.is_empty() {
        text.push_str("    found by: nothing, because the filter is never true\n");
    }
    for path in paths.iter().take(4) {
        let _ = writeln!(text, "    found by: {path}");
    }
    if paths.len() > 4 {
        let _ = writeln!(text, "    found by: {} more ways", paths.len() - 4);
    }
}

/// The first part that decides: of a condition with AND the first that is not true, and so on down.
fn culprit(trace: &Trace) -> &Trace {
    let is_condition = |trace: &&Trace| matches!(trace.value.as_str(), "true" | "false" | "undefined");
    let all_conditions = !trace.children.is_empty() && trace.children.iter().all(|child| is_condition(&child));
    if !all_conditions || trace.value == "true" {
        return trace;
    }
    let same = |child: &&Trace| child.value == trace.value;
    match trace.children.iter().find(same) {
        // One child that decides it, as in AND; where all are the same, as in OR, the whole is the answer.
        Some(child) if trace.children.iter().filter(same).count() < trace.children.len() => culprit(child),
        _ => trace,
    }
}

fn fallback(config: &NodeConfig, source: Source) -> String {
    match &config.fallback {
        Some(fallback) if fallback.enabled && source == Source::DeviceMessages => {
            format!("\nno route matches: the fallback takes it to {}\n", fallback.endpoint)
        }
        Some(fallback) if fallback.enabled => {
            "\nno route matches; the fallback is for device messages only\n".to_owned()
        }
        _ => "\nno route matches and there is no fallback: it stays in the log only\n".to_owned(),
    }
}

fn known(config: &NodeConfig, name: &str) -> Result<(), String> {
    if config.routes.iter().any(|route| route.name == name) {
        return Ok(());
    }
    let names = config.routes.iter().map(|route| route.name.as_str());
    let near = filter::nearest(name, names).map(|near| format!("; did you mean '{near}'?")).unwrap_or_default();
    Err(format!("error: the configuration has no route '{name}'{near}\n"))
}

fn one_line(text: &str) -> String {
    tree::cut(text)
}
