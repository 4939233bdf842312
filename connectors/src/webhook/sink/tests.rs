//! The endpoint against real receivers on loopback: healthy, failing, hanging, refusing, redirecting, retired, dripping.

mod receiver;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::Ordering;

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::{Delivery, Enrichment, Rows};
use receiver::{Receiver, Reply};

use super::*;
use crate::sink::{Cursors, FeedSender, feed};
use crate::webhook::TtlFrom;
use crate::webhook::dead_letter::{DeadLetter, Lines};

/// An endpoint under way.
struct Running {
    sender: Option<FeedSender>,
    cursors: Arc<Cursors>,
    stats: Arc<SinkStats>,
    task: tokio::task::JoinHandle<()>,
    dir: tempfile::TempDir,
}

fn config(url: &str) -> WebhookConfig {
    let mut config = WebhookConfig::new(url);
    (config.backoff_ms_min, config.backoff_ms_max) = (1, 20);
    config.concurrency_max = 4;
    config
}

/// Room of the feed: a few small deliveries.
const FEED_BYTES: usize = 4 * 1024;

/// Starts an endpoint on the runtime of the test, which is single-threaded.
fn start(config: WebhookConfig) -> Running {
    let dir = tempfile::tempdir().expect("dir");
    let cursors = Arc::new(Cursors::new(&[0, 0]));
    let (sender, feed) = feed(FEED_BYTES, cursors.clone());
    let stats = Arc::new(SinkStats::default());
    let webhook = Webhook::open("alerts", config, dir.path()).expect("opens");
    let task = tokio::task::spawn_local(run(webhook, feed, stats.clone()));
    Running { sender: Some(sender), cursors, stats, task, dir }
}

impl Running {
    async fn send(&self, partition: u32, base: u64, count: usize) {
        let delivery = delivery(partition, base, count);
        self.sender.as_ref().expect("not ended").send(delivery).await.expect("runs");
    }

    /// Ends the feed and waits for the endpoint.
    async fn end(&mut self) {
        self.sender = None;
        (&mut self.task).await.expect("no panic");
    }

    fn letters(&self) -> Vec<DeadLetter> {
        let path = self.dir.path().join("dead-letters/alerts.ndjson");
        Lines::open(&path).expect("there").map(|line| line.expect("read").letter.expect("a letter")).collect()
    }

    /// Delivered, retries, dead letters, dropped.
    fn counts(&self) -> [u64; 4] {
        let stats = &self.stats;
        [&stats.delivered_events, &stats.retries, &stats.dead_lettered_events, &stats.dropped_events]
            .map(|counter| counter.load(Ordering::Relaxed))
    }

    /// Waits until `is` holds; the test's own time limit is the bound.
    async fn until(&self, is: impl Fn(&Self) -> bool) {
        while !is(self) {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
}

fn delivery(partition: u32, base: u64, count: usize) -> Delivery {
    keyed_delivery(partition, base, count, |_| None)
}

fn keyed_delivery<'a>(partition: u32, base: u64, count: usize, key: impl Fn(u64) -> Option<&'a [u8]>) -> Delivery {
    let mut builder = BatchBuilder::new(partition);
    for row in 0..count {
        let number = base + row as u64;
        let data = format!("{{\"n\":{number}}}");
        builder.push(key(number), data.as_bytes(), &HeaderWriter::default(), 1_700_000_000_000).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Delivery { batch: Arc::new(batch), rows: Rows::All, enrichments: Arc::new([]), table_version: 1 }
}

/// Runs a test on a single-threaded runtime with real time and an end.
fn on_one_thread(test: impl Future<Output = ()>) {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build_local(Default::default()).expect("runtime");
    runtime.block_on(async {
        tokio::time::timeout(Duration::from_secs(20), test).await.expect("the test hangs");
    });
}

#[test]
fn a_healthy_receiver_gets_every_event_once() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(204)).await;
        let mut settings = config(&receiver.url("/hook?key=1"));
        settings.headers = BTreeMap::from([("authorization".into(), "Bearer secret".into())]);
        let mut running = start(settings);
        for base in 0..10 {
            running.send(0, base * 10, 10).await;
        }
        let mut enriched = delivery(1, 0, 1);
        enriched.enrichments = Arc::new([Enrichment { key: "site".into(), value: "fra".into() }]);
        running.sender.as_ref().expect("open").send(enriched).await.expect("runs");
        running.end().await;
        assert_eq!((running.cursors.all(), running.counts()), (vec![100, 1], [101, 0, 0, 0]));
        let mut numbers = receiver.numbers();
        numbers.sort_unstable();
        assert_eq!(numbers, std::iter::once(0).chain(0..100).collect::<Vec<_>>());
        let requests = receiver.requests();
        let one = &requests[0];
        assert_eq!((one.method.as_str(), one.target.as_str()), ("POST", "/hook?key=1"));
        assert_eq!(one.headers["content-type"], "application/cloudevents+json; charset=utf-8");
        assert_eq!(one.headers["authorization"], "Bearer secret");
        assert_eq!(one.headers["anabranch-endpoint"], "alerts");
        assert_eq!(one.headers["anabranch-delivery-attempt"], "1");
        assert_eq!(one.json()["specversion"], "1.0");
        assert!(requests.iter().any(|request| request.json()["site"] == "fra"));
        assert!(receiver.connections() <= 4, "connections are used again: {}", receiver.connections());
    });
}

