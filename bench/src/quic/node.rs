//! Our node with its QUIC listener, on the server's core.

use std::error::Error;
use std::process::Command;
use std::time::{Duration, Instant};

use loadgen::client::Progress;
use loadgen::client::quic::{self, Access, Crowd, CrowdPlan, Member, QuicOutcome, QuicPlan, Trust, Wanted};
use tokio::sync::watch;

use super::{Cores, Measured};
use crate::process::{Server, busy_ns, busy_ns_when_quiet};
use crate::{Setting, cores};

/// Devices of the fleet that publishes.
pub const DEVICES: u32 = 10_000;
/// What was sent arrives within this, or the run fails.
const PATIENCE: Duration = Duration::from_secs(20);

pub struct Node {
    server: Server,
    pub access: Access,
    _folder: tempfile::TempDir,
}

impl Node {
    /// With a log of its own; acknowledges when an event is `written` or `synced`.
    pub fn start(setting: &Setting, on: Cores, ack: &str) -> Result<Self, Box<dyn Error>> {
        let folder = match &setting.data {
            Some(folder) => tempfile::tempdir_in(folder)?,
            None => tempfile::tempdir()?,
        };
        let file = folder.path().join("anabranch.toml");
        // No limit of these is what is measured.
        let config = format!(
            "[listeners.quic]\nlisten = \"127.0.0.1:0\"\nack = \"{ack}\"\nsubscriptions_max = 1024\n\
             arrivals_per_address_per_s = 100000\narrivals_per_address_at_once = 100000\n"
        );
        std::fs::write(&file, config)?;
        let mut command = Command::new(&setting.anabranch);
        command.args(["run", "--http-listen", "127.0.0.1:0", "--shards", "1", "--log-level", "off", "--config"]);
        command.arg(&file).arg("--data-dir").arg(folder.path().join("data"));
        let server = cores::on(on.server, || Server::start_with(&mut command, &["quic://", "http://", "sha256:"]))??;
        let fingerprint = server.more.get(1).ok_or("the node names its certificate")?.parse()?;
        let access = Access::new(server.address.parse()?, Trust::Fingerprint(fingerprint));
        Ok(Self { server, access, _folder: folder })
    }

    pub fn pid(&self) -> u32 {
        self.server.pid()
    }

    /// Eight gateways.
    pub fn plan(&self, events: u64) -> QuicPlan {
        let mut plan = QuicPlan::new(self.access.clone(), DEVICES);
        plan.events = events;
        plan
    }

    /// So many subscribers of everything, each with a connection of its own.
    pub fn crowd(&self, subscribers: u32, wanted: Wanted) -> CrowdPlan {
        CrowdPlan {
            access: self.access.clone(),
            wanted,
            members: vec![Member::default(); subscribers as usize],
            connections: subscribers,
            patience: PATIENCE,
        }
    }
}

/// Publishes to the end.
pub fn publish(plan: QuicPlan) -> Result<QuicOutcome, Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_go_on, stop) = watch::channel(false);
    let events = plan.events;
    let outcome = runtime.block_on(quic::run(plan, Default::default(), stop))?;
    let acknowledged = outcome.ledger.acknowledged_events();
    if acknowledged != events || outcome.reconnects > 0 {
        return Err(format!("{acknowledged} of {events} events were acknowledged").into());
    }
    Ok(outcome)
}

/// What a server and the driver have used since.
pub struct Clock {
    pid: u32,
    server_ns: u64,
    driver_ns: u64,
    began: Instant,
}

impl Clock {
    pub fn start(pid: u32) -> Result<Self, Box<dyn Error>> {
        let driver_ns = busy_ns(std::process::id())?;
        Ok(Self { pid, driver_ns, server_ns: busy_ns_when_quiet(pid)?, began: Instant::now() })
    }

    /// `seconds`: how long the work itself took, if it ended before now.
    pub fn stop(&self, count: u64, bytes: u64, seconds: Option<f64>) -> Result<Measured, Box<dyn Error>> {
        let wall = self.began.elapsed().as_secs_f64();
        let driver = (busy_ns(std::process::id())?.saturating_sub(self.driver_ns)) as f64 / 1e9 / wall;
        let busy_ns = busy_ns_when_quiet(self.pid)?.saturating_sub(self.server_ns).max(1);
        Ok(Measured { count, bytes, busy_ns, driver, seconds: seconds.unwrap_or(wall) })
    }
}

/// Publishes while a crowd reads, and waits until `deliveries` more have arrived.
pub fn live(
    runtime: &tokio::runtime::Runtime,
    node: &Node,
    crowd: &mut Crowd,
    plan: QuicPlan,
    deliveries: u64,
) -> Result<Measured, Box<dyn Error>> {
    let before = crowd.view();
    let clock = Clock::start(node.pid())?;
    let events = plan.events;
    let (_go_on, stop) = watch::channel(false);
    // Its connections are on threads of their own.
    let view = runtime.block_on(async {
        let publishing = tokio::spawn(quic::run(plan, std::sync::Arc::new(Progress::default()), stop));
        let view = crowd.wait(before.delivered() + deliveries).await?;
        let outcome = publishing.await??;
        match outcome.ledger.acknowledged_events() == events && outcome.reconnects == 0 {
            true => Ok::<_, Box<dyn Error>>(view),
            false => Err("not every event was acknowledged".into()),
        }
    })?;
    let delivered = view.delivered() - before.delivered();
    if delivered != deliveries || view.losses > 0 {
        return Err(format!("{delivered} of {deliveries} deliveries arrived").into());
    }
    clock.stop(delivered, view.bytes - before.bytes, None)
}
