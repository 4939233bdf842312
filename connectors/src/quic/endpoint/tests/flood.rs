//! Clients that come in numbers, and clients that begin and do not go on.

use std::net::SocketAddr;

use quinn::{Connecting, ConnectionError, Endpoint};

use crate::quic::endpoint::{Alpn, QuicEndpointLimits};
use crate::quic::testing::{Ground, Node, ask, client_endpoint};
use crate::tls::ClientCertificates;

/// Handshakes that a node sees begin and never end: what it says goes nowhere.
async fn begin_handshakes(ground: &Ground, to: SocketAddr, count: usize) -> Vec<(Endpoint, Connecting)> {
    let mut clients = Vec::new();
    for _ in 0..count {
        let between = tokio::net::UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let client = client_endpoint();
        let config = ground.client(Alpn::Anabranch, None);
        let connecting = client.connect_with(config, between.local_addr().unwrap(), "localhost").unwrap();
        let mut datagram = vec![0; 2000];
        let length = between.recv(&mut datagram).await.unwrap();
        between.send_to(&datagram[..length], to).await.unwrap();
        clients.push((client, connecting));
    }
    clients
}

#[tokio::test]
async fn under_a_flood_clients_prove_their_address_and_get_in() {
    let ground = Ground::new();
    let limits = QuicEndpointLimits { retry_from: 3, ..QuicEndpointLimits::default() };
    let node = Node::start(1, limits, &ground.config(ClientCertificates::None));
    let begun = begin_handshakes(&ground, node.listener.addr, 3).await;
    node.until(|stats| &stats.arrivals, |arrivals| arrivals == 3).await;
    assert_eq!(node.sum(|stats| &stats.retries_sent), 0);
    let endpoint = client_endpoint();
    let config = ground.client(Alpn::Anabranch, None);
    let connection = endpoint.connect_with(config, node.listener.addr, "localhost").unwrap().await.unwrap();
    ask(&connection, "hello").await.unwrap();
    assert_eq!(node.sum(|stats| &stats.retries_sent), 1);
    assert_eq!(node.sum(|stats| &stats.arrivals), 5);
    // Those who cannot hear the node are not let in.
    let more = begin_handshakes(&ground, node.listener.addr, 10).await;
    node.until(|stats| &stats.retries_sent, |retries| retries == 11).await;
    assert_eq!(node.listener.connections(), 4);
    drop((begun, more));
}

#[tokio::test]
async fn a_handshake_that_does_not_go_on_ends() {
    let ground = Ground::new();
    let limits = QuicEndpointLimits { handshake_timeout_ms: 100, ..QuicEndpointLimits::default() };
    let node = Node::start(1, limits, &ground.config(ClientCertificates::None));
    let begun = begin_handshakes(&ground, node.listener.addr, 3).await;
    node.until(|stats| &stats.handshakes_timed_out, |ended| ended == 3).await;
    assert_eq!(node.listener.connections(), 0);
    drop(begun);
}

#[tokio::test]
async fn more_connections_than_the_node_may_have_are_refused() {
    let ground = Ground::new();
    let limits = QuicEndpointLimits { connections_max: 2, ..QuicEndpointLimits::default() };
    let node = Node::start(1, limits, &ground.config(ClientCertificates::None));
    let endpoint = client_endpoint();
    let config = ground.client(Alpn::Anabranch, None);
    let connect = || endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap();
    let (first, second) = (connect().await.unwrap(), connect().await.unwrap());
    ask(&first, "hello").await.unwrap();
    let ConnectionError::ConnectionClosed(closed) = connect().await.unwrap_err() else { panic!("let in") };
    assert_eq!(closed.error_code, quinn::TransportErrorCode::CONNECTION_REFUSED);
    assert_eq!(node.sum(|stats| &stats.refused_full), 1);
    second.close(0u32.into(), b"");
    node.until(|stats| &stats.connections_closed, |closed| closed == 1).await;
    ask(&connect().await.unwrap(), "there is room again").await.unwrap();
}

#[tokio::test]
async fn an_address_that_opens_too_many_is_refused_once_it_is_proved() {
    let ground = Ground::new();
    let limits = QuicEndpointLimits {
        arrivals_per_address_per_s: 1,
        arrivals_per_address_at_once: 2,
        ..QuicEndpointLimits::default()
    };
    let node = Node::start(1, limits, &ground.config(ClientCertificates::None));
    let endpoint = client_endpoint();
    let config = ground.client(Alpn::Anabranch, None);
    let (mut opened, mut refused) = (Vec::new(), 0);
    for _ in 0..12 {
        match endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap().await {
            Ok(connection) => opened.push(connection),
            Err(_) => refused += 1,
        }
    }
    // Two at once without proof and two with it, and one more of each for every second that this took.
    assert!(opened.len() >= 4 && refused > 0, "{} opened, {refused} refused", opened.len());
    assert_eq!(node.sum(|stats| &stats.refused_rate), refused);
    assert!(node.sum(|stats| &stats.retries_sent) >= refused);
}
