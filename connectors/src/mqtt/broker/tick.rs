//! What time brings: clients that are silent, tokens that end, sessions and wills that come due, and what is to be stored.

use std::cmp::Reverse;

use super::{Broker, Ending, LifeCycle, Place};
use crate::mqtt::codec::Reason;
use crate::mqtt::connection::{Connection, Phase};
use crate::mqtt::store::{self, Changes};

/// What is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TimerKind {
    /// Has CONNECT come and been answered?
    Connect,
    /// Is the client heard?
    KeepAlive,
    /// Is the client's token still good?
    Token,
}

/// When to look at a connection. One per connection and kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    /// By the monotonic clock.
    pub due_ms: u64,
    pub place: Place,
    pub kind: TimerKind,
}

impl Ord for Timer {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        let key = |timer: &Self| (timer.due_ms, timer.place.index, timer.place.generation, timer.kind);
        key(self).cmp(&key(other))
    }
}

impl PartialOrd for Timer {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// Removed retained topics are remembered so long: a core whose tap lags further than this would bring one back.
const RETAINED_SETTLED_MS: i64 = 60_000;

impl Broker {
    /// To be called some times a second.
    pub fn tick(&mut self) {
        while let Some(Reverse(timer)) = self.timers.peek().copied().filter(|timer| timer.0.due_ms <= self.now.tick_ms)
        {
            self.timers.pop();
            if let Some(mut connection) = self.take(timer.place) {
                self.timer(&mut connection, timer);
                self.put(connection);
            }
        }
        if self.core == 0 {
            self.due();
        }
    }

    /// When the next tick has something to do, by the monotonic clock.
    pub fn next_tick_ms(&self) -> Option<u64> {
        self.timers.peek().map(|timer| timer.0.due_ms)
    }

    fn timer(&mut self, connection: &mut Connection, timer: Timer) {
        match timer.kind {
            TimerKind::Connect => {
                if matches!(connection.phase, Phase::New | Phase::Authenticating | Phase::AwaitsSession) {
                    self.end(connection, Ending::silent(LifeCycle::ClientError));
                }
            }
            TimerKind::KeepAlive => {
                if connection.phase != Phase::Open {
                    return;
                }
                // Who is not read cannot be heard.
                if self.is_blocked || !connection.takes_packets() {
                    connection.heard_ms = self.now.tick_ms;
                }
                // One and a half times the keep-alive (3.1.2-22).
                let due_ms = connection.heard_ms + u64::from(connection.keep_alive_s) * 1500;
                if due_ms <= self.now.tick_ms {
                    let ending = Ending::by_server(Reason::KeepAliveTimeout, LifeCycle::ConnectionLost);
                    self.end(connection, ending);
                } else {
                    self.timers.push(Reverse(Timer { due_ms, ..timer }));
                }
            }
            TimerKind::Token => {
                let expires_at_s = connection.identity.as_ref().and_then(|identity| identity.expires_at_s);
                if connection.phase == Phase::Open && expires_at_s.is_some_and(|at_s| at_s <= self.unix_s()) {
                    let ending = Ending::by_server(Reason::NotAuthorized, LifeCycle::ClientAuthenticationError);
                    self.end(connection, ending);
                }
            }
        }
    }

    /// Has what has changed since the last time stored: to be called about twice a second.
    pub fn save(&mut self) {
        let mut changes = Changes::default();
        for index in std::mem::take(&mut self.unsaved) {
            let Some(connection) = self.slots[index as usize].connection.as_deref_mut() else { continue };
            connection.is_listed = false;
            if let Some(session) = &mut connection.session
                && session.is_dirty
            {
                session.is_dirty = false;
                let will = connection.will.as_deref();
                let is_kept = session.is_persistent() || will.is_some();
                let record = is_kept.then(|| store::encode(session, will, None));
                changes.sessions.push((session.client_id.clone(), record));
            }
        }
        if self.core == 0 {
            let settled_ms = self.now.unix_ms - RETAINED_SETTLED_MS;
            changes.retained = self.node.retained.take_changed(settled_ms);
        }
        // Behind it a start looks for messages of QoS 2 that were on their way to the log, which are not stored as taken.
        let mut checkpoint = self.tap.clone();
        for (_, partition, tap) in &self.unacked {
            let at = &mut checkpoint[*partition as usize];
            *at = (*at).min(*tap);
        }
        changes.checkpoint = Some((self.core, checkpoint));
        self.store(changes);
    }

    /// Adds the turn's numbers to those that others can see.
    pub fn show_counts(&mut self) {
        self.stats.add(&self.counts);
        self.counts = Default::default();
    }
}
