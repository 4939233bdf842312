//! The brokers: ours, mosquitto and rumqttd, each as a process on the server's core, set up to be fast.
//!
//! What always holds: a broker listens on a port of its own on loopback, without users and TLS, and keeps nothing of an earlier run; one
//! that is not installed has its reason.

use std::error::Error;
use std::fmt::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use loadgen::client::mqtt::Target;

use crate::process::Server;
use crate::{Setting, cores};

/// A broker by its kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Ours,
    Mosquitto,
    Rumqttd,
}

/// What is asked of brokers; the peers know neither logs nor routes.
#[derive(Clone, Debug, Default)]
pub struct Ask {
    /// When ours acknowledges: `written`, or else `synced`.
    pub written: bool,
    /// Routes of ours, none of which is without work: see [`configuration`].
    pub routes: u32,
    /// Where the first route pushes.
    pub push_url: Option<String>,
}

/// A broker that runs.
pub struct Broker {
    pub version: String,
    pub server: Server,
    pub target: Target,
    /// Ours: the address of its HTTP listener.
    pub http: Option<String>,
    _folder: tempfile::TempDir,
}

impl Broker {
    /// Its process.
    pub fn pid(&self) -> u32 {
        self.server.pid()
    }
}

impl Kind {
    /// Its name in rows.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ours => "anabranch",
            Self::Mosquitto => "mosquitto",
            Self::Rumqttd => "rumqttd",
        }
    }

    /// Starts one on a core.
    pub fn start(self, setting: &Setting, ask: &Ask, core: usize) -> Result<Broker, Box<dyn Error>> {
        match self {
            Self::Ours => ours(setting, ask, core),
            Self::Mosquitto | Self::Rumqttd => self.start_peer(core),
        }
    }

    fn start_peer(self, core: usize) -> Result<Broker, Box<dyn Error>> {
        let program = self.program()?;
        let folder = tempfile::tempdir()?;
        let (file, configuration): (_, fn(SocketAddr) -> String) = match self {
            Self::Rumqttd => ("rumqttd.toml", rumqttd),
            _ => ("mosquitto.conf", mosquitto),
        };
        let file = folder.path().join(file);
        let mut failed = None;
        // The port is free when it is chosen; if another process takes it meanwhile, there is another one.
        for _ in 0..3 {
            let socket = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
            std::fs::write(&file, configuration(socket))?;
            let mut command = Command::new(&program.path);
            command.arg("-c").arg(&file);
            if self == Self::Rumqttd {
                command.arg("-q");
            }
            match cores::on(core, || Server::start_at(&mut command, socket, "mqtt://"))? {
                Ok(server) => {
                    let target = server.address.parse()?;
                    return Ok(Broker { version: program.version, server, target, http: None, _folder: folder });
                }
                Err(error) => failed = Some(error),
            }
        }
        Err(failed.unwrap_or_else(|| format!("{} does not start", self.name()).into()))
    }

    fn program(self) -> Result<Program, Box<dyn Error>> {
        let (places, argument) = match self {
            Self::Rumqttd => (vec![PathBuf::from("rumqttd"), peers_folder().join("cargo/bin/rumqttd")], "--version"),
            _ => (vec![PathBuf::from("mosquitto"), PathBuf::from("/usr/sbin/mosquitto")], "-h"),
        };
        for path in places {
            if let Ok(said) = Command::new(&path).arg(argument).output() {
                let said = String::from_utf8_lossy(&said.stdout);
                // `NAME 1.2.3` or `NAME version 1.2.3`, and more.
                let version = said.lines().next().and_then(|line| line.split_whitespace().last()).unwrap_or_default();
                return Ok(Program { path, version: version.to_owned() });
            }
        }
        Err(format!("not installed: `bench/peers/setup.sh {}` brings it", self.name()).into())
    }
}

struct Program {
    path: PathBuf,
    version: String,
}

/// Where `bench/peers/setup.sh` puts what it brings.
fn peers_folder() -> PathBuf {
    let folder = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    folder("ANABRANCH_PEERS").unwrap_or_else(|| {
        let cache = folder("XDG_CACHE_HOME").or_else(|| folder("HOME").map(|home| home.join(".cache")));
        cache.unwrap_or_default().join("anabranch/peers")
    })
}

fn ours(setting: &Setting, ask: &Ask, core: usize) -> Result<Broker, Box<dyn Error>> {
    let folder = match &setting.data {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    };
    let file = folder.path().join("anabranch.toml");
    std::fs::write(&file, configuration(ask))?;
    let mut command = Command::new(&setting.anabranch);
    command.args(["run", "--http-listen", "127.0.0.1:0", "--shards", "1", "--log-level", "off", "--config"]);
    command.arg(&file).arg("--data-dir").arg(folder.path().join("data"));
    let server = cores::on(core, || Server::start_with(&mut command, &["mqtt://", "http://"]))??;
    let target = server.address.parse()?;
    let http = server.more.first().cloned();
    Ok(Broker { version: String::new(), server, target, http, _folder: folder })
}

/// The device whose events the first route pushes.
pub const PUSHED_DEVICE: u32 = 0;

/// The first route pushes one device's events, so that it can be counted that routes are matched. Each of the others asks for one device
/// and a temperature that no device of the fleet reaches: they cost what they cost, and nothing has to be delivered.
fn configuration(ask: &Ask) -> String {
    let ack = if ask.written { "written" } else { "synced" };
    let mut config = format!("[listeners.mqtt]\nlisten = \"127.0.0.1:0\"\nack = \"{ack}\"\n\n");
    let mut add = |text: std::fmt::Arguments<'_>| config.write_fmt(text).expect("written to memory");
    if let Some(url) = &ask.push_url {
        add(format_args!("[endpoints.pushed]\ntype = \"webhook\"\nurl = \"{url}\"\nbatch_events_max = 100\n\n"));
        for route in 0..ask.routes {
            let above = if route == PUSHED_DEVICE { "" } else { " AND temp > 99" };
            let device = loadgen::fleet::device_id(route);
            add(format_args!(
                "[[routes]]\nname = \"r{route}\"\nfilter = \"device_id = '{device}'{above}\"\nendpoint = \"pushed\"\n\n"
            ));
        }
    }
    config
}

/// Nothing is kept, nothing is logged, and nothing is limited.
fn mosquitto(socket: SocketAddr) -> String {
    format!(
        "user root\nlistener {} {}\nallow_anonymous true\npersistence false\nset_tcp_nodelay true\nsys_interval 0\n\
         max_queued_messages 0\nmax_queued_bytes 0\nmax_inflight_messages 0\nmax_connections -1\nconnection_messages false\n\
         log_dest none\n",
        socket.port(),
        socket.ip()
    )
}

/// Connections without a pause between them, and limits that none of the cases reaches. Its log of topics is a gigabyte of memory.
fn rumqttd(socket: SocketAddr) -> String {
    format!(
        "id = 0\n\n[router]\nid = 0\nmax_connections = 200000\nmax_outgoing_packet_count = 200\nmax_segment_size = 104857600\n\
         max_segment_count = 10\n\n[v5.1]\nname = \"v5-1\"\nlisten = \"{socket}\"\nnext_connection_delay_ms = 0\n\n\
         [v5.1.connections]\nconnection_timeout_ms = 60000\nmax_payload_size = 20480\nmax_inflight_count = 1000\n\
         dynamic_filters = true\n"
    )
}
