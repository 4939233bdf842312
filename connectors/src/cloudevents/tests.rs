//! The codec: what is refused and why, what comes back as it was, and the three modes meaning the same.

use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::{Event, put_property};
use engine::lane::Enrichment;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn store(headers: &HeaderWriter, key: &[u8], data: &[u8]) -> Batch {
    let mut builder = BatchBuilder::new(2);
    builder.push(Some(key), data, headers, 1_767_607_200_500).expect("fits");
    let mut batch = builder.seal().expect("one row");
    batch.set_base_offset(9);
    batch
}

fn round_trip(json: &str) -> Result<(Value, String), DecodeError> {
    let mut headers = HeaderWriter::default();
    let mut decoder = Decoder::default();
    let decoded = decoder.decode(json.as_bytes(), &mut headers)?;
    let key = String::from_utf8_lossy(decoded.key).into_owned();
    let batch = store(&headers, decoded.key, decoded.data);
    let mut out = Vec::new();
    write_structured(&Event::new(&batch, 0), &[], &mut out);
    let value =
        serde_json::from_slice(&out).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out)));
    Ok((value, key))
}

#[test]
fn structured_events_come_back_with_their_place() {
    let text = r#"{"specversion":"1.0","id":"7","source":"/plant/4","type":"t","time":"2026-01-05T10:00:00.5Z","subject":"pump/9",
        "site":"hh","flag":true,"count":-3,"none":null,"data":{"bar": 3.10,"s":"\u00fc"}}"#;
    let (value, key) = round_trip(text).expect("valid");
    assert_eq!(key, "pump/9");
    let expected = json!({"specversion":"1.0","id":"7","source":"/plant/4","type":"t","time":"2026-01-05T10:00:00.5Z",
        "subject":"pump/9","site":"hh","flag":"true","count":"-3","data":{"bar":3.10,"s":"ü"},
        "anabranchpartition":2,"anabranchoffset":"9"});
    assert_eq!(value, expected);
}

