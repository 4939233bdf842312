//! What a PUBLISH becomes, and that subscribers get it as it was sent.

mod cloudevents;
mod enrich;
mod iothub;
mod round_trip;

use std::sync::Arc;

use engine::batch::{Batch, BatchBuilder};
use engine::event::{Event, Property};
use serde_json::{Value, json};

use super::*;
use crate::cloudevents::write_structured;
use crate::mqtt::access::{Attributes, Identity};
use crate::mqtt::codec::{Publish, PublishProperties, Qos, Reason, UserProperties, Version, property};

/// When all test events are accepted.
const NOW_MS: i64 = 1_767_607_200_400;

fn identity(name: &str) -> Identity {
    Identity { name: name.into(), attributes: Attributes::default(), expires_at_s: None, grants: Arc::default() }
}

fn mapper(payload: PayloadMode) -> Mapper {
    Mapper::new(&MappingConfig { payload, ..MappingConfig::default() }, "myns")
}

/// A PUBLISH to `plant/4/pump/9`.
fn publish<'a>(payload: &'a [u8], properties: PublishProperties<'a>) -> Publish<'a> {
    let (dup, qos, retain, packet_id) = (false, Qos::AtLeastOnce, false, 7);
    Publish { dup, qos, retain, topic: "plant/4/pump/9", packet_id, properties, payload }
}

/// Encoded user properties.
fn pairs(pairs: &[(&str, &str)]) -> Vec<u8> {
    let mut list = Vec::new();
    for (name, value) in pairs {
        assert!(property::put_pair(&mut list, property::USER, name, value));
    }
    list
}

fn user(list: &[u8]) -> PublishProperties<'_> {
    PublishProperties { user: UserProperties::read(list).expect("user properties"), ..PublishProperties::default() }
}

/// The event as it lies in the log, at partition 3 and offset 41.
fn store(mapper: &Mapper, version: Version, publish: &Publish<'_>) -> Result<Batch, MappingError> {
    let identity = identity("pump-9");
    let from = Publisher { client_id: "c1", identity: &identity, version };
    store_from(mapper, &from, publish)
}

fn store_from(mapper: &Mapper, from: &Publisher<'_>, publish: &Publish<'_>) -> Result<Batch, MappingError> {
    let mut room = Room::default();
    let mapped = mapper.event(from, publish, publish.topic, &mut room)?;
    let mut builder = BatchBuilder::new(3);
    builder.push(Some(mapped.key), mapped.value, mapped.headers, NOW_MS).expect("checked by the mapper");
    let mut batch = builder.seal().expect("one row");
    batch.set_base_offset(41);
    Ok(batch)
}

fn structured(batch: &Batch) -> Value {
    let mut out = Vec::new();
    write_structured(&Event::new(batch, 0), &[], &mut out);
    serde_json::from_slice(&out).expect("JSON")
}

/// What a subscriber gets is what was sent.
fn assert_comes_back(batch: &Batch, sent: &Publish<'_>) {
    let message = message(&Event::new(batch, 0)).expect("a message");
    assert_eq!((message.topic, message.payload), (sent.topic, sent.payload));
    assert_eq!((message.qos, message.retain), (sent.qos, sent.retain));
    let mut list = Vec::new();
    message.put_properties(NOW_MS, &mut list);
    let properties = PublishProperties::read(&list).expect("a property list");
    assert_eq!(properties, PublishProperties { topic_alias: None, ..sent.properties });
}

#[test]
fn bytes_of_no_known_type_are_base64_as_on_event_grid() {
    for version in [Version::V31, Version::V311, Version::V5] {
        let sent = publish(&[0, 159, 146, 150], PublishProperties::default());
        let batch = store(&mapper(PayloadMode::EventGrid), version, &sent).expect("mapped");
        let expected = json!({
            "specversion":"1.0","id":"3-41","time":"2026-01-05T10:00:00.4Z","type":"MQTT.EventPublished","source":"myns",
            "subject":"plant/4/pump/9","datacontenttype":"application/octet-stream","data_base64":"AJ+Slg==",
            "anabranchpartition":3,"anabranchoffset":"41"
        });
        assert_eq!(structured(&batch), expected);
        assert_eq!(Event::new(&batch, 0).key(), Some(&b"pump-9"[..]));
        assert_comes_back(&batch, &sent);
    }
}

#[test]
fn json_by_content_type_is_data_as_on_event_grid() {
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let properties = PublishProperties { content_type: Some(content_type), ..PublishProperties::default() };
        let sent = publish(br#"{"bar":3.1}"#, properties);
        let event = structured(&store(&mapper(PayloadMode::EventGrid), Version::V5, &sent).expect("mapped"));
        assert_eq!((&event["data"], &event["datacontenttype"]), (&json!({"bar":3.1}), &json!(content_type)));
    }
}

