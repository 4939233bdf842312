//! One stream, several streams, and what clients can do wrong with them.

use super::*;
use crate::mqtt::transport::DATA_STREAMS_MAX;

const PINGREQ: [u8; 2] = [0xC0, 0];
const PINGRESP: [u8; 2] = [0xD0, 0];

fn run<F: Future<Output = ()>>(test: impl FnOnce(World) -> F, settings: MqttConfig) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        test(World::start(settings, QuicEndpointLimits::default()).await).await;
    });
}

#[test]
fn one_stream_is_a_connection() {
    let test = async |world: World| {
        let (_connection, mut control) = world.join("one").await;
        control.send(&subscribe(1, "t/#")).await;
        control.expect(&suback(1)).await;
        control.send(&publish("t/a", b"hello", Qos::AtLeastOnce, 7)).await;
        // Which of them comes first is up to the log.
        let (ack, delivery) = (receipt(ReceiptKind::Ack, 7), publish("t/a", b"hello", Qos::AtMostOnce, 0));
        let got = control.read(ack.len() + delivery.len()).await;
        assert!(got == [&ack[..], &delivery].concat() || got == [&delivery[..], &ack].concat(), "{got:?}");
        control.send(&[0xE0, 0]).await;
        control.expect_end().await;
        world.until_connections(0).await;
    };
    run(test, MqttConfig::default());
}

#[test]
fn what_answers_a_packet_comes_on_its_stream_and_deliveries_on_the_first() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("many").await;
        let mut streams = [Pipe::open(&connection).await, Pipe::open(&connection).await];
        let [a, b] = &mut streams;
        a.send(&subscribe(1, "t/#")).await;
        a.expect(&suback(1)).await;
        for turn in 0..50u16 {
            let (first, second) = (100 + turn, 200 + turn);
            a.send(&publish("t/a", b"from a", Qos::AtLeastOnce, first)).await;
            b.send(&publish("t/b", b"from b", Qos::ExactlyOnce, second)).await;
            a.expect(&receipt(ReceiptKind::Ack, first)).await;
            b.expect(&receipt(ReceiptKind::Rec, second)).await;
            b.send(&receipt(ReceiptKind::Rel, second)).await;
            b.expect(&receipt(ReceiptKind::Comp, second)).await;
            let got = control.read(26).await;
            let (of_a, of_b) =
                (publish("t/a", b"from a", Qos::AtMostOnce, 0), publish("t/b", b"from b", Qos::AtMostOnce, 0));
            assert!(got == [&of_a[..], &of_b].concat() || got == [&of_b[..], &of_a].concat(), "{got:?}");
        }
        b.send(&PINGREQ).await;
        b.expect(&PINGRESP).await;
        control.send(&PINGREQ).await;
        control.expect(&PINGRESP).await;
    };
    run(test, MqttConfig::default());
}

#[test]
fn nothing_of_a_data_stream_is_taken_before_connect() {
    let test = async |world: World| {
        let connection = world.dial().await;
        let mut control = Pipe::open(&connection).await;
        let mut data = Pipe::open(&connection).await;
        data.send(&publish("t", b"early", Qos::AtLeastOnce, 1)).await;
        world.until_connections(1).await;
        control.send(&connect("late")).await;
        control.expect(&connack()).await;
        data.expect(&receipt(ReceiptKind::Ack, 1)).await;
    };
    run(test, MqttConfig::default());
}

#[test]
fn a_packet_that_has_not_come_whole_holds_up_nobody_else() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("torn").await;
        let (mut a, mut b) = (Pipe::open(&connection).await, Pipe::open(&connection).await);
        let torn = publish("t", &[1; 3000], Qos::AtLeastOnce, 1);
        for cut in [1, 2, 3, 5, 6, 1500, torn.len() - 1] {
            a.send(&torn[..cut]).await;
            b.send(&publish("t", b"b", Qos::AtLeastOnce, 2)).await;
            b.expect(&receipt(ReceiptKind::Ack, 2)).await;
            control.send(&PINGREQ).await;
            control.expect(&PINGRESP).await;
            a.send(&torn[cut..]).await;
            a.expect(&receipt(ReceiptKind::Ack, 1)).await;
        }
    };
    run(test, MqttConfig::default());
}

#[test]
fn large_packets_of_several_streams_are_not_mixed() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("large").await;
        control.send(&subscribe(1, "t")).await;
        control.expect(&suback(1)).await;
        let mut sending = Vec::new();
        for id in 1..=5u16 {
            let mut stream = Pipe::open(&connection).await;
            sending.push(tokio::task::spawn_local(async move {
                for chunk in publish("t", &vec![id as u8; 300_000], Qos::AtLeastOnce, id).chunks(7_000) {
                    stream.send(chunk).await;
                    tokio::task::yield_now().await;
                }
                stream.expect(&receipt(ReceiptKind::Ack, id)).await;
            }));
        }
        let mut seen = Vec::new();
        for _ in 1..=5 {
            let got = control.read(publish("t", &[0; 300_000], Qos::AtMostOnce, 0).len()).await;
            let id = got[got.len() - 1];
            assert!(got == publish("t", &vec![id; 300_000], Qos::AtMostOnce, 0), "mixed");
            seen.push(id);
        }
        for one in sending {
            one.await.unwrap();
        }
        seen.sort_unstable();
        assert_eq!(seen, [1, 2, 3, 4, 5]);
    };
    run(test, MqttConfig { packet_bytes_max: 1 << 20, ..MqttConfig::default() });
}

