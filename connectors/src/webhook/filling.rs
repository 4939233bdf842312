//! A request while it is put together: at most so many events, and not more than one event beyond so many bytes of data.

use std::rc::Rc;

use super::span::{Open, Span, append};

/// See the module.
#[derive(Debug)]
pub(super) struct Filling {
    spans: Vec<Span>,
    events: usize,
    bytes: usize,
    events_max: usize,
    bytes_max: usize,
}

impl Filling {
    pub fn new(events_max: usize, bytes_max: usize) -> Self {
        Self { spans: Vec::new(), events: 0, bytes: 0, events_max, bytes_max }
    }

    /// Nothing more fits.
    pub fn is_closed(&self) -> bool {
        self.events >= self.events_max || self.bytes >= self.bytes_max
    }

    /// The size of the event's data if it has room; if not, the request is closed, so that nothing overtakes it.
    pub fn room_for(&mut self, open: &Open, position: u32) -> Option<usize> {
        if self.is_closed() {
            return None;
        }
        let bytes = open.event(position).data().map_or(0, <[u8]>::len);
        if self.events > 0 && self.bytes + bytes > self.bytes_max {
            self.bytes = self.bytes_max;
            return None;
        }
        Some(bytes)
    }

    /// Takes an event that has room for its `bytes`.
    pub fn push(&mut self, open: &Rc<Open>, position: u32, bytes: usize) {
        self.bytes += bytes;
        self.events += 1;
        append(&mut self.spans, open, position);
    }

    /// Takes from the front of `span` what has room and says how many events that was.
    pub fn take(&mut self, span: &mut Span) -> usize {
        let before = self.events;
        while !span.is_empty()
            && let Some(bytes) = self.room_for(&span.open, span.from)
        {
            self.push(&span.open, span.from, bytes);
            span.from += 1;
        }
        self.events - before
    }

    /// The events; empty if there were none.
    pub fn into_spans(self) -> Vec<Span> {
        self.spans
    }
}
