//! The promise of the product over QUIC, on the real binary: kill -9 of the node and of subscribers, and a network that loses and
//! reorders; afterwards every subscriber has had each event once, in order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use connectors::hub::{self, LogOptions};
use engine::batch::partition_of;
use engine::event::Event;
use loadgen::client::Progress;
use loadgen::client::quic::{
    self, Access, Crowd, CrowdPlan, Fingerprint, From, Member, QuicOutcome, QuicPlan, Seen, SubscribeOutcome,
    SubscribePlan, Trust, Wanted,
};
use loadgen::fleet::{device_id, read_back};
use loadgen::ledger::Ledger;
use loadgen::pace::Pace;
use loadgen::udp_faults::{Faults, UdpFaults};
use tokio::sync::watch;

use crate::support::{Node, eventually_or, loadgen};

const PARTITIONS: u32 = 32;
const DEVICES: u32 = 1_000;

/// A node with a QUIC listener, on the same port through all its kills.
struct Quic {
    node: Option<Node>,
    address: String,
    fingerprint: String,
    folder: tempfile::TempDir,
}

impl Quic {
    fn start(more: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = format!("[listeners.quic]\nlisten = \"127.0.0.1:0\"\n{more}\n");
        std::fs::write(folder.path().join("anabranch.toml"), config).expect("writes");
        let mut quic = Self { node: None, address: "127.0.0.1:0".to_owned(), fingerprint: String::new(), folder };
        quic.run();
        quic
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn run(&mut self) {
        let more = ["--quic-listen", &self.address];
        let node = Node::start_with(&self.folder.path().join("anabranch.toml"), &self.data(), "127.0.0.1:0", &more);
        self.address = node.address("quic");
        self.fingerprint = node.word("sha256:");
        self.node = Some(node);
    }

    fn kill_and_start(&mut self) {
        self.node.take().expect("it runs").kill();
        self.run();
    }

    fn access(&self, address: &str) -> Access {
        let fingerprint: Fingerprint = self.fingerprint.parse().expect("a fingerprint");
        let target = format!("quic://{address}").parse().expect("an address");
        let mut access = Access::new(target, Trust::Fingerprint(fingerprint));
        access.idle_timeout = Duration::from_secs(2);
        access
    }

    fn plan(&self, address: &str, events: u64) -> QuicPlan {
        let mut plan = QuicPlan::new(self.access(address), DEVICES);
        (plan.events, plan.connections, plan.seed) = (events, 4, fastrand::u64(..));
        plan
    }

    /// `loadgen subscribe` with these arguments, from the first event on.
    fn subscriber(&self, args: &[&str]) -> Child {
        let target = format!("quic://{}", self.address);
        let mut command = Command::new(loadgen());
        command.args(["subscribe", "--target", &target, "--fingerprint", &self.fingerprint, "--from", "earliest"]);
        command.args(["--idle-timeout-s", "2", "--credit-bytes", "262144"]).args(args);
        command.stdout(Stdio::null()).spawn().expect("starts")
    }

    /// The log has each acknowledged event once.
    fn check_log(mut self, ledger: &Ledger) {
        assert!(self.node.take().expect("it runs").stop().success());
        let (log, recovered) = hub::open(&LogOptions::new(self.data().join("log"), PARTITIONS)).expect("opens");
        assert!(recovered.damaged.is_empty(), "{:?}", recovered.damaged);
        let reader = log.reader();
        let mut seen = Vec::new();
        for partition in 0..PARTITIONS {
            let (mut next, end) = reader.bounds(partition);
            while next < end {
                for batch in reader.read(partition, next, 1 << 20).expect("readable") {
                    for row in 0..batch.rows().len() {
                        let read = read_back(Event::new(&batch, row).data().expect("data")).expect("of the fleet");
                        seen.push((read.device, read.seq));
                    }
                    next = batch.last_offset() + 1;
                }
            }
        }
        each_once_in_order(&seen, ledger);
    }
}

/// All events of the ledger, none twice, and those of each device one after the other.
#[track_caller]
fn each_once_in_order(seen: &[(u32, u32)], ledger: &Ledger) {
    let mut verifier = ledger.verifier();
    let mut next: HashMap<u32, u32> = HashMap::new();
    for (position, &(device, seq)) in seen.iter().enumerate() {
        verifier.see(device, seq, position as u64);
        let expected = next.entry(device).or_default();
        assert_eq!(seq, *expected, "device {device}: another event is next");
        *expected += 1;
    }
    let verdict = verifier.finish();
    assert!(verdict.is_clean(), "{verdict:?}");
    assert_eq!(seen.len() as u64, ledger.acknowledged_events());
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Publishes on a thread of its own, to the end of its plan.
fn publish(plan: QuicPlan, progress: &Arc<Progress>) -> JoinHandle<QuicOutcome> {
    let events = plan.events;
    let (stop, sending) = publish_until_told(plan, progress);
    std::thread::spawn(move || {
        let outcome = sending.join().expect("the fleet has ended");
        drop(stop);
        assert_eq!(outcome.ledger.acknowledged_events(), events);
        outcome
    })
}

/// Publishes on a thread of its own, until it is told to stop too.
fn publish_until_told(plan: QuicPlan, progress: &Arc<Progress>) -> (watch::Sender<bool>, JoinHandle<QuicOutcome>) {
    let (stop, stopped) = watch::channel(false);
    let progress = progress.clone();
    let sending = std::thread::spawn(move || {
        let outcome = runtime().block_on(quic::run(plan, progress, stopped)).expect("it publishes to the end");
        assert_eq!(outcome.abandoned, 0);
        outcome
    });
    (stop, sending)
}

/// A subscriber of everything on a thread of its own, which keeps its positions.
struct Subscriber {
    seen: Arc<Mutex<Vec<(u32, u32)>>>,
    count: Arc<AtomicU64>,
    stop: watch::Sender<bool>,
    thread: JoinHandle<SubscribeOutcome>,
}

impl Subscriber {
    fn start(access: Access, groups: u32) -> Self {
        let wanted = Wanted { from: From::Earliest, groups, credit_bytes: 512 << 10, ..Wanted::default() };
        Self::start_with(SubscribePlan { access, wanted, commit: None, held: None })
    }

    fn start_with(plan: SubscribePlan) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (seen, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicU64::new(0)));
        let (keep, counts) = (seen.clone(), count.clone());
        let thread = std::thread::spawn(move || {
            let taken = quic::subscribe(plan, stopped, None, |seen| {
                if let Seen::Event(event) = seen {
                    let read = read_back(event.value.expect("data")).expect("of the fleet");
                    keep.lock().expect("not poisoned").push((read.device, read.seq));
                    counts.fetch_add(1, Ordering::Relaxed);
                }
            });
            runtime().block_on(taken).expect("it reads to the end")
        });
        Self { seen, count, stop, thread }
    }

