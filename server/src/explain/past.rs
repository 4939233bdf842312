//! `anabranch explain --filter F --since T`: what a filter would have matched, counted over the log. Reads the data folder as it is,
//! also while a node works on it, and changes nothing.

use std::io::IsTerminal;
use std::path::Path;
use std::time::Instant;

use connectors::hub::{self, LogReader};
use engine::filter::{CompileOptions, Filter};
use engine::lane::Rows;
use engine::route::{Matcher, Route, RouteTable};
use indicatif::{ProgressBar, ProgressStyle};
use loadgen::report::grouped;

use super::{Answer, ExplainArgs};
use crate::{render, time_span};

/// Longest piece of a sample's data that is shown.
const SAMPLE_BYTES_MAX: usize = 200;

#[derive(Default)]
struct Found {
    events: u64,
    matched: u64,
    partitions: std::collections::BTreeSet<u32>,
    samples: Vec<String>,
    unreadable: Vec<String>,
    not_json: u64,
    bytes: u64,
    damaged_bytes: u64,
}

/// The answer, or what is wrong with the question.
pub(super) fn explain(args: &ExplainArgs, now_ms: i64, error_color: bool) -> Result<Answer, String> {
    let fail = |reason: String| format!("error: {reason}\n");
    let since_ms = time_span::parse(args.since.as_deref().unwrap_or("now"), now_ms).map_err(fail)?;
    let until_ms = time_span::parse(args.until.as_deref().unwrap_or("now"), now_ms).map_err(fail)?;
    if since_ms >= until_ms {
        return Err(fail(format!(
            "--since {} is not before --until {}",
            time_span::show(since_ms),
            time_span::show(until_ms)
        )));
    }
    let asked = args.filter.as_deref().unwrap_or_default();
    let options = CompileOptions { source: args.source, azure_date_quirk: args.azure_date_quirk };
    let draw = |problems: &[engine::filter::Diagnostic]| render::diagnostics("filter", asked, problems, error_color);
    let (filter, warnings) = Filter::compile(asked, args.dialect, &options).map_err(|problems| draw(&problems))?;
    let route = Route {
        name: "draft".to_owned(),
        source: args.source,
        filter,
        endpoint: 0,
        enabled: true,
        every_source: false,
    };
    let table =
        RouteTable::new(1, &[route], None, vec![std::sync::Arc::from([])]).map_err(|error| fail(error.to_string()))?;
    let dir = args.data_dir.join("log");
    let (reader, recovered) = hub::open_read_only(&dir).map_err(|error| fail(error.to_string()))?;
    let began = Instant::now();
    let mut found = sweep(&reader, &table, since_ms, until_ms, args.show);
    found.unreadable.extend(recovered.damaged);
    let text = tell(&found, &dir, (since_ms, until_ms), began.elapsed().as_secs_f64());
    Ok(Answer { text, warnings: draw(&warnings) })
}

fn sweep(reader: &LogReader, table: &RouteTable, since_ms: i64, until_ms: i64, show: usize) -> Found {
    let mut sweep = reader.sweep(since_ms..=until_ms);
    let bar = ProgressBar::hidden();
    if std::io::stderr().is_terminal() {
        bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        bar.set_length(sweep.segments_left() as u64);
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} segments, {msg}") {
            bar.set_style(style);
        }
    }
    let mut matcher = Matcher::default();
    let mut found = Found::default();
    while let Some(next) = sweep.next() {
        let batch = match next {
            Ok(batch) => batch,
            Err(error) => {
                found.unreadable.push(error.to_string());
                continue;
            }
        };
        let inside = |row: &engine::batch::Row| (since_ms..=until_ms).contains(&row.timestamp_ms);
        let count = batch.rows().iter().filter(|row| inside(row)).count();
        if count == 0 {
            continue;
        }
        found.events += count as u64;
        matcher.run(table, &batch, None);
        let Some(rows) = matcher.rows(0) else { continue };
        let all = 0..batch.rows().len() as u16;
        let rows: Vec<u16> = match rows {
            Rows::All => all.filter(|row| inside(&batch.rows()[usize::from(*row)])).collect(),
            Rows::Some(rows) => rows.iter().copied().filter(|row| inside(&batch.rows()[usize::from(*row)])).collect(),
        };
        if rows.is_empty() {
            continue;
        }
        found.matched += rows.len() as u64;
        found.partitions.insert(batch.partition());
        for row in rows.iter().take(show - found.samples.len().min(show)) {
            found.samples.push(sample(&engine::event::Event::new(&batch, usize::from(*row))));
        }
        bar.set_position(bar.length().unwrap_or(0).saturating_sub(sweep.segments_left() as u64));
        bar.set_message(format!("{} of {} events match", grouped(found.matched), grouped(found.events)));
    }
    bar.finish_and_clear();
    found.not_json = matcher.extracted().not_json;
    (found.bytes, found.damaged_bytes) = (sweep.bytes(), sweep.damaged_bytes());
    found
}

fn sample(event: &engine::event::Event<'_>) -> String {
    let data = String::from_utf8_lossy(event.data().unwrap_or(b"")).replace(['\n', '\r'], " ");
    let mut end = data.len().min(SAMPLE_BYTES_MAX);
    while !data.is_char_boundary(end) {
        end -= 1;
    }
    let more = if end < data.len() { "…" } else { "" };
    let time = time_span::show(event.timestamp_ms());
    format!("  partition {} offset {} {time} {}{more}", event.partition(), event.offset(), &data[..end])
}

fn tell(found: &Found, dir: &Path, (since_ms, until_ms): (i64, i64), took_s: f64) -> String {
    let share = 100.0 * found.matched as f64 / found.events.max(1) as f64;
    let mut text = format!(
        "{} of {} events match ({share:.2} %), in {} partitions\naccepted from {} to {}, in {}\n",
        grouped(found.matched),
        grouped(found.events),
        found.partitions.len(),
        time_span::show(since_ms),
        time_span::show(until_ms),
        dir.display()
    );
    if found.not_json > 0 {
        text.push_str(&format!("{} bodies are not JSON\n", grouped(found.not_json)));
    }
    if found.damaged_bytes > 0 {
        text.push_str(&format!("{} bytes are damaged and were left out\n", grouped(found.damaged_bytes)));
    }
    for problem in &found.unreadable {
        text.push_str(&format!("not read: {problem}\n"));
    }
    text.push_str(&format!(
        "{} bytes of log in {took_s:.2} s: {:.2} GB/s, {} events/s\n",
        grouped(found.bytes),
        found.bytes as f64 / took_s.max(1e-9) / 1e9,
        grouped((found.events as f64 / took_s.max(1e-9)) as u64)
    ));
    if !found.samples.is_empty() {
        text.push_str("the first that match:\n");
        for sample in &found.samples {
            text.push_str(sample);
            text.push('\n');
        }
    }
    text
}
