//! TLS: versions, client certificates by authority and without, resumption, reload, and clients that just hang up.

use std::path::PathBuf;
use std::sync::Arc;

use rcgen::{BasicConstraints, Certificate, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::client::Resumption;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, HandshakeKind, RootCertStore, SupportedProtocolVersion};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::mqtt::tls::{ClientCertificates, TlsConfig};

/// An authority and files of a server of it.
pub(super) struct Ground {
    folder: TempDir,
    authority: Certificate,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key.
pub(super) struct Card {
    certificate: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
}

impl Card {
    fn new(name: &str, issuer: Option<&Issuer<'static, KeyPair>>) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = match issuer {
            Some(issuer) => params.signed_by(&key, issuer).unwrap(),
            None => params.self_signed(&key).unwrap(),
        };
        let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
        Self { certificate: certificate.der().clone(), key }
    }
}

impl Ground {
    pub(super) fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let authority = params.self_signed(&key).unwrap();
        let ground = Self { folder: tempfile::tempdir().unwrap(), authority, issuer: Issuer::new(params, key) };
        std::fs::write(ground.path("ca.pem"), ground.authority.pem()).unwrap();
        ground.renew_server();
        ground
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a new certificate of the server and its key.
    fn renew_server(&self) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        std::fs::write(self.path("cert.pem"), params.signed_by(&key, &self.issuer).unwrap().pem()).unwrap();
        std::fs::write(self.path("key.pem"), key.serialize_pem()).unwrap();
    }

    pub(super) fn source(&self, wanted: ClientCertificates, has_authority: bool) -> TlsSource {
        TlsSource::load(&TlsConfig {
            cert_file: self.path("cert.pem"),
            key_file: self.path("key.pem"),
            client_ca_file: has_authority.then(|| self.path("ca.pem")),
            client_certificates: wanted,
        })
        .unwrap_or_else(|error| panic!("{error}"))
    }

    pub(super) fn connector(&self, version: &'static SupportedProtocolVersion, card: Option<Card>) -> TlsConnector {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[version])
            .unwrap()
            .with_root_certificates(roots);
        let mut config = match card {
            Some(card) => builder.with_client_auth_cert(vec![card.certificate], card.key).unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.resumption = Resumption::in_memory_sessions(8);
        TlsConnector::from(Arc::new(config))
    }
}

pub(super) async fn connect(
    connector: &TlsConnector,
    source: &TlsSource,
) -> (io::Result<TlsStream<TcpStream>>, io::Result<Transport>) {
    let (client, server) = pair().await;
    tokio::join!(connector.connect(ServerName::try_from("localhost").unwrap(), client), accept_tls(server, source))
}