#[test]
fn streams_come_and_go_within_their_number() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("streams").await;
        for _ in 0..3 {
            let mut open = Vec::new();
            for id in 1..=DATA_STREAMS_MAX as u16 {
                let mut stream = Pipe::open(&connection).await;
                stream.send(&publish("t", b"x", Qos::AtLeastOnce, id)).await;
                open.push((id, stream));
            }
            let more = tokio::time::timeout(Duration::ZERO, connection.open_bi()).await;
            assert!(more.is_err(), "there is room for more streams than the limits say");
            for (id, mut stream) in open {
                stream.expect(&receipt(ReceiptKind::Ack, id)).await;
                stream.send.finish().unwrap();
                stream.expect_end().await;
            }
        }
        control.send(&PINGREQ).await;
        control.expect(&PINGRESP).await;
    };
    run(test, MqttConfig::default());
}

#[test]
fn the_end_of_the_control_stream_is_the_end() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("ends").await;
        let mut data = Pipe::open(&connection).await;
        data.send(&publish("t", b"x", Qos::AtLeastOnce, 1)).await;
        data.expect(&receipt(ReceiptKind::Ack, 1)).await;
        data.send.finish().unwrap();
        data.expect_end().await;
        control.send(&PINGREQ).await;
        control.expect(&PINGRESP).await;
        control.send.finish().unwrap();
        world.until_connections(0).await;
        tokio::time::timeout(STEP_MAX, connection.closed()).await.expect("the node closes the connection");
    };
    run(test, MqttConfig::default());
}

#[test]
fn a_client_that_asks_and_ends_at_once_reads_why_it_is_refused() {
    let test = async |world: World| {
        for _ in 0..20 {
            let connection = world.dial().await;
            let mut control = Pipe::open(&connection).await;
            // There is no protocol level 9.
            let mut refused = connect("refused");
            refused[8] = 9;
            control.send(&refused).await;
            control.send.finish().unwrap();
            let head = control.read(2).await;
            assert_eq!(head[0], 0x20);
            // Unsupported Protocol Version.
            assert_eq!(control.read(head[1].into()).await[1], 0x84);
            control.expect_end().await;
        }
        world.until_connections(0).await;
    };
    run(test, MqttConfig::default());
}

#[test]
fn a_stream_that_ends_within_a_packet_takes_only_that_with_it() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("half").await;
        let torn = publish("t", &[1; 3000], Qos::AtLeastOnce, 1);
        let mut ended = Pipe::open(&connection).await;
        ended.send(&torn[..1000]).await;
        ended.send.finish().unwrap();
        ended.expect_end().await;
        let mut reset = Pipe::open(&connection).await;
        reset.send(&torn[..1000]).await;
        reset.send.reset(9u32.into()).unwrap();
        reset.expect_end().await;
        control.send(&PINGREQ).await;
        control.expect(&PINGRESP).await;
        // A long one was handed on in part: nobody can make it whole.
        let long = publish("t", &[1; 100_000], Qos::AtLeastOnce, 2);
        let mut ended = Pipe::open(&connection).await;
        ended.send(&long[..50_000]).await;
        ended.send.finish().unwrap();
        world.until_connections(0).await;
    };
    run(test, MqttConfig { packet_bytes_max: 1 << 20, ..MqttConfig::default() });
}

#[test]
fn answers_that_nobody_reads_hold_up_nothing() {
    let test = async |world: World| {
        let (connection, mut control) = world.join("deaf").await;
        let mut deaf = Pipe::open(&connection).await;
        deaf.receive.stop(0u32.into()).unwrap();
        for id in 1..=100 {
            deaf.send(&publish("t", b"x", Qos::AtLeastOnce, id)).await;
        }
        let mut other = Pipe::open(&connection).await;
        other.send(&publish("t", b"x", Qos::AtLeastOnce, 101)).await;
        other.expect(&receipt(ReceiptKind::Ack, 101)).await;
        control.send(&PINGREQ).await;
        control.expect(&PINGRESP).await;
    };
    run(test, MqttConfig::default());
}

#[test]
fn garbage_on_a_data_stream_ends_the_connection() {
    for garbage in [&[0x30, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF][..], &[0x00, 0], &connect("again")] {
        let test = async |world: World| {
            let (connection, mut control) = world.join("garbage").await;
            let mut data = Pipe::open(&connection).await;
            data.send(garbage).await;
            control.expect_end().await;
            connection.close(0u32.into(), b"");
            world.until_connections(0).await;
        };
        run(test, MqttConfig::default());
    }
}

#[test]
fn a_connection_too_many_is_told_so() {
    let test = async |world: World| {
        let (_connection, _control) = world.join("first").await;
        let second = world.dial().await;
        let reason = tokio::time::timeout(STEP_MAX, second.closed()).await.expect("closed").to_string();
        assert!(reason.contains("connections_max"), "{reason}");
        assert_eq!(world.node.connections.load(Ordering::Relaxed), 1);
    };
    run(test, MqttConfig { connections_max: 1, ..MqttConfig::default() });
}

#[test]
fn a_connection_without_a_stream_ends() {
    let test = async |world: World| {
        let connection = world.dial().await;
        tokio::time::timeout(STEP_MAX, connection.closed()).await.expect("closed");
        world.until_connections(0).await;
    };
    run(test, MqttConfig { connect_timeout_ms: 100, ..MqttConfig::default() });
}
