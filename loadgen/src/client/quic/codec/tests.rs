//! The codec against the examples of the specification, and against bytes that are cut anywhere.

use std::collections::HashMap;

use super::*;

/// The examples of `docs/quic.md` by their titles.
fn examples() -> HashMap<String, Vec<u8>> {
    let text = include_str!("../../../../../docs/quic.md");
    let (_, text) = text.split_once("## Examples").expect("a chapter of examples");
    let (_, text) = text.split_once("```\n").expect("a block");
    let (text, _) = text.split_once("```").expect("an end");
    let mut found = HashMap::new();
    let mut title = String::new();
    for line in text.lines() {
        match line.strip_prefix("# ") {
            Some(name) => title = name.to_owned(),
            None => {
                let bytes = line.split_whitespace().map(|digits| u8::from_str_radix(digits, 16).expect("hexadecimal"));
                found.entry(title.clone()).or_insert_with(Vec::new).extend(bytes);
            }
        }
    }
    found
}

fn control(bytes: &[u8]) -> Control {
    let mut frames = Frames::default();
    // Byte by byte: a frame comes when it is whole, and only then.
    for (at, byte) in bytes.iter().enumerate() {
        assert_eq!(frames.control().expect("good so far"), None, "{at}");
        frames.push(&[*byte]);
    }
    let frame = frames.control().expect("good").expect("whole");
    assert_eq!(frames.control().expect("good"), None);
    frame
}

#[test]
fn what_a_client_writes_is_as_in_the_specification() {
    let examples = examples();
    let mut out = Vec::new();
    write_hello(&Hello { agent: "demo/1", token: Some("abc"), ..Hello::default() }, &mut out);
    assert_eq!(out, examples["HELLO"]);
    let written = |start| {
        let mut out = Vec::new();
        let subscribe = Subscribe {
            subscription: 1,
            credit: 1 << 20,
            start,
            route: None,
            filter: Some("temp > 70"),
            dialect: None,
            groups: match start {
                Start::Offsets(_) => Some(2),
                _ => None,
            },
            encodings: None,
        };
        write_subscribe(&subscribe, &mut out);
        out
    };
    assert_eq!(written(Start::Latest), examples["SUBSCRIBE latest"]);
    assert_eq!(written(Start::Cursor("billing")), examples["SUBSCRIBE cursor"]);
    assert_eq!(written(Start::Offsets(&[(0, 40), (25, 15_000)])), examples["SUBSCRIBE offsets"]);
    out.clear();
    write_credit(1, 524_288, &mut out);
    assert_eq!(out, examples["CREDIT"]);
    out.clear();
    write_commit(&Commit { request: 5, subscriber: "billing", positions: &[(0, 40), (25, 15_000)] }, &mut out);
    assert_eq!(out, examples["COMMIT"]);
    out.clear();
    let producer = std::array::from_fn(|at| at as u8 * 0x11);
    write_producer(1, &producer, &mut out);
    assert_eq!(out, examples["PRODUCER"]);
    let publish = &examples["PUBLISH"];
    out.clear();
    let records = &publish[publish.len() - 39..];
    write_publish_head(25, 100, 2, records.len(), &mut out);
    out.extend_from_slice(records);
    assert_eq!(&out, publish);
}

#[test]
fn what_a_node_writes_is_read_as_in_the_specification() {
    let examples = examples();
    let Control::Welcome(welcome) = control(&examples["WELCOME"]) else { panic!("a WELCOME") };
    assert_eq!((welcome.partitions, welcome.publish_streams_max, welcome.ack_level), (32, 8, 2));
    assert_eq!(welcome.node, "n1");
    let groups = [vec![(0, 40)], vec![(25, 15_000)]];
    let Control::Subscribed { groups: found, .. } = control(&examples["SUBSCRIBED"]) else { panic!("SUBSCRIBED") };
    assert_eq!(found.concat(), groups.concat());
    let answer = |number, code, text: &str, advice: &str| Answer {
        number,
        code,
        text: text.to_owned(),
        advice: advice.to_owned(),
    };
    assert_eq!(control(&examples["REFUSED"]), Control::Refused(answer(1, 0x20, "no", "mend")));
    assert_eq!(control(&examples["ENDED"]), Control::Ended(answer(1, 0, "", "")));
    assert_eq!(control(&examples["COMMITTED"]), Control::Committed(answer(5, 0, "", "")));
    assert_eq!(control(&examples["ACK"]), Control::Ack { publish: 1, entries: vec![(25, 102)] });
    let Control::Nack(nack) = control(&examples["NACK"]) else { panic!("a NACK") };
    assert_eq!((nack.partition, nack.sequence, nack.code, nack.expected), (25, 100, 0x41, Some(98)));
    let away = control(&examples["GOAWAY"]);
    assert_eq!(away, Control::GoAway { code: 9, text: "restart".to_owned() });
}

