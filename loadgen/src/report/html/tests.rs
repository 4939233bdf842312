//! The page as text: whole, self-contained, safe against hostile strings. And as a real browser draws it, where one is installed.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Instant;

use super::*;
use crate::client::ProgressView;
use crate::histogram::{Latencies, Quantiles};
use crate::watch::Usage;

const HOSTILE: &str =
    "</script><script>alert('1')</script><img src=\"https://evil.example/x\" onerror=alert(2)>&amp;<!--\u{0}";
const VOID: [&str; 4] = ["meta", "br", "img", "link"];

/// A run of so many seconds that stalls once, as numbers that look like one.
fn run(seconds: u32) -> (Series, Latencies) {
    let mut random = fastrand::Rng::with_seed(7);
    let mut series = Series::starting(Instant::now());
    let mut all = Latencies::default();
    let (mut sent, mut retries) = (0, 0);
    for second in 1..=seconds {
        let stalls = second % 60 == 25;
        let mut recent = Latencies::default();
        for _ in 0..2_000 {
            let tail = if random.f64() < 0.01 { 12.0 } else { 1.0 };
            let stall = if stalls { 40.0 } else { 1.0 };
            recent.record_us((450.0 * (1.0 + random.f64() * random.f64() * 3.0) * tail * stall) as u64);
        }
        all.merge(&recent);
        let due = 250_000 + u64::from(second) * 300;
        sent += if stalls { due / 4 } else { due + random.u64(0..9_000) };
        let acknowledged = sent - random.u64(0..2_000);
        retries += if stalls { 17 } else { 0 };
        // Nothing is acknowledged for two seconds: a gap in the lines of latency.
        let recent = if (40..42).contains(&second) { Quantiles::default() } else { recent.quantiles() };
        let view = ProgressView {
            sent_events: sent,
            acknowledged_events: acknowledged,
            retries,
            recent,
            ..ProgressView::default()
        };
        let usage = Usage {
            cpu_cores: if stalls { 0.4 } else { 1.6 + random.f64() * 0.3 },
            resident_bytes: (180 << 20) + u64::from(second) * 700_000 + random.u64(0..3_000_000),
            threads: 6,
        };
        series.push_at(f64::from(second), &view, Some(usage));
    }
    series.intend(|at_s| at_s * 250_150.0 + at_s * at_s * 150.0);
    (series, all)
}

fn report<'a>(series: &'a Series, latencies: &Latencies) -> Report<'a> {
    let fact = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    Report {
        title: "100,000 devices, 250,000 events/s".into(),
        target: "http://node.example/events".into(),
        command: "loadgen http --target http://node.example/events --devices 100000 --rate 250000 --seconds 120 --report run.html"
            .into(),
        started: "2026-11-21 07:30:00 UTC".into(),
        facts: vec![
            fact("sent", "31,968,123"),
            fact("acknowledged", "31,967,800"),
            fact("sent again", "34"),
            fact("retries", "34"),
            fact("MB/s", "61.4"),
            fact("machine", "AMD EPYC 9R14, 2 cores, Linux 6.1"),
        ],
        latency: latencies.percentiles(),
        series,
        warnings: vec!["The generator fell behind its schedule by up to 12 ms: it was the bottleneck for 3 s.".into()],
    }
}

/// The elements of a page in order, as (name, attributes). Panics where a tag is not closed by its own.
fn elements(page: &str) -> Vec<(String, String)> {
    let mut open: Vec<String> = Vec::new();
    let mut found = Vec::new();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        let end = at + rest[at..].find('>').unwrap_or_else(|| panic!("no end: {}", &rest[at..]));
        let tag = &rest[at + 1..end];
        rest = &rest[end + 1..];
        if tag.starts_with('!') {
            continue;
        }
        if let Some(name) = tag.strip_prefix('/') {
            assert_eq!(open.pop().as_deref(), Some(name), "closed out of order");
            continue;
        }
        let (name, attributes) = tag.split_once(' ').unwrap_or((tag, ""));
        assert!(name.chars().all(|char| char.is_ascii_alphanumeric()), "<{tag}>");
        found.push((name.to_owned(), attributes.to_owned()));
        if ["script", "style"].contains(&name) {
            // Raw text: nothing counts but the end tag.
            let close = format!("</{name}>");
            let end = rest.find(&close).unwrap_or_else(|| panic!("{name} is not closed"));
            rest = &rest[end + close.len()..];
        } else if !VOID.contains(&name) {
            open.push(name.to_owned());
        }
    }
    assert!(open.is_empty(), "left open: {open:?}");
    found
}

