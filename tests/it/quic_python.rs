//! A client that knows only the specification, `tests/interop/quic` on aioquic, against a real node.
//!
//! What always holds: the Python of the tests' cache has the packages of `requirements.txt`; where there is no Python at all the tests say
//! so, loudly. What the client says goes into the message of a failure.

mod access;

use std::collections::{HashMap, HashSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use connectors::hub::{self, LogOptions};
use engine::event::Event;

use crate::beside::Beside;
use crate::support::Node;

/// As in `requirements.txt`.
const AIOQUIC: &str = "1.7.2";
const PARTITIONS: u32 = 32;
const NDJSON: &str = "application/x-ndjson";

fn folder() -> PathBuf {
    crate::sources::root().join("tests/interop/quic")
}

/// A Python with aioquic.
fn python() -> Option<PathBuf> {
    static PYTHON: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PYTHON.get_or_init(|| {
        let requirements = folder().join("requirements.txt");
        let packages = ["-r", requirements.to_str().expect("UTF-8")];
        crate::python::environment(&format!("aioquic-{AIOQUIC}"), &packages, &["aioquic.asyncio"])
    });
    if found.is_none() {
        eprintln!("!!! SKIPPED: there is no python3, so nobody but us has spoken anabranch/1");
    }
    found.clone()
}

/// Python in the folder of the client, which it leaves as it is.
fn command(python: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg("-B").args(args).current_dir(folder());
    command
}

/// A node with QUIC, its data, and the Python for it.
struct Quic {
    node: Option<Node>,
    /// `host:port`
    address: String,
    /// Where the node's certificate is its own.
    fingerprint: Option<String>,
    python: PathBuf,
    folder: tempfile::TempDir,
}

impl Quic {
    fn start(python: PathBuf) -> Self {
        Self::with(python, "")
    }

    /// With tables of the configuration.
    fn with(python: PathBuf, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!("[listeners.quic]\nlisten = \"127.0.0.1:0\"\n\n{settings}");
        std::fs::write(folder.path().join("anabranch.toml"), config).expect("writes");
        let address = "127.0.0.1:0".to_owned();
        let mut quic = Self { node: None, address, fingerprint: None, python, folder };
        quic.run(!settings.contains("[listeners.quic.tls]"));
        quic
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&mut self, is_own_certificate: bool) {
        let more = ["--quic-listen", &self.address];
        let node = Node::start_with(&self.folder.path().join("anabranch.toml"), &self.data(), "127.0.0.1:0", &more);
        self.address = node.address("quic");
        self.fingerprint = is_own_certificate.then(|| node.word("sha256:"));
        self.node = Some(node);
    }

    fn node(&self) -> &Node {
        self.node.as_ref().expect("it runs")
    }

    /// kill -9, and up again on the same port with the same data.
    fn kill_and_start(&mut self) {
        self.node.take().expect("it runs").kill();
        self.run(self.fingerprint.is_some());
    }

    /// `python -m anabranch_quic` with the address and these arguments.
    fn client(&self, args: &[&str]) -> Command {
        let mut client = command(&self.python, &["-m", "anabranch_quic", &self.address, "--idle-timeout-s", "3"]);
        if let Some(fingerprint) = &self.fingerprint {
            client.args(["--fingerprint", fingerprint]);
        }
        client.args(args);
        client
    }

    /// The events that `sub` with these arguments gives before it ends by itself, and what else it says.
    #[track_caller]
    fn subscribe(&self, args: &[&str]) -> (Vec<Given>, Vec<serde_json::Value>) {
        let said = Beside::start(self.client(&["sub"]).args(args)).done();
        let (mut events, mut rest) = (Vec::new(), Vec::new());
        for line in said.lines() {
            let value: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|_| panic!("{said}"));
            match Given::read(&value) {
                Some(event) => events.push(event),
                None => rest.push(value),
            }
        }
        (events, rest)
    }

    /// Events `{"key":…,"n":…,"kind":…}` over HTTP, their kind a letter by `n % 3`.
    fn post(&self, numbers: std::ops::Range<u64>) {
        let body: String = numbers
            .map(|n| {
                format!("{{\"key\":\"k{}\",\"n\":{n},\"kind\":\"{}\"}}\n", n % 17, ["a", "b", "c"][n as usize % 3])
            })
            .collect();
        let (status, answer) = self.node().request("POST", "/events?key=/key", NDJSON, &body);
        assert_eq!(status, 200, "{answer}");
    }
}

