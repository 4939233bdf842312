//! The same doors as over MQTT: certificates, tokens and passwords open them, nothing else does, and what they open is what was granted.

use super::{Quic, python};
use crate::beside::Beside;
use crate::credentials::{Issuer, PASSWORDS, authority, certificate, write};

/// One that may only publish, by a topic space for all topics.
const PUBLISHER: &str = r##"
[[topic_spaces]]
name = "all-topics"
templates = ["#"]

[[permission_bindings]]
group = "$all"
space = "all-topics"
permission = "publisher"
"##;

#[test]
fn every_proof_opens_the_door_and_nothing_else_does() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    let (ours, theirs) = (authority("ours"), authority("theirs"));
    let (issuer, stranger) = (Issuer::new(), Issuer::new());
    write(folder.path(), "ca.pem", &ours.pem());
    write(folder.path(), "passwords", PASSWORDS);
    write(folder.path(), "keys.json", &issuer.public());
    certificate(folder.path(), "server", &["localhost", "127.0.0.1"], &ours);
    certificate(folder.path(), "meter-7", &[], &ours);
    certificate(folder.path(), "stranger", &[], &theirs);
    let quic = Quic::with(
        python,
        &format!(
            "[listeners.quic.tls]\ncert_file = '{}'\nkey_file = '{}'\nclient_ca_file = '{}'\nclient_certificates = \"optional\"\n\n\
             [listeners.quic.access]\nanonymous = \"no\"\npassword_file = '{}'\n\n\
             [listeners.quic.access.jwt]\njwks_file = '{}'\naudience = [\"node\"]\n",
            path("server.pem"),
            path("server.key"),
            path("ca.pem"),
            path("passwords"),
            path("keys.json"),
        ),
    );
    quic.post(0..10);
    let subscribe = |how: &[&str]| {
        let mut client = quic.client(&["--ca", &path("ca.pem")]);
        Beside::start(client.args(how).args(["sub", "--from", "earliest", "--count", "10"]))
    };
    let (cert, key) = (path("meter-7.pem"), path("meter-7.key"));
    let (other_cert, other_key) = (path("stranger.pem"), path("stranger.key"));
    for how in [
        &["--cert", &cert, "--key", &key][..],
        &["--token", &issuer.token("node", 600)],
        &["--user", "meter-7", "--password", "correct horse"],
        // Token before password, password before certificate.
        &["--token", &issuer.token("node", 600), "--user", "meter-7", "--password", "wrong horse"],
        &["--user", "meter-7", "--password", "correct horse", "--cert", &other_cert, "--key", &other_key],
    ] {
        assert_eq!(subscribe(how).done().lines().count(), 10, "{how:?}");
    }
    for how in [
        &[][..],
        &["--cert", &other_cert, "--key", &other_key],
        &["--token", "none"],
        &["--token", &stranger.token("node", 600)],
        &["--token", &issuer.token("others", 600)],
        &["--token", &issuer.token("node", -600)],
        &["--user", "meter-7", "--password", "wrong horse"],
        &["--user", "meter-8", "--password", "correct horse"],
        &["--user", "meter-7", "--password", "wrong horse", "--cert", &cert, "--key", &key],
    ] {
        let mut refused = subscribe(how);
        assert!(
            !refused.ended().success() && refused.said().contains("unauthenticated"),
            "{how:?}: {}",
            refused.said()
        );
    }
}

#[test]
fn who_may_only_publish_can_not_subscribe() {
    let Some(python) = python() else { return };
    let folder = tempfile::tempdir().expect("a folder");
    write(folder.path(), "access.toml", PUBLISHER);
    let access = format!("[listeners.quic.access]\naccess_file = '{}/access.toml'\n", folder.path().display());
    let quic = Quic::with(python, &access);
    let mut publisher = quic.client(&["pub"]);
    let mut publisher = Beside::start(publisher.stdin(std::process::Stdio::piped()));
    let mut input = publisher.stdin();
    std::io::Write::write_all(&mut input, b"{\"data\":{\"n\":1}}\n").expect("it reads");
    drop(input);
    assert!(publisher.done().contains("\"acknowledged\":1"));
    let mut refused = Beside::start(&mut quic.client(&["sub"]));
    assert!(!refused.ended().success() && refused.said().contains("forbidden"), "{}", refused.said());
}
