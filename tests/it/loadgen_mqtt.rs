//! The load generator against a broker that is not ours: everything arrives, or `verify` says exactly what did not.
//!
//! mosquitto is Debian's (`bench/peers/setup.sh mosquitto` brings it); where there is none this says so, loudly.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use loadgen::client::mqtt::{SubscribePlan, subscribe};

use crate::loadgen::{Listening, run};
use crate::support::{eventually, eventually_or};

const SKIPPED: &str =
    "!!! SKIPPED: there is no mosquitto (Debian: apt-get install mosquitto), so the load generator met no broker";

/// A mosquitto of a test's own.
struct Mosquitto {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Mosquitto {
    /// With more lines of configuration; `None` where there is no mosquitto.
    fn start(more: &str) -> Option<Self> {
        let program = ["mosquitto", "/usr/sbin/mosquitto"].into_iter().find(|program| {
            Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok()
        });
        let Some(program) = program else {
            eprintln!("{SKIPPED}");
            return None;
        };
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("mosquitto.conf");
        // The port is free when it is chosen; should somebody take it meanwhile, there is another one.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port();
            let text = format!("user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nsys_interval 1\n{more}\n");
            std::fs::write(&config, text).expect("writes");
            let mut child = Command::new(program).arg("-c").arg(&config).stderr(Stdio::null()).spawn().expect("starts");
            let mut listens = false;
            eventually("mosquitto listens or ends", || {
                listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
                listens || child.try_wait().expect("asks").is_some()
            });
            if listens {
                return Some(Self { child, url: format!("mqtt://127.0.0.1:{port}"), _folder: folder });
            }
        }
        panic!("mosquitto does not start");
    }

    /// The number under a topic of `$SYS`, as it comes; the last one counts.
    fn watch(
        &self,
        topic: &str,
    ) -> (Arc<Mutex<Option<u64>>>, tokio::sync::watch::Sender<bool>, std::thread::JoinHandle<()>) {
        let seen = Arc::new(Mutex::new(None));
        let (stop, stopped) = tokio::sync::watch::channel(false);
        let plan = SubscribePlan::new(self.url.parse().expect("an address"), "watch", vec![topic.to_owned()]);
        let told = seen.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("builds");
            let shown = subscribe(plan, stopped, None, |message| {
                let number = std::str::from_utf8(message.payload).ok().and_then(|text| text.parse().ok());
                *told.lock().expect("not poisoned") = number;
            });
            runtime.block_on(shown).expect("reads");
        });
        (seen, stop, thread)
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn everything_that_a_broker_took_is_verified() {
    let Some(broker) = Mosquitto::start("max_queued_messages 0\nmax_inflight_messages 0") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name).display().to_string();
    for (version, qos, events) in [("3.1.1", "1", "100000"), ("5", "2", "20000")] {
        let ledger = path(&format!("{version}.ledger"));
        let subscriber = Listening::start(&[
            "verify",
            "--ledger",
            &ledger,
            "mqtt",
            "--target",
            &broker.url,
            "--mqtt-version",
            version,
            "--qos",
            qos,
            "--idle-s",
            "5",
        ]);
        let (code, said) = run(&[
            "mqtt",
            "--target",
            &broker.url,
            "--mqtt-version",
            version,
            "--qos",
            qos,
            "--devices",
            "10000",
            "--events",
            events,
            "--connections",
            "8",
            "--ledger",
            &ledger,
        ]);
        assert_eq!(code, 0, "{said}");
        let (code, said) = subscriber.end();
        assert!(code == 0 && said.contains(&format!("{events} events expected, {events} there")), "{said}");
    }
}

#[test]
fn what_a_broker_drops_is_counted_exactly() {
    let Some(broker) = Mosquitto::start("max_queued_messages 50\nmax_inflight_messages 10") else { return };
    let folder = tempfile::tempdir().expect("a folder");
    let ledger = folder.path().join("run.ledger").display().to_string();
    let subscriber = Listening::start(&[
        "verify",
        "--ledger",
        &ledger,
        "mqtt",
        "--target",
        &broker.url,
        "--mqtt-version",
        "3.1.1",
        "--pause-us",
        "300",
        "--idle-s",
        "3",
    ]);
    let (code, said) = run(&[
        "mqtt",
        "--target",
        &broker.url,
        "--mqtt-version",
        "3.1.1",
        "--devices",
        "500",
        "--events",
        "20000",
        "--connections",
        "4",
        "--ledger",
        &ledger,
    ]);
    assert_eq!(code, 0, "{said}");
    let (code, said) = subscriber.end();
    assert_eq!(code, 1, "{said}");
    let lost: u64 = said
        .split_once("; lost ")
        .and_then(|(_, rest)| rest.split(',').next()?.parse().ok())
        .unwrap_or_else(|| panic!("no count: {said}"));
    assert!(lost > 0 && said.contains("duplicates 0, out of order 0"), "{said}");
    let (seen, stop, thread) = broker.watch("$SYS/broker/publish/messages/dropped");
    let last = || *seen.lock().expect("not poisoned");
    eventually_or(
        || format!("verify found {lost} lost, the broker says it dropped {:?}", last()),
        || last() == Some(lost),
    );
    stop.send_replace(true);
    thread.join().expect("ends");
}
