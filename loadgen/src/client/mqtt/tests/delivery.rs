//! What is published through mosquitto is read back whole: every QoS, both versions, over TLS, and over a restart.

use std::path::Path;
use std::process::Command;

use super::broker::Broker;
use super::*;

fn subscribe_plan(target: &Target, version: Version, qos: Qos) -> SubscribePlan {
    let mut plan = SubscribePlan::new(target.clone(), "reader", vec!["devices/+/messages/events".to_owned()]);
    plan.access.version = version;
    plan.qos = qos;
    plan
}

/// Publishes and reads at the same time, with something to do meanwhile; the subscriber ends when it has read all it should.
async fn publish_and_read(
    plan: MqttPlan,
    reader: SubscribePlan,
    meanwhile: impl AsyncFnOnce(&Progress),
) -> (MqttOutcome, Seen) {
    let seen = Seen::new();
    let (ready, is_ready) = oneshot::channel();
    let (stop, stopped) = watch::channel(false);
    let progress = Arc::new(Progress::default());
    let publish = async {
        is_ready.await.expect("the subscriber did not end");
        let (outcome, ()) = tokio::join!(run(plan, progress.clone(), stopped.clone()), meanwhile(&progress));
        let outcome = outcome.unwrap();
        let wanted =
            if outcome.has_receipts { outcome.ledger.acknowledged_events() } else { outcome.ledger.sent_events() };
        seen.wait_for(wanted).await;
        stop.send_replace(true);
        outcome
    };
    let read = subscribe(reader, stopped.clone(), Some(ready), seen.taker());
    let (outcome, read) = tokio::join!(publish, read);
    let (read, rows) = (read.unwrap(), seen.rows.lock().unwrap().len() as u64);
    assert!((rows..=rows + read.dups).contains(&read.messages), "{read:?}, {rows} rows");
    (outcome, seen)
}

#[test]
fn every_event_arrives_in_both_versions_at_qos_1_and_2() {
    let Some(broker) = Broker::start("") else { return };
    for (version, qos) in [
        (Version::V311, Qos::AtLeastOnce),
        (Version::V5, Qos::AtLeastOnce),
        (Version::V311, Qos::ExactlyOnce),
        (Version::V5, Qos::ExactlyOnce),
    ] {
        let mut reader = subscribe_plan(&broker.target, version, qos);
        reader.persistent = false;
        let (outcome, seen) = block_on(publish_and_read(plan(&broker.target, version, qos), reader, async |_| {}));
        assert_eq!(
            (outcome.ledger.sent_events(), outcome.ledger.acknowledged_events()),
            (10_000, 10_000),
            "{version:?} {qos:?}"
        );
        assert_eq!((outcome.reconnects, outcome.refused, outcome.abandoned), (0, 0, 0));
        assert_eq!((outcome.latencies.quantiles().count, outcome.connects.quantiles().count), (10_000, 4));
        let verdict = seen.verdict(&outcome.ledger);
        assert!(verdict.is_clean() && verdict.rows == 10_000, "{version:?} {qos:?}: {verdict}");
    }
}

#[test]
fn at_qos_0_events_arrive_and_are_never_acknowledged() {
    let Some(broker) = Broker::start("") else { return };
    for version in [Version::V311, Version::V5] {
        let mut plan = plan(&broker.target, version, Qos::AtMostOnce);
        plan.events = 3_000;
        plan.pace = crate::pace::Pace::Constant(6_000.0);
        let mut reader = subscribe_plan(&broker.target, version, Qos::AtMostOnce);
        reader.persistent = false;
        let (outcome, seen) = block_on(publish_and_read(plan, reader, async |_| {}));
        assert!(!outcome.has_receipts && outcome.latencies.quantiles().count == 0);
        assert_eq!((outcome.ledger.sent_events(), outcome.ledger.acknowledged_events()), (3_000, 0));
        assert!(outcome.elapsed >= Duration::from_millis(490), "the pace is kept: {:?}", outcome.elapsed);
        let verdict = seen.verdict(&outcome.ledger);
        assert!(verdict.is_clean() && verdict.unacknowledged_there == 3_000, "{verdict}");
    }
}

