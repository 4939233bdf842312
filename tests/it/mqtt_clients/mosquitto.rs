//! mosquitto_pub and mosquitto_sub, as people use them in a shell.

use std::process::Command;

use super::{Beside, has_mosquitto_clients};
use crate::mqtt_broker::Broker;
use crate::mqtt_conformance::packet::Publish;
use crate::support::eventually_or;

/// The address as their options.
fn at(program: &str, broker: &Broker) -> Command {
    let mut command = Command::new(program);
    command.args(["-h", "127.0.0.1", "-p", broker.port()]);
    command
}

fn publish(broker: &Broker, args: &[&str]) {
    Beside::start(at("mosquitto_pub", broker).args(args)).done();
}

/// Runs mosquitto_sub to its end: its lines.
fn subscribe(broker: &Broker, args: &[&str]) -> Vec<String> {
    let said = Beside::start(at("mosquitto_sub", broker).args(["-W", "20"]).args(args)).done();
    said.lines().map(str::to_owned).collect()
}

#[test]
fn all_qos_in_all_versions() {
    if !has_mosquitto_clients() {
        return;
    }
    let broker = Broker::start();
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        for qos in ["0", "1", "2"] {
            // A durable session, so that nothing depends on who is first: -E ends when the subscription stands.
            let name = format!("sub-{version}-{qos}");
            let mut session = vec!["-V", version, "-c", "-i", &name, "-q", qos, "-t", "t/+"];
            if version == "mqttv5" {
                session.extend(["-x", "600"]);
            }
            subscribe(&broker, &[&session[..], &["-E"]].concat());
            if qos != "0" {
                let topic = format!("t/{qos}");
                publish(&broker, &["-V", version, "-i", "publisher", "-q", qos, "-t", &topic, "-m", "first"]);
                publish(&broker, &["-V", version, "-i", "publisher", "-q", qos, "-t", &topic, "-m", "second"]);
                let got = subscribe(&broker, &[&session[..], &["-C", "2", "-F", "%t %q %r %p"]].concat());
                assert_eq!(got, [format!("{topic} {qos} 0 first"), format!("{topic} {qos} 0 second")]);
            }
        }
    }
}

#[test]
fn live_at_qos_0() {
    if !has_mosquitto_clients() {
        return;
    }
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        publisher.put(Publish::new("ready", "ready").qos(1).retain());
        let args = ["-V", version, "-W", "20", "-C", "2", "-t", "ready", "-t", "live/#"];
        let live = Beside::start(at("mosquitto_sub", &broker).args(args));
        assert_eq!(live.line(), "ready");
        publish(&broker, &["-V", version, "-t", "live/x", "-m", "hello"]);
        assert_eq!(live.line(), "hello");
        live.done();
    }
}

#[test]
fn retained_and_cleared() {
    if !has_mosquitto_clients() {
        return;
    }
    let broker = Broker::start();
    publish(&broker, &["-V", "mqttv311", "-r", "-q", "1", "-t", "kept/a", "-m", "old"]);
    publish(&broker, &["-V", "mqttv5", "-r", "-q", "1", "-t", "kept/a", "-m", "new"]);
    publish(&broker, &["-V", "mqttv5", "-r", "-q", "1", "-t", "kept/b", "-m", "gone"]);
    publish(&broker, &["-V", "mqttv5", "-r", "-q", "1", "-t", "kept/b", "-n"]);
    publish(&broker, &["-V", "mqttv5", "-r", "-q", "1", "-t", "kept/c", "-m", "end"]);
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let mut got = subscribe(&broker, &["-V", version, "-C", "2", "-t", "kept/#", "-F", "%t %r %p"]);
        got.sort();
        assert_eq!(got, ["kept/a 1 new", "kept/c 1 end"]);
    }
}

#[test]
fn a_will_when_it_is_killed() {
    if !has_mosquitto_clients() {
        return;
    }
    let broker = Broker::start();
    let mut watch = broker.v5("watch");
    watch.subscribe(&[("will", 2)]);
    watch.put(Publish::new("ready", "ready").qos(1).retain());
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        let will = ["--will-topic", "will", "--will-payload", version, "--will-qos", "1"];
        let gone = Beside::start(at("mosquitto_sub", &broker).args(["-V", version, "-t", "ready"]).args(will));
        assert_eq!(gone.line(), "ready");
        gone.kill();
        let found = watch.message();
        assert_eq!((found.text(), found.qos), (version, 1));
    }
}

#[test]
fn properties_of_5() {
    if !has_mosquitto_clients() {
        return;
    }
    let broker = Broker::start();
    let session = ["-V", "mqttv5", "-c", "-x", "600", "-i", "props", "-q", "1", "-t", "props"];
    subscribe(&broker, &[&session[..], &["-E"]].concat());
    let mut args = vec!["-V", "mqttv5", "-q", "1", "-t", "props", "-m", "{}"];
    for property in [
        &["content-type", "application/json"][..],
        &["response-topic", "answer/here"],
        &["correlation-data", "abc"],
        &["payload-format-indicator", "1"],
        &["message-expiry-interval", "1000"],
        &["topic-alias", "1"],
        &["user-property", "b", "1"],
        &["user-property", "a", "2"],
    ] {
        args.extend(["-D", "PUBLISH"]);
        args.extend(property);
    }
    publish(&broker, &args);
    let got = subscribe(&broker, &[&session[..], &["-C", "1", "-F", "%C|%R|%D|%F|%E|%P|%p"]].concat());
    let parts: Vec<&str> = got[0].split('|').collect();
    assert_eq!((parts[0], parts[1], parts[2], parts[3]), ("application/json", "answer/here", "abc", "1"));
    assert!(parts[4].parse::<u32>().is_ok_and(|left| (980..=1_000).contains(&left)), "{got:?}");
    assert_eq!((parts[5], parts[6]), ("b:1 a:2", "{}"));
}

#[test]
fn a_group_shares() {
    if !has_mosquitto_clients() {
        return;
    }
    let broker = Broker::start();
    let mut publisher = broker.v5("publisher");
    publisher.put(Publish::new("ready", "ready").qos(1).retain());
    let members: Vec<Beside> = ["mqttv311", "mqttv5"]
        .into_iter()
        .map(|version| {
            let topics = ["-V", version, "-q", "1", "-t", "$share/g/job", "-t", "ready"];
            let member = Beside::start(at("mosquitto_sub", &broker).args(topics));
            assert_eq!(member.line(), "ready");
            member
        })
        .collect();
    for at in 0..20 {
        publisher.publish("job", &at.to_string(), 1);
    }
    // What a group gets and what a member gets by itself have no order between them, so a marker would not show the end.
    let parts = || -> Vec<Vec<u32>> {
        let numbers = |said: String| said.lines().filter_map(|line| line.parse().ok()).collect();
        members.iter().map(|member| numbers(member.said())).collect()
    };
    eventually_or(|| format!("{:?} are all", parts()), || parts().iter().map(Vec::len).sum::<usize>() >= 20);
    let parts = parts();
    assert!(parts.iter().all(|part| !part.is_empty() && part.is_sorted()), "{parts:?}");
    let mut all = parts.concat();
    all.sort_unstable();
    assert_eq!(all, (0..20).collect::<Vec<_>>());
}
