//! The end of a run: everybody comes back, and what is open is done.

use super::{Run, TOPICS};
use crate::mqtt::broker::tests::client::{lasting, message};
use crate::mqtt::broker::tests::world;
use crate::mqtt::codec::{Packet, Publish, ReceiptKind};

impl Run {
    /// Everybody comes back, and everything that is open is done.
    pub(super) fn finish(&mut self) {
        self.world.auto = world::Auto { writes: true, acks: true, stores: true, reads: true, mails: true };
        self.world.follows = vec![true, true];
        self.world.settle();
        self.look();
        for at in 0..3 {
            let client = self.world.dial(at % 2);
            self.world.clients[client].answers = false;
            self.world.clients[client].connect(&lasting(&self.subscribers[at].id, 1000));
            self.world.settle();
            self.look();
            let subscriber = &mut self.subscribers[at];
            subscriber.pending.clear();
            subscriber.to_answer.clear();
            subscriber.client = Some(client);
        }
        self.resend_all();
        let mut rounds = 0;
        loop {
            self.world.settle();
            self.look();
            let waits = self.subscribers.iter().any(|subscriber| !subscriber.to_answer.is_empty())
                || self.publishers.iter().any(|publisher| !publisher.open.is_empty());
            if !waits {
                break;
            }
            (0..3).for_each(|at| {
                while !self.subscribers[at].to_answer.is_empty() {
                    self.answer(at)
                }
            });
            rounds += 1;
            assert!(rounds < 10_000, "it does not end");
        }
        assert_eq!(self.world.readers(), 0, "somebody is still behind");
    }

    fn resend_all(&mut self) {
        for at in 0..2 {
            let client = self.publishers[at].client;
            if self.world.clients[client].is_closed || !self.publishers[at].open.is_empty() {
                self.drop_client(client);
                self.resend_from(at, at);
            }
        }
        self.world.settle();
        self.look();
    }

    pub(super) fn resend_from(&mut self, at: usize, core: usize) {
        let client = self.world.dial(core);
        let publisher = &mut self.publishers[at];
        publisher.client = client;
        let script = &mut self.world.clients[client];
        script.answers = false;
        script.connect(&lasting(&publisher.id, 1000));
        for (topic, number, qos, packet_id, is_received) in &publisher.open {
            if *is_received {
                script.receipt(ReceiptKind::Rel, *packet_id);
            } else {
                let payload = format!("{at}:{number}");
                script.packet(&Packet::Publish(Publish {
                    dup: true,
                    ..message(TOPICS[*topic], &payload, *qos, *packet_id)
                }));
            }
        }
    }
}
