//! `anabranch explain`: what a filter answers for one event, and why; or how much of the past it would have matched. Reads,
//! touches nothing.

mod event;
mod past;
mod routes;
mod tree;

#[cfg(test)]
mod tests;

use std::io::{IsTerminal, Read, Write};
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use engine::event::Event;
use engine::filter::{self, CompileOptions, Dialect, Filter, Source};
use engine::limits;
use engine::parse::Parser;

use crate::render;

/// Show what a filter answers for one event, with the value of every part of it and the reason.
#[derive(Clone, Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("asked").required(true).args(["filter", "routes"])))]
pub struct ExplainArgs {
    /// The filter, for example "temp > 30 AND status = 'ok'".
    #[arg(long, short, value_name = "FILTER")]
    pub filter: Option<String>,
    /// Instead of one filter: a configuration, of which all routes are tried. Shows which match, what rejected the others, and
    /// how each of them is found.
    #[arg(long, value_name = "CONFIG")]
    pub routes: Option<std::path::PathBuf>,
    /// Of the configuration's routes only this one, with the value of every part of its filter.
    #[arg(long, value_name = "NAME", requires = "routes")]
    pub route: Option<String>,
    /// Show every route that does not match, not only the first 20.
    #[arg(long, requires = "routes")]
    pub all: bool,
    /// Language of the filter: anabranch, iothub, digitaltwins, eventgrid or mqtt.
    #[arg(long, short, value_name = "NAME", default_value = "anabranch", value_parser = dialect)]
    pub dialect: Dialect,
    /// Source of the route, for functions that exist for one source only.
    #[arg(long, value_name = "NAME", default_value = "DeviceMessages", value_parser = source)]
    pub source: Source,
    /// Take strings of the data that look like a date for undefined, as Azure IoT Hub does (dialect iothub).
    #[arg(long)]
    pub azure_date_quirk: bool,
    /// File with the event: CloudEvents JSON or plain JSON data; - is standard input.
    #[arg(long, short, value_name = "FILE", required_unless_present = "since")]
    pub event: Option<String>,
    /// Instead of one event: count what the filter matches among the events accepted since then, for example 2h, 15m, 7d or
    /// 2026-11-21T04:00:00Z. Reads the data folder of a node, which may be running.
    #[arg(long, value_name = "TIME", conflicts_with_all = ["event", "routes", "property", "system"])]
    pub since: Option<String>,
    /// With --since: only events accepted until then.
    #[arg(long, value_name = "TIME", requires = "since")]
    pub until: Option<String>,
    /// With --since: folder of the node's data.
    #[arg(long, env = "ANABRANCH_DATA_DIR", value_name = "DIR", default_value = "./data")]
    pub data_dir: std::path::PathBuf,
    /// With --since: how many of the events that match to show.
    #[arg(long, value_name = "COUNT", default_value_t = 3, requires = "since")]
    pub show: usize,
    /// An application property of the event; without = it has no value. May be repeated.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub property: Vec<String>,
    /// A system property of IoT Hub, for example connectionDeviceId=dev1. May be repeated.
    #[arg(long, short, value_name = "NAME=VALUE")]
    pub system: Vec<String>,
}

fn dialect(name: &str) -> Result<Dialect, String> {
    Dialect::by_name(name).ok_or_else(|| format!("the dialects are {}", Dialect::ALL.map(Dialect::name).join(", ")))
}

fn source(name: &str) -> Result<Source, String> {
    Source::by_name(name).ok_or_else(|| format!("the sources are {}", Source::ALL.map(Source::name).join(", ")))
}

/// Runs the command: the answer goes to standard output, what prevents one to standard error. Success means that there was an
/// answer, whichever; 2 that the filter or the event was refused.
pub fn run(args: ExplainArgs) -> ExitCode {
    let color = |terminal: bool| terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
    let out_color = color(std::io::stdout().is_terminal());
    let error_color = color(std::io::stderr().is_terminal());
    let timestamp_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_millis() as i64);
    let answer =
        match (&args.since, &args.event) {
            (Some(_), _) => past::explain(&args, timestamp_ms, error_color),
            (None, event) => read(event.as_deref().unwrap_or("-"))
                .map_err(|reason| format!("error: {reason}\n"))
                .and_then(|bytes| match &args.routes {
                    Some(path) => routes::explain(&args, path, &bytes, timestamp_ms, out_color),
                    None => explain(&args, &bytes, timestamp_ms, out_color, error_color),
                }),
        };
    match answer {
        Ok(Answer { text, warnings }) => {
            eprint!("{warnings}");
            // A closed pipe is the reader's choice.
            let _ = std::io::stdout().write_all(text.as_bytes());
            ExitCode::SUCCESS
        }
        Err(text) => {
            eprint!("{text}");
            ExitCode::from(2)
        }
    }
}

fn read(name: &str) -> Result<Vec<u8>, String> {
    // A document may be larger than the event in it: names, escapes, base64.
    let most = 4 * limits::EVENT_BYTES_MAX as u64;
    let mut bytes = Vec::new();
    let read = if name == "-" {
        std::io::stdin().lock().take(most + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(name).and_then(|file| file.take(most + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("the event cannot be read from {name}: {error}"))?;
    if bytes.len() as u64 > most {
        return Err(format!("{name} has more than {most} bytes: that is no single event"));
    }
    Ok(bytes)
}

struct Answer {
    text: String,
    warnings: String,
}

/// The command without the world.
fn explain(
    args: &ExplainArgs,
    bytes: &[u8],
    timestamp_ms: i64,
    out_color: bool,
    error_color: bool,
) -> Result<Answer, String> {
    let options = CompileOptions { source: args.source, azure_date_quirk: args.azure_date_quirk };
    let asked = args.filter.as_deref().unwrap_or_default();
    let draw = |problems: &[filter::Diagnostic]| render::diagnostics("filter", asked, problems, error_color);
    let (filter, warnings) = Filter::compile(asked, args.dialect, &options).map_err(|problems| draw(&problems))?;
    let read = event::read(bytes, &args.property, &args.system, timestamp_ms)
        .map_err(|reason| format!("error: {reason}\n"))?;
    let event = Event::new(&read.batch, 0);

    let mut parser = Parser::default();
    let mut room = String::new();
    let mut note = None;
    let text = if !filter.reads_body() {
        None
    } else if args.dialect.body_readable(&event) {
        filter::body_text(&event, &mut room)
    } else {
        note = Some("the data is not read: its content type or content encoding is not that of JSON text".to_owned());
        None
    };
    let document = match text.map(|text| parser.parse(text)) {
        Some(Ok(document)) => Some(document),
        Some(Err(error)) => {
            note = Some(format!("the data is not JSON: {error}"));
            None
        }
        None => None,
    };
    let body = document.as_ref().map(|document| document.root());

    let truth = filter.eval(&event, body);
    let routed = if truth.is_true() { "the event matches" } else { "the event does not match" };
    let mut text = format!("{truth}: {routed}\nread as {}, filter in dialect {}\n", read.what, args.dialect);
    if let Some(note) = note {
        text.push_str(&format!("note: {note}\n"));
    }
    text.push('\n');
    text.push_str(&tree::draw(asked, &filter.trace(&event, body), out_color));
    Ok(Answer { text, warnings: draw(&warnings) })
}
