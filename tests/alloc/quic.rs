//! QUIC: what a connection takes that is only there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use connectors::quic::endpoint::{self, Alpn, Arrived, QuicEndpointLimits};
use connectors::quic::secret::QuicSecret;
use connectors::quic::tls::{QuicTls, ServerTrust, client_config, development_certificate};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::LocalSet;

/// What the limits promise, less a fifth for the allocator's own losses.
const IDLE_BYTES_MAX: i64 = 40_000 * 4 / 5;
const CONNECTIONS: usize = 100;

/// As a subscriber: a control stream in both directions and a data stream, all silent.
async fn hold(arrived: Arrived) {
    let Arrived { connection, permit: _permit, .. } = arrived;
    let (mut send, mut receive) = connection.accept_bi().await.expect("a control stream");
    let mut hello = vec![0; 1000];
    receive.read_exact(&mut hello).await.expect("HELLO");
    send.write_all(&hello).await.expect("WELCOME");
    let mut data = connection.open_uni().await.expect("a data stream");
    data.write_all(&hello).await.expect("its header");
    drop(hello);
    // Until the client ends, which it does not.
    let _ = receive.read(&mut [0]).await;
}

/// Clients on a thread of their own, as many more as they are told.
async fn clients(to: SocketAddr, mut wanted: UnboundedReceiver<usize>, there: UnboundedSender<()>) {
    let endpoint = quinn::Endpoint::client("127.0.0.1:0".parse().expect("an address")).expect("a socket");
    let config = client_config(&ServerTrust::Insecure, None, Alpn::Anabranch).expect("settings");
    let mut open = Vec::new();
    while let Some(count) = wanted.recv().await {
        for _ in 0..count {
            let connecting = endpoint.connect_with(config.clone(), to, "localhost").expect("settings");
            let connection = connecting.await.expect("let in");
            let (mut send, mut receive) = connection.open_bi().await.expect("a stream");
            let mut hello = [7; 1000];
            send.write_all(&hello).await.expect("HELLO");
            receive.read_exact(&mut hello).await.expect("WELCOME");
            let mut data = connection.accept_uni().await.expect("a data stream");
            data.read_exact(&mut hello).await.expect("its header");
            open.push((connection, send, receive, data));
        }
        there.send(()).expect("the test listens");
    }
}

#[test]
fn an_idle_connection_takes_at_most_40_kb() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let folder = tempfile::tempdir().expect("a folder");
    let (secret, limits) = (QuicSecret::random().expect("random"), QuicEndpointLimits::default());
    let config = development_certificate(folder.path(), &[]).expect("a certificate");
    let tls = Arc::new(QuicTls::load(&config, &limits, &secret).expect("its files"));
    let addr = "127.0.0.1:0".parse().expect("an address");
    let (listener, mut sockets) = endpoint::open(addr, 1, limits, &secret, tls).expect("a socket");
    let (want, wanted) = unbounded_channel();
    let (there, mut are_there) = unbounded_channel();
    let threads = std::thread::spawn({
        let to = listener.addr;
        move || runtime().block_on(clients(to, wanted, there))
    });
    let (server, local) = (runtime(), LocalSet::new());
    let _entered = server.enter();
    let endpoint = sockets.remove(0).start().expect("starts");
    local.spawn_local(async move { endpoint.accept(|arrived| drop(tokio::task::spawn_local(hold(arrived)))).await });
    let mut add = |count| {
        want.send(count).expect("the clients listen");
        server.block_on(local.run_until(async {
            are_there.recv().await.expect("the clients are there");
            // Connections look for the largest datagram of their path for a while, and say goodbye to their handshakes.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }));
    };
    // Tables grow by doubling, and the first connections of a core may send more at once: both are over when it is measured.
    add(400);
    let used = allocation_counter::measure(|| add(CONNECTIONS));
    let each = used.bytes_current / CONNECTIONS as i64;
    println!("an idle connection takes {each} bytes");
    assert!(each <= IDLE_BYTES_MAX, "{each} bytes for an idle connection");
    drop(want);
    threads.join().expect("the clients end");
}
