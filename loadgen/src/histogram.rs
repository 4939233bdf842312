//! Latencies with their tail: an HDR histogram of microseconds, three digits, up to an hour.

use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

const HIGHEST_US: u64 = 3_600_000_000;

/// The percentiles of a table or chart of a whole run, but the slowest.
const PERCENTILES: [f64; 16] =
    [1.0, 10.0, 25.0, 50.0, 75.0, 80.0, 90.0, 95.0, 98.0, 99.0, 99.5, 99.9, 99.95, 99.99, 99.995, 99.999];

/// Latencies.
#[derive(Clone, Debug)]
pub struct Latencies(Histogram<u64>);

/// The quantiles people ask for, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// Values recorded.
    pub count: u64,
    /// Half were faster.
    pub p50_us: u64,
    /// 90 of 100 were faster.
    pub p90_us: u64,
    /// 99 of 100 were faster.
    pub p99_us: u64,
    /// 999 of 1000 were faster.
    pub p999_us: u64,
    /// The slowest.
    pub max_us: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self(Histogram::new_with_max(HIGHEST_US, 3).expect("constant bounds that the histogram allows"))
    }
}

impl Latencies {
    /// Records one latency; what is longer than an hour counts as an hour.
    pub fn record(&mut self, latency: Duration) {
        self.record_us(latency.as_micros().min(u128::from(HIGHEST_US)) as u64);
    }

    /// As [`record`](Self::record), in microseconds.
    pub fn record_us(&mut self, latency_us: u64) {
        self.0.saturating_record(latency_us.min(HIGHEST_US));
    }

    /// Takes in what another recorded.
    pub fn merge(&mut self, other: &Self) {
        self.0 += &other.0;
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        // `clear` would keep the slowest of all time.
        self.0.reset();
    }

    /// Latency in microseconds by percentile, rising and ending with the slowest (100). Percentiles rarer than one value of those
    /// recorded are left out: they would only repeat the slowest.
    pub fn percentiles(&self) -> Vec<(f64, u64)> {
        let count = self.0.len() as f64;
        let told = PERCENTILES.into_iter().filter(|percentile| count * (100.0 - percentile) >= 99.999);
        let mut percentiles: Vec<_> =
            told.map(|percentile| (percentile, self.0.value_at_quantile(percentile / 100.0))).collect();
        if !self.0.is_empty() {
            percentiles.push((100.0, self.0.max()));
        }
        percentiles
    }

    /// The quantiles so far.
    pub fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.0.len(),
            p50_us: self.0.value_at_quantile(0.5),
            p90_us: self.0.value_at_quantile(0.9),
            p99_us: self.0.value_at_quantile(0.99),
            p999_us: self.0.value_at_quantile(0.999),
            max_us: self.0.max(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_within_a_thousandth() {
        let mut latencies = Latencies::default();
        for us in 1..=10_000 {
            latencies.record_us(us);
        }
        let quantiles = latencies.quantiles();
        assert_eq!(quantiles.count, 10_000);
        assert!(quantiles.p50_us.abs_diff(5_000) <= 5, "{quantiles:?}");
        assert!(quantiles.p99_us.abs_diff(9_900) <= 10, "{quantiles:?}");
        assert!(quantiles.max_us.abs_diff(10_000) <= 10, "{quantiles:?}");
    }

    #[test]
    fn percentiles_go_as_far_as_there_are_values() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), []);
        latencies.record_us(7);
        assert_eq!(latencies.percentiles(), [(100.0, 7)]);
        for us in 2..=1_000 {
            latencies.record_us(us);
        }
        let percentiles = latencies.percentiles();
        assert!(percentiles.is_sorted(), "{percentiles:?}");
        assert!(percentiles.contains(&(50.0, 500)), "{percentiles:?}");
        let last: Vec<f64> = percentiles.iter().rev().take(2).map(|(percentile, _)| *percentile).collect();
        assert_eq!(last, [100.0, 99.9]);
    }

    #[test]
    fn what_was_forgotten_is_not_the_slowest_of_the_next_second() {
        let mut latencies = Latencies::default();
        latencies.record_us(9_000);
        latencies.clear();
        assert_eq!(latencies.quantiles(), Quantiles::default());
        latencies.record_us(7);
        assert_eq!((latencies.quantiles().count, latencies.quantiles().max_us), (1, 7));
    }

    #[test]
    fn an_absurd_latency_is_kept_as_an_hour() {
        let mut latencies = Latencies::default();
        latencies.record(Duration::from_secs(1 << 40));
        let mut all = Latencies::default();
        all.merge(&latencies);
        assert!(all.quantiles().max_us.abs_diff(HIGHEST_US) <= HIGHEST_US / 1_000);
    }
}
