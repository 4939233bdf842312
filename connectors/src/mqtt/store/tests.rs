//! Sessions as they are stored, and the thread that stores.

use std::sync::Mutex;
use std::sync::mpsc::channel as plain_channel;
use std::time::Duration;

use proptest::prelude::*;
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;

fn subscription() -> impl Strategy<Value = Subscription> {
    let since = prop::option::of(prop::collection::vec(any::<u64>(), 3));
    ("[a-z+#/$\u{e4}]{1,20}", 0u8..3, any::<bool>(), any::<bool>(), 0u8..3, 0u32..268_435_455, since).prop_map(
        |(filter, qos, no_local, retain_as_published, retain_handling, id, since)| {
            let qos = Qos::of(qos).expect("below 3");
            let options = SubscribeOptions { qos, no_local, retain_as_published, retain_handling };
            Subscription { filter: filter.into(), options, id, since: since.map(Into::into) }
        },
    )
}

prop_compose! {
    fn session()(
        client_id in "\\PC{0,30}",
        name in "\\PC{0,30}",
        expiry_s in 1u32..,
        subscriptions in prop::collection::vec(subscription(), 0..5),
        messages in prop::collection::vec((1u8..3, 0u32..3, any::<u64>(), any::<bool>()), 0..20),
        done in prop::collection::vec(any::<prop::sample::Index>(), 0..10),
        incoming in prop::collection::hash_set(1u16.., 0..10),
        position in prop::option::of(prop::collection::vec(any::<u64>(), 3)),
    ) -> Session {
        let mut session = Session::new(client_id.as_str().into(), name.as_str().into(), expiry_s);
        session.subscriptions = subscriptions;
        for (qos, partition, offset, is_received) in &messages {
            let id = session.send(Qos::of(*qos).expect("below 3"), Origin::Log { partition: *partition, offset: *offset });
            if *is_received {
                session.receive(id);
            }
        }
        for at in done.iter().filter(|_| !messages.is_empty()) {
            session.acknowledge(at.index(messages.len()) as u16 + 1);
        }
        for id in incoming {
            session.take(id);
            session.keep(id);
        }
        session.position = position.map_or(Position::Live, |position| Position::At(position.into()));
        session
    }
}

type Shown = (u16, Qos, bool, (u32, u64));

fn in_flight(session: &Session) -> Vec<Shown> {
    let place = |origin: &Origin| match origin {
        Origin::Log { partition, offset } => (*partition, *offset),
        Origin::Retained(_) => panic!("not stored"),
    };
    session
        .in_flight
        .iter()
        .map(|known| (known.packet_id, known.qos, known.is_released, place(&known.origin)))
        .collect()
}