    /// Waits for so many events, and ends it.
    fn end(self, events: u64) -> (Vec<(u32, u32)>, SubscribeOutcome) {
        let what = || format!("{} of {events} events arrive", self.count.load(Ordering::Relaxed));
        eventually_or(what, || self.count.load(Ordering::Relaxed) >= events || self.thread.is_finished());
        self.stop.send_replace(true);
        let outcome = self.thread.join().expect("the subscriber has ended");
        let seen = std::mem::take(&mut *self.seen.lock().expect("not poisoned"));
        assert_eq!((outcome.events, outcome.lost), (seen.len() as u64, 0));
        (seen, outcome)
    }
}

#[test]
fn publishers_and_a_subscriber_survive_kills_of_the_node() {
    const KILLS: u64 = 3;
    let mut quic = Quic::start("");
    let subscriber = Subscriber::start(quic.access(&quic.address), 4);
    let progress = Arc::new(Progress::default());
    let mut plan = quic.plan(&quic.address, u64::MAX);
    // So that a kill finds much under way.
    plan.streams = 2;
    plan.window_bytes = 256 << 10;
    let (stop, sending) = publish_until_told(plan, &progress);
    // Both sides have found the node again, and go on: so many events more each.
    let goes_on = |more: u64| {
        let look = || (progress.look().acknowledged_events, subscriber.count.load(Ordering::Relaxed));
        let begin = look();
        let what = || format!("both go on from {begin:?} by {more}; they are at {:?}", look());
        let is_over = || sending.is_finished() || subscriber.thread.is_finished();
        eventually_or(what, || is_over() || look().0 >= begin.0 + more && look().1 >= begin.1 + more);
        assert!(!is_over(), "a side has ended by itself");
    };
    for _ in 0..KILLS {
        goes_on(fastrand::u64(5_000..25_000));
        quic.kill_and_start();
    }
    goes_on(5_000);
    stop.send_replace(true);
    let outcome = sending.join().expect("the fleet has ended");
    let (seen, subscribed) = subscriber.end(outcome.ledger.acknowledged_events());
    println!("{} reconnects of publishers, {} of the subscriber", outcome.reconnects, subscribed.reconnects);
    assert!(outcome.reconnects >= KILLS && subscribed.reconnects >= KILLS, "{subscribed:?}");
    each_once_in_order(&seen, &outcome.ledger);
    quic.check_log(&outcome.ledger);
}

