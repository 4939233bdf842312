//! The window beside a naive twin that keeps every id with its time, and what becomes of batches.

use super::*;

fn batch(events: &[(Option<&str>, Option<&str>, i64)]) -> Batch {
    let mut builder = BatchBuilder::new(3);
    let mut headers = HeaderWriter::default();
    for (at, (source, id, time_ms)) in events.iter().enumerate() {
        headers.clear();
        source.inspect(|source| headers.put("ce_source", Some(source.as_bytes())));
        id.inspect(|id| headers.put("ce_id", Some(id.as_bytes())));
        headers.put("other", None);
        builder.push(Some(b"key"), at.to_string().as_bytes(), &headers, *time_ms).expect("fits");
    }
    builder.seal().expect("rows")
}

fn dedup(window_ms: u64, ids_max: usize) -> Dedup {
    Dedup::new(DedupSettings { window_ms, ids_max, seed: 7 }).expect("on")
}

fn kept(dedup: &mut Dedup, events: &[(Option<&str>, Option<&str>, i64)]) -> Vec<String> {
    let batch = batch(events);
    let all = |batch: &Batch| -> Vec<String> {
        (0..batch.rows().len())
            .map(|row| String::from_utf8_lossy(Event::new(batch, row).data().unwrap_or(b"")).into_owned())
            .collect()
    };
    match dedup.admit(&batch) {
        Kept::All => all(&batch),
        Kept::Some(kept) => {
            assert_eq!(Event::new(&kept, 0).header("other"), Some(None));
            assert_eq!(Event::new(&kept, 0).key(), Some(&b"key"[..]));
            all(&kept)
        }
        Kept::None => Vec::new(),
    }
}

#[test]
fn source_and_id_name_an_event() {
    let mut dedup = dedup(1000, 100);
    let events = [
        (Some("a"), Some("1"), 0),
        (Some("b"), Some("1"), 0),
        (Some("a"), Some("1"), 1),
        (Some("a"), None, 1),
        (Some("a"), None, 1),
        (None, Some("1"), 2),
        (Some("/anabranch"), Some("1"), 2),
        // Not the same as ("a", "1"), though the texts joined are.
        (Some("a1"), Some(""), 2),
    ];
    assert_eq!(kept(&mut dedup, &events), ["0", "1", "3", "4", "5", "7"]);
    assert_eq!(kept(&mut dedup, &[(Some("a"), Some("1"), 1000)]), Vec::<String>::new());
    assert_eq!(kept(&mut dedup, &[(Some("a"), Some("1"), 1001)]), ["0"], "its window is over");
}

#[test]
fn what_was_not_kept_may_come_again() {
    let mut dedup = dedup(1000, 100);
    let first = batch(&[(Some("a"), Some("1"), 0), (Some("a"), Some("2"), 0)]);
    assert_eq!(dedup.admit(&first), Kept::All);
    dedup.forget(&first);
    assert_eq!(dedup.admit(&first), Kept::All);
    assert_eq!(dedup.admit(&first), Kept::None);
}

#[test]
fn the_oldest_are_forgotten_when_there_are_too_many() {
    let mut dedup = dedup(1_000_000, 10);
    for n in 0..30 {
        assert_eq!(kept(&mut dedup, &[(None, Some(&n.to_string()), n)]), ["0"]);
    }
    assert_eq!(dedup.forgotten(), 20);
    assert_eq!(kept(&mut dedup, &[(None, Some("29"), 30), (None, Some("5"), 30)]), ["1"]);
}

#[test]
fn the_window_is_that_of_the_naive_twin() {
    for seed in 0..200 {
        let mut random = u64::wrapping_mul(seed, 0x9e37_79b9_7f4a_7c15) + 1;
        let mut next = |below: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % below
        };
        let window_ms = next(50) + 1;
        let mut dedup = dedup(window_ms, usize::MAX);
        let mut naive: HashMap<u64, i64> = HashMap::new();
        let mut now_ms = 0;
        for _ in 0..300 {
            now_ms += next(10) as i64;
            let id = next(20);
            let expected = naive.get(&id).is_none_or(|at_ms| now_ms - at_ms > window_ms as i64);
            if expected {
                naive.insert(id, now_ms);
            }
            let is_kept = !kept(&mut dedup, &[(Some("s"), Some(&id.to_string()), now_ms)]).is_empty();
            assert_eq!(is_kept, expected, "seed {seed}, id {id} at {now_ms}");
        }
    }
}
