//! From deliveries to requests: which events go into the next POST, and when a delivery is done.
//!
//! What always holds: every event of a delivery is in exactly one place (waiting here, in one [`Shot`], or done); the ticket is
//! settled when the last one is done; with `ordered`, a partition has at most one shot, and its later events wait here.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use engine::event::Event;
use engine::lane::{Delivery, Rows};
use tokio::time::Instant;

use super::policy::Answer;
use crate::sink::{Handed, SettleTicket};

#[cfg(test)]
mod tests;

/// A delivery of which some events are not done.
#[derive(Debug)]
pub(super) struct Open {
    delivery: Delivery,
    ticket: RefCell<Option<SettleTicket>>,
    left: Cell<usize>,
    held: Rc<Cell<usize>>,
}

impl Open {
    /// `events` more of it are delivered or written off.
    pub fn done(&self, events: usize) {
        let left = self.left.get() - events;
        self.left.set(left);
        if left == 0
            && let Some(ticket) = self.ticket.take()
        {
            ticket.settle();
            self.held.set(self.held.get() - 1);
        }
    }

    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    fn event(&self, position: u32) -> Event<'_> {
        let row = match &self.delivery.rows {
            Rows::All => position as usize,
            Rows::Some(rows) => usize::from(rows[position as usize]),
        };
        Event::new(&self.delivery.batch, row)
    }
}

/// Events of one delivery that lie next to each other: positions in its list of rows.
#[derive(Clone, Debug)]
pub(super) struct Span {
    pub open: Rc<Open>,
    pub from: u32,
    pub to: u32,
}

impl Span {
    pub fn len(&self) -> usize {
        (self.to - self.from) as usize
    }

    /// Its events as spans of their own.
    pub fn each(&self) -> impl Iterator<Item = Span> + '_ {
        (self.from..self.to).map(|position| Span { open: self.open.clone(), from: position, to: position + 1 })
    }

    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        (self.from..self.to).map(|position| self.open.event(position))
    }
}

/// The events of one request and what has been tried with them.
#[derive(Debug)]
pub(super) struct Shot {
    pub spans: Vec<Span>,
    /// Second halves of what was too large, to be sent after this; the last is next.
    pub after: Vec<Vec<Span>>,
    pub lane: u32,
    pub attempts: u32,
    /// Monotonic and wall clock of the first attempt.
    pub first: Option<(Instant, i64)>,
    pub last_ms: i64,
    /// Size of the request's body.
    pub body_bytes: usize,
    pub last: Option<(Answer, Option<String>)>,
}

impl Shot {
    fn new(spans: Vec<Span>, after: Vec<Vec<Span>>, lane: u32) -> Self {
        Self { spans, after, lane, attempts: 0, first: None, last_ms: 0, body_bytes: 0, last: None }
    }

    /// Number of events, those that follow included.
    pub fn events(&self) -> usize {
        self.len() + self.after.iter().flatten().map(Span::len).sum::<usize>()
    }

    /// Number of events of this request.
    pub fn len(&self) -> usize {
        self.spans.iter().map(Span::len).sum()
    }

    /// Keeps the first half of the events and puts the rest behind it, as if neither had been tried.
    pub fn halve(self) -> Self {
        let mut keep = self.len() / 2;
        let (mut first, mut second) = (Vec::new(), Vec::new());
        for span in self.spans {
            let here = keep.min(span.len()) as u32;
            keep -= here as usize;
            let cut = span.from + here;
            if here > 0 {
                first.push(Span { open: span.open.clone(), from: span.from, to: cut });
            }
            if cut < span.to {
                second.push(Span { open: span.open, from: cut, to: span.to });
            }
        }
        let mut after = self.after;
        after.push(second);
        Self::new(first, after, self.lane)
    }

    /// What is to be sent when this one is done.
    pub fn next(mut self) -> Option<Self> {
        let spans = self.after.pop()?;
        Some(Self::new(spans, self.after, self.lane))
    }
}

#[derive(Debug, Default)]
struct Lane {
    waiting: VecDeque<Span>,
    events: usize,
    busy: bool,
    listed: bool,
}

/// Events that were taken from the feed and are in no request yet.
#[derive(Debug)]
pub(super) struct Queue {
    /// One per partition if order is kept, else a single one.
    lanes: Vec<Lane>,
    ordered: bool,
    /// Lanes with something to send, each listed once.
    ready: VecDeque<u32>,
    ready_events: usize,
    held: Rc<Cell<usize>>,
}

impl Queue {
    pub fn new(ordered: bool) -> Self {
        Self { lanes: Vec::new(), ordered, ready: VecDeque::new(), ready_events: 0, held: Rc::default() }
    }

    /// Deliveries that are not settled.
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Events that could be sent now.
    pub fn ready_events(&self) -> usize {
        self.ready_events
    }

    /// Takes a delivery in.
    pub fn push(&mut self, handed: Handed) {
        let Handed { delivery, ticket } = handed;
        let lane = if self.ordered { delivery.batch.partition() } else { 0 };
        let events = delivery.len();
        self.held.set(self.held.get() + 1);
        let open = Rc::new(Open {
            delivery,
            ticket: RefCell::new(Some(ticket)),
            left: Cell::new(events),
            held: self.held.clone(),
        });
        if self.lanes.len() <= lane as usize {
            self.lanes.resize_with(lane as usize + 1, Lane::default);
        }
        let slot = &mut self.lanes[lane as usize];
        slot.waiting.push_back(Span { open, from: 0, to: events as u32 });
        slot.events += events;
        if !slot.busy {
            self.ready_events += events;
            self.list(lane);
        }
    }

    fn list(&mut self, lane: u32) {
        let slot = &mut self.lanes[lane as usize];
        if !slot.listed && !slot.waiting.is_empty() {
            slot.listed = true;
            self.ready.push_back(lane);
        }
    }

    /// The next request: at most `events_max` events, and not more than one beyond `bytes_max` bytes of data.
    pub fn next(&mut self, events_max: usize, bytes_max: usize) -> Option<Shot> {
        let lane = self.ready.pop_front()?;
        let slot = &mut self.lanes[lane as usize];
        slot.listed = false;
        let (mut spans, mut taken, mut bytes) = (Vec::new(), 0, 0);
        while taken < events_max
            && bytes < bytes_max
            && let Some(span) = slot.waiting.front_mut()
        {
            let mut to = span.from;
            while to < span.to && taken < events_max && bytes < bytes_max {
                let size = span.open.event(to).data().map_or(0, <[u8]>::len);
                if taken > 0 && bytes + size > bytes_max {
                    bytes = bytes_max;
                    break;
                }
                bytes += size;
                taken += 1;
                to += 1;
            }
            if to > span.from {
                spans.push(Span { open: span.open.clone(), from: span.from, to });
            }
            span.from = to;
            if span.from == span.to {
                slot.waiting.pop_front();
            }
        }
        slot.events -= taken;
        self.ready_events -= taken;
        if self.ordered {
            slot.busy = true;
            self.ready_events -= slot.events;
        } else {
            self.list(lane);
        }
        Some(Shot::new(spans, Vec::new(), lane))
    }

    /// The lane's shot is done: its next may go.
    pub fn release(&mut self, lane: u32) {
        let slot = &mut self.lanes[lane as usize];
        if slot.busy {
            slot.busy = false;
            self.ready_events += slot.events;
            self.list(lane);
        }
    }
}
