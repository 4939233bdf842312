//! The cases against mosquitto alone: what a turn measures can be believed.

use std::path::PathBuf;
use std::time::Duration;

use super::brokers::{Ask, Broker};
use super::*;
use loadgen::client::mqtt::{FanOut, FanOutPlan, MqttPlan, Qos};

/// `None`, and a loud word, where there is no mosquitto.
fn mosquitto() -> Option<Broker> {
    let setting = Setting { quick: true, anabranch: PathBuf::new(), data: None };
    match Kind::Mosquitto.start(&setting, &Ask::default(), Cores::of_machine().unwrap().server) {
        Ok(broker) => Some(broker),
        Err(error) => {
            assert!(error.to_string().contains("setup.sh mosquitto"), "{error}");
            eprintln!("!!! SKIPPED: mosquitto is {error}");
            None
        }
    }
}

#[test]
fn publishing_costs_the_broker_time() {
    let Some(broker) = mosquitto() else { return };
    assert!(broker.version.starts_with(|first: char| first.is_ascii_digit()), "{}", broker.version);
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        let mut plan = MqttPlan::new(broker.target.clone(), 100);
        (plan.qos, plan.events, plan.connections) = (qos, 2_000, 5);
        let measured = publish::measure(&broker, plan, None).unwrap();
        assert!((100.0..1e6).contains(&measured.cpu_ns) && measured.per_s > 1_000.0, "{}", measured.cpu_ns);
    }
}

#[test]
fn a_fan_loses_nothing_in_step() {
    let Some(broker) = mosquitto() else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let mut fan = runtime.block_on(FanOut::open(FanOutPlan::new(broker.target.clone(), 5))).unwrap();
    let measured = fan_out::measure(&runtime, &broker, &mut fan, 500).unwrap();
    assert!(measured.lost_percent == 0.0 && (100.0..1e6).contains(&measured.cpu_ns), "{}", measured.cpu_ns);
}

#[test]
fn an_idle_connection_has_memory() {
    let Some(broker) = mosquitto() else { return };
    let measured = idle::measure(&broker, 300).unwrap();
    assert!((100.0..1e6).contains(&measured.resident_bytes), "{}", measured.resident_bytes);
    assert!(measured.per_s > 10.0 && measured.per_busy_s >= measured.per_s * 0.5);
}

#[test]
fn every_message_has_a_latency_but_those_of_the_warm_up() {
    let Some(broker) = mosquitto() else { return };
    let measured = latency::measure(&broker, 100, 1, Duration::from_millis(500)).unwrap();
    let latency = measured.latency;
    assert!((20..80).contains(&latency.count), "{latency:?}");
    assert!(latency.p50_us > 0 && latency.p50_us <= latency.p99_us && latency.p99_us < 2_000_000, "{latency:?}");
}
