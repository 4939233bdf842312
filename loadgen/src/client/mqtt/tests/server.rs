//! A server that reads everything and says only what it is told to: a sink for measuring, and scripts for misbehaviour.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::super::Target;

/// CONNACK that says yes, of version 5: to a new session, and to one that is known.
pub(super) const CONNACK: &[u8] = b"\x20\x03\x00\x00\x00";
pub(super) const CONNACK_PRESENT: &[u8] = b"\x20\x03\x01\x00\x00";

/// Calls `serve` with each connection, on a thread of its own, and the connection's number.
pub(super) fn listen(serve: impl Fn(Peer, usize) + Send + Sync + 'static) -> Target {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("mqtt://{}", listener.local_addr().unwrap()).parse().unwrap();
    let serve = Arc::new(serve);
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let (serve, stream) = (serve.clone(), stream.unwrap());
            std::thread::spawn(move || serve(Peer(stream), number));
        }
    });
    target
}

/// A client as a server sees it.
pub(super) struct Peer(TcpStream);

impl Peer {
    /// Its next packet; `None` at the end of the connection.
    pub(super) fn packet(&mut self) -> Option<Vec<u8>> {
        let mut packet = vec![0; 2];
        self.0.read_exact(&mut packet).ok()?;
        while packet.last().is_some_and(|byte| byte & 0x80 != 0) {
            let mut byte = [0];
            self.0.read_exact(&mut byte).ok()?;
            packet.push(byte[0]);
        }
        let length = packet[1..].iter().rev().fold(0, |length, byte| length << 7 | usize::from(byte & 0x7F));
        let start = packet.len();
        packet.resize(start + length, 0);
        self.0.read_exact(&mut packet[start..]).ok()?;
        Some(packet)
    }

    pub(super) fn say(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Something more came within a moment.
    pub(super) fn has_more(&mut self) -> bool {
        self.0.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
        let more = matches!(self.0.peek(&mut [0]), Ok(1));
        self.0.set_read_timeout(None).unwrap();
        more
    }

    /// Reads the rest and counts it.
    fn swallow(&mut self, bytes: &AtomicU64) {
        let mut buffer = vec![0; 1024 * 1024];
        while let Ok(count @ 1..) = self.0.read(&mut buffer) {
            bytes.fetch_add(count as u64, Ordering::Relaxed);
        }
    }
}

/// Takes connections and throws away all they say; also how many bytes that was.
pub(super) fn sink() -> (Target, Arc<AtomicU64>) {
    let bytes = Arc::new(AtomicU64::new(0));
    let counter = bytes.clone();
    let target = listen(move |mut peer, _| {
        let connect = peer.packet().unwrap();
        peer.say(if connect[8] == 5 { CONNACK } else { b"\x20\x02\x00\x00" });
        peer.swallow(&counter);
    });
    (target, bytes)
}