#[test]
fn a_broker_that_is_restarted_under_load_loses_nothing_that_it_acknowledged() {
    for (version, qos) in [(Version::V5, Qos::AtLeastOnce), (Version::V311, Qos::ExactlyOnce)] {
        let Some(mut broker) = Broker::start("persistence true\nautosave_interval 0") else { return };
        let mut plan = plan(&broker.target, version, qos);
        plan.pace = crate::pace::Pace::Constant(10_000.0);
        let reader = subscribe_plan(&broker.target, version, qos);
        let restart = async |progress: &Progress| {
            while progress.acknowledged_events.load(Ordering::Relaxed) < 2_000 {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            broker.restart();
        };
        let (outcome, seen) = block_on(publish_and_read(plan, reader, restart));
        assert_eq!(outcome.ledger.acknowledged_events(), 10_000, "{version:?} {qos:?}");
        assert!(outcome.reconnects >= 4, "every connection broke: {}", outcome.reconnects);
        let verdict = seen.verdict(&outcome.ledger);
        assert!(verdict.is_clean(), "{version:?} {qos:?}: {verdict}");
    }
}

#[test]
fn a_storm_of_connections_is_weathered() {
    let Some(broker) = Broker::start("") else { return };
    let mut plan = plan(&broker.target, Version::V5, Qos::AtLeastOnce);
    (plan.devices, plan.connections, plan.events) = (2_000, 2_000, 6_000);
    let outcome = run_plan(plan.clone()).unwrap();
    assert_eq!(outcome.ledger.acknowledged_events(), 6_000);
    assert_eq!(outcome.connects.quantiles().count, 2_000);
    (plan.connects_per_s, plan.events, plan.client_prefix) = (8_000.0, 0, "slowly".to_owned());
    let outcome = run_plan(plan).unwrap();
    assert!(outcome.connecting >= Duration::from_millis(240), "{:?}", outcome.connecting);
    assert_eq!(outcome.ledger.sent_events(), 0);
}

#[test]
fn over_tls_the_broker_must_be_who_it_should_be() {
    let folder = tempfile::tempdir().unwrap();
    if !make_certificates(folder.path()) {
        eprintln!("!!! SKIPPED: there is no openssl, so nobody has tried TLS");
        return;
    }
    let ca = folder.path().join("ca.pem");
    let tls = "certfile DIR/leaf.pem\nkeyfile DIR/leaf.key";
    let Some(broker) = Broker::start_in(folder, "mqtts", "localhost", tls) else { return };
    let mut plan = plan(&broker.target, Version::V5, Qos::AtLeastOnce);
    plan.events = 2_000;
    plan.access.give_up_after = Duration::ZERO;
    let outcome = run_plan(plan.clone()).unwrap();
    assert_eq!((outcome.ledger.sent_events(), outcome.abandoned), (0, 4), "an unknown authority is not trusted");
    plan.access.tls_ca = Some(ca);
    let outcome = run_plan(plan.clone()).unwrap();
    assert_eq!((outcome.ledger.acknowledged_events(), outcome.abandoned), (2_000, 0));
    plan.access.target.host = "127.0.0.1".to_owned();
    assert_eq!(run_plan(plan.clone()).unwrap().abandoned, 4, "the certificate is for another name");
    plan.access.tls_ca = Some(broker.folder.path().join("leaf.key"));
    assert!(matches!(run_plan(plan), Err(MqttError::Tls(TlsError::Empty(_)))));
}

/// An authority and a certificate for `localhost`. False if there is no openssl.
fn make_certificates(folder: &Path) -> bool {
    let run = |line: &str| {
        let output = Command::new("openssl").args(line.split(' ')).current_dir(folder).output();
        output.map(|output| assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr)))
    };
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    std::fs::write(folder.join("names"), "subjectAltName=DNS:localhost\n").unwrap();
    run(&format!("req -x509 {key} -keyout ca.key -out ca.pem -days 2 -subj /CN=authority"))
        .and_then(|()| run(&format!("req -new {key} -keyout leaf.key -out leaf.csr -subj /CN=localhost")))
        .and_then(|()| {
            run("x509 -req -in leaf.csr -CA ca.pem -CAkey ca.key -CAcreateserial -out leaf.pem -days 2 -extfile names")
        })
        .is_ok()
}