#[test]
fn batches_are_arrays() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(200)).await;
        let mut settings = config(&receiver.url("/"));
        settings.batch_events_max = 8;
        let mut running = start(settings);
        running.send(0, 0, 20).await;
        running.end().await;
        let sizes: Vec<_> =
            receiver.requests().iter().map(|request| request.json().as_array().expect("an array").len()).collect();
        assert_eq!(sizes, [8, 8, 4]);
        assert!(receiver.requests()[0].headers["content-type"].starts_with("application/cloudevents-batch+json"));
        assert_eq!(running.cursors.get(0), 20);
    });
}

#[test]
fn failures_are_retried_until_the_receiver_takes_it() {
    on_one_thread(async {
        let receiver =
            Receiver::start(|seen| if seen.attempt() < 4 { Reply::status(500) } else { Reply::status(202) }).await;
        let mut running = start(config(&receiver.url("/")));
        running.send(0, 0, 3).await;
        running.until(|running| running.cursors.get(0) == 3).await;
        running.end().await;
        assert_eq!(running.counts(), [3, 9, 0, 0]);
        assert_eq!(receiver.requests().len(), 12);
        assert!(running.letters().is_empty());
    });
}

#[test]
fn a_key_keeps_its_order_through_retries_and_holds_no_other() {
    on_one_thread(async {
        // Every fourth event belongs to key `bad`, which fails until all of the others are delivered.
        let good_taken = Rc::new(Cell::new(0));
        let receiver = Receiver::start(move |seen| match (seen.number() % 4, good_taken.get()) {
            (0, 0..30) => Reply::status(503),
            (0, _) if seen.attempt() % 2 == 1 => Reply::status(500),
            (0, _) => Reply::status(200),
            (_, taken) => {
                good_taken.set(taken + 1);
                Reply::status(200)
            }
        })
        .await;
        let mut settings = config(&receiver.url("/"));
        (settings.ordered, settings.attempts_max) = (true, 1000);
        let mut running = start(settings);
        let keys: [&[u8]; 4] = [b"bad", b"one", b"two", b"one"];
        for base in 0..10 {
            let delivery = keyed_delivery(0, base * 4, 4, |number| Some(keys[number as usize % 4]));
            running.sender.as_ref().expect("open").send(delivery).await.expect("runs");
        }
        running.until(|running| running.cursors.get(0) == 40).await;
        running.end().await;
        let taken: Vec<_> = receiver
            .requests()
            .iter()
            .filter(|request| request.answered == 200)
            .map(|request| request.number())
            .collect();
        assert!(taken[..30].iter().all(|number| number % 4 != 0), "{taken:?}");
        for key in [b"bad", b"one", b"two"] {
            let of_key: Vec<_> = taken.iter().filter(|number| keys[(**number % 4) as usize] == key).collect();
            assert!(of_key.is_sorted(), "{taken:?}");
        }
        assert_eq!((taken.len(), running.counts()[0]), (40, 40));
    });
}

#[test]
fn retry_after_silences_the_endpoint() {
    on_one_thread(async {
        let receiver = Receiver::start(|seen| match seen.index {
            0 => Reply::status(429).with("retry-after", "1"),
            _ => Reply::status(200),
        })
        .await;
        let mut settings = config(&receiver.url("/"));
        settings.concurrency_max = 1;
        let mut running = start(settings);
        running.send(0, 0, 3).await;
        running.until(|running| running.cursors.get(0) == 3).await;
        running.end().await;
        let requests = receiver.requests();
        let pause = requests[1].at - requests[0].at;
        assert!(pause >= Duration::from_millis(950), "{pause:?}");
        assert_eq!(requests[1].number(), 0, "the one that was refused comes first");
        assert_eq!(running.counts(), [3, 1, 0, 0]);
    });
}

