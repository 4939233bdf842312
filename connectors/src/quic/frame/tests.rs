//! Frames there and back, cut at every byte, bent at random; and the examples of `docs/quic.md`, which are these bytes.

use super::*;
use engine::filter::Dialect;

/// What kind of stream a frame belongs to.
#[derive(Clone, Copy, Debug)]
enum Stream {
    Control,
    Data,
    Publish,
}

/// Reads the one frame that `bytes` are, and writes it again.
fn again(stream: Stream, bytes: &[u8]) -> Result<Option<Vec<u8>>, FrameError> {
    let Some(head) = head(bytes, bounds::BATCH_BODY_BYTES_MAX)? else { return Ok(None) };
    let Some(body) = bytes.get(head.head_bytes..head.total()) else { return Ok(None) };
    let mut out = Vec::new();
    match stream {
        Stream::Control => Control::decode(head.kind, body)?.inspect(|frame| frame.write(&mut out)).map(|_| ()),
        Stream::Data => DataFrame::decode(head.kind, body)?.inspect(|frame| frame.write(&mut out)).map(|_| ()),
        Stream::Publish => PublishFrame::decode(head.kind, body)?.inspect(|frame| frame.write(&mut out)).map(|_| ()),
    };
    Ok(Some(out))
}

fn name(random: &mut fastrand::Rng) -> String {
    (0..random.usize(..20)).map(|_| random.alphanumeric()).collect()
}

fn number(random: &mut fastrand::Rng) -> u64 {
    random.u64(..) >> random.u32(2..64)
}

