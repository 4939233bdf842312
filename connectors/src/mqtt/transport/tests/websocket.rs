//! WebSocket: the handshake's answers, packets across frames and messages, control frames, and what ends a connection.

use rustls::version::TLS13;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;
use crate::mqtt::tls::ClientCertificates;

/// The key and the answer to it are those of RFC 6455.
const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const ANSWER: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

const BINARY: u8 = 2;
const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

fn request(path: &str, protocol: &str, more: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: node\r\nUpgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: {protocol}\r\n{more}\r\n"
    )
}

/// A client's frame: masked. `first`: 0x80 for the last of a message, and the opcode.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mask = [1, 2, 3, 4];
    let mut bytes = vec![first];
    match payload.len() {
        count @ 0..=125 => bytes.push(0x80 | count as u8),
        count @ 126..=65_535 => {
            bytes.push(0x80 | 126);
            bytes.extend((count as u16).to_be_bytes());
        }
        count => {
            bytes.push(0x80 | 127);
            bytes.extend((count as u64).to_be_bytes());
        }
    }
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The server's next frame: its first byte and payload.
async fn next_frame(client: &mut (impl AsyncReadExt + Unpin)) -> io::Result<(u8, Vec<u8>)> {
    let first = client.read_u8().await?;
    let count = match client.read_u8().await? {
        126 => client.read_u16().await?.into(),
        127 => client.read_u64().await?,
        count => count.into(),
    };
    let mut payload = vec![0; count as usize];
    client.read_exact(&mut payload).await?;
    Ok((first, payload))
}