/// What stands in the element with the data.
fn data(page: &str) -> serde_json::Value {
    let (_, rest) = page.split_once("<script type=\"application/json\" id=\"data\">").expect("the page carries data");
    serde_json::from_str(rest.split_once("</script>").expect("it ends").0).expect("it is JSON")
}

#[test]
fn the_page_is_whole_and_carries_its_data() {
    let (series, latencies) = run(120);
    let page = page(&report(&series, &latencies));
    let elements = elements(&page);
    let count = |name: &str| elements.iter().filter(|(found, _)| found == name).count();
    assert_eq!((count("html"), count("h1"), count("figure"), count("table"), count("script")), (1, 1, 6, 2, 3));
    let data = data(&page);
    for column in ["at_s", "intended", "sent", "acknowledged", "p50", "p999", "max", "cpu", "memory", "retries"] {
        assert_eq!(data[column].as_array().unwrap().len(), 120, "{column}");
    }
    assert_eq!(data["intended"][0].as_f64(), Some(250_300.0));
    assert_eq!(data["p50"][40], serde_json::Value::Null, "nothing was acknowledged then");
    assert_eq!(data["nines"].as_array().unwrap().len(), latencies.percentiles().len() - 1);
    for text in [
        "<td class=\"number\">31,967,800</td>",
        "99.99 %",
        "coordinated omission",
        "fell behind",
        "A point stands for a second.",
    ] {
        assert!(page.contains(text), "{text}");
    }
}

#[test]
fn nothing_is_fetched_from_anywhere() {
    let (series, latencies) = run(5);
    let mut report = report(&series, &latencies);
    report.target = "https://broker.example:8883/".into();
    let page = page(&report);
    assert!(page.contains("https://broker.example"), "a target may be named");
    for (name, attributes) in elements(&page) {
        let fetches = ["src=", "href=", "srcset=", "action=", "url("].iter().any(|word| attributes.contains(word));
        assert!(!fetches && name != "link" && name != "img" && name != "iframe", "<{name} {attributes}>");
    }
    assert!(page.contains("default-src 'none'"));
    for style in [UPLOT_CSS, PAGE_CSS] {
        assert!(!style.contains("url(") && !style.contains("@import"));
    }
}

#[test]
fn what_is_built_in_may_stand_inside_its_element() {
    for script in [UPLOT_JS, PAGE_JS] {
        assert!(!script.contains("</") && !script.contains("<!--"));
    }
    assert!(!UPLOT_CSS.contains("</") && !PAGE_CSS.contains("</"));
    assert!(UPLOT_JS.contains("v1.6.32"), "the version that the page and the table of dependencies name");
    assert!(
        UPLOT_LICENSE.starts_with("The MIT License") && !UPLOT_LICENSE.contains("*/") && !UPLOT_LICENSE.contains("</")
    );
}

#[test]
fn hostile_strings_stay_text() {
    let (series, latencies) = run(5);
    let plain = elements(&page(&report(&series, &latencies)));
    let mut hostile = report(&series, &latencies);
    hostile.title = HOSTILE.into();
    hostile.target = HOSTILE.into();
    hostile.command = HOSTILE.into();
    hostile.started = HOSTILE.into();
    hostile.warnings = vec![HOSTILE.into()];
    for (name, value) in &mut hostile.facts {
        *name = HOSTILE.into();
        *value = HOSTILE.into();
    }
    let page = page(&hostile);
    assert_eq!(elements(&page), plain, "not one element more, not one attribute else");
    assert!(page.contains("&lt;/script&gt;&lt;script&gt;alert(&#39;1&#39;)") && page.contains("&amp;amp;"));
    assert!(!page.contains('\0') && !page.contains("<img"));
}

#[test]
fn a_run_without_anything_still_has_a_page() {
    let series = Series::default();
    let mut report = report(&series, &Latencies::default());
    report.warnings.clear();
    let page = page(&report);
    elements(&page);
    assert!(!page.contains("Before you trust") && !page.contains("NaN") && !page.contains("inf"));
    assert_eq!(data(&page)["at_s"].as_array().unwrap().len(), 0);
}

#[test]
fn the_page_of_a_day_is_small() {
    let mut series = Series::default();
    for second in 1..=86_400_u32 {
        let view = ProgressView {
            sent_events: 1_000_000 * u64::from(second),
            acknowledged_events: 1_000_000 * u64::from(second),
            recent: Quantiles {
                count: 9,
                p50_us: 123,
                p90_us: 1_234,
                p99_us: 12_345,
                p999_us: 123_456,
                max_us: 1_234_567,
            },
            ..ProgressView::default()
        };
        series.push_at(f64::from(second), &view, None);
    }
    let page = page(&report(&series, &Latencies::default()));
    assert!(page.len() < 1_000_000, "{}", page.len());
    assert!(page.contains("A point stands for about 32 seconds."));
    assert_eq!(data(&page)["sent"][0].as_f64(), Some(1_000_000.0));
}

