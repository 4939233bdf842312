//! The client for Rust programs against the real node: kills, changes of the network, threads.

use std::time::Duration;

use connectors::quic::client::{
    Batch, ClientError, Code, CommitError, Incoming, NewEvent, PublishError, PublishOptions, Publisher, StartAt,
    SubscribeOptions, Subscriber,
};
use serde_json::Value;

use crate::quic_node::{QuicNode, each_once_in_order, lines};
use crate::support::STEP_MAX;

fn block_on<T>(work: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(work)
}

fn earliest() -> SubscribeOptions {
    SubscribeOptions { start: StartAt::Earliest, groups: 4, ..SubscribeOptions::default() }
}

async fn soon<T>(work: impl Future<Output = T>) -> T {
    tokio::time::timeout(STEP_MAX, work).await.expect("in time")
}

/// Takes what comes until there are `count` events, and checks the offsets of each partition.
struct Taker {
    subscriber: Subscriber,
    positions: std::collections::BTreeMap<u32, u64>,
    events: Vec<Value>,
}

impl Taker {
    async fn open(quic: &QuicNode, wanted: SubscribeOptions) -> Self {
        let subscriber = soon(Subscriber::open(quic.connect(), wanted)).await.expect("opens");
        let positions = subscriber.positions().into_iter().collect();
        Self { subscriber, positions, events: Vec::new() }
    }

    fn take(&mut self, batch: &Batch) {
        for event in batch.events() {
            let position = self.positions.get_mut(&event.partition()).expect("a partition of the subscription");
            assert!(event.offset() >= *position, "{}:{} comes again", event.partition(), event.offset());
            *position = event.offset() + 1;
            self.events.push(serde_json::from_slice(event.data().expect("data")).expect("JSON"));
        }
        let position = self.positions.get_mut(&batch.partition()).expect("a partition of the subscription");
        assert!(batch.next_offset() >= *position);
        *position = batch.next_offset();
    }

    async fn until(&mut self, count: usize) {
        while self.events.len() < count {
            match soon(self.subscriber.next()).await.expect("goes on") {
                Incoming::Batch(batch) => self.take(&batch),
                Incoming::Lost { partition, from, to } => panic!("{partition}: {from} to {to} are lost"),
            }
        }
    }
}

#[test]
fn a_subscriber_survives_kills_while_events_flow() {
    let mut quic = QuicNode::start();
    block_on(async {
        let wanted = SubscribeOptions { filter: "kind <> 'b'".to_owned(), ..earliest() };
        let mut taker = Taker::open(&quic, wanted).await;
        for round in 0..4u64 {
            (0..5).for_each(|part| quic.post(round * 1_500 + part * 300..round * 1_500 + (part + 1) * 300));
            taker.until(round as usize * 1_000 + 200).await;
            match round {
                // Away before it is asked for more, …
                0 => quic.kill_and_start(),
                // … while it waits for the node, …
                1 => {
                    quic.kill();
                    let nothing = tokio::time::timeout(Duration::from_millis(200), taker.until(usize::MAX)).await;
                    assert!(nothing.is_err());
                    quic.run();
                }
                // … and by itself.
                2 => {
                    quic.stop();
                    quic.run();
                }
                _ => {}
            }
        }
        taker.until(4_000).await;
        each_once_in_order(&taker.events, (0..6_000).filter(|n| n % 3 != 1));
        soon(taker.subscriber.close()).await;
    });
}

#[test]
fn a_subscription_moves_with_its_client() {
    let quic = QuicNode::start();
    block_on(async {
        let mut taker = Taker::open(&quic, earliest()).await;
        for round in 0..4u64 {
            quic.post(round * 500..(round + 1) * 500);
            taker.until(round as usize * 500 + 100).await;
            taker.subscriber.rebind().expect("another port");
        }
        taker.until(2_000).await;
        each_once_in_order(&taker.events, 0..2_000);
        // It is the same connection: one was let in, and none has come again.
        assert_eq!(quic.node().metric("anabranch_quic_subscriptions_opened"), 1.0);
    });
}

