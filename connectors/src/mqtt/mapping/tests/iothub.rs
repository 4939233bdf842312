//! The IoT Hub profile: topics, property bags, who may send.

use engine::event::SystemProperty;

use super::*;
use crate::mqtt::mapping::iothub::{Address, device_of_username};

fn stored(client_id: &str, topic: &str, qos: Qos, retain: bool) -> Result<Batch, MappingError> {
    let hub = Mapper::new(&MappingConfig { iothub: true, ..MappingConfig::default() }, "myns");
    let identity = identity("");
    let from = Publisher { client_id, identity: &identity, version: Version::V311 };
    let sent = Publish { qos, retain, topic, ..publish(br#"{"t":1}"#, PublishProperties::default()) };
    store_from(&hub, &from, &sent)
}

fn system(batch: &Batch, keyword: &str) -> Option<String> {
    Event::new(batch, 0).system(SystemProperty::by_keyword(keyword).expect("known")).map(str::to_owned)
}

#[test]
fn the_first_example_of_the_sheet() {
    let topic = "devices/dev1/messages/events/%24.ct=application%2Fjson&%24.ce=utf-8&level=critical&flag";
    let batch = stored("dev1", topic, Qos::AtLeastOnce, false).expect("mapped");
    let event = Event::new(&batch, 0);
    assert_eq!(event.key(), Some(&b"dev1"[..]));
    assert_eq!(system(&batch, "contentType").as_deref(), Some("application/json"));
    assert_eq!(system(&batch, "contentEncoding").as_deref(), Some("utf-8"));
    assert_eq!(system(&batch, "connectionDeviceId").as_deref(), Some("dev1"));
    assert_eq!(event.property("level"), Property::Text("critical"));
    assert_eq!(event.property("flag"), Property::Null);
    assert_eq!(engine::event::Source::of(&event), engine::event::Source::DeviceMessages);
    assert!(message(&event).is_none());
}

#[test]
fn every_system_property_has_its_place() {
    let bag = "?$.mid=m&$.cid=c&$.uid=u&$.to=t&$.on=o&$.sub=s&$.ct=text%2Fplain&$.ce=utf-16&$.ctime=2026-01-05T10:00:00Z\
               &$.exp=e&$.schema=x&$.ifid=i&iothub-ack=full&iothub-operation=p&a+b=c%2Bd&e=&iothub-connection-device-id=other/";
    let batch = stored("dev1/m1", &format!("devices/dev1/modules/m1/messages/events/{bag}"), Qos::AtMostOnce, true)
        .expect("mapped");
    for (keyword, value) in [
        ("messageId", "m"),
        ("correlationId", "c"),
        ("userId", "u"),
        ("to", "t"),
        ("ack", "full"),
        ("dt-subject", "s"),
        ("contentType", "text/plain"),
        ("contentEncoding", "utf-16"),
        ("creation-time-utc", "2026-01-05T10:00:00Z"),
        ("connectionDeviceId", "dev1"),
        ("connectionModuleId", "m1"),
        ("messageSource", "Telemetry"),
    ] {
        assert_eq!(system(&batch, keyword).as_deref(), Some(value), "{keyword}");
    }
    let event = Event::new(&batch, 0);
    let properties: Vec<_> = event.properties().collect();
    let expected: [(&str, Option<&[u8]>); 4] = [
        ("a+b", Some(b"c+d")),
        ("e", Some(b"")),
        ("iothub-connection-device-id", Some(b"other")),
        ("mqtt-retain", Some(b"true")),
    ];
    assert_eq!(properties, expected);
}

#[test]
fn a_device_sends_as_itself_only() {
    for (client_id, topic, reason) in [
        ("dev2", "devices/dev1/messages/events/", Reason::NotAuthorized),
        ("dev1", "devices/dev1/modules/m1/messages/events/", Reason::NotAuthorized),
        ("dev1/m1", "devices/dev1/messages/events/", Reason::NotAuthorized),
        ("dev1", "devices/dev1/messages/events/%24.cdid=dev2", Reason::NotAuthorized),
        ("dev1", "devices/dev1/messages/events/$.cmid=m", Reason::NotAuthorized),
        ("dev1", "devices/dev1/messages/events/a=%zz", Reason::TopicNameInvalid),
        ("dev1", "devices/dev1/messages/events/%ff=a", Reason::TopicNameInvalid),
    ] {
        let error = stored(client_id, topic, Qos::AtMostOnce, false).expect_err(topic);
        assert_eq!(error.reason(), reason, "{error}");
    }
    // A user name of IoT Hub is as good as the id in it.
    assert!(
        stored("h.example/dev1/?api-version=2021-04-12", "devices/dev1/messages/events/", Qos::AtMostOnce, false)
            .is_ok()
    );
}

#[test]
fn other_topics_are_ordinary() {
    for topic in [
        "devices/dev1/messages/eventsx",
        "devices/dev1/twin",
        "devices//messages/events/",
        "a/devices/dev1/messages/events/",
    ] {
        let batch = stored("dev2", topic, Qos::AtMostOnce, false).expect("mapped");
        assert_eq!(message(&Event::new(&batch, 0)).expect("a message").topic, topic);
    }
    assert_eq!(Address::of("devices/d/messages/events"), Some(Address { device: "d", module: None, bag: "" }));
}

#[test]
fn wills_and_qos_2_are_marked() {
    let hub = Mapper::new(&MappingConfig { iothub: true, ..MappingConfig::default() }, "myns");
    let identity = identity("");
    let from = Publisher { client_id: "dev1", identity: &identity, version: Version::V311 };
    let topic = "devices/dev1/messages/events/a=1&a=2";
    let sent = Publish { topic, qos: Qos::ExactlyOnce, ..publish(b"gone", PublishProperties::default()) };
    let mut room = Room::default();
    let mapped = hub.will(&from, &sent, topic, &mut room).expect("mapped");
    let mut builder = BatchBuilder::new(0);
    builder.push(Some(mapped.key), mapped.value, mapped.headers, NOW_MS).expect("fits");
    let batch = builder.seal().expect("one row");
    let event = Event::new(&batch, 0);
    assert_eq!(event.property("iothub-MessageType"), Property::Text("Will"));
    assert_eq!(event.property("a"), Property::Text("1"));
    let kept = Stored::read(event.header(engine::event::MQTT).flatten().expect("there")).expect("whole");
    assert_eq!((kept.qos, kept.packet_id), (Qos::ExactlyOnce, Some(7)));
    assert!(message(&event).is_none());
}

#[test]
fn user_names_of_iot_hub_name_the_device() {
    for (username, expected) in [
        ("h.example/dev1/?api-version=2021-04-12", Some(("dev1", None))),
        ("h.example/dev1?api-version=2021-04-12&DeviceClientType=x%2Fy", Some(("dev1", None))),
        ("h.example/dev1/m1/?model-id=dtmi:a;1&api-version=2020-09-30", Some(("dev1", Some("m1")))),
        ("h.example/dev1/", None),
        ("dev1", None),
        ("h.example/?api-version=1", None),
        ("h.example/a/b/c/?api-version=1", None),
        ("h.example/de v/?api-version=1", None),
    ] {
        assert_eq!(device_of_username(username), expected, "{username}");
    }
}
