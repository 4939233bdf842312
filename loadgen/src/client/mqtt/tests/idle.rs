//! Connections that stand and say nothing.

use super::broker::Broker;
use super::server::{CONNACK, listen};
use super::*;
use crate::client::mqtt::idle::{IdlePlan, idle};

#[test]
fn all_connections_stand_until_they_are_dropped() {
    let Some(broker) = Broker::start("") else { return };
    let mut plan = IdlePlan::new(broker.target.clone(), 100);
    plan.under_way_max = 8;
    block_on(async {
        let standing = idle(plan).await.unwrap();
        assert_eq!((standing.connections(), standing.connects.quantiles().count), (100, 100));
        assert!(standing.connecting >= Duration::from_micros(standing.connects.quantiles().max_us / 2));
    });
}

#[test]
fn only_so_many_are_opened_at_once_and_a_refusal_is_tried_again() {
    let open = Arc::new(Mutex::new((0, 0)));
    let seen = open.clone();
    let target = listen(move |mut peer, number| {
        {
            let mut open = open.lock().unwrap();
            open.0 += 1;
            open.1 = open.1.max(open.0);
        }
        peer.packet().unwrap();
        // Others could come meanwhile, if they were allowed to.
        peer.has_more();
        open.lock().unwrap().0 -= 1;
        if number == 5 {
            return;
        }
        peer.say(CONNACK);
        while peer.packet().is_some() {}
    });
    let mut plan = IdlePlan::new(target, 12);
    plan.under_way_max = 3;
    let standing = block_on(idle(plan)).unwrap();
    assert_eq!((standing.connections(), standing.retries), (12, 1));
    assert!(seen.lock().unwrap().1 <= 3);
}

#[test]
fn a_lasting_refusal_ends_it() {
    // Not authorized.
    let target = listen(|mut peer, _| {
        peer.packet().unwrap();
        peer.say(b"\x20\x03\x00\x87\x00");
    });
    let error = block_on(idle(IdlePlan::new(target, 10))).err().unwrap();
    assert!(matches!(error, MqttError::Refused { .. }), "{error}");
}
