//! 3.1, 3.1.1 and 5.0 on one port.

use super::packet::*;
use crate::mqtt_broker::Broker;

/// All of them publish to all of them at all QoS.
#[test]
fn all_versions_talk_to_each_other() {
    let broker = Broker::start();
    let versions = [V3, V4, V5];
    let mut all: Vec<_> = versions.iter().map(|version| broker.of(*version, &format!("v{version}"))).collect();
    all.iter_mut().for_each(|client| assert_eq!(client.subscribe(&[("t/+", 2)]), [2]));
    for (who, version) in versions.iter().enumerate() {
        for qos in 0..=2 {
            all[who].publish(&format!("t/{version}"), "x", qos);
            for client in &mut all {
                let message = client.message();
                assert_eq!((message.topic, message.qos), (format!("t/{version}"), qos));
            }
        }
    }
}

/// 3.1: its name and level, its will, its retained messages; a clean session's CONNACK has no flags.
#[test]
fn clients_of_3_1() {
    let broker = Broker::start();
    let mut client = broker.open(V3);
    client.send(&packet(0x10, &[&binary("MQIsdp"), &[3, 2, 0, 10], &binary("meter")]));
    assert_eq!(client.connack().code, 0);
    assert_eq!(client.subscribe(&[("t", 1)]), [1]);
    client.put(Publish::new("t", "x").qos(2).retain());
    let message = client.message();
    assert_eq!((message.text(), message.qos, message.retain), ("x", 1, false));
    assert!(client.unsubscribe(&["t"]).is_empty());
    client.ping();
    client.leave();
    // The name of 3.1 with a level of others, and the other way round.
    for (name, level) in [("MQIsdp", 4), ("MQIsdp", 5), ("MQTT", 3), ("MQIsdp", 2)] {
        let mut client = broker.open(if level == 5 { V5 } else { V4 });
        let none: &[u8] = if level == 5 { &[0] } else { &[] };
        client.send(&packet(0x10, &[&binary(name), &[level, 2, 0, 10], none, &binary("meter")]));
        client.closed_or_refused_with(&[0x01, 0x84, 0x81]);
    }
}

/// 3.1.1: what is of 5 is not read into its packets: a payload may look like properties.
#[test]
fn payloads_of_3_1_1_are_no_properties() {
    let broker = Broker::start();
    let (mut old, mut new) = (broker.v4("old"), broker.v5("new"));
    old.subscribe(&[("t", 1)]);
    new.subscribe(&[("t", 1)]);
    for payload in [&[0][..], &[5, 0x11, 0, 0, 0, 1], &[0xFF; 9], &[]] {
        for qos in 0..=1 {
            old.put(Publish::new("t", payload).qos(qos));
            assert_eq!(new.message().payload, payload);
            assert_eq!(old.message().payload, payload);
        }
    }
}