#[test]
fn what_no_retry_changes_becomes_a_dead_letter_at_once() {
    on_one_thread(async {
        for status in [400, 401, 403, 413] {
            let receiver = Receiver::start(move |seen| match seen.number() {
                1 => Reply::status(status).saying("no \"such\"\nevent"),
                _ => Reply::status(200),
            })
            .await;
            let mut running = start(config(&receiver.url("/")));
            running.send(1, 0, 3).await;
            running.until(|running| running.cursors.get(1) == 3).await;
            running.end().await;
            assert_eq!(running.counts(), [2, 0, 1, 0], "{status}");
            let letters = running.letters();
            let [letter] = &letters[..] else { panic!("one letter, got {letters:?}") };
            assert_eq!((letter.endpoint.as_str(), letter.reason.as_str()), ("alerts", "NonRetriableStatus"));
            assert_eq!((letter.status, letter.attempts, letter.partition, letter.offset), (Some(status), 1, 1, 1));
            assert_eq!(letter.detail.as_deref(), Some("no \"such\" event"));
            assert!(letter.first_attempt.is_some() && letter.first_attempt == letter.last_attempt);
            let event: serde_json::Value = serde_json::from_str(letter.event.get()).expect("JSON");
            assert_eq!((&event["id"], &event["data"]["n"]), (&"1-1".into(), &1.into()));
        }
    });
}

#[test]
fn attempts_are_limited() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(500)).await;
        let mut settings = config(&receiver.url("/"));
        settings.attempts_max = 3;
        let mut running = start(settings);
        running.send(0, 0, 2).await;
        running.until(|running| running.cursors.get(0) == 2).await;
        running.end().await;
        assert_eq!((running.counts(), receiver.requests().len()), ([0, 4, 2, 0], 6));
        let letters = running.letters();
        assert!(letters.iter().all(|letter| letter.reason == "MaxDeliveryAttemptsExceeded" && letter.attempts == 3));
        assert_eq!(letters[0].outcome.as_deref(), Some("ServerError"));
    });
}

#[test]
fn time_to_live_is_tested_at_the_attempt() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(503)).await;
        let mut settings = config(&receiver.url("/"));
        (settings.backoff_ms_min, settings.backoff_ms_max, settings.ttl_s_max) = (60_000, 60_000, 1);
        let mut running = start(settings.clone());
        running.send(0, 0, 1).await;
        running.until(|running| running.cursors.get(0) == 1).await;
        running.end().await;
        let letters = running.letters();
        assert_eq!((letters[0].reason.as_str(), letters[0].attempts), ("TimeToLiveExceeded", 1));
        // Counted from acceptance, an event of 2023 is never sent.
        settings.ttl_from = TtlFrom::Acceptance;
        let mut running = start(settings);
        running.send(0, 0, 2).await;
        running.until(|running| running.cursors.get(0) == 2).await;
        running.end().await;
        assert_eq!(receiver.requests().len(), 1);
        let letters = running.letters();
        assert_eq!((letters.len(), letters[0].attempts, letters[0].first_attempt.clone()), (2, 0, None));
    });
}

#[test]
fn a_hanging_receiver_times_out_and_bounds_what_is_taken() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::Hang).await;
        let mut settings = config(&receiver.url("/"));
        (settings.timeout_ms, settings.parked_events_max, settings.shutdown_grace_ms) = (20, 8, 50);
        (settings.backoff_ms_min, settings.backoff_ms_max) = (10_000, 10_000);
        let mut running = start(settings);
        let sender = running.sender.take().expect("open");
        // The feed has room for a few of the 100 deliveries; the rest must wait at the feeding end.
        let feeding = tokio::task::spawn_local(async move {
            for base in 0..100 {
                if tokio::time::timeout(Duration::from_millis(300), sender.send(delivery(0, base, 1))).await.is_err() {
                    return base;
                }
            }
            100
        });
        let stuck_at = feeding.await.expect("no panic");
        assert!((8..30).contains(&stuck_at), "{stuck_at} deliveries were taken");
        running.end().await;
        assert_eq!((running.cursors.get(0), running.counts()[0]), (0, 0), "nothing is settled");
        assert!(
            running.stats.last_error.lock().expect("whole").as_deref().is_some_and(|error| error.contains("TimedOut"))
        );
    });
}

