//! TLS with client certificates, tokens and passwords: others' clients get in by them, and not without.

use std::process::Command;

use super::{Beside, has_mosquitto_clients, mqtt_js, paho, with_mqtt_js, with_paho};
use crate::credentials::{Issuer, PASSWORDS, authority, certificate, write};
use crate::mqtt_broker::Broker;

/// Files of a test, and a broker that asks for certificates.
struct Secured {
    folder: tempfile::TempDir,
    broker: Broker,
}

impl Secured {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (ours, theirs) = (authority("ours"), authority("theirs"));
        write(folder.path(), "ca.pem", &ours.pem());
        certificate(folder.path(), "server", &["localhost", "127.0.0.1"], &ours);
        certificate(folder.path(), "meter-7", &[], &ours);
        certificate(folder.path(), "stranger", &[], &theirs);
        let at = folder.path().display();
        let broker = Broker::with(&format!(
            "tls_listen = \"127.0.0.1:0\"\nwss_listen = \"127.0.0.1:0\"\n\n[listeners.mqtt.tls]\ncert_file = '{at}/server.pem'\n\
             key_file = '{at}/server.key'\nclient_ca_file = '{at}/ca.pem'\nclient_certificates = \"required\"\n\n\
             [listeners.mqtt.access]\nanonymous = \"no\"\n"
        ));
        Self { folder, broker }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn url(&self, scheme: &str) -> String {
        format!("{scheme}://localhost:{}", self.broker.node().address(scheme).rsplit(':').next().expect("a port"))
    }
}

#[test]
fn client_certificates_open_the_door() {
    let secured = Secured::new();
    let (ca, cert, key) = (secured.path("ca.pem"), secured.path("meter-7.pem"), secured.path("meter-7.key"));
    for scheme in ["mqtts", "wss"] {
        let url = secured.url(scheme);
        if let Some(python) = paho() {
            Beside::start(&mut with_paho(&python, &[&url, "talk", "--ca", &ca, "--cert", &cert, "--key", &key])).done();
        }
        if let Some(module) = mqtt_js() {
            let mut command = with_mqtt_js(&module, &[&url, "talk"]);
            Beside::start(command.env("CA", &ca).env("CERT", &cert).env("KEY", &key)).done();
        }
    }
}

#[test]
fn without_a_good_certificate_the_door_is_shut() {
    if !has_mosquitto_clients() {
        return;
    }
    let secured = Secured::new();
    let url = secured.url("mqtts");
    let port = url.rsplit(':').next().expect("a port");
    let publish = |more: &[&str]| {
        let base =
            ["-h", "localhost", "-p", port, "-q", "1", "-t", "t", "-m", "x", "--cafile", &secured.path("ca.pem")]
                .map(str::to_owned);
        Beside::start(Command::new("mosquitto_pub").args(base).args(more)).ended().success()
    };
    let (cert, key) = (secured.path("meter-7.pem"), secured.path("meter-7.key"));
    assert!(publish(&["--cert", &cert, "--key", &key]));
    assert!(publish(&["--cert", &cert, "--key", &key, "--tls-version", "tlsv1.2"]));
    assert!(!publish(&["--cert", &secured.path("stranger.pem"), "--key", &secured.path("stranger.key")]));
    assert!(!publish(&[]));
    // Plain TCP is no way around.
    let plain = ["-h", "127.0.0.1", "-p", secured.broker.port(), "-q", "1", "-t", "t", "-m", "x"];
    assert!(!Beside::start(Command::new("mosquitto_pub").args(plain)).ended().success());
}

#[test]
fn tokens_open_the_door() {
    let Some(python) = paho() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let (ours, theirs) = (Issuer::new(), Issuer::new());
    write(folder.path(), "keys.json", &ours.public());
    let broker = Broker::with(&format!(
        "[listeners.mqtt.access]\nanonymous = \"no\"\n[listeners.mqtt.access.jwt]\njwks_file = '{}/keys.json'\naudience = [\"node\"]\n",
        folder.path().display()
    ));
    let url = format!("mqtt://{}", broker.address());
    let with = |how: &[&str]| Beside::start(&mut with_paho(&python, &[&[url.as_str(), "talk"], how].concat()));
    with(&["--user", "meter-7", "--password", &ours.token("node", 600)]).done();
    let mut bad = vec![
        with(&[]),
        with(&["--user", "meter-7", "--password", "no token"]),
        with(&["--user", "meter-7", "--password", &theirs.token("node", 600)]),
        with(&["--user", "meter-7", "--password", &ours.token("others", 600)]),
        with(&["--user", "meter-7", "--password", &ours.token("node", -600)]),
    ];
    for refused in &mut bad {
        assert!(!refused.ended().success(), "{}", refused.said());
    }
}

#[test]
fn passwords_open_the_door() {
    if !has_mosquitto_clients() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "passwords", PASSWORDS);
    let broker = Broker::with(&format!(
        "[listeners.mqtt.access]\nanonymous = \"no\"\npassword_file = '{}/passwords'\n",
        folder.path().display()
    ));
    let publish = |version: &str, more: &[&str]| {
        let base = ["-h", "127.0.0.1", "-p", broker.port(), "-V", version, "-q", "1", "-t", "t", "-m", "x"];
        Beside::start(Command::new("mosquitto_pub").args(base).args(more)).ended().success()
    };
    for version in ["mqttv31", "mqttv311", "mqttv5"] {
        assert!(publish(version, &["-u", "meter-7", "-P", "correct horse"]), "{version}");
        assert!(!publish(version, &["-u", "meter-7", "-P", "wrong horse"]));
        assert!(!publish(version, &["-u", "meter-8", "-P", "correct horse"]));
        assert!(!publish(version, &["-u", "meter-7"]));
        assert!(!publish(version, &[]));
    }
}
