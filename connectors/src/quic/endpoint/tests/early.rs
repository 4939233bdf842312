//! 0-RTT: what a resumed session says before its handshake is over.

use std::sync::Arc;
use std::time::Duration;

use tokio::net::UdpSocket;

use crate::quic::endpoint::{self, Alpn, QuicEndpointLimits};
use crate::quic::secret::QuicSecret;
use crate::quic::testing::{Ground, Node, ask, client_endpoint, serve};
use crate::quic::tls::QuicTls;
use crate::tls::ClientCertificates;

fn limits() -> QuicEndpointLimits {
    QuicEndpointLimits::default()
}

#[tokio::test]
async fn a_resumed_session_speaks_at_once() {
    let ground = Ground::new();
    let identity = ground.card("client", true);
    let node = Node::start(1, limits(), &ground.config(ClientCertificates::Required));
    let config = ground.client(Alpn::Anabranch, Some(&identity));
    let endpoint = client_endpoint();
    let connect = || endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap();
    let first = connect().await.unwrap();
    assert_eq!(ask(&first, "1").await.unwrap(), "core 0, anabranch/1, certificate verified: 1");
    first.close(0u32.into(), b"");
    let Ok((second, accepted)) = connect().into_0rtt() else { panic!("there was a session to resume") };
    let answer = ask(&second, "2").await.unwrap();
    assert!(accepted.await, "the node took no 0-RTT");
    // The certificate is that of the session. Whether the core saw the stream before the end of the handshake is up to the network.
    assert!(answer.starts_with("core 0, anabranch/1, certificate verified"), "{answer}");
    assert_eq!(ask(&second, "3").await.unwrap(), "core 0, anabranch/1, certificate verified: 3");
}

#[tokio::test]
async fn what_comes_before_the_end_of_the_handshake_is_bounded() {
    let ground = Ground::new();
    let limits = QuicEndpointLimits { early_bytes_max: 4096, ..limits() };
    let node = Node::start(1, limits, &ground.config(ClientCertificates::None));
    let config = ground.client(Alpn::Anabranch, None);
    let endpoint = client_endpoint();
    let connect = || endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap();
    let first = connect().await.unwrap();
    ask(&first, "1").await.unwrap();
    first.close(0u32.into(), b"");
    let Ok((second, _)) = connect().into_0rtt() else { panic!("there was a session to resume") };
    let (mut send, _receive) = second.open_bi().await.unwrap();
    let written = send.write(&[7; 60_000]).await.unwrap();
    assert!(written <= 4096, "{written} bytes of 0-RTT");
    // Behind the handshake there is room for more than that.
    send.write_all(&[7; 60_000]).await.unwrap();
}

#[tokio::test]
async fn mqtt_waits_for_the_end_of_the_handshake() {
    let ground = Ground::new();
    let node = Node::start(1, limits(), &ground.config(ClientCertificates::None));
    let config = ground.client(Alpn::Mqtt, None);
    let endpoint = client_endpoint();
    let connect = || endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap();
    let first = connect().await.unwrap();
    assert_eq!(ask(&first, "1").await.unwrap(), "core 0, mqtt, certificate none: 1");
    first.close(0u32.into(), b"");
    let Ok((second, _)) = connect().into_0rtt() else { panic!("there was a session to resume") };
    assert_eq!(ask(&second, "2").await.unwrap(), "core 0, mqtt, certificate none: 2");
    assert_eq!(node.sum(|stats| &stats.early_connections), 0);
}

