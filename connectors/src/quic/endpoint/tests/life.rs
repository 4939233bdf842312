//! Connections from their handshake on: cores, protocols, 0-RTT, certificates, migration, restarts.

use std::collections::BTreeSet;

use quinn::ConnectionError;

use crate::quic::endpoint::{Alpn, QuicEndpointLimits};
use crate::quic::secret::QuicSecret;
use crate::quic::testing::{Ground, Node, ask, client_endpoint};
use crate::quic::tls::{ServerTrust, client_config};
use crate::tls::ClientCertificates;

fn limits() -> QuicEndpointLimits {
    QuicEndpointLimits::default()
}

/// The core that an answer names.
fn core_of(answer: &str) -> &str {
    answer.split(',').next().unwrap()
}

#[tokio::test]
async fn connections_spread_over_the_cores_and_are_counted() {
    let ground = Ground::new();
    let node = Node::start(2, limits(), &ground.config(ClientCertificates::None));
    let config = ground.client(Alpn::Anabranch, None);
    let mut seen = BTreeSet::new();
    let mut open = Vec::new();
    // The system chooses by port; that forty ports all lead to one core happens once in a trillion.
    while seen.len() < 2 && open.len() < 40 {
        let endpoint = client_endpoint();
        let connection = endpoint.connect_with(config.clone(), node.listener.addr, "localhost").unwrap().await.unwrap();
        let answer = ask(&connection, "hello").await.unwrap();
        assert!(answer.ends_with(", anabranch/1, certificate none: hello"), "{answer}");
        seen.insert(core_of(&answer).to_owned());
        open.push((endpoint, connection));
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), ["core 0", "core 1"]);
    assert_eq!(node.sum(|stats| &stats.connections_opened), open.len() as u64);
    assert_eq!(node.listener.connections(), open.len());
    drop(open);
    let opened = node.sum(|stats| &stats.connections_opened);
    node.until(|stats| &stats.connections_closed, |closed| closed == opened).await;
    assert_eq!(node.listener.connections(), 0);
}

#[tokio::test]
async fn a_client_without_a_protocol_in_common_is_told_so() {
    let ground = Ground::new();
    let node = Node::start(1, limits(), &ground.config(ClientCertificates::None));
    for protocols in [vec![b"h3".to_vec()], Vec::new()] {
        let mut tls = rustls::ClientConfig::builder_with_provider(rustls::crypto::aws_lc_rs::default_provider().into())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .unwrap()
            .with_root_certificates(crate::tls::roots(&ground.path("ca.pem")).unwrap())
            .with_no_client_auth();
        tls.alpn_protocols = protocols;
        let crypto = quinn::crypto::rustls::QuicClientConfig::try_from(tls).unwrap();
        let config = quinn::ClientConfig::new(std::sync::Arc::new(crypto));
        let connecting = client_endpoint().connect_with(config, node.listener.addr, "localhost").unwrap();
        let error = connecting.await.unwrap_err();
        // The alert `no_application_protocol` of TLS, and its text.
        let ConnectionError::ConnectionClosed(closed) = &error else { panic!("{error:?}") };
        assert_eq!(u64::from(closed.error_code), 0x100 + 120, "{error}");
        assert!(error.to_string().contains("protocol"), "{error}");
    }
    node.until(|stats| &stats.handshakes_failed, |failed| failed == 2).await;
    assert_eq!(node.listener.connections(), 0);
}

#[tokio::test]
async fn clients_show_certificates_as_the_settings_say() {
    let ground = Ground::new();
    let (signed, unsigned) = (ground.card("signed", true), ground.card("unsigned", false));
    let cases = [
        (ClientCertificates::Required, Some(&signed), Some("verified")),
        (ClientCertificates::Required, Some(&unsigned), None),
        (ClientCertificates::Required, None, None),
        (ClientCertificates::Optional, Some(&unsigned), Some("none")),
        (ClientCertificates::Optional, None, Some("none")),
        (ClientCertificates::None, Some(&signed), Some("none")),
    ];
    for (wanted, identity, expected) in cases {
        let node = Node::start(1, limits(), &ground.config(wanted));
        let config = ground.client(Alpn::Anabranch, identity);
        let endpoint = client_endpoint();
        let connecting = endpoint.connect_with(config, node.listener.addr, "localhost").unwrap();
        // The client's part may be over before the node has refused its certificate.
        let answer = match connecting.await {
            Ok(connection) => ask(&connection, "hello").await.ok(),
            Err(_) => None,
        };
        match expected {
            Some(trust) if wanted == ClientCertificates::Optional && identity.is_some() => {
                assert_eq!(answer.as_deref(), Some("core 0, anabranch/1, certificate unknown: hello"), "{trust}");
            }
            Some(trust) => {
                assert_eq!(answer, Some(format!("core 0, anabranch/1, certificate {trust}: hello")), "{wanted:?}");
            }
            None => {
                assert_eq!(answer, None, "{wanted:?} {identity:?}");
                node.until(|stats| &stats.handshakes_failed, |failed| failed == 1).await;
            }
        }
    }
}

