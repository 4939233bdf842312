//! Clients that others wrote, against our broker: mosquitto's, paho-mqtt, rumqttc and mqtt.js.
//!
//! What always holds: they are started by the test in versions that it names and brings itself where it can; where one cannot be had the
//! test says so, loudly. What they say goes into the message of a failure.

mod kills;
mod mosquitto;
mod rumqttc;
mod secured;
mod talk;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use crate::beside::Beside;

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
    let found = MQTT.get_or_init(|| crate::npm::package("mqtt", MQTT_JS));
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
