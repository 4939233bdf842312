//! The broker under test: a node of a test's own with MQTT on a free port, killed when it is dropped.
//!
//! What always holds: each test has its own broker and its own data, so no test sees another's clients, topics or retained messages.
//! While the tests themselves are worked on, `ANABRANCH_MQTT_STAND_IN=mosquitto` puts mosquitto in the node's place: a test that fails
//! against both is probably wrong itself.

use std::fmt::Write;
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::{Node, eventually};

/// A broker with its data.
pub struct Broker {
    running: Option<Running>,
    /// `host:port` of plain TCP.
    address: String,
    config: PathBuf,
    settings: String,
    folder: tempfile::TempDir,
}

enum Running {
    Node(Node),
    StandIn(Child),
}

impl Broker {
    /// With what is so without settings.
    pub fn start() -> Self {
        Self::with("")
    }

    /// With lines for `[listeners.mqtt]`; tables may follow.
    pub fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let config = folder.path().join("anabranch.toml");
        std::fs::write(&config, format!("[listeners.mqtt]\n{settings}\n")).expect("writes");
        let address = "127.0.0.1:0".to_owned();
        let mut broker = Self { running: None, address, config, settings: settings.to_owned(), folder };
        broker.run();
        broker
    }

    fn run(&mut self) {
        if std::env::var("ANABRANCH_MQTT_STAND_IN").is_ok_and(|name| name == "mosquitto") {
            let (child, address) = stand_in(self.folder.path(), &self.address, &self.settings);
            (self.running, self.address) = (Some(Running::StandIn(child)), address);
            return;
        }
        let more = ["--mqtt-listen", &self.address];
        let node = Node::start_with(&self.config, &self.folder.path().join("data"), "127.0.0.1:0", &more);
        self.address = node.address("mqtt");
        self.running = Some(Running::Node(node));
    }

    /// `host:port` of plain TCP.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The port of plain TCP.
    pub fn port(&self) -> &str {
        self.address.rsplit(':').next().expect("host and port")
    }

    /// The node itself.
    pub fn node(&self) -> &Node {
        match &self.running {
            Some(Running::Node(node)) => node,
            _ => panic!("this test needs the node itself"),
        }
    }

    /// SIGTERM, and its end: the folder of its data.
    pub fn stop(&mut self) -> PathBuf {
        match self.running.take() {
            Some(Running::Node(node)) => assert!(node.stop().success(), "the node ends well"),
            _ => panic!("this test needs the node itself"),
        }
        self.folder.path().join("data")
    }

    /// kill -9, and up again on the same port with the same data.
    pub fn kill_and_start(&mut self) {
        match self.running.take() {
            Some(Running::Node(node)) => node.kill(),
            Some(Running::StandIn(mut child)) => {
                // mosquitto keeps its sessions only when it is asked to end.
                let pid = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it is there");
                child.wait().expect("ends");
            }
            None => {}
        }
        self.run();
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(Running::StandIn(child)) = &mut self.running {
            // It may have ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// mosquitto, on the port it had or a free one. Of the settings it knows those that it has too.
fn stand_in(folder: &Path, had: &str, settings: &str) -> (Child, String) {
    let config = folder.join("mosquitto.conf");
    for _ in 0..10 {
        let port = match had.rsplit(':').next() {
            Some("0") | None => TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr()).expect("a port").port(),
            Some(port) => port.parse().expect("a port"),
        };
        let mut text = format!("user root\nlistener {port} 127.0.0.1\nmax_topic_alias 10\n");
        for line in settings.lines() {
            let Some((name, value)) = line.split_once(" = ") else { continue };
            let theirs = match name {
                "receive_max" => "max_inflight_messages",
                "packet_bytes_max" => "max_packet_size",
                "keep_alive_s_max" => "max_keepalive",
                _ => continue,
            };
            let _ = writeln!(text, "{theirs} {value}");
        }
        text += "allow_anonymous true\npersistence true\nmax_queued_messages 0\n";
        let _ = writeln!(text, "persistence_location {}/", folder.display());
        std::fs::write(&config, text).expect("writes");
        let mut child =
            Command::new("/usr/sbin/mosquitto").arg("-c").arg(&config).stderr(Stdio::null()).spawn().expect("starts");
        let mut listens = false;
        eventually("mosquitto listens or ends", || {
            listens = TcpStream::connect(("127.0.0.1", port)).is_ok();
            listens || child.try_wait().expect("asks").is_some()
        });
        if listens {
            return (child, format!("127.0.0.1:{port}"));
        }
    }
    panic!("mosquitto does not start");
}
