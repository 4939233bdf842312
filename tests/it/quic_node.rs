//! A real node with QUIC, its data, and what a test posts to it: for the tests of our clients.

use std::process::Command;

use connectors::quic::client::Connect;

use crate::support::{Node, binary};

const NDJSON: &str = "application/x-ndjson";

/// See the module.
pub struct QuicNode {
    node: Option<Node>,
    /// `host:port`, kept over restarts.
    address: String,
    /// `sha256:…`
    pub fingerprint: String,
    folder: tempfile::TempDir,
}

impl QuicNode {
    /// On a free port.
    pub fn start() -> Self {
        Self::with("")
    }

    /// The same with more lines of configuration.
    pub fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!("{settings}\n[listeners.quic]\nlisten = \"127.0.0.1:0\"\n");
        std::fs::write(folder.path().join("anabranch.toml"), config).expect("writes");
        let address = "127.0.0.1:0".to_owned();
        let mut this = Self { node: None, address, fingerprint: String::new(), folder };
        this.run();
        this
    }

    /// A path in the folder of the test.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts it again, on the same port with the same data.
    pub fn run(&mut self) {
        let (config, data) = (self.folder.path().join("anabranch.toml"), self.folder.path().join("data"));
        let node = Node::start_with(&config, &data, "127.0.0.1:0", &["--quic-listen", &self.address]);
        self.address = node.address("quic");
        self.fingerprint = node.word("sha256:").trim_end_matches(')').to_owned();
        self.node = Some(node);
    }

    /// kill -9.
    pub fn kill(&mut self) {
        self.node.take().expect("it runs").kill();
    }

    /// SIGTERM, and its end.
    pub fn stop(&mut self) {
        assert!(self.node.take().expect("it runs").stop().success());
    }

    /// kill -9, and up again on the same port with the same data.
    pub fn kill_and_start(&mut self) {
        self.kill();
        self.run();
    }

    pub fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    /// `quic://…`
    pub fn url(&self) -> String {
        format!("quic://{}", self.address)
    }

    /// How a program reaches it.
    pub fn connect(&self) -> Connect {
        let fingerprint = self.fingerprint.parse().expect("the node said it");
        let connect = Connect::to(&self.url()).expect("an address").fingerprint(fingerprint);
        // Nobody waits longer than a step of the test for a node that was killed.
        connect.idle_timeout(std::time::Duration::from_secs(3)).retry_max(std::time::Duration::from_millis(300))
    }

    /// `anabranch COMMAND` with the node's address and these arguments.
    pub fn command(&self, command: &str, args: &[&str]) -> Command {
        let mut built = Command::new(binary());
        built.arg(command).args(["--url", &self.url(), "--fingerprint", &self.fingerprint, "--idle-timeout", "3"]);
        built.args(args).stdin(std::process::Stdio::null());
        built
    }

    /// The same to its end: exit code, stdout, stderr.
    pub fn ends(&self, command: &str, args: &[&str], stdin: &str) -> (i32, String, String) {
        let known = [command, "--url", &self.url(), "--fingerprint", &self.fingerprint, "--idle-timeout", "3"];
        crate::support::run(&[&known[..], args].concat(), stdin)
    }

    /// Events `{"key":…,"n":…,"kind":…}` over HTTP, their kind a letter by `n % 3`.
    pub fn post(&self, numbers: std::ops::Range<u64>) {
        let (status, answer) = self.node().request("POST", "/events?key=/key", NDJSON, &lines(numbers));
        assert_eq!(status, 200, "{answer}");
    }
}

/// What [`QuicNode::post`] posts.
pub fn lines(numbers: std::ops::Range<u64>) -> String {
    let kind = |n: u64| ["a", "b", "c"][n as usize % 3];
    numbers.map(|n| format!("{{\"key\":\"k{}\",\"n\":{n},\"kind\":\"{}\"}}\n", n % 17, kind(n))).collect()
}

/// Each number once, and in order per key.
#[track_caller]
pub fn each_once_in_order(events: &[serde_json::Value], numbers: impl Iterator<Item = u64>) {
    let mut keys = std::collections::HashMap::new();
    let mut found = Vec::with_capacity(events.len());
    for event in events {
        let n = event["n"].as_u64().expect("a number");
        let key = event["key"].as_str().expect("a key");
        let is_behind = keys.insert(key, n).is_none_or(|before| before < n);
        assert!(is_behind, "{event} comes behind a later one of its key");
        found.push(n);
    }
    found.sort_unstable();
    let wanted: Vec<u64> = numbers.collect();
    assert!(found == wanted, "{} events came, {} are wanted", found.len(), wanted.len());
}