/// An event as the client says it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    partition: u64,
    offset: u64,
    key: String,
    n: u64,
}

impl Given {
    fn read(line: &serde_json::Value) -> Option<Self> {
        let [partition, offset, n] = [&line["partition"], &line["offset"], &line["data"]["n"]].map(|it| it.as_u64());
        Some(Self { partition: partition?, offset: offset?, n: n?, key: line["key"].as_str()?.to_owned() })
    }
}

/// Each number once, in order per key; offsets in order per partition.
#[track_caller]
fn each_once_in_order(events: &[Given], numbers: impl Iterator<Item = u64>) {
    let (mut keys, mut partitions) = (HashMap::new(), HashMap::new());
    for event in events {
        let before = keys.insert(event.key.clone(), event.n).is_none_or(|n| n < event.n);
        assert!(before, "{event:?} comes behind a later one of its key");
        let before = partitions.insert(event.partition, event.offset).is_none_or(|offset| offset < event.offset);
        assert!(before, "{event:?} comes behind a later one of its partition");
    }
    let mut found: Vec<u64> = events.iter().map(|event| event.n).collect();
    found.sort_unstable();
    let wanted: Vec<u64> = numbers.collect();
    assert!(found == wanted, "{} events, {} are wanted", found.len(), wanted.len());
}

/// Positions as the last line of a client with `--positions` says them.
fn positions(rest: &[serde_json::Value]) -> String {
    rest.last().and_then(|last| last["positions"].as_str()).expect("positions").to_owned()
}

#[test]
fn its_codec_reads_the_examples_of_the_specification() {
    let Some(python) = python() else { return };
    Beside::start(&mut command(&python, &["-m", "unittest", "discover", "--start-directory", "."])).done();
}

#[test]
fn it_finds_what_the_specification_says() {
    let Some(python) = python() else { return };
    let quic = Quic::start(python);
    let args = ["talk.py", &quic.address, quic.fingerprint.as_ref().expect("its own certificate")];
    Beside::start(&mut command(&quic.python, &args)).done();
}

#[test]
fn a_filter_gives_exactly_what_matches() {
    let Some(python) = python() else { return };
    let quic = Quic::start(python);
    let filter = "kind = 'a' AND n >= 300";
    let wanted = |end: u64| (300..end).filter(|n| n % 3 == 0);
    // From now on, as events come …
    let mut live = quic.client(&["sub", "--filter", filter, "--count", "400", "--positions"]);
    let live = Beside::start(&mut live);
    assert!(live.line().contains("positions"), "{}", live.said());
    quic.post(0..700);
    quic.post(700..1_500);
    let said = live.done();
    let live: Vec<Given> =
        said.lines().filter_map(|line| Given::read(&serde_json::from_str(line).expect("JSON"))).collect();
    each_once_in_order(&live, wanted(1_500));
    // … and from the log, however batches are sent.
    for encodings in ["4", "5", "7"] {
        let args = ["--filter", filter, "--from", "earliest", "--count", "400", "--encodings", encodings];
        let (events, _) = quic.subscribe(&args);
        each_once_in_order(&events, wanted(1_500));
    }
    // The development certificate is also one to trust by its file, under the name it has.
    let certificate = quic.data().join("quic/dev-cert.pem");
    let args = ["-m", "anabranch_quic", &quic.address, "--ca", certificate.to_str().expect("UTF-8")];
    let more = ["sub", "--from", "earliest", "--count", "1500"];
    let said = Beside::start(command(&quic.python, &args).args(more)).done();
    assert_eq!(said.lines().count(), 1_500);
}