#[test]
fn a_batch_has_its_two_events() {
    let examples = examples();
    let bytes = [&examples["DATA"][..], &examples["BATCH whole"], &examples["POSITION"], &examples["LOST"]].concat();
    let mut frames = Frames::default();
    frames.push(&bytes);
    assert_eq!(frames.data(), Ok(Some(Data::Header { subscription: 1, group: 1 })));
    let Ok(Some(Data::Batch { partition: 25, next_offset: 15_002, mask: None, batch, body_bytes })) = frames.data()
    else {
        panic!("a BATCH");
    };
    assert!(crc_is_right(batch));
    assert_eq!(body_bytes, examples["BATCH whole"].len() - 3);
    let mut records = Batch::new(batch).expect("a batch");
    let first = records.next().expect("good").expect("two");
    assert_eq!((first.offset, first.key, first.value), (15_000, Some(&b"d1"[..]), Some(&br#"{"temp":71}"#[..])));
    let second = records.next().expect("good").expect("two");
    assert_eq!((second.offset, second.key, second.value), (15_001, None, Some(&b"{}"[..])));
    assert_eq!(records.next(), Ok(None));
    assert_eq!(frames.data(), Ok(Some(Data::Position { partition: 25, next_offset: 16_000 })));
    assert!(matches!(frames.data(), Ok(Some(Data::Lost { partition: 25, from: 16_000, .. }))));
    // Skimming finds the same, of pieces of any size.
    let (mut at, mut events, mut credit) = (0, 0, 0);
    while at < bytes.len() {
        let found = (1..).find_map(|len| skim(&bytes[at..bytes.len().min(at + len)]).expect("good")).expect("a frame");
        (events, credit, at) = (events + found.events, credit + found.body_bytes, at + found.frame_bytes);
    }
    assert_eq!((events, credit, at), (2, body_bytes, bytes.len()));
}

#[test]
fn a_flipped_bit_is_an_error_or_another_value_and_never_more() {
    let examples = examples();
    for bytes in examples.values() {
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(_)) = frames.control() {}
            let mut frames = Frames::default();
            frames.push(&bytes);
            while let Ok(Some(frame)) = frames.data() {
                if let Data::Batch { batch, .. } = frame
                    && let Ok(mut records) = Batch::new(batch)
                {
                    while let Ok(Some(_)) = records.next() {}
                }
            }
            drop(skim(&bytes));
        }
    }
}

#[test]
fn codes_that_nobody_knows_lose_nothing() {
    let later = 0x3fff;
    assert!(!code::drops_events(later) && !code::is_of_connection(later) && !code::is_passing(later));
    assert!(!code::is_fault(later) && !code::is_unwanted(later));
    // In a NACK: overloaded and log_failed are sent again, a key in a foreign partition is not.
    assert!(!code::drops_events(0x45) && !code::drops_events(0x40) && code::drops_events(0x44));
    assert!(code::is_of_connection(0x09) && code::is_of_connection(0x11));
    let mut welcome = examples()["WELCOME"].clone();
    welcome[2] = 1;
    let mut frames = Frames::default();
    frames.push(&welcome);
    assert!(frames.control().is_err(), "a minor version that was not offered");
}

#[test]
fn keys_lie_where_the_specification_says() {
    for (key, hash) in
        [("", 0x106e_08d9), ("d1", 0x530a_5cb9), ("press-1", 0x6fa8_0e6e), ("device-000123", 0x8fcc_6f41)]
    {
        assert_eq!(murmur2(key.as_bytes()), hash, "{key}");
    }
}

#[test]
fn varints_have_the_length_that_is_said() {
    for n in (0..40).flat_map(|bits| [(1u64 << bits) - 1, 1 << bits, (1 << bits) + 1]) {
        let mut out = Vec::new();
        put_varint(&mut out, n);
        assert_eq!(out.len(), varint_len(n), "{n}");
    }
}
