//! Views of rows: attributes, properties, system properties and their defaults.

use super::*;
use crate::batch::{Batch, BatchBuilder, HeaderWriter};

fn batch(fill: impl FnOnce(&mut HeaderWriter)) -> Batch {
    let mut headers = HeaderWriter::default();
    fill(&mut headers);
    let mut builder = BatchBuilder::new(3);
    builder.push(Some(b"dev1"), b"{\"a\":1}", &headers, 1_000).expect("fits");
    let mut batch = builder.seal().expect("one row");
    batch.set_base_offset(41);
    batch
}

#[test]
fn defaults_of_a_bare_event() {
    let batch = batch(|_| {});
    let event = Event::new(&batch, 0);
    assert_eq!((event.partition(), event.offset(), event.key()), (3, 41, Some(&b"dev1"[..])));
    assert_eq!(event.attribute("specversion"), Some("1.0"));
    assert_eq!(event.attribute("type"), Some(DEFAULT_TYPE));
    assert_eq!(event.attribute("datacontenttype"), Some("application/json"));
    assert_eq!(event.attribute("subject"), None);
    assert_eq!(event.id(&mut String::new()), "3-41");
    let encoding = SystemProperty::by_keyword("CONTENTENCODING").expect("known");
    assert_eq!(event.system(encoding), Some("utf-8"));
    assert_eq!(event.system(SystemProperty::by_keyword("connectionDeviceId").expect("known")), Some("dev1"));
}

#[test]
fn properties_keep_their_names_whatever_they_are() {
    let batch = batch(|headers| {
        put_attribute(headers, "type", "t");
        put_property(headers, "Level", Some(b"hot"));
        put_property(headers, "ce_type", Some(b"mine"));
        put_property(headers, "message-id", Some(b"7"));
        put_property(headers, "flag", None);
    });
    let event = Event::new(&batch, 0);
    assert_eq!(event.attribute("type"), Some("t"));
    assert_eq!(event.property("level"), Property::Text("hot"));
    assert_eq!(event.property("CE_TYPE"), Property::Text("mine"));
    assert_eq!(event.property("message-id"), Property::Text("7"));
    assert_eq!(event.property("flag"), Property::Null);
    assert_eq!(event.property("none"), Property::Absent);
    assert_eq!(event.system(SystemProperty::by_keyword("messageId").expect("known")), None);
    let names: Vec<&str> = event.properties().map(|(name, _)| name).collect();
    assert_eq!(names, ["Level", "ce_type", "message-id", "flag"]);
}

#[test]
fn the_iothub_profile_implies_nothing() {
    let batch = batch(|headers| headers.put(MESSAGE_SOURCE, Some(b"Telemetry")));
    let event = Event::new(&batch, 0);
    assert_eq!(event.content_type(), None);
    assert_eq!(event.system(SystemProperty::by_keyword("contentEncoding").expect("known")), None);
}
