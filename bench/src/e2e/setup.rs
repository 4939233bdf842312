//! A contestant: its process, its routes, and the receiver that its pushes go to.

use std::error::Error;
use std::fmt::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use loadgen::receiver::{Mode, Receiver};

use crate::process::Server;
use crate::{Setting, cores};

/// The filter of the first route, which every contestant has: about 3 % of the fleet's events.
pub const PUSHED: &str = "temp > 30";

/// How many routes lead to how many endpoints.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub routes: u32,
    pub endpoints: u32,
    /// And a Parquet endpoint that takes every event.
    pub lake: bool,
}

impl Shape {
    pub const fn new(routes: u32, endpoints: u32) -> Self {
        Self { routes, endpoints, lake: false }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plural = |count: u32| if count == 1 { "" } else { "s" };
        let (routes, endpoints) = (self.routes, self.endpoints);
        let lake = if self.lake { ", every event to Parquet" } else { "" };
        let grouped = |count: u32| loadgen::report::grouped(u64::from(count));
        write!(
            f,
            "{} route{}, {} endpoint{}{lake}",
            grouped(routes),
            plural(routes),
            grouped(endpoints),
            plural(endpoints)
        )
    }
}

/// A server under load.
pub struct Contestant {
    pub server: Server,
    /// Where pushes of the first route arrive.
    pub receiver: Receiver,
    /// Pushed events that arrived, of all routes.
    pub arrived: Arc<AtomicU64>,
    _folder: tempfile::TempDir,
}

impl Contestant {
    /// The real node.
    pub fn ours(setting: &Setting, shape: Shape, on: (&[usize], usize)) -> Result<Self, Box<dyn Error>> {
        let (receiver, arrived) = receiver(on.1)?;
        let folder = folder(setting)?;
        let config = folder.path().join("anabranch.toml");
        let mut text = configuration(shape, &receiver.url());
        if shape.lake {
            text += &lake(&folder.path().join("lake"));
        }
        std::fs::write(&config, text)?;
        let mut command = Command::new(&setting.anabranch);
        command.args(["run", "--http-listen", "127.0.0.1:0", "--log-level", "off", "--shards"]);
        command.arg(on.0.len().to_string()).arg("--config").arg(&config);
        command.arg("--data-dir").arg(folder.path().join("data"));
        let server = cores::on_all(on.0, || Server::start(&mut command))??;
        Ok(Self { server, receiver, arrived, _folder: folder })
    }

    /// What one would write.
    pub fn stand_in(on: (&[usize], usize)) -> Result<Self, Box<dyn Error>> {
        let (receiver, arrived) = receiver(on.1)?;
        let folder = tempfile::tempdir()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("stand-in-server").env("STAND_IN_FILE", folder.path().join("log"));
        command.env("STAND_IN_PUSH", receiver.url());
        let server = cores::on_all(on.0, || Server::start(&mut command))??;
        Ok(Self { server, receiver, arrived, _folder: folder })
    }
}

fn folder(setting: &Setting) -> Result<tempfile::TempDir, Box<dyn Error>> {
    Ok(match &setting.data {
        Some(folder) => tempfile::tempdir_in(folder)?,
        None => tempfile::tempdir()?,
    })
}

fn receiver(core: usize) -> Result<(Receiver, Arc<AtomicU64>), Box<dyn Error>> {
    let arrived = Arc::new(AtomicU64::new(0));
    let counted = arrived.clone();
    let taker = Box::new(move |_: &[u8], _| {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    Ok((cores::on(core, || Receiver::listen_for(listen, Mode::Healthy, taker))??, arrived))
}

/// A file has about a second's events, so that files are finished within a run.
fn lake(dir: &Path) -> String {
    format!(
        "[endpoints.lake]\ntype = \"parquet\"\ndir = \"{}\"\nrows_max = 250000\n\n\
         [[routes]]\nname = \"all\"\nfilter = \"true\"\nendpoint = \"lake\"\n",
        dir.display()
    )
}

/// The first route pushes [`PUSHED`]. Each of the others asks for one device and a temperature that no device of the fleet reaches,
/// so that routes cost what they cost and pushes stay the same.
fn configuration(shape: Shape, url: &str) -> String {
    let mut config = String::from("[listeners.http]\nkey_pointer = \"/device_id\"\n\n");
    let mut add = |text: fmt::Arguments<'_>| config.write_fmt(text).expect("written to memory");
    for endpoint in 0..shape.endpoints {
        add(format_args!(
            "[endpoints.e{endpoint}]\ntype = \"webhook\"\nurl = \"{url}\"\nbatch_events_max = 100\nconcurrency_max = 4\n\n"
        ));
    }
    for route in 0..shape.routes {
        let endpoint = route % shape.endpoints;
        let filter = match route {
            0 => PUSHED.to_owned(),
            _ => format!("device_id = 'dev-{:09}' AND temp > 99", route - 1),
        };
        add(format_args!("[[routes]]\nname = \"r{route}\"\nfilter = \"{filter}\"\nendpoint = \"e{endpoint}\"\n\n"));
    }
    config
}