#[test]
fn text_that_is_no_json_is_a_json_string_as_on_event_grid() {
    let text = PublishProperties { payload_format: Some(1), ..PublishProperties::default() };
    let json_type = PublishProperties { content_type: Some("application/json"), ..PublishProperties::default() };
    for (properties, payload, data) in [
        (text, "warm \"enough\"", json!("warm \"enough\"")),
        (text, "21.5", json!(21.5)),
        (json_type, "oops {", json!("oops {")),
    ] {
        let sent = publish(payload.as_bytes(), properties);
        let batch = store(&mapper(PayloadMode::EventGrid), Version::V5, &sent).expect("mapped");
        assert_eq!(structured(&batch)["data"], data);
        assert_comes_back(&batch, &sent);
    }
}

#[test]
fn what_says_nothing_is_json_if_it_is() {
    let auto = mapper(PayloadMode::Auto);
    let of = |payload: &'static [u8], properties| {
        let sent = publish(payload, properties);
        let batch = store(&auto, Version::V5, &sent).expect("mapped");
        assert_comes_back(&batch, &sent);
        structured(&batch)
    };
    let none = PublishProperties::default();
    assert_eq!(of(br#"{"a": 1}"#, none)["data"], json!({"a":1}));
    let event = of(b"21.5 C", none);
    assert_eq!(
        (&event["data_base64"], event.get("datacontenttype"), event.get("data")),
        (&json!("MjEuNSBD"), None, None)
    );
    assert_eq!(of(b"", none).get("data"), None);
    let text = PublishProperties { payload_format: Some(1), ..none };
    let event = of(b"21.5 C", text);
    assert_eq!((&event["data"], &event["datacontenttype"]), (&json!("21.5 C"), &json!("text/plain; charset=utf-8")));
    assert_eq!(of(b"21.5", text)["data"], json!(21.5));
    // A content type that is no media type cannot be an attribute; subscribers get it all the same.
    let odd = PublishProperties { content_type: Some("just\u{1}text"), ..none };
    assert_eq!(of(b"1", odd).get("datacontenttype"), None);
}

#[test]
fn user_properties_are_properties_and_repeats_are_joined() {
    let auto = mapper(PayloadMode::Auto);
    let list =
        pairs(&[("Site", "hh"), ("tag", "a"), ("x y", ""), ("TAG", "b"), ("tag", "c"), ("ce_id", "9"), ("mqtt", "m")]);
    let sent = publish(b"{}", user(&list));
    let batch = store(&auto, Version::V5, &sent).expect("mapped");
    assert_comes_back(&batch, &sent);
    let event = Event::new(&batch, 0);
    assert_eq!(event.property("tag"), Property::Text("a,b,c"));
    assert_eq!(event.property("site"), Property::Text("hh"));
    assert_eq!(event.property("ce_id"), Property::Text("9"));
    assert_eq!(event.property("MQTT"), Property::Text("m"));
    assert_eq!(event.properties().count(), 5);
    assert_eq!(event.attribute("id"), None);
}

#[test]
fn what_does_not_fit_is_refused_with_its_reason() {
    let auto = mapper(PayloadMode::Auto);
    let refused = |sent: &Publish<'_>| store(&auto, Version::V5, sent).expect_err("too much").reason();
    let many: Vec<(String, String)> = (0..300).map(|number| (number.to_string(), String::new())).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    for count in [256, 257, 300] {
        assert_eq!(refused(&publish(b"", user(&pairs(&many[..count])))), Reason::QuotaExceeded);
    }
    assert!(store(&auto, Version::V5, &publish(b"", user(&pairs(&many[..250])))).is_ok());
    let large = vec![b'x'; engine::limits::EVENT_BYTES_MAX];
    assert_eq!(refused(&publish(&large, PublishProperties::default())), Reason::PacketTooLarge);
    let identity = identity(&"n".repeat(engine::limits::KEY_BYTES_MAX + 1));
    let from = Publisher { client_id: "c", identity: &identity, version: Version::V5 };
    let error = store_from(&auto, &from, &publish(b"", PublishProperties::default())).expect_err("too long");
    assert_eq!(error.reason(), Reason::QuotaExceeded);
}

#[test]
fn the_publisher_is_known_by_its_client_id() {
    let auto = mapper(PayloadMode::Auto);
    for (name, client_id, key) in [("pump-9", "c1", "pump-9"), ("", "c1", "c1"), ("c1", "c1", "c1")] {
        let identity = identity(name);
        let from = Publisher { client_id, identity: &identity, version: Version::V311 };
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce] {
            let sent = Publish { qos, ..publish(b"1", PublishProperties::default()) };
            let batch = store_from(&auto, &from, &sent).expect("mapped");
            let event = Event::new(&batch, 0);
            let message = message(&event).expect("a message");
            assert_eq!((event.key(), message.publisher), (Some(key.as_bytes()), client_id.as_bytes()));
            assert_eq!(message.packet_id, (qos == Qos::ExactlyOnce).then_some(7));
        }
    }
}

