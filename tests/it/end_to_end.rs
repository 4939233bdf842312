//! The promise of the product, on the real binary: a million events in, kill -9 three times, endpoints that hang and fail beside
//! one that is well, and afterwards everything that was acknowledged is where it belongs, once and in order.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use loadgen::client::Progress;
use loadgen::client::http::{self, HttpOutcome, HttpPlan};
use loadgen::fleet::{Filter, Model, read_back};
use loadgen::ledger::Ledger;
use loadgen::pace::Pace;
use loadgen::receiver::{Mode, Receiver};
use tokio::sync::watch;

use crate::places::{each_event, files, in_files};
use crate::support::{Node, eventually, eventually_or};

const PARTITIONS: u32 = 32;
const DEVICES: u32 = 10_000;
/// `temp > 30` in the words of the fleet.
const ALERTS: &str = "temp > 30";

/// A configuration with all telemetry to Parquet and alerts to each of these webhooks.
fn configuration(folder: &Path, webhooks: &[(&str, &Receiver)]) -> std::path::PathBuf {
    let mut text = format!(
        "[listeners.http]\nkey_pointer = \"/device_id\"\n\n[endpoints.lake]\ntype = \"parquet\"\ndir = '{}'\nage_ms_max = 2000\n\n\
         [[routes]]\nname = \"all\"\nendpoint = \"lake\"\n",
        folder.join("lake").display()
    );
    for (name, receiver) in webhooks {
        text += &format!(
            "\n[endpoints.{name}]\ntype = \"webhook\"\nurl = \"{}\"\nbatch_events_max = 100\nbackoff_ms_min = 200\nbackoff_ms_max = 2000\n\n\
             [[routes]]\nname = \"alerts-{name}\"\nfilter = \"temp > 30\"\nendpoint = \"{name}\"\n",
            receiver.url()
        );
    }
    let path = folder.join("anabranch.toml");
    std::fs::write(&path, text).expect("writes");
    path
}

/// Which events should match, from the seed alone.
fn alerts_of(seed: u64) -> impl Fn(u32, u32) -> bool {
    let filter = Filter::parse(ALERTS, &Model::telemetry()).expect("a filter");
    move |device, seq| filter.matches(seed, device, seq)
}

/// Sends events on a thread of its own; the handle gives what was sent and acknowledged.
fn send(
    url: &str,
    events: u64,
    pace: Pace,
    seed: u64,
    progress: &Arc<Progress>,
) -> std::thread::JoinHandle<HttpOutcome> {
    let target = format!("{url}/events").parse().expect("an address");
    let plan = HttpPlan {
        events,
        pace,
        seed,
        connections: 8,
        batch: 500,
        request_timeout: Duration::from_secs(20),
        give_up_after: Duration::from_secs(120),
        ..HttpPlan::new(target, DEVICES)
    };
    let progress = progress.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (_stop, stopped) = watch::channel(false);
        runtime.block_on(http::run(plan, progress, stopped, None)).expect("every event is acknowledged in the end")
    })
}

/// The log must have each acknowledged event once, in order per device; its places.
fn check_log(data: &Path, ledger: &Ledger) -> HashSet<(u32, u64)> {
    let mut verifier = ledger.verifier();
    let mut in_log = HashSet::new();
    each_event(data, PARTITIONS, |partition, event| {
        let read = read_back(event.data().expect("data")).expect("an event of the fleet");
        verifier.see(read.device, read.seq, event.offset());
        in_log.insert((partition, event.offset()));
    });
    let verdict = verifier.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    in_log
}

#[test]
fn a_million_events_survive_three_kills_beside_bad_endpoints() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().join("data");
    let well = Receiver::start(Mode::Healthy).expect("listens");
    let failing = Receiver::start(Mode::Fail { status: 500, retry_after_s: None }).expect("listens");
    let hanging = Receiver::start(Mode::Hang).expect("listens");
    let config = configuration(folder.path(), &[("well", &well), ("failing", &failing), ("hanging", &hanging)]);
    let mut node = Node::start(&config, &data, "127.0.0.1:0");
    let listen = node.listen();
    let events = 1_000_000;
    let progress = Arc::new(Progress::default());
    let sending = send(&node.url, events, Pace::Closed, seed, &progress);
    for kill in 1..=3 {
        // Somewhere in its quarter of the run.
        let at = events / 4 * kill - random.u64(0..events / 5);
        eventually("the run goes on", || progress.look().acknowledged_events >= at || sending.is_finished());
        node.kill();
        node = Node::start(&config, &data, &listen);
    }
    let outcome = sending.join().expect("the fleet has ended");
    let ledger = &outcome.ledger;
    assert_eq!(ledger.acknowledged_events(), events);

    // The endpoint that is well gets all of its own, whatever the others do.
    let is_alert = alerts_of(seed);
    let mut alerts = Vec::new();
    for device in 0..DEVICES {
        alerts.extend((0..ledger.sent_by(device)).filter(|seq| is_alert(device, *seq)).map(|seq| (device, seq)));
    }
    let missing = || {
        let arrived: HashSet<(u32, u32)> = well.order_of_arrival().into_iter().collect();
        alerts.iter().filter(|alert| !arrived.contains(alert)).count()
    };
    let what =
        || format!("{} of {} alerts are missing at the endpoint that is well\n{}", missing(), alerts.len(), node.log());
    eventually_or(what, || missing() == 0);
    let wanted: HashSet<(u32, u32)> = alerts.iter().copied().collect();
    assert!(well.order_of_arrival().iter().all(|event| wanted.contains(event)), "an event that does not match");
    assert!(node.stop().success());
    let log = std::fs::read_to_string(data.with_extension("stderr")).unwrap_or_default();

    let in_log = check_log(&data, ledger);

    // Parquet: each offset of the log exactly once.
    let lake = in_files(&files(&folder.path().join("lake"), "parquet"));
    assert_eq!(lake.len(), in_log.len(), "rows in files, events in the log\n{log}");
    assert!(lake == in_log, "the files and the log differ");
}