#[tokio::test]
async fn new_certificates_are_shown_to_new_connections_only() {
    let ground = Ground::new();
    let node = Node::start(2, limits(), &ground.config(ClientCertificates::None));
    let pinned = |fingerprint| client_config(&ServerTrust::Fingerprint(fingerprint), None, Alpn::Anabranch).unwrap();
    let before = node.tls.fingerprint();
    let endpoint = client_endpoint();
    let connect = |config| endpoint.connect_with(config, node.listener.addr, "any.name").unwrap();
    let old = connect(pinned(before)).await.unwrap();
    ask(&old, "before").await.unwrap();
    std::fs::write(ground.path("server.key"), "no key").unwrap();
    node.listener.reload().unwrap_err();
    assert_eq!(node.tls.fingerprint(), before);
    ground.card("server", false);
    node.listener.reload().unwrap();
    let after = node.tls.fingerprint();
    assert_ne!(before, after);
    let new = connect(pinned(after)).await.unwrap();
    ask(&new, "after").await.unwrap();
    ask(&old, "still there").await.unwrap();
    let refused = connect(pinned(before)).await.unwrap_err();
    assert!(matches!(refused, ConnectionError::TransportError(_)), "{refused:?}");
}

#[tokio::test]
async fn a_client_that_changes_its_port_keeps_its_connection_and_its_core() {
    let ground = Ground::new();
    let node = Node::start(2, limits(), &ground.config(ClientCertificates::None));
    let endpoint = client_endpoint();
    let config = ground.client(Alpn::Anabranch, None);
    let connection = endpoint.connect_with(config, node.listener.addr, "localhost").unwrap().await.unwrap();
    let answer = ask(&connection, "first").await.unwrap();
    let core = core_of(&answer);
    // Each new port leads to the other core's socket in one of two cases.
    for turn in 0..20 {
        endpoint.rebind(std::net::UdpSocket::bind("127.0.0.1:0").unwrap()).unwrap();
        let question = "x".repeat(20_000);
        assert_eq!(core_of(&ask(&connection, &question).await.unwrap()), core, "after {turn} changes");
    }
    assert!(node.sum(|stats| &stats.steered_out) > 0, "no port led to the other core");
    assert!(node.sum(|stats| &stats.steered_in) > 0);
    assert_eq!(node.sum(|stats| &stats.steer_dropped), 0);
    assert_eq!(node.sum(|stats| &stats.steer_forged), 0);
    assert_eq!(node.sum(|stats| &stats.connections_opened), 1);
}

#[tokio::test]
async fn a_client_hears_of_a_restart_with_its_next_packet() {
    let ground = Ground::new();
    let secret = QuicSecret::random().unwrap();
    let config = ground.config(ClientCertificates::None);
    let node = Node::start_at("127.0.0.1:0".parse().unwrap(), 2, limits(), &config, &secret);
    let addr = node.listener.addr;
    let endpoint = client_endpoint();
    let client = ground.client(Alpn::Anabranch, None);
    let connection = endpoint.connect_with(client, addr, "localhost").unwrap().await.unwrap();
    ask(&connection, "before").await.unwrap();
    drop(node);
    let _node = Node::start_at(addr, 2, limits(), &config, &secret);
    // Without the secret it would have to wait for its idle timeout of 30 s.
    let asked = tokio::time::timeout(std::time::Duration::from_secs(10), ask(&connection, "after")).await;
    asked.expect("the client still waits").unwrap_err();
    assert_eq!(connection.close_reason(), Some(ConnectionError::Reset));
}
