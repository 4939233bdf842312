//! From deliveries to requests: which events go into the next POST.
//!
//! What always holds: every event of a delivery is in exactly one place (waiting here, in one [`Shot`], given up or done); with
//! order, a key has at most one request, and its later events wait behind it.

use std::cell::Cell;
use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;

use super::filling::Filling;
use super::keys::Keys;
use super::shot::{Shot, Tried};
use super::span::{Open, Span, deal};
use crate::sink::Handed;

#[cfg(test)]
mod tests;

/// Events that were taken from the feed and are in no request yet.
#[derive(Debug)]
pub(super) struct Queue {
    /// As they came.
    waiting: VecDeque<Span>,
    waiting_events: usize,
    /// If order is kept.
    keys: Option<Keys>,
    events_max: usize,
    bytes_max: usize,
    held: Rc<Cell<usize>>,
    /// Requests made; the last one's number.
    shots: u64,
}

impl Queue {
    /// Requests of at most `events_max` events and not more than one beyond `bytes_max` bytes of data; `keys` keeps order.
    pub fn new(events_max: usize, bytes_max: usize, keys: Option<Keys>) -> Self {
        Self { waiting: VecDeque::new(), waiting_events: 0, keys, events_max, bytes_max, held: Rc::default(), shots: 0 }
    }

    /// Deliveries that are not settled.
    pub fn held(&self) -> usize {
        self.held.get()
    }

    /// Events that no request of their key is known to hold back.
    pub fn ready_events(&self) -> usize {
        self.waiting_events + self.keys.as_ref().map_or(0, Keys::ready_events)
    }

    /// Events that wait behind their keys.
    pub fn behind_events(&self) -> usize {
        self.keys.as_ref().map_or(0, Keys::behind_events)
    }

    /// Takes a delivery in.
    pub fn push(&mut self, handed: Handed) {
        let span = Open::span(handed, self.held.clone());
        self.waiting_events += span.len();
        self.waiting.push_back(span);
    }

    /// The next request: what waited behind a key first. What is new is only looked at while fewer than `behind_max` events wait
    /// behind their keys; of that, an event whose key has a request already goes behind it.
    pub fn next(&mut self, behind_max: usize) -> Option<Shot> {
        let id = self.shots + 1;
        let mut filling = Filling::new(self.events_max, self.bytes_max);
        if let Some(keys) = &mut self.keys {
            keys.fill(&mut filling, id);
        }
        while behind_max > 0
            && !filling.is_closed()
            && let Some(span) = self.waiting.front_mut()
        {
            let before = span.len();
            match &mut self.keys {
                None => _ = filling.take(span),
                Some(keys) => fill_in_order(&mut filling, span, keys, id, behind_max),
            }
            self.waiting_events -= before - span.len();
            if !span.is_empty() {
                break;
            }
            self.waiting.pop_front();
        }
        let spans = filling.into_spans();
        if spans.is_empty() {
            return None;
        }
        self.shots = id;
        Some(Shot::new(id, spans))
    }

    /// The events of `shot` are done: what waits behind their keys may go.
    pub fn release(&mut self, shot: &Shot) {
        let Some(keys) = &mut self.keys else { return };
        for event in shot.events() {
            if let Some(hash) = keys.hash(&event) {
                keys.release(hash, shot.id);
            }
        }
    }

    /// The events of `gone`, which were in `shot` with the others that still are, are done.
    pub fn release_some(&mut self, gone: &[Span], shot: &Shot) {
        let Some(keys) = &mut self.keys else { return };
        let staying: HashSet<u64> = shot.events().filter_map(|event| keys.hash(&event)).collect();
        for event in gone.iter().flat_map(Span::events) {
            if let Some(hash) = keys.hash(&event).filter(|hash| !staying.contains(hash)) {
                keys.release(hash, shot.id);
            }
        }
    }

    /// Cuts a request of several events in two, as if neither had been tried. With order, events of a key stay together; where there
    /// is one key only, the second half comes after the first.
    pub fn halve(&mut self, shot: Shot) -> (Shot, Option<Shot>) {
        let (mut first, mut second) = self.split_by_keys(shot);
        if second.is_none() {
            let (mut position, half) = (0, first.len() / 2);
            let (near, far) = deal(&first.spans, |_| {
                position += 1;
                position > half
            });
            first.spans = near;
            match self.keys {
                Some(_) => first.after.push(far),
                None => second = Some(Shot::new(self.new_id(), far)),
            }
        }
        for half in [Some(&mut first), second.as_mut()].into_iter().flatten() {
            half.tried = Tried::default();
        }
        (first, second)
    }

    /// Splits a request that failed, if order is kept and it has events of several keys: one half of the keys each. So a bad event
    /// ends up alone and holds no key but its own.
    pub fn split_by_keys(&mut self, shot: Shot) -> (Shot, Option<Shot>) {
        let Some(keys) = &self.keys else { return (shot, None) };
        let mut numbers = HashMap::new();
        let mut groups = 0usize;
        // Each event without a key is a group of its own.
        let group_of_each: Vec<usize> = shot
            .events()
            .map(|event| {
                let new = groups;
                let group = keys.hash(&event).map_or(new, |hash| *numbers.entry(hash).or_insert(new));
                groups += usize::from(group == new);
                group
            })
            .collect();
        if groups < 2 {
            return (shot, None);
        }
        let mut each = group_of_each.iter();
        let (first, second) = deal(&shot.spans, |_| each.next().is_some_and(|group| *group >= groups / 2));
        let second = Shot { tried: shot.tried.clone(), ..Shot::new(self.new_id(), second) };
        if let Some(keys) = &mut self.keys {
            for event in second.events() {
                if let Some(hash) = keys.hash(&event) {
                    keys.hand_over(hash, shot.id, second.id);
                }
            }
        }
        (Shot { spans: first, ..shot }, Some(second))
    }

    fn new_id(&mut self) -> u64 {
        self.shots += 1;
        self.shots
    }
}

/// Takes from the front of `span` what has room, and puts what has to wait behind its key.
fn fill_in_order(filling: &mut Filling, span: &mut Span, keys: &mut Keys, shot: u64, behind_max: usize) {
    while !span.is_empty()
        && keys.behind_events() < behind_max
        && let Some(bytes) = filling.room_for(&span.open, span.from)
    {
        match keys.hash(&span.open.event(span.from)) {
            Some(hash) if !keys.claim(hash, shot) => keys.push(hash, &span.open, span.from),
            _ => filling.push(&span.open, span.from, bytes),
        }
        span.from += 1;
    }
}
