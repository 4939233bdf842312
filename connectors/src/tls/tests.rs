//! Files that cannot be used, and reloads; handshakes are tried in the tests of `transport`.

use std::path::Path;

use rcgen::{CertificateParams, KeyPair};

use super::*;

/// A self-signed certificate with its key, as the two files of a server.
fn write_pair(folder: &Path) {
    let key = KeyPair::generate().unwrap();
    let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
    std::fs::write(folder.join("cert.pem"), certificate.pem()).unwrap();
    std::fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

fn config(folder: &Path) -> TlsConfig {
    TlsConfig {
        cert_file: folder.join("cert.pem"),
        key_file: folder.join("key.pem"),
        client_ca_file: None,
        client_certificates: ClientCertificates::Optional,
    }
}

#[test]
fn each_wrong_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path());
    let good = config(folder.path());
    assert!(TlsSource::load(&good).is_ok());
    let other = folder.path().join("other.pem");
    std::fs::write(&other, KeyPair::generate().unwrap().serialize_pem()).unwrap();
    let empty = folder.path().join("empty.pem");
    std::fs::write(&empty, "nothing in it\n").unwrap();
    let broken = folder.path().join("broken.pem");
    std::fs::write(&broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
    let none = folder.path().join("none.pem");
    let cases = [
        (TlsConfig { cert_file: none.clone(), ..good.clone() }, "cannot read certificates from", "none.pem"),
        (TlsConfig { cert_file: empty.clone(), ..good.clone() }, "holds no certificate", "empty.pem"),
        (TlsConfig { cert_file: broken.clone(), ..good.clone() }, "cannot be used", "broken.pem"),
        (TlsConfig { key_file: none.clone(), ..good.clone() }, "cannot read a private key from", "none.pem"),
        (TlsConfig { key_file: empty.clone(), ..good.clone() }, "cannot read a private key from", "empty.pem"),
        (TlsConfig { key_file: other, ..good.clone() }, "cannot be used", "other.pem"),
        (TlsConfig { client_ca_file: Some(none), ..good.clone() }, "cannot read certificates from", "none.pem"),
        (TlsConfig { client_ca_file: Some(empty), ..good.clone() }, "holds no certificate", "empty.pem"),
        (TlsConfig { client_ca_file: Some(broken), ..good.clone() }, "an authority in", "broken.pem"),
    ];
    for (config, what, file) in cases {
        let error = TlsSource::load(&config).expect_err(what).to_string();
        assert!(error.contains(what) && error.contains(file), "{error}");
    }
}

#[test]
fn a_failed_reload_keeps_what_was() {
    let folder = tempfile::tempdir().unwrap();
    write_pair(folder.path());
    let source = TlsSource::load(&config(folder.path())).unwrap();
    let before = source.loaded.load_full();
    std::fs::write(folder.path().join("key.pem"), KeyPair::generate().unwrap().serialize_pem()).unwrap();
    assert!(matches!(source.reload(), Err(TlsError::Pair { .. })));
    assert!(Arc::ptr_eq(&before, &source.loaded.load_full()));
    write_pair(folder.path());
    source.reload().unwrap();
    assert!(!Arc::ptr_eq(&before, &source.loaded.load_full()));
}

#[test]
fn settings_are_read_and_checked() {
    let config: TlsConfig = toml::from_str(
        "cert_file = \"c\"\nkey_file = \"k\"\nclient_ca_file = \"a\"\nclient_certificates = \"required\"",
    )
    .unwrap();
    assert_eq!(config.client_certificates, ClientCertificates::Required);
    assert_eq!(config.problems(), []);
    let fields = |text: &str| {
        let config: TlsConfig = toml::from_str(text).unwrap();
        config.problems().into_iter().map(|problem| problem.field).collect::<Vec<_>>()
    };
    assert_eq!(fields("cert_file = \"\"\nkey_file = \"\""), ["tls.cert_file", "tls.key_file"]);
    assert_eq!(fields("cert_file = \"c\"\nkey_file = \"k\"\nclient_ca_file = \"a\""), ["tls.client_certificates"]);
    assert!(toml::from_str::<TlsConfig>("cert_file = \"c\"").is_err());
    assert!(toml::from_str::<TlsConfig>("cert_file = \"c\"\nkey_file = \"k\"\nciphers = \"all\"").is_err());
}
