//! The tables of the sheet (2.5), row by row, and the properties of the exponential schedule.

use super::*;

const MINUTE: u64 = 60_000;

fn policy(schedule: Schedule) -> RetryPolicy {
    RetryPolicy { schedule, backoff_ms_min: 100, backoff_ms_max: 6400, attempts_max: 30, ttl_ms_max: 24 * 60 * MINUTE }
}

fn after(verdict: Verdict) -> u64 {
    match verdict {
        Verdict::Retry { after_ms, .. } => after_ms,
        other => panic!("expected a retry, got {other:?}"),
    }
}

#[test]
fn statuses() {
    use Schedule::{EventGrid as Basic, EventGridNamespace as Namespace, Exponential as Ours};
    let never = "never";
    let cases: &[(u16, [&str; 3])] = &[
        // status, then: ours, basic tier, namespace push
        (200, ["delivered"; 3]),
        (201, ["delivered"; 3]),
        (202, ["delivered"; 3]),
        (203, ["delivered"; 3]),
        (204, ["delivered"; 3]),
        (205, ["100", "10000", "10000"]),
        (206, ["100", "10000", "10000"]),
        (207, ["100", "10000", "10000"]),
        (301, ["100", "10000", "10000"]),
        (302, ["100", "10000", "10000"]),
        (307, ["100", "10000", "10000"]),
        (400, [never; 3]),
        (401, [never; 3]),
        (403, [never; 3]),
        (404, ["100", "10000", never]),
        (405, [never, "10000", "10000"]),
        (408, ["100", "120000", "120000"]),
        (409, ["100", "10000", "10000"]),
        (410, ["stop"; 3]),
        (413, [never; 3]),
        (414, [never, "10000", never]),
        (415, [never, "10000", "10000"]),
        (425, ["100", "10000", "10000"]),
        (429, ["100", "10000", "10000"]),
        (500, ["100", "10000", "10000"]),
        (502, ["100", "10000", "10000"]),
        (503, ["100", "30000", "30000"]),
        (504, ["100", "10000", "10000"]),
        (100, ["100", "10000", "10000"]),
        (999, ["100", "10000", "10000"]),
    ];
    for (code, wanted) in cases {
        for (schedule, wanted) in [Ours, Basic, Namespace].into_iter().zip(wanted) {
            let found = match policy(schedule).judge(&Answer::status(*code), 1, 1, 0, 0.0) {
                Verdict::Delivered => "delivered".to_owned(),
                Verdict::Stop => "stop".to_owned(),
                Verdict::DeadLetter(Reason::NonRetriableStatus) => never.to_owned(),
                Verdict::Retry { after_ms, hold_all: false } => after_ms.to_string(),
                other => format!("{other:?}"),
            };
            assert_eq!(&found, wanted, "{code} with {schedule:?}");
        }
    }
}

#[test]
fn transport_errors_are_retried() {
    for answer in [Answer::TimedOut, Answer::SocketError, Answer::ResolutionError] {
        for schedule in [Schedule::Exponential, Schedule::EventGrid, Schedule::EventGridNamespace] {
            assert!(matches!(policy(schedule).judge(&answer, 1, 1, 0, 0.5), Verdict::Retry { hold_all: false, .. }));
        }
    }
}