#[test]
fn a_route_has_its_filter_and_its_properties() {
    let Some(python) = python() else { return };
    let route = "[[routes]]\nname = \"hot\"\nfilter = \"n >= 300 AND kind = 'a'\"\nendpoint = \"hub\"\n";
    let enrichment = "[[enrichments]]\nkey = \"site\"\nvalue = \"hh\"\nendpoints = [\"hub\"]\n";
    let quic = Quic::with(python, &format!("{route}\n{enrichment}"));
    quic.post(0..900);
    let said =
        Beside::start(&mut quic.client(&["sub", "--route", "hot", "--from", "earliest", "--count", "200"])).done();
    let lines: Vec<serde_json::Value> = said.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(lines.iter().all(|line| line["headers"]["site"] == "hh"), "{said}");
    let events: Vec<Given> = lines.iter().map(|line| Given::read(line).expect("an event")).collect();
    each_once_in_order(&events, (300..900).filter(|n| n % 3 == 0));
    let mut both = Beside::start(&mut quic.client(&["sub", "--route", "hot", "--filter", "n = 1"]));
    assert!(!both.ended().success() && both.said().contains("filter_invalid"), "{}", both.said());
}

#[test]
fn it_goes_on_where_it_was() {
    let Some(python) = python() else { return };
    let mut quic = Quic::start(python);
    quic.post(0..1_000);
    let filter = "kind <> 'b'";
    let wanted = (0..2_000).filter(|n| n % 3 != 1);
    let (mut found, mut from) = (Vec::new(), "earliest".to_owned());
    for (round, count) in ["1", "250", "400", "10", "672"].into_iter().enumerate() {
        let args = ["--filter", filter, "--from", &from, "--count", count, "--positions"];
        let (events, rest) = quic.subscribe(&args);
        found.extend(events);
        from = positions(&rest);
        match round {
            0 => quic.post(1_000..1_500),
            1 => quic.kill_and_start(),
            2 => quic.post(1_500..2_000),
            _ => {}
        }
    }
    assert_eq!(found.len(), 1_333);
    each_once_in_order(&found, wanted);
}

#[test]
fn a_subscriber_survives_kills_of_the_node() {
    let Some(python) = python() else { return };
    let mut quic = Quic::start(python);
    let subscriber = Beside::start(&mut quic.client(&["sub", "--from", "earliest", "--count", "3000"]));
    let mut events = Vec::new();
    for round in 0..3 {
        quic.post(round * 1_000..(round + 1) * 1_000);
        // The first are there, more is on its way.
        while events.len() < round as usize * 1_000 + 300 {
            events.push(Given::read(&serde_json::from_str(&subscriber.line()).expect("JSON")).expect("an event"));
        }
        if round < 2 {
            quic.kill_and_start();
        }
    }
    while events.len() < 3_000 {
        events.push(Given::read(&serde_json::from_str(&subscriber.line()).expect("JSON")).expect("an event"));
    }
    subscriber.done();
    each_once_in_order(&events, 0..3_000);
}

#[test]
fn a_cursor_outlives_client_and_node() {
    let Some(python) = python() else { return };
    let mut quic = Quic::start(python);
    quic.post(0..900);
    let args = ["--from", "cursor:billing", "--otherwise", "earliest", "--commit", "billing", "--commit-every", "50"];
    let (mut found, _) = quic.subscribe(&[&args[..], &["--count", "400"]].concat());
    quic.kill_and_start();
    let (more, _) = quic.subscribe(&[&args[..], &["--count", "300"]].concat());
    found.extend(more);
    assert_eq!(found.iter().map(|event| event.n).collect::<HashSet<_>>().len(), 700);
    // kill -9 of the client: only what it had not committed comes again.
    let killed = Beside::start(quic.client(&["sub"]).args(args));
    (0..160).for_each(|_| drop(killed.line()));
    let said = killed.kill();
    found.extend(said.lines().filter_map(|line| Given::read(&serde_json::from_str(line).ok()?)));
    let known: HashSet<u64> = found.iter().map(|event| event.n).collect();
    assert!(known.len() >= 860 && known.len() == found.len(), "{} of {}", known.len(), found.len());
    quic.post(900..1_200);
    let last = Beside::start(quic.client(&["sub"]).args(args));
    let (mut all, mut again) = (known.clone(), 0);
    while all.len() < 1_200 {
        let event = Given::read(&serde_json::from_str(&last.line()).expect("JSON")).expect("an event");
        again += usize::from(!all.insert(event.n));
    }
    assert!(again <= 2 * 50, "{again} came again");
    assert!((0..1_200).all(|n| all.contains(&n)));
}

