//! Real handshakes and bytes over loopback: TLS of both versions, WebSocket, and both together.

mod tls;
mod websocket;

use std::future::poll_fn;
use std::io;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use super::*;

/// Both ends of a connection over loopback.
async fn pair() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (server, _) = listener.accept().await.unwrap();
    (client, server)
}

async fn read(transport: &mut Transport, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut room = vec![0; bytes_max];
    let count = poll_fn(|cx| transport.poll_read(cx, &mut room)).await?;
    room.truncate(count);
    Ok(room)
}

async fn write(transport: &mut Transport, bytes: &[u8]) -> io::Result<()> {
    let mut sent = 0;
    while sent < bytes.len() {
        sent += poll_fn(|cx| transport.poll_write(cx, &bytes[sent..])).await?;
    }
    poll_fn(|cx| transport.poll_flush(cx)).await
}

/// Sends everything back, in small steps, until the client ends its side; then ends its own.
fn echo(mut transport: Transport) -> JoinHandle<io::Result<Transport>> {
    tokio::spawn(async move {
        loop {
            let bytes = read(&mut transport, 1000).await?;
            if bytes.is_empty() {
                poll_fn(|cx| transport.poll_shutdown(cx)).await?;
                return Ok(transport);
            }
            write(&mut transport, &bytes).await?;
        }
    })
}

/// Bytes that are not all alike.
fn pattern(count: usize) -> Vec<u8> {
    (0..count).map(|at| (at * 31 % 251) as u8).collect()
}

#[test]
fn a_connection_is_small_until_it_is_more_than_tcp() {
    assert!(size_of::<Transport>() <= 40, "{}", size_of::<Transport>());
}

#[tokio::test]
async fn tcp_carries_bytes_and_can_be_half_closed() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (mut client, server) = pair().await;
    let mut transport = Transport::Tcp(server);
    assert_eq!((transport.kind(), transport.certificate()), ("tcp", None));
    client.write_all(b"ping").await.unwrap();
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"ping");
    write(&mut transport, b"pong").await.unwrap();
    poll_fn(|cx| transport.poll_shutdown(cx)).await.unwrap();
    let mut all = Vec::new();
    client.read_to_end(&mut all).await.unwrap();
    assert_eq!(all, b"pong");
    client.write_all(b"still there").await.unwrap();
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"still there");
    drop(client);
    assert_eq!(read(&mut transport, 100).await.unwrap(), b"");
}
