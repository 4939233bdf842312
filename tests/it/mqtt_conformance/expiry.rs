//! Message expiry: what is left of it is passed on, and what has expired does not come.

use std::time::Duration;

use super::packet::*;
use crate::mqtt_broker::Broker;

fn expiring(topic: &str, payload: &str, seconds: u32) -> Publish {
    Publish::new(topic, payload).qos(1).props(props().four(id::MESSAGE_EXPIRY, seconds))
}

/// [MQTT-3.3.2-5], [MQTT-3.3.2-6], 3.3.2.3.3: live, waiting and retained; all in one, since it takes its time.
#[test]
fn c3_3_2_5_messages_expire() {
    let broker = Broker::start();
    let connect = |name: &str| Connect::new(V5, name).props(props().four(id::SESSION_EXPIRY, 60));
    let mut away = broker.join(&connect("away")).0;
    away.subscribe(&[("t/#", 2)]);
    away.leave();
    let mut old = broker.join(&Connect::new(V4, "old").resume()).0;
    old.subscribe(&[("t/#", 1)]);
    old.leave();
    // Started, but not acknowledged: it has been delivered as far as expiry goes ([MQTT-4.3.3-7]).
    let mut begun =
        broker.join(&connect("begun").props(props().two(id::RECEIVE_MAX, 1).four(id::SESSION_EXPIRY, 60))).0;
    begun.subscribe(&[("t/#", 2)]);

    let mut publisher = broker.v5("publisher");
    let mut live = broker.v5("live");
    live.subscribe(&[("t/#", 1)]);
    publisher.put(expiring("t/a", "short", 2));
    publisher.put(expiring("t/b", "long", 100));
    publisher.put(Publish::new("t/c", "ever").qos(1));
    publisher.put(expiring("t/r", "retained short", 2).retain());
    publisher.put(expiring("t/s", "retained long", 100).retain());
    // A retained message has its own expiry, not that of the one it replaces.
    publisher.put(expiring("kept", "old", 2).retain());
    publisher.put(Publish::new("kept", "new").qos(1).retain());
    let first = begun.held();
    assert_eq!(first.text(), "short");
    let found: Vec<_> = (0..5).map(|_| live.message()).collect();
    assert!(found[0].props.number(id::MESSAGE_EXPIRY).is_some_and(|left| (1..=2).contains(&left)));
    assert!(found[1].props.number(id::MESSAGE_EXPIRY).is_some_and(|left| (95..=100).contains(&left)));
    assert_eq!(found[2].props.number(id::MESSAGE_EXPIRY), None);

    std::thread::sleep(Duration::from_millis(2_200));

    let mut away = broker.join(&connect("away").resume()).0;
    let long = away.message();
    assert_eq!(long.text(), "long", "[MQTT-3.3.2-5]");
    assert!(long.props.number(id::MESSAGE_EXPIRY).is_some_and(|left| (80..=98).contains(&left)), "{long:?}");
    assert_eq!(away.texts(2), ["ever", "retained long"]);
    away.is_quiet_after(&mut publisher);

    let mut old = broker.join(&Connect::new(V4, "old").resume()).0;
    assert_eq!(old.texts(3), ["long", "ever", "retained long"]);

    begun.acknowledge(&first);
    assert_eq!(begun.texts(3), ["long", "ever", "retained long"]);
    begun.is_quiet_after(&mut publisher);

    let mut late = broker.v5("late");
    late.subscribe(&[("t/#", 1)]);
    let kept = late.message();
    assert_eq!((kept.text(), kept.retain), ("retained long", true));
    assert!(kept.props.number(id::MESSAGE_EXPIRY).is_some_and(|left| (80..=98).contains(&left)), "{kept:?}");
    late.subscribe(&[("kept", 1)]);
    assert_eq!(late.texts(1), ["new"]);
    late.is_quiet_after(&mut publisher);
}
