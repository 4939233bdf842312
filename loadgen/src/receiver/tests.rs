//! A real client against the receiver in each of its modes.

use super::*;
use crate::client::Progress;
use crate::client::http::{self, Format, HttpPlan};
use crate::fleet::Fleet;

use std::io::{Read, Write};
use std::net::TcpStream;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn plan(receiver: &Receiver, events: u64) -> HttpPlan {
    let mut plan = HttpPlan::new(receiver.url().parse().unwrap(), 50);
    plan.events = events;
    plan.connections = 3;
    plan.batch = 40;
    plan
}

/// One request by hand; the answer's head.
fn post(receiver: &Receiver, head: &str, body: &[u8]) -> String {
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    let request = format!(
        "POST /events HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n{head}\r\n",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    stream.write_all(body).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_fleet_arrives_whole_and_in_order() {
    for format in [Format::CloudEventsBatch, Format::CloudEvent] {
        let receiver = Receiver::start(Mode::Healthy).unwrap();
        let plan = HttpPlan { format, ..plan(&receiver, 1_000) };
        let (_stop, stopped) = watch::channel(false);
        let outcome = runtime().block_on(http::run(plan, Arc::new(Progress::default()), stopped, None)).unwrap();
        let received = receiver.received();
        assert_eq!((received.events, received.strangers, received.refused_requests), (1_000, 0, 0), "{format:?}");
        assert_eq!(received.latency.count, 1_000);
        let mut verifier = outcome.ledger.verifier();
        for (position, (device, seq)) in receiver.order_of_arrival().into_iter().enumerate() {
            verifier.see(device, seq, position as u64);
        }
        let verdict = verifier.finish();
        assert!(verdict.is_clean() && verdict.expected == 1_000, "{verdict}");
    }
}

#[test]
fn failing_answers_with_its_status_and_counts_nothing() {
    let receiver = Receiver::start(Mode::Fail { status: 503, retry_after_s: Some(7) }).unwrap();
    let answer = post(&receiver, "content-type: application/cloudevents+json\r\n", b"{}");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("retry-after: 7"), "{answer}");
    let received = receiver.received();
    assert_eq!((received.requests, received.refused_requests, received.events), (1, 1, 0));
}

#[test]
fn hanging_holds_a_request_until_it_is_told_otherwise() {
    let receiver = Receiver::start(Mode::Hang).unwrap();
    std::thread::scope(|scope| {
        let answer = scope.spawn(|| post(&receiver, "content-type: application/cloudevents+json\r\n", b"{}"));
        while receiver.received().requests == 0 {
            std::thread::yield_now();
        }
        assert!(!answer.is_finished());
        receiver.set_mode(Mode::Healthy);
        // The mode may change before the request has come to look at it: then it is simply healthy.
        let answer = answer.join().unwrap();
        assert!(answer.starts_with("HTTP/1.1 503") || answer.starts_with("HTTP/1.1 200"), "{answer}");
    });
    assert_eq!(
        post(&receiver, "content-type: application/cloudevents+json\r\n", b"{}").get(..12),
        Some("HTTP/1.1 200")
    );
}

#[test]
fn dropping_it_cuts_a_hanging_request() {
    let receiver = Receiver::start(Mode::Hang).unwrap();
    let mut stream = TcpStream::connect(receiver.address()).unwrap();
    stream.write_all(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n").unwrap();
    while receiver.received().requests == 0 {
        std::thread::yield_now();
    }
    drop(receiver);
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest);
    assert!(rest.is_empty());
}

#[test]
fn slow_takes_its_time_and_then_counts() {
    let receiver = Receiver::start(Mode::Slow(Duration::from_millis(30))).unwrap();
    let began = std::time::Instant::now();
    let answer = post(&receiver, "content-type: application/cloudevents+json\r\n", b"{}");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(began.elapsed() >= Duration::from_millis(30));
    assert_eq!(receiver.received().events, 1);
}

#[test]
fn binary_mode_is_read_and_strangers_are_told_apart() {
    let receiver = Receiver::start(Mode::Healthy).unwrap();
    let mut data = Vec::new();
    Fleet::new(1, 5..6).write_event(crate::clock::now_us(), &mut data);
    post(&receiver, "ce-id: 1\r\ncontent-type: application/json\r\n", &data);
    post(
        &receiver,
        "content-type: application/cloudevents+json\r\n",
        br#"{"specversion":"1.0","id":"1","data":{"x":1}}"#,
    );
    post(&receiver, "content-type: application/cloudevents+json\r\n", br#"{"specversion":"1.0","id":"1"}"#);
    let received = receiver.received();
    assert_eq!((received.events, received.strangers), (3, 2));
    assert_eq!(receiver.order_of_arrival(), [(5, 0)]);
}

#[test]
fn what_is_no_cloud_event_is_refused() {
    let receiver = Receiver::start(Mode::Healthy).unwrap();
    for (content_type, body) in [("application/cloudevents+json", "{"), ("application/cloudevents-batch+json", "{}")] {
        let answer = post(&receiver, &format!("content-type: {content_type}\r\n"), body.as_bytes());
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(receiver.received().refused_requests, 2);
}

#[test]
fn it_starts_and_ends_inside_another_runtime() {
    runtime().block_on(async {
        let receiver = Receiver::start(Mode::Healthy).unwrap();
        assert_eq!(receiver.received(), Received::default());
    });
}