fn partitions(random: &mut fastrand::Rng) -> Vec<u32> {
    let mut all: Vec<u32> = (0..random.u32(1..8)).map(|_| random.u32(..1024)).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn pairs(random: &mut fastrand::Rng) -> Vec<(u32, u64)> {
    partitions(random).into_iter().map(|partition| (partition, number(random))).collect()
}

/// A random valid frame.
fn any(random: &mut fastrand::Rng) -> (Stream, Vec<u8>) {
    let mut out = Vec::new();
    let (a, b, c) = (name(random), name(random), name(random));
    let (int, code) = (random.u32(..), Code(number(random)));
    let mut list = Vec::new();
    let stream = match random.u8(..20) {
        0..=12 => Stream::Control,
        13..=16 => Stream::Data,
        _ => Stream::Publish,
    };
    match random.u8(..13) {
        _ if matches!(stream, Stream::Data) => {
            let (partition, next_offset) = (random.u32(..1024), number(random));
            let mask: Vec<u8> = (0..random.usize(..40)).map(|_| random.u8(..)).collect();
            let encoding = [Encoding::Whole, Encoding::Masked(&mask), Encoding::Packed][random.usize(..3)];
            match random.u8(..4) {
                0 => DataFrame::Header(DataHeader { subscription: int, group: random.u32(..64) }),
                1 => DataFrame::Batch(BatchFrame { partition, next_offset, encoding, records: a.as_bytes() }),
                2 => DataFrame::Position(Position { partition, next_offset }),
                _ => DataFrame::Lost(Lost { partition, from: next_offset, to: next_offset + 1 + number(random) / 2 }),
            }
            .write(&mut out);
        }
        _ if matches!(stream, Stream::Publish) => match random.bool() {
            true => PublishFrame::Producer(Producer { publish: int, id: random.u128(..).to_be_bytes() }),
            false => PublishFrame::Publish(Publish {
                partition: random.u32(..1024),
                sequence: number(random) % (1 << 45),
                count: random.u32(1..=16384),
                records: a.as_bytes(),
            }),
        }
        .write(&mut out),
        0 => Hello { minor: number(random), agent: &a, token: &b, user: &c, password: &a }.write(&mut out),
        1 => Welcome {
            minor: number(random),
            partitions: random.u32(1..=1024),
            credit_max: number(random),
            subscriptions_max: int,
            publish_streams_max: random.u32(..),
            publish_bytes_max: random.u32(..),
            permissions: number(random),
            ack_level: random.u64(..3),
            node: &a,
            agent: &b,
            principal: &c,
            expires_ms: random.bool().then(|| number(random)),
        }
        .write(&mut out),
        2 => {
            let mut wanted = Vec::new();
            Numbers::encode(&mut wanted, partitions(random));
            Pairs::encode(&mut list, pairs(random));
            let subscriber = &c;
            let start = match random.u8(..5) {
                0 => Start::Latest,
                1 => Start::Earliest,
                2 => Start::Time(number(random)),
                3 => Start::Cursor { subscriber, else_earliest: random.bool() },
                _ => {
                    wanted.clear();
                    Start::Offsets(Pairs::of(0, &list).expect("ascending"))
                }
            };
            Subscribe {
                subscription: int,
                credit: number(random),
                start,
                route: &a,
                filter: &b,
                dialect: Dialect::ALL[random.usize(..5)],
                partitions: Numbers::of(0, &wanted).expect("ascending"),
                groups: random.u32(1..=64),
                encodings: random.u64(4..8),
            }
            .write(&mut out);
        }
        3 => {
            (0..random.usize(1..4)).for_each(|_| Groups::encode(&mut list, pairs(random)));
            let properties = [(a.as_str(), b.as_str()), (b.as_str(), c.as_str())];
            let warnings = [c.as_str(), a.as_str()];
            let (properties, warnings) = (&properties[random.usize(..3)..], &warnings[random.usize(..3)..]);
            Subscribed::put(&mut out, int, &list, properties.iter().copied(), warnings.iter().copied());
        }
        4 => Control::Refused(Refused { subscription: int, code, text: &a, advice: &b }).write(&mut out),
        5 => Control::Unsubscribe(int).write(&mut out),
        6 => Control::Ended(Ended { subscription: int, code, text: &a, advice: &b }).write(&mut out),
        7 => Control::Credit(Credit { subscription: int, bytes: number(random) }).write(&mut out),
        8 => {
            Pairs::encode(&mut list, pairs(random));
            let positions = Pairs::of(0, &list).expect("ascending");
            Control::Commit(Commit { request: number(random), subscriber: &a, positions }).write(&mut out);
        }
        9 => Control::Committed(Committed { request: number(random), code, text: &a, advice: &b }).write(&mut out),
        10 => {
            for partition in partitions(random) {
                let entry =
                    AckEntry { partition, next_sequence: number(random) % (1 << 46), end_offset: number(random) };
                Acks::encode(&mut list, entry);
            }
            Control::Ack(Ack { publish: int, entries: Acks::of(0, &list).expect("valid") }).write(&mut out);
        }
        11 => Control::Nack(Nack {
            publish: int,
            partition: random.u32(..1024),
            sequence: number(random) % (1 << 46),
            code,
            text: &a,
            advice: &b,
            expected: random.bool().then(|| number(random)),
        })
        .write(&mut out),
        _ => Control::GoAway(GoAway { code, after_ms: number(random), text: &a, address: &b }).write(&mut out),
    }
    (stream, out)
}

#[test]
fn frames_are_read_as_they_were_written() {
    let mut random = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let (stream, bytes) = any(&mut random);
        assert_eq!(again(stream, &bytes), Ok(Some(bytes.clone())), "{stream:?} {bytes:02x?}");
    }
}

#[test]
fn a_frame_that_is_cut_waits_for_more_and_a_body_that_is_cut_is_refused_or_another() {
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..2_000 {
        let (stream, bytes) = any(&mut random);
        for cut in 0..bytes.len() {
            assert_eq!(again(stream, &bytes[..cut]), Ok(None), "{stream:?} {bytes:02x?} cut at {cut}");
        }
        let head = head(&bytes, bounds::BATCH_BODY_BYTES_MAX).expect("ours").expect("whole");
        for cut in 0..head.body_bytes {
            // With a length that fits, it must not panic, and what it is read as must be stable.
            let mut short = Vec::new();
            put(&mut short, head.kind, |out| out.extend_from_slice(&bytes[head.head_bytes..head.head_bytes + cut]));
            stable(stream, &short);
        }
    }
}

