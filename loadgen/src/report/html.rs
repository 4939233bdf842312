//! The report of a run as one HTML file with its charts, to be opened years later on a machine without a network.
//!
//! What always holds: the page carries all it needs, a policy in it forbids the browser to fetch anything, and every string that
//! comes from outside stands in it escaped.

use std::fmt::{self, Display, Write};

use super::{grouped, ms};
use crate::series::Series;

mod data;

#[cfg(test)]
mod tests;

const UPLOT_JS: &str = include_str!("../../assets/uplot/uPlot.iife.min.js");
const UPLOT_CSS: &str = include_str!("../../assets/uplot/uPlot.min.css");
const UPLOT_LICENSE: &str = include_str!("../../assets/uplot/LICENSE");
const PAGE_CSS: &str = include_str!("../../assets/report.css");
const PAGE_JS: &str = include_str!("../../assets/report.js");

/// Nothing may be loaded, sent or framed; what the page itself holds may run.
const POLICY: &str =
    "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// What a page tells.
#[derive(Clone, Debug)]
pub struct Report<'a> {
    /// The heading.
    pub title: String,
    /// What was sent to.
    pub target: String,
    /// The command that repeats the run.
    pub command: String,
    /// When the run began, as text for people.
    pub started: String,
    /// The table of the summary: name and value, in order.
    pub facts: Vec<(String, String)>,
    /// Latency by percentile (0 to 100), in microseconds, rising.
    pub latency: Vec<(f64, u64)>,
    /// The run over time.
    pub series: &'a Series,
    /// What a reader must know before believing the figures.
    pub warnings: Vec<String>,
}

/// The whole page.
pub fn page(report: &Report<'_>) -> String {
    let data = data::Data::of(report);
    let mut page = String::with_capacity(160 << 10);
    // A string takes whatever is written to it.
    let _ = write(&mut page, report, &data);
    page
}

fn write(page: &mut String, report: &Report<'_>, data: &data::Data) -> fmt::Result {
    let title = Text(&report.title);
    write!(
        page,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"{POLICY}\">\n<title>{title}</title>\n\
         <style>{UPLOT_CSS}</style>\n<style>{PAGE_CSS}</style>\n</head>\n<body>\n<main>\n\
         <header>\n<h1>{title}</h1>\n<p class=\"about\">To {}, started {}.</p>\n<pre>{}</pre>\n</header>\n",
        Text(&report.target),
        Text(&report.started),
        Text(&report.command),
    )?;
    warnings(page, &report.warnings)?;
    tiles(page, report)?;
    writeln!(
        page,
        "<noscript><p class=\"nothing\">The charts need JavaScript; the tables below do not.</p></noscript>"
    )?;
    chart(
        page,
        "rate",
        "Events per second",
        &format!(
            "Intended is what the schedule asked for, sent what went out for the first time, acknowledged what got a receipt. {}",
            data.resolution()
        ),
        "Nothing was sent.",
    )?;
    chart(
        page,
        "latency",
        "Latency over time",
        "From the time at which a request or message was intended to be sent to its receipt, of those acknowledged at that time.",
        "Nothing was acknowledged.",
    )?;
    chart(
        page,
        "distribution",
        "Latency by percentile",
        "Of the whole run. Each step to the right is ten times rarer: at 99.9&nbsp;%, one in a thousand took longer.",
        "Nothing was acknowledged.",
    )?;
    let unwatched = "No process was watched in this run.";
    chart(
        page,
        "cpu",
        "Processor time of the watched process",
        "User and system time, in cores kept busy.",
        unwatched,
    )?;
    chart(page, "memory", "Memory of the watched process", "Resident (VmRSS).", unwatched)?;
    if data.has_retries() {
        chart(
            page,
            "retries",
            "Retries per second",
            "Attempts that ended without a receipt and were repeated.",
            "None.",
        )?;
    }
    tables(page, report)?;
    method(page)?;
    write!(
        page,
        "<footer>Charts by uPlot 1.6.32 (MIT). Drag over a chart to look closer, double-click to see all of it again.</footer>\n\
         </main>\n<script type=\"application/json\" id=\"data\">{}</script>\n<script>/* uPlot 1.6.32\n{UPLOT_LICENSE}*/\n{UPLOT_JS}</script>\n\
         <script>{PAGE_JS}</script>\n</body>\n</html>\n",
        data.json(),
    )
}

