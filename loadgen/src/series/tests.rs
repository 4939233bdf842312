//! Counters become seconds; long runs become coarser without losing or flattering anything.

use super::*;

fn view(sent: u64, acknowledged: u64, retries: u64, recent: Quantiles) -> ProgressView {
    ProgressView { sent_events: sent, acknowledged_events: acknowledged, retries, recent, ..ProgressView::default() }
}

fn quantiles(us: u64) -> Quantiles {
    Quantiles { count: 10, p50_us: us, p90_us: 2 * us, p99_us: 3 * us, p999_us: 4 * us, max_us: 5 * us }
}

fn usage(cpu_cores: f64, resident_bytes: u64) -> Option<Usage> {
    Some(Usage { cpu_cores, resident_bytes, threads: 1 })
}

#[test]
fn counters_become_what_happened_in_each_second() {
    let mut series = Series::default();
    series.push_at(1.0, &view(100, 90, 0, quantiles(5)), usage(1.5, 1_000));
    series.push_at(2.5, &view(250, 250, 3, quantiles(7)), None);
    series.intend(|at_s| 100.0 * at_s);
    assert_eq!(
        series.seconds,
        [
            Second {
                at_s: 1.0,
                intended_events: Some(100.0),
                sent_events: 100,
                acknowledged_events: 90,
                retries: 0,
                latency: quantiles(5),
                cpu_cores: Some(1.5),
                resident_bytes: Some(1_000),
            },
            Second {
                at_s: 2.5,
                intended_events: Some(150.0),
                sent_events: 150,
                acknowledged_events: 160,
                retries: 3,
                latency: quantiles(7),
                cpu_cores: None,
                resident_bytes: None,
            },
        ]
    );
    assert_eq!(series.with_lengths().map(|(length, _)| length).collect::<Vec<_>>(), [1.0, 1.5]);
}

#[test]
fn a_look_at_the_same_instant_adds_no_entry_and_loses_nothing() {
    let mut series = Series::default();
    series.push_at(1.0, &view(100, 90, 1, quantiles(5)), usage(2.0, 10));
    series.push_at(1.0, &view(110, 110, 2, quantiles(9)), usage(4.0, 5));
    assert_eq!(series.seconds.len(), 1);
    let Second { at_s, sent_events, acknowledged_events, retries, latency, cpu_cores, .. } = series.seconds[0];
    assert_eq!((at_s, sent_events, acknowledged_events, retries), (1.0, 110, 110, 2));
    assert_eq!(latency, Quantiles { count: 20, ..quantiles(9) });
    assert_eq!(cpu_cores, Some(2.0), "what took no time has no weight");
}

#[test]
fn the_clock_of_a_series_is_the_runs() {
    let mut series = Series::starting(Instant::now());
    series.push(&view(1, 1, 0, quantiles(1)), None);
    assert!(series.seconds[0].at_s >= 0.0 && series.seconds[0].at_s < 60.0);
}

#[test]
fn a_long_run_is_told_more_coarsely_and_nothing_is_lost() {
    const MAX: usize = 8;
    for looks in 1..=200_u64 {
        let mut series = Series::bounded(Instant::now(), MAX);
        for look in 1..=looks {
            let latency = quantiles(if look == looks / 2 { 1_000 } else { look });
            series.push_at(look as f64, &view(10 * look, 9 * look, look / 2, latency), usage(look as f64, look));
        }
        series.intend(|at_s| 10.0 * at_s);
        let seconds = &series.seconds;
        assert!(seconds.len() <= MAX && 2 * seconds.len() > MAX.min(looks as usize), "{looks}: {}", seconds.len());
        assert_eq!(seconds.iter().map(|second| second.sent_events).sum::<u64>(), 10 * looks);
        assert_eq!(seconds.iter().map(|second| second.acknowledged_events).sum::<u64>(), 9 * looks);
        assert_eq!(seconds.iter().map(|second| second.retries).sum::<u64>(), looks / 2);
        assert_eq!(seconds.iter().map(|second| second.latency.count).sum::<u64>(), 10 * looks);
        assert_eq!(seconds.iter().filter_map(|second| second.intended_events).sum::<f64>(), 10.0 * looks as f64);
        assert_eq!(
            seconds.iter().map(|second| second.latency.max_us).max(),
            Some(5 * looks.max(if looks > 1 { 1_000 } else { 1 }))
        );
        assert_eq!(seconds.last().unwrap().at_s, looks as f64);
        assert_eq!(seconds.last().unwrap().resident_bytes, Some(looks));
        // Processor time is an integral: cores times length add up to what all looks added.
        let cpu_s: f64 = series.with_lengths().map(|(length, second)| length * second.cpu_cores.unwrap()).sum();
        assert!((cpu_s - (looks * (looks + 1) / 2) as f64).abs() < 1e-6 * cpu_s, "{looks}: {cpu_s}");
        // All entries are of one length, but the last, which is still open.
        let lengths: Vec<f64> = series.with_lengths().map(|(length, _)| length).collect();
        let closed = &lengths[..lengths.len() - 1];
        assert!(closed.iter().all(|length| *length == closed[0]), "{looks}: {lengths:?}");
    }
}

#[test]
fn a_chart_gets_as_many_points_as_it_asks_for() {
    let mut series = Series::default();
    for look in 1..=1_001_u64 {
        series.push_at(look as f64, &view(look, look, 0, quantiles(look)), None);
    }
    assert_eq!(series.coarser(2_000).seconds, series.seconds);
    let coarse = series.coarser(100);
    assert!((50..=100).contains(&coarse.seconds.len()), "{}", coarse.seconds.len());
    assert_eq!(coarse.seconds.iter().map(|second| second.sent_events).sum::<u64>(), 1_001);
    assert_eq!(coarse.seconds.last().unwrap().at_s, 1_001.0);
    assert_eq!(series.coarser(0).seconds.len(), 1);
}

#[test]
fn a_moment_at_the_end_is_no_second_of_its_own() {
    let mut series = Series::default();
    for (at_s, events) in [(1.0, 100), (2.0, 200), (3.0, 300), (3.01, 350)] {
        series.push_at(at_s, &view(events, events, 0, quantiles(1)), None);
    }
    let ends =
        |series: &Series| series.seconds.iter().map(|second| (second.at_s, second.sent_events)).collect::<Vec<_>>();
    assert_eq!(ends(&series.coarser(100)), [(1.0, 100), (2.0, 100), (3.01, 150)]);
    series.push_at(3.8, &view(400, 400, 0, quantiles(1)), None);
    assert_eq!(ends(&series.coarser(100)), ends(&series));
}

#[test]
fn json_holds_the_seconds_and_nothing_of_the_bookkeeping() {
    let mut series = Series::default();
    series.push_at(1.0, &view(2, 1, 0, quantiles(5)), None);
    let json: serde_json::Value = serde_json::to_value(&series).unwrap();
    assert_eq!(json.as_object().unwrap().len(), 1);
    let second = &json["seconds"][0];
    assert_eq!((second["at_s"].as_f64(), second["sent_events"].as_u64()), (Some(1.0), Some(2)));
    assert_eq!(second["latency"]["p99_us"], 15);
    assert!(second["cpu_cores"].is_null());
}
