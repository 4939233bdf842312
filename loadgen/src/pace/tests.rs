//! Every pace sends what its rate says, however many connections share it.

use super::*;

fn times(pace: Pace, parts: u32, batch: usize, batches: u64) -> Vec<f64> {
    let start = Instant::now();
    let mut times: Vec<f64> = (0..parts)
        .flat_map(|part| {
            let mut schedule = Schedule::new(pace, start, part, parts, batch);
            (0..batches)
                .map(move |n| (schedule.due(n * batch as u64).unwrap() - start).as_secs_f64())
                .collect::<Vec<_>>()
        })
        .collect();
    times.sort_by(f64::total_cmp);
    times
}

#[test]
fn batches_of_all_connections_are_spaced_evenly() {
    for pace in [Pace::Constant(1_000.0), Pace::Open { rate: Rate::Constant(1_000.0), poisson: false }] {
        for (n, time) in times(pace, 4, 100, 10).iter().enumerate() {
            assert!((time - n as f64 * 0.1).abs() < 1e-6, "batch {n} at {time}");
        }
    }
}

#[test]
fn a_closed_loop_never_waits() {
    assert_eq!(Schedule::new(Pace::Closed, Instant::now(), 1, 2, 10).due(1_000_000), None);
}

#[test]
fn rates_are_followed_by_any_number_of_connections() {
    let rates = [
        Rate::Bursts { base: 100.0, factor: 5.0, for_s: 0.5, every_s: 2.0 },
        Rate::Diurnal { mean: 200.0, low: 0.1, period_s: 5.0 },
        Rate::Ramp { from: 10.0, to: 500.0, over_s: 8.0 },
    ];
    for rate in rates {
        for parts in [1, 7] {
            let times = times(Pace::Open { rate, poisson: false }, parts, 1, 4_000 / u64::from(parts));
            for second in 1..8 {
                let sent = times.iter().filter(|&&time| time < f64::from(second)).count() as f64;
                let wanted = rate.events_until(f64::from(second));
                assert!((sent - wanted).abs() <= 2.0, "{rate:?}, {parts} parts: {sent} of {wanted} until {second} s");
            }
        }
        // The count is the integral of the rate.
        let steps = 100_000;
        let sum: f64 =
            (0..steps).map(|n| rate.at(10.0 * (f64::from(n) + 0.5) / f64::from(steps)) * 10.0 / f64::from(steps)).sum();
        assert!((sum / rate.events_until(10.0) - 1.0).abs() < 1e-3, "{rate:?}");
        for events in [1.0, 333.0, 5_000.0] {
            assert!((rate.events_until(rate.time_of(events)) - events).abs() < 1e-6, "{rate:?}");
        }
    }
}

#[test]
fn intervals_of_a_poisson_process_vary_as_they_should() {
    let times = times(Pace::Open { rate: Rate::Constant(1_000.0), poisson: true }, 5, 1, 4_000);
    // The last connection to end cuts the tail; look at the first 15,000 of 20,000.
    let gaps: Vec<f64> = times[..15_001].windows(2).map(|pair| pair[1] - pair[0]).collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    assert!((mean * 1_000.0 - 1.0).abs() < 0.05, "mean {mean}");
    assert!((variance.sqrt() / mean - 1.0).abs() < 0.05, "deviation {} of mean {mean}", variance.sqrt());
}

#[test]
fn paces_are_read_from_text() {
    assert_eq!(Pace::parse("constant", 5.0), Ok(Pace::Constant(5.0)));
    assert_eq!(Pace::parse("poisson", 5.0), Ok(Pace::Open { rate: Rate::Constant(5.0), poisson: true }));
    let bursts = Rate::Bursts { base: 5.0, factor: 3.0, for_s: 1.0, every_s: 10.0 };
    assert_eq!(Pace::parse("bursts, factor=3", 5.0), Ok(Pace::Open { rate: bursts, poisson: false }));
    let ramp = Rate::Ramp { from: 5.0, to: 50.0, over_s: 60.0 };
    assert_eq!(Pace::parse("ramp,to=50,poisson", 5.0), Ok(Pace::Open { rate: ramp, poisson: true }));
    for (text, wanted) in [
        ("slow", "there is no pace `slow`"),
        ("bursts,size=3", "it has factor, for_s, every_s"),
        ("constant,low=1", "it has none"),
        ("diurnal,low=2", "0 to 1: low"),
        ("ramp", "needs the rate at its end"),
        ("bursts,for_s=11", "no longer than every_s"),
    ] {
        let error = Pace::parse(text, 5.0).unwrap_err().to_string();
        assert!(error.contains(wanted), "{error}");
    }
    assert!(Pace::parse("constant", 0.0).is_err());
}
