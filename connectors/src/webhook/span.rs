//! A delivery of which some events are not done, and runs of its events.
//!
//! What always holds: the ticket of a delivery is settled once, when the last of its events is done.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use engine::event::Event;
use engine::lane::{Delivery, Rows};

use crate::sink::{Handed, SettleTicket};

/// A delivery of which some events are not done.
#[derive(Debug)]
pub(super) struct Open {
    delivery: Delivery,
    ticket: RefCell<Option<SettleTicket>>,
    left: Cell<usize>,
    held: Rc<Cell<usize>>,
}

impl Open {
    /// All events of a delivery, counted in `held` until they are done.
    pub fn span(handed: Handed, held: Rc<Cell<usize>>) -> Span {
        let Handed { delivery, ticket, .. } = handed;
        let events = delivery.len();
        held.set(held.get() + 1);
        let open = Open { delivery, ticket: RefCell::new(Some(ticket)), left: Cell::new(events), held };
        Span { open: Rc::new(open), from: 0, to: events as u32 }
    }

    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }

    /// The event at `position` of the delivery's rows.
    pub fn event(&self, position: u32) -> Event<'_> {
        let row = match &self.delivery.rows {
            Rows::All => position as usize,
            Rows::Some(rows) => usize::from(rows[position as usize]),
        };
        Event::new(&self.delivery.batch, row)
    }

    fn done(&self, events: usize) {
        let left = self.left.get() - events;
        self.left.set(left);
        if left == 0
            && let Some(ticket) = self.ticket.take()
        {
            ticket.settle();
            self.held.set(self.held.get() - 1);
        }
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

    pub fn is_empty(&self) -> bool {
        self.from == self.to
    }

    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        (self.from..self.to).map(|position| self.open.event(position))
    }

    /// Its events are delivered or written off.
    pub fn done(&self) {
        self.open.done(self.len());
    }
}

/// Puts one event at the end of `spans`.
pub(super) fn append(spans: &mut Vec<Span>, open: &Rc<Open>, position: u32) {
    match spans.last_mut() {
        Some(last) if last.to == position && Rc::ptr_eq(&last.open, open) => last.to += 1,
        _ => spans.push(Span { open: open.clone(), from: position, to: position + 1 }),
    }
}

/// Number of events.
pub(super) fn len(spans: &[Span]) -> usize {
    spans.iter().map(Span::len).sum()
}

/// Deals the events out to two lists, each in the order they came in: those for which `is_second` and the others.
pub(super) fn deal(spans: &[Span], mut is_second: impl FnMut(&Event<'_>) -> bool) -> (Vec<Span>, Vec<Span>) {
    let (mut first, mut second) = (Vec::new(), Vec::new());
    for span in spans {
        for position in span.from..span.to {
            let to = if is_second(&span.open.event(position)) { &mut second } else { &mut first };
            append(to, &span.open, position);
        }
    }
    (first, second)
}
