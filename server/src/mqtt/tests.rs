//! What can be typed, and how messages look.

use clap::Parser;

use super::address::Address;
use super::message::{Message, Properties};
use super::print::{Format, print};
use super::*;
use crate::cli::{Cli, Command};

fn parse(words: &[&str]) -> Result<Action, String> {
    match Cli::try_parse_from([&["anabranch", "mqtt"], words].concat()).map_err(|error| error.to_string())?.command {
        Command::Mqtt(args) => Ok(args.action),
        other => panic!("not MQTT: {other:?}"),
    }
}

#[test]
fn addresses() {
    for (text, is_tls, host, port, again) in [
        ("mqtt://127.0.0.1:1884", false, "127.0.0.1", 1884, "mqtt://127.0.0.1:1884"),
        ("mqtt://broker.example/", false, "broker.example", 1883, "mqtt://broker.example:1883"),
        ("mqtts://[::1]", true, "::1", 8883, "mqtts://[::1]:8883"),
    ] {
        let address: Address = text.parse().expect(text);
        assert_eq!(address, Address { is_tls, host: host.to_owned(), port });
        assert_eq!(address.to_string(), again);
    }
    for (text, said) in [
        ("127.0.0.1:1883", "mqtt://127.0.0.1:1883"),
        ("http://x", "mqtt://127.0.0.1:1883"),
        ("ws://x", "does not speak WebSocket"),
        ("mqtt://ann:secret@x", "--password-file"),
        ("mqtt://x/topic", "has no path"),
        ("mqtt://", "mqtt://127.0.0.1:1883"),
        ("mqtt://x:99999", "mqtt://127.0.0.1:1883"),
    ] {
        let error = text.parse::<Address>().expect_err(text);
        assert!(error.contains(said), "{text}: {error}");
    }
}

#[test]
fn what_can_be_typed() {
    let Ok(Action::Sub(sub)) = parse(&["sub", "a/#", "b", "--qos", "2", "--clean-start", "false", "--client-id", "c"])
    else {
        panic!("a subscription");
    };
    assert_eq!((sub.filters.as_slice(), sub.qos), (["a/#".to_owned(), "b".to_owned()].as_slice(), Qos::ExactlyOnce));
    assert!(!sub.clean_start && sub.format == Format::Text && sub.reach.keep_alive == 60);
    let Ok(Action::Pub(one)) = parse(&["pub", "t", "-5", "--user-property", "a=b=c", "--timeout", "0.5"]) else {
        panic!("a message");
    };
    assert_eq!((one.payload.as_deref(), one.qos), (Some("-5"), Qos::AtLeastOnce));
    assert_eq!(one.user_property, [("a".to_owned(), "b=c".to_owned())]);
    assert_eq!(one.timeout, Duration::from_millis(500));
    for (words, said) in [
        (["sub"].as_slice(), "FILTER"),
        (&["sub", "a", "--count", "0"], "0"),
        (&["sub", "a", "--timeout", "0"], "above 0"),
        (&["sub", "a", "--mqtt-version", "4"], "3.1.1"),
        (&["sub", "a", "--cert", "c.pem"], "--key"),
        (&["pub", "t"], "--lines"),
        (&["pub", "t", "x", "--lines"], "cannot be used with"),
        (&["pub", "t", "--lines", "--request"], "cannot be used with"),
        (&["pub", "t", "x", "--format", "json"], "--request"),
        (&["pub", "t", "x", "--user-property", "a"], "NAME=VALUE"),
        (&["pub", "t", "x", "--timeout", "soon"], "number of seconds"),
    ] {
        let error = parse(words).expect_err("refused");
        assert!(error.contains(said), "{words:?}: {error}");
    }
}

fn printed(message: &Message, format: Format) -> String {
    let mut out = Vec::new();
    print(&mut out, message, format).expect("memory takes all");
    String::from_utf8(out).expect("text")
}

#[test]
fn nothing_from_outside_controls_the_terminal() {
    let mut message = Message {
        topic: "a/\u{1b}[2J".to_owned(),
        qos: Qos::AtLeastOnce,
        retain: true,
        packet_id: 7,
        payload: "ä\r\n\u{9b}x".into(),
        properties: Properties::default(),
    };
    assert_eq!(printed(&message, Format::Text), "a/\\u{1b}[2J ä\\r\\n\\u{9b}x\n");
    let wanted = r#"{"topic":"a/\u001b[2J","qos":1,"retain":true,"payload":"ä\r\n"#;
    assert!(printed(&message, Format::Json).starts_with(wanted));
    message.payload = vec![0xC3];
    message.properties.correlation = Some(vec![0xFF]);
    assert_eq!(printed(&message, Format::Text), "a/\\u{1b}[2J base64:ww==\n");
    let json = printed(&message, Format::Json);
    assert!(
        json.ends_with("\"payload_base64\":\"ww==\",\"properties\":{\"correlation_base64\":\"/w==\"}}\n"),
        "{json}"
    );
    let text = Some("go\u{7} away".to_owned());
    let words = error::reason_in_words(connectors::mqtt::codec::Reason::NotAuthorized, &text);
    assert_eq!(words, "not authorized (0x87): go\u{fffd} away");
}
