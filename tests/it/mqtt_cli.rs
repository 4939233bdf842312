//! `anabranch mqtt` against the real node: what is published is printed, and what is refused says why.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::mqtt_broker::Broker;
use crate::support::{binary, eventually, run};

/// The commands against a broker of the test's own.
struct Shell {
    broker: Broker,
}

impl Shell {
    fn start() -> Self {
        Self::with("")
    }

    fn with(settings: &str) -> Self {
        Self { broker: Broker::with(settings) }
    }

    fn url(&self) -> String {
        format!("mqtt://{}", self.broker.address())
    }

    /// `anabranch mqtt WORDS --url …`, to its end.
    fn mqtt(&self, words: &[&str], stdin: &str) -> (i32, String, String) {
        mqtt(words, &self.url(), stdin)
    }

    /// The same beside the test.
    fn beside(&self, words: &[&str]) -> Beside {
        Beside::start(words, &self.url())
    }

    /// A subscriber that is subscribed.
    fn sub(&self, words: &[&str]) -> Beside {
        let mut beside = self.beside(&[&["sub"], words].concat());
        beside.until_subscribed();
        beside
    }
}

fn mqtt(words: &[&str], url: &str, stdin: &str) -> (i32, String, String) {
    run(&[&["mqtt"], words, &["--url", url]].concat(), stdin)
}

/// A command that runs beside the test. Killed when it is dropped.
struct Beside {
    child: Child,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Beside {
    fn start(words: &[&str], url: &str) -> Self {
        let mut child = Command::new(binary())
            .arg("mqtt")
            .args(words)
            .args(["--url", url])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("starts");
        let stderr = BufReader::new(child.stderr.take().expect("piped"));
        Self { child, stderr }
    }

    fn until_subscribed(&mut self) {
        let mut line = String::new();
        while !line.starts_with("subscribed") {
            line.clear();
            assert!(self.stderr.read_line(&mut line).expect("reads") > 0, "it ended before it was subscribed");
        }
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).expect("it is there");
    }

    /// Exit status and lines of the output, once it has ended by itself.
    fn ended(mut self) -> (i32, Vec<String>) {
        let mut text = String::new();
        self.child.stdout.take().expect("piped").read_to_string(&mut text).expect("text");
        let mut code = None;
        eventually("the command ends", || {
            code = self.child.try_wait().expect("asks").map(|status| status.code().unwrap_or(-1));
            code.is_some()
        });
        (code.expect("just seen"), text.lines().map(str::to_owned).collect())
    }