fn warnings(page: &mut String, warnings: &[String]) -> fmt::Result {
    if warnings.is_empty() {
        return Ok(());
    }
    page.write_str("<section class=\"warnings\" role=\"note\">\n<h2>Before you trust these figures</h2>\n<ul>\n")?;
    for warning in warnings {
        writeln!(page, "<li>{}</li>", Text(warning))?;
    }
    page.write_str("</ul>\n</section>\n")
}

/// The few figures one looks for first.
fn tiles(page: &mut String, report: &Report<'_>) -> fmt::Result {
    let seconds = &report.series.seconds;
    let acknowledged: u64 = seconds.iter().map(|second| second.acknowledged_events).sum();
    let length_s = seconds.last().map_or(0.0, |second| second.at_s);
    page.write_str("<ul class=\"tiles\">\n")?;
    let mut tile =
        |name: &str, value: &str| writeln!(page, "<li><span>{}</span><b>{}</b></li>", Text(name), Text(value));
    if length_s > 0.0 {
        tile("acknowledged", &grouped(acknowledged))?;
        tile("events/s, mean", &grouped((acknowledged as f64 / length_s).round() as u64))?;
    }
    for (percentile, name) in
        [(50.0, "latency p50"), (99.0, "latency p99"), (99.9, "latency p99.9"), (100.0, "latency, slowest")]
    {
        if let Some((_, us)) = report.latency.iter().find(|(at, _)| *at == percentile) {
            tile(name, &ms(*us))?;
        }
    }
    page.write_str("</ul>\n")
}

fn chart(page: &mut String, id: &str, heading: &str, caption: &str, nothing: &str) -> fmt::Result {
    write!(
        page,
        "<figure>\n<h2>{heading}</h2>\n<figcaption>{caption}</figcaption>\n\
         <div class=\"chart\" id=\"{id}\"><p class=\"nothing\">{nothing}</p></div>\n</figure>\n"
    )
}

fn tables(page: &mut String, report: &Report<'_>) -> fmt::Result {
    page.write_str("<div class=\"tables\">\n<section>\n<h2>Summary</h2>\n<table>\n<tbody>\n")?;
    for (name, value) in &report.facts {
        writeln!(page, "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td></tr>", Text(name), Text(value))?;
    }
    page.write_str("</tbody>\n</table>\n</section>\n")?;
    if !report.latency.is_empty() {
        page.write_str(
            "<section>\n<h2>Latency by percentile</h2>\n<table>\n<thead><tr><th scope=\"col\">percentile</th>\
             <th scope=\"col\" class=\"number\">at most</th></tr></thead>\n<tbody>\n",
        )?;
        for (percentile, us) in &report.latency {
            let name = if *percentile >= 100.0 { "slowest".to_owned() } else { format!("{percentile} %") };
            writeln!(
                page,
                "<tr><th scope=\"row\">{}</th><td class=\"number\">{}</td></tr>",
                Text(&name),
                Text(&ms(*us))
            )?;
        }
        page.write_str("</tbody>\n</table>\n</section>\n")?;
    }
    page.write_str("</div>\n")
}

fn method(page: &mut String) -> fmt::Result {
    page.write_str(
        "<section>\n<h2>How latency was measured</h2>\n\
         <p>At a given rate every request or message has a time at which it is to be sent, fixed before the run. Its latency counts from that time to its \
         receipt, not from the moment at which it went out. A target that stalls is therefore charged for every one that had to wait \
         meanwhile, not only for the one that was on its way: the figures are free of coordinated omission.</p>\n\
         <p>Without a given rate (closed loop) the next goes out when the one before it has its receipt, so latency counts from \
         the send, and a stall shows as a lower rate instead.</p>\n\
         <p>Latencies are kept in HDR histograms with three digits. In long runs, where a point stands for more than a second, it shows \
         the worst of its seconds.</p>\n</section>\n",
    )
}

/// A string as text of an element or value of a quoted attribute.
struct Text<'a>(&'a str);

impl Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for char in self.0.chars() {
            match char {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Not allowed in HTML, and nothing that one could read.
                '\0'..='\u{8}' | '\u{b}'..='\u{1f}' | '\u{7f}' => f.write_char('\u{fffd}')?,
                char => f.write_char(char)?,
            }
        }
        Ok(())
    }
}