#[test]
fn a_browser_draws_every_chart() {
    let Some(browser) = browser() else {
        skipped("no browser has drawn the page");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    // For somebody who wants to look at the pages: LOADGEN_PAGES=folder.
    let keep = std::env::var_os("LOADGEN_PAGES").map(PathBuf::from);
    let (series, latencies) = run(120);
    let bare = Series::default();
    let whole = report(&series, &latencies);
    let hostile =
        Report { title: HOSTILE.into(), command: HOSTILE.into(), warnings: vec![HOSTILE.into()], ..whole.clone() };
    let one_second = run(1);
    let cases = [
        ("whole", page(&whole), 6, 6),
        ("hostile", page(&hostile), 6, 6),
        ("second", page(&report(&one_second.0, &one_second.1)), 5, 5),
        ("nothing", page(&report(&bare, &Latencies::default())), 0, 0),
    ];
    for (name, page, charts, canvases) in cases {
        let file = folder.path().join(format!("{name}.html"));
        if let Some(keep) = &keep {
            std::fs::write(keep.join(format!("{name}.html")), &page).unwrap();
        }
        std::fs::write(&file, page).unwrap();
        let output = drawn(&browser, folder.path(), &file);
        let dom = String::from_utf8_lossy(&output.stdout);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{name}: {}: {said}", output.status);
        assert!(!dom.contains("data-error="), "{name}: {}", &dom[..dom.len().min(300)]);
        assert!(dom.contains(&format!("data-charts=\"{charts}\"")), "{name}: {}", &dom[..dom.len().min(300)]);
        assert_eq!(dom.matches("<canvas").count(), canvases, "{name}");
        // The policy speaks up on the console when anything tries to load; so does a script that fails.
        assert!(!said.contains("CONSOLE"), "{name}: {said}");
    }
}

#[test]
fn a_mouse_over_a_chart_shows_the_values_there() {
    let Some(browser) = browser() else {
        skipped("nobody has pointed at a chart");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("pointed.html");
    let (series, latencies) = run(120);
    let point = "<script>setTimeout(() => { for (const over of document.querySelectorAll('.u-over')) {\n\
        const box = over.getBoundingClientRect();\n\
        const at = { clientX: box.left + box.width * 0.999, clientY: box.top + 20, bubbles: true };\n\
        over.dispatchEvent(new MouseEvent('mousemove', at));\n} }, 100)</script></body>";
    std::fs::write(&file, page(&report(&series, &latencies)).replace("</body>", point)).unwrap();
    let dom = String::from_utf8_lossy(&drawn(&browser, folder.path(), &file).stdout).into_owned();
    let legend = |id: &str| -> Vec<&str> {
        let (_, chart) = dom.split_once(&format!("id=\"{id}\"")).expect("the chart is there");
        let (chart, _) = chart.split_once("</figure>").expect("it ends");
        chart.split("u-value\">").skip(1).filter_map(|rest| rest.split('<').next()).collect()
    };
    let last = series.seconds[119];
    let thousands = |events: u64| format!("{} k", (events as f64 / 1e3).round());
    let rate = legend("rate");
    assert_eq!(rate[..3], ["2:00".to_owned(), thousands(last.sent_events), thousands(last.acknowledged_events)]);
    assert_eq!(legend("latency").len(), 6);
    assert_eq!(legend("latency")[1], format!("{} µs", last.latency.p50_us));
    assert_eq!(legend("distribution")[0], "99.999 %");
    assert!(legend("memory")[1].ends_with(" MiB"), "{:?}", legend("memory"));
    assert_eq!(legend("cpu")[1].parse::<f64>().unwrap(), (last.cpu_cores.unwrap() * 100.0).round() / 100.0);
}

/// A page as the browser has it after its scripts ran, within a minute.
fn drawn(browser: &Path, folder: &Path, file: &Path) -> Output {
    Command::new("timeout")
        .args(["--kill-after=5", "60"])
        .arg(browser)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--enable-logging=stderr",
        ])
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .args(["--virtual-time-budget=2000", "--dump-dom"])
        .arg(format!("file://{}", file.display()))
        .output()
        .unwrap()
}

/// Past the capture of test output, which would swallow it.
fn skipped(so: &str) {
    let _ = writeln!(std::io::stderr(), "!!! SKIPPED: no chromium in PATH, so {so} (apt-get install chromium)");
}

fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let places: Vec<PathBuf> = std::env::split_paths(&path).collect();
    names.iter().find_map(|name| places.iter().map(|place| place.join(name)).find(|file| file.is_file()))
}
