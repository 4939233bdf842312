//! MQTT over WebSocket (section 6 of both standards), with frames written by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::packet::*;
use crate::mqtt_broker::Broker;

const BINARY: u8 = 2;

fn broker() -> Broker {
    Broker::with("ws_listen = \"127.0.0.1:0\"")
}

/// A connection of which the bytes are seen.
struct Socket(TcpStream);

impl Socket {
    /// Asks for a WebSocket; what is answered up to the empty line.
    fn upgrade(broker: &Broker, headers: &str) -> (Self, String) {
        let mut stream = TcpStream::connect(broker.node().address("ws")).expect("connects");
        stream.set_read_timeout(Some(Duration::from_secs(10))).expect("a socket");
        // The key and its answer are the example of RFC 6455.
        let request = format!(
            "GET /mqtt HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
             Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(request.as_bytes()).expect("sends");
        let mut head = Vec::new();
        let mut byte = [0];
        while !head.ends_with(b"\r\n\r\n") && stream.read(&mut byte).expect("an answer") > 0 {
            head.push(byte[0]);
        }
        (Self(stream), String::from_utf8(head).expect("text"))
    }

    fn open(broker: &Broker) -> Self {
        let (socket, head) = Self::upgrade(broker, "Sec-WebSocket-Protocol: mqtt\r\n");
        assert!(head.starts_with("HTTP/1.1 101"), "{head}");
        socket
    }

    /// Sends a frame, masked as a client's are. `first` has FIN and the opcode.
    fn send(&mut self, first: u8, payload: &[u8]) {
        let mask = [1, 2, 3, 4];
        let mut frame = vec![first];
        if payload.len() < 126 {
            frame.push(0x80 | payload.len() as u8);
        } else {
            frame.push(0x80 | 126);
            frame.extend((payload.len() as u16).to_be_bytes());
        }
        frame.extend(mask);
        frame.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        // The broker may have closed already; that is seen by reading.
        let _ = self.0.write_all(&frame);
    }

    /// The next frame: opcode and payload; `None` at the end.
    fn read(&mut self) -> Option<(u8, Vec<u8>)> {
        let mut head = [0; 2];
        self.0.read_exact(&mut head).ok()?;
        assert_eq!(head[1] & 0x80, 0, "a server does not mask");
        let mut length = usize::from(head[1]);
        if length == 126 {
            let mut two = [0; 2];
            self.0.read_exact(&mut two).expect("a length");
            length = u16::from_be_bytes(two).into();
        }
        let mut payload = vec![0; length];
        self.0.read_exact(&mut payload).expect("a whole frame");
        Some((head[0] & 0x0F, payload))
    }

    /// The next bytes of MQTT.
    fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < count {
            let (opcode, payload) = self.read().expect("more");
            assert_eq!(opcode, BINARY, "[MQTT-6.0.0-1]");
            all.extend(payload);
        }
        all
    }

    /// Nothing comes but a closing frame and the end.
    fn closes(mut self) {
        while let Some((opcode, payload)) = self.read() {
            assert!(opcode == 8 || opcode == BINARY, "{opcode}: {payload:x?}");
        }
    }
}

/// [MQTT-6.0.0-3], [MQTT-6.0.0-4]: the subprotocol is `mqtt`.
#[test]
fn c6_0_0_4_the_subprotocol_is_mqtt() {
    let broker = broker();
    for offered in ["mqtt", "mqttv3.1, mqtt", "mqtt, other"] {
        let (_, head) = Socket::upgrade(&broker, &format!("Sec-WebSocket-Protocol: {offered}\r\n"));
        let head = head.to_ascii_lowercase();
        assert!(head.starts_with("http/1.1 101"), "{head}");
        assert!(head.contains("sec-websocket-accept: s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        assert!(head.contains("sec-websocket-protocol: mqtt\r\n"), "{head}");
    }
    let (_, head) = Socket::upgrade(&broker, "Sec-WebSocket-Protocol: chat\r\n");
    assert!(!head.contains("101"), "{head}");
    // What is no WebSocket at all harms nobody.
    let mut plain = TcpStream::connect(broker.node().address("ws")).expect("connects");
    plain.write_all(&Connect::new(V5, "x").bytes()).expect("sends");
    let _ = plain.shutdown(std::net::Shutdown::Write);
    let _ = plain.read_to_end(&mut Vec::new());
    Socket::open(&broker);
}

/// [MQTT-6.0.0-2]: packets and frames have nothing to do with each other.
#[test]
fn c6_0_0_2_packets_across_frames() {
    let broker = broker();
    let mut socket = Socket::open(&broker);
    let all = [
        Connect::new(V4, "client").bytes(),
        subscribe(V4, 1, &props(), &[("t", 1)]),
        Publish::new("t", vec![b'x'; 1_000]).qos(0).bytes(V4),
        PINGREQ.to_vec(),
    ]
    .concat();
    for (at, part) in all.chunks(7).enumerate() {
        // Every third message is in two frames.
        if at % 3 == 0 && part.len() > 2 {
            socket.send(BINARY, &part[..2]);
            socket.send(0x80, &part[2..]);
        } else {
            socket.send(0x80 | BINARY, part);
        }
    }
    // The message comes when it is stored: before or behind PINGRESP.
    let wanted = [4, 5, 2, 1_000 + 6].iter().sum();
    let found = socket.bytes(wanted);
    assert_eq!(found[..9], [0x20, 2, 0, 0, 0x90, 3, 0, 1, 1]);
    assert_eq!(found.len(), wanted);
    // And all in one frame.
    let mut socket = Socket::open(&broker);
    socket.send(0x80 | BINARY, &all);
    assert_eq!(socket.bytes(wanted).len(), wanted);
}

/// [MQTT-6.0.0-1]: frames that are not binary close.
#[test]
fn c6_0_0_1_text_frames_close() {
    let broker = broker();
    let mut early = Socket::open(&broker);
    early.send(0x81, &Connect::new(V4, "early").bytes());
    early.closes();
    let mut late = Socket::open(&broker);
    late.send(0x80 | BINARY, &Connect::new(V4, "late").bytes());
    assert_eq!(late.bytes(4), [0x20, 2, 0, 0]);
    late.send(0x81, b"text");
    late.closes();
}

/// RFC 6455 5.5: pings are answered, a close is answered with a close; a will goes out when there was no DISCONNECT.
#[test]
fn control_frames_of_websocket() {
    let broker = broker();
    let mut watch = broker.v5("watch");
    watch.subscribe(&[("will", 0)]);
    let mut socket = Socket::open(&broker);
    socket.send(0x80 | BINARY, &Connect::new(V4, "client").will(Will::new("will", "gone")).bytes());
    assert_eq!(socket.bytes(4), [0x20, 2, 0, 0]);
    socket.send(0x89, b"are you there");
    assert_eq!(socket.read(), Some((10, b"are you there".to_vec())));
    socket.send(0x88, &1000u16.to_be_bytes());
    assert!(matches!(socket.read(), Some((8, _)) | None));
    assert_eq!(watch.message().text(), "gone");
}
