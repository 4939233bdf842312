//! The promise of the product over MQTT, on the real binary: kill -9 under a fleet that connects again, and afterwards everything that
//! was acknowledged is in the log, in order per device; at QoS 2 once.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use connectors::hub::{self, LogOptions};
use engine::event::Event;
use loadgen::client::Progress;
use loadgen::client::mqtt::{self, MqttOutcome, MqttPlan, Qos, Version};
use loadgen::fleet::read_back;
use loadgen::ledger::Ledger;
use tokio::sync::watch;

use crate::mqtt_broker::Broker;
use crate::support::eventually;

const PARTITIONS: u32 = 32;
const DEVICES: u32 = 1_000;

struct Run {
    version: Version,
    qos: Qos,
    events: u64,
    kills: u64,
}

/// Publishes on a thread of its own; the handle gives what was sent and acknowledged.
fn publish(address: &str, run: &Run, seed: u64, progress: &Arc<Progress>) -> std::thread::JoinHandle<MqttOutcome> {
    let mut plan = MqttPlan::new(format!("mqtt://{address}").parse().expect("an address"), DEVICES);
    plan.access.version = run.version;
    plan.access.request_timeout = Duration::from_secs(20);
    plan.access.give_up_after = Duration::from_secs(120);
    (plan.qos, plan.events, plan.seed, plan.connections) = (run.qos, run.events, seed, 8);
    let progress = progress.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (_stop, stopped) = watch::channel(false);
        runtime.block_on(mqtt::run(plan, progress, stopped)).expect("every event is acknowledged in the end")
    })
}

/// The log must have each acknowledged event, in order per device; with `once` none of them twice.
fn check_log(data: &Path, ledger: &Ledger, once: bool) {
    let options = LogOptions::new(data.join("log"), PARTITIONS);
    let (log, recovered) = hub::open(&options).expect("opens");
    assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
    let reader = log.reader();
    let mut verifier = ledger.verifier();
    let mut seen = HashSet::new();
    let mut again = Vec::new();
    for partition in 0..PARTITIONS {
        let (mut next, end) = reader.bounds(partition);
        while next < end {
            for batch in reader.read(partition, next, 1 << 20).expect("readable") {
                for row in 0..batch.rows().len() {
                    let event = Event::new(&batch, row);
                    let read = read_back(event.data().expect("data")).expect("an event of the fleet");
                    verifier.see(read.device, read.seq, event.offset());
                    if !seen.insert((read.device, read.seq)) {
                        again.push((read.device, read.seq, partition, event.offset()));
                    }
                }
                next = batch.last_offset() + 1;
            }
        }
    }
    let verdict = verifier.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert!(!once || again.is_empty(), "{} events are there twice, such as {:?}", again.len(), again.first());
}

/// Kills the node so often under a fleet, and looks into its log afterwards.
fn survives(run: &Run) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut broker = Broker::with("life_cycle_events = false");
    let progress = Arc::new(Progress::default());
    let sending = publish(broker.address(), run, seed, &progress);
    for kill in 1..=run.kills {
        let part = run.events / (run.kills + 1);
        let at = part * kill - random.u64(0..part / 2);
        eventually("the run goes on", || progress.look().acknowledged_events >= at || sending.is_finished());
        assert!(!sending.is_finished(), "the run ended before its kill {kill}");
        broker.kill_and_start();
    }
    let outcome = sending.join().expect("the fleet has ended");
    assert_eq!(outcome.ledger.acknowledged_events(), run.events);
    assert_eq!((outcome.abandoned, outcome.refused), (0, 0));
    let data = broker.stop();
    check_log(&data, &outcome.ledger, run.qos == Qos::ExactlyOnce);
}

#[test]
fn qos_1_survives_kills() {
    for version in [Version::V5, Version::V311] {
        survives(&Run { version, qos: Qos::AtLeastOnce, events: 200_000, kills: 4 });
    }
}

#[test]
fn qos_2_survives_kills_and_is_not_doubled() {
    for version in [Version::V5, Version::V311] {
        survives(&Run { version, qos: Qos::ExactlyOnce, events: 80_000, kills: 4 });
    }
}