#[test]
fn bent_frames_never_panic_and_what_is_read_is_stable() {
    let mut random = fastrand::Rng::with_seed(3);
    let (mut refused, mut read) = (0, 0);
    for _ in 0..50_000 {
        let (stream, mut bytes) = any(&mut random);
        for _ in 0..random.usize(1..4) {
            let at = random.usize(..bytes.len());
            bytes[at] = random.u8(..);
        }
        if stable(stream, &bytes) { read += 1 } else { refused += 1 }
    }
    assert!(refused > 5_000 && read > 5_000, "{refused} refused, {read} read");
}

/// Whether the bytes are read; what is read is written and read as the same.
fn stable(stream: Stream, bytes: &[u8]) -> bool {
    match again(stream, bytes) {
        Ok(Some(written)) if !written.is_empty() => {
            assert_eq!(again(stream, &written), Ok(Some(written.clone())), "{stream:?} {bytes:02x?}");
            true
        }
        _ => false,
    }
}

#[test]
fn a_publish_head_is_read_from_its_first_bytes() {
    let mut bytes = Vec::new();
    write_publish_head(&mut bytes, 1000, 70_000, 300, 5000);
    let head_bytes = bytes.len();
    bytes.resize(head_bytes + 5000, 7);
    let found = |cut: usize| {
        let head = head(&bytes[..cut], bounds::PUBLISH_BODY_BYTES_MAX)?;
        head.map_or(Ok(None), |head| publish_head(&bytes[..cut], &head))
    };
    for cut in 0..head_bytes {
        assert_eq!(found(cut), Ok(None), "{cut}");
    }
    let wanted = PublishHead { partition: 1000, sequence: 70_000, count: 300, head_bytes, records_bytes: 5000 };
    assert_eq!(found(head_bytes), Ok(Some(wanted)));
    assert_eq!(found(bytes.len()), Ok(Some(wanted)));
    let short = [0x33, 2, 1, 5];
    let short_head = head(&short, 100).expect("it is one").expect("whole");
    assert!(publish_head(&short, &short_head).is_err());
}

#[test]
fn bounds_and_unknown_types() {
    assert!(matches!(head(&[0x01, 0x80, 1, 0, 1], 65_536), Err(FrameError::TooLarge { bytes: 65_537, .. })));
    assert_eq!(Control::decode(0x40, b"whatever"), Ok(None));
    assert_eq!(Control::decode(0x41, b""), Err(FrameError::Unknown { kind: 0x41 }));
    assert_eq!(FrameError::Unknown { kind: 0x41 }.code(), Code::UNKNOWN_FRAME);
    // Tags that come twice, or do not ascend; an unknown one is skipped.
    let hello = |fields: &[u8]| {
        let body = [&[0][..], fields].concat();
        Control::decode(kind::HELLO, &body)
            .map(|frame| matches!(frame, Some(Control::Hello(hello)) if hello.agent == "a"))
    };
    assert_eq!(hello(&[1, 1, b'a', 0x20, 2, 9, 9]), Ok(true));
    assert!(hello(&[1, 1, b'a', 1, 1, b'a']).is_err());
    assert!(hello(&[2, 1, b'a', 1, 1, b'a']).is_err());
    assert!(hello(&[1, 1, 0xff]).is_err());
    // A start that its fields do not go with.
    for body in [&[1, 0, 2][..], &[1, 0, 4], &[1, 0, 5], &[1, 0, 0, 5, 1, 1], &[1, 0, 4, 4, 1, 1, 8, 2, 1, 1]] {
        assert!(Control::decode(kind::SUBSCRIBE, body).is_err(), "{body:?}");
    }
    assert!(Control::decode(kind::SUBSCRIBE, &[1, 0, 4, 8, 4, 1, 1, 1, 2]).is_err(), "a partition twice");
    assert!(PublishFrame::decode(kind::PUBLISH, &[1, 5, 0]).is_err(), "no events");
}

#[test]
fn every_code_has_a_number_of_its_own() {
    let mut numbers: Vec<u64> = Code::ALL.iter().map(|code| code.0).collect();
    numbers.dedup();
    assert_eq!(numbers.len(), Code::ALL.len());
    assert!(numbers.is_sorted());
    assert_eq!(Code(0x7777).name(), "unknown");
}

