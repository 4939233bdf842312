//! What a client may not do is refused with the reason that the standards have for it, and has no effect.

use super::answer::Answer;
use super::client::Client;
use super::packet::*;
use crate::mqtt_broker::Broker;

/// "correct horse", as cheap as bcrypt goes.
const HASH: &str = "$2b$04$QQZnZoIsKKHZQ5VmWfgwR.xkmdPuXFlrut.554DCsa0mLSzOuMK3u";

const RULES: &str = r##"
[[clients]]
name = "boss"
attributes = { role = "boss" }
[[clients]]
name = "stolen"
state = "disabled"
[[client_groups]]
name = "bosses"
query = "attributes.role = 'boss'"
[[topic_spaces]]
name = "own"
templates = ["devices/${client.authenticationName}/#"]
[[topic_spaces]]
name = "all"
templates = ["#", "$marker/#"]
[[permission_bindings]]
group = "$all"
space = "own"
permission = "publisher"
[[permission_bindings]]
group = "$all"
space = "own"
permission = "subscriber"
[[permission_bindings]]
group = "bosses"
space = "all"
permission = "publisher"
[[permission_bindings]]
group = "bosses"
space = "all"
permission = "subscriber"
"##;

/// A broker that knows meter-7, meter-8, boss and stolen.
fn guarded() -> (Broker, tempfile::TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let users: String =
        ["meter-7", "meter-8", "boss", "stolen"].iter().map(|name| format!("{name}:{HASH}\n")).collect();
    std::fs::write(folder.path().join("users"), users).expect("writes");
    std::fs::write(folder.path().join("access.toml"), RULES).expect("writes");
    let at = folder.path().display();
    let access = format!("anonymous = \"no\"\npassword_file = '{at}/users'\naccess_file = '{at}/access.toml'");
    (Broker::with(&format!("[listeners.mqtt.access]\n{access}")), folder)
}

fn as_user(version: u8, name: &str, password: &str) -> Connect {
    let mut connect = Connect::new(version, &format!("client-of-{name}"));
    (connect.username, connect.password) = (Some(name.to_owned()), Some(password.into()));
    connect
}

fn user(broker: &Broker, version: u8, name: &str) -> Client {
    broker.join(&as_user(version, name, "correct horse")).0
}

/// 3.1.4, [MQTT-3.1.4-2]: names and passwords that are wrong, and clients that are shut out.
#[test]
fn c3_1_4_2_who_may_not_connect() {
    let (broker, _files) = guarded();
    let cases = [
        (as_user(V5, "meter-7", "wrong"), &[0x86][..]),
        (as_user(V5, "nobody", "correct horse"), &[0x86]),
        (as_user(V5, "stolen", "correct horse"), &[0x8A]),
        (Connect::new(V5, "anonymous"), &[0x86, 0x87]),
        (as_user(V4, "meter-7", "wrong"), &[4]),
        (as_user(V4, "stolen", "correct horse"), &[5]),
        (Connect::new(V4, "anonymous"), &[4, 5]),
        (as_user(V3, "meter-7", "wrong"), &[4]),
    ];
    for (connect, codes) in cases {
        let mut client = broker.open(connect.version);
        client.send(&connect.bytes());
        client.refused_with(codes);
    }
    user(&broker, V5, "meter-7").ping();
}

/// [MQTT-3.4.2-1], 3.5.2.1, 3.3.5; 3.1.1 [MQTT-3.3.5-2]: a PUBLISH that is not allowed goes to nobody, and is not kept.
#[test]
fn c3_3_5_publishing_what_is_not_allowed() {
    let (broker, _files) = guarded();
    let mut watch = user(&broker, V5, "boss");
    watch.subscribe(&[("#", 2)]);
    let mut meter = user(&broker, V5, "meter-7");
    assert!(meter.publish("devices/meter-7/t", "mine", 1) < 0x80);
    assert_eq!(watch.texts(1), ["mine"]);
    assert_eq!(meter.put(Publish::new("devices/meter-8/t", "theirs").qos(1).retain()), 0x87);
    assert_eq!(meter.publish("devices/meter-8/t", "theirs", 2), 0x87);
    assert_eq!(meter.publish("devices", "theirs", 1), 0x87);
    // [MQTT-4.3.3-9]: the identifier is free again.
    assert_eq!(meter.put(Publish::new("other", "theirs").qos(2).id(900)), 0x87);
    assert!(meter.put(Publish::new("devices/meter-7/t", "mine").qos(2).id(900)) < 0x80);
    assert_eq!(watch.texts(1), ["mine"]);
    // 3.1.1 has no words: it is acknowledged, or the connection ends.
    for qos in [1, 2] {
        let mut old = user(&broker, V4, "meter-8");
        old.send(&Publish::new("devices/meter-7/t", "theirs").qos(qos).id(1).bytes(V4));
        match old.next() {
            Some(Answer::Receipt { first, id: 1, .. }) => assert_eq!(first, if qos == 1 { PUBACK } else { PUBREC }),
            None => {}
            other => panic!("{other:?}"),
        }
    }
    watch.is_quiet();
    let mut late = user(&broker, V4, "boss");
    late.subscribe(&[("devices/#", 0)]);
    late.is_quiet();
}

/// 3.9.3, [MQTT-3.9.3-2]: a SUBSCRIBE that is not allowed, among others that are.
#[test]
fn c3_9_3_subscribing_to_what_is_not_allowed() {
    let (broker, _files) = guarded();
    let mut boss = user(&broker, V5, "boss");
    boss.put(Publish::new("devices/meter-8/t", "kept").qos(1).retain());
    let filters = [
        ("devices/meter-7/#", 1),
        ("#", 0),
        ("devices/+/t", 0),
        ("devices/meter-8/#", 0),
        ("devices/meter-7/+/x", 2),
        ("$share/g/devices/meter-8/t", 0),
        ("$share/g/devices/meter-7/t", 1),
        ("+/meter-7/t", 0),
    ];
    let mut meter = user(&broker, V5, "meter-7");
    assert_eq!(meter.subscribe(&filters), [1, 0x87, 0x87, 0x87, 2, 0x87, 1, 0x87]);
    boss.publish("devices/meter-8/t", "theirs", 1);
    meter.unsubscribe(&["$share/g/devices/meter-7/t"]);
    boss.publish("devices/meter-7/t", "mine", 1);
    assert_eq!(meter.texts(1), ["mine"]);
    let mut old = user(&broker, V4, "meter-8");
    assert_eq!(old.subscribe(&[("devices/meter-8/#", 1), ("#", 1)]), [1, 0x80]);
    assert_eq!(old.texts(1), ["kept"]);
}

/// 3.1.2.5: a will has no more rights than its client.
#[test]
fn c3_1_2_5_a_will_that_is_not_allowed() {
    let (broker, _files) = guarded();
    let mut watch = user(&broker, V5, "boss");
    watch.subscribe(&[("#", 2)]);
    for topic in ["devices/meter-8/will", "devices/meter-7/will"] {
        let mut client = broker.open(V5);
        client.send(&as_user(V5, "meter-7", "correct horse").will(Will::new(topic, topic)).bytes());
        let code = client.connack().code;
        assert!([0, 0x87].contains(&code), "{code:#x}");
        client.drop_connection();
    }
    assert_eq!(watch.texts(1), ["devices/meter-7/will"]);
    watch.is_quiet();
}
