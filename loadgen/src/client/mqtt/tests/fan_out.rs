//! A fan of subscribers: everybody gets everything from a real broker, and what a bad one swallows is counted.

use super::broker::Broker;
use super::server::{CONNACK, listen};
use super::*;
use crate::client::mqtt::fan_out::{FanOut, FanOutOutcome, FanOutPlan};

#[test]
fn every_message_reaches_every_subscriber() {
    let Some(broker) = Broker::start("") else { return };
    for (version, under_way_max) in [(Version::V5, Some(8)), (Version::V311, None)] {
        let mut plan = FanOutPlan::new(broker.target.clone(), 7);
        plan.access.version = version;
        plan.under_way_max = under_way_max;
        let outcomes = block_on(async {
            let mut fan = FanOut::open(plan).await?;
            let outcomes = [fan.publish(500).await?, fan.publish(0).await?, fan.publish(100).await?];
            fan.close().await;
            Ok::<_, MqttError>(outcomes)
        });
        let counts = outcomes.unwrap().map(|outcome| (outcome.expected, outcome.delivered));
        assert_eq!(counts, [(3_500, 3_500), (0, 0), (700, 700)], "{version:?}");
    }
}

/// A server that passes what it gets on to the one who sent it, but for what it swallows.
fn echo(swallows: fn(u64) -> bool) -> Target {
    let subscriber = Arc::new(Mutex::new(None));
    listen(move |mut peer, number| {
        peer.packet().unwrap();
        peer.say(CONNACK);
        if number == 0 {
            // SUBSCRIBE.
            peer.packet().unwrap();
            peer.say(b"\x90\x04\x00\x01\x00\x00");
            *subscriber.lock().unwrap() = Some(peer);
            return;
        }
        let mut messages = 0;
        while let Some(packet) = peer.packet() {
            if packet[0] == 0xE0 {
                return;
            }
            if !swallows(messages) {
                subscriber.lock().unwrap().as_mut().unwrap().say(&packet);
            }
            messages += 1;
        }
    })
}

fn one_subscriber(target: Target, messages: u64) -> Result<FanOutOutcome, MqttError> {
    let mut plan = FanOutPlan::new(target, 1);
    plan.under_way_max = Some(10);
    plan.patience = Duration::from_millis(200);
    block_on(async { FanOut::open(plan).await?.publish(messages).await })
}

#[test]
fn what_is_swallowed_is_counted_as_lost_and_the_rest_goes_on() {
    let outcome = one_subscriber(echo(|message| message == 3), 50).unwrap();
    assert_eq!((outcome.expected, outcome.delivered, outcome.lost()), (50, 49, 1));
}

#[test]
fn no_more_is_under_way_than_allowed() {
    // Ten fill the fan; nothing comes, so they are given up, and the next ten go out.
    let outcome = one_subscriber(echo(|message| message < 10), 20).unwrap();
    assert_eq!((outcome.expected, outcome.delivered), (20, 10));
}

#[test]
fn a_subscriber_that_is_cut_off_ends_the_run() {
    let target = listen(|mut peer, number| {
        peer.packet().unwrap();
        peer.say(CONNACK);
        peer.packet();
        if number == 0 {
            // The subscription stands, and then the server has had enough of it.
            peer.say(b"\x90\x04\x00\x01\x00\x00\xE0\x01\x97");
        } else {
            while peer.packet().is_some() {}
        }
    });
    let error = one_subscriber(target, 50).unwrap_err();
    assert!(matches!(error, MqttError::Broken { .. }), "{error}");
}