#[test]
fn a_network_that_loses_and_reorders_changes_nothing() {
    const EVENTS: u64 = 6_000;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut quic = Quic::start("");
    let node: SocketAddr = quic.address.parse().expect("an address");
    let faults = |seed| Faults { drop: 0.05, delay: 0.05, delay_ms_max: 4, seed };
    let ways = [seed, seed ^ 1].map(|seed| UdpFaults::start(node, faults(seed)).expect("a proxy"));
    let subscriber = Subscriber::start(quic.access(&ways[0].address().to_string()), 8);
    let progress = Arc::new(Progress::default());
    let sending = publish(quic.plan(&ways[1].address().to_string(), EVENTS), &progress);
    let what = || format!("{:?} goes on", progress.look());
    eventually_or(what, || progress.look().acknowledged_events >= EVENTS / 4 || sending.is_finished());
    quic.kill_and_start();
    let outcome = sending.join().expect("the fleet has ended");
    let (seen, _) = subscriber.end(EVENTS);
    for way in &ways {
        let done = way.done();
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        println!("{} datagrams, {} lost, {} late", count(&done.seen), count(&done.dropped), count(&done.delayed));
        assert!(count(&done.dropped) > 20 && count(&done.delayed) > 20, "{done:?}");
    }
    each_once_in_order(&seen, &outcome.ledger);
    quic.check_log(&outcome.ledger);
}