#[test]
fn commits_outlive_the_node_and_name_what_is_wrong() {
    let mut quic = QuicNode::start();
    quic.post(0..300);
    block_on(async {
        let cursor = |name: &str| StartAt::Cursor { subscriber: name.to_owned(), else_earliest: true };
        let wanted = SubscribeOptions { start: cursor("a"), ..SubscribeOptions::default() };
        let mut taker = Taker::open(&quic, wanted.clone()).await;
        taker.until(100).await;
        soon(taker.subscriber.commit("a")).await.expect("kept");
        // One that is under way when the node dies is done when it is back.
        taker.until(200).await;
        quic.kill();
        let positions = taker.subscriber.positions();
        let (kept, ()) = soon(async {
            tokio::join!(taker.subscriber.commit("a"), async {
                tokio::task::yield_now().await;
                quic.run();
            })
        })
        .await;
        kept.expect("kept");
        assert!(matches!(
            taker.subscriber.commit_at("a b", &positions).await,
            Err(CommitError::Refused { code: Code::SUBSCRIBER_INVALID, .. })
        ));
        assert!(matches!(taker.subscriber.commit_at("a", &[(0, 1), (0, 2)]).await, Err(CommitError::Positions)));
        assert!(matches!(taker.subscriber.commit_at("a", &[]).await, Err(CommitError::Positions)));
        let known = taker.events.len();
        drop(taker);
        let mut next = Taker::open(&quic, wanted).await;
        next.until(300 - known).await;
        assert_eq!(next.subscriber.positions().len(), 32);
    });
}

#[test]
fn it_works_across_threads() {
    let quic = QuicNode::start();
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Subscriber>();
    is_shared::<Publisher>();
    // Its task is on one runtime, who uses it on others.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (subscriber, publisher) = runtime.block_on(async {
        let subscriber = soon(Subscriber::open(quic.connect(), earliest())).await.expect("opens");
        (subscriber, soon(Publisher::open(quic.connect(), PublishOptions::default())).await.expect("opens"))
    });
    let (done, is_done) = tokio::sync::oneshot::channel::<()>();
    std::thread::scope(|scope| {
        scope.spawn(|| runtime.block_on(is_done));
        let publishers: Vec<_> = (0..3u64)
            .map(|thread| {
                let publisher = &publisher;
                scope.spawn(move || {
                    block_on(async {
                        for n in thread * 500..(thread + 1) * 500 {
                            let event = NewEvent::new(format!("{{\"key\":\"t{thread}\",\"n\":{n}}}"));
                            let receipt = publisher.publish(&event.key(format!("t{thread}"))).await.expect("taken");
                            if n % 100 == 0 {
                                soon(receipt).await.expect("kept");
                            }
                        }
                        soon(publisher.flush()).await.expect("settled");
                    });
                })
            })
            .collect();
        let taken = scope.spawn(|| {
            let mut taker =
                Taker { positions: subscriber.positions().into_iter().collect(), subscriber, events: vec![] };
            block_on(taker.until(1_500));
            taker.events
        });
        publishers.into_iter().for_each(|publisher| publisher.join().expect("publishes"));
        each_once_in_order(&taken.join().expect("takes"), 0..1_500);
        done.send(()).expect("it waits");
    });
    let totals = publisher.totals();
    assert_eq!((totals.acknowledged, totals.refused), (1_500, 0));
}

fn events(text: &str) -> Vec<NewEvent> {
    let key =
        |line: &str| serde_json::from_str::<Value>(line).expect("JSON")["key"].as_str().expect("a key").to_owned();
    text.lines().map(|line| NewEvent::new(line).key(key(line)).attribute("type", "t")).collect()
}