#[test]
fn a_refused_connection_is_retried_until_the_receiver_is_there() {
    on_one_thread(async {
        let address = Receiver::free_address().await;
        let mut running = start(config(&format!("http://{address}/")));
        running.send(0, 0, 2).await;
        running.until(|running| running.counts()[1] >= 4).await;
        let receiver = Receiver::start_at(address, |_| Reply::status(200)).await;
        running.until(|running| running.cursors.get(0) == 2).await;
        running.end().await;
        assert_eq!((running.counts()[0], receiver.requests().len()), (2, 2));
    });
}

#[test]
fn an_unknown_host_is_a_resolution_error() {
    on_one_thread(async {
        // A label of more than 63 letters is refused before any name server is asked.
        let mut settings = config(&format!("http://{}.invalid/", "x".repeat(70)));
        settings.attempts_max = 1;
        let mut running = start(settings);
        running.send(0, 0, 1).await;
        running.until(|running| running.cursors.get(0) == 1).await;
        running.end().await;
        assert_eq!(running.letters()[0].outcome.as_deref(), Some("ResolutionError"));
    });
}

#[test]
fn redirects_are_not_followed() {
    on_one_thread(async {
        let other = Receiver::start(|_| Reply::status(200)).await;
        let to = other.url("/");
        let receiver = Receiver::start(move |_| Reply::status(307).with("location", &to)).await;
        let mut settings = config(&receiver.url("/"));
        settings.attempts_max = 2;
        let mut running = start(settings);
        running.send(0, 0, 1).await;
        running.until(|running| running.cursors.get(0) == 1).await;
        running.end().await;
        assert_eq!((receiver.requests().len(), other.requests().len()), (2, 0));
        let letters = running.letters();
        assert_eq!((letters[0].outcome.as_deref(), letters[0].status), (Some("Redirected"), Some(307)));
        assert!(letters[0].detail.as_deref().is_some_and(|detail| detail.contains("not followed")));
    });
}

#[test]
fn gone_stops_the_endpoint_and_loses_nothing() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(410)).await;
        let mut settings = config(&receiver.url("/"));
        settings.concurrency_max = 1;
        let mut running = start(settings);
        running.send(0, 0, 10).await;
        running.until(|running| running.stats.last_error.lock().expect("whole").is_some()).await;
        running.send(0, 10, 10).await;
        running.end().await;
        assert_eq!((receiver.requests().len(), running.cursors.get(0), running.counts()), (1, 0, [0; 4]));
        assert!(running.letters().is_empty());
    });
}

#[test]
fn a_dripping_answer_counts_by_its_status() {
    on_one_thread(async {
        let receiver = Receiver::start(|seen| match seen.number() {
            0 => Reply::Drip { status: 200, headers_whole: true },
            _ => Reply::Drip { status: 200, headers_whole: false },
        })
        .await;
        let mut settings = config(&receiver.url("/"));
        (settings.timeout_ms, settings.attempts_max) = (100, 1);
        let mut running = start(settings);
        running.send(0, 0, 2).await;
        running.until(|running| running.cursors.get(0) == 2).await;
        running.end().await;
        assert_eq!(running.counts(), [1, 0, 1, 0]);
        assert_eq!(running.letters()[0].outcome.as_deref(), Some("TimedOut"));
    });
}

#[test]
fn a_batch_that_is_too_large_is_cut_until_it_fits() {
    on_one_thread(async {
        let receiver = Receiver::start(|seen| match seen.json().as_array().map_or(0, Vec::len) {
            0..=2 if seen.body.windows(7).any(|part| part == b"{\"n\":9}") => Reply::status(413),
            0..=2 => Reply::status(200),
            _ => Reply::status(413),
        })
        .await;
        let mut settings = config(&receiver.url("/"));
        settings.batch_events_max = 16;
        let mut running = start(settings);
        running.send(0, 0, 16).await;
        running.until(|running| running.cursors.get(0) == 16).await;
        running.end().await;
        assert_eq!(running.counts(), [15, 0, 1, 0]);
        assert_eq!(running.letters()[0].offset, 9);
    });
}