#[test]
fn what_it_publishes_is_kept_once_across_kill_9() {
    const EVENTS: u64 = 10_000;
    let Some(python) = python() else { return };
    let mut quic = Quic::start(python);
    let mut publisher = quic.client(&["pub"]);
    publisher.stdin(Stdio::piped());
    let mut publisher = Beside::start(&mut publisher);
    let mut input = publisher.stdin();
    let mut send = |numbers: std::ops::Range<u64>| {
        for n in numbers {
            writeln!(input, "{{\"key\":\"k{}\",\"headers\":{{\"ce_type\":\"t\"}},\"data\":{{\"n\":{n}}}}}", n % 100)
                .expect("it reads");
        }
        input.flush().expect("it reads");
    };
    let mut acknowledged = 0;
    for kill in 1..=2 {
        send((kill - 1) * 4_000..kill * 4_000);
        let at = (kill - 1) * 4_000 + 1_000;
        while acknowledged < at {
            let line: serde_json::Value = serde_json::from_str(&publisher.line()).expect("JSON");
            acknowledged = line["acknowledged"].as_u64().unwrap_or(acknowledged);
        }
        quic.kill_and_start();
    }
    send(8_000..EVENTS);
    drop(input);
    let said = publisher.done();
    let last: serde_json::Value = serde_json::from_str(said.lines().last().expect("lines")).expect("JSON");
    assert_eq!(last, serde_json::json!({"done": {"acknowledged": EVENTS, "refused": 0}}));
    let (events, _) = quic.subscribe(&["--from", "earliest", "--count", &EVENTS.to_string()]);
    each_once_in_order(&events, 0..EVENTS);
    // The log has nothing that a subscriber was not shown.
    let data = quic.data();
    assert!(quic.node.take().expect("it runs").stop().success());
    let (log, recovered) = hub::open(&LogOptions::new(data.join("log"), PARTITIONS)).expect("opens");
    assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
    let reader = log.reader();
    let mut seen = 0;
    for partition in 0..PARTITIONS {
        let (mut next, end) = reader.bounds(partition);
        while next < end {
            for batch in reader.read(partition, next, 1 << 20).expect("readable") {
                seen += batch.rows().len() as u64;
                next = Event::new(&batch, batch.rows().len() - 1).offset() + 1;
            }
        }
    }
    assert_eq!(seen, EVENTS);
}

#[test]
fn a_wrong_filter_is_refused_with_its_place() {
    let Some(python) = python() else { return };
    let quic = Quic::start(python);
    for (dialect, filter, place) in
        [("anabranch", "temp >> 70", "1:7"), ("iothub", "temp = 'a' AND", "1:15"), ("eventgrid", "{", "1:")]
    {
        let mut refused = Beside::start(&mut quic.client(&["sub", "--dialect", dialect, "--filter", filter]));
        let status = refused.ended();
        let said = refused.said();
        assert!(!status.success() && said.contains("filter_invalid") && said.contains(place), "{dialect}: {said}");
    }
    // Another certificate: nothing is said to who has it.
    let args = ["-m", "anabranch_quic", &quic.address, "--fingerprint", &"ab".repeat(32), "sub"];
    let mut refused = Beside::start(&mut command(&quic.python, &args));
    let status = refused.ended();
    assert!(!status.success() && refused.said().contains("not the one that was asked for"), "{}", refused.said());
}