#[test]
fn a_data_stream_that_is_not_read_delays_only_its_own_partitions() {
    const GROUPS: u32 = 4;
    const HELD: u32 = 1;
    let quic = Quic::start("");
    let (hold, held) = watch::channel(true);
    // All that the client and the node keep of a data stream is small beside what is published to its partitions.
    let access = Access { stream_bytes: 64 << 10, ..quic.access(&quic.address) };
    let wanted = Wanted { from: From::Earliest, groups: GROUPS, credit_bytes: 2 << 20, ..Wanted::default() };
    let plan = SubscribePlan { access, wanted, commit: None, held: Some((HELD as usize, held)) };
    let subscriber = Subscriber::start_with(plan);
    // The node deals partitions out in turn.
    let held: Vec<bool> =
        (0..DEVICES).map(|device| partition_of(device_id(device).as_bytes(), PARTITIONS) % GROUPS == HELD).collect();
    let seen = |is_held: bool| {
        let seen = subscriber.seen.lock().expect("not poisoned");
        seen.iter().filter(|(device, _)| held[*device as usize] == is_held).count() as u64
    };
    let progress = Arc::new(Progress::default());
    let mut plan = quic.plan(&quic.address, u64::MAX);
    plan.pace = Pace::Constant(40_000.0);
    let (stop, sending) = publish_until_told(plan, &progress);
    let until = |what: &str, is_so: &dyn Fn() -> bool| {
        let what =
            || format!("{what}; {:?}, {} of the held stream, {} others", progress.look(), seen(true), seen(false));
        eventually_or(what, || is_so() || sending.is_finished() || subscriber.thread.is_finished());
        assert!(is_so(), "a side has ended by itself");
    };
    // Twice: from the beginning, and after it has caught up while events kept coming.
    for _ in 0..2 {
        hold.send_replace(true);
        let (held_before, others_before) = (seen(true), seen(false));
        until("the others get 6 MB", &|| seen(false) >= others_before + 25_000);
        assert!(seen(true) < held_before + 4_000, "{} of the held stream, {held_before} before", seen(true));
        hold.send_replace(false);
        until("the held stream goes on", &|| seen(true) >= held_before + 8_000);
    }
    hold.send_replace(true);
    let others_before = seen(false);
    until("the others get 6 MB more", &|| seen(false) >= others_before + 25_000);
    stop.send_replace(true);
    let outcome = sending.join().expect("the fleet has ended");
    let sent = |is_held: bool| -> u64 {
        let devices = (0..DEVICES).filter(|device| held[*device as usize] == is_held);
        devices.map(|device| u64::from(outcome.ledger.sent_by(device))).sum()
    };
    eventually_or(|| format!("the others get {} of {}", seen(false), sent(false)), || seen(false) == sent(false));
    assert!(seen(true) + 4_000 < sent(true), "{} of {} of the held stream", seen(true), sent(true));
    hold.send_replace(false);
    let (seen, subscribed) = subscriber.end(outcome.ledger.acknowledged_events());
    assert_eq!(subscribed.reconnects, 0);
    each_once_in_order(&seen, &outcome.ledger);
    quic.check_log(&outcome.ledger);
}

/// (device, sequence) of the events in a file of `loadgen subscribe`; a last line that is torn counts for nothing.
fn kept(path: &Path) -> Vec<(u32, u32)> {
    let bytes = std::fs::read(path).unwrap_or_default();
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split(|byte| *byte == b'\n').filter(|line| line.first() == Some(&b'{'));
    lines.map(|line| read_back(line).expect("of the fleet")).map(|read| (read.device, read.seq)).collect()
}

/// Publishes while a subscriber is killed with -9 and started again, until its file has everything; gives what it kept.
fn kill_subscribers(args: &[&str], file: &str) -> (Vec<(u32, u32)>, QuicOutcome, usize) {
    const EVENTS: u64 = 40_000;
    let quic = Quic::start("");
    let path = quic.folder.path().join(file);
    let flag = format!("--{file}");
    let args = [&[flag.as_str(), path.to_str().expect("UTF-8")], args].concat();
    let mut plan = quic.plan(&quic.address, EVENTS);
    plan.pace = Pace::Constant(40_000.0);
    let progress = Arc::new(Progress::default());
    let sending = publish(plan, &progress);
    let kills = [EVENTS / 5, EVENTS / 2, EVENTS * 3 / 4];
    for at in kills {
        let mut subscriber = quic.subscriber(&args);
        let bytes = || std::fs::metadata(&path).map_or(0, |file| file.len());
        // An event has more than 200 bytes.
        let what = || format!("{} bytes are kept", bytes());
        eventually_or(what, || bytes() > at * 200);
        subscriber.kill().expect("kills");
        subscriber.wait().expect("ends");
    }
    let mut last = quic.subscriber(&args);
    let outcome = sending.join().expect("the fleet has ended");
    let distinct = || {
        let mut seen = kept(&path);
        seen.sort_unstable();
        seen.dedup();
        seen.len() as u64
    };
    eventually_or(|| format!("{} of {EVENTS} events are kept", distinct()), || distinct() == EVENTS);
    last.kill().expect("kills");
    last.wait().expect("ends");
    (kept(&path), outcome, kills.len())
}

