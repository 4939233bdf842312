//! A core with its real tasks, clients of quinn, and a log that is played by the test: MQTT over QUIC from socket to socket.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::Poll;
use std::time::{Duration, Instant};

use engine::lane::Heads;
use engine::mesh::{Ack, Placed, Submitted};
use engine::ring::{Bell, Consumer, Producer, ring};
use quinn::{Connection, Endpoint, RecvStream, SendStream};
use tempfile::TempDir;
use tokio::task::LocalSet;

use super::*;
use crate::hub::{self, Log, LogOptions};
use crate::mqtt::access::{Access, AccessConfig};
use crate::mqtt::codec::{self, Connect, ConnectProperties, Qos, Reason, Receipt, ReceiptKind, Version};
use crate::mqtt::config::MqttConfig;
use crate::mqtt::node::{Mailboxes, Parts as NodeParts};
use crate::mqtt::store::Saved;
use crate::quic::endpoint::{self, Alpn, QuicEndpointLimits};
use crate::quic::secret::QuicSecret;
use crate::quic::testing::{Ground, client_endpoint};
use crate::quic::tls::QuicTls;
use crate::tls::ClientCertificates;

mod quic;

const PARTITIONS: u32 = 2;
const STEP_MAX: Duration = Duration::from_secs(20);

/// A node of one core, on the test's own thread.
struct World {
    node: Arc<Node>,
    addr: SocketAddr,
    ground: Ground,
    client: Endpoint,
    _log: (TempDir, Log),
}

/// The log's side of the rings: takes what comes, acknowledges and shows it at once.
async fn play_log(core: Rc<Core>, from: Consumer<Submitted>, back: Producer<Ack>, bell: Bell, acked: Heads) {
    let ends = RefCell::new((from, back, [0; PARTITIONS as usize]));
    std::future::poll_fn(|cx| {
        bell.register(cx.waker());
        let (from, back, next) = &mut *ends.borrow_mut();
        while let Some(Submitted { mut batch, ticket }) = from.pop() {
            let partition = batch.partition();
            let base_offset = next[partition as usize];
            let rows = batch.rows().len() as u32;
            batch.set_base_offset(base_offset);
            next[partition as usize] += u64::from(rows);
            acked.set(partition, next[partition as usize]);
            let placed = Placed { partition, base_offset, rows, duplicates: 0 };
            back.push(Ack { ticket, result: Ok(placed) }).expect("room");
            core.deliver(&Arc::new(batch));
            core.advance(partition, next[partition as usize]);
        }
        Poll::<()>::Pending
    })
    .await;
}

impl World {
    async fn start(settings: MqttConfig, limits: QuicEndpointLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (log, _) = hub::open(&LogOptions::new(folder.path(), PARTITIONS)).unwrap();
        let (mailboxes, mut mails) = Mailboxes::new(1);
        let acked = Heads::new(&[0; PARTITIONS as usize]);
        let parts = NodeParts {
            settings: MqttConfig { life_cycle_events: false, ..settings },
            name: "node".to_owned(),
            access: Access::new(&AccessConfig::default()).unwrap(),
            acked: acked.clone(),
            mailboxes,
            is_durable: false,
        };
        let node = Arc::new(Node::open(parts, &Saved::default(), &log.reader()).unwrap());
        let (bell, shard_bell) = (Bell::default(), Bell::default());
        let (to, from) = ring(1024, &shard_bell);
        let (back, acks) = ring(1024, &bell);
        let intake = Intake::new(0, PARTITIONS, vec![to], vec![acks], bell);
        let acknowledging = intake.clone();
        tokio::task::spawn_local(async move { acknowledging.run_acks().await });
        let core = Core::new(Parts {
            core: 0,
            node: node.clone(),
            stats: Arc::default(),
            intake,
            log: log.reader(),
            keeper: std::sync::mpsc::channel().0,
            tls: None,
            tap: Box::new([0; PARTITIONS as usize]),
        });
        tokio::task::spawn_local(play_log(core.clone(), from, back, shard_bell, acked));
        tokio::task::spawn_local(core.clone().serve(Sockets::default(), mails.remove(0), std::future::pending()));
        let ground = Ground::new();
        let secret = QuicSecret::random().unwrap();
        let tls = Arc::new(QuicTls::load(&ground.config(ClientCertificates::None), &limits, &secret).unwrap());
        let addr = "127.0.0.1:0".parse().unwrap();
        let (listener, mut sockets) = endpoint::open(addr, 1, limits, &secret, tls).unwrap();
        let quic = sockets.remove(0).start().unwrap();
        tokio::task::spawn_local(async move { quic.accept(move |arrived| core.serve_quic(arrived)).await });
        Self { node, addr: listener.addr, ground, client: client_endpoint(), _log: (folder, log) }
    }

