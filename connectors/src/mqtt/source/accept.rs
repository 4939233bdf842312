//! Takes connections from the core's sockets, and those that speak MQTT over QUIC, and gives each a task.

use std::net::TcpListener;
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use super::Core;
use super::connection::ConnectionTask;
use crate::mqtt::node::Node;
use crate::mqtt::transport::{Transport, accept_quic, accept_tls, accept_ws, accept_wss};
use crate::quic::endpoint::Arrived;
use crate::rate_limited::RateLimited;

/// What a QUIC connection is closed with that the node has no room for; the protocol of MQTT over QUIC names no codes.
const REFUSED: u32 = 1;

/// The core's own sockets, one for each kind of connection that is served; what they accept is to have `TCP_NODELAY` from them.
#[derive(Debug, Default)]
pub struct Sockets {
    /// Plain MQTT.
    pub tcp: Option<TcpListener>,
    /// Over TLS.
    pub tls: Option<TcpListener>,
    /// Over WebSocket.
    pub ws: Option<TcpListener>,
    /// Over secure WebSocket.
    pub wss: Option<TcpListener>,
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Tcp,
    Tls,
    Ws,
    Wss,
}

/// A task for each socket.
pub(super) fn spawn(core: &Rc<Core>, sockets: Sockets) -> Vec<JoinHandle<()>> {
    let Sockets { tcp, tls, ws, wss } = sockets;
    [(Kind::Tcp, tcp), (Kind::Tls, tls), (Kind::Ws, ws), (Kind::Wss, wss)]
        .into_iter()
        .filter_map(|(kind, socket)| Some(tokio::task::spawn_local(accept(core.clone(), kind, socket?))))
        .collect()
}

async fn accept(core: Rc<Core>, kind: Kind, socket: TcpListener) {
    let complaints = RateLimited::new(Duration::from_secs(10));
    let socket = match tokio::net::TcpListener::from_std(socket) {
        Ok(socket) => socket,
        Err(error) => {
            tracing::error!(?kind, %error, "a socket of the MQTT listener cannot be used");
            return;
        }
    };
    loop {
        match socket.accept().await {
            Ok((stream, peer)) => {
                let node = core.broker.borrow().node().clone();
                // Closed at once: a client that is not let in tries again.
                if !count_in(&node) {
                    if let Some(held_back) = complaints.allow(Instant::now()) {
                        tracing::warn!(held_back, "the MQTT listener has its connections_max connections");
                    }
                    continue;
                }
                let is_loopback = peer.ip().to_canonical().is_loopback();
                match kind {
                    Kind::Tcp => start(&core, Transport::Tcp(stream), is_loopback),
                    _ => drop(tokio::task::spawn_local(shake_hands(core.clone(), kind, stream, is_loopback))),
                }
            }
            Err(error) => {
                // Out of file descriptors, most likely: connections that end make room.
                if let Some(held_back) = complaints.allow(Instant::now()) {
                    tracing::warn!(%error, held_back, "cannot accept an MQTT connection");
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Counts a connection, if the node may have another.
fn count_in(node: &Node) -> bool {
    let may = node.connections.fetch_add(1, Ordering::Relaxed) < node.settings.connections_max;
    if !may {
        node.connections.fetch_sub(1, Ordering::Relaxed);
    }
    may
}

async fn shake_hands(core: Rc<Core>, kind: Kind, stream: TcpStream, is_loopback: bool) {
    let node = core.broker.borrow().node().clone();
    let tls = core.tls.clone();
    let no_tls = || std::io::Error::other("there are no certificates");
    let shaken = async {
        let tls = || tls.as_deref().ok_or_else(no_tls);
        match kind {
            Kind::Tcp => Ok(Transport::Tcp(stream)),
            Kind::Tls => accept_tls(stream, tls()?).await,
            Kind::Ws => accept_ws(stream, node.settings.packet_bytes_max + 16).await,
            Kind::Wss => accept_wss(stream, tls()?, node.settings.packet_bytes_max + 16).await,
        }
    };
    let limit = Duration::from_millis(node.settings.connect_timeout_ms);
    let shaken = tokio::time::timeout(limit, shaken).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()));
    match shaken {
        Ok(transport) => {
            let is_loopback = is_loopback && !transport.is_from_foreign_page();
            start(&core, transport, is_loopback);
        }
        Err(error) => {
            node.connections.fetch_sub(1, Ordering::Relaxed);
            tracing::debug!(?kind, %error, "an MQTT connection did not come about");
        }
    }
}

impl Core {
    /// Serves a connection that speaks MQTT over QUIC and has come to this core.
    pub fn serve_quic(self: &Rc<Self>, arrived: Arrived) {
        let node = self.broker.borrow().node().clone();
        if !count_in(&node) {
            arrived.connection.close(REFUSED.into(), b"the node has its connections_max MQTT connections");
            return;
        }
        let core = self.clone();
        tokio::task::spawn_local(async move {
            let is_loopback = arrived.connection.remote_address().ip().to_canonical().is_loopback();
            let limit = Duration::from_millis(node.settings.connect_timeout_ms);
            let accepted = tokio::time::timeout(limit, accept_quic(arrived)).await;
            match accepted.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into())) {
                Ok(transport) => start(&core, transport, is_loopback),
                Err(error) => {
                    node.connections.fetch_sub(1, Ordering::Relaxed);
                    tracing::debug!(%error, "an MQTT connection over QUIC opened no stream");
                }
            }
        });
    }
}

fn start(core: &Rc<Core>, transport: Transport, is_loopback: bool) {
    let opened = core.with(|broker| {
        let place = broker.open(transport.kind(), is_loopback)?;
        if let Some(connection) = broker.connection(place) {
            connection.certificate = transport.certificate();
        }
        Some(place)
    });
    match opened {
        Some(place) => drop(tokio::task::spawn_local(ConnectionTask::new(core.clone(), place, transport))),
        None => drop(core.broker.borrow().node().connections.fetch_sub(1, Ordering::Relaxed)),
    }
}
