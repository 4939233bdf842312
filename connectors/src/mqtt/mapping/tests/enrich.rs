//! Enrichments: every source, every limit.

use super::*;
use crate::mqtt::access::Attribute;

fn settings(pairs: &[(&str, &str)]) -> MappingConfig {
    let enrichments = pairs
        .iter()
        .map(|(key, value)| EnrichmentConfig { key: (*key).to_owned(), value: (*value).to_owned() })
        .collect();
    MappingConfig { enrichments, ..MappingConfig::default() }
}

const ALL: [(&str, &str); 11] = [
    ("site", "hh 4"),
    ("auth", "${client.authenticationName}"),
    ("clienttype", "${client.attributes.type}"),
    ("sensors", "${client.attributes.sensors}"),
    ("floor", "${client.attributes.floor}"),
    ("none", "${client.attributes.none}"),
    ("tag", r"${mqtt.message.userProperties['it\'s \\']}"),
    ("topic", "${mqtt.message.topicName}"),
    ("answer", "${mqtt.message.responseTopic}"),
    ("corr", "${mqtt.message.correlationData}"),
    ("pfi", "${mqtt.message.pfi}"),
];

fn values(batch: &Batch) -> Vec<String> {
    let event = Event::new(batch, 0);
    ALL.iter().map(|(key, _)| event.attribute(key).expect("there").to_owned()).collect()
}

#[test]
fn every_source_gives_its_value() {
    let settings = settings(&ALL);
    assert_eq!(settings.problems(), []);
    let mapper = Mapper::new(&settings, "myns");
    let attributes = Attributes::new([
        ("type".into(), Attribute::Text("truck".into())),
        ("floor".into(), Attribute::Integer(3)),
        ("sensors".into(), Attribute::List(["gps".into(), "temp".into()].into())),
    ]);
    let identity = Identity { attributes, ..identity("pump-9") };
    let from = Publisher { client_id: "c1", identity: &identity, version: Version::V5 };
    let list = pairs(&[("it's \\", "a"), ("other", "x"), ("it's \\", "b")]);
    let full = PublishProperties {
        payload_format: Some(1),
        response_topic: Some("answers/1"),
        correlation: Some(&[0, 159]),
        ..user(&list)
    };
    let expected = ["hh 4", "pump-9", "truck", "gps,temp", "3", "", "a,b", "plant/4/pump/9", "answers/1", "AJ8=", "1"];
    let sent = publish(b"{}", full);
    let batch = store_from(&mapper, &from, &sent).expect("mapped");
    assert_comes_back(&batch, &sent);
    assert_eq!(values(&batch), expected);

    let batch = store_from(&mapper, &from, &publish(b"{}", PublishProperties::default())).expect("mapped");
    assert_eq!(values(&batch), ["hh 4", "pump-9", "truck", "gps,temp", "3", "", "", "plant/4/pump/9", "", "", "0"]);
}

#[test]
fn events_are_enriched_and_cannot_say_otherwise() {
    let mapper = Mapper::new(&settings(&[("site", "hh"), ("auth", "${client.authenticationName}")]), "myns");
    let text = r#"{"specversion":"1.0","id":"7","source":"s","type":"t","site":"false","auth":"somebody","x":"y"}"#;
    let content_type = Some("application/cloudevents+json");
    let sent = publish(text.as_bytes(), PublishProperties { content_type, ..PublishProperties::default() });
    let list =
        pairs(&[("id", "7"), ("auth", "x"), ("source", "s"), ("site", "y"), ("specversion", "1.0"), ("type", "t")]);
    for sent in [sent, publish(b"1", user(&list))] {
        let batch = store(&mapper, Version::V5, &sent).expect("mapped");
        assert_comes_back(&batch, &sent);
        let event = Event::new(&batch, 0);
        let of = |wanted: &str| {
            event.attributes().filter(|(name, _)| *name == wanted).map(|(_, value)| value).collect::<Vec<_>>()
        };
        assert_eq!((of("site"), of("auth")), (vec!["hh"], vec!["pump-9"]));
    }
}

#[test]
fn a_fixed_enrichment_is_on_ordinary_messages_too() {
    let identity = identity("");
    let from = Publisher { client_id: "c1", identity: &identity, version: Version::V311 };
    let sent = publish(b"{}", PublishProperties::default());
    let batch = store_from(&Mapper::new(&settings(&[("site", "hh")]), "myns"), &from, &sent).expect("mapped");
    assert_eq!(Event::new(&batch, 0).attribute("site"), Some("hh"));
    assert_comes_back(&batch, &sent);
}

#[test]
fn settings_beyond_the_limits_are_problems() {
    let long = "x".repeat(129);
    for (key, value) in [
        ("", "x"),
        ("Site", "x"),
        ("a_b", "x"),
        ("abcdefghijklmnopqrstu", "x"),
        ("subject", "x"),
        ("data_base64", "x"),
        ("azspx", "x"),
        ("anabranchoffset", "x"),
        ("a", long.as_str()),
        ("a", "x\ny"),
        ("a", "${client.name}"),
        ("a", "${client.attributes.}"),
        ("a", "${mqtt.message.userProperties['x}"),
        ("a", "${mqtt.message.userProperties['a'b']}"),
        ("a", "${mqtt.message.userProperties['a\\b']}"),
        ("a", "${mqtt.message.userProperties.a b}"),
        ("a", "${mqtt.message.topicName"),
        ("a", "pre ${mqtt.message.topicName}"),
    ] {
        assert_eq!(settings(&[(key, value)]).problems().len(), 1, "{key} = {value}");
    }
    assert_eq!(settings(&[("a", "1"), ("a", "2")]).problems().len(), 1);
    let keys: Vec<String> = (0..21).map(|number| format!("k{number}")).collect();
    let many: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "v")).collect();
    assert_eq!(settings(&many[..20]).problems(), []);
    assert_eq!(settings(&many).problems().len(), 1);
}
