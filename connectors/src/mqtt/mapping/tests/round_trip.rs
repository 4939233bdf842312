//! Any PUBLISH comes back as it was sent, and foreign headers never panic.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-c]{0,2}",
        "[A-C]{1}",
        Just("id".to_owned()),
        Just("source".to_owned()),
        Just("mqtt".to_owned()),
        Just("app:x".to_owned()),
        Just("iothub-message-source".to_owned()),
        Just("Content-Type".to_owned()),
        "[^\0]{0,9}",
    ]
}

fn content_type() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("application/json".to_owned()),
        Just("text/plain".to_owned()),
        Just("application/cloudevents+json".to_owned()),
        "[^\0]{0,9}",
    ]
}

fn payload() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        any::<Vec<u8>>(),
        Just(br#"{"a": 1}"#.to_vec()),
        Just(br#"{"specversion":"1.0","id":"7","source":"s","type":"t","data_base64":"AAE="}"#.to_vec()),
        Just(br#"{"specversion":"1.0","id":"7","source":"s","type":"t","subject":"u","data":"\u00fc"}"#.to_vec()),
        "[^\0]{0,9}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn what_is_published_is_what_subscribers_get(
        user in vec((name(), "[^\0]{0,5}"), 0..6),
        envelope: bool,
        format in of(0..2u8),
        expiry_s: Option<u32>,
        content_type in of(content_type()),
        response_topic in of("[a-z/]{1,9}"),
        correlation: Option<Vec<u8>>,
        topic_alias in of(1..9u16),
        payload in payload(),
        topic in "[a-z/$]{1,20}",
        level in 0..3u8,
        retain: bool,
        version in prop_oneof![Just(Version::V311), Just(Version::V5)],
        eventgrid: bool,
        named: bool,
        enriched: bool,
    ) {
        let mut list = pairs(&user.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>());
        if envelope {
            list.extend(pairs(&[("id", "1"), ("source", "s"), ("specversion", "1.0"), ("type", "t")]));
        }
        let properties = PublishProperties {
            payload_format: format,
            expiry_s,
            content_type: content_type.as_deref(),
            response_topic: response_topic.as_deref(),
            correlation: correlation.as_deref(),
            topic_alias,
            ..super::user(&list)
        };
        let properties = if version == Version::V5 { properties } else { PublishProperties::default() };
        let qos = Qos::of(level).expect("a level");
        let packet_id = if level == 0 { 0 } else { 9 };
        let sent = Publish { dup: false, qos, retain, topic: &topic, packet_id, properties, payload: &payload };
        let payload_mode = if eventgrid { PayloadMode::EventGrid } else { PayloadMode::Auto };
        let enrichment = EnrichmentConfig { key: "a".to_owned(), value: "${mqtt.message.topicName}".to_owned() };
        let enrichments = if enriched { vec![enrichment] } else { Vec::new() };
        let settings = MappingConfig { payload: payload_mode, structured_311: true, enrichments, ..MappingConfig::default() };
        let identity = identity(if named { "n" } else { "" });
        let from = Publisher { client_id: "c1", identity: &identity, version };
        match store_from(&Mapper::new(&settings, "myns"), &from, &sent) {
            Ok(batch) => {
                assert_comes_back(&batch, &sent);
                let event = Event::new(&batch, 0);
                prop_assert_eq!(message(&event).map(|message| message.publisher), Some(&b"c1"[..]));
                let written = structured(&batch);
                prop_assert_eq!(written["specversion"].as_str(), Some("1.0"));
                let mut names: Vec<String> = event.headers().map(|(name, _)| name.to_ascii_lowercase()).collect();
                names.sort();
                let all = names.len();
                names.dedup();
                prop_assert_eq!(names.len(), all, "a name is there twice");
            }
            Err(error) => {
                prop_assert_eq!(error.reason(), Reason::PayloadFormatInvalid);
                prop_assert!(version == Version::V5);
            }
        }
    }

    #[test]
    fn foreign_headers_never_panic(bytes: Vec<u8>) {
        if let Some(stored) = Stored::read(&bytes) {
            let mut again = Vec::new();
            stored.write(&mut again);
            prop_assert_eq!(Stored::read(&again), Some(stored));
        }
    }
}
