//! How a run went, as a table for people and as JSON for programs.

pub mod html;

use std::fmt;

use serde::Serialize;

use crate::client::http::HttpOutcome;
use crate::histogram::Quantiles;

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
    /// Requests that got a receipt.
    pub requests: u64,
    /// Attempts without a receipt.
    pub retries: u64,
    /// Bytes of bodies sent.
    pub bytes: u64,
    /// Seconds from the first batch to the last receipt.
    pub seconds: f64,
    /// Acknowledged events per second.
    pub events_per_s: f64,
    /// From intended send time to receipt, per batch.
    pub latency: Quantiles,
}

impl Summary {
    /// Of a run over HTTP.
    pub fn of(outcome: &HttpOutcome) -> Self {
        let seconds = outcome.elapsed.as_secs_f64();
        let acknowledged_events = outcome.ledger.acknowledged_events();
        Self {
            sent_events: outcome.ledger.sent_events(),
            acknowledged_events,
            repeated_events: outcome.ledger.repeated_events(),
            unknown_events: outcome.ledger.unknown_events(),
            requests: outcome.requests,
            retries: outcome.retries,
            bytes: outcome.bytes,
            seconds,
            events_per_s: if seconds > 0.0 { acknowledged_events as f64 / seconds } else { 0.0 },
            latency: outcome.latencies.quantiles(),
        }
    }

    /// Everything sent was acknowledged.
    pub fn is_complete(&self) -> bool {
        self.sent_events == self.acknowledged_events
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count =
            |f: &mut fmt::Formatter<'_>, name: &str, value: u64| writeln!(f, "  {name:<16}{:>15}", grouped(value));
        count(f, "sent", self.sent_events)?;
        count(f, "acknowledged", self.acknowledged_events)?;
        count(f, "sent again", self.repeated_events)?;
        count(f, "given up", self.unknown_events)?;
        count(f, "receipts", self.requests)?;
        count(f, "retries", self.retries)?;
        writeln!(f, "  {:<16}{:>15}", "seconds", format!("{:.3}", self.seconds))?;
        count(f, "events/s", self.events_per_s as u64)?;
        writeln!(f, "  {:<16}{:>15}", "MB/s", format!("{:.1}", self.bytes as f64 / 1e6 / self.seconds.max(1e-9)))?;
        let Quantiles { p50_us, p90_us, p99_us, p999_us, max_us, .. } = self.latency;
        write!(
            f,
            "  latency         p50 {}  p90 {}  p99 {}  p99.9 {}  max {}",
            ms(p50_us),
            ms(p90_us),
            ms(p99_us),
            ms(p999_us),
            ms(max_us)
        )
    }
}

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
