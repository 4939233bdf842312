//! The decisions of a webhook endpoint, without the world: which events go into the next request, what an answer means for them, when
//! the next retry is due, what is given up. Time is an argument, the dice have a seed: the same calls give the same results.
//!
//! What always holds:
//! - Every event that was taken is waiting, in one request, given up, or done; a delivery is settled when its last event is done.
//! - With `ordered`, an event is not sent before all earlier events of its key are delivered or given up. Other keys go on.
//! - At most `concurrency_max` requests are under way. Events that are parked (they wait for a retry, or behind an event of their
//!   key) are at most `parked_events_max` and those that were under way when the bound was reached; deliveries held are at most
//!   [`HELD_DELIVERIES_MAX`] and one per request. At a bound it wants no more: the feed waits, nothing is lost.
//!
//! Its caller sends the requests, keeps the dead letters and knows the time:
//! 1. while [`wants_more`](Dispatch::wants_more): [`take`](Dispatch::take) what the feed has;
//! 2. while [`next_shot`](Dispatch::next_shot) gives one: send it;
//! 3. keep what [`take_given_up`](Dispatch::take_given_up) gives, and settle it;
//! 4. wait for an answer ([`answered`](Dispatch::answered)), for the feed while more is wanted (2 may have made room), or for
//!    [`next_due_ms`](Dispatch::next_due_ms); again from 1.

use super::config::{TtlFrom, WebhookConfig};
use super::keys::Keys;
use super::parked::Parked;
use super::policy::{Answer, Reason, RetryPolicy, Verdict};
use super::queue::Queue;
use super::shot::{GivenUp, Shot};
use super::span::{Span, deal};
use crate::sink::Handed;

#[cfg(test)]
mod tests;

/// Deliveries that may be held unsettled besides those that keep the requests busy: each pins a batch of about 64 KiB.
pub const HELD_DELIVERIES_MAX: usize = 512;
/// After so many failures without a success the receiver counts as down; its first success then makes all retries due at once.
const DOWN_FAILURES_MIN: u32 = 8;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What its answer meant.
    pub verdict: Verdict,
    /// Number of its events.
    pub events: usize,
    /// The receiver counted as down after so many failures, and this success brought it back.
    pub back_after: Option<u32>,
}

/// See the module.
#[derive(Debug)]
pub struct Dispatch {
    policy: RetryPolicy,
    ttl_from: TtlFrom,
    concurrency_max: usize,
    batch_events_max: usize,
    parked_events_max: usize,
    random: fastrand::Rng,
    queue: Queue,
    parked: Parked,
    given_up: Vec<GivenUp>,
    under_way: usize,
    /// The receiver asked for silence until then.
    silent_until_ms: Option<u64>,
    /// It said 410: nothing more is sent.
    stopped: bool,
    failures_in_a_row: u32,
}

impl Dispatch {
    /// An endpoint that holds nothing. `seed` decides the jitter of its retries and how it hashes keys.
    pub fn new(config: &WebhookConfig, seed: u64) -> Self {
        let mut random = fastrand::Rng::with_seed(seed);
        let keys = config.ordered.then(|| Keys::new(random.u64(..)));
        let batch_events_max = config.batch_events_max as usize;
        Self {
            policy: config.policy(),
            ttl_from: config.ttl_from,
            concurrency_max: config.concurrency_max as usize,
            batch_events_max,
            parked_events_max: config.parked_events_max as usize,
            random,
            queue: Queue::new(batch_events_max, config.batch_bytes_max, keys),
            parked: Parked::default(),
            given_up: Vec::new(),
            under_way: 0,
            silent_until_ms: None,
            stopped: false,
            failures_in_a_row: 0,
        }
    }

    /// Whether the next delivery is wanted now.
    pub fn wants_more(&self) -> bool {
        !self.stopped
            && self.silent_until_ms.is_none()
            && self.queue.ready_events() < self.batch_events_max
            && self.queue.held() < HELD_DELIVERIES_MAX + self.concurrency_max
            && self.parked_events() < self.parked_events_max
    }

    /// Takes a delivery. Those of a partition come in offset order.
    pub fn take(&mut self, handed: Handed) {
        self.queue.push(handed);
    }

    /// The next request that is to be sent now, if one may be: retries that are due first, then what waited behind a key, then what
    /// is new. `now_ms` is a monotonic clock, `wall_ms` the wall clock since the Unix epoch, both in milliseconds.
    pub fn next_shot(&mut self, now_ms: u64, wall_ms: i64) -> Option<Shot> {
        let is_silent = self.silent_until_ms.is_some_and(|until_ms| until_ms > now_ms);
        if self.stopped || is_silent || self.under_way >= self.concurrency_max {
            return None;
        }
        self.silent_until_ms = None;
        loop {
            let shot = match self.parked.pop_due(now_ms) {
                Some(shot) => shot,
                None => self.queue.next(self.parked_events_max.saturating_sub(self.parked.events()))?,
            };
            if let Some(mut shot) = self.still_alive(shot, now_ms, wall_ms) {
                shot.tried.attempts += 1;
                shot.tried.first_ms.get_or_insert(now_ms);
                shot.tried.first_wall_ms.get_or_insert(wall_ms);
                shot.tried.last_wall_ms = Some(wall_ms);
                self.under_way += 1;
                return Some(shot);
            }
        }
    }

