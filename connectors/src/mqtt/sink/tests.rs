//! What is published for an event, what is not, and when its delivery is settled.

use std::cell::RefCell;
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::{Event, MESSAGE_SOURCE, put_attribute, put_property};
use engine::lane::{Delivery, Enrichment, Rows};
use engine::mesh::{Ack, Placed, Submitted};
use engine::ring::{Bell, Consumer, Producer, ring};
use serde_json::{Value, json};

use super::*;
use crate::mqtt::codec::{Publish, PublishProperties, Qos, UserProperties, Version, property};
use crate::mqtt::mapping::{Mapper, MappingConfig, Message, Publisher, Room, message};
use crate::sink::{Cursors, ROOM, feed};

/// A shard that keeps what it is sent, or refuses it.
struct Shard {
    from: Consumer<Submitted>,
    back: Producer<Ack>,
    bell: Bell,
    refuses: Option<Refused>,
    kept: Rc<RefCell<Vec<Batch>>>,
}

impl Shard {
    async fn run(mut self) {
        poll_fn(|cx| {
            self.bell.register(cx.waker());
            while let Some(Submitted { batch, ticket }) = self.from.pop() {
                let rows = batch.rows().len() as u32;
                let placed = Placed { partition: batch.partition(), base_offset: 0, rows, duplicates: 0 };
                let result = self.refuses.map_or(Ok(placed), Err);
                self.back.push(Ack { ticket, result }).expect("room");
                if result.is_ok() {
                    self.kept.borrow_mut().push(batch);
                }
            }
            Poll::<()>::Pending
        })
        .await;
    }
}

/// What one run of the endpoint did.
struct Outcome {
    result: Result<(), SinkError>,
    published: Vec<Batch>,
    cursor: u64,
    stats: Arc<SinkStats>,
}

fn run_sink(config: &str, batch: Batch, enrichments: &[Enrichment], refuses: Option<Refused>) -> Outcome {
    let config: MqttSinkConfig = toml_of(config);
    assert_eq!(config.problems(), []);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let local = tokio::task::LocalSet::new();
    local.block_on(&runtime, async {
        let (bell, shard_bell) = (Bell::default(), Bell::default());
        let (to, from) = ring(64, &shard_bell);
        let (back, acks) = ring(64, &bell);
        let intake = Intake::new(0, 1, vec![to], vec![acks], bell);
        let kept = Rc::new(RefCell::new(Vec::new()));
        tokio::task::spawn_local(Shard { from, back, bell: shard_bell, refuses, kept: kept.clone() }.run());
        let acking = intake.clone();
        tokio::task::spawn_local(async move { acking.run_acks().await });
        let cursors = Arc::new(Cursors::new(&[0]));
        let (sender, feed) = feed(ROOM, cursors.clone());
        let delivery =
            Delivery { batch: Arc::new(batch), rows: Rows::All, enrichments: enrichments.into(), table_version: 1 };
        sender.send(delivery).await.expect("open");
        drop(sender);
        let stats = Arc::new(SinkStats::default());
        let result = run("alerts", config, feed, intake, stats.clone()).await;
        Outcome { result, published: kept.take(), cursor: cursors.get(0), stats }
    })
}

/// The settings as a table of strings, numbers and booleans.
fn toml_of(text: &str) -> MqttSinkConfig {
    let pairs = text.lines().filter_map(|line| line.split_once('='));
    let object: serde_json::Map<String, Value> = pairs
        .map(|(key, value)| (key.trim().to_owned(), serde_json::from_str(value.trim()).expect("a value")))
        .collect();
    serde_json::from_value(Value::Object(object)).expect("settings")
}

fn stored(key: &str, data: &str, fill: impl FnOnce(&mut HeaderWriter)) -> Batch {
    let mut headers = HeaderWriter::default();
    fill(&mut headers);
    let mut builder = BatchBuilder::new(0);
    builder.push(Some(key.as_bytes()), data.as_bytes(), &headers, super::now_ms()).expect("fits");
    builder.seal().expect("one row")
}

/// An event that came as a PUBLISH.
fn published(publish: &Publish<'_>, accepted_ms: i64) -> Batch {
    let identity = crate::mqtt::access::Identity {
        name: "".into(),
        attributes: Default::default(),
        expires_at_s: None,
        grants: Arc::new(crate::mqtt::access::Grants::default()),
    };
    let from = Publisher { client_id: "dev1", identity: &identity, version: Version::V5 };
    let mut room = Room::default();
    let mapper = Mapper::new(&MappingConfig::default(), "node");
    let mapped = mapper.event(&from, publish, publish.topic, &mut room).expect("mapped");
    let mut builder = BatchBuilder::new(0);
    builder.push(Some(mapped.key), mapped.value, mapped.headers, accepted_ms).expect("fits");
    builder.seal().expect("one row")
}