#[test]
fn expiry_is_what_is_left() {
    let properties = PublishProperties { expiry_s: Some(10), ..PublishProperties::default() };
    let batch = store(&mapper(PayloadMode::Auto), Version::V5, &publish(b"1", properties)).expect("mapped");
    let event = Event::new(&batch, 0);
    let message = message(&event).expect("a message");
    assert_eq!(message.expires_at_ms, Some(NOW_MS + 10_000));
    for (waited_ms, left) in [(0, 10), (999, 10), (1_000, 9), (9_999, 1), (10_000, 0), (99_000, 0)] {
        let mut list = Vec::new();
        message.put_properties(NOW_MS + waited_ms, &mut list);
        assert_eq!(PublishProperties::read(&list).expect("a list").expiry_s, Some(left), "after {waited_ms} ms");
        assert_eq!(message.is_expired(NOW_MS + waited_ms), left == 0);
    }
}

#[test]
fn events_that_came_another_way_are_messages_if_their_subject_is_a_topic() {
    let made = |fill: &dyn Fn(&mut engine::batch::HeaderWriter)| {
        let mut headers = engine::batch::HeaderWriter::default();
        fill(&mut headers);
        let mut builder = BatchBuilder::new(3);
        builder.push(Some(b"k"), b"<a/>", &headers, NOW_MS).expect("fits");
        builder.seal().expect("one row")
    };
    let batch = made(&|headers| {
        engine::event::put_attribute(headers, "subject", "plant/4");
        engine::event::put_attribute(headers, "datacontenttype", "application/xml");
        engine::event::put_attribute(headers, "site", "hh");
        engine::event::put_property(headers, "Level", Some(b"hot"));
    });
    let event = Event::new(&batch, 0);
    let found = message(&event).expect("a message");
    assert_eq!(
        (found.topic, found.payload, found.qos, found.publisher),
        ("plant/4", &b"<a/>"[..], Qos::AtLeastOnce, &b""[..])
    );
    let mut list = Vec::new();
    found.put_properties(NOW_MS, &mut list);
    let properties = PublishProperties::read(&list).expect("a list");
    assert_eq!(properties.content_type, Some("application/xml"));
    let expected = [
        ("specversion", "1.0"),
        ("id", "3-0"),
        ("source", "/anabranch"),
        ("type", "anabranch.event"),
        ("subject", "plant/4"),
        ("site", "hh"),
        ("Level", "hot"),
    ];
    assert_eq!(properties.user.iter().collect::<Vec<_>>(), expected);

    for subject in ["plant/+", "plant/#", ""] {
        let batch = made(&|headers| engine::event::put_attribute(headers, "subject", subject));
        assert!(message(&Event::new(&batch, 0)).is_none(), "{subject}");
    }
    assert!(message(&Event::new(&made(&|_| {}), 0)).is_none());
}

#[test]
fn life_cycle_events_are_as_on_event_grid_and_no_messages() {
    let session = lifecycle::ClientSession { node: "myns", client: "pump-9", session: "c\"1", sequence_number: 3 };
    let (mut headers, mut data) = (engine::batch::HeaderWriter::default(), Vec::new());
    let check = |event_type: &str, expected: Value, headers: &engine::batch::HeaderWriter, data: &[u8]| {
        let mut builder = BatchBuilder::new(0);
        builder.push(Some(b"pump-9"), data, headers, NOW_MS).expect("fits");
        let batch = builder.seal().expect("one row");
        let event = Event::new(&batch, 0);
        assert_eq!(engine::event::Source::of(&event), engine::event::Source::DeviceConnectionStateEvents);
        assert!(message(&event).is_none());
        let event = structured(&batch);
        assert_eq!(event["type"], event_type);
        assert_eq!(event["subject"], "clients/pump-9/sessions/c\"1");
        assert_eq!(event["source"], "myns");
        assert_eq!(event["data"], expected);
    };
    lifecycle::connected(&session, &mut headers, &mut data);
    let base = json!({
        "namespaceName":"myns","clientAuthenticationName":"pump-9","clientSessionName":"c\"1","sequenceNumber":3
    });
    check("Microsoft.EventGrid.MQTTClientSessionConnected", base.clone(), &headers, &data);
    for reason in lifecycle::DisconnectionReason::ALL {
        lifecycle::disconnected(&session, reason, &mut headers, &mut data);
        let mut expected = base.clone();
        expected["disconnectionReason"] = json!(format!("{reason:?}"));
        check("Microsoft.EventGrid.MQTTClientSessionDisconnected", expected, &headers, &data);
    }
}