    /// How a request was answered; `detail` is what the receiver or the system said about a failure.
    pub fn answered(&mut self, mut shot: Shot, answer: Answer, detail: Option<String>, now_ms: u64) -> Judged {
        self.under_way -= 1;
        let (events, tried) = (shot.len(), &mut shot.tried);
        let since_first_ms = tried.since_first_ms(now_ms);
        let verdict = self.policy.judge(&answer, events, tried.attempts, since_first_ms, self.random.f64());
        let mut back_after = None;
        if verdict == Verdict::Delivered {
            let failures = std::mem::take(&mut self.failures_in_a_row);
            if failures >= DOWN_FAILURES_MIN {
                back_after = Some(failures);
                self.parked.all_due(now_ms);
            }
        } else {
            self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
            (tried.answer, tried.detail) = (Some(answer), detail);
        }
        match verdict {
            Verdict::Delivered => {
                shot.spans.iter().for_each(Span::done);
                self.finished(shot, now_ms);
            }
            Verdict::Retry { after_ms, hold_all } => {
                let due_ms = now_ms.saturating_add(after_ms);
                if hold_all {
                    self.silent_until_ms = Some(self.silent_until_ms.map_or(due_ms, |until_ms| until_ms.max(due_ms)));
                }
                // Where nothing is taken at all, the reason is not one of the events, and more requests would only be more load.
                let is_down = hold_all || self.failures_in_a_row >= DOWN_FAILURES_MIN;
                let (first, second) = if is_down { (shot, None) } else { self.queue.split_by_keys(shot) };
                self.park(first, second, due_ms);
            }
            Verdict::Halve => {
                let (first, second) = self.queue.halve(shot);
                self.park(first, second, now_ms);
            }
            Verdict::DeadLetter(reason) => {
                self.give_up(&shot, reason);
                self.finished(shot, now_ms);
            }
            // Dropped unsettled: it comes again when the endpoint runs again.
            Verdict::Stop => self.stopped = true,
        }
        Judged { verdict, events, back_after }
    }

    /// What was given up since the last call. Its keys go on at once; its deliveries are settled by
    /// [`GivenUp::settle`], when the dead letters are kept.
    pub fn take_given_up(&mut self) -> Vec<GivenUp> {
        std::mem::take(&mut self.given_up)
    }

    /// When there is something to do that neither an answer nor the feed brings.
    pub fn next_due_ms(&self) -> Option<u64> {
        if self.stopped || self.under_way >= self.concurrency_max {
            return None;
        }
        self.silent_until_ms.or_else(|| self.parked.next_due_ms())
    }

    /// The receiver is retired: nothing more is sent or taken.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Requests under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Deliveries that are not settled.
    pub fn held_deliveries(&self) -> usize {
        self.queue.held()
    }

    /// Events that wait for a retry, or behind an event of their key.
    pub fn parked_events(&self) -> usize {
        self.parked.events() + self.queue.behind_events()
    }

    fn park(&mut self, first: Shot, second: Option<Shot>, due_ms: u64) {
        self.parked.park(first, due_ms);
        if let Some(second) = second {
            self.parked.park(second, due_ms);
        }
    }

    /// Gives up what has outlived its time; `None` if nothing is left of it.
    fn still_alive(&mut self, mut shot: Shot, now_ms: u64, wall_ms: i64) -> Option<Shot> {
        match self.ttl_from {
            TtlFrom::FirstAttempt => {
                let is_new = shot.tried.first_ms.is_none();
                if is_new || !self.policy.is_expired(shot.tried.since_first_ms(now_ms)) {
                    return Some(shot);
                }
                self.give_up(&shot, Reason::TimeToLiveExceeded);
            }
            TtlFrom::Acceptance => {
                let policy = self.policy;
                let is_old = |accepted_ms: i64| {
                    policy.is_expired(u64::try_from(wall_ms.saturating_sub(accepted_ms)).unwrap_or(0))
                };
                // Almost always all or none: look at each event only if one of them is old.
                if shot.events().any(|event| is_old(event.timestamp_ms())) {
                    let (young, old) = deal(&shot.spans, |event| is_old(event.timestamp_ms()));
                    shot.spans = old;
                    self.give_up(&shot, Reason::TimeToLiveExceeded);
                    let old = std::mem::replace(&mut shot.spans, young);
                    if !shot.spans.is_empty() {
                        self.queue.release_some(&old, &shot);
                        return Some(shot);
                    }
                    shot.spans = old;
                } else {
                    return Some(shot);
                }
            }
        }
        self.finished(shot, now_ms);
        None
    }

    /// Gives up the events of `shot` (not those that are to follow it).
    fn give_up(&mut self, shot: &Shot, reason: Reason) {
        self.given_up.push(GivenUp { spans: shot.spans.clone(), reason, tried: shot.tried.clone() });
    }

    /// The events of `shot` are delivered or given up: what is to follow goes next, or else its keys are free.
    fn finished(&mut self, mut shot: Shot, now_ms: u64) {
        if shot.go_on() {
            self.parked.park(shot, now_ms);
        } else {
            self.queue.release(&shot);
        }
    }
}
