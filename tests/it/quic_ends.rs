//! Ends of things, and how the client for Rust programs goes on behind them: of events that retention removes, of a token's time, of
//! a node that is told to stop.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};

use connectors::hub::{self, LogOptions};
use connectors::quic::client::{
    ClientError, Code, Incoming, NewEvent, Notice, PublishOptions, Publisher, StartAt, SubscribeOptions, Subscriber,
};
use engine::limits::LANE_BYTES_MAX;
use serde_json::Value;

use crate::credentials::{Issuer, write};
use crate::quic_node::{QuicNode, each_once_in_order, lines};
use crate::support::STEP_MAX;

const NDJSON: &str = "application/x-ndjson";
const PARTITIONS: u32 = 32;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(STEP_MAX, work).await.expect("in time")
}

fn from(start: StartAt) -> SubscribeOptions {
    SubscribeOptions { start, ..SubscribeOptions::default() }
}

/// A log of one partition that keeps its last megabytes.
const SHORT: &str = "
[node]
partitions = 1

[log]
segment_bytes_max = 1048576
retention_bytes_max = 1048576
recent_bytes_max = 65536
";

const EVENT_BYTES: u64 = 2_000;

/// Events so long that some thousand fill the log. Their numbers are their offsets.
fn post_long(quic: &QuicNode, numbers: std::ops::Range<u64>) {
    let pad = "x".repeat(EVENT_BYTES as usize);
    let body: String = numbers.map(|n| format!("{{\"key\":\"k\",\"n\":{n},\"pad\":\"{pad}\"}}\n")).collect();
    let (status, answer) = quic.node().request("POST", "/events?key=/key", NDJSON, &body);
    assert_eq!(status, 200, "{answer}");
}

/// Takes everything up to `end`: the offsets of the events, and what is lost. Together they are every offset once.
async fn take_to(subscriber: &mut Subscriber, end: u64) -> (Vec<u64>, Vec<(u64, u64)>) {
    let (mut offsets, mut lost, mut position) = (Vec::new(), Vec::new(), subscriber.positions()[0].1);
    while position < end {
        match soon(subscriber.next()).await.expect("goes on") {
            Incoming::Batch(batch) => {
                for event in batch.events() {
                    assert_eq!(event.offset(), position, "nothing is left out");
                    let data: Value = serde_json::from_slice(event.data().expect("data")).expect("JSON");
                    assert_eq!(data["n"], position);
                    offsets.push(position);
                    position += 1;
                }
                assert_eq!(batch.next_offset(), position);
            }
            Incoming::Lost { partition, from, to } => {
                assert_eq!((partition, from), (0, position));
                lost.push((from, to));
                position = to;
            }
        }
        assert_eq!(subscriber.positions(), [(0, position)]);
    }
    (offsets, lost)
}

#[test]
fn what_retention_removed_is_said_and_the_rest_comes() {
    const ROUND: u64 = 500;
    let mut quic = QuicNode::with(SHORT);
    block_on(async {
        // It takes nothing for now, and gives credit for one batch.
        let slow = SubscribeOptions { window_bytes: 1, ..from(StartAt::Earliest) };
        let mut slow = soon(Subscriber::open(quic.connect(), slow)).await.expect("opens");
        let (mut end, mut first) = (0, 0);
        // Beyond what can wait for it in memory.
        while first < 4 * LANE_BYTES_MAX / EVENT_BYTES {
            post_long(&quic, end..end + ROUND);
            end += ROUND;
            assert!(end < 100 * ROUND, "retention removes nothing");
            let earliest = soon(Subscriber::open(quic.connect(), from(StartAt::Earliest))).await.expect("opens");
            first = earliest.positions()[0].1;
            soon(earliest.close()).await;
        }
        let (offsets, lost) = take_to(&mut slow, end).await;
        // What was sent ahead came, then it is said what is missing, and the end is there.
        assert!(offsets.first() == Some(&0) && offsets.last() == Some(&(end - 1)), "{lost:?}");
        assert!(lost.iter().any(|(from, to)| *from > 0 && *to >= first), "{lost:?}");
        // Offsets that are no more are asked for: it begins there, and loses them.
        let old = from(StartAt::Offsets(vec![(0, 0)]));
        let mut old = soon(Subscriber::open(quic.connect(), old)).await.expect("opens");
        assert_eq!(old.positions(), [(0, 0)]);
        let (offsets, lost) = take_to(&mut old, end).await;
        assert_eq!(lost, [(0, offsets[0])]);
        assert!(quic.node().metric("anabranch_quic_lost_events") >= first as f64);
        // Whoever was there before a restart learns the same behind it.
        quic.kill_and_start();
        post_long(&quic, end..end + ROUND);
        let (offsets, lost) = take_to(&mut old, end + ROUND).await;
        assert_eq!((offsets.len() as u64, lost), (ROUND, vec![]));
    });
}

/// Says with which words the connection went, and that it is back.
fn watched(quic: &QuicNode) -> (connectors::quic::client::Connect, mpsc::Receiver<Notice>) {
    let (tell, told) = mpsc::channel();
    let connect = quic.connect().watch(move |notice| {
        // The test may be over.
        let _ = tell.send(notice.clone());
    });
    (connect, told)
}

