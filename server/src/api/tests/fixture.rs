//! A log in a temporary folder that tests append to, the API on it, and a real listener where one is wanted.

use std::future::poll_fn;
use std::net::SocketAddr;
use std::ops::Range;
use std::task::Poll;

use crate::node::replays::Replays;
use connectors::hub::{self, Log, LogOptions, ShardWriter};
use engine::batch::{BatchBuilder, HeaderWriter};
use engine::log::Group;
use engine::mesh::{Append, LogEvent};
use engine::ring::Bell;
use hyper_util::rt::TokioIo;

use super::*;

/// See the module.
pub(crate) struct Fixture {
    log: Log,
    writer: ShardWriter,
    bell: Bell,
    seq: u64,
    next: Vec<u64>,
    committed: Arc<Notify>,
    pub ready: Arc<AtomicBool>,
    _dir: tempfile::TempDir,
}

impl Fixture {
    pub fn new(partitions: u32) -> Self {
        Self::open(partitions, 1 << 20, 0)
    }

    /// Small segments, of which few are kept.
    pub fn with_retention(partitions: u32) -> Self {
        Self::open(partitions, 50_000, 150_000)
    }

    fn open(partitions: u32, segment_bytes_max: u64, retention_bytes_max: u64) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let options = LogOptions {
            segment_bytes_max,
            retention_bytes_max,
            recent_bytes_max: 0,
            ..LogOptions::new(dir.path().join("log"), partitions)
        };
        let (mut log, recovered) = hub::open(&options).expect("opens");
        let bell = Bell::default();
        let writer = log.shard_writer(0, &bell).expect("starts");
        Self {
            log,
            writer,
            bell,
            seq: 0,
            next: recovered.next_offsets.to_vec(),
            committed: Arc::default(),
            ready: Arc::new(AtomicBool::new(true)),
            _dir: dir,
        }
    }

    pub fn router(&self) -> Router {
        router(ApiState {
            reader: self.log.reader(),
            committed: self.committed.clone(),
            metrics: Arc::new(|| crate::metrics::render(&crate::metrics::NodeSnapshot::default())),
            replays: Replays::new(
                self.log.reader(),
                Arc::new(crate::config::check("", "").config.expect("the defaults are right")),
            ),
            ready: self.ready.clone(),
        })
    }

    /// Appends events with these numbers as data, in one batch, and waits until they are synced.
    pub async fn append(&mut self, partition: u32, numbers: Range<u64>) {
        self.append_data(partition, numbers.map(|n| format!("{{\"n\":{n}}}").into_bytes()).collect()).await;
    }

    pub async fn append_data(&mut self, partition: u32, data: Vec<Vec<u8>>) {
        let mut builder = BatchBuilder::new(partition);
        for data in &data {
            builder.push(None, data, &HeaderWriter::default(), 1_700_000_000_000).expect("fits");
        }
        let mut batch = builder.seal().expect("events");
        let next = &mut self.next[partition as usize];
        batch.set_base_offset(*next);
        *next += data.len() as u64;
        self.seq += 1;
        let mut group = Box::new(Group::new(batch.bytes().len()));
        group.push(self.seq, Arc::new(batch));
        self.writer.appends.push(Append::Group(group)).expect("room");
        let (wanted, events, bell) = (self.seq, &mut self.writer.events, &self.bell);
        poll_fn(|context| {
            bell.register(context.waker());
            while let Some(event) = events.pop() {
                match event {
                    LogEvent::Synced(group) if group.last_seq() >= wanted => return Poll::Ready(()),
                    LogEvent::Failed(_) => panic!("the log failed"),
                    _ => {}
                }
            }
            Poll::Pending
        })
        .await;
        self.committed.notify_waiters();
    }

    /// Waits until retention has removed all before `offset`.
    pub async fn until_first_is(&self, partition: u32, offset: u64) {
        let reader = self.log.reader();
        let wait = async {
            while reader.bounds(partition).0 != offset {
                tokio::task::yield_now().await;
            }
        };
        let waited = tokio::time::timeout(std::time::Duration::from_secs(20), wait).await;
        assert!(waited.is_ok(), "the first offset is {}, not {offset}", reader.bounds(partition).0);
    }

    /// Serves the API on a port that the system chooses.
    pub async fn listen(&self) -> SocketAddr {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.expect("free");
        let address = listener.local_addr().expect("bound");
        let router = self.router();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let router = router.clone();
                let service = hyper::service::service_fn(move |request| {
                    let router = router.clone();
                    async move { Ok::<_, std::convert::Infallible>(call(router, request).await) }
                });
                // How a connection ends is the client's business.
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
        address
    }
}