/// When attempts happen if each fails at once with 500, until one limit is hit.
fn attempts_at(policy: &RetryPolicy) -> (Vec<u64>, Reason) {
    let (mut now, mut made) = (0, Vec::new());
    loop {
        if !made.is_empty() && policy.is_expired(now) {
            return (made, Reason::TimeToLiveExceeded);
        }
        made.push(now / 1000);
        match policy.judge(&Answer::status(500), 1, made.len() as u32, now, 0.0) {
            Verdict::Retry { after_ms, .. } => now += after_ms,
            Verdict::DeadLetter(reason) => return (made, reason),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_worked_examples_of_event_grid() {
    let basic = RetryPolicy { ttl_ms_max: 30 * MINUTE, ..policy(Schedule::EventGrid) };
    assert_eq!(attempts_at(&basic), (vec![0, 10, 30, 60, 300, 600], Reason::TimeToLiveExceeded));
    let namespace = RetryPolicy { ttl_ms_max: 20 * MINUTE, ..policy(Schedule::EventGridNamespace) };
    assert_eq!(attempts_at(&namespace), (vec![0, 10, 30, 60, 300, 600, 900], Reason::TimeToLiveExceeded));
    let few = RetryPolicy { attempts_max: 3, ..policy(Schedule::EventGrid) };
    assert_eq!(attempts_at(&few), (vec![0, 10, 30], Reason::MaxDeliveryAttemptsExceeded));
    let whole = policy(Schedule::EventGrid);
    let hours = |hours: u64| hours * 3600;
    let wanted = vec![0, 10, 30, 60, 300, 600, 1800, hours(1), hours(3), hours(6), hours(18)];
    assert_eq!(attempts_at(&whole), (wanted, Reason::TimeToLiveExceeded));
}

#[test]
fn retry_after_moves_the_attempt_back_and_holds_the_endpoint() {
    let ours = policy(Schedule::Exponential);
    for code in [429, 503, 500, 302] {
        let answer = Answer::Status { code, retry_after_ms: Some(7000) };
        assert_eq!(ours.judge(&answer, 1, 1, 0, 0.9), Verdict::Retry { after_ms: 7000, hold_all: true }, "{code}");
    }
    let soon = Answer::Status { code: 429, retry_after_ms: Some(0) };
    assert_eq!(ours.judge(&soon, 1, 1, 0, 0.0), Verdict::Retry { after_ms: 100, hold_all: false });
    let never = Answer::Status { code: 400, retry_after_ms: Some(7000) };
    assert_eq!(ours.judge(&never, 1, 1, 0, 0.0), Verdict::DeadLetter(Reason::NonRetriableStatus));
    let for_ever = Answer::Status { code: 429, retry_after_ms: Some(u64::MAX) };
    assert_eq!(after(ours.judge(&for_ever, 1, 1, MINUTE, 0.0)), ours.ttl_ms_max - MINUTE);
}

#[test]
fn attempts_and_time_are_both_limits() {
    let ours = RetryPolicy { attempts_max: 4, ttl_ms_max: 1000, ..policy(Schedule::Exponential) };
    let failed = Answer::status(500);
    assert!(matches!(ours.judge(&failed, 1, 3, 0, 0.0), Verdict::Retry { .. }));
    assert_eq!(ours.judge(&failed, 1, 4, 0, 0.0), Verdict::DeadLetter(Reason::MaxDeliveryAttemptsExceeded));
    // The last answer counts even when time is over: only the next attempt is refused.
    assert_eq!(ours.judge(&Answer::status(204), 1, 4, 5000, 0.0), Verdict::Delivered);
    assert_eq!(after(ours.judge(&failed, 1, 1, 5000, 0.0)), 1);
    assert!(!ours.is_expired(999));
    assert!(ours.is_expired(1000));
}

#[test]
fn the_exponential_schedule_stays_in_its_bounds() {
    let ours = policy(Schedule::Exponential);
    for attempts in 1..30 {
        let highest = (100u64 << attempts.min(20)).min(6400);
        assert_eq!(after(ours.judge(&Answer::TimedOut, 1, attempts, 0, 0.0)), 100);
        let late = after(ours.judge(&Answer::TimedOut, 1, attempts, 0, 0.999_999));
        assert!(late <= highest && late + 1 >= highest, "{attempts}: {late} of {highest}");
    }
    let huge = RetryPolicy { backoff_ms_min: u64::MAX / 2, backoff_ms_max: 10, ..ours };
    assert_eq!(after(huge.judge(&Answer::TimedOut, 1, 29, 0, 0.5)), ours.ttl_ms_max);
}

#[test]
fn a_batch_that_is_too_large_is_halved() {
    let ours = policy(Schedule::Exponential);
    assert_eq!(ours.judge(&Answer::status(413), 2, 1, 0, 0.0), Verdict::Halve);
    assert_eq!(ours.judge(&Answer::status(400), 2, 1, 0, 0.0), Verdict::DeadLetter(Reason::NonRetriableStatus));
}

#[test]
fn retry_after_texts() {
    let now_ms = 784_111_700_000; // 1994-11-06T08:48:20Z
    let cases: &[(&str, Option<u64>)] = &[
        ("120", Some(120_000)),
        (" 0 ", Some(0)),
        ("99999999999999999999999", Some(u64::MAX)),
        ("Sun, 06 Nov 1994 08:49:37 GMT", Some(77_000)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", Some(77_000)),
        ("Sun Nov  6 08:49:37 1994", Some(77_000)),
        ("Sun, 06 Nov 1994 08:40:00 GMT", Some(0)),
        ("", None),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("Sun, 06 Nov 1994 08:49:37 CET", None),
        ("Sun, 32 Nov 1994 08:49:37 GMT", None),
    ];
    for (text, wanted) in cases {
        assert_eq!(retry_after_ms(text, now_ms), *wanted, "{text:?}");
    }
}
