//! How a run went, as a table for people and as JSON for programs.

pub mod html;
pub mod knee;

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::histogram::{Latencies, Quantiles};
use crate::ledger::Ledger;

/// What a client knows at the end of a run.
#[derive(Debug)]
pub struct Figures<'a> {
    /// What was sent and acknowledged.
    pub ledger: &'a Ledger,
    /// The far end gives receipts.
    pub receipts: bool,
    /// From intended send time to receipt.
    pub latencies: &'a Latencies,
    /// From the first event to the last receipt.
    pub elapsed: Duration,
    /// Requests or messages that got a receipt.
    pub requests: u64,
    /// Attempts without a receipt.
    pub retries: u64,
    /// Bytes of payloads sent.
    pub bytes: u64,
}

/// The figures of one run.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Events whose first attempt began.
    pub sent_events: u64,
    /// Events with a receipt.
    pub acknowledged_events: u64,
    /// Events that went out more than once.
    pub repeated_events: u64,
    /// Events given up without a receipt.
    pub unknown_events: u64,
    /// Requests or messages that got a receipt.
    pub requests: u64,
    /// Attempts without a receipt.
    pub retries: u64,
    /// Bytes of payloads sent.
    pub bytes: u64,
    /// Seconds from the first event to the last receipt.
    pub seconds: f64,
    /// Acknowledged events per second; sent ones where there are no receipts.
    pub events_per_s: f64,
    /// The far end gives receipts.
    pub receipts: bool,
    /// From intended send time to receipt.
    pub latency: Quantiles,
    /// The same by percentile, as far as there are values.
    pub percentiles: Vec<(f64, u64)>,
}

impl Summary {
    /// Of what a client knows.
    pub fn of(figures: &Figures<'_>) -> Self {
        let (ledger, seconds) = (figures.ledger, figures.elapsed.as_secs_f64());
        let done = if figures.receipts { ledger.acknowledged_events() } else { ledger.sent_events() };
        Self {
            sent_events: ledger.sent_events(),
            acknowledged_events: ledger.acknowledged_events(),
            repeated_events: ledger.repeated_events(),
            unknown_events: ledger.unknown_events(),
            requests: figures.requests,
            retries: figures.retries,
            bytes: figures.bytes,
            seconds,
            events_per_s: if seconds > 0.0 { done as f64 / seconds } else { 0.0 },
            receipts: figures.receipts,
            latency: figures.latencies.quantiles(),
            percentiles: figures.latencies.percentiles(),
        }
    }

    /// Everything sent was acknowledged, or nothing ever is.
    pub fn is_complete(&self) -> bool {
        !self.receipts || self.sent_events == self.acknowledged_events
    }

    /// Name and value, for a table.
    pub fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![("sent".to_owned(), grouped(self.sent_events))];
        let mut add = |name: &str, value: String| facts.push((name.to_owned(), value));
        if self.receipts {
            add("acknowledged", grouped(self.acknowledged_events));
            add("sent again", grouped(self.repeated_events));
            add("given up", grouped(self.unknown_events));
            add("receipts", grouped(self.requests));
        } else {
            add("acknowledged", "no receipts here".to_owned());
        }
        add("retries", grouped(self.retries));
        add("seconds", format!("{:.3}", self.seconds));
        add("events/s", grouped(self.events_per_s as u64));
        add("MB/s", format!("{:.1}", self.bytes as f64 / 1e6 / self.seconds.max(1e-9)));
        facts
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in self.facts() {
            writeln!(f, "  {name:<18}{value:>16}")?;
        }
        write!(f, "  latency          ")?;
        if self.percentiles.is_empty() {
            write!(f, " nothing was measured")?;
        }
        for (percentile, us) in self.percentiles.iter().filter(|(percentile, _)| TOLD.contains(percentile)) {
            match *percentile {
                100.0 => write!(f, " max {}", ms(*us))?,
                percentile => write!(f, " p{percentile} {} ", ms(*us))?,
            }
        }
        Ok(())
    }
}

/// Percentiles of the table.
const TOLD: [f64; 6] = [50.0, 90.0, 99.0, 99.9, 99.99, 100.0];

/// `1234567` as `1,234,567`.
pub fn grouped(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Microseconds as milliseconds with as many digits as one reads.
pub fn ms(us: u64) -> String {
    let ms = us as f64 / 1e3;
    match us {
        0..10_000 => format!("{ms:.2} ms"),
        10_000..100_000 => format!("{ms:.1} ms"),
        _ => format!("{ms:.0} ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_grouped_by_thousands() {
        let cases = [(0, "0"), (999, "999"), (1_000, "1,000"), (123_456, "123,456"), (1_234_567, "1,234,567")];
        for (value, text) in cases {
            assert_eq!(grouped(value), text);
        }
    }

    #[test]
    fn times_keep_three_digits_or_so() {
        assert_eq!([ms(0), ms(1_234), ms(12_345), ms(123_456)], ["0.00 ms", "1.23 ms", "12.3 ms", "123 ms"]);
    }
}
