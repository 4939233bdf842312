//! Fingerprints, the development certificate, and clients' files; handshakes are tried in the tests of `endpoint`.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::quic::endpoint::{Alpn, QuicEndpointLimits};
use crate::quic::testing::{Ground, Node, ask, client_endpoint};

fn fingerprint_of(config: &TlsConfig) -> Fingerprint {
    let secret = QuicSecret::random().unwrap();
    QuicTls::load(config, &QuicEndpointLimits::default(), &secret).unwrap().fingerprint()
}

#[test]
fn a_fingerprint_is_read_as_it_is_written_and_as_openssl_writes_it() {
    let ground = Ground::new();
    let fingerprint = fingerprint_of(&ground.config(crate::tls::ClientCertificates::None));
    let text = fingerprint.to_string();
    assert!(text.starts_with("sha256:") && text.len() == 71, "{text}");
    assert_eq!(text.parse(), Ok(fingerprint));
    let digits = text["sha256:".len()..].to_uppercase();
    assert_eq!(digits.parse(), Ok(fingerprint));
    let pairs: Vec<&str> = (0..32).map(|at| &digits[2 * at..2 * at + 2]).collect();
    assert_eq!(format!(" {}\n", pairs.join(":")).parse(), Ok(fingerprint));
    for wrong in ["", "sha256:", &digits[1..], &format!("{digits}00"), &digits.replace(&digits[..1], "g"), "sha25é:"] {
        assert_eq!(wrong.parse::<Fingerprint>(), Err(FingerprintError), "{wrong}");
    }
}

#[test]
fn the_development_certificate_is_made_once_and_its_key_is_private() {
    let folder = tempfile::tempdir().unwrap();
    let config = development_certificate(folder.path(), &["node.example".to_owned()]).unwrap();
    assert_eq!(config.cert_file, folder.path().join("quic/dev-cert.pem"));
    assert_eq!(std::fs::metadata(&config.key_file).unwrap().permissions().mode() & 0o777, 0o600);
    let made = fingerprint_of(&config);
    assert_eq!(fingerprint_of(&development_certificate(folder.path(), &[]).unwrap()), made);
    // One file without the other is of no use.
    std::fs::remove_file(&config.key_file).unwrap();
    assert_ne!(fingerprint_of(&development_certificate(folder.path(), &[]).unwrap()), made);
}

#[tokio::test]
async fn a_client_trusts_a_fingerprint_or_anybody_but_not_a_stranger() {
    let folder = tempfile::tempdir().unwrap();
    let config = development_certificate(folder.path(), &[]).unwrap();
    let node = Node::start(1, QuicEndpointLimits::default(), &config);
    let endpoint = client_endpoint();
    let wrong: Fingerprint = "00".repeat(32).parse().unwrap();
    let ground = Ground::new();
    let cases = [
        (ServerTrust::Fingerprint(node.tls.fingerprint()), true),
        (ServerTrust::Fingerprint(wrong), false),
        (ServerTrust::Insecure, true),
        (ServerTrust::Authorities(ground.path("ca.pem")), false),
        (ServerTrust::Authorities(config.cert_file.clone()), true),
    ];
    for (trust, is_trusted) in cases {
        let client = client_config(&trust, None, Alpn::Anabranch).unwrap();
        let connected = endpoint.connect_with(client, node.listener.addr, "localhost").unwrap().await;
        match connected {
            Ok(connection) => {
                assert!(is_trusted, "{trust:?}");
                ask(&connection, "hello").await.unwrap();
            }
            Err(error) => assert!(!is_trusted, "{trust:?}: {error}"),
        }
    }
}

#[test]
fn a_clients_wrong_files_are_named() {
    let ground = Ground::new();
    let none = ServerTrust::Authorities(ground.path("none.pem"));
    let error = client_config(&none, None, Alpn::Mqtt).unwrap_err().to_string();
    assert!(error.contains("none.pem"), "{error}");
    let (one, other) = (ground.card("one", true), ground.card("other", true));
    let mixed = ClientIdentity { cert_file: one.cert_file, key_file: other.key_file };
    let error = client_config(&ServerTrust::Insecure, Some(&mixed), Alpn::Mqtt).unwrap_err().to_string();
    assert!(error.contains("one.pem") && error.contains("other.key"), "{error}");
}
