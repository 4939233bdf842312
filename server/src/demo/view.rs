//! The live view as text: the lines of the terminal view, and the one line a second where there is no terminal. Pure.

use loadgen::report::{grouped, ms};

use super::frame::{DemoFrame, Phase};

/// Critical events shown.
pub const CRITICAL_LINES: usize = 5;

/// The terminal view, line by line; always the same number of lines for the same endpoints.
pub fn lines(frame: &DemoFrame) -> Vec<String> {
    let intake = &frame.intake;
    let mut lines = vec![
        format!(
            "  {} devices over HTTP   {:>12} events/s   acknowledged {}   ack p50 {}  p99 {}",
            grouped(frame.devices.into()),
            rate(intake.per_s),
            grouped(intake.acknowledged),
            ms(intake.p50_us),
            ms(intake.p99_us),
        ),
        format!("  log {}{}", bytes(frame.log_bytes), trouble(frame)),
        String::new(),
        format!(
            "  {:<10} {:<9} {:<27} {:>11} {:>13} {:>13} {:>9}",
            "endpoint", "kind", "filter", "matched/s", "matched", "delivered", "lag"
        ),
    ];
    for endpoint in &frame.endpoints {
        let dead = match endpoint.dead_lettered {
            0 => String::new(),
            dead => format!("  {} dead-lettered", grouped(dead)),
        };
        lines.push(format!(
            "  {:<10} {:<9} {:<27} {:>11} {:>13} {:>13} {:>9}{dead}",
            endpoint.name,
            endpoint.kind,
            endpoint.filter,
            rate(endpoint.matched_per_s),
            grouped(endpoint.matched),
            grouped(endpoint.delivered),
            grouped(endpoint.lag_events),
        ));
    }
    lines.push(String::new());
    lines.push("  live tail, critical events".to_owned());
    let skipped = frame.critical.len().saturating_sub(CRITICAL_LINES);
    let mut critical = frame.critical[skipped..].iter();
    for _ in 0..CRITICAL_LINES {
        lines.push(critical.next().map_or_else(|| "    ·".to_owned(), |line| format!("    {line}")));
    }
    lines
}

/// One line for one second.
pub fn plain_line(frame: &DemoFrame) -> String {
    let intake = &frame.intake;
    let mut line = format!(
        "{:>3.0} s  {}in {}/s  acknowledged {}  p50 {}  p99 {}  log {}",
        frame.elapsed_s,
        if frame.phase == Phase::Draining { "draining  " } else { "" },
        rate(intake.per_s),
        grouped(intake.acknowledged),
        ms(intake.p50_us),
        ms(intake.p99_us),
        bytes(frame.log_bytes),
    );
    for endpoint in &frame.endpoints {
        line.push_str(&format!(
            "  {} {}/s lag {}",
            endpoint.name,
            rate(endpoint.matched_per_s),
            grouped(endpoint.lag_events)
        ));
    }
    line.push_str(&trouble(frame));
    line
}

/// What the bar above the view says.
pub fn headline(frame: &DemoFrame) -> String {
    match frame.phase {
        Phase::Sending => format!("{:.0} of {:.0} s", frame.elapsed_s.min(frame.seconds), frame.seconds),
        Phase::Draining => "draining".to_owned(),
    }
}

fn trouble(frame: &DemoFrame) -> String {
    match (&frame.intake.trouble, frame.intake.retries) {
        (Some(trouble), _) => format!("  retrying: {trouble}"),
        (None, 0) => String::new(),
        (None, retries) => format!("  {} retries", grouped(retries)),
    }
}

fn rate(per_s: f64) -> String {
    grouped(per_s.round().max(0.0) as u64)
}

/// Bytes in the unit one reads them in.
pub fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.2} GB", bytes as f64 / 1e9),
    }
}