/// The frames of the manual's section with examples, in its order.
fn examples() -> Vec<(&'static str, Vec<u8>)> {
    let list = |write: &dyn Fn(&mut Vec<u8>)| {
        let mut out = Vec::new();
        write(&mut out);
        out
    };
    let control = |frame: Control<'_>| list(&|out| frame.write(out));
    let data = |frame: DataFrame<'_>| list(&|out| frame.write(out));
    let offsets = list(&|out| Pairs::encode(out, [(0, 40), (25, 15_000)]));
    let offsets = Pairs::of(0, &offsets).expect("ascending");
    let acks = list(&|out| Acks::encode(out, AckEntry { partition: 25, next_sequence: 102, end_offset: 15_002 }));
    let mut groups = Vec::new();
    Groups::encode(&mut groups, [(0, 40)]);
    Groups::encode(&mut groups, [(25, 15_000)]);
    let batch = example_batch();
    let records = &batch[engine::batch::HEADER_BYTES..];
    let id = *b"\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    let token = Hello { minor: 0, agent: "demo/1", token: "abc", ..Hello::default() };
    let welcome = Welcome {
        minor: 0,
        partitions: 32,
        credit_max: 16 << 20,
        subscriptions_max: 64,
        publish_streams_max: 8,
        publish_bytes_max: 1_118_147,
        permissions: 7,
        ack_level: 2,
        node: "n1",
        agent: "anabranch/0",
        principal: "ann",
        expires_ms: None,
    };
    let subscribe = Subscribe { filter: "temp > 70", ..Subscribe::new(1, 1 << 20) };
    let cursor = Start::Cursor { subscriber: "billing", else_earliest: true };
    vec![
        ("HELLO", control(Control::Hello(token))),
        ("WELCOME", control(Control::Welcome(welcome))),
        ("SUBSCRIBE latest", control(Control::Subscribe(subscribe))),
        ("SUBSCRIBE cursor", control(Control::Subscribe(Subscribe { start: cursor, ..subscribe }))),
        (
            "SUBSCRIBE offsets",
            control(Control::Subscribe(Subscribe { start: Start::Offsets(offsets), groups: 2, ..subscribe })),
        ),
        ("SUBSCRIBED", list(&|out| Subscribed::put(out, 1, &groups, [("site", "hh")].into_iter(), std::iter::empty()))),
        (
            "REFUSED",
            control(Control::Refused(Refused {
                subscription: 1,
                code: Code::FILTER_INVALID,
                text: "no",
                advice: "mend",
            })),
        ),
        ("UNSUBSCRIBE", control(Control::Unsubscribe(1))),
        ("ENDED", control(Control::Ended(Ended { subscription: 1, code: Code::NONE, text: "", advice: "" }))),
        ("CREDIT", control(Control::Credit(Credit { subscription: 1, bytes: 524_288 }))),
        ("COMMIT", control(Control::Commit(Commit { request: 5, subscriber: "billing", positions: offsets }))),
        ("COMMITTED", control(Control::Committed(Committed { request: 5, code: Code::NONE, text: "", advice: "" }))),
        ("DATA", data(DataFrame::Header(DataHeader { subscription: 1, group: 1 }))),
        (
            "BATCH whole",
            data(DataFrame::Batch(BatchFrame {
                partition: 25,
                next_offset: 15_002,
                encoding: Encoding::Whole,
                records: &batch,
            })),
        ),
        (
            "BATCH masked, up to its records",
            list(&|out| {
                write_batch_head(out, 25, 15_002, Encoding::Masked(&[0b10]), batch.len());
            }),
        ),
        ("POSITION", data(DataFrame::Position(Position { partition: 25, next_offset: 16_000 }))),
        ("LOST", data(DataFrame::Lost(Lost { partition: 25, from: 16_000, to: 17_000 }))),
        ("PRODUCER", list(&|out| PublishFrame::Producer(Producer { publish: 1, id }).write(out))),
        (
            "PUBLISH",
            list(&|out| {
                PublishFrame::Publish(Publish { partition: 25, sequence: 100, count: 2, records }).write(out);
            }),
        ),
        ("ACK", control(Control::Ack(Ack { publish: 1, entries: Acks::of(0, &acks).expect("valid") }))),
        (
            "NACK",
            control(Control::Nack(Nack {
                publish: 1,
                partition: 25,
                sequence: 100,
                code: Code::OUT_OF_ORDER,
                text: "",
                advice: "",
                expected: Some(98),
            })),
        ),
        (
            "GOAWAY",
            control(Control::GoAway(GoAway { code: Code::GOING_AWAY, after_ms: 1000, text: "restart", address: "" })),
        ),
    ]
}

