//! A mosquitto of a test's own: its port, its folder, and its end.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::super::Target;

const SKIPPED: &str =
    "!!! SKIPPED: there is no mosquitto (Debian: apt-get install mosquitto), so the client has met no real broker";

pub(super) struct Broker {
    pub target: Target,
    pub folder: tempfile::TempDir,
    child: Child,
}

impl Broker {
    /// Starts one, with more lines of configuration in which `DIR` is its folder. `None`, and a loud word, where there is none.
    pub(super) fn start(more: &str) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        Self::start_in(folder, "mqtt", "127.0.0.1", more)
    }

    pub(super) fn start_in(folder: tempfile::TempDir, scheme: &str, host: &str, more: &str) -> Option<Self> {
        if program().is_none() {
            eprintln!("{SKIPPED}");
            return None;
        }
        // The port is free when it is chosen; if another process takes it meanwhile, there is another one.
        for _ in 0..10 {
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let config = format!(
                "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 200\n\
                 persistence_location {}/\n{}\n",
                folder.path().display(),
                more.replace("DIR", &folder.path().display().to_string())
            );
            std::fs::write(folder.path().join("mosquitto.conf"), config).unwrap();
            if let Some(child) = launch(folder.path(), port) {
                let target = format!("{scheme}://{host}:{port}").parse().unwrap();
                return Some(Self { target, folder, child });
            }
        }
        panic!("mosquitto does not start");
    }

    /// Ends it as an administrator would, who lets it write its state, and starts it again on the same port.
    pub(super) fn restart(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
        self.child = launch(self.folder.path(), self.target.port).expect("mosquitto starts again");
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn program() -> Option<&'static str> {
    ["mosquitto", "/usr/sbin/mosquitto"]
        .into_iter()
        .find(|program| Command::new(program).arg("-h").stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok())
}

/// `None` if it ended instead of listening.
fn launch(folder: &Path, port: u16) -> Option<Child> {
    let log = std::fs::File::create(folder.join("log")).unwrap();
    let mut child = Command::new(program()?)
        .arg("-c")
        .arg(folder.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(20) {
        if TcpStream::connect(("127.0.0.1", port)).is_ok() {
            return Some(child);
        }
        if child.try_wait().unwrap().is_some() {
            return None;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().ok();
    child.wait().ok();
    panic!("mosquitto neither listens nor ends");
}
