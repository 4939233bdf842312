//! A ledger that cannot be fooled: every way in which a far end can be wrong is found, and nothing legal is called wrong.

use super::*;

/// 10 devices from 100 on, 20 events each, all acknowledged.
fn kept() -> Ledger {
    let mut ledger = Ledger::new(100..110);
    for seq in 0..20 {
        for device in 100..110 {
            ledger.send(device, seq);
            ledger.acknowledge(device, seq);
        }
    }
    ledger
}

fn finding(fault: Fault, device: u32, seq: u32, position: Option<u64>) -> Finding {
    Finding { fault, device, seq, position }
}

fn rows() -> Vec<(u32, u32)> {
    (0..20).flat_map(|seq| (100..110).map(move |device| (device, seq))).collect()
}

fn verify(ledger: &Ledger, rows: &[(u32, u32)]) -> Verdict {
    let mut verifier = ledger.verifier();
    for (position, &(device, seq)) in rows.iter().enumerate() {
        verifier.see(device, seq, position as u64);
    }
    verifier.finish()
}

#[test]
fn what_is_complete_is_clean() {
    let verdict = verify(&kept(), &rows());
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!((verdict.expected, verdict.events, verdict.rows), (200, 200, 200));
}

#[test]
fn one_lost_event_is_named() {
    let mut rows = rows();
    rows.retain(|&row| row != (104, 7));
    let verdict = verify(&kept(), &rows);
    assert_eq!(verdict.lost, 1);
    assert_eq!(verdict.findings, [finding(Fault::Lost, 104, 7, None)]);
    assert_eq!(verdict.findings[0].to_string(), "dev-000000104 event 7 is expected and is not there");
}

#[test]
fn a_doubled_event_is_named() {
    let mut rows = rows();
    rows.push((104, 19));
    let verdict = verify(&kept(), &rows);
    assert_eq!((verdict.duplicates, verdict.lost, verdict.inversions), (1, 0, 0));
    assert_eq!(verdict.findings, [finding(Fault::Duplicate, 104, 19, Some(200))]);
}

#[test]
fn two_swapped_events_of_a_device_are_one_inversion() {
    let mut rows = rows();
    let (a, b) = (rows.iter().position(|&r| r == (103, 4)).unwrap(), rows.iter().position(|&r| r == (103, 5)).unwrap());
    rows.swap(a, b);
    let verdict = verify(&kept(), &rows);
    assert_eq!((verdict.inversions, verdict.lost, verdict.duplicates), (1, 0, 0));
    assert_eq!(verdict.findings, [finding(Fault::Inverted, 103, 4, Some(b as u64))]);
}

#[test]
fn swapped_events_of_different_devices_are_in_order() {
    let mut rows = rows();
    rows.swap(0, 1);
    assert!(verify(&kept(), &rows).is_clean());
}

#[test]
fn foreign_events_and_misread_positions_are_told_apart() {
    let ledger = kept();
    let mut verifier = ledger.verifier();
    verifier.see(100, 20, 0);
    verifier.see(99, 0, 1);
    verifier.see(110, 0, 2);
    verifier.see(100, 0, 10);
    verifier.see(100, 1, 10);
    let verdict = verifier.finish();
    assert_eq!((verdict.foreign, verdict.misplaced), (3, 1));
}

#[test]
fn a_repeated_event_may_be_there_twice_and_an_unknown_one_may_be_missing() {
    let mut ledger = Ledger::new(0..2);
    for device in 0..2 {
        for seq in 0..3 {
            ledger.send(device, seq);
        }
    }
    ledger.repeat(0, 1);
    for (device, seq) in [(0, 0), (0, 1), (0, 2), (1, 0), (1, 2)] {
        ledger.acknowledge(device, seq);
    }
    ledger.give_up(1, 1);
    assert_eq!((ledger.sent_events(), ledger.acknowledged_events()), (6, 5));
    assert_eq!((ledger.repeated_events(), ledger.unknown_events()), (1, 1));

    let missing = verify(&ledger, &[(0, 0), (0, 1), (0, 1), (0, 2), (1, 0), (1, 2)]);
    assert!(missing.is_clean(), "{missing}");
    assert_eq!((missing.repeats_legal, missing.expected, missing.unacknowledged_there), (1, 5, 0));

    let there = verify(&ledger, &[(0, 0), (0, 2), (0, 1), (1, 0), (1, 2), (1, 1)]);
    assert!(there.is_clean(), "{there}");
    assert_eq!(there.unacknowledged_there, 1);

    let doubled = verify(&ledger, &[(0, 0), (0, 0), (0, 1), (0, 2), (1, 0), (1, 2)]);
    assert_eq!(doubled.duplicates, 1, "only the repeated one may be there twice");
    assert_eq!(
        verify(&ledger, &[(0, 0), (0, 2), (1, 0), (1, 2)]).lost,
        1,
        "a repeated event that was acknowledged must be there"
    );
}

#[test]
fn acknowledgements_out_of_order_close_up() {
    let mut ledger = Ledger::new(0..1);
    for seq in 0..5 {
        ledger.send(0, seq);
    }
    for seq in [3, 1, 0, 4, 4, 0] {
        ledger.acknowledge(0, seq);
    }
    assert_eq!(ledger.acknowledged_events(), 4);
    assert!(!ledger.is_acknowledged(0, 2) && ledger.is_acknowledged(0, 3) && ledger.is_acknowledged(0, 4));
    ledger.acknowledge(0, 2);
    assert_eq!((ledger.acknowledged_events(), ledger.acknowledged_below[0]), (5, 5));
    assert!(ledger.acknowledged_above.is_empty());
}

#[test]
fn a_filtered_place_holds_what_matched_and_nothing_else() {
    let ledger = kept();
    let wanted = |device: u32, seq: u32| (device + seq).is_multiple_of(7);
    let matching: Vec<_> = rows().into_iter().filter(|&(device, seq)| wanted(device, seq)).collect();
    let verify = |rows: &[(u32, u32)]| {
        let mut verifier = ledger.verifier_of(wanted);
        for (position, &(device, seq)) in rows.iter().enumerate() {
            verifier.see(device, seq, position as u64);
        }
        verifier.finish()
    };
    let verdict = verify(&matching);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.expected, matching.len() as u64);
    assert_eq!(verify(&matching[1..]).lost, 1);
    let mut more = matching.clone();
    more.push((109, 19));
    assert!(!wanted(109, 19));
    assert_eq!(verify(&more).unwanted, 1);
}

#[test]
fn joined_parts_are_the_whole() {
    let mut parts = Vec::new();
    for part in [2, 0, 1] {
        let range = crate::fleet::share(10, part, 3);
        let mut ledger = Ledger::new(range.clone());
        for device in range {
            ledger.send(device, 0);
            ledger.acknowledge(device, 0);
        }
        parts.push(ledger);
    }
    let whole = Ledger::join(parts);
    assert_eq!(whole.devices(), 0..10);
    assert_eq!((whole.sent_events(), whole.acknowledged_events()), (10, 10));
    assert!((0..10).all(|device| whole.is_acknowledged(device, 0) && whole.sent_by(device) == 1));
}

#[test]
fn many_findings_are_counted_and_a_few_are_kept() {
    let verdict = verify(&kept(), &[]);
    assert_eq!((verdict.lost, verdict.findings.len()), (200, 10));
    assert!(verdict.to_string().starts_with("WRONG: 200 events expected, 0 there in 0 rows; lost 200"));
}
