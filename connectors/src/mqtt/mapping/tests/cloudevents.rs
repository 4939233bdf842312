//! CloudEvents in both modes of the MQTT binding.

use super::*;

const STRUCTURED: &str =
    r#"{"specversion":"1.0", "id":"7", "source":"/plant/4", "type":"t.v1", "site":"hh", "data": {"bar": 3.10}}"#;

fn with_type(content_type: &str) -> PublishProperties<'_> {
    PublishProperties { content_type: Some(content_type), ..PublishProperties::default() }
}

#[test]
fn structured_events_keep_their_attributes_and_their_bytes() {
    let auto = mapper(PayloadMode::Auto);
    for content_type in
        ["application/cloudevents+json", "application/CloudEvents+json; charset=utf-8", "application/cloudevents"]
    {
        let sent = publish(STRUCTURED.as_bytes(), with_type(content_type));
        let batch = store(&auto, Version::V5, &sent).expect("mapped");
        assert_comes_back(&batch, &sent);
        assert_eq!(Event::new(&batch, 0).data(), Some(&br#"{"bar": 3.10}"#[..]));
        assert_eq!(Event::new(&batch, 0).key(), Some(&b"pump-9"[..]));
        let expected = json!({
            "specversion":"1.0","id":"7","source":"/plant/4","type":"t.v1","site":"hh","time":"2026-01-05T10:00:00.4Z",
            "subject":"plant/4/pump/9","data":{"bar":3.10},"anabranchpartition":3,"anabranchoffset":"41"
        });
        assert_eq!(structured(&batch), expected);
    }
}

#[test]
fn a_subject_that_is_not_the_topic_stays_and_the_topic_too() {
    let text = STRUCTURED.replace("\"site\"", "\"subject\":\"pump\",\"site\"");
    let sent = publish(text.as_bytes(), with_type("application/cloudevents+json"));
    let batch = store(&mapper(PayloadMode::Auto), Version::V5, &sent).expect("mapped");
    assert_comes_back(&batch, &sent);
    assert_eq!(Event::new(&batch, 0).attribute("subject"), Some("pump"));
}

#[test]
fn binary_events_have_attributes_as_user_properties() {
    let all = [
        ("Note", "no attribute"),
        ("id", "7"),
        ("source", "/plant/4"),
        ("specversion", "1.0"),
        ("type", "t.v1"),
        ("time", "2026-01-05T09:00:00Z"),
        ("site", "hh"),
    ];
    let list = pairs(&all);
    let properties = PublishProperties { content_type: Some("application/json"), ..user(&list) };
    let sent = publish(br#"{"bar":3.1}"#, properties);
    let batch = store(&mapper(PayloadMode::Auto), Version::V5, &sent).expect("mapped");
    assert_comes_back(&batch, &sent);
    let expected = json!({
        "specversion":"1.0","id":"7","source":"/plant/4","type":"t.v1","site":"hh","time":"2026-01-05T09:00:00Z",
        "subject":"plant/4/pump/9","datacontenttype":"application/json","data":{"bar":3.1},
        "anabranchproperties":"{\"Note\":\"no attribute\"}","anabranchpartition":3,"anabranchoffset":"41"
    });
    assert_eq!(structured(&batch), expected);

    // One required attribute less, and it is an ordinary message.
    for left_out in 1..5 {
        let mut some = all.to_vec();
        some.remove(left_out);
        let list = pairs(&some);
        let sent = publish(b"1", user(&list));
        let batch = store(&mapper(PayloadMode::Auto), Version::V5, &sent).expect("mapped");
        assert_comes_back(&batch, &sent);
        assert_eq!(Event::new(&batch, 0).attribute("type"), Some(EVENT_TYPE));
    }
}

#[test]
fn what_says_it_is_an_event_and_is_none_is_refused() {
    let auto = mapper(PayloadMode::Auto);
    let no_type = STRUCTURED.replace("\"type\"", "\"kind\"");
    let envelope = [("id", "7"), ("source", "s"), ("specversion", "1.0"), ("type", "t")];
    let twice = pairs(&[&envelope[..], &[("site", "a"), ("site", "b")]].concat());
    let version = pairs(&[("id", "7"), ("source", "s"), ("specversion", "0.3"), ("type", "t")]);
    let time = pairs(&[&envelope[..], &[("time", "yesterday")]].concat());
    for (payload, properties) in [
        ("[]", with_type("application/cloudevents-batch+json")),
        (STRUCTURED, with_type("application/cloudevents+avro")),
        ("{", with_type("application/cloudevents+json")),
        (no_type.as_str(), with_type("application/cloudevents+json")),
        ("", user(&twice)),
        ("", user(&version)),
        ("", user(&time)),
    ] {
        let error = store(&auto, Version::V5, &publish(payload.as_bytes(), properties)).expect_err(payload);
        assert_eq!(error.reason(), Reason::PayloadFormatInvalid, "{error}");
    }
}

#[test]
fn below_version_5_an_event_is_data_unless_the_setting_says_otherwise() {
    let sent = publish(STRUCTURED.as_bytes(), PublishProperties::default());
    let batch = store(&mapper(PayloadMode::Auto), Version::V311, &sent).expect("mapped");
    assert_eq!(Event::new(&batch, 0).data(), Some(STRUCTURED.as_bytes()));
    assert_eq!(Event::new(&batch, 0).attribute("type"), Some(EVENT_TYPE));

    let taking = Mapper::new(&MappingConfig { structured_311: true, ..MappingConfig::default() }, "myns");
    for (payload, event_type) in [(STRUCTURED, "t.v1"), ("{\"a\":1}", EVENT_TYPE), ("text", EVENT_TYPE)] {
        let sent = publish(payload.as_bytes(), PublishProperties::default());
        let batch = store(&taking, Version::V311, &sent).expect("mapped");
        assert_comes_back(&batch, &sent);
        assert_eq!(Event::new(&batch, 0).attribute("type"), Some(event_type));
    }
    // MQTT 5 has a way to say it.
    let batch = store(&taking, Version::V5, &sent).expect("mapped");
    assert_eq!(Event::new(&batch, 0).attribute("type"), Some(EVENT_TYPE));
}