    fn objects(self) -> Vec<Value> {
        let (code, lines) = self.ended();
        assert_eq!(code, 0, "{lines:?}");
        lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn what_is_published_is_printed() {
    let shell = Shell::start();
    let text = shell.sub(&["plant/#", "x/+", "--count", "4"]);
    let payload = shell.sub(&["plant/#", "--count", "2", "--format", "payload", "--mqtt-version", "3.1.1"]);
    for (words, said) in [
        (["pub", "plant/1", "21.5"].as_slice(), "1 message: 1 success"),
        (&["pub", "plant/2", "two\nlines", "--qos", "2", "--mqtt-version", "3.1.1"], "1 message: 1 success"),
        (&["pub", "x/1", "", "--qos", "0"], "1 message: read by the broker"),
        (&["pub", "x/2/3", "nobody", "--qos", "0", "--mqtt-version", "3.1"], "1 message: read by the broker"),
        (&["pub", "x/2", "end"], "1 message: 1 success"),
    ] {
        let (code, stdout, stderr) = shell.mqtt(words, "");
        assert_eq!((code, stdout.as_str()), (0, ""), "{words:?}: {stderr}");
        assert!(stderr.starts_with(said), "{words:?}: {stderr}");
    }
    assert_eq!(
        text.ended(),
        (0, vec!["plant/1 21.5".into(), "plant/2 two\\nlines".into(), "x/1 ".into(), "x/2 end".into()])
    );
    assert_eq!(payload.ended(), (0, vec!["21.5".into(), "two".into(), "lines".into()]));
}

#[test]
fn json_has_all_that_came() {
    let shell = Shell::start();
    let sub = shell.sub(&["a/b", "--count", "3", "--qos", "2", "--format", "json"]);
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("payload");
    std::fs::write(&file, [0xFF, 0]).expect("writes");
    let all = ["--qos", "2", "--content-type", "text/plain", "--user-property", "n=1", "--user-property", "n=2=3"];
    let more = ["--expiry", "600", "--response-topic", "re/ply", "--correlation", "c-1", "--retain"];
    let (code, _, stderr) = shell.mqtt(&[&["pub", "a/b", "grüße"], all.as_slice(), &more].concat(), "");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(shell.mqtt(&["pub", "a/b", "--file", &file.display().to_string()], "").0, 0);
    assert_eq!(shell.mqtt(&["pub", "a/b", "--file", "-", "--qos", "0"], "whole\ninput\n").0, 0);
    let mut got = sub.objects();
    let expiry = got[0]["properties"]["expiry_s"].take();
    assert!(expiry.as_u64().is_some_and(|seconds| (500..=600).contains(&seconds)), "{expiry}");
    let properties = json!({ "expiry_s": null, "content_type": "text/plain", "response_topic": "re/ply", "correlation": "c-1",
        "user": [["n", "1"], ["n", "2=3"]] });
    let wanted = [
        json!({ "topic": "a/b", "qos": 2, "retain": false, "payload": "grüße", "properties": properties }),
        json!({ "topic": "a/b", "qos": 1, "retain": false, "payload_base64": "/wA=", "properties": {} }),
        json!({ "topic": "a/b", "qos": 0, "retain": false, "payload": "whole\ninput\n", "properties": {} }),
    ];
    assert_eq!(got, wanted);
    let kept = shell.sub(&["a/#", "--count", "1", "--format", "json"]).objects();
    assert_eq!((&kept[0]["retain"], &kept[0]["payload"]), (&json!(true), &json!("grüße")));
    // An empty one removes it.
    assert_eq!(shell.mqtt(&["pub", "a/b", "", "--retain"], "").0, 0);
    let (code, stdout, stderr) = shell.mqtt(&["sub", "a/#", "--count", "1", "--timeout", "0.3"], "");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("0 of 1 messages came within 0.3 s"), "{stderr}");
}

#[test]
fn lines_are_messages_in_order() {
    let shell = Shell::start();
    let sub = shell.sub(&["lines", "--qos", "2", "--count", "3000", "--format", "payload"]);
    let lines: Vec<String> = (0..3000).map(|number| format!("line {number}")).collect();
    let (code, _, stderr) = shell.mqtt(&["pub", "lines", "--lines", "--qos", "2"], &(lines.join("\n\n") + "\r\n"));
    assert_eq!((code, stderr.as_str()), (0, "3000 messages: 3000 success\n"));
    assert_eq!(sub.ended(), (0, lines));
}

#[test]
fn a_session_keeps_what_comes_meanwhile_and_ctrl_c_says_goodbye() {
    let shell = Shell::with("[node]\npartitions = 1");
    let desk = ["kept/#", "--client-id", "desk", "--session-expiry", "600"];
    let first = shell.sub(&desk);
    first.interrupt();
    assert_eq!(first.ended(), (0, vec![]));
    eventually("the node saw DISCONNECT", || {
        let (_, events) = shell.broker.node().request("GET", "/hub/partitions/0/events?max=1000", "", "");
        events.contains("ClientInitiatedDisconnect")
    });
    assert_eq!(shell.mqtt(&["pub", "kept/1", "meanwhile"], "").0, 0);
    let back = shell.beside(&[["sub"].as_slice(), &desk, &["--clean-start", "false", "--count", "1"]].concat());
    assert_eq!(back.ended(), (0, vec!["kept/1 meanwhile".into()]));
}

#[test]
fn a_request_is_answered() {
    let shell = Shell::start();
    let responder = shell.sub(&["ask/+", "--count", "1", "--format", "json"]);
    let asking = shell.beside(&["pub", "ask/1", "how much?", "--request"]);
    let asked = responder.objects().remove(0);
    let property = |name: &str| asked["properties"][name].as_str().expect("text").to_owned();
    let (topic, correlation) = (property("response_topic"), property("correlation"));
    for (answer, correlation) in [("to somebody else", "x"), ("42", &correlation)] {
        assert_eq!(shell.mqtt(&["pub", &topic, answer, "--correlation", correlation], "").0, 0);
    }
    assert_eq!(asking.ended(), (0, vec!["42".into()]));
    let nobody = ["pub", "ask/2", "anybody?", "--request", "--timeout", "0.3", "--response-topic", "here"];
    let (code, stdout, stderr) = shell.mqtt(&nobody, "");
    assert_eq!((code, stdout.as_str()), (1, ""));
    assert!(stderr.contains("no answer came to here within 0.3 s"), "{stderr}");
}

#[test]
fn who_is_refused_reads_why() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (code, line, stderr) = run(&["mqtt", "passwd", "ann"], "her secret\n");
    assert!(code == 0 && line.starts_with("ann:$argon2id$"), "{line}{stderr}");
    std::fs::write(at("users"), line).expect("writes");
    std::fs::write(at("right"), "her secret\n").expect("writes");
    std::fs::write(at("wrong"), "his secret").expect("writes");
    let access = "[[topic_spaces]]\nname = \"open\"\ntemplates = [\"open/#\"]\n\n[[permission_bindings]]\ngroup = \"$all\"\n\
        space = \"open\"\npermission = \"publisher\"\n";
    std::fs::write(at("access.toml"), access).expect("writes");
    let (right, wrong) = (at("right"), at("wrong"));
    let access = format!(
        "\n[listeners.mqtt.access]\nanonymous = \"no\"\npassword_file = '{}'\naccess_file = '{}'\n",
        at("users"),
        at("access.toml")
    );
    let shell = Shell::with(&access);
    for (words, said) in [
        (["pub", "open/1", "x"].as_slice(), "refused the connection: not authorized (0x87)"),
        (&["sub", "open/1", "-u", "ann", "--password-file", &wrong], "bad user name or password (0x86)"),
        (
            &["sub", "open/1", "-u", "ann", "--password-file", &wrong, "--mqtt-version", "3.1.1"],
            "bad user name or password (0x86)",
        ),
        (&["pub", "open/1", "x", "-u", "ann", "--password-file", "/nowhere"], "cannot read /nowhere"),
        (&["sub", "open/#", "-u", "ann", "--password-file", &right], "subscription to open/#: not authorized (0x87)"),
        (&["pub", "shut", "x", "-u", "ann", "--password-file", &right], "message 1 was refused: not authorized (0x87)"),
        (
            &["pub", "shut", "x", "--qos", "0", "-u", "ann", "--password-file", &right],
            "ended the connection: not authorized (0x87)",
        ),
        (
            &["pub", "shut", "x", "-u", "ann", "--password-file", &right, "--mqtt-version", "3.1.1"],
            "closed the connection without a reason; MQTT 5 can say one",
        ),
        (
            &["pub", "open/1", "x", "--request", "-u", "ann", "--password-file", &right],
            "refused the subscription to anabranch/replies/",
        ),
    ] {
        let (code, stdout, stderr) = shell.mqtt(words, "");
        assert_eq!((code, stdout.as_str()), (1, ""), "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
    }
    let (code, _, stderr) = shell.mqtt(&["pub", "open/1", "x", "-u", "ann", "--password-file", &right], "");
    assert_eq!((code, stderr.as_str()), (0, "1 message: 1 success\n"));
}

#[test]
fn flags_that_do_not_go_together_are_refused_before_anything_is_sent() {
    for (words, said) in [
        (["pub", "a/#", "x"].as_slice(), "`a/#` is no topic to publish to"),
        (&["pub", "a", "x", "--expiry", "5", "--mqtt-version", "3.1.1"], "need MQTT 5"),
        (&["sub", "a", "--clean-start", "false"], "add --client-id"),
        (&["sub", "a", "--session-expiry", "5", "--mqtt-version", "3.1.1"], "--session-expiry needs MQTT 5"),
        (&["sub", "a"], "no broker answers at mqtt://127.0.0.1:1 ("),
    ] {
        let (code, _, stderr) = mqtt(words, "mqtt://127.0.0.1:1", "");
        assert_eq!(code, 1, "{words:?}: {stderr}");
        assert!(stderr.contains(said), "{words:?}: {stderr}");
    }
    for (words, said) in [(["pub", "a"].as_slice(), "--lines"), (&["sub", "a", "--qos", "3"], "use 0, 1 or 2")] {
        let (code, _, stderr) = mqtt(words, "mqtt://127.0.0.1:1", "");
        assert!(code == 2 && stderr.contains(said), "{words:?}: {stderr}");
    }
    let (code, _, stderr) = mqtt(&["sub", "a"], "http://127.0.0.1:1", "");
    assert!(code == 2 && stderr.contains("mqtt://127.0.0.1:1883"), "{stderr}");
}

#[test]
fn over_tls_with_a_certificate_and_not_without() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut params = CertificateParams::new(Vec::new()).expect("no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().expect("a key")).expect("signs");
    let ca = folder.path().join("ca.pem").display().to_string();
    std::fs::write(&ca, authority.pem()).expect("writes");
    let [server, client] = ["localhost", "meter-7"].map(|name| certificate(folder.path(), name, &authority));
    let more = format!(
        "tls_listen = \"127.0.0.1:0\"\n\n[listeners.mqtt.tls]\ncert_file = '{}'\nkey_file = '{}'\nclient_ca_file = '{ca}'\n\
         client_certificates = \"required\"\n\n[listeners.mqtt.access]\nanonymous = \"no\"\n",
        server.0, server.1
    );
    let shell = Shell::with(&more);
    let port = shell.broker.node().address("mqtts").rsplit(':').next().expect("a port").to_owned();
    let url = format!("mqtts://localhost:{port}");
    let shown = ["--ca-file", &ca, "--cert", &client.0, "--key", &client.1];
    let mut sub = Beside::start(&[&["sub", "t", "--count", "1"], shown.as_slice()].concat(), &url);
    sub.until_subscribed();
    let (code, _, stderr) = mqtt(&[&["pub", "t", "x"], shown.as_slice()].concat(), &url, "");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(sub.ended(), (0, vec!["t x".into()]));
    for (words, url, said) in [
        (["pub", "t", "x", "--ca-file", &ca].as_slice(), url.clone(), "show a certificate with --cert and --key"),
        (&["pub", "t", "x", "--ca-file", &client.0], url.clone(), "name its authority with --ca-file"),
        (&["pub", "t", "x", "--ca-file", &client.1], url.clone(), "there is no certificate in it"),
        (
            &["pub", "t", "x", "--ca-file", &ca],
            shell.url().replace("mqtt://", "mqtts://"),
            "the port may be one without TLS",
        ),
    ] {
        let (code, _, stderr) = mqtt(words, &url, "");
        assert!(code == 1 && stderr.contains(said), "{words:?}: {stderr}");
    }
}

/// Paths of a certificate and its key.
fn certificate(folder: &Path, name: &str, by: &CertifiedIssuer<'static, KeyPair>) -> (String, String) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().expect("a key");
    let signed = params.signed_by(&key, by).expect("signs");
    let path = |kind: &str| folder.join(format!("{name}.{kind}")).display().to_string();
    std::fs::write(path("pem"), signed.pem()).expect("writes");
    std::fs::write(path("key"), key.serialize_pem()).expect("writes");
    (path("pem"), path("key"))
}
