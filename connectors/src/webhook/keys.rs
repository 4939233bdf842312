//! Order per key: which keys have a request, and the events that wait behind them.
//!
//! What always holds:
//! - A key is known here from when an event of it goes into a request until all of its events are done; a key that is not known has
//!   nothing under way. So in the healthy case a key costs one entry of a map, and nothing is allocated per event.
//! - The events of a key that has a request wait behind it in offset order; they go before anything that comes later.
//! - A key belongs to at most one request.
//!
//! Keys are told apart by a hash of 64 bits with a seed: two keys of the same hash count as one, which keeps the order of both.

use std::collections::HashMap;
use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use engine::event::Event;
use rapidhash::v3::{RapidSecrets, rapidhash_v3_seeded};

use super::filling::Filling;
use super::span::{Open, Span};

/// No node.
const NONE: u32 = u32::MAX;
/// The request of a key that has none.
const NO_SHOT: u64 = 0;

/// A key of which some event is not done.
#[derive(Debug)]
struct Key {
    /// The request its events are in, or [`NO_SHOT`]: it is listed as ready.
    shot: u64,
    first: u32,
    last: u32,
    /// Events from `first` to `last`.
    events: usize,
}

/// One of the events that wait; free nodes have no span.
#[derive(Debug)]
struct Node {
    span: Option<Span>,
    next: u32,
}

/// The hash is the key.
#[derive(Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Keys {
    secrets: RapidSecrets,
    known: HashMap<u64, Key, BuildHasherDefault<AsIs>>,
    /// Lists of waiting events, one per key, in one arena: its size is bounded by the events that may wait.
    nodes: Vec<Node>,
    free: u32,
    /// Keys without a request that have events waiting, each listed once.
    ready: VecDeque<u64>,
    ready_events: usize,
    behind_events: usize,
}

impl Keys {
    pub fn new(seed: u64) -> Self {
        Self {
            secrets: RapidSecrets::seed(seed),
            known: HashMap::default(),
            nodes: Vec::new(),
            free: NONE,
            ready: VecDeque::new(),
            ready_events: 0,
            behind_events: 0,
        }
    }

    /// What tells the key of `event` from others; `None`: it has no key and no order.
    pub fn hash(&self, event: &Event<'_>) -> Option<u64> {
        let partition = u64::from(event.partition()).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Some(rapidhash_v3_seeded(event.key()?, &self.secrets) ^ partition)
    }

    /// Events that wait behind their keys.
    pub fn behind_events(&self) -> usize {
        self.behind_events
    }

    /// Those of them whose key has no request.
    pub fn ready_events(&self) -> usize {
        self.ready_events
    }

    /// Whether the next event of the key may go with request `shot`; if so, the key belongs to it.
    pub fn claim(&mut self, hash: u64, shot: u64) -> bool {
        let key = self.known.entry(hash).or_insert(Key { shot, first: NONE, last: NONE, events: 0 });
        key.shot == shot && key.first == NONE
    }

    /// Lets an event wait behind its key, which is known.
    pub fn push(&mut self, hash: u64, open: &Rc<Open>, position: u32) {
        let Some(key) = self.known.get_mut(&hash) else { return };
        key.events += 1;
        self.behind_events += 1;
        if key.shot == NO_SHOT {
            self.ready_events += 1;
        }
        if key.last != NONE
            && let Some(last) = &mut self.nodes[key.last as usize].span
            && last.to == position
            && Rc::ptr_eq(&last.open, open)
        {
            last.to += 1;
            return;
        }
        let span = Span { open: open.clone(), from: position, to: position + 1 };
        let node = insert(&mut self.nodes, &mut self.free, Node { span: Some(span), next: NONE });
        match key.last {
            NONE => key.first = node,
            last => self.nodes[last as usize].next = node,
        }
        key.last = node;
    }

    /// Gives the key from one request to another.
    pub fn hand_over(&mut self, hash: u64, from: u64, to: u64) {
        if let Some(key) = self.known.get_mut(&hash).filter(|key| key.shot == from) {
            key.shot = to;
        }
    }

    /// Request `shot` is done with the key: what waits behind it may go. Does nothing the second time.
    pub fn release(&mut self, hash: u64, shot: u64) {
        let Entry::Occupied(mut entry) = self.known.entry(hash) else { return };
        let key = entry.get_mut();
        if key.shot != shot {
            return;
        }
        if key.first == NONE {
            entry.remove();
            return;
        }
        key.shot = NO_SHOT;
        self.ready_events += key.events;
        self.ready.push_back(hash);
    }

    /// Fills request `shot` with what waits behind ready keys, the key that has been ready longest first.
    pub fn fill(&mut self, filling: &mut Filling, shot: u64) {
        while !filling.is_closed()
            && let Some(hash) = self.ready.front()
        {
            let Some(key) = self.known.get_mut(hash) else {
                self.ready.pop_front();
                continue;
            };
            let events_before = key.events;
            while key.first != NONE {
                let at = key.first as usize;
                let node = &mut self.nodes[at];
                if let Some(span) = &mut node.span {
                    key.events -= filling.take(span);
                    if !span.is_empty() {
                        break;
                    }
                }
                node.span = None;
                let next = std::mem::replace(&mut node.next, self.free);
                self.free = std::mem::replace(&mut key.first, next);
            }
            if key.first == NONE {
                key.last = NONE;
            }
            if key.events == events_before {
                return;
            }
            key.shot = shot;
            self.behind_events -= events_before - key.events;
            self.ready_events -= events_before;
            self.ready.pop_front();
        }
    }
}

fn insert(nodes: &mut Vec<Node>, free: &mut u32, node: Node) -> u32 {
    if *free == NONE {
        nodes.push(node);
        return (nodes.len() - 1) as u32;
    }
    let at = *free;
    *free = std::mem::replace(&mut nodes[at as usize], node).next;
    at
}
