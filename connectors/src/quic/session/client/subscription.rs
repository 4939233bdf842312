//! A subscription at the client: where each partition is, and what credit it has given.
//!
//! What always holds: a position moves only forward while the subscription lives, and only with what was taken in whole.

use std::collections::{BTreeMap, VecDeque};

use engine::filter::Dialect;

use super::{Event, Received};
use crate::quic::frame::{
    Control, Credit, DataFrame, ENCODINGS_ALL, Lost, Numbers, Pairs, Position, Start, Subscribe, Subscribed, kind,
};
use crate::quic::session::Fault;
use crate::quic::session::server::StartAt;

/// What is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscribeOptions {
    /// A named route; empty: all events of the node.
    pub route: String,
    /// The filter; empty: all events of the source.
    pub filter: String,
    /// What it is written in.
    pub dialect: Dialect,
    /// The partitions, ascending; empty: all, or those of `start`.
    pub partitions: Vec<u32>,
    /// Where it begins.
    pub start: StartAt,
    /// Data streams wanted.
    pub groups: u32,
    /// Bytes that may be under way or wait to be handed over.
    pub window_bytes: u64,
    /// What the client wants to read: see [`Encoding`](crate::quic::frame::Encoding).
    pub encodings: u64,
}

impl Default for SubscribeOptions {
    fn default() -> Self {
        Self {
            route: String::new(),
            filter: String::new(),
            dialect: Dialect::default(),
            partitions: Vec::new(),
            start: StartAt::Latest,
            groups: 1,
            window_bytes: 4 * 1024 * 1024,
            encodings: ENCODINGS_ALL,
        }
    }
}

/// How far it is on this connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// To be asked for.
    Wanted,
    /// SUBSCRIBE was sent.
    Asked,
    /// SUBSCRIBED has come.
    Open,
    /// UNSUBSCRIBE was sent, SUBSCRIBED had come.
    Leaving,
}

/// Where a partition is.
#[derive(Clone, Copy, Debug)]
struct Place {
    /// Behind what was taken in: where the next connection goes on.
    next: u64,
    /// Behind what was handed over.
    handed: u64,
    /// Things of the partition that wait to be handed over.
    waiting: u32,
}

#[derive(Debug)]
pub(super) struct Subscription {
    pub handle: u32,
    /// On this connection.
    pub number: Option<u32>,
    pub state: State,
    options: SubscribeOptions,
    is_leaving: bool,
    places: BTreeMap<u32, Place>,
    /// Bytes that wait to be handed over.
    queued_bytes: u64,
    /// Bytes that were handed over and for which no new credit was given.
    used_bytes: u64,
}

impl Subscription {
    pub fn new(handle: u32, options: SubscribeOptions) -> Self {
        Self {
            handle,
            number: None,
            state: State::Wanted,
            options,
            is_leaving: false,
            places: BTreeMap::new(),
            queued_bytes: 0,
            used_bytes: 0,
        }
    }

    pub fn window(&self) -> u64 {
        self.options.window_bytes
    }

    /// UNSUBSCRIBE was sent.
    pub fn is_leaving(&self) -> bool {
        self.is_leaving
    }

    pub fn leave(&mut self) {
        self.is_leaving = true;
        if self.state == State::Open {
            self.state = State::Leaving;
        }
    }

    pub fn handle_disconnected(&mut self) {
        self.number = None;
        self.state = State::Wanted;
        self.used_bytes = 0;
    }

    /// Sends SUBSCRIBE: from its positions, once it has any.
    pub fn ask(&mut self, number: u32, out: &mut Vec<u8>) {
        let options = &self.options;
        let (mut pairs, mut wanted) = (Vec::new(), Vec::new());
        Numbers::encode(&mut wanted, options.partitions.iter().copied());
        let mut partitions = Numbers::of(kind::SUBSCRIBE, &wanted).unwrap_or_default();
        let known = self.places.iter().map(|(partition, place)| (*partition, place.next));
        let start = match &options.start {
            _ if !self.places.is_empty() => {
                Pairs::encode(&mut pairs, known);
                None
            }
            StartAt::Latest => Some(Start::Latest),
            StartAt::Earliest => Some(Start::Earliest),
            StartAt::Time(ms) => Some(Start::Time(*ms)),
            StartAt::Cursor { subscriber, else_earliest } => {
                Some(Start::Cursor { subscriber, else_earliest: *else_earliest })
            }
            StartAt::Offsets(offsets) => {
                Pairs::encode(&mut pairs, offsets.iter().copied());
                None
            }
        };
        let start = start.unwrap_or_else(|| {
            partitions = Numbers::default();
            Start::Offsets(Pairs::of(kind::SUBSCRIBE, &pairs).unwrap_or_default())
        });
        Subscribe {
            subscription: number,
            credit: options.window_bytes.saturating_sub(self.queued_bytes),
            start,
            route: &options.route,
            filter: &options.filter,
            dialect: options.dialect,
            partitions,
            groups: options.groups,
            encodings: options.encodings,
        }
        .write(out);
        self.number = Some(number);
        self.state = State::Asked;
    }

