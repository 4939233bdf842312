//! What stays, what goes, what is found, and what is to be stored.

use super::*;

fn event(partition: u32, offset: u64, at_ms: i64, payload: &str) -> Batch {
    let mut builder = BatchBuilder::new(partition);
    builder.push(Some(b"k"), payload.as_bytes(), &HeaderWriter::default(), at_ms).expect("fits");
    let mut batch = builder.seal().expect("a row");
    batch.set_base_offset(offset);
    batch
}

fn show(retained: &Retained, topic: &str, batch: &Batch) {
    let event = Event::new(batch, 0);
    retained.update(topic, &event, event.data() == Some(b""));
}

fn found(retained: &Retained, filter: &str) -> Vec<String> {
    let text =
        |batch: &Arc<Batch>| String::from_utf8_lossy(Event::new(batch, 0).data().unwrap_or_default()).into_owned();
    retained.matching(filter, &[]).iter().map(text).collect()
}

#[test]
fn the_last_one_stays_whoever_shows_it_and_however_often() {
    let retained = Retained::new(10, 10_000);
    let (first, second) = (event(1, 5, 100, "first"), event(1, 6, 100, "second"));
    show(&retained, "a", &second);
    show(&retained, "a", &first);
    show(&retained, "a", &second);
    assert_eq!(found(&retained, "a"), ["second"]);
    show(&retained, "a", &event(2, 0, 99, "older, of another partition"));
    assert_eq!(found(&retained, "a"), ["second"]);
    show(&retained, "a", &event(2, 1, 101, "newer"));
    show(&retained, "a", &first);
    assert_eq!(found(&retained, "a"), ["newer"]);
    assert_eq!(retained.stats().messages, 1);
}

#[test]
fn nothing_said_removes_and_a_late_core_does_not_bring_it_back() {
    let retained = Retained::new(10, 10_000);
    let (message, removal) = (event(0, 1, 100, "x"), event(0, 2, 101, ""));
    show(&retained, "a/b", &message);
    assert_eq!(retained.take_changed(0).len(), 1);
    show(&retained, "a/b", &removal);
    show(&retained, "a/b", &message);
    assert!(found(&retained, "#").is_empty());
    assert_eq!(retained.stats(), RetainedStats::default());
    let changed = retained.take_changed(50);
    assert!(matches!(&changed[..], [(topic, None)] if &**topic == "a/b"));
    assert_eq!(retained.take_changed(200).len(), 1, "the memory of it goes with the second");
    assert!(retained.take_changed(200).is_empty() && retained.lock().topics.is_empty());
}

#[test]
fn filters_find_what_they_take() {
    let retained = Retained::new(100, 100_000);
    for (offset, topic) in ["a", "a/b", "a/b/c", "ab", "$x/a", "/a"].into_iter().enumerate() {
        show(&retained, topic, &event(0, offset as u64, 0, topic));
    }
    assert_eq!(found(&retained, "a/#"), ["a", "a/b", "a/b/c"]);
    assert_eq!(found(&retained, "a/+"), ["a/b"]);
    assert_eq!(found(&retained, "+"), ["a", "ab"]);
    assert_eq!(found(&retained, "#"), ["/a", "a", "a/b", "a/b/c", "ab"]);
    assert_eq!(found(&retained, "$x/+"), ["$x/a"]);
    assert_eq!(found(&retained, "+/a"), ["/a"]);
}

#[test]
fn what_does_not_fit_is_counted_and_takes_the_old_one_with_it() {
    let retained = Retained::new(1, 200);
    show(&retained, "a", &event(0, 0, 0, "x"));
    show(&retained, "b", &event(0, 1, 0, "y"));
    show(&retained, "a", &event(0, 2, 0, &"long".repeat(100)));
    assert_eq!(retained.stats(), RetainedStats { messages: 0, bytes: 0, refused: 2 });
    assert!(found(&retained, "#").is_empty(), "an old message is not given for a newer one");
}

#[test]
fn expired_and_stored_messages() {
    let retained = Retained::new(10, 10_000);
    let stored = Arc::new(event(3, 7, 50, "stored"));
    retained.restore("a", stored.clone(), &[u64::MAX; 8]);
    assert!(retained.take_changed(0).is_empty(), "it is stored as it is");
    show(&retained, "a", &event(3, 7, 50, "the same again, at a start"));
    assert_eq!(found(&retained, "a"), ["stored"]);
    retained.remove("a", &Arc::new(event(3, 7, 50, "another")));
    assert_eq!(retained.stats().messages, 1);
    retained.remove("a", &stored);
    assert_eq!(retained.stats(), RetainedStats::default());
}
