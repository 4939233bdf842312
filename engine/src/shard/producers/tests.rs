//! Every case of a resend, the bounds, and what reports say.

use super::*;
use crate::batch::{BatchBuilder, HEADER_BYTES, HeaderWriter, decode_stored, seal_records};
use crate::event::Event;

/// Events of `producer` whose data are their sequences.
pub(in crate::shard) fn numbered(
    partition: u32,
    producer: u64,
    sequences: std::ops::Range<u64>,
    time_ms: i64,
) -> Batch {
    let mut builder = BatchBuilder::new(partition);
    let mut headers = HeaderWriter::default();
    headers.put("ce_type", Some(b"t"));
    headers.put("empty", None);
    for sequence in sequences.clone() {
        let key = (sequence % 3 > 0).then_some(&b"key"[..]);
        builder.push(key, sequence.to_string().as_bytes(), &headers, 0).expect("fits");
    }
    let bytes = builder.seal().expect("rows").bytes().to_vec();
    assert!(bytes.len() > HEADER_BYTES);
    let count = (sequences.end - sequences.start) as u32;
    let stamp = ProducerStamp { producer, sequence: sequences.start };
    seal_records(partition, bytes, count, time_ms, Some(stamp)).expect("valid")
}

fn sequences(batch: &Batch) -> Vec<u64> {
    let data = |row| String::from_utf8_lossy(Event::new(batch, row).data().unwrap_or(b"")).parse();
    (0..batch.rows().len()).map(|row| data(row).expect("a number")).collect()
}

fn admit(producers: &mut Producers, batch: &Batch) -> Admitted {
    producers.admit(batch, batch.producer().expect("numbered"))
}

fn synced(producers: &mut Producers, batch: &Batch) {
    producers.synced(batch, batch.producer().expect("numbered"));
}

fn take_back(producers: &mut Producers, batch: &Batch) {
    producers.take_back(batch, batch.producer().expect("numbered"));
}

fn producers(window_ms: u64, producers_max: usize) -> Producers {
    Producers::new(ProducerSettings { window_ms, producers_max, seed: 7 })
}

fn report(producers: &mut Producers) -> Vec<(u32, u64, u64)> {
    let report = producers.report(Vec::new);
    report.changed.iter().map(|progress| (progress.partition, progress.producer, progress.next)).collect()
}

#[test]
fn what_comes_again_is_known_and_what_leaves_a_gap_is_refused() {
    let mut producers = producers(1000, 100);
    // A producer that nobody knows may begin anywhere.
    assert_eq!(admit(&mut producers, &numbered(1, 7, 100..110, 5)), Admitted::All);
    assert_eq!(admit(&mut producers, &numbered(1, 7, 110..112, 5)), Admitted::All);
    assert_eq!(admit(&mut producers, &numbered(1, 7, 100..112, 6)), Admitted::None);
    assert_eq!(admit(&mut producers, &numbered(1, 7, 3..4, 6)), Admitted::None);
    assert_eq!(admit(&mut producers, &numbered(1, 7, 113..114, 6)), Admitted::OutOfOrder { expected: 112 });
    let Admitted::Tail(tail) = admit(&mut producers, &numbered(1, 7, 105..120, 6)) else { panic!("some are new") };
    assert_eq!(sequences(&tail), (112..120).collect::<Vec<_>>());
    assert_eq!(tail.producer(), Some(ProducerStamp { producer: 7, sequence: 112 }));
    assert_eq!(admit(&mut producers, &numbered(1, 7, 120..121, 6)), Admitted::All);
    // Other partitions and other producers count for themselves.
    assert_eq!(admit(&mut producers, &numbered(2, 7, 0..1, 6)), Admitted::All);
    assert_eq!(admit(&mut producers, &numbered(1, 8, 0..1, 6)), Admitted::All);
    assert_eq!((producers.len(), producers.forgotten()), (3, 0));
}

#[test]
fn a_tail_is_the_batch_that_would_have_been_sent_without_what_is_kept() {
    let count = 300;
    let whole = numbered(3, 9, 1000..1000 + count, 77);
    for first in [0, 1, 2, 63, 64, 65, 128, 299] {
        let stamp = ProducerStamp { producer: 9, sequence: 1000 + first };
        let tail = tail(&whole, first as usize, stamp);
        assert_eq!(tail, numbered(3, 9, 1000 + first..1000 + count, 77), "from {first}");
        assert_eq!(decode_stored(tail.bytes()).as_ref(), Ok(&tail));
    }
}

#[test]
fn what_the_log_could_not_keep_can_come_again() {
    let mut producers = producers(1000, 4);
    let (first, second, third) = (numbered(1, 7, 0..5, 1), numbered(1, 7, 5..8, 1), numbered(1, 7, 8..9, 1));
    for batch in [&first, &second, &third] {
        assert_eq!(admit(&mut producers, batch), Admitted::All);
    }
    synced(&mut producers, &first);
    take_back(&mut producers, &second);
    take_back(&mut producers, &third);
    assert_eq!(admit(&mut producers, &third), Admitted::OutOfOrder { expected: 5 });
    assert_eq!(admit(&mut producers, &first), Admitted::None);
    assert_eq!(admit(&mut producers, &second), Admitted::All);
    assert_eq!(report(&mut producers), [(1, 7, 5)], "only the first is synced");
    // A failure of what was forgotten meanwhile: what follows it must not be taken for a beginning.
    for other in 10..16 {
        admit(&mut producers, &numbered(1, other, 0..1, 1));
    }
    take_back(&mut producers, &second);
    assert_eq!(admit(&mut producers, &third), Admitted::OutOfOrder { expected: 5 });
}