/// Between a client and a node; keeps what the client sent before the node said anything.
async fn relay(clients: UdpSocket, node: std::net::SocketAddr, first_flight: Arc<std::sync::Mutex<Vec<Vec<u8>>>>) {
    let nodes = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let (mut from_client, mut from_node) = (vec![0; 2000], vec![0; 2000]);
    let (mut client, mut has_node_spoken) = (None, false);
    loop {
        tokio::select! {
            got = clients.recv_from(&mut from_client) => {
                let (length, from) = got.unwrap();
                client = Some(from);
                if !has_node_spoken {
                    first_flight.lock().unwrap().push(from_client[..length].to_vec());
                }
                nodes.send_to(&from_client[..length], node).await.unwrap();
            }
            got = nodes.recv(&mut from_node) => {
                has_node_spoken = true;
                clients.send_to(&from_node[..got.unwrap()], client.expect("the client came first")).await.unwrap();
            }
        }
    }
}

#[tokio::test]
async fn what_was_said_in_0rtt_cannot_be_said_again_by_others() {
    let ground = Ground::new();
    let limits = QuicEndpointLimits { handshake_timeout_ms: 300, ..limits() };
    let node = Node::start(1, limits, &ground.config(ClientCertificates::None));
    let config = ground.client(Alpn::Anabranch, None);
    let endpoint = client_endpoint();
    let first = endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap().await.unwrap();
    ask(&first, "1").await.unwrap();
    let between = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let at = between.local_addr().unwrap();
    let flight = Arc::default();
    let relay = tokio::spawn(relay(between, node.listener.addr, Arc::clone(&flight)));
    let Ok((second, accepted)) = endpoint.connect_with(config, at, "localhost").unwrap().into_0rtt() else {
        panic!("there was a session to resume")
    };
    ask(&second, "pay 1 €").await.unwrap();
    assert!(accepted.await);
    second.close(0u32.into(), b"");
    node.until(|stats| &stats.connections_closed, |closed| closed == 1).await;
    let (before, early) = (node.sum(|stats| &stats.arrivals), node.sum(|stats| &stats.early_connections));
    let thief = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // Until the node has forgotten the connection that this was part of, it takes it for a repetition.
    while node.sum(|stats| &stats.arrivals) == before {
        let flight = flight.lock().unwrap().clone();
        assert!(!flight.is_empty());
        for datagram in flight {
            thief.send_to(&datagram, node.listener.addr).await.unwrap();
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    node.until(|stats| &stats.handshakes_timed_out, |ended| ended > 0).await;
    assert_eq!(node.sum(|stats| &stats.early_connections), early);
    assert_eq!(node.sum(|stats| &stats.connections_opened), 2);
    relay.abort();
}

/// Client and node take turns on one thread, so that the node sees the stream before the client can have ended the handshake.
#[tokio::test]
async fn a_core_is_told_what_comes_before_the_end_of_the_handshake() {
    let local = tokio::task::LocalSet::new();
    let test = async {
        let ground = Ground::new();
        let secret = QuicSecret::random().unwrap();
        let config = ground.config(ClientCertificates::None);
        let tls = Arc::new(QuicTls::load(&config, &limits(), &secret).unwrap());
        let addr = "127.0.0.1:0".parse().unwrap();
        let (listener, mut sockets) = endpoint::open(addr, 1, limits(), &secret, tls).unwrap();
        let core = sockets.remove(0).start().unwrap();
        let serving = async move { core.accept(|arrived| drop(tokio::task::spawn_local(serve(0, arrived)))).await };
        tokio::task::spawn_local(serving);
        let client = ground.client(Alpn::Anabranch, None);
        let endpoint = client_endpoint();
        let connect = || endpoint.connect_with(client.clone(), listener.addr, "localhost").unwrap();
        let first = connect().await.unwrap();
        assert_eq!(ask(&first, "1").await.unwrap(), "core 0, anabranch/1, certificate none: 1");
        let Ok((second, _)) = connect().into_0rtt() else { panic!("there was a session to resume") };
        assert_eq!(ask(&second, "2").await.unwrap(), "core 0, anabranch/1, certificate none, early: 2");
        assert_eq!(ask(&second, "3").await.unwrap(), "core 0, anabranch/1, certificate none: 3");
    };
    local.run_until(test).await;
}
