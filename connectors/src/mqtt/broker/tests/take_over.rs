//! A session that moves from connection to connection: it is in one place, and loses and doubles nothing.

use super::*;
use crate::mqtt::broker::tests::client::lasting;
use crate::mqtt::codec::Connect;

/// Numbers from `from` on are published; what each connection of the subscriber got is put together.
struct Moves {
    world: World,
    publisher: usize,
    next: u32,
    got: Vec<String>,
}

impl Moves {
    fn new() -> Self {
        let mut world = World::new(3);
        let (publisher, _) = world.join(2, &v5("pub"));
        let (sub, _) = world.join(0, &lasting("sub", 100));
        world.subscribe(sub, "t", 2);
        world.auto.mails = false;
        Self { world, publisher, next: 0, got: Vec::new() }
    }

    fn publish(&mut self) {
        self.world.publish(self.publisher, "t", &self.next.to_string(), 2, self.next as u16 + 1);
        self.next += 1;
    }

    fn claim(&mut self, core: usize) -> usize {
        let client = self.world.client(core, &lasting("sub", 100));
        self.publish();
        client
    }

    fn finish(mut self) {
        self.publish();
        self.world.auto.mails = true;
        self.world.settle();
        self.publish();
        let mut open = 0;
        for at in 0..self.world.clients.len() {
            if at == self.publisher {
                continue;
            }
            let mut got = self.world.payloads(at);
            self.got.append(&mut got);
            let (core, place) = (self.world.clients[at].core, self.world.clients[at].place);
            let connection = self.world.brokers[core].connection(place);
            open += usize::from(connection.is_some_and(|connection| connection.session.is_some()));
        }
        assert!(open <= 1, "the session is in {open} places");
        if open == 0 {
            // Nobody has it: it is there for who comes next.
            let (last, present) = self.world.join(1, &lasting("sub", 100));
            assert!(present);
            self.got.extend(self.world.payloads(last));
        }
        let wanted: Vec<String> = (0..self.next).map(|number| number.to_string()).collect();
        assert_eq!(self.got, wanted);
        assert_eq!(self.world.node.registry.len(), 2);
        for broker in &self.world.brokers {
            assert!(broker.limbo.is_empty() && broker.abandoned.is_empty());
        }
        let last = self.world.clients.len() - 1;
        assert!(!self.world.clients[last].is_closed || open == 0);
    }
}

#[test]
fn from_an_open_connection_on_any_core() {
    for core in [0, 1] {
        let mut moves = Moves::new();
        moves.publish();
        let next = moves.claim(core);
        moves.publish();
        assert!(moves.world.take(next).is_empty(), "its session has not come yet");
        moves.finish();
    }
}

#[test]
fn through_three_connections_that_wait_for_each_other() {
    for cores in [[1, 2, 0], [0, 0, 0], [1, 1, 1], [2, 1, 2]] {
        for mails_first in [true, false] {
            let mut moves = Moves::new();
            for core in cores {
                moves.claim(core);
                // Asked in the order in which they came, or the last one first.
                if mails_first {
                    (0..3).for_each(|core| while moves.world.mail(core) {});
                }
            }
            if !mails_first {
                (0..3).rev().for_each(|core| while moves.world.mail(core) {});
            }
            moves.finish();
        }
    }
}

#[test]
fn from_a_connection_that_goes_at_the_same_time() {
    for core in [0, 1] {
        // It goes before it is asked.
        let mut moves = Moves::new();
        moves.publish();
        moves.claim(core);
        moves.world.lose(1);
        moves.publish();
        moves.finish();
        // And the one that asked has gone too.
        let mut moves = Moves::new();
        let next = moves.claim(core);
        moves.world.lose(1);
        moves.world.lose(next);
        moves.publish();
        moves.finish();
    }
}

#[test]
fn from_a_connection_that_was_waiting_itself_and_went() {
    for cores in [[1, 2], [1, 1], [0, 0], [0, 1], [1, 0]] {
        for handed_over in [false, true] {
            let mut moves = Moves::new();
            let second = moves.claim(cores[0]);
            if handed_over {
                // The session is on its way already.
                while moves.world.mail(0) {}
            }
            moves.world.lose(second);
            moves.claim(cores[1]);
            moves.publish();
            moves.finish();
        }
    }
}

#[test]
fn of_a_session_that_ends_leaves_none() {
    for core in [0, 1] {
        for is_clean in [true, false] {
            let mut world = World::new(2);
            let (publisher, _) = world.join(0, &v5("pub"));
            // The one before does not stay, or the one after does not want it.
            let before = if is_clean { lasting("sub", 100) } else { v5("sub") };
            let (sub, _) = world.join(0, &before);
            world.subscribe(sub, "t", 1);
            world.subscribe(sub, "$share/g/t", 1);
            let after = Connect { clean_start: is_clean, ..lasting("sub", 100) };
            let (next, present) = world.join(core, &after);
            assert!(!present);
            assert_eq!(world.take(sub), [Got::Disconnect(Reason::SessionTakenOver)]);
            world.publish(publisher, "t", "x", 1, 1);
            assert_eq!(world.payloads(next), Vec::<String>::new());
            assert!(world.brokers.iter().all(|broker| broker.subscriptions.is_empty()));
        }
    }
}