async fn head(client: &mut (impl AsyncReadExt + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

async fn connected(message_bytes_max: usize) -> (TcpStream, Transport) {
    let (mut client, server) = pair().await;
    client.write_all(request("/mqtt", "mqtt", "").as_bytes()).await.unwrap();
    let transport = accept_ws(server, message_bytes_max).await.unwrap();
    head(&mut client).await;
    (client, transport)
}

#[tokio::test]
async fn a_good_request_is_answered_with_its_subprotocol() {
    for (path, asked, answered) in [
        ("/mqtt", "mqtt", "mqtt"),
        ("/", "other, mqtt", "mqtt"),
        ("/$iothub/websocket?iothub-no-client-cert=true", "MQTT", "mqtt"),
        ("/mqtt", "mqttv3.1", "mqttv3.1"),
        ("/mqtt", "mqttv3.1,mqtt", "mqtt"),
    ] {
        let (mut client, server) = pair().await;
        client.write_all(request(path, asked, "").as_bytes()).await.unwrap();
        let transport = accept_ws(server, 1000).await.unwrap_or_else(|error| panic!("{path} {asked}: {error}"));
        assert_eq!((transport.kind(), transport.is_from_foreign_page()), ("ws", false));
        let head = head(&mut client).await;
        assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
        assert!(head.contains(&format!("Sec-WebSocket-Accept: {ANSWER}\r\n")), "{head}");
        assert!(head.contains(&format!("Sec-WebSocket-Protocol: {answered}\r\n")), "{head}");
    }
}

#[tokio::test]
async fn a_request_may_come_in_pieces() {
    let (mut client, server) = pair().await;
    client.set_nodelay(true).unwrap();
    let text = request("/mqtt", "mqtt", "Cookie: a=b\r\n");
    let send = async {
        for byte in text.as_bytes() {
            client.write_all(&[*byte]).await.unwrap();
            tokio::task::yield_now().await;
        }
    };
    let ((), transport) = tokio::join!(send, accept_ws(server, 1000));
    assert!(transport.is_ok());
}

#[tokio::test]
async fn a_wrong_request_is_refused_with_a_reason() {
    let good = request("/mqtt", "mqtt", "");
    let cases = [
        (request("/other", "mqtt", ""), "404", "/mqtt"),
        (request("/mqtt", "other", ""), "400", "subprotocol mqtt"),
        (good.replace("Sec-WebSocket-Protocol: mqtt\r\n", ""), "400", "subprotocol mqtt"),
        (good.replace("GET", "POST"), "405", "GET"),
        (good.replace("HTTP/1.1", "HTTP/1.0"), "400", "HTTP/1.1"),
        (good.replace("Version: 13", "Version: 8"), "426", "version is not 13"),
        (good.replace("Upgrade: WebSocket\r\n", ""), "426", "over WebSocket only"),
        (good.replace(KEY, "c2hvcnQ="), "400", "16 bytes"),
        (good.replace("Sec-WebSocket-Key", "X-Key"), "400", "exactly one"),
        ("\x10\x0c\0\x04MQTT\x04\x02\0\x3c\0\0\r\n\r\n".to_owned(), "400", "no HTTP request"),
        (request("/mqtt", "mqtt", &format!("Cookie: {}\r\n", "x".repeat(9000))), "431", "8 KiB"),
        (request("/mqtt", "mqtt", &"A: b\r\n".repeat(80)), "400", "no HTTP request"),
        (format!("{good}more"), "400", "something follows"),
    ];
    for (text, status, reason) in cases {
        let (mut client, server) = pair().await;
        // What was refused may not be read to its end, so the client may meet a reset; it reads the answer if it can.
        let client = async {
            let _ = client.write_all(text.as_bytes()).await;
            let mut answer = Vec::new();
            let _ = client.read_to_end(&mut answer).await;
            String::from_utf8(answer).unwrap()
        };
        let (answer, refused) = tokio::join!(client, accept_ws(server, 1000));
        let error = refused.expect_err(&text).to_string();
        assert!(error.contains(reason), "{text}: {error}");
        assert!(status == "431" || answer.starts_with(&format!("HTTP/1.1 {status} ")), "{text}: {answer}");
    }
}

#[tokio::test]
async fn a_page_of_elsewhere_is_seen_as_one() {
    for (origin, expected) in [
        ("http://localhost:8080", false),
        ("https://127.0.0.1", false),
        ("http://[::1]:3000", false),
        ("https://evil.example", true),
        ("http://localhost.evil.example", true),
        ("http://10.0.0.1", true),
        ("null", true),
        ("", true),
    ] {
        let (mut client, server) = pair().await;
        client.write_all(request("/mqtt", "mqtt", &format!("Origin: {origin}\r\n")).as_bytes()).await.unwrap();
        assert_eq!(accept_ws(server, 1000).await.unwrap().is_from_foreign_page(), expected, "{origin}");
    }
}

#[tokio::test]
async fn frames_and_messages_are_no_bounds_of_packets() {
    let (mut client, mut transport) = connected(200_000).await;
    let bytes = pattern(100_000);
    let mut sent = frame(0x80 | BINARY, &bytes[..3]);
    sent.extend(frame(BINARY, &bytes[3..200]));
    sent.extend(frame(0x80 | PING, b"in between"));
    sent.extend(frame(0, &bytes[200..70_000]));
    sent.extend(frame(0x80, b""));
    sent.extend(frame(0x80 | BINARY, b""));
    sent.extend(frame(0x80 | PONG, b"unasked"));
    sent.extend(frame(0x80 | BINARY, &bytes[70_000..]));
    let send = client.write_all(&sent);
    let receive = async {
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let more = read(&mut transport, 777).await.unwrap();
            assert!(!more.is_empty());
            got.extend(more);
        }
        got
    };
    let (done, got) = tokio::join!(send, receive);
    done.unwrap();
    assert_eq!(got, bytes);
    assert_eq!(next_frame(&mut client).await.unwrap(), (0x80 | PONG, b"in between".to_vec()));
}

#[tokio::test]
async fn what_is_written_comes_in_binary_messages() {
    let (mut client, mut transport) = connected(1000).await;
    let bytes = pattern(200_000);
    let receive = async {
        let mut got = Vec::new();
        while got.len() < bytes.len() {
            let (first, payload) = next_frame(&mut client).await.unwrap();
            assert_eq!(first, 0x80 | BINARY);
            got.extend(payload);
        }
        got
    };
    let (done, got) = tokio::join!(write(&mut transport, &bytes), receive);
    done.unwrap();
    assert_eq!(got, bytes);
}

#[tokio::test]
async fn what_a_server_must_not_take_ends_the_connection() {
    let unmasked = [0x80 | BINARY, 1, 7].to_vec();
    let cases = [
        (frame(0x80 | TEXT, b"hello"), 1003_u16),
        (unmasked, 1002),
        (frame(0xC0 | BINARY, b"compressed"), 1002),
        (frame(0x80 | 3, b"unknown"), 1002),
        (frame(0x80, b"continues nothing"), 1002),
        (frame(0x80 | PING, &[0; 126]), 1002),
        (frame(0x80 | BINARY, &[0; 1001]), 1009),
    ];
    for (bytes, code) in cases {
        let (mut client, mut transport) = connected(1000).await;
        client.write_all(&bytes).await.unwrap();
        let error = read(&mut transport, 100).await.expect_err("a wrong frame");
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        let (first, payload) = next_frame(&mut client).await.unwrap();
        assert_eq!((first, &payload[..2]), (0x80 | CLOSE, &code.to_be_bytes()[..]), "{error}");
    }
    // Many small frames of one message are no way around its limit.
    let (mut client, mut transport) = connected(1000).await;
    client.write_all(&frame(BINARY, &[0; 600])).await.unwrap();
    client.write_all(&frame(0, &[0; 600])).await.unwrap();
    assert!(read(&mut transport, 100).await.is_err());
}

#[tokio::test]
async fn either_side_may_say_farewell() {
    let (mut client, mut transport) = connected(1000).await;
    client.write_all(&frame(0x80 | BINARY, b"last")).await.unwrap();
    client.write_all(&frame(0x80 | CLOSE, &[0x03, 0xE8])).await.unwrap();
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"last");
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"");
    poll_fn(|cx| transport.poll_shutdown(cx)).await.unwrap();
    assert_eq!(next_frame(&mut client).await.unwrap().0, 0x80 | CLOSE);
    assert_eq!(client.read_u8().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);

    let (mut client, mut transport) = connected(1000).await;
    write(&mut transport, b"reason").await.unwrap();
    poll_fn(|cx| transport.poll_shutdown(cx)).await.unwrap();
    poll_fn(|cx| transport.poll_shutdown(cx)).await.unwrap();
    assert_eq!(next_frame(&mut client).await.unwrap(), (0x80 | BINARY, b"reason".to_vec()));
    assert_eq!(next_frame(&mut client).await.unwrap(), (0x80 | CLOSE, vec![0x03, 0xE8]));
    // Our side has ended; the client's can still be drained.
    client.write_all(&frame(0x80 | BINARY, b"on its way")).await.unwrap();
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"on its way");
    client.write_all(&frame(0x80 | CLOSE, &[0x03, 0xE8])).await.unwrap();
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"");

    let (client, mut transport) = connected(1000).await;
    drop(client);
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"");
}

