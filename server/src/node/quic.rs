//! The QUIC listener of the node: what its cores share, what each core needs to serve it, and what the node does for subscribers.

mod cursors;
mod hub;

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use connectors::intake::Intake;
use connectors::mqtt::access::{Access, AccessConfig, AccessError};
use connectors::quic::QuicConfig;
use connectors::quic::endpoint::{self, Alpn, CoreEndpoint, CoreSocket, OpenError, QuicListener};
use connectors::quic::frame::Code;
use connectors::quic::secret::{QuicSecret, SecretError};
use connectors::quic::source::{Core, SessionStats, Shared as SessionShared};
use connectors::quic::tls::{DevelopmentError, Fingerprint, QuicTls, QuicTlsError, development_certificate};
use tokio::sync::watch;

pub use cursors::Subscribers;
pub use hub::Around as HubAround;

use super::core::Stage;
use super::start::StartError;
use crate::config::NodeConfig;
use hub::NodeHub;

/// How long clients have to take in that the endpoint is closed.
const CLOSE_GRACE: std::time::Duration = std::time::Duration::from_secs(1);

/// Why there can be no QUIC.
#[derive(Debug, thiserror::Error)]
pub enum QuicError {
    /// Files of passwords, keys or permissions.
    #[error("QUIC: {0}")]
    Access(#[from] AccessError),
    /// Certificates.
    #[error("QUIC: {0}")]
    Tls(#[from] QuicTlsError),
    /// A certificate of its own.
    #[error("QUIC: {0}")]
    Development(#[from] DevelopmentError),
    /// Keys.
    #[error("QUIC: {0}")]
    Secret(#[from] SecretError),
    /// Sockets.
    #[error("QUIC: {0}; choose another address with --quic-listen (port 0 lets the system choose)")]
    Open(#[from] OpenError),
}

/// What is kept while the node runs.
pub struct Quic {
    /// The sockets' side.
    pub listener: QuicListener,
    /// Of each core.
    pub stats: Vec<Arc<SessionStats>>,
    /// What clients can check the certificate against, if it is the node's own.
    pub fingerprint: Option<Fingerprint>,
    access: Arc<Access>,
    renewals: watch::Sender<()>,
}

impl Quic {
    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.listener.addr
    }

    /// What is counted.
    pub fn counters(&self) -> Vec<(&'static str, &'static str, u64)> {
        let mut sums: Vec<(&'static str, &'static str, u64)> = Vec::new();
        let mut add = |at: usize, counter: (&'static str, &'static str, u64)| match sums.get_mut(at) {
            Some(sum) => sum.2 += counter.2,
            None => sums.push(counter),
        };
        for (endpoint, session) in self.listener.stats.iter().zip(&self.stats) {
            endpoint.all().chain(session.all()).enumerate().for_each(|(at, counter)| add(at, counter));
        }
        sums
    }

    /// Reads the files of access and TLS again; what cannot be read stays as it was.
    pub fn reload(&self) {
        match self.access.reload() {
            Ok(()) => self.renewals.send_modify(|()| {}),
            Err(error) => tracing::error!(%error, "QUIC: the old permissions and passwords go on"),
        }
        if let Err(error) = self.listener.reload() {
            tracing::error!(%error, "QUIC: the old certificates go on");
        }
    }
}

/// What one core needs.
pub struct QuicServing {
    socket: CoreSocket,
    shared: Arc<SessionShared>,
    stats: Arc<SessionStats>,
    hub: HubAround,
    takes_mqtt: bool,
    stage: watch::Receiver<Stage>,
    renewals: watch::Receiver<()>,
}

/// Opens files and sockets.
pub fn start(
    settings: &QuicConfig,
    config: &NodeConfig,
    cores: usize,
    hub: &HubAround,
    stage: &watch::Receiver<Stage>,
) -> Result<(Quic, Vec<QuicServing>), StartError> {
    open(settings, config, cores, hub, stage).map_err(StartError::Quic)
}

fn open(
    settings: &QuicConfig,
    config: &NodeConfig,
    cores: usize,
    hub: &HubAround,
    stage: &watch::Receiver<Stage>,
) -> Result<(Quic, Vec<QuicServing>), QuicError> {
    let of_mqtt = config.mqtt.as_ref().map(|mqtt| &mqtt.access);
    let access: AccessConfig = settings.access.as_ref().or(of_mqtt).cloned().unwrap_or_default();
    let access = Arc::new(Access::new(&access)?);
    let data_dir: &Path = &config.node.data_dir;
    let secret = QuicSecret::open(data_dir)?;
    let development = match &settings.tls {
        Some(_) => None,
        None => Some(development_certificate(data_dir, std::slice::from_ref(&config.node.name))?),
    };
    let limits = settings.endpoint_limits();
    let tls = settings.tls.as_ref().or(development.as_ref()).map(|tls| QuicTls::load(tls, &limits, &secret));
    // One of the two is there.
    let tls = Arc::new(tls.transpose()?.ok_or(QuicTlsError::Suite)?);
    let fingerprint = development.map(|_| tls.fingerprint());
    let (listener, sockets) = endpoint::open(settings.listen, cores, limits, &secret, tls)?;
    let shared = Arc::new(SessionShared {
        access: access.clone(),
        limits: settings.session_limits(),
        ack: settings.ack,
        node: config.node.name.clone(),
        agent: concat!("anabranch/", env!("CARGO_PKG_VERSION")).to_owned(),
        partitions: config.node.partitions,
    });
    let stats: Vec<Arc<SessionStats>> = (0..cores).map(|_| Arc::default()).collect();
    let (renewals, renewals_of_cores) = watch::channel(());
    let serving = |(socket, stats): (CoreSocket, &Arc<SessionStats>)| QuicServing {
        socket,
        shared: shared.clone(),
        stats: stats.clone(),
        hub: hub.clone(),
        takes_mqtt: settings.mqtt,
        stage: stage.clone(),
        renewals: renewals_of_cores.clone(),
    };
    let servings = sockets.into_iter().zip(&stats).map(serving).collect();
    Ok((Quic { listener, stats, fingerprint, access, renewals }, servings))
}

impl QuicServing {
    /// Serves until the stage passes `Run`. `mqtt` serves connections that speak MQTT.
    pub async fn run(self, intake: Intake, mqtt: Option<Rc<connectors::mqtt::source::Core>>) {
        let Self { socket, shared, stats, hub, takes_mqtt, mut stage, mut renewals } = self;
        let endpoint: CoreEndpoint = match socket.start() {
            Ok(endpoint) => endpoint,
            Err(error) => {
                tracing::error!(%error, "the QUIC endpoint of a core cannot be started");
                return;
            }
        };
        let core = Core::new(shared, stats, Box::new(NodeHub::new(hub)), intake);
        let mqtt = mqtt.filter(|_| takes_mqtt);
        let serving = core.clone();
        let accept = endpoint.accept(move |arrived| match (arrived.alpn, &mqtt) {
            (Alpn::Anabranch, _) => serving.serve(arrived),
            (Alpn::Mqtt, Some(mqtt)) => mqtt.serve_quic(arrived),
            (Alpn::Mqtt, None) => arrived.connection.close(0u32.into(), b"this node serves no MQTT here"),
        });
        let renewing = core.clone();
        let renew = async move {
            while renewals.changed().await.is_ok() {
                renewing.renew();
            }
            std::future::pending::<()>().await;
        };
        let shutdown = async move {
            // An error means that the node is gone.
            let _ = stage.wait_for(|stage| *stage > Stage::Run).await;
        };
        tokio::select! {
            () = core.run(shutdown) => {}
            () = accept => {}
            () = renew => {}
        }
        endpoint.close(Code::GOING_AWAY.0 as u32, "the node stops", CLOSE_GRACE).await;
    }
}
