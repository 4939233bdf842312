//! The events of one request, what has been tried with them, and what is left when they are given up.

use engine::event::Event;
use engine::lane::Enrichment;

use super::policy::{Answer, Reason};
use super::span::{Span, len};

/// What has been tried with the events of a request.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    /// Attempts made, the one under way included.
    pub attempts: u32,
    /// Wall clock of the first attempt, in milliseconds since the Unix epoch.
    pub first_wall_ms: Option<i64>,
    /// Wall clock of the last one.
    pub last_wall_ms: Option<i64>,
    /// How the last one was answered.
    pub answer: Option<Answer>,
    /// What the receiver or the system said about it.
    pub detail: Option<String>,
    /// Monotonic clock of the first attempt.
    pub(super) first_ms: Option<u64>,
}

impl Tried {
    /// Time since the first attempt.
    pub(super) fn since_first_ms(&self, now_ms: u64) -> u64 {
        self.first_ms.map_or(0, |first_ms| now_ms.saturating_sub(first_ms))
    }
}

/// The events of one request, in the order in which they are to stand in it. It comes from
/// [`Dispatch::next_shot`](super::Dispatch::next_shot) and goes back by [`Dispatch::answered`](super::Dispatch::answered): as long as it
/// is out, later events of its keys wait. Dropped instead, its events stay unsettled.
#[derive(Debug)]
#[must_use = "its keys wait until it is given back with an answer"]
pub struct Shot {
    /// Never 0, and never given twice.
    pub(super) id: u64,
    pub(super) spans: Vec<Span>,
    /// Second halves of what was too large, all of one key, to be sent after this; the last is next.
    pub(super) after: Vec<Vec<Span>>,
    pub(super) tried: Tried,
}

impl Shot {
    pub(super) fn new(id: u64, spans: Vec<Span>) -> Self {
        Self { id, spans, after: Vec::new(), tried: Tried::default() }
    }

    /// Number of events, those that are to follow included.
    pub(super) fn len_with_after(&self) -> usize {
        self.len() + self.after.iter().map(|spans| len(spans)).sum::<usize>()
    }

    /// Goes on to what is to be sent after this, if there is something.
    pub(super) fn go_on(&mut self) -> bool {
        let Some(spans) = self.after.pop() else { return false };
        (self.spans, self.tried) = (spans, Tried::default());
        true
    }

    /// The events, those of a key in offset order.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.spans.iter().flat_map(Span::events)
    }

    /// The events, each with what is to be added to it.
    pub fn enriched(&self) -> impl Iterator<Item = (Event<'_>, &[Enrichment])> {
        self.spans.iter().flat_map(|span| span.events().map(|event| (event, &*span.open.delivery().enrichments)))
    }

    /// Number of events.
    pub fn len(&self) -> usize {
        len(&self.spans)
    }

    /// Never: a request has at least one event.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// What has been tried with them.
    pub fn tried(&self) -> &Tried {
        &self.tried
    }
}

/// Events that are given up: dead letters to be written. Dropped without [`settle`](Self::settle), they stay unsettled.
#[derive(Debug)]
#[must_use = "settle it when its dead letters are kept"]
pub struct GivenUp {
    pub(super) spans: Vec<Span>,
    pub(super) reason: Reason,
    pub(super) tried: Tried,
}

impl GivenUp {
    /// The events.
    pub fn events(&self) -> impl Iterator<Item = Event<'_>> {
        self.spans.iter().flat_map(Span::events)
    }

    /// Why.
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// What has been tried with them.
    pub fn tried(&self) -> &Tried {
        &self.tried
    }

    /// Their dead letters are kept, or nobody wants them: they are done.
    pub fn settle(self) {
        self.spans.iter().for_each(Span::done);
    }
}
