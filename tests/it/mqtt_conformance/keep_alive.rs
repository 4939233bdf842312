//! Keep-alive: one and a half times, then the connection is as good as broken.

use std::time::{Duration, Instant};

use super::packet::*;
use crate::mqtt_broker::Broker;

/// [MQTT-3.12.4-1].
#[test]
fn c3_12_4_1_pingreq_is_answered() {
    let broker = Broker::start();
    for version in [V3, V4, V5] {
        let mut client = broker.of(version, "client");
        (0..3).for_each(|_| client.ping());
    }
}

/// [MQTT-3.1.2-22]; 3.1.1 [MQTT-3.1.2-24]: whoever is silent for 1.5 times its keep-alive is closed, with its will; any packet counts.
#[test]
fn c3_1_2_22_silence_ends_the_connection() {
    let broker = Broker::start();
    let mut watch = broker.v5("watch");
    watch.subscribe(&[("will", 1)]);
    let began = Instant::now();
    let alone = broker.join(&Connect::new(V5, "alone").keep_alive(1)).0;
    let timed = std::thread::spawn(move || {
        alone.ended_with(&[0x8D]);
        began.elapsed()
    });
    let silent: Vec<_> = [V4, V5]
        .iter()
        .map(|version| {
            broker
                .join(&Connect::new(*version, &format!("silent{version}")).keep_alive(1).will(Will::new("will", "x")))
                .0
        })
        .collect();
    let mut never = broker.join(&Connect::new(V5, "never").keep_alive(0)).0;
    let mut slow = broker.join(&Connect::new(V5, "slow").keep_alive(60)).0;
    let mut busy = broker.join(&Connect::new(V4, "busy").keep_alive(1)).0;
    // Packets of any kind keep it alive.
    while began.elapsed() < Duration::from_millis(2_000) {
        std::thread::sleep(Duration::from_millis(400));
        busy.publish("busy", "x", 0);
    }
    busy.ping();
    never.ping();
    slow.ping();
    for client in silent {
        client.ended_with(&[0x8D]);
    }
    assert_eq!(watch.texts(2), ["x", "x"]);
    let lasted = timed.join().expect("ends");
    assert!((Duration::from_millis(1_450)..Duration::from_millis(4_000)).contains(&lasted), "{lasted:?}");
}

/// [MQTT-3.2.2-21], [MQTT-3.2.2-22]: where the server has a limit it says so, and goes by it.
#[test]
fn c3_2_2_21_server_keep_alive() {
    let broker = Broker::with("keep_alive_s_max = 1");
    for asked in [0, 1, 1_000] {
        let (client, ack) = broker.join(&Connect::new(V5, &format!("client{asked}")).keep_alive(asked));
        let said = ack.props.number(id::SERVER_KEEP_ALIVE);
        assert_eq!(said.unwrap_or(asked.into()), 1, "for {asked}");
        if asked == 1_000 {
            client.ended_with(&[0x8D]);
        }
    }
}

/// A connection that never sends CONNECT is closed in the end; that one sends it slowly harms nobody.
#[test]
fn a_connection_without_connect_does_not_stay() {
    let broker = Broker::with("connect_timeout_ms = 500");
    let silent = broker.open(V5);
    let mut slow = broker.open(V5);
    slow.send(&Connect::new(V5, "slow").bytes()[..5]);
    broker.v5("well").ping();
    silent.ended();
    slow.ended();
}
