//! MQTT: a message in and a message out allocate nothing of their own.

use std::sync::Arc;
use std::task::Waker;

use connectors::hub::{self, LogOptions};
use connectors::intake::{Intake, SharedBatches};
use connectors::mqtt::access::{Access, AccessConfig};
use connectors::mqtt::broker::Broker;
use connectors::mqtt::codec::{
    self, Connect, ConnectProperties, PublishDraft, Qos, SubscribeOptions, UserProperties, Version,
};
use connectors::mqtt::config::MqttConfig;
use connectors::mqtt::node::{Mailboxes, Node, Parts};
use connectors::mqtt::registry::Place;
use connectors::mqtt::store::Saved;
use engine::batch::Batch;
use engine::lane::Heads;
use engine::mesh::{AckLevel, Submitted};
use engine::ring::{Bell, Consumer, ring};

use super::{EVENTS, allocations};

const PARTITIONS: u32 = 4;

struct World {
    broker: Broker,
    batches: Consumer<Submitted>,
    next: [u64; PARTITIONS as usize],
}

impl World {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (log, _) = hub::open(&LogOptions::new(folder.path(), PARTITIONS)).expect("a log");
        let (mailboxes, _) = Mailboxes::new(1);
        let parts = Parts {
            settings: MqttConfig { out_bytes_max: 1 << 30, ..MqttConfig::default() },
            name: "node".to_owned(),
            access: Access::new(&AccessConfig::default()).expect("no files"),
            acked: Heads::new(&[0; PARTITIONS as usize]),
            mailboxes,
            is_durable: false,
        };
        let node = Node::open(parts, &Saved::default(), &log.reader()).expect("an empty log");
        let (bell, shard) = (Bell::default(), Bell::default());
        let (to, batches) = ring(4096, &shard);
        let (_, acks) = ring(64, &bell);
        let intake = Intake::new(0, PARTITIONS, vec![to], vec![acks], bell);
        let shared = SharedBatches::new(intake, AckLevel::Memory);
        let (keeper, _) = std::sync::mpsc::channel();
        let tap = Box::new([0; PARTITIONS as usize]);
        let broker = Broker::new(0, Arc::new(node), Arc::default(), shared, tap, keeper);
        Self { broker, batches, next: [0; PARTITIONS as usize] }
    }

    fn client(&mut self, client_id: &str, version: Version, then: impl FnOnce(&mut Vec<u8>)) -> Place {
        let place = self.broker.open("tcp", true).expect("it runs");
        let connect = Connect {
            version,
            clean_start: true,
            keep_alive_s: 0,
            client_id,
            will: None,
            username: None,
            password: None,
            properties: ConnectProperties::default(),
        };
        let mut bytes = Vec::new();
        assert!(codec::write_connect(&mut bytes, &connect));
        then(&mut bytes);
        assert_eq!(self.broker.input(place, &bytes), bytes.len());
        assert!(self.sent(place) > 0);
        place
    }

    /// Bytes that a client's socket takes.
    fn sent(&mut self, place: Place) -> usize {
        let connection = self.broker.connection(place).expect("open");
        let bytes = connection.unsent();
        connection.sent(bytes);
        self.broker.wake_touched();
        bytes
    }

    fn flush(&mut self) {
        assert!(self.broker.batches().flush(Waker::noop(), false));
    }

    /// What was published, as the log gives it out.
    fn take_batches(&mut self) -> Vec<Arc<Batch>> {
        let batches = std::iter::from_fn(|| self.batches.pop());
        let placed = batches.map(|Submitted { mut batch, .. }| {
            let next = &mut self.next[batch.partition() as usize];
            batch.set_base_offset(*next);
            *next += batch.rows().len() as u64;
            Arc::new(batch)
        });
        placed.collect()
    }
}

fn messages(version: Version) -> Vec<Vec<u8>> {
    let payload = [b'x'; 100];
    let write = |out: &mut Vec<u8>, n: usize| {
        let topic = ["plant/7/line/3/temperature", "plant/7/line/3/pressure"][n % 2];
        let draft = PublishDraft {
            dup: false,
            qos: Qos::AtMostOnce,
            retain: false,
            topic,
            packet_id: 0,
            properties: &[],
            payload: &payload,
        };
        assert!(codec::write_publish(out, version, &draft));
    };
    // As reads bring them.
    let numbers: Vec<usize> = (0..EVENTS).collect();
    let read = |numbers: &[usize]| {
        numbers.iter().fold(Vec::new(), |mut out, n| {
            write(&mut out, *n);
            out
        })
    };
    numbers.chunks(400).map(read).collect()
}

fn subscribe(out: &mut Vec<u8>, version: Version) {
    let qos = Qos::AtMostOnce;
    let options = SubscribeOptions { qos, no_local: false, retain_as_published: false, retain_handling: 0 };
    let filters = [("plant/+/line/#", options)];
    assert!(codec::write_subscribe(out, version, 1, None, UserProperties::default(), filters));
}

#[test]
fn messages_of_qos_0_allocate_nothing_of_their_own_in_and_out() {
    for version in [Version::V311, Version::V5] {
        let mut world = World::new();
        let publisher = world.client("publisher", version, |_| ());
        let subscriber = world.client("subscriber", version, |out| subscribe(out, version));
        let reads = messages(version);
        let publish = |world: &mut World| {
            for read in &reads {
                assert_eq!(world.broker.input(publisher, read), read.len());
                world.flush();
            }
        };
        publish(&mut world);
        let first = world.take_batches();
        let taken = allocations(|| publish(&mut world));
        assert!(taken < EVENTS as u64 / 10, "{taken} allocations for {EVENTS} messages of {version:?} taken");

        let deliver = |world: &mut World, batches: &[Arc<Batch>]| {
            let mut bytes = 0;
            for batch in batches {
                world.broker.deliver(batch);
                bytes += world.sent(subscriber);
            }
            assert!(bytes > EVENTS * 100, "all are sent");
        };
        deliver(&mut world, &first);
        let second = world.take_batches();
        assert_eq!(second.iter().map(|batch| batch.rows().len()).sum::<usize>(), EVENTS);
        let sent = allocations(|| deliver(&mut world, &second));
        assert!(sent < EVENTS as u64 / 10, "{sent} allocations for {EVENTS} messages of {version:?} sent");
    }
}
