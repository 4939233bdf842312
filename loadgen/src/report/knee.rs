//! The knee of a ramp: the highest rate that the far end still kept up with.
//!
//! It is passed when, for three seconds in a row, less than 95 % of what was intended is acknowledged, or the p99 is above 100 ms and
//! more than ten times the median p99 of the run's first quarter. Latencies count from intended times, so a queue
//! that grows shows at once.

use crate::series::{Second, Series};

const KEPT_UP: f64 = 0.95;
const IN_A_ROW: usize = 3;
const LATENCY_FACTOR: u64 = 10;
const LATENCY_FLOOR_US: u64 = 100_000;

/// Events per second at the knee; `None` if it was not reached, or the series says no intended rates.
pub fn knee(series: &Series) -> Option<f64> {
    let seconds = &series.seconds;
    let quarter = &seconds[..(seconds.len() / 4).max(1).min(seconds.len())];
    let mut usual: Vec<u64> = quarter.iter().map(|second| second.latency.p99_us).filter(|&p99| p99 > 0).collect();
    usual.sort_unstable();
    let limit_us = (usual.get(usual.len() / 2).copied().unwrap_or(0) * LATENCY_FACTOR).max(LATENCY_FLOOR_US);
    let behind = |second: &Second| {
        let intended = second.intended_events.unwrap_or(0.0);
        (second.acknowledged_events as f64) < intended * KEPT_UP || second.latency.p99_us > limit_us
    };
    let first = seconds.windows(IN_A_ROW).position(|window| window.iter().all(behind))?;
    let before = seconds[..first].iter().zip(std::iter::once(0.0).chain(seconds.iter().map(|second| second.at_s)));
    before
        .filter_map(|(second, from_s)| Some(second.intended_events? / (second.at_s - from_s).max(1e-9)))
        .fold(None, |highest: Option<f64>, rate| Some(highest.map_or(rate, |highest| highest.max(rate))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::histogram::Quantiles;

    /// One second each: (intended, acknowledged, p99).
    fn series(seconds: &[(f64, u64, u64)]) -> Series {
        let mut series = Series::default();
        series.seconds = seconds
            .iter()
            .enumerate()
            .map(|(at, &(intended, acknowledged_events, p99_us))| Second {
                at_s: at as f64 + 1.0,
                intended_events: Some(intended),
                acknowledged_events,
                latency: Quantiles { p99_us, ..Quantiles::default() },
                ..Second::default()
            })
            .collect();
        series
    }

    #[test]
    fn who_falls_behind_has_passed_the_knee() {
        let kept_up = [(100.0, 100, 900), (200.0, 199, 900), (300.0, 250, 900), (400.0, 400, 900), (500.0, 500, 900)];
        assert_eq!(knee(&series(&kept_up)), None, "one slow second is no knee");
        let mut passed = kept_up.to_vec();
        passed.extend([(600.0, 510, 900), (700.0, 500, 900), (800.0, 505, 900)]);
        assert_eq!(knee(&series(&passed)), Some(500.0));
    }

    #[test]
    fn latencies_that_leave_for_good_are_a_knee_too() {
        let mut seconds = vec![(100.0, 100, 2_000); 8];
        seconds.extend([(200.0, 200, 150_000); 3]);
        assert_eq!(knee(&series(&seconds)), Some(100.0));
    }

    #[test]
    fn nothing_has_no_knee() {
        assert_eq!(knee(&Series::default()), None);
        assert_eq!(knee(&series(&[(10.0, 0, 0); 3])), None, "no rate was kept up with");
    }
}