/// p99 in microseconds from an event's making to its arrival at the endpoint that is well.
fn p99_us(others: &[Mode], seed: u64) -> u64 {
    let folder = tempfile::tempdir().expect("a folder");
    let well = Receiver::start(Mode::Healthy).expect("listens");
    let bad: Vec<Receiver> = others.iter().map(|mode| Receiver::start(*mode).expect("listens")).collect();
    let names = ["bad-0", "bad-1"];
    let mut webhooks = vec![("well", &well)];
    webhooks.extend(names.into_iter().zip(&bad));
    let config = configuration(folder.path(), &webhooks);
    let node = Node::start(&config, &folder.path().join("data"), "127.0.0.1:0");
    let events = 200_000;
    let sending = send(&node.url, events, Pace::Constant(20_000.0), seed, &Arc::new(Progress::default()));
    let outcome = sending.join().expect("the fleet has ended");
    let is_alert = alerts_of(seed);
    let expected: usize = (0..DEVICES)
        .map(|device| (0..outcome.ledger.sent_by(device)).filter(|seq| is_alert(device, *seq)).count())
        .sum();
    eventually("all alerts arrive", || well.received().events >= expected as u64);
    well.received().latency.p99_us
}

#[test]
fn bad_endpoints_delay_nobody() {
    // Below some tens of milliseconds a shared machine says nothing about us.
    const FLOOR_US: u64 = 50_000;
    // A third of a second that the machine gives to somebody else is more than a p99 of ten seconds forgives, and comes to either
    // side. It only ever adds, so the least of some rounds is judged: what bad endpoints cause is there in each.
    const ROUNDS_MAX: usize = 4;
    let (mut alone, mut beside) = (u64::MAX, u64::MAX);
    for round in 1..=ROUNDS_MAX {
        alone = alone.min(p99_us(&[], 7));
        beside = beside.min(p99_us(&[Mode::Hang, Mode::Fail { status: 500, retry_after_s: None }], 7));
        println!(
            "round {round}: p99 to the healthy endpoint {alone} µs alone, {beside} µs beside a hanging and a failing one"
        );
        if beside <= 2 * alone.max(FLOOR_US) {
            return;
        }
    }
    panic!(
        "p99 to the healthy endpoint: {beside} µs beside bad endpoints, {alone} µs alone, at best of {ROUNDS_MAX} rounds"
    );
}

#[test]
fn a_hundred_kills_lose_nothing() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let folder = tempfile::tempdir().expect("a folder");
    let (config, data) = (folder.path().join("anabranch.toml"), folder.path().join("data"));
    // Small segments and groups: a kill finds them at every stage.
    let text = "[listeners.http]\nkey_pointer = \"/device_id\"\n[log]\nsegment_bytes_max = 4194304\ncommit_bytes_max = 65536\n";
    std::fs::write(&config, text).expect("writes");
    let mut node = Node::start(&config, &data, "127.0.0.1:0");
    let listen = node.listen();
    let events = 700_000;
    let progress = Arc::new(Progress::default());
    let sending = send(&node.url, events, Pace::Closed, seed, &progress);
    let mut kills = 0;
    while kills < 100 && !sending.is_finished() {
        let at = progress.look().acknowledged_events + random.u64(1..10_000);
        eventually("the run goes on", || progress.look().acknowledged_events >= at || sending.is_finished());
        node.kill();
        kills += 1;
        node = Node::start(&config, &data, &listen);
    }
    let outcome = sending.join().expect("the fleet has ended");
    assert_eq!((outcome.ledger.acknowledged_events(), kills), (events, 100));
    assert!(node.stop().success());
    check_log(&data, &outcome.ledger);
}
