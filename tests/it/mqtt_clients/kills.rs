//! kill -9 of the node under publishers and durable subscribers: whatever was acknowledged arrives, at each of them.

use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::Duration;

use rumqttc::{Client, Event, Packet, QoS};

use super::{Beside, has_mosquitto_clients, mqtt_js, paho, with_mqtt_js, with_paho};
use crate::mqtt_broker::Broker;
use crate::support::eventually_or;

const MESSAGES: usize = 3_000;

/// Messages that may be without an answer at a time.
const WINDOW: u16 = 50;

/// Publishes numbers at QoS 1 with rumqttc until all are acknowledged, over as many connections as it takes.
///
/// rumqttc never holds more than the window: what else waits in its channel when a connection breaks, 0.25.1 sends without heed of
/// the window, and drops what then meets a packet identifier that is still in use.
fn publish(broker: &Broker, acknowledged: Arc<AtomicUsize>) -> std::thread::JoinHandle<()> {
    let mut options = super::rumqttc::options(broker, "publisher");
    options.set_clean_session(false).set_inflight(WINDOW);
    let (client, mut connection) = Client::new(options, 100);
    let (begun, under_way) = sync_channel(WINDOW.into());
    let sending = std::thread::spawn(move || {
        for at in 0..MESSAGES {
            begun.send(()).expect("the connection is driven");
            client
                .publish(format!("kept/{}", at % 10), QoS::AtLeastOnce, false, at.to_string())
                .expect("the connection is driven");
        }
        client
    });
    std::thread::spawn(move || {
        for event in connection.iter() {
            match event {
                Ok(Event::Incoming(Packet::PubAck(_))) => {
                    under_way.recv().expect("it was begun");
                    if acknowledged.fetch_add(1, Ordering::Relaxed) + 1 == MESSAGES {
                        break;
                    }
                }
                Ok(_) => {}
                // The node is away for a moment.
                Err(_) => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        sending.join().expect("ends");
    })
}

#[test]
fn nothing_is_lost_to_durable_sessions() {
    let mut broker = Broker::start();
    let count = MESSAGES.to_string();
    let url = format!("mqtt://{}", broker.address());
    let mut collectors: Vec<(&str, Beside)> = Vec::new();
    if let Some(python) = paho() {
        for (name, version) in [("paho-4", "4"), ("paho-5", "5")] {
            collectors.push((name, Beside::start(&mut with_paho(&python, &[&url, "collect", name, version, &count]))));
        }
    }
    if let Some(module) = mqtt_js() {
        for (name, version) in [("mqtt-js-4", "4"), ("mqtt-js-5", "5")] {
            collectors
                .push((name, Beside::start(&mut with_mqtt_js(&module, &[&url, "collect", name, version, &count]))));
        }
    }
    for (name, collector) in &collectors {
        assert_eq!(collector.line(), "ready", "{name}");
    }
    let durable =
        ["-h", "127.0.0.1", "-p", broker.port(), "-c", "-i", "mosquitto", "-q", "1", "-t", "kept/#"].map(str::to_owned);
    let mosquitto = |more: &[&str]| Beside::start(Command::new("mosquitto_sub").args(&durable).args(more));
    let has_mosquitto = has_mosquitto_clients();
    if has_mosquitto {
        // Its session stands, and it stays away until the end.
        mosquitto(&["-E"]).done();
    }

    let acknowledged = Arc::new(AtomicUsize::new(0));
    let publisher = publish(&broker, acknowledged.clone());
    for kill in 1..=2 {
        let at = MESSAGES * kill / 3;
        let seen = || acknowledged.load(Ordering::Relaxed);
        eventually_or(|| format!("{at} messages are acknowledged, {} are", seen()), || seen() >= at);
        broker.kill_and_start();
    }
    let seen = || acknowledged.load(Ordering::Relaxed);
    eventually_or(|| format!("all messages are acknowledged, {} are", seen()), || seen() == MESSAGES);
    publisher.join().expect("ends");

    let wanted: Vec<usize> = (0..MESSAGES).collect();
    for (name, collector) in collectors {
        let said = collector.done();
        let mut numbers: Vec<usize> = said.lines().filter_map(|line| line.parse().ok()).collect();
        numbers.sort_unstable();
        assert!(numbers == wanted, "{name} got {} of {MESSAGES}", numbers.len());
    }
    if has_mosquitto {
        let late = mosquitto(&[]);
        let mut numbers = std::collections::HashSet::new();
        while numbers.len() < MESSAGES {
            numbers.insert(late.line());
        }
    }
}