#[tokio::test]
async fn both_versions_carry_bytes() {
    let ground = Ground::new();
    let source = ground.source(ClientCertificates::None, false);
    for version in [&TLS12, &TLS13] {
        let (client, server) = connect(&ground.connector(version, None), &source).await;
        let (mut client, server) = (client.unwrap(), server.unwrap());
        assert_eq!((server.kind(), server.certificate()), ("tls", None));
        let server = echo(server);
        let sent = pattern(300_000);
        let (mut reader, mut writer) = tokio::io::split(&mut client);
        let back = async {
            let mut back = Vec::new();
            reader.read_to_end(&mut back).await.map(|_| back)
        };
        let there = async {
            writer.write_all(&sent).await?;
            writer.shutdown().await
        };
        let (back, there) = tokio::join!(back, there);
        there.unwrap();
        assert_eq!(back.unwrap(), sent);
        server.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn a_client_that_hangs_up_without_a_word_has_ended() {
    let ground = Ground::new();
    let source = ground.source(ClientCertificates::None, false);
    let (client, server) = connect(&ground.connector(&TLS13, None), &source).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.write_all(b"last words").await.unwrap();
    client.flush().await.unwrap();
    client.get_mut().0.shutdown().await.unwrap();
    assert_eq!(read(&mut server, 100).await.unwrap(), b"last words");
    assert_eq!(read(&mut server, 100).await.unwrap(), b"");
}

#[tokio::test]
async fn what_a_client_certificate_proves() {
    use ClientCertificates::{None as No, Optional, Required};
    let ground = Ground::new();
    let ours = || Some(Card::new("Veh-7", Some(&ground.issuer)));
    let own = || Some(Card::new("Veh-7", None));
    let nothing = || None::<Card>;
    // What is asked for, whether there are authorities, what is shown; whether that is let through, shown on, and verified.
    let cases = [
        (No, false, ours(), Some(None)),
        (Optional, false, nothing(), Some(None)),
        (Optional, false, ours(), Some(Some(false))),
        (Optional, false, own(), Some(Some(false))),
        (Optional, true, ours(), Some(Some(true))),
        (Optional, true, own(), Some(Some(false))),
        (Required, true, ours(), Some(Some(true))),
        (Required, true, own(), None),
        (Required, true, nothing(), None),
        (Required, false, nothing(), None),
        (Required, false, own(), Some(Some(false))),
    ];
    for (at, (wanted, has_authority, card, expected)) in cases.into_iter().enumerate() {
        let der = card.as_ref().map(|card| card.certificate.to_vec());
        let source = ground.source(wanted, has_authority);
        let version = if at % 2 == 0 { &TLS13 } else { &TLS12 };
        let (_client, server) = connect(&ground.connector(version, card), &source).await;
        let found = server.ok().map(|server| server.certificate());
        let shown = found.as_ref().map(|found| found.as_ref().map(|certificate| certificate.is_verified));
        assert_eq!(shown, expected, "case {at}");
        if let Some(Some(certificate)) = found {
            assert_eq!(Some(certificate.der), der, "case {at}");
        }
    }
}

/// One connection that says a byte each way, so that tickets arrive; whether it was resumed, and the server's certificate.
async fn visit(connector: &TlsConnector, source: &TlsSource) -> (HandshakeKind, Vec<u8>, Option<ClientCertificate>) {
    let (client, server) = connect(connector, source).await;
    let (mut client, mut server) = (client.unwrap(), server.unwrap());
    client.write_all(b"a").await.unwrap();
    assert_eq!(read(&mut server, 10).await.unwrap(), b"a");
    write(&mut server, b"b").await.unwrap();
    assert_eq!(client.read_u8().await.unwrap(), b'b');
    let session = client.get_ref().1;
    let der = session.peer_certificates().and_then(|chain| chain.first()).map(|leaf| leaf.to_vec()).unwrap_or_default();
    (session.handshake_kind().unwrap(), der, server.certificate())
}

#[tokio::test]
async fn a_reload_changes_new_connections_only_and_ends_old_tickets() {
    let ground = Ground::new();
    let source = ground.source(ClientCertificates::Optional, true);
    for version in [&TLS12, &TLS13] {
        let connector = ground.connector(version, Some(Card::new("Veh-7", Some(&ground.issuer))));
        let (standing_client, standing) = connect(&connector, &source).await;
        let (mut standing_client, mut standing) = (standing_client.unwrap(), standing.unwrap());
        let (_, before, certificate) = visit(&connector, &source).await;
        assert!(certificate.as_ref().is_some_and(|certificate| certificate.is_verified));
        let (kind, _, again) = visit(&connector, &source).await;
        assert_eq!((kind, &again), (HandshakeKind::Resumed, &certificate), "a resumed session is the same client");
        ground.renew_server();
        let (_, unchanged, _) = visit(&connector, &source).await;
        assert_eq!(unchanged, before);
        source.reload().unwrap();
        let (kind, after, renewed) = visit(&connector, &source).await;
        assert_ne!(after, before);
        assert!(kind != HandshakeKind::Resumed && renewed == certificate);
        standing_client.write_all(b"still here").await.unwrap();
        assert_eq!(read(&mut standing, 100).await.unwrap(), b"still here");
    }
}

#[tokio::test]
async fn what_is_no_tls_is_refused() {
    let ground = Ground::new();
    let source = ground.source(ClientCertificates::None, false);
    let (mut client, server) = pair().await;
    client.write_all(b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x3c\x00\x00").await.unwrap();
    let error = accept_tls(server, &source).await.expect_err("no TLS");
    assert_eq!(error.kind(), io::ErrorKind::InvalidData);
}
