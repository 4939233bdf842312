//! Nodes of several cores for tests: threads with real sockets, whose service says what it knows of a connection.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use quinn::{Connection, Endpoint, RecvStream, SendStream};
use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use tempfile::TempDir;
use tokio::sync::watch;

use super::endpoint::{self, Alpn, Arrived, CoreSocket, QuicEndpointLimits, QuicListener, QuicStats};
use super::secret::QuicSecret;
use super::tls::{ClientIdentity, QuicTls, ServerTrust, client_config};
use crate::tls::{ClientCertificates, TlsConfig};

/// An authority, and files of servers and clients of it.
pub struct Ground {
    folder: TempDir,
    issuer: Issuer<'static, KeyPair>,
}

impl Ground {
    /// With a server's files.
    pub fn new() -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(DnType::CommonName, "an authority");
        let authority = params.self_signed(&key).unwrap();
        let ground = Self { folder: tempfile::tempdir().unwrap(), issuer: Issuer::new(params, key) };
        std::fs::write(ground.path("ca.pem"), authority.pem()).unwrap();
        ground.card("server", true);
        ground
    }

    /// A file of this name.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A new certificate and its key in files of that name.
    pub fn card(&self, name: &str, is_signed: bool) -> ClientIdentity {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        let certificate = match is_signed {
            true => params.signed_by(&key, &self.issuer).unwrap(),
            false => params.self_signed(&key).unwrap(),
        };
        let identity = ClientIdentity {
            cert_file: self.path(&format!("{name}.pem")),
            key_file: self.path(&format!("{name}.key")),
        };
        std::fs::write(&identity.cert_file, certificate.pem()).unwrap();
        std::fs::write(&identity.key_file, key.serialize_pem()).unwrap();
        identity
    }

    /// The server's settings.
    pub fn config(&self, client_certificates: ClientCertificates) -> TlsConfig {
        TlsConfig {
            cert_file: self.path("server.pem"),
            key_file: self.path("server.key"),
            client_ca_file: (client_certificates != ClientCertificates::None).then(|| self.path("ca.pem")),
            client_certificates,
        }
    }

    /// A client that trusts the authority.
    pub fn client(&self, alpn: Alpn, identity: Option<&ClientIdentity>) -> quinn::ClientConfig {
        client_config(&ServerTrust::Authorities(self.path("ca.pem")), identity, alpn).unwrap()
    }
}

/// A node. Dropped: its cores stop without a word to anybody.
pub struct Node {
    pub listener: QuicListener,
    pub tls: Arc<QuicTls>,
    stop: watch::Sender<bool>,
    threads: Vec<JoinHandle<()>>,
}

impl Node {
    /// On a free port.
    pub fn start(cores: usize, limits: QuicEndpointLimits, config: &TlsConfig) -> Self {
        Self::start_at("127.0.0.1:0".parse().unwrap(), cores, limits, config, &QuicSecret::random().unwrap())
    }

    /// Whose service answers each stream with what it knows.
    pub fn start_at(
        addr: SocketAddr,
        cores: usize,
        limits: QuicEndpointLimits,
        config: &TlsConfig,
        secret: &QuicSecret,
    ) -> Self {
        let tls = Arc::new(QuicTls::load(config, &limits, secret).unwrap());
        let (listener, sockets) = endpoint::open(addr, cores, limits, secret, tls.clone()).unwrap();
        let (stop, stopped) = watch::channel(false);
        let threads = sockets
            .into_iter()
            .enumerate()
            .map(|(core, socket)| {
                let stopped = stopped.clone();
                std::thread::spawn(move || run(core, socket, stopped))
            })
            .collect();
        Self { listener, tls, stop, threads }
    }

    /// Of all cores.
    pub fn sum(&self, counter: impl Fn(&QuicStats) -> &AtomicU64) -> u64 {
        self.listener.stats.iter().map(|stats| counter(stats).load(Ordering::Relaxed)).sum()
    }

    /// Waits until a counter of all cores together says so.
    pub async fn until(&self, counter: impl Fn(&QuicStats) -> &AtomicU64, is_so: impl Fn(u64) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !is_so(self.sum(&counter)) {
            assert!(Instant::now() < deadline, "still {}: {:?}", self.sum(&counter), self.listener.stats);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            if !std::thread::panicking() {
                ended.unwrap();
            }
        }
    }
}

fn run(core: usize, socket: CoreSocket, mut stopped: watch::Receiver<bool>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(async {
        let endpoint = socket.start().unwrap();
        tokio::select! {
            () = endpoint.accept(move |arrived| drop(tokio::task::spawn_local(serve(core, arrived)))) => {}
            _ = stopped.wait_for(|stopped| *stopped) => {}
        }
    }));
}

/// Answers each stream with what is known of the connection.
pub async fn serve(core: usize, arrived: Arrived) {
    let Arrived { connection, alpn, certificate, early, permit: _permit } = arrived;
    let trust = certificate.map_or("none", |certificate| if certificate.is_verified { "verified" } else { "unknown" });
    let about = format!("core {core}, {}, certificate {trust}", alpn.name());
    let mut confirmed = None;
    if let Some(early) = early {
        confirmed = Some(early.confirmed);
        answer(early.control, || format!("{about}, early")).await;
    }
    while let Ok(streams) = connection.accept_bi().await {
        let still_early = || confirmed.as_ref().is_some_and(|confirmed| !confirmed.is_over());
        answer(streams, || about.clone() + if still_early() { ", early" } else { "" }).await;
    }
}

async fn answer((mut send, mut receive): (SendStream, RecvStream), about: impl FnOnce() -> String) {
    let Ok(question) = receive.read_to_end(64 * 1024).await else { return };
    let answer = format!("{}: {}", about(), String::from_utf8_lossy(&question));
    if send.write_all(answer.as_bytes()).await.is_ok() {
        // Nobody waits for the end of it: a client that has left has left.
        let _ = send.finish();
    }
}

/// A client's endpoint on a port of its own.
pub fn client_endpoint() -> Endpoint {
    Endpoint::client("127.0.0.1:0".parse().unwrap()).unwrap()
}

/// Asks on a stream of its own.
pub async fn ask(connection: &Connection, question: &str) -> Result<String, Box<dyn std::error::Error>> {
    let (mut send, mut receive) = connection.open_bi().await?;
    send.write_all(question.as_bytes()).await?;
    send.finish()?;
    Ok(String::from_utf8(receive.read_to_end(64 * 1024).await?)?)
}