#[tokio::test]
async fn pings_without_end_do_not_fill_the_memory() {
    let (client, mut transport) = connected(1000).await;
    let ping = frame(0x80 | PING, &[7; 125]);
    let (mut reader, mut writer) = client.into_split();
    let flood = tokio::spawn(async move {
        let mut sent = 0_usize;
        loop {
            // 60 MB, ten times what sockets hold.
            assert!(sent < 500_000, "the node takes pings without end");
            let more = tokio::time::timeout(std::time::Duration::from_millis(300), writer.write_all(&ping)).await;
            match more {
                Ok(done) => done.unwrap(),
                // Nothing is taken from us any more, because we take nothing.
                Err(_) => return (sent, writer),
            }
            sent += 1;
        }
    });
    let serve = tokio::spawn(async move { read(&mut transport, 100).await });
    let (sent, _writer) = flood.await.unwrap();
    let mut answered = 0;
    // All that the node still holds for us is in the sockets' own buffers, and one answer.
    while answered + 1 < sent {
        assert_eq!(next_frame(&mut reader).await.unwrap().0, 0x80 | PONG);
        answered += 1;
    }
    assert!(!serve.is_finished());
    serve.abort();
}

#[tokio::test]
async fn websocket_over_tls() {
    let ground = super::tls::Ground::new();
    let source = ground.source(ClientCertificates::None, false);
    let (client, server) = pair().await;
    let connector = ground.connector(&TLS13, None);
    let client = async {
        let name = rustls::pki_types::ServerName::try_from("localhost").unwrap();
        let mut client = connector.connect(name, client).await.unwrap();
        client.write_all(request("/mqtt", "mqtt", "").as_bytes()).await.unwrap();
        let head = head(&mut client).await;
        (client, head)
    };
    let ((mut client, head), server) = tokio::join!(client, accept_wss(server, &source, 100_000));
    let server = server.unwrap();
    assert!(head.contains("Sec-WebSocket-Protocol: mqtt\r\n"));
    assert_eq!((server.kind(), server.certificate()), ("wss", None));
    let server = echo(server);
    let sent = pattern(50_000);
    client.write_all(&frame(0x80 | BINARY, &sent)).await.unwrap();
    client.flush().await.unwrap();
    let mut back = Vec::new();
    while back.len() < sent.len() {
        back.extend(next_frame(&mut client).await.unwrap().1);
    }
    assert_eq!(back, sent);
    client.write_all(&frame(0x80 | CLOSE, &[0x03, 0xE8])).await.unwrap();
    client.flush().await.unwrap();
    assert_eq!(next_frame(&mut client).await.unwrap().0, 0x80 | CLOSE);
    server.await.unwrap().unwrap();
}
