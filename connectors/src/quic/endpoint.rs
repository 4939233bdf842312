//! The QUIC listener: a socket and an endpoint of quinn for each core, on one address.
//!
//! [`open`] binds the sockets while the node starts; each core makes its [`CoreEndpoint`] of its own one and calls
//! [`CoreEndpoint::accept`], which shows it every connection whose handshake is over, or that said something in 0-RTT before.
//! What always holds: a connection lives on one core from its first packet to its last; what strangers can make the node
//! keep or send is bounded before they have proved their address; every refusal is counted.

mod admission;
mod arrival;
mod bind;
mod limits;
mod stats;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_lc_rs::hmac;
use quinn::{Endpoint, EndpointConfig, Runtime, TokioRuntime, VarInt};

pub use arrival::{Alpn, Arrived, Confirmed, ConnectionPermit, Early};
pub use bind::BindError;
pub use limits::QuicEndpointLimits;
pub use stats::QuicStats;

use super::secret::QuicSecret;
use super::steer::{SteeredSocket, Steering};
use super::tls::{QuicTls, QuicTlsError};
use crate::rate_limited::RateLimited;
use admission::{Admission, Verdict};

/// Resets are sent only for ids that the node made, so a client that missed a restart need not wait for its turn long.
const RESET_INTERVAL: Duration = Duration::from_millis(1);

/// Why there is no listener.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Sockets.
    #[error(transparent)]
    Bind(#[from] BindError),
}

/// What the cores share.
#[derive(Debug)]
struct Shared {
    limits: QuicEndpointLimits,
    tls: Arc<QuicTls>,
    steering: Arc<Steering>,
    reset_key: Arc<hmac::Key>,
    /// Open ones, handshakes included.
    connections: Arc<AtomicUsize>,
}

/// What stays with the node.
#[derive(Debug)]
pub struct QuicListener {
    /// Where it listens.
    pub addr: SocketAddr,
    /// What each core counts.
    pub stats: Vec<Arc<QuicStats>>,
    shared: Arc<Shared>,
}

impl QuicListener {
    /// Open connections, those in their handshake included.
    pub fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::Relaxed)
    }

    /// Reads the certificates again, for connections from now on. On an error all stays as it was.
    pub fn reload(&self) -> Result<(), QuicTlsError> {
        self.shared.tls.reload()
    }
}

/// What a core is given; its endpoint is made on the core itself.
#[derive(Debug)]
pub struct CoreSocket {
    core: u8,
    socket: UdpSocket,
    stats: Arc<QuicStats>,
    shared: Arc<Shared>,
}

/// Binds a socket for each core. Port 0: the system chooses, once for all.
pub fn open(
    addr: SocketAddr,
    cores: usize,
    limits: QuicEndpointLimits,
    secret: &QuicSecret,
    tls: Arc<QuicTls>,
) -> Result<(QuicListener, Vec<CoreSocket>), OpenError> {
    let (addr, sockets) = bind::bind(addr, cores, &limits)?;
    let shared = Arc::new(Shared {
        limits,
        tls,
        steering: Steering::new(secret, cores),
        reset_key: Arc::new(hmac::Key::new(hmac::HMAC_SHA256, &secret.key("quic: stateless resets"))),
        connections: Arc::default(),
    });
    let stats: Vec<Arc<QuicStats>> = (0..cores).map(|_| Arc::default()).collect();
    let sockets = sockets
        .into_iter()
        .zip(&stats)
        .enumerate()
        .map(|(core, (socket, stats))| CoreSocket {
            // `bind` has seen that there are no more.
            core: core as u8,
            socket,
            stats: stats.clone(),
            shared: shared.clone(),
        })
        .collect();
    Ok((QuicListener { addr, stats, shared }, sockets))
}

impl CoreSocket {
    /// The core's endpoint; to be called on the core's own runtime.
    pub fn start(self) -> io::Result<CoreEndpoint> {
        let Self { core, socket, stats, shared } = self;
        let runtime = Arc::new(TokioRuntime);
        let below = runtime.wrap_udp_socket(socket)?;
        let socket = Arc::new(SteeredSocket::new(below, shared.steering.clone(), core, stats.clone()));
        let mut config = EndpointConfig::new(shared.reset_key.clone());
        let steering = shared.steering.clone();
        config.cid_generator(move || Box::new(steering.core_ids(core)));
        config.min_reset_interval(RESET_INTERVAL);
        let server = shared.tls.server();
        let endpoint = Endpoint::new_with_abstract_socket(config, Some((*server).clone()), socket, runtime)?;
        let admission = Rc::new(RefCell::new(Admission::new(&shared.limits)));
        Ok(CoreEndpoint { endpoint, began: Instant::now(), admission, stats, shared })
    }
}

/// A core's part of the listener.
pub struct CoreEndpoint {
    endpoint: Endpoint,
    began: Instant,
    admission: Rc<RefCell<Admission>>,
    stats: Arc<QuicStats>,
    shared: Arc<Shared>,
}

impl CoreEndpoint {
    /// Takes connections until the endpoint is closed, or the future is dropped; those that have come by then stay. To be called in
    /// a `LocalSet`: handshakes are tasks of their own. `on_arrival` is called in such a task and should start another.
    pub async fn accept(&self, on_arrival: impl Fn(Arrived) + 'static) {
        let on_arrival = Rc::new(on_arrival);
        let complaints = RateLimited::new(Duration::from_secs(10));
        while let Some(incoming) = self.endpoint.accept().await {
            let stats = &self.stats;
            stats.arrivals.fetch_add(1, Ordering::Relaxed);
            let verdict = self.admission.borrow_mut().judge(
                self.began.elapsed(),
                incoming.remote_address().ip(),
                incoming.remote_address_validated(),
                self.shared.connections.load(Ordering::Relaxed),
            );
            let refused = match verdict {
                Verdict::Accept => {
                    let handshake = arrival::Handshake::new(self.admission.clone(), self.shared.connections.clone());
                    let server = self.shared.tls.current();
                    let limits = self.shared.limits.clone();
                    let shake_hands = handshake.run(incoming, server, limits, stats.clone(), on_arrival.clone());
                    tokio::task::spawn_local(shake_hands);
                    continue;
                }
                Verdict::Retry => {
                    stats.retries_sent.fetch_add(1, Ordering::Relaxed);
                    // It cannot fail: who has come with a token is validated and never told to retry.
                    let _ = incoming.retry();
                    continue;
                }
                Verdict::Full => &stats.refused_full,
                Verdict::Busy => &stats.refused_busy,
                Verdict::TooOften => &stats.refused_rate,
            };
            refused.fetch_add(1, Ordering::Relaxed);
            if let Some(held_back) = complaints.allow(Instant::now()) {
                let client = incoming.remote_address();
                tracing::warn!(%client, why = %verdict, held_back, "a QUIC connection was refused");
            }
            incoming.refuse();
        }
    }

    /// Ends all connections with a code and a reason, and waits until the clients were told, at most for `grace`.
    pub async fn close(&self, code: u32, reason: &str, grace: Duration) {
        self.endpoint.close(VarInt::from_u32(code), reason.as_bytes());
        // Clients that do not answer are not waited for longer.
        let _ = tokio::time::timeout(grace, self.endpoint.wait_idle()).await;
    }
}