proptest! {
    #[test]
    fn what_is_stored_is_read_as_it_was(session in session(), expires_at_ms in prop::option::of(0i64..1 << 50)) {
        let bytes = encode(&session, None, expires_at_ms);
        let checkpoint = [7, 8, 9];
        let (parked, followed) = decode(&bytes, &checkpoint, 1000).expect("of this version");
        prop_assert_eq!(followed, session.position == Position::Live);
        let read = &parked.session;
        prop_assert_eq!((&read.client_id, &read.name, read.expiry_s), (&session.client_id, &session.name, session.expiry_s));
        prop_assert_eq!(&read.subscriptions, &session.subscriptions);
        prop_assert_eq!(in_flight(read), in_flight(&session));
        let taken = |session: &Session| session.incoming.iter().map(|known| known.packet_id).collect::<Vec<_>>();
        prop_assert_eq!(taken(read), taken(&session));
        prop_assert!(read.incoming.iter().all(|known| known.is_doubtful) && !read.is_dirty && read.sent == 0);
        let position = match &session.position {
            Position::Live => Position::At(checkpoint.into()),
            known => known.clone(),
        };
        prop_assert_eq!(&read.position, &position);
        let expires = match (session.expiry_s, expires_at_ms) {
            (NEVER_EXPIRES_S, _) => None,
            (_, Some(at_ms)) => Some(at_ms),
            (expiry_s, None) => Some(1000 + i64::from(expiry_s) * 1000),
        };
        prop_assert_eq!(parked.expires_at_ms, expires);
        // The next identifier is none that is under way.
        let mut session = parked.session;
        session.sent = session.in_flight.len();
        let next = session.send(Qos::AtLeastOnce, Origin::Log { partition: 0, offset: 0 });
        prop_assert_eq!(session.in_flight.iter().filter(|known| known.packet_id == next).count(), 1);
    }

    #[test]
    fn any_bytes_are_read_or_refused(session in session(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut bytes = encode(&session, None, None);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        drop(decode(&bytes, &[0; 3], 0));
        drop(decode(&bytes[..at], &[0; 3], 0));
    }
}

#[test]
fn a_position_of_another_log_is_not_gone_on_from() {
    let mut session = Session::new("c".into(), "c".into(), 10);
    session.position = Position::At([1, 2].into());
    let (parked, followed) = decode(&encode(&session, None, None), &[5, 6, 7], 0).expect("of this version");
    assert!(followed);
    assert_eq!(parked.session.position, Position::At([5, 6, 7].into()));
}

#[test]
fn identifiers_that_no_message_has_are_refused() {
    let mut session = Session::new("c".into(), "c".into(), 10);
    session.send(Qos::AtLeastOnce, Origin::Log { partition: 0, offset: 0 });
    let text = String::from_utf8(encode(&session, None, None)).expect("JSON");
    assert!(decode(text.as_bytes(), &[0], 0).is_some());
    let wrong = text.replace("\"packet_id\":1", "\"packet_id\":0");
    assert!(wrong != text && decode(wrong.as_bytes(), &[0], 0).is_none());
}

/// What a commit held: sessions, retained topics, checkpoint.
type Written = (Vec<(String, Option<Vec<u8>>)>, Vec<String>, Option<Vec<u64>>);

/// Waits in every commit until the test lets it go on, with its outcome.
struct Gate {
    began: Sender<Written>,
    outcomes: Mutex<Receiver<bool>>,
}

impl SessionStore for Gate {
    fn load(&self) -> Result<Saved, StoreError> {
        Ok(Saved::default())
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        let mut sessions: Vec<_> =
            commit.sessions.iter().map(|(id, record)| (id.to_string(), record.clone())).collect();
        sessions.sort();
        let retained = commit.retained.keys().map(|topic| topic.to_string()).collect();
        self.began.send((sessions, retained, commit.checkpoint.clone())).expect("the test waits");
        match self.outcomes.lock().expect("no panic").recv() {
            Ok(true) => Ok(()),
            _ => Err(StoreError("the disk is full".to_owned())),
        }
    }
}

struct World {
    changes: Option<Sender<Changes>>,
    keeper: Keeper,
    began: Receiver<Written>,
    outcomes: Sender<bool>,
    mails: Vec<UnboundedReceiver<Mail>>,
}

fn keeper(cores: usize) -> World {
    let (mailboxes, mails) = Mailboxes::new(cores);
    let (began_sender, began) = plain_channel();
    let (outcomes, outcomes_receiver) = plain_channel();
    let store = Gate { began: began_sender, outcomes: Mutex::new(outcomes_receiver) };
    let (changes, keeper) = Keeper::start(Arc::new(store), mailboxes).expect("a thread");
    World { changes: Some(changes), keeper, began, outcomes, mails }
}

impl World {
    fn send(&self, changes: Changes) {
        self.changes.as_ref().expect("it runs").send(changes).expect("it runs");
    }

    fn commit(&self) -> Written {
        self.began.recv_timeout(Duration::from_secs(10)).expect("a commit")
    }

    /// What the core is told; `None`: nothing has come.
    fn told(&mut self, core: usize) -> Option<(Vec<u16>, bool)> {
        match self.mails[core].try_recv() {
            Ok(Mail::Stored { subscribers, is_kept }) => {
                Some((subscribers.into_iter().map(|(_, packet_id)| packet_id).collect(), is_kept))
            }
            Ok(other) => panic!("{other:?}"),
            Err(_) => None,
        }
    }

    /// Ends it: all that it has to say is said.
    fn end(&mut self) {
        self.changes = None;
        (0..10).for_each(|_| self.outcomes.send(true).unwrap_or_default());
    }
}

fn session_of(client_id: &str, record: &[u8]) -> Changes {
    Changes { sessions: vec![(client_id.into(), Some(record.to_vec()))], ..Changes::default() }
}

fn waiter(core: u16, packet_id: u16) -> Changes {
    let subscribers = vec![(Place { core, index: 0, generation: 1 }, packet_id)];
    Changes { subscribers, ..session_of(&format!("waiter-{packet_id}"), b"w") }
}

fn tap(core: u16, tap: [u64; 2]) -> Changes {
    Changes { checkpoint: Some((core, tap.into())), ..Changes::default() }
}

fn some(id: &str, record: &[u8]) -> (String, Option<Vec<u8>>) {
    (id.to_owned(), Some(record.to_vec()))
}

#[test]
fn subscribers_hear_after_the_commit_and_what_came_meanwhile_goes_together() {
    let mut world = keeper(2);
    world.send(waiter(0, 1));
    assert_eq!(world.commit().0, [some("waiter-1", b"w")]);
    // It is being written.
    for changes in [session_of("a", b"old"), waiter(1, 2), session_of("b", b"x"), session_of("a", b"new"), waiter(0, 3)]
    {
        world.send(changes);
    }
    let ended = Changes { sessions: vec![("b".into(), None)], ..Changes::default() };
    world.send(ended);
    assert_eq!(world.told(0), None, "not before it is written");
    world.outcomes.send(true).expect("it waits");
    let together = [some("a", b"new"), ("b".to_owned(), None), some("waiter-2", b"w"), some("waiter-3", b"w")];
    assert_eq!(world.commit().0, together);
    assert_eq!((world.told(0), world.told(0), world.told(1)), (Some((vec![1], true)), None, None));
    world.end();
    assert!(world.began.recv().is_err());
    world.keeper.thread.join().expect("no panic");
    assert_eq!(mails(&mut world.mails[0]), [(vec![3], true)]);
    assert_eq!(mails(&mut world.mails[1]), [(vec![2], true)]);
}

fn mails(from: &mut UnboundedReceiver<Mail>) -> Vec<(Vec<u16>, bool)> {
    let mut found = Vec::new();
    while let Ok(mail) = from.try_recv() {
        let Mail::Stored { subscribers, is_kept } = mail else { panic!("{mail:?}") };
        found.push((subscribers.into_iter().map(|(_, packet_id)| packet_id).collect(), is_kept));
    }
    found
}

#[test]
fn the_checkpoint_is_the_lowest_of_all_cores_and_waits_for_all() {
    let mut world = keeper(2);
    world.send(Changes { sessions: session_of("a", b"1").sessions, ..tap(0, [5, 5]) });
    assert_eq!(world.commit(), (vec![some("a", b"1")], vec![], None));
    world.outcomes.send(true).expect("it waits");
    world.send(tap(1, [3, 9]));
    assert_eq!(world.commit(), (vec![], vec![], Some(vec![3, 5])));
    world.outcomes.send(true).expect("it waits");
    // Nothing new: nothing is written.
    world.send(tap(1, [3, 9]));
    world.send(tap(0, [5, 8]));
    world.send(tap(1, [6, 9]));
    let mut last = world.commit();
    world.outcomes.send(true).expect("it waits");
    while last.2 != Some(vec![5, 8]) {
        assert!(last.0.is_empty() && last.2.is_some_and(|lowest| lowest != [3, 5]), "written twice");
        last = world.commit();
        world.outcomes.send(true).expect("it waits");
    }
    world.end();
    assert!(world.began.recv().is_err());
}

#[test]
fn a_failed_commit_is_said_and_goes_with_the_next() {
    let mut world = keeper(1);
    world.send(waiter(0, 1));
    world.commit();
    world.send(session_of("waiter-1", b"newer"));
    world.outcomes.send(false).expect("it waits");
    world.send(tap(0, [4, 4]));
    assert_eq!(world.commit(), (vec![some("waiter-1", b"newer")], vec![], Some(vec![4, 4])));
    assert_eq!(world.told(0), Some((vec![1], false)));
    // Again: the checkpoint is not taken for stored.
    world.outcomes.send(false).expect("it waits");
    world.send(tap(0, [4, 4]));
    assert_eq!(world.commit(), (vec![some("waiter-1", b"newer")], vec![], Some(vec![4, 4])));
    world.outcomes.send(true).expect("it waits");
    world.send(waiter(0, 2));
    assert_eq!(world.commit(), (vec![some("waiter-2", b"w")], vec![], None));
    world.end();
    assert!(world.began.recv().is_err());
    assert_eq!(mails(&mut world.mails[0]), [(vec![2], true)]);
}

#[test]
fn what_nobody_waits_for_is_written_with_the_next_or_at_the_end() {
    let mut world = keeper(1);
    for number in 0..100 {
        world.send(session_of("a", &[number]));
    }
    world.end();
    assert_eq!(world.commit(), (vec![some("a", &[99])], vec![], None));
    assert!(world.began.recv().is_err());
}