#[test]
fn a_killed_subscriber_that_keeps_positions_has_each_event_once() {
    let (seen, outcome, _) = kill_subscribers(&[], "journal");
    each_once_in_order(&seen, &outcome.ledger);
}

#[test]
fn a_killed_subscriber_that_commits_misses_nothing_and_repeats_what_it_had_not_committed() {
    const EVERY: u64 = 1_000;
    let (seen, outcome, kills) = kill_subscribers(&["--subscriber", "billing", "--commit-every", "1000"], "out");
    let (mut next, mut back): (HashMap<u32, u32>, HashMap<u32, usize>) = Default::default();
    for (device, seq) in &seen {
        let expected = next.entry(*device).or_default();
        assert!(seq <= expected, "device {device}: {seq} comes where {expected} should");
        if seq < expected {
            *back.entry(*device).or_default() += 1;
        }
        *expected = seq + 1;
    }
    let again = seen.len() as u64 - outcome.ledger.acknowledged_events();
    println!("{again} events came again after {kills} kills");
    assert!(back.values().all(|back| *back <= kills), "a device went back more often than there were kills");
    // What was under way when the last commit was made, and what came before its answer.
    assert!(again <= kills as u64 * 8 * EVERY, "{again} events came again");
    assert!((0..DEVICES).all(|device| next.get(&device).copied().unwrap_or(0) == outcome.ledger.sent_by(device)));
}

/// Resident memory of a process in MiB.
fn resident_mib(pid: u32) -> f64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
    line.trim().trim_end_matches(" kB").trim().parse::<f64>().expect("a number") / 1024.0
}

#[test]
fn a_thousand_filters_of_which_a_hundred_stand_still() {
    const EVENTS: u64 = 150_000;
    const SUBSCRIBERS: u32 = 1_000;
    let quic = Quic::start("subscriptions_max = 256");
    let pid = quic.node.as_ref().expect("it runs").pid();
    let member = |number: u32| Member {
        filter: Some(format!("device_id = '{}'", device_id(number))),
        stands_still: number.is_multiple_of(10),
    };
    // An event of a device has about 250 bytes, and each has 150: those that stand still do so after a fifth.
    let wanted = Wanted { credit_bytes: 8 << 10, ..Wanted::default() };
    let plan = CrowdPlan {
        access: quic.access(&quic.address),
        wanted,
        members: (0..SUBSCRIBERS).map(member).collect(),
        connections: 10,
        patience: Duration::from_secs(5),
    };
    let runtime = runtime();
    let mut crowd = runtime.block_on(Crowd::open(plan)).expect("all subscriptions stand");
    let before = resident_mib(pid);
    let progress = Arc::new(Progress::default());
    let sending = publish(quic.plan(&quic.address, EVENTS), &progress);
    let per_device = EVENTS / u64::from(DEVICES);
    let moving = u64::from(SUBSCRIBERS - SUBSCRIBERS / 10);
    // Those that stand still get something too: how much, nobody says beforehand.
    let mut wanted = moving * per_device;
    let view = loop {
        let view = runtime.block_on(crowd.wait(wanted)).expect("no connection breaks");
        let of_moving: u64 =
            view.events.iter().enumerate().filter(|(at, _)| at % 10 != 0).map(|(_, events)| *events).sum();
        if of_moving >= moving * per_device || view.delivered() < wanted {
            break view;
        }
        wanted = view.delivered() + 1;
    };
    let outcome = sending.join().expect("the fleet has ended");
    let after = resident_mib(pid);
    println!("memory of the node: {before:.1} MiB with the subscriptions, {after:.1} MiB when everybody has read");
    for (number, events) in view.events.iter().enumerate() {
        let sent = u64::from(outcome.ledger.sent_by(number as u32));
        match number % 10 {
            0 => assert!(*events < sent, "member {number} stands still and has {events} of {sent} events"),
            _ => assert_eq!(*events, sent, "member {number}"),
        }
    }
    assert!(after < before + 256.0, "{before:.1} MiB became {after:.1} MiB");
    runtime.block_on(crowd.close());
}
