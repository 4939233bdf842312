//! A template to a page. Lines of their own: `{{table SUITE …}}`, `{{chart NAME}}`, `{{records}}`, and `{{if SUITE}}` to `{{end}}` for
//! what is there only once a record is. Within a line: `{{value SUITE FIELD case="…" …}}`, `{{date SUITE}}`, `{{commit SUITE}}`,
//! `{{machine SUITE}}`. What is not known, or has no record, is an error with its line.

use std::collections::BTreeMap;

use crate::record::Record;

use super::directive::Directive;
use super::{figure, select, table};
use crate::curves;

const HEAD: &str =
    "<!-- Generated from bench/performance.md.in and bench/records by `cargo run --release -p bench -- docs`. -->\n";

/// What came of a template.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) text: String,
    /// Name and drawing of each chart that the page shows.
    pub(super) charts: Vec<(String, String)>,
}

type Records = BTreeMap<String, Record>;

/// The page; an error begins with the number of the line.
pub(super) fn render(template: &str, records: &Records) -> Result<Page, String> {
    let mut page = Page { text: HEAD.to_owned(), charts: Vec::new() };
    // The line of an `if` without its `end`, and whether its suite has a record.
    let mut open: Option<(usize, bool)> = None;
    for (index, line) in template.lines().enumerate() {
        let at = |error: String| format!("{}: {error}", index + 1);
        let alone =
            line.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}")).filter(|text| !text.contains("}}"));
        let alone = alone.map(Directive::parse).transpose().map_err(at)?;
        match alone.as_ref().map(|directive| directive.words[0].as_str()) {
            Some("if") if open.is_some() => return Err(at("an `if` stands in another".into())),
            Some("if") => {
                let suite = alone.as_ref().map(|directive| directive.word(1, "a suite")).transpose().map_err(at)?;
                open = Some((index, suite.is_some_and(|suite| records.contains_key(suite))));
            }
            Some("end") => open = open.map(|_| None).ok_or_else(|| at("an `end` without its `if`".into()))?,
            _ if open.is_some_and(|(_, there)| !there) => {}
            _ => {
                match &alone {
                    Some(directive) => page.text.push_str(&block(directive, records, &mut page.charts).map_err(at)?),
                    None => page.text.push_str(&inline(line, records).map_err(at)?),
                }
                page.text.push('\n');
                // What an `if` leaves out leaves no gap.
                if page.text.ends_with("\n\n\n") {
                    page.text.pop();
                }
            }
        }
    }
    match open {
        Some((index, _)) => Err(format!("{}: an `if` without its `end`", index + 1)),
        None => Ok(page),
    }
}

/// What a line of its own stands for.
fn block(directive: &Directive, records: &Records, charts: &mut Vec<(String, String)>) -> Result<String, String> {
    match directive.words[0].as_str() {
        "table" => {
            directive.words_max(2)?;
            Ok(table::table(&select::rows(record(directive, records)?, directive)?))
        }
        "chart" => {
            directive.words_max(2)?;
            let name = directive.word(1, "the name of a chart")?;
            let (title, svg) = curves::draw(name, records)?;
            charts.push((name.to_owned(), svg));
            Ok(format!("![{title}]({name}.svg)"))
        }
        "records" => {
            directive.words_max(1)?;
            let on = |record: &Record| format!("{}; {}", record.machine, record.instructions);
            let first = records.values().next().map(on).unwrap_or_default();
            let is_one = records.values().all(|record| on(record) == first);
            let mut text = match is_one {
                true => format!("All on {first}.\n\n| suite | measured | commit |\n|---|---|---|"),
                false => "| suite | measured | commit | machine |\n|---|---|---|---|".to_owned(),
            };
            for record in records.values() {
                text.push_str(&format!("\n| `{}` | {} | {} |", record.suite, record.date, record.commit));
                if !is_one {
                    text.push_str(&format!(" {} |", on(record)));
                }
            }
            Ok(text)
        }
        _ => figure(directive, records),
    }
}

/// A line with the figures in it.
fn inline(line: &str, records: &Records) -> Result<String, String> {
    let mut out = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, behind) = after.split_once("}}").ok_or("`{{` without `}}` in this line")?;
        out.push_str(before);
        out.push_str(&figure(&Directive::parse(inner)?, records)?);
        rest = behind;
    }
    out.push_str(rest);
    Ok(out)
}

fn figure(directive: &Directive, records: &Records) -> Result<String, String> {
    match directive.words[0].as_str() {
        "value" => {
            directive.words_max(3)?;
            let name = directive.word(2, "a field behind the suite")?;
            let rows = select::rows(record(directive, records)?, directive)?;
            let mut found = rows.iter().map(|row| figure::field(row, name)).collect::<Result<Vec<_>, _>>()?;
            found.dedup();
            match found.as_slice() {
                [one] => Ok(one.clone()),
                _ => Err(format!("{} are meant: say case, metric, peer or kernel", found.join(", "))),
            }
        }
        "date" => simple(directive, records, |record| &record.date),
        "commit" => simple(directive, records, |record| &record.commit),
        "machine" => simple(directive, records, |record| &record.machine),
        "table" | "chart" | "records" | "if" | "end" => {
            Err(format!("'{}' stands on a line of its own, without spaces around it", directive.words[0]))
        }
        unknown => Err(format!(
            "'{unknown}' is not known: table, chart, records, if, end, value, date, commit and machine are"
        )),
    }
}

fn simple(directive: &Directive, records: &Records, of: fn(&Record) -> &str) -> Result<String, String> {
    directive.words_max(2)?;
    Ok(of(record(directive, records)?).to_owned())
}

fn record<'a>(directive: &Directive, records: &'a Records) -> Result<&'a Record, String> {
    let suite = directive.word(1, "a suite")?;
    records.get(suite).ok_or_else(|| {
        let known: Vec<&str> = records.keys().map(String::as_str).collect();
        format!("suite {suite} has no record in bench/records: there is {}", known.join(", "))
    })
}