#[test]
fn data_is_kept_to_the_letter() {
    let mut headers = HeaderWriter::default();
    let text = r#"{"id":"1","source":"s","type":"t","specversion":"1.0","data": {"a" : 1.50, "b":[ ] }}"#;
    let mut decoder = Decoder::default();
    let decoded = decoder.decode(text.as_bytes(), &mut headers).expect("valid");
    assert_eq!(decoded.data, br#"{"a" : 1.50, "b":[ ] }"#);
    assert_eq!(decoded.key, b"s");
}

#[test]
fn binary_data_and_text_keep_their_kind() {
    let base = r#""id":"1","source":"s","type":"t","specversion":"1.0""#;
    let (value, _) = round_trip(&format!(r#"{{{base},"data_base64":"AAEC/w=="}}"#)).expect("valid");
    assert_eq!(
        (&value["data_base64"], &value["datacontenttype"]),
        (&json!("AAEC/w=="), &json!("application/octet-stream"))
    );
    let (value, _) = round_trip(&format!(r#"{{{base},"datacontenttype":"text/plain","data":"a\"b"}}"#)).expect("valid");
    assert_eq!(value["data"], json!("a\"b"));
    let (value, _) =
        round_trip(&format!(r#"{{{base},"datacontenttype":"application/x+json","data":"x"}}"#)).expect("valid");
    assert_eq!(value["data"], json!("x"));
    let (value, _) = round_trip(&format!(r#"{{{base},"partitionkey":"p","subject":"x"}}"#)).expect("valid");
    assert!(value.get("data").is_none() && value["partitionkey"] == json!("p"));
}

#[test]
fn what_is_wrong_is_named() {
    let base = r#""id":"1","source":"s","type":"t","specversion":"1.0""#;
    let cases = [
        (r#"{"id":"1","source":"s","specversion":"1.0"}"#.to_owned(), "'type' is missing"),
        (r#"{"id":"","source":"s","type":"t","specversion":"1.0"}"#.to_owned(), "'id' is missing or empty"),
        (r#"{"id":"1","source":"s","type":"t","specversion":"0.3"}"#.to_owned(), "only '1.0'"),
        (format!(r#"{{{base},"Bad":"x"}}"#), "'Bad' is no attribute name"),
        (format!(r#"{{{base},"time":"yesterday"}}"#), "RFC 3339"),
        (format!(r#"{{{base},"n":1.5}}"#), "integer of 32 bits"),
        (format!(r#"{{{base},"n":9999999999}}"#), "integer of 32 bits"),
        (format!(r#"{{{base},"o":{{}}}}"#), "a string, a boolean or an integer"),
        (format!(r#"{{{base},"subject":5}}"#), "must be a string"),
        (format!(r#"{{{base},"id":"2"}}"#), "there twice"),
        (format!(r#"{{{base},"data":1,"data_base64":"AA=="}}"#), "not both"),
        (format!(r#"{{{base},"data_base64":"*"}}"#), "base64"),
        (format!(r#"{{{base},"datacontenttype":"text/plain","data":{{}}}}"#), "must be a JSON string"),
        (format!(r#"{{{base},"dataschema":"no-uri"}}"#), "absolute URI"),
        ("[]".to_owned(), "a CloudEvent, which is a JSON object"),
        ("{".to_owned(), "not valid JSON"),
    ];
    for (text, expected) in cases {
        let error = round_trip(&text).expect_err(&text).to_string();
        assert!(error.contains(expected), "{text}\n  says: {error}\n  not:  {expected}");
    }
}

#[test]
fn binary_mode_means_the_same() {
    let fields: [(&str, &[u8]); 6] = [
        ("ce-specversion", b"1.0"),
        ("ce-id", b"8"),
        ("ce-source", b"/plant/4"),
        ("ce-type", b"t"),
        ("ce-subject", b"Hafen%20S%C3%BCd%2050%25"),
        ("accept", b"*/*"),
    ];
    let (mut headers, mut key) = (HeaderWriter::default(), Vec::new());
    decode_binary(fields.into_iter(), Some("application/protobuf"), &mut headers, &mut key).expect("valid");
    assert_eq!(key, "Hafen Süd 50%".as_bytes());
    let batch = store(&headers, &key, &[0, 1]);
    let event = Event::new(&batch, 0);
    assert_eq!((event.attribute("id"), event.content_type()), (Some("8"), Some("application/protobuf")));
    let missing = decode_binary(fields[..3].iter().copied(), None, &mut headers, &mut key).expect_err("no type");
    assert_eq!(missing.to_string(), "the required attribute 'type' is missing or empty");
    let quoted: [(&str, &[u8]); 1] = [("ce-id", b"\"a\\\"b\"")];
    let _ = decode_binary(quoted.into_iter(), None, &mut headers, &mut key);
    let wrong: [(&str, &[u8]); 1] = [("ce-id", b"%ff")];
    assert!(decode_binary(wrong.into_iter(), None, &mut headers, &mut key).is_err());
}

#[test]
fn properties_and_enrichments_travel() {
    let mut headers = HeaderWriter::default();
    put_property(&mut headers, "level", Some(b"hot"));
    put_property(&mut headers, "Level2", Some(b"x"));
    put_property(&mut headers, "flag", None);
    put_property(&mut headers, "site", Some(b"old"));
    let batch = store(&headers, b"d", b"{}");
    let mut out = Vec::new();
    let added = [Enrichment { key: "site".into(), value: "fra".into() }];
    write_structured(&Event::new(&batch, 0), &added, &mut out);
    let value: Value = serde_json::from_slice(&out).expect("JSON");
    assert_eq!((&value["level"], &value["site"]), (&json!("hot"), &json!("fra")));
    let properties: Value = serde_json::from_str(value[PROPERTIES_EXTENSION].as_str().expect("text")).expect("JSON");
    assert_eq!(properties, json!({"Level2":"x","flag":null}));
    assert_eq!((&value["id"], &value["time"]), (&json!("2-9"), &json!("2026-01-05T10:00:00.5Z")));
}

#[test]
fn an_event_that_was_here_before_has_one_place() {
    let text =
        r#"{"specversion":"1.0","id":"7","source":"s","type":"t","anabranchpartition":"9","anabranchoffset":"1"}"#;
    let mut headers = HeaderWriter::default();
    let mut decoder = Decoder::default();
    let decoded = decoder.decode(text.as_bytes(), &mut headers).expect("valid");
    let batch = store(&headers, decoded.key, decoded.data);
    let mut out = Vec::new();
    write_structured(&Event::new(&batch, 0), &[], &mut out);
    let written = String::from_utf8(out).expect("text");
    assert_eq!(written.matches("anabranchoffset").count(), 1, "{written}");
    assert!(written.contains("\"anabranchoffset\":\"9\""), "{written}");
}

#[test]
fn a_batch_is_split_into_its_events() {
    let mut events = Vec::new();
    Decoder::split_batch(br#" [ {"a":1} , {"b":[2]}, 3 ] "#, &mut |event| events.push(event)).expect("an array");
    assert_eq!(events, [&br#"{"a":1}"#[..], br#"{"b":[2]}"#, b"3"]);
    assert!(Decoder::split_batch(b"{}", &mut |_| {}).is_err());
    assert!(Decoder::split_batch(b"[] x", &mut |_| {}).is_err());
}

proptest! {
    #[test]
    fn strings_are_serde_jsons(text: String) {
        let mut out = Vec::new();
        write_json_string(&mut out, &text);
        prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
    }

    #[test]
    fn any_row_is_written_as_valid_json(names in proptest::collection::vec("[ -~]{1,12}", 0..5), value: Vec<u8>, data: Vec<u8>) {
        let mut headers = HeaderWriter::default();
        for name in &names {
            put_property(&mut headers, name, Some(&value));
        }
        headers.put("content-type", Some(b"application/json"));
        let batch = store(&headers, b"k", &data);
        let mut out = Vec::new();
        write_structured(&Event::new(&batch, 0), &[], &mut out);
        prop_assert!(serde_json::from_slice::<Value>(&out).is_ok(), "{}", String::from_utf8_lossy(&out));
    }

    #[test]
    fn foreign_bytes_never_panic(bytes: Vec<u8>) {
        let _ = Decoder::default().decode(&bytes, &mut HeaderWriter::default());
        let _ = Decoder::split_batch(&bytes, &mut |_| {});
    }
}
