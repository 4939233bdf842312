//! Clients that others wrote, against our broker: mosquitto's, paho-mqtt, rumqttc and mqtt.js.
//!
//! What always holds: they are started by the test in versions that it names and brings itself where it can; where one cannot be had the
//! test says so, loudly. What they say goes into the message of a failure.

mod kills;
mod mosquitto;
mod rumqttc;
mod secured;
mod talk;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, OnceLock};

use crate::support::{STEP_MAX, eventually};

const MQTT_JS: &str = "5.16.0";

/// A Python with paho-mqtt.
fn paho() -> Option<PathBuf> {
    static PAHO: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = PAHO.get_or_init(|| crate::python::environment("mqtt-clients", &["paho-mqtt==2.2.0"], &["paho.mqtt"]));
    if found.is_none() {
        eprintln!("!!! SKIPPED: there is no python3, so paho-mqtt has not met the broker");
    }
    found.clone()
}

/// The folder of mqtt.js.
fn mqtt_js() -> Option<PathBuf> {
    static MQTT: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = MQTT.get_or_init(|| {
        let runs =
            |name: &str| Command::new(name).arg("--version").output().is_ok_and(|version| version.status.success());
        if !runs("node") || !runs("npm") {
            return None;
        }
        let folder = crate::python::cache().join(format!("mqtt-js-{MQTT_JS}"));
        let module = folder.join("node_modules/mqtt");
        if !module.join("package.json").exists() {
            std::fs::create_dir_all(&folder).expect("a cache");
            let install = ["install", "--silent", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
            let package = format!("mqtt@{MQTT_JS}");
            let done = Command::new("npm").args(install).arg(&folder).arg(&package).current_dir(&folder).output();
            let done = done.expect("npm starts");
            assert!(done.status.success(), "npm cannot install {package}: {}", String::from_utf8_lossy(&done.stderr));
        }
        Some(module)
    });
    if found.is_none() {
        eprintln!("!!! SKIPPED: there is no node with npm, so mqtt.js has not met the broker");
    }
    found.clone()
}

/// Whether mosquitto_pub and mosquitto_sub are there; Debian's package manager is asked for them where it may be.
fn has_mosquitto_clients() -> bool {
    static THERE: OnceLock<bool> = OnceLock::new();
    let is_there = || {
        let help = Command::new("mosquitto_sub").arg("--help").stdout(Stdio::null()).stderr(Stdio::null()).status();
        help.is_ok()
    };
    let found = *THERE.get_or_init(|| {
        if !is_there() {
            let setup = crate::sources::root().join("bench/peers/setup.sh");
            let _ = Command::new("sh").arg(setup).arg("mosquitto-clients").stdout(Stdio::null()).status();
        }
        is_there()
    });
    if !found {
        eprintln!(
            "!!! SKIPPED: there are no mosquitto_pub and mosquitto_sub (Debian: apt-get install mosquitto-clients)"
        );
    }
    found
}

/// A program beside the test: its lines as they come. Killed when it is dropped.
struct Beside {
    child: Child,
    lines: Receiver<String>,
    said: Arc<Mutex<String>>,
}

impl Beside {
    fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("starts");
        let said = Arc::new(Mutex::new(String::new()));
        let (sender, lines) = channel();
        let (out, told) = (child.stdout.take().expect("piped"), said.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                told.lock().expect("not poisoned").push_str(&format!("{line}\n"));
                // Nobody may be listening any more.
                let _ = sender.send(line);
            }
        });
        let (mut err, told) = (child.stderr.take().expect("piped"), said.clone());
        std::thread::spawn(move || {
            let mut text = String::new();
            let _ = err.read_to_string(&mut text);
            told.lock().expect("not poisoned").push_str(&text);
        });
        Self { child, lines, said }
    }

    fn said(&self) -> String {
        self.said.lock().expect("not poisoned").clone()
    }

    /// The next line of its output.
    #[track_caller]
    fn line(&self) -> String {
        self.lines.recv_timeout(STEP_MAX).unwrap_or_else(|_| panic!("no more lines: {}", self.said()))
    }

    /// kill -9.
    fn kill(mut self) {
        self.child.kill().expect("kills");
        self.child.wait().expect("ends");
    }

    /// Its own end.
    fn ended(&mut self) -> ExitStatus {
        let mut ended = None;
        eventually("the client ends", || {
            ended = self.child.try_wait().expect("asks");
            ended.is_some()
        });
        ended.expect("just seen")
    }

    /// Its own end, which must be a good one: all that it wrote.
    #[track_caller]
    fn done(mut self) -> String {
        let status = self.ended();
        let mut rest = Vec::new();
        // The readers end when the pipes do.
        rest.extend(self.lines.iter());
        assert!(status.success(), "{status}: {}", self.said());
        self.said()
    }
}

impl Drop for Beside {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn script(path: &str) -> PathBuf {
    crate::sources::root().join("tests").join(path)
}

/// paho-mqtt with the arguments of `mqtt_paho.py`.
fn with_paho(python: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(python);
    command.arg(script("python/mqtt_paho.py")).args(args);
    command
}

/// mqtt.js with the arguments of `mqtt_js.mjs`.
fn with_mqtt_js(module: &Path, args: &[&str]) -> Command {
    let mut command = Command::new("node");
    command.arg(script("javascript/mqtt_js.mjs")).arg(module).args(args);
    command
}