    /// SUBSCRIBED has come.
    pub fn open(&mut self, subscribed: &Subscribed<'_>) -> Result<(), Fault> {
        if self.state != State::Asked {
            return Err(Fault::protocol("a second SUBSCRIBED"));
        }
        self.state = if self.is_leaving { State::Leaving } else { State::Open };
        let is_first = self.places.is_empty();
        for (partition, offset) in subscribed.groups.iter().flat_map(|group| group.iter()) {
            if is_first {
                self.places.insert(partition, Place { next: offset, handed: offset, waiting: 0 });
            }
            match self.places.get(&partition) {
                Some(place) if place.next == offset => {}
                _ => return Err(Fault::protocol(format!("partition {partition} begins where it was not asked to"))),
            }
        }
        Ok(())
    }

    /// A frame of a data stream.
    pub fn handle_frame(&mut self, kind: u64, body: Vec<u8>, events: &mut VecDeque<Event>) -> Result<(), Fault> {
        if kind == kind::BATCH {
            let places = &mut self.places;
            let received =
                Received::decode(self.handle, body, |partition| places.get(&partition).map(|place| place.next))?;
            if let Some(place) = places.get_mut(&received.partition) {
                place.next = received.settled_to;
                place.waiting += 1;
            }
            self.queued_bytes += received.body_bytes as u64;
            events.push_back(Event::Batch(received));
            return Ok(());
        }
        match DataFrame::decode(kind, &body)? {
            Some(DataFrame::Position(Position { partition, next_offset })) => {
                let place = self.place(partition, next_offset)?;
                place.next = next_offset;
                if place.waiting == 0 {
                    place.handed = next_offset;
                } else {
                    settle(self.handle, partition, next_offset, events);
                }
            }
            Some(DataFrame::Lost(Lost { partition, from, to })) => {
                let handle = self.handle;
                let place = self.place(partition, to)?;
                let from = from.max(place.next);
                place.next = to;
                place.waiting += 1;
                events.push_back(Event::Lost { subscription: handle, partition, from, to, settled_to: to });
            }
            _ => {}
        }
        Ok(())
    }

    fn place(&mut self, partition: u32, next_offset: u64) -> Result<&mut Place, Fault> {
        match self.places.get_mut(&partition) {
            Some(place) if next_offset > place.next => Ok(place),
            _ => Err(Fault::protocol(format!("partition {partition} does not go on to {next_offset}"))),
        }
    }

    /// Something of a partition was handed over; gives new credit when half of the window was used.
    pub fn hand_over(&mut self, partition: u32, settled_to: u64, bytes: usize, out: &mut Vec<u8>) {
        if let Some(place) = self.places.get_mut(&partition) {
            place.handed = settled_to;
            place.waiting = place.waiting.saturating_sub(1);
        }
        self.queued_bytes = self.queued_bytes.saturating_sub(bytes as u64);
        if !matches!(self.state, State::Open | State::Asked) {
            return;
        }
        self.used_bytes += bytes as u64;
        if self.used_bytes * 2 >= self.options.window_bytes
            && let Some(subscription) = self.number
        {
            Control::Credit(Credit { subscription, bytes: std::mem::take(&mut self.used_bytes) }).write(out);
        }
    }

    /// Where each partition goes on behind what was handed over.
    pub fn handed(&self) -> Vec<(u32, u64)> {
        self.places.iter().map(|(partition, place)| (*partition, place.handed)).collect()
    }
}

/// The last thing of the partition that waits settles it further.
fn settle(handle: u32, partition: u32, next_offset: u64, events: &mut VecDeque<Event>) {
    for event in events.iter_mut().rev() {
        match event {
            Event::Batch(received) if received.subscription == handle && received.partition == partition => {
                received.settled_to = next_offset;
                return;
            }
            Event::Lost { subscription, partition: found, settled_to, .. }
                if *subscription == handle && *found == partition =>
            {
                *settled_to = next_offset;
                return;
            }
            _ => {}
        }
    }
}