#[test]
fn a_tokens_end_is_the_connections_and_the_next_one_begins_early() {
    let folder = tempfile::tempdir().expect("a folder");
    let issuer = Issuer::new();
    write(folder.path(), "keys.json", &issuer.public());
    let quic = QuicNode::with(&format!(
        "[listeners.quic.access]\nanonymous = \"no\"\n\n\
         [listeners.quic.access.jwt]\njwks_file = '{}/keys.json'\naudience = [\"node\"]\nclock_skew_s_max = 0\n",
        folder.path().display()
    ));
    block_on(async {
        // One that has a new token each time it is asked, and one that has always the same.
        let asked = Arc::new(AtomicUsize::new(0));
        let (connect, told) = watched(&quic);
        let tokens = [issuer.token("node", 2), issuer.token("node", 600)];
        let (first, count) = (tokens[0].clone(), asked.clone());
        let connect = connect.token_from(move || tokens[count.fetch_add(1, Ordering::Relaxed).min(1)].clone());
        let mut renewing = soon(Subscriber::open(connect, from(StartAt::Earliest))).await.expect("opens");
        let ends_ms = renewing.greeting().expect("connected").expires_ms.expect("a token has an end");
        let mut same = soon(Subscriber::open(quic.connect().token(first), from(StartAt::Latest))).await.expect("opens");
        quic.post(0..100);
        let mut events: Vec<Value> = Vec::new();
        let mut take = async |count: usize| {
            while events.len() < count {
                let Incoming::Batch(batch) = soon(renewing.next()).await.expect("goes on") else { panic!("LOST") };
                events.extend(
                    batch
                        .events()
                        .map(|event| -> Value { serde_json::from_slice(event.data().expect("data")).expect("JSON") }),
                );
            }
        };
        take(100).await;
        // The one with the old token is told who it is not, though its HELLO went in 0-RTT, where QUIC hides why.
        let error = loop {
            match soon(same.next()).await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(matches!(error, ClientError::Closed { code: Code::UNAUTHENTICATED, .. }), "{error}");
        let now_ms =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970").as_millis();
        assert!(now_ms >= u128::from(ends_ms), "the connection ended before the token");
        quic.post(100..200);
        take(200).await;
        each_once_in_order(&events, 0..200);
        assert_eq!(told.try_recv().ok(), Some(Notice::Away("the token's time is over".to_owned())));
        assert_eq!(told.try_recv().ok(), Some(Notice::Back));
        assert!(told.try_recv().is_err() && asked.load(Ordering::Relaxed) >= 2);
        // Both knew the node already.
        assert_eq!(quic.node().metric("anabranch_quic_early_connections"), 2.0);
    });
}

/// Events that the log of a node that is down has.
fn events_in_log(quic: &QuicNode) -> u64 {
    let (log, recovered) = hub::open(&LogOptions::new(quic.path("data/log"), PARTITIONS)).expect("opens");
    assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
    let reader = log.reader();
    let mut seen = 0;
    for partition in 0..PARTITIONS {
        let (mut next, end) = reader.bounds(partition);
        while next < end {
            for batch in reader.read(partition, next, 1 << 20).expect("readable") {
                seen += batch.rows().len() as u64;
                next = batch.last_offset() + 1;
            }
        }
    }
    seen
}

#[test]
fn a_node_that_stops_acknowledges_what_it_keeps_and_the_rest_comes_later() {
    const EVENTS: u64 = 6_000;
    let mut quic = QuicNode::start();
    block_on(async {
        let (connect, told) = watched(&quic);
        let options = PublishOptions { streams: 3, batch_bytes: 2 * 1024, linger_ms: 1, ..PublishOptions::default() };
        let publisher = soon(Publisher::open(connect, options)).await.expect("opens");
        let text = lines(0..EVENTS);
        let events: Vec<NewEvent> = text
            .lines()
            .map(|line| {
                let value: Value = serde_json::from_str(line).expect("JSON");
                NewEvent::new(line).key(value["key"].as_str().expect("a key").to_owned())
            })
            .collect();
        let (one, rest) = events.split_first().expect("some");
        soon(soon(publisher.publish(one)).await.expect("taken")).await.expect("kept");
        let bulk = soon(publisher.publish_all(rest)).await.expect("taken");
        // SIGTERM while they are under way, from another thread: this one goes on talking.
        let stopping = tokio::task::spawn_blocking(move || {
            quic.stop();
            quic
        });
        let mut quic = soon(stopping).await.expect("stops");
        // The node has ended, the client has seen it.
        let away = soon(async {
            loop {
                match told.try_recv() {
                    Ok(notice) => break notice,
                    Err(_) => tokio::task::yield_now().await,
                }
            }
        })
        .await;
        assert_eq!(away, Notice::Away("the node stops".to_owned()));
        assert_eq!(
            publisher.totals().acknowledged,
            events_in_log(&quic),
            "what is kept is acknowledged, and nothing else"
        );
        quic.run();
        let outcome = soon(bulk).await.expect("settled");
        assert_eq!((outcome.acknowledged, outcome.refused.len()), (EVENTS - 1, 0));
        assert_eq!(soon(publisher.close()).await.expect("settled").acknowledged, EVENTS);
        assert_eq!(told.try_recv().ok(), Some(Notice::Back));
        let mut subscriber = soon(Subscriber::open(quic.connect(), from(StartAt::Earliest))).await.expect("opens");
        let mut found: Vec<Value> = Vec::new();
        while found.len() < EVENTS as usize {
            let Incoming::Batch(batch) = soon(subscriber.next()).await.expect("goes on") else { panic!("LOST") };
            found.extend(
                batch
                    .events()
                    .map(|event| -> Value { serde_json::from_slice(event.data().expect("data")).expect("JSON") }),
            );
        }
        each_once_in_order(&found, 0..EVENTS);
        quic.stop();
        assert_eq!(events_in_log(&quic), EVENTS);
    });
}