#[test]
fn without_a_dead_letter_file_events_are_dropped_and_counted() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(400)).await;
        let mut settings = config(&receiver.url("/"));
        settings.dead_letter = Some("drop".into());
        let mut running = start(settings);
        running.send(0, 0, 3).await;
        running.end().await;
        assert_eq!((running.cursors.get(0), running.counts()), (3, [0, 0, 0, 3]));
        assert!(!running.dir.path().join("dead-letters").exists());
    });
}

#[test]
fn while_dead_letters_cannot_be_written_nothing_is_settled() {
    on_one_thread(async {
        let receiver = Receiver::start(|_| Reply::status(400)).await;
        let mut settings = config(&receiver.url("/"));
        settings.shutdown_grace_ms = 100;
        let mut running = start(settings);
        // A folder stands where the file was.
        let path = running.dir.path().join("dead-letters/alerts.ndjson");
        std::fs::remove_file(&path).expect("there");
        std::fs::create_dir(&path).expect("made");
        running.send(0, 0, 3).await;
        running
            .until(|running| {
                running
                    .stats
                    .last_error
                    .lock()
                    .expect("whole")
                    .as_deref()
                    .is_some_and(|error| error.contains("cannot write"))
            })
            .await;
        assert_eq!((running.cursors.get(0), running.counts()), (0, [0; 4]));
        std::fs::remove_dir(&path).expect("empty");
        running.until(|running| running.cursors.get(0) == 3).await;
        running.end().await;
        assert_eq!((running.counts()[2], running.letters().len()), (3, 3));
    });
}

#[test]
fn a_full_dead_letter_file_holds_or_drops() {
    on_one_thread(async {
        for full in [super::super::Full::Hold, super::super::Full::Drop] {
            let receiver = Receiver::start(|_| Reply::status(400)).await;
            let mut settings = config(&receiver.url("/"));
            (settings.dead_letter_bytes_max, settings.dead_letter_full, settings.shutdown_grace_ms) =
                (1 << 20, full, 100);
            let mut running = start(settings);
            let path = running.dir.path().join("dead-letters/alerts.ndjson");
            std::fs::write(&path, "x".repeat((1 << 20) - 1) + "\n").expect("written");
            running.send(0, 0, 3).await;
            let holds = full == super::super::Full::Hold;
            running
                .until(|running| {
                    holds
                        && running
                            .stats
                            .last_error
                            .lock()
                            .expect("whole")
                            .as_deref()
                            .is_some_and(|error| error.contains("dead_letter_bytes_max"))
                        || running.cursors.get(0) == 3
                })
                .await;
            running.end().await;
            assert_eq!((running.cursors.get(0), running.counts()), if holds { (0, [0; 4]) } else { (3, [0, 0, 0, 3]) });
        }
    });
}

#[test]
fn a_receiver_that_comes_back_gets_all_retries_at_once() {
    on_one_thread(async {
        let receiver =
            Receiver::start(|seen| if seen.index < 40 { Reply::status(500) } else { Reply::status(200) }).await;
        let mut settings = config(&receiver.url("/"));
        // Waits are long, but for one event of partition 1 that tells that the receiver is back.
        (settings.backoff_ms_min, settings.backoff_ms_max) = (3_600_000, 3_600_000);
        let mut running = start(settings);
        running.send(0, 0, 40).await;
        running.until(|running| running.counts()[1] == 40).await;
        running.send(1, 0, 1).await;
        running.until(|running| running.cursors.all() == [40, 1]).await;
        running.end().await;
        assert_eq!(running.counts(), [41, 40, 0, 0]);
    });
}

#[test]
fn wrong_settings_do_not_open() {
    let dir = tempfile::tempdir().expect("dir");
    let open = |config| Webhook::open("alerts", config, dir.path()).map(|_| ()).map_err(|error| error.to_string());
    assert!(
        open(WebhookConfig::new("nowhere")).is_err_and(|error| error.contains("`alerts`") && error.contains("url"))
    );
    let mut tls = WebhookConfig::new("https://localhost/");
    tls.ca_file = Some(PathBuf::from("/no/such/file.pem"));
    assert!(open(tls).is_err_and(|error| error.contains("/no/such/file.pem")));
    let mut letters = WebhookConfig::new("http://localhost/");
    letters.dead_letter = Some("/proc/none/x.ndjson".into());
    assert!(open(letters).is_err_and(|error| error.contains("/proc/none/x.ndjson")));
}