/// Two events of partition 25, as stored at offset 15,000.
fn example_batch() -> Vec<u8> {
    let mut builder = engine::batch::BatchBuilder::new(25);
    let mut headers = engine::batch::HeaderWriter::default();
    engine::event::put_attribute(&mut headers, "type", "t");
    builder.push(Some(b"d1"), b"{\"temp\":71}", &headers, 0).expect("it fits");
    builder.push(None, b"{}", &engine::batch::HeaderWriter::default(), 0).expect("it fits");
    let mut batch = builder.seal().expect("two events");
    batch.set_base_offset(15_000);
    batch.bytes().to_vec()
}

#[test]
fn the_manual_has_these_bytes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/quic.md");
    let manual = std::fs::read_to_string(path).expect("the manual is there");
    let (_, section) = manual.split_once("## Examples").expect("it has examples");
    let mut found = Vec::new();
    let mut lines = section.lines().peekable();
    while let Some(line) = lines.next() {
        let Some(title) = line.strip_prefix("# ") else { continue };
        let mut hex = String::new();
        while let Some(more) = lines.next_if(|line| line.bytes().next().is_some_and(|first| first.is_ascii_hexdigit()))
        {
            hex.push_str(more);
            hex.push(' ');
        }
        let bytes: Result<Vec<u8>, _> = hex.split_whitespace().map(|byte| u8::from_str_radix(byte, 16)).collect();
        found.push((title.to_string(), bytes.expect("hexadecimal")));
    }
    let wanted: Vec<_> = examples().into_iter().map(|(title, bytes)| (title.to_string(), bytes)).collect();
    let shown = |all: &[(String, Vec<u8>)]| {
        let mut text = String::new();
        for (title, bytes) in all {
            text.push_str(&format!("# {title}\n"));
            for line in bytes.chunks(32) {
                let line: Vec<String> = line.iter().map(|byte| format!("{byte:02x}")).collect();
                text.push_str(&line.join(" "));
                text.push('\n');
            }
        }
        text
    };
    assert!(found == wanted, "docs/quic.md, Examples: write\n{}", shown(&wanted));
}

#[test]
fn the_manual_has_these_codes_and_hashes() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/quic.md");
    let manual = std::fs::read_to_string(path).expect("the manual is there");
    for code in Code::ALL {
        let row = format!("| {:#04x} | `{}` | ", code.0, code.name());
        let line = manual.lines().find(|line| line.starts_with(&row)).unwrap_or_else(|| panic!("no row {row}"));
        assert!(line.ends_with(&format!("| {} |", code.advice())), "{line} does not end with: {}", code.advice());
    }
    for key in ["d1", "press-1", "device-000123"] {
        let hash = engine::batch::murmur2(key.as_bytes());
        let partition = engine::batch::partition_of(key.as_bytes(), 32);
        let row = format!("| `{key}` | 0x{hash:08x} | {partition} |");
        assert!(manual.contains(&row), "{row}");
    }
    for bound in [bounds::BATCH_BODY_BYTES_MAX, bounds::CONTROL_BODY_BYTES_MAX, bounds::TOKEN_BYTES_MAX] {
        let digits = bound.to_string();
        let (head, tail) = digits.split_at(digits.len() % 3);
        let groups: Vec<&str> = (0..tail.len() / 3).map(|at| &tail[3 * at..3 * at + 3]).collect();
        let text = [&[head][..], &groups].concat().join(",");
        assert!(manual.contains(text.trim_start_matches(',')), "{text}");
    }
}
