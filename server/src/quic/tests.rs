//! What is typed, and what lines become.

use connectors::http::KeyPointer;

use super::from::From;
use super::lines::{Events, Lines, Read};
use super::partitions::Partitions;

#[test]
fn where_a_subscription_begins() {
    let read = |text: &str| text.parse::<From>();
    assert_eq!(read("latest"), Ok(From::Latest));
    assert_eq!(read("beginning"), Ok(From::Beginning));
    assert_eq!(read("cursor:billing-2"), Ok(From::Cursor("billing-2".to_owned())));
    assert_eq!(read("3:7,0:15"), Ok(From::Offsets(vec![(0, 15), (3, 7)])));
    assert_eq!(read("2026-11-21T00:00:00Z"), Ok(From::Time(1_795_219_200_000)));
    assert!(matches!(read("2h"), Ok(From::Time(ms)) if ms > 1_700_000_000_000));
    for (wrong, said) in [
        ("", "use latest, beginning"),
        ("yesterday", "use latest, beginning"),
        ("17", "write for example 0:17"),
        ("0:1,0:2", "partition 0 is named twice"),
        ("cursor:", "1 to 128 letters"),
        ("cursor:a b", "1 to 128 letters"),
    ] {
        assert!(read(wrong).is_err_and(|error| error.contains(said)), "{wrong}: {:?}", read(wrong));
    }
}

#[test]
fn partitions_and_ranges_of_them() {
    let read = |text: &str| text.parse::<Partitions>().map(|partitions| partitions.list());
    assert_eq!(read("0,3-5, 4"), Ok(vec![0, 3, 4, 5]));
    for wrong in ["", "a", "5-3", "1024", "-1", "0,"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn lines_become_events_or_say_why_not() {
    let mut events = Events::new(KeyPointer::parse("/id").ok(), vec![("type", "reading".to_owned())]);
    assert!(events.of(b"  \r").expect("blank").is_none());
    let plain = events.of(br#"{"id":"d1","n":1}"#).expect("an event").expect("one");
    assert_eq!(plain.byte_len(), 2 + 17 + 1 + "ce_type".len() + 1 + "reading".len());
    let structured = br#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"d2","data":{"n":2}}"#;
    assert!(events.of(structured).expect("an event").is_some());
    for (wrong, said) in [
        (&b"{"[..], "not valid JSON"),
        (b"{\"n\":1}", "nothing is there"),
        (b"{\"specversion\":\"1.0\"}", "missing or empty"),
    ] {
        let error = events.of(wrong).expect_err("it is wrong");
        assert!(error.contains(said), "{error}");
    }
}

#[tokio::test]
async fn lines_are_read_with_a_bound() {
    let long = vec![b'x'; 5 << 20];
    let text = [b"a\n\n".as_slice(), &long, b"\nlast"].concat();
    let (mut lines, mut found) = (Lines::new(text.as_slice()), Vec::new());
    loop {
        match lines.next().await.expect("reads") {
            Read::End => break,
            Read::TooLong => found.push("too long".to_owned()),
            Read::Line => found.push(String::from_utf8(lines.line().to_vec()).expect("text")),
        }
    }
    assert_eq!(found, ["a", "", "too long", "last"]);
    assert_eq!(lines.take_read_bytes(), text.len() as u64);
}
