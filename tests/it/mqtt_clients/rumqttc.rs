//! rumqttc, 3.1.1 and 5.

use std::time::Duration;

use rumqttc::{Client, Connection, Event, LastWill, MqttOptions, Packet, Publish, QoS, v5};

use crate::mqtt_broker::Broker;

const QOS: [QoS; 3] = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce];

/// Options for a client of 3.1.1.
pub fn options(broker: &Broker, client_id: &str) -> MqttOptions {
    let mut options = MqttOptions::new(client_id, "127.0.0.1", broker.port().parse().expect("a port"));
    options.set_keep_alive(Duration::from_secs(30));
    options
}

fn options_5(broker: &Broker, client_id: &str) -> v5::MqttOptions {
    let mut options = v5::MqttOptions::new(client_id, "127.0.0.1", broker.port().parse().expect("a port"));
    options.set_keep_alive(Duration::from_secs(30));
    options
}

/// Drives a connection until something wanted comes in.
fn until<T>(connection: &mut Connection, mut wanted: impl FnMut(Packet) -> Option<T>) -> T {
    for event in connection.iter() {
        if let Event::Incoming(packet) = event.expect("no error")
            && let Some(found) = wanted(packet)
        {
            return found;
        }
    }
    panic!("the connection ended");
}

fn until_5<T>(connection: &mut v5::Connection, mut wanted: impl FnMut(v5::Incoming) -> Option<T>) -> T {
    for event in connection.iter() {
        if let v5::Event::Incoming(packet) = event.expect("no error")
            && let Some(found) = wanted(packet)
        {
            return found;
        }
    }
    panic!("the connection ended");
}

fn message(connection: &mut Connection) -> Publish {
    until(connection, |packet| if let Packet::Publish(publish) = packet { Some(publish) } else { None })
}

fn message_5(connection: &mut v5::Connection) -> v5::mqttbytes::v5::Publish {
    until_5(connection, |packet| if let v5::Incoming::Publish(publish) = packet { Some(publish) } else { None })
}

#[test]
fn rumqttc_3_1_1() {
    let broker = Broker::start();
    let (client, mut connection) = Client::new(options(&broker, "self"), 100);
    for granted in QOS {
        client.subscribe("t/+", granted).expect("queues");
        let codes =
            until(
                &mut connection,
                |packet| if let Packet::SubAck(ack) = packet { Some(ack.return_codes) } else { None },
            );
        assert_eq!(codes, [rumqttc::SubscribeReasonCode::Success(granted)]);
        for qos in QOS {
            client.publish("t/x", qos, false, "hello").expect("queues");
            let found = message(&mut connection);
            assert_eq!((&*found.topic, &found.payload[..]), ("t/x", &b"hello"[..]));
            assert_eq!(found.qos as u8, (qos as u8).min(granted as u8));
        }
    }
    // Retained, and a will.
    client.publish("kept", QoS::AtLeastOnce, true, "kept").expect("queues");
    until(&mut connection, |packet| matches!(packet, Packet::PubAck(_)).then_some(()));
    client.subscribe("kept", QoS::AtMostOnce).expect("queues");
    let found = message(&mut connection);
    assert!(found.retain && &found.payload[..] == b"kept");
    client.subscribe("will", QoS::AtLeastOnce).expect("queues");
    until(&mut connection, |packet| matches!(packet, Packet::SubAck(_)).then_some(()));
    let mut going = options(&broker, "going");
    going.set_last_will(LastWill::new("will", "gone", QoS::AtLeastOnce, false));
    let (other, mut others) = Client::new(going, 10);
    until(&mut others, |packet| matches!(packet, Packet::ConnAck(_)).then_some(()));
    drop(others);
    drop(other);
    assert_eq!(&message(&mut connection).payload[..], b"gone");
}

#[test]
fn rumqttc_3_1_1_takes_up_its_session() {
    let broker = Broker::start();
    let mut durable = options(&broker, "durable");
    durable.set_clean_session(false);
    let (client, mut connection) = Client::new(durable.clone(), 100);
    client.subscribe("t", QoS::AtLeastOnce).expect("queues");
    until(&mut connection, |packet| matches!(packet, Packet::SubAck(_)).then_some(()));
    drop(connection);
    drop(client);
    let mut publisher = broker.v4("publisher");
    for at in 0..30 {
        publisher.publish("t", &at.to_string(), 1);
    }
    let (_client, mut connection) = Client::new(durable, 100);
    assert!(until(&mut connection, |packet| if let Packet::ConnAck(ack) = packet {
        Some(ack.session_present)
    } else {
        None
    }));
    for at in 0..30 {
        assert_eq!(message(&mut connection).payload, at.to_string());
    }
}

#[test]
fn rumqttc_5() {
    use v5::mqttbytes::QoS;
    use v5::mqttbytes::v5::{ConnectProperties, PublishProperties, SubscribeProperties};
    let broker = Broker::start();
    let mut options = options_5(&broker, "self");
    let mut connecting = ConnectProperties::new();
    connecting.receive_maximum = Some(20);
    connecting.session_expiry_interval = Some(60);
    options.set_connect_properties(connecting);
    let (client, mut connection) = v5::Client::new(options, 100);
    let ids = SubscribeProperties { id: Some(7), user_properties: Vec::new() };
    client.subscribe_with_properties("t/+", QoS::ExactlyOnce, ids).expect("queues");
    until_5(&mut connection, |packet| matches!(packet, v5::Incoming::SubAck(_)).then_some(()));
    let properties = PublishProperties {
        payload_format_indicator: Some(1),
        message_expiry_interval: Some(100),
        response_topic: Some("answer/here".to_owned()),
        correlation_data: Some(vec![0, 255].into()),
        user_properties: vec![("b".to_owned(), "1".to_owned()), ("a".to_owned(), "2".to_owned())],
        content_type: Some("text/plain".to_owned()),
        ..PublishProperties::default()
    };
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        client.publish_with_properties("t/x", qos, false, "hello", properties.clone()).expect("queues");
        let found = message_5(&mut connection);
        assert_eq!((found.qos, &found.topic[..], &found.payload[..]), (qos, &b"t/x"[..], &b"hello"[..]));
        let mut got = found.properties.expect("properties");
        assert_eq!(std::mem::take(&mut got.subscription_identifiers), [7]);
        let left = got.message_expiry_interval.take().expect("an expiry");
        assert!((95..=100).contains(&left), "{left}");
        assert_eq!(PublishProperties { message_expiry_interval: Some(100), ..got }, properties);
    }
}