    /// A connection without a stream.
    async fn dial(&self) -> Connection {
        let config = self.ground.client(Alpn::Mqtt, None);
        self.client.connect_with(config, self.addr, "localhost").unwrap().await.unwrap()
    }

    /// One whose control stream is open.
    async fn join(&self, client_id: &str) -> (Connection, Pipe) {
        let connection = self.dial().await;
        let mut control = Pipe::open(&connection).await;
        control.send(&connect(client_id)).await;
        control.expect(&connack()).await;
        (connection, control)
    }

    async fn until_connections(&self, count: usize) {
        let deadline = Instant::now() + STEP_MAX;
        while self.node.connections.load(Ordering::Relaxed) != count {
            assert!(Instant::now() < deadline, "there are {:?}", self.node.connections);
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A client's end of a stream.
struct Pipe {
    send: SendStream,
    receive: RecvStream,
}

impl Pipe {
    async fn open(connection: &Connection) -> Self {
        let (send, receive) = connection.open_bi().await.unwrap();
        Self { send, receive }
    }

    async fn send(&mut self, packet: &[u8]) {
        self.send.write_all(packet).await.unwrap();
    }

    /// The next bytes are these.
    #[track_caller]
    fn expect<'p>(&'p mut self, packet: &'p [u8]) -> impl Future<Output = ()> + 'p {
        let caller = std::panic::Location::caller();
        async move {
            let got = self.read_at(packet.len(), caller).await;
            assert_eq!(got, packet, "{caller}");
        }
    }

    /// The next bytes.
    #[track_caller]
    fn read(&mut self, bytes: usize) -> impl Future<Output = Vec<u8>> {
        self.read_at(bytes, std::panic::Location::caller())
    }

    async fn read_at(&mut self, bytes: usize, caller: &std::panic::Location<'_>) -> Vec<u8> {
        let mut got = vec![0; bytes];
        match tokio::time::timeout(STEP_MAX, self.receive.read_exact(&mut got)).await {
            Ok(read) => read.unwrap_or_else(|error| panic!("{caller}: {error}")),
            Err(_) => panic!("{caller}: not all of it came"),
        }
        got
    }

    /// The node has ended its side, and nothing was left to read.
    async fn expect_end(&mut self) {
        let rest = tokio::time::timeout(STEP_MAX, self.receive.read_to_end(100)).await.expect("no end");
        assert_eq!(rest, Ok(Vec::new()));
    }
}

fn connect(client_id: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let connect = Connect {
        version: Version::V311,
        clean_start: true,
        keep_alive_s: 0,
        client_id,
        will: None,
        username: None,
        password: None,
        properties: ConnectProperties::default(),
    };
    assert!(codec::write_connect(&mut out, &connect));
    out
}

fn connack() -> Vec<u8> {
    vec![0x20, 2, 0, 0]
}

fn publish(topic: &str, payload: &[u8], qos: Qos, packet_id: u16) -> Vec<u8> {
    let mut out = vec![0x30 | (qos as u8) << 1];
    let id: &[u8] = if qos == Qos::AtMostOnce { &[] } else { &packet_id.to_be_bytes() };
    let mut length = 2 + topic.len() + id.len() + payload.len();
    while length > 0x7F {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(&(topic.len() as u16).to_be_bytes());
    out.extend_from_slice(topic.as_bytes());
    out.extend_from_slice(id);
    out.extend_from_slice(payload);
    out
}

fn receipt(kind: ReceiptKind, packet_id: u16) -> Vec<u8> {
    let mut out = Vec::new();
    codec::write_receipt(&mut out, Version::V311, kind, &Receipt::new(packet_id, Reason::Success));
    out
}

fn subscribe(packet_id: u16, filter: &str) -> Vec<u8> {
    let mut out = vec![0x82, (5 + filter.len()) as u8];
    out.extend_from_slice(&packet_id.to_be_bytes());
    out.extend_from_slice(&(filter.len() as u16).to_be_bytes());
    out.extend_from_slice(filter.as_bytes());
    out.push(0);
    out
}

fn suback(packet_id: u16) -> Vec<u8> {
    let [high, low] = packet_id.to_be_bytes();
    vec![0x90, 3, high, low, 0]
}
