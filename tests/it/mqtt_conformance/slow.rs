//! A subscriber that is slow is its own problem: nobody else waits for it, and at QoS 1 it loses nothing.

use super::packet::*;
use crate::mqtt_broker::Broker;

const MESSAGES: usize = 1_500;

/// Our promise: 24 MB towards somebody who does not read, while another gets them; the slow one gets all of them in the end.
#[test]
fn who_does_not_read_slows_nobody() {
    let broker = Broker::start();
    let (mut slow, mut quick, mut publisher) = (broker.v5("slow"), broker.v5("quick"), broker.v4("publisher"));
    slow.subscribe(&[("t", 1)]);
    quick.subscribe(&[("t", 1)]);
    let payload = |at: usize| format!("{at:<16384}");
    for at in 0..MESSAGES {
        publisher.publish("t", &payload(at), 1);
        // The quick one reads at once.
        if at % 50 == 49 {
            (at - 49..=at).for_each(|at| assert_eq!(quick.message().text().trim_end(), at.to_string()));
        }
    }
    (0..MESSAGES).for_each(|at| assert_eq!(slow.message().text().trim_end(), at.to_string()));
    slow.is_quiet_after(&mut publisher);
}

/// The same with a receive maximum of one: it reads, one by one, while others go ahead.
#[test]
fn who_takes_one_at_a_time_slows_nobody() {
    let broker = Broker::start();
    let (mut slow, _) = broker.join(&Connect::new(V5, "slow").props(props().two(id::RECEIVE_MAX, 1)));
    let (mut quick, mut publisher) = (broker.v5("quick"), broker.v5("publisher"));
    slow.subscribe(&[("t", 2)]);
    quick.subscribe(&[("t", 2)]);
    for at in 0..300usize {
        publisher.publish("t", &at.to_string(), 1 + (at % 2) as u8);
        assert_eq!(quick.message().text(), at.to_string());
    }
    for at in 0..300 {
        assert_eq!(slow.message().text(), at.to_string());
    }
}

/// [MQTT-3.8.4-4]: replacing a subscription loses no message, wherever it is in the stream of them.
#[test]
fn c3_8_4_4_replacing_a_subscription_loses_nothing() {
    let broker = Broker::start();
    let (mut client, mut publisher) = (broker.v5("client"), broker.v5("publisher"));
    client.subscribe(&[("t", 1)]);
    for round in 0..20u16 {
        let all: Vec<u8> = (0..20u16)
            .flat_map(|at| Publish::new("t", (round * 20 + at).to_string()).qos(1).id(1 + round * 20 + at).bytes(V5))
            .collect();
        publisher.send(&all);
        client.subscribe(&[("t", [1, 2, 9][round as usize % 3])]);
        (0..20u16).for_each(|at| assert!(publisher.receipt(PUBACK, 1 + round * 20 + at) < 0x80));
    }
    for at in 0..400 {
        assert_eq!(client.message().text(), at.to_string());
    }
}