#[test]
fn every_acknowledged_event_is_in_the_log_once() {
    let mut quic = QuicNode::start();
    block_on(async {
        let options =
            PublishOptions { streams: 3, batch_bytes: 4 * 1024, in_flight_bytes_max: 64 * 1024, linger_ms: 1 };
        let publisher = soon(Publisher::open(quic.connect(), options)).await.expect("opens");
        let mut receipts = Vec::new();
        for round in 0..3u64 {
            let events = events(&lines(round * 3_000..(round + 1) * 3_000));
            let (first, rest) = events.split_at(500);
            for event in first {
                receipts.push(soon(publisher.publish(event)).await.expect("taken"));
            }
            // The rest is on its way when the node dies, more than may be in flight.
            let (bulk, ()) = soon(async {
                tokio::join!(publisher.publish_all(rest), async {
                    tokio::task::yield_now().await;
                    if round < 2 {
                        quic.kill_and_start();
                    }
                })
            })
            .await;
            let outcome = soon(bulk.expect("taken")).await.expect("settled");
            assert_eq!((outcome.acknowledged, outcome.refused.len()), (2_500, 0));
        }
        for receipt in receipts {
            soon(receipt).await.expect("kept");
        }
        let totals = soon(publisher.close()).await.expect("settled");
        assert_eq!((totals.acknowledged, totals.refused), (9_000, 0));
        let mut taker = Taker::open(&quic, earliest()).await;
        taker.until(9_000).await;
        each_once_in_order(&taker.events, 0..9_000);
    });
}

#[test]
fn what_cannot_be_mended_is_said_and_what_can_is_tried() {
    let mut quic = QuicNode::start();
    quic.post(0..10);
    block_on(async {
        let open = async |wanted| soon(Subscriber::open(quic.connect(), wanted)).await;
        let refused = open(SubscribeOptions { filter: "n >".to_owned(), ..earliest() }).await;
        assert!(matches!(refused, Err(ClientError::Refused { code: Code::FILTER_INVALID, .. })), "{refused:?}");
        let refused = open(SubscribeOptions { start: StartAt::Offsets(vec![(0, 1 << 40)]), ..earliest() }).await;
        assert!(matches!(refused, Err(ClientError::Refused { code: Code::OFFSET_BEYOND_END, .. })), "{refused:?}");
        let nobody = connectors::quic::client::Connect::to("quic://127.0.0.1:9").expect("an address").insecure();
        let nobody = nobody.first_timeout(Duration::from_millis(300));
        let error = soon(Publisher::open(nobody, PublishOptions::default())).await.expect_err("nobody is there");
        assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");

        let publisher = soon(Publisher::open(quic.connect(), PublishOptions::default())).await.expect("opens");
        let large = NewEvent::new(vec![b'x'; 5 << 20]);
        assert!(matches!(publisher.publish(&large).await, Err(PublishError::Unsendable(_))));
        // A name that is the node's own: the node refuses the frame, and only the event that is wrong is lost.
        let mut some: Vec<NewEvent> =
            (10..20).map(|n| NewEvent::new(format!("{{\"key\":\"k\",\"n\":{n}}}")).key("k")).collect();
        let mut headers = engine::batch::HeaderWriter::default();
        headers.put("iothub-connection-device-id", Some(b"forged"));
        some[4] = NewEvent::of_parts(Some(b"k"), b"{}", headers);
        let outcome = soon(publisher.publish_all(&some).await.expect("taken")).await.expect("settled");
        let refused: Vec<usize> = outcome.refused.iter().map(|refused| refused.index).collect();
        assert_eq!((outcome.acknowledged, refused), (9, vec![4]));
    });
    // A node that comes back with another certificate is another node.
    block_on(async {
        let mut subscriber = soon(Subscriber::open(quic.connect(), earliest())).await.expect("opens");
        quic.kill();
        std::fs::remove_dir_all(quic.path("data/quic")).expect("removes");
        quic.run();
        let error = loop {
            if let Err(error) = soon(subscriber.next()).await {
                break error;
            }
        };
        assert!(matches!(error, ClientError::Untrusted { .. }), "{error}");
        let again = soon(subscriber.next()).await;
        assert!(matches!(again, Err(ClientError::Untrusted { .. })), "{again:?}");
    });
}