#[test]
fn a_producer_is_forgotten_after_its_window_and_not_before() {
    let mut producers = producers(1000, 100);
    for time_ms in [0, 900, 1800, 2700, 3700] {
        let first = time_ms as u64 / 100;
        let sent = admit(&mut producers, &numbered(1, 7, first..first + 9, time_ms));
        assert!(matches!(sent, Admitted::All | Admitted::OutOfOrder { .. }));
        admit(&mut producers, &numbered(1, 8 + first, 0..1, time_ms));
        assert_eq!(admit(&mut producers, &numbered(1, 7, 0..1, time_ms)), Admitted::None, "at {time_ms}");
    }
    // A clock that goes back does no harm.
    assert_eq!(admit(&mut producers, &numbered(1, 7, 0..1, 5)), Admitted::None);
    admit(&mut producers, &numbered(1, 1, 0..1, 5000));
    admit(&mut producers, &numbered(1, 1, 1..2, 6001));
    assert_eq!(admit(&mut producers, &numbered(1, 7, 0..1, 6001)), Admitted::All, "nobody knows it any more");
    assert_eq!(producers.forgotten(), 0);
}

#[test]
fn when_there_are_too_many_those_that_were_silent_longest_are_forgotten_and_counted() {
    let mut producers = producers(1000, 8);
    for producer in 0..1000 {
        assert_eq!(admit(&mut producers, &numbered(1, producer, 0..1, 1)), Admitted::All);
        // Number 0 goes on sending, so it is never among the forgotten.
        assert_eq!(admit(&mut producers, &numbered(1, 0, 0..1, 1)), Admitted::None);
        assert!(producers.len() <= 8);
    }
    assert!((990..1000).contains(&producers.forgotten()), "{}", producers.forgotten());
    assert!(producers.changed.len() <= 8, "nobody takes reports, and they do not grow");
    assert_eq!(admit(&mut producers, &numbered(1, 999, 0..1, 1)), Admitted::None);
    assert_eq!(admit(&mut producers, &numbered(1, 5, 0..1, 1)), Admitted::All);
}

#[test]
fn long_reports_come_in_pieces_and_name_the_heads_of_their_beginning_with_the_last() {
    let mut producers = producers(1000, 1 << 20);
    let send = |producers: &mut Producers, producer: u64, first: u64| {
        let batch = numbered(1, producer, first..first + 1, 1);
        assert_eq!(admit(producers, &batch), Admitted::All);
        synced(producers, &batch);
    };
    let count = REPORT_ENTRIES_MAX as u64 + 10;
    (0..count).for_each(|producer| send(&mut producers, producer, 0));
    let first = producers.report(|| vec![(1, 50)]);
    assert_eq!((first.changed.len(), first.heads), (REPORT_ENTRIES_MAX, None));
    // The last of the waiting changes once more, and the first too.
    send(&mut producers, count - 1, 1);
    send(&mut producers, 0, 1);
    let second = producers.report(|| panic!("the heads were taken with the first piece"));
    assert_eq!((second.changed.len(), second.heads), (10, Some(vec![(1, 50)])));
    assert_eq!(second.changed[9].next, 2, "as it stands now");
    assert_eq!(report(&mut producers), [(1, 0, 2)]);
    assert_eq!(producers.report(|| vec![(1, 60)]).heads, Some(vec![(1, 60)]), "nothing changed but the heads");
}

#[test]
fn what_was_reported_comes_back_after_a_restart() {
    let mut before = producers(1000, 100);
    for (producer, time_ms) in [(1, 10), (2, 700), (3, 1500), (4, 2600)] {
        let batch = numbered(1, producer, 0..5, time_ms);
        admit(&mut before, &batch);
        synced(&mut before, &batch);
    }
    let unsynced = numbered(1, 4, 5..9, 2600);
    admit(&mut before, &unsynced);
    let report = before.report(Vec::new);
    assert_eq!(report.kept_since_ms, 1500);
    let mut after = producers(1000, 100);
    let kept = report.changed.iter().filter(|progress| progress.seen_ms >= report.kept_since_ms);
    kept.for_each(|progress| after.restore(progress));
    assert_eq!(after.len(), 2);
    // It is in the log, and was not in the report.
    let later = numbered(1, 3, 5..6, 2700);
    after.remember(&later, later.producer().expect("numbered"));
    assert_eq!(admit(&mut after, &unsynced), Admitted::All, "it was not synced, and comes again");
    assert_eq!(admit(&mut after, &numbered(1, 4, 0..5, 2700)), Admitted::None);
    assert_eq!(admit(&mut after, &later), Admitted::None);
    assert_eq!(admit(&mut after, &numbered(1, 3, 7..8, 2700)), Admitted::OutOfOrder { expected: 6 });
}