fn publish<'a>(topic: &'a str, payload: &'a [u8], properties: PublishProperties<'a>) -> Publish<'a> {
    Publish { dup: false, qos: Qos::AtMostOnce, retain: false, topic, packet_id: 0, properties, payload }
}

fn only(published: &[Batch]) -> Message<'_> {
    assert_eq!(published.len(), 1);
    message(&Event::new(&published[0], 0)).expect("a message")
}

fn list(message: &Message<'_>) -> Vec<u8> {
    let mut list = Vec::new();
    message.put_properties(message.event().timestamp_ms(), &mut list);
    list
}

#[test]
fn a_match_is_published_to_its_topic() {
    let batch = stored("dev1", r#"{"t": 90}"#, |headers| {
        put_attribute(headers, "subject", "plant/4");
        put_property(headers, "Level", Some(b"hot"));
        put_property(headers, "site", Some(b"old"));
    });
    let enrichments = [Enrichment { key: "site".to_owned(), value: "hh".to_owned() }];
    let config = "topic = \"alerts/${device}/${subject}\"\nqos = 2\nretain = true\nexpiry_s = 60\nresponse_topic = \"answers/${id}\"";
    let outcome = run_sink(config, batch, &enrichments, None);
    outcome.result.expect("done");
    assert_eq!(outcome.cursor, 1);
    let message = only(&outcome.published);
    assert_eq!((message.topic, message.payload), ("alerts/dev1/plant/4", &br#"{"t": 90}"#[..]));
    assert_eq!((message.qos, message.retain, message.hops, message.publisher), (Qos::ExactlyOnce, true, 1, &b""[..]));
    assert_eq!(message.event().key(), Some(&b"dev1"[..]));
    assert_eq!(message.event().attribute("source"), Some("/endpoints/alerts"));
    let list = list(&message);
    let properties = PublishProperties::read(&list).expect("a list");
    assert_eq!((properties.expiry_s, properties.response_topic), (Some(60), Some("answers/0-0")));
    assert_eq!(properties.user.iter().collect::<Vec<_>>(), [("Level", "hot"), ("site", "hh")]);
    assert_eq!(outcome.stats.delivered_events.load(std::sync::atomic::Ordering::Relaxed), 1);
}

#[test]
fn cloudevents_are_published_whole() {
    let batch = stored("dev1", r#"{"t":90}"#, |headers| put_attribute(headers, "type", "hot"));
    let outcome = run_sink("topic = \"alerts/${type}\"\nformat = \"cloudevents\"", batch, &[], None);
    let message = only(&outcome.published);
    let event: Value = serde_json::from_slice(message.payload).expect("JSON");
    assert_eq!((&event["type"], &event["data"], &event["id"]), (&json!("hot"), &json!({"t":90}), &json!("0-0")));
    let list = list(&message);
    let properties = PublishProperties::read(&list).expect("a list");
    assert_eq!(
        (properties.content_type, properties.user),
        (Some("application/cloudevents+json"), UserProperties::NONE)
    );
}

#[test]
fn a_request_keeps_what_its_answer_needs() {
    let mut user = Vec::new();
    property::put_pair(&mut user, property::USER, "a", "1");
    let properties = PublishProperties {
        payload_format: Some(1),
        content_type: Some("text/plain"),
        response_topic: Some("answers/app"),
        correlation: Some(b"7"),
        expiry_s: Some(30),
        user: UserProperties::read(&user).expect("a list"),
        ..PublishProperties::default()
    };
    let batch = published(&publish("ask", b"go", properties), super::now_ms());
    let outcome = run_sink("topic = \"commands/${device}\"", batch, &[], None);
    let message = only(&outcome.published);
    assert_eq!(message.payload, b"go");
    let list = list(&message);
    assert_eq!(PublishProperties::read(&list).expect("a list"), properties);
}

#[test]
fn what_was_published_again_is_not_published_once_more() {
    let first = published(&publish("a", b"1", PublishProperties::default()), super::now_ms());
    let mut outcome = run_sink("topic = \"b/${subject}\"\nhops_max = 2", first, &[], None);
    outcome = run_sink("topic = \"b/${subject}\"\nhops_max = 2", outcome.published.remove(0), &[], None);
    let message = only(&outcome.published);
    assert_eq!((message.topic, message.hops), ("b/b/a", 2));
    let outcome = run_sink("topic = \"b/${subject}\"\nhops_max = 2", outcome.published.remove(0), &[], None);
    assert!(outcome.published.is_empty());
    assert_eq!((outcome.cursor, outcome.stats.dropped_events.load(std::sync::atomic::Ordering::Relaxed)), (1, 1));
    let said = outcome.stats.last_error.lock().expect("a text").clone().expect("a text");
    assert!(said.contains("hops_max"), "{said}");
}

#[test]
fn what_has_expired_is_not_published() {
    let properties = PublishProperties { expiry_s: Some(5), ..PublishProperties::default() };
    let old = || published(&publish("a", b"1", properties), super::now_ms() - 6_000);
    assert!(run_sink("topic = \"b\"", old(), &[], None).published.is_empty());
    assert_eq!(run_sink("topic = \"b\"\nexpiry_s = 9", old(), &[], None).published.len(), 1);
}

#[test]
fn values_add_no_level_and_no_wildcard() {
    for (template, topic) in [
        ("a/${device}", Some("a/d%2F1%2B%23")),
        ("a/${subject}/x", Some("a/s/%2B/%23/x")),
        ("a/${attributes.site}", Some("a/h h")),
        ("a/${properties.LEVEL}${id}", Some("a/hot0-0")),
        ("a/${data./vehicle/id}", Some("a/7%2F8")),
        ("a/${data./n}/${data./b}/${data./l/0}", Some("a/1.5/true/x")),
        ("a/${data./none}", None),
        ("a/${data./l}", None),
        ("a/${properties.empty}", None),
        ("a/${properties.none}", None),
        ("a/${source}", Some("a/%2Fanabranch")),
    ] {
        let data = r#"{"vehicle":{"id":"7/8"},"n":1.5,"b":true,"l":["x"]}"#;
        let batch = stored("d/1+#", data, |headers| {
            put_attribute(headers, "subject", "s/+/#");
            put_attribute(headers, "site", "h h");
            put_property(headers, "level", Some(b"hot"));
            put_property(headers, "empty", Some(b""));
        });
        let outcome = run_sink(&format!("topic = {}", json!(template)), batch, &[], None);
        outcome.result.expect("done");
        assert_eq!(outcome.cursor, 1, "{template}");
        assert_eq!(outcome.published.len(), usize::from(topic.is_some()), "{template}");
        if let Some(topic) = topic {
            assert_eq!(only(&outcome.published).topic, topic);
        }
    }
}

#[test]
fn telemetry_of_iot_hub_can_be_published_too() {
    let batch = stored("dev1", "x", |headers| headers.put(MESSAGE_SOURCE, Some(b"Telemetry")));
    let outcome = run_sink("topic = \"telemetry/${device}\"\nqos = 0", batch, &[], None);
    let message = only(&outcome.published);
    assert_eq!((message.topic, message.qos), ("telemetry/dev1", Qos::AtMostOnce));
}

#[test]
fn nothing_is_settled_that_the_log_did_not_take() {
    let event = || stored("d", "{}", |_| {});
    let failed = run_sink("topic = \"a\"", event(), &[], Some(Refused::LogFailed));
    assert!(failed.result.is_err());
    assert_eq!(failed.cursor, 0);
    let stopping = run_sink("topic = \"a\"", event(), &[], Some(Refused::Stopping));
    stopping.result.expect("it waits for the next start");
    assert_eq!((stopping.cursor, stopping.stats.delivered_events.load(std::sync::atomic::Ordering::Relaxed)), (0, 0));
}

#[test]
fn settings_that_cannot_be_are_problems() {
    for (settings, field) in [
        ("topic = \"\"", "topic"),
        ("topic = \"a/+\"", "topic"),
        ("topic = \"a/${device\"", "topic"),
        ("topic = \"a/${name}\"", "topic"),
        ("topic = \"a/${properties.}\"", "topic"),
        ("topic = \"a/${data.x}\"", "topic"),
        ("topic = \"a\"\nresponse_topic = \"#\"", "response_topic"),
        ("topic = \"a\"\nqos = 3", "qos"),
        ("topic = \"a\"\nhops_max = 0", "hops_max"),
        ("topic = \"a\"\nhops_max = 17", "hops_max"),
    ] {
        let problems = toml_of(settings).problems();
        assert_eq!(problems.iter().map(|problem| problem.field).collect::<Vec<_>>(), [field], "{settings}");
    }
}
