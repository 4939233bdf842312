//! What the rules of both sides are tried with: frames as they are sent, answers in words.

use std::sync::Arc;

use engine::batch::{BatchBuilder, HEADER_BYTES, HeaderWriter};
use engine::lane::{Delivery, Rows};

use crate::quic::frame::*;
use crate::quic::session::server::{Action, Grant};
use crate::quic::session::{Fault, QuicLimits, Server};

pub const ALL: u64 = Welcome::MAY_READ | Welcome::MAY_PUBLISH | Welcome::MAY_COMMIT;

pub fn bytes(frame: Control<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    frame.write(&mut out);
    out
}

pub fn hello() -> Vec<u8> {
    bytes(Control::Hello(Hello { user: "ann", password: "secret", ..Hello::default() }))
}

pub fn subscribe(number: u32, credit: u64) -> Vec<u8> {
    bytes(Control::Subscribe(Subscribe::new(number, credit)))
}

pub fn grant(permissions: u64) -> Grant {
    Grant { principal: "ann".to_owned(), permissions, partitions: 4, ..Grant::default() }
}

/// A server that has let its client in.
pub fn open_with(limits: QuicLimits, permissions: u64) -> Server {
    let mut server = Server::new(limits, true);
    server.handle_control(&hello()).expect("HELLO");
    assert!(
        matches!(server.poll_action(), Some(Action::Authenticate(who)) if who.user == "ann" && who.password == "secret")
    );
    server.handle_authenticated(grant(permissions)).expect("nothing waits");
    let mut out = Vec::new();
    server.poll_control(&mut out).expect("nothing waits");
    server
}

pub fn open() -> Server {
    open_with(QuicLimits::default(), ALL)
}

/// What the server answers, in words.
pub fn answers(server: &mut Server) -> Vec<String> {
    let mut out = Vec::new();
    server.poll_control(&mut out).expect("nothing waits");
    words(&out)
}

pub fn words(mut rest: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while let Some(found) = head(rest, usize::MAX).expect("frames") {
        let frame = Control::decode(found.kind, &rest[found.head_bytes..found.total()]).expect("valid").expect("known");
        words.push(match frame {
            Control::Refused(refused) => format!("refused {} {}", refused.subscription, refused.code.name()),
            Control::Ended(ended) => format!("ended {} {}", ended.subscription, ended.code.name()),
            Control::Subscribed(opened) => format!("subscribed {}", opened.subscription),
            Control::Committed(answer) => format!("committed {} {}", answer.request, answer.code.name()),
            Control::Ack(ack) => {
                let entries: Vec<_> = ack.entries.iter().map(|entry| (entry.partition, entry.next_sequence)).collect();
                format!("ack {} {entries:?}", ack.publish)
            }
            Control::Nack(nack) => {
                format!("nack {} {} {} {:?}", nack.partition, nack.sequence, nack.code.name(), nack.expected)
            }
            other => format!("{other:?}").split(['(', ' ']).next().unwrap_or_default().to_lowercase(),
        });
        rest = &rest[found.total()..];
    }
    words
}

#[track_caller]
pub fn fault(result: Result<(), Fault>) -> Code {
    result.expect_err("it is against the rules").code
}

pub fn delivery(rows: Rows) -> Delivery {
    let mut builder = BatchBuilder::new(1);
    for value in [&[b'a'; 400][..], b"b", b"c"] {
        builder.push(None, value, &HeaderWriter::default(), 1).expect("it fits");
    }
    let mut batch = builder.seal().expect("three");
    batch.set_base_offset(100);
    Delivery { batch: Arc::new(batch), rows, enrichments: Arc::from([]), table_version: 1 }
}

pub fn producer(publish: u32) -> Vec<u8> {
    let mut out = Vec::new();
    PublishFrame::Producer(Producer { publish, id: [7; 16] }).write(&mut out);
    out
}

/// A PUBLISH of events without keys, of so many bytes each.
pub fn publish(partition: u32, sequence: u64, sizes: &[usize]) -> Vec<u8> {
    publish_of(partition, sequence, None, sizes, &HeaderWriter::default())
}

pub fn publish_of(
    partition: u32,
    sequence: u64,
    key: Option<&[u8]>,
    sizes: &[usize],
    headers: &HeaderWriter,
) -> Vec<u8> {
    let mut builder = BatchBuilder::new(partition);
    for size in sizes {
        builder.push(key, &vec![b'x'; *size], headers, 0).expect("it fits");
    }
    let batch = builder.seal().expect("some");
    let records = &batch.bytes()[HEADER_BYTES..];
    let mut out = Vec::new();
    PublishFrame::Publish(Publish { partition, sequence, count: sizes.len() as u32, records }).write(&mut out);
    out
}
