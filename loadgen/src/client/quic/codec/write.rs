//! What a client writes.

use super::{MINOR, kind};

/// Appends a number in its shortest form. Nothing of ours reaches 2^62, where numbers end.
pub fn put_number(out: &mut Vec<u8>, n: u64) {
    match n {
        0..=0x3f => out.push(n as u8),
        0x40..=0x3fff => out.extend_from_slice(&(n as u16 | 0x4000).to_be_bytes()),
        0x4000..=0x3fff_ffff => out.extend_from_slice(&(n as u32 | 0x8000_0000).to_be_bytes()),
        _ => {
            debug_assert!(n < 1 << 62, "numbers end at 2^62");
            out.extend_from_slice(&(n | 0xc000_0000_0000_0000).to_be_bytes());
        }
    }
}

fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

fn frame(out: &mut Vec<u8>, kind: u64, body: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = Vec::new();
    body(&mut bytes);
    put_number(out, kind);
    put_bytes(out, &bytes);
}

fn field(body: &mut Vec<u8>, tag: u64, value: impl FnOnce(&mut Vec<u8>)) {
    frame(body, tag, value);
}

fn text_field(body: &mut Vec<u8>, tag: u64, text: Option<&str>) {
    if let Some(text) = text {
        field(body, tag, |value| value.extend_from_slice(text.as_bytes()));
    }
}

fn number_field(body: &mut Vec<u8>, tag: u64, number: Option<u64>) {
    if let Some(number) = number {
        field(body, tag, |value| put_number(value, number));
    }
}

/// HELLO.
#[derive(Clone, Copy, Debug, Default)]
pub struct Hello<'a> {
    pub agent: &'a str,
    pub token: Option<&'a str>,
    pub user: Option<&'a str>,
    pub password: Option<&'a str>,
}

pub fn write_hello(hello: &Hello<'_>, out: &mut Vec<u8>) {
    frame(out, kind::HELLO, |body| {
        put_number(body, MINOR);
        text_field(body, 1, Some(hello.agent));
        text_field(body, 2, hello.token);
        text_field(body, 3, hello.user);
        text_field(body, 4, hello.password);
    });
}

/// Where a subscription begins.
#[derive(Clone, Copy, Debug)]
pub enum Start<'a> {
    Latest,
    Earliest,
    TimeMs(u64),
    /// Where a name committed last; where it did not, at the first event.
    Cursor(&'a str),
    Offsets(&'a [(u32, u64)]),
}

/// SUBSCRIBE.
#[derive(Clone, Copy, Debug)]
pub struct Subscribe<'a> {
    pub subscription: u32,
    pub credit: u64,
    pub start: Start<'a>,
    pub route: Option<&'a str>,
    pub filter: Option<&'a str>,
    pub dialect: Option<&'a str>,
    pub groups: Option<u64>,
    pub encodings: Option<u64>,
}

pub fn write_subscribe(subscribe: &Subscribe<'_>, out: &mut Vec<u8>) {
    frame(out, kind::SUBSCRIBE, |body| {
        put_number(body, subscribe.subscription.into());
        put_number(body, subscribe.credit);
        put_number(
            body,
            match subscribe.start {
                Start::Latest => 0,
                Start::Earliest => 1,
                Start::TimeMs(_) => 2,
                Start::Cursor(_) => 3,
                Start::Offsets(_) => 4,
            },
        );
        text_field(body, 1, subscribe.route);
        text_field(body, 2, subscribe.filter);
        text_field(body, 3, subscribe.dialect);
        match subscribe.start {
            Start::TimeMs(time_ms) => number_field(body, 5, Some(time_ms)),
            Start::Cursor(name) => {
                text_field(body, 6, Some(name));
                number_field(body, 7, Some(1));
            }
            Start::Offsets(offsets) => field(body, 8, |value| put_positions(value, offsets)),
            Start::Latest | Start::Earliest => {}
        }
        number_field(body, 9, subscribe.groups);
        number_field(body, 10, subscribe.encodings);
    });
}

fn put_positions(out: &mut Vec<u8>, positions: &[(u32, u64)]) {
    for &(partition, offset) in positions {
        put_number(out, partition.into());
        put_number(out, offset);
    }
}

pub fn write_credit(subscription: u32, bytes: u64, out: &mut Vec<u8>) {
    frame(out, kind::CREDIT, |body| {
        put_number(body, subscription.into());
        put_number(body, bytes);
    });
}

/// COMMIT.
#[derive(Clone, Copy, Debug)]
pub struct Commit<'a> {
    pub request: u64,
    pub subscriber: &'a str,
    pub positions: &'a [(u32, u64)],
}

pub fn write_commit(commit: &Commit<'_>, out: &mut Vec<u8>) {
    frame(out, kind::COMMIT, |body| {
        put_number(body, commit.request);
        put_bytes(body, commit.subscriber.as_bytes());
        let mut list = Vec::new();
        put_positions(&mut list, commit.positions);
        put_bytes(body, &list);
    });
}

pub fn write_producer(publish: u32, producer: &[u8; 16], out: &mut Vec<u8>) {
    frame(out, kind::PRODUCER, |body| {
        put_number(body, publish.into());
        body.extend_from_slice(producer);
    });
}

/// PUBLISH up to its records, of which there are so many bytes.
pub fn write_publish_head(partition: u32, sequence: u64, count: u32, records_bytes: usize, out: &mut Vec<u8>) {
    let mut fixed = Vec::with_capacity(24);
    put_number(&mut fixed, partition.into());
    put_number(&mut fixed, sequence);
    put_number(&mut fixed, count.into());
    put_number(out, kind::PUBLISH);
    put_number(out, (fixed.len() + records_bytes) as u64);
    out.extend_from_slice(&fixed);
}
