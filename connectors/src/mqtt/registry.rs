//! All sessions of the node by client identifier: which core has them, or, while their client is away, the sessions themselves.
//!
//! What always holds: a client identifier has at most one entry; a session is in one place, here or with one connection, or on its
//! way from one core to another; a session belongs to the name that was authenticated when it began. Shared by all cores,
//! locked for a map operation when a client connects or goes, never while messages flow.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::session::{NEVER_EXPIRES_S, Session};
use super::store;
use super::will::Will;

#[cfg(test)]
mod tests;

/// Parts of the map, each with a lock of its own.
const PARTS: usize = 64;

/// A connection of the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// Its core.
    pub core: u16,
    /// Its number on that core.
    pub index: u32,
    /// Tells it from others that have had the number.
    pub generation: u32,
}

/// A session whose client is away.
#[derive(Debug)]
pub struct Parked {
    /// The session; not live.
    pub session: Box<Session>,
    /// When it ends, in milliseconds since the Unix epoch; `None`: never.
    pub expires_at_ms: Option<i64>,
    /// A will whose delay is not over, and when it is.
    pub will: Option<(Box<Will>, i64)>,
}

impl Parked {
    /// Of a session whose client went away at `now_ms`.
    pub fn new(session: Box<Session>, will: Option<Box<Will>>, now_ms: i64) -> Self {
        let expires_at_ms = (session.expiry_s != NEVER_EXPIRES_S).then(|| now_ms + i64::from(session.expiry_s) * 1000);
        let will = will.map(|will| {
            let due_ms = now_ms + i64::from(will.delay_s) * 1000;
            (will, due_ms)
        });
        Self { session, expires_at_ms, will }
    }

    /// As it is stored.
    pub fn encode(&self) -> Vec<u8> {
        let will = self.will.as_ref().map(|(will, _)| &**will);
        store::encode(&self.session, will, self.expires_at_ms)
    }

    /// When something is to be done about it.
    fn due_ms(&self) -> Option<i64> {
        let will = self.will.as_ref().map(|(_, due_ms)| *due_ms);
        [will, self.expires_at_ms].into_iter().flatten().min()
    }
}

#[derive(Debug)]
enum Entry {
    Online { place: Place, name: Arc<str> },
    Away(Box<Parked>),
}

/// What a client that connects finds.
#[derive(Debug)]
pub enum Claim {
    /// No session.
    New,
    /// Its session.
    Away(Box<Parked>),
    /// Another connection has it.
    Online(Place),
}

/// Why a client identifier cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ClaimError {
    /// The session is somebody else's.
    #[error("the client identifier belongs to a session of another name")]
    OtherName,
    /// There are as many sessions as there may be.
    #[error("the node has as many sessions as it may have")]
    TooMany,
    /// The name has as many sessions as it may have.
    #[error("the name has as many sessions as it may have")]
    TooManyOfName,
}

/// What has come due while a client was away.
#[derive(Debug)]
pub enum Due {
    /// Its will is to be published; the session stays.
    Will(Box<Will>),
    /// Its session has ended; its will, if it was not published, is to be published now.
    Ended(Box<Parked>),
}

type Part = HashMap<Arc<str>, Entry>;

/// See the module.
#[derive(Debug)]
pub struct Registry {
    parts: Vec<Mutex<Part>>,
    hasher: RandomState,
    /// When to look at whom; entries may be out of date.
    due: Mutex<BTreeSet<(i64, Arc<str>)>>,
    /// Sessions by name, where the number is bounded.
    names: Mutex<HashMap<Arc<str>, u32>>,
    sessions: AtomicUsize,
    sessions_max: usize,
    sessions_per_name_max: u32,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Held for map operations only; a panic there leaves the map whole.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Registry {
    /// An empty one with room for `sessions_max`, `sessions_per_name_max` of one name (0: any number).
    pub fn new(sessions_max: usize, sessions_per_name_max: u32) -> Self {
        Self {
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
            due: Mutex::default(),
            names: Mutex::default(),
            sessions: AtomicUsize::new(0),
            sessions_max,
            sessions_per_name_max,
        }
    }

    fn part(&self, client_id: &str) -> MutexGuard<'_, Part> {
        lock(&self.parts[self.hasher.hash_one(client_id) as usize % PARTS])
    }

    /// Number of sessions, with and without a connection.
    pub fn len(&self) -> usize {
        self.sessions.load(Ordering::Relaxed)
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The connection at `place` is the client's from now on; what it finds.
    pub fn claim(&self, client_id: &Arc<str>, name: &Arc<str>, place: Place) -> Result<Claim, ClaimError> {
        let mut part = self.part(client_id);
        let is_same = |known: &str| known.eq_ignore_ascii_case(name);
        match part.get_mut(client_id) {
            Some(Entry::Online { name: known, .. }) if !is_same(known) => Err(ClaimError::OtherName),
            Some(Entry::Away(parked)) if !is_same(&parked.session.name) => Err(ClaimError::OtherName),
            Some(entry) => {
                let before = std::mem::replace(entry, Entry::Online { place, name: name.clone() });
                Ok(match before {
                    Entry::Online { place, .. } => Claim::Online(place),
                    Entry::Away(parked) => Claim::Away(parked),
                })
            }
            None => {
                if self.sessions.load(Ordering::Relaxed) >= self.sessions_max {
                    return Err(ClaimError::TooMany);
                }
                self.count(name)?;
                self.sessions.fetch_add(1, Ordering::Relaxed);
                part.insert(client_id.clone(), Entry::Online { place, name: name.clone() });
                Ok(Claim::New)
            }
        }
    }

    fn count(&self, name: &Arc<str>) -> Result<(), ClaimError> {
        if self.sessions_per_name_max > 0 {
            let mut names = lock(&self.names);
            let count = names.entry(name.clone()).or_insert(0);
            if *count >= self.sessions_per_name_max {
                return Err(ClaimError::TooManyOfName);
            }
            *count += 1;
        }
        Ok(())
    }

    fn forget(&self, name: &Arc<str>) {
        self.sessions.fetch_sub(1, Ordering::Relaxed);
        if self.sessions_per_name_max > 0 {
            let mut names = lock(&self.names);
            if let Some(count) = names.get_mut(name) {
                *count -= 1;
                if *count == 0 {
                    names.remove(name);
                }
            }
        }
    }

    /// The client of `place` has gone and its session stays. Gives it back if another connection has claimed it meanwhile.
    pub fn park(&self, place: Place, parked: Box<Parked>) -> Result<(), Box<Parked>> {
        let client_id = parked.session.client_id.clone();
        let due_ms = parked.due_ms();
        {
            let mut part = self.part(&client_id);
            let is_ours = |entry: &&mut Entry| matches!(entry, Entry::Online { place: known, .. } if *known == place);
            match part.get_mut(&client_id).filter(is_ours) {
                Some(entry) => *entry = Entry::Away(parked),
                None => return Err(parked),
            }
        }
        if let Some(due_ms) = due_ms {
            lock(&self.due).insert((due_ms, client_id));
        }
        Ok(())
    }

    /// Puts a stored session where its client can find it. For a start, before anybody connects.
    pub fn restore(&self, parked: Box<Parked>) {
        let client_id = parked.session.client_id.clone();
        // Over the limit for a name, which may be a new setting: what is there stays.
        let _ = self.count(&parked.session.name);
        self.sessions.fetch_add(1, Ordering::Relaxed);
        if let Some(due_ms) = parked.due_ms() {
            lock(&self.due).insert((due_ms, client_id.clone()));
        }
        self.part(&client_id).insert(client_id.clone(), Entry::Away(parked));
    }

    /// Does something with the session of a client that is away.
    pub fn with_away<R>(&self, client_id: &str, work: impl FnOnce(&mut Session) -> R) -> Option<R> {
        match self.part(client_id).get_mut(client_id) {
            Some(Entry::Away(parked)) => Some(work(&mut parked.session)),
            _ => None,
        }
    }

    /// Calls `each` with every session whose client is away.
    pub fn each_away(&self, mut each: impl FnMut(&Parked)) {
        for part in &self.parts {
            for entry in lock(part).values() {
                if let Entry::Away(parked) = entry {
                    each(parked);
                }
            }
        }
    }

    /// The client of `place` has gone and its session with it. `false` if another connection has claimed it meanwhile.
    pub fn remove(&self, client_id: &str, place: Place) -> bool {
        let mut part = self.part(client_id);
        match part.get(client_id) {
            Some(Entry::Online { place: known, name }) if *known == place => {
                let name = name.clone();
                part.remove(client_id);
                self.forget(&name);
                true
            }
            _ => false,
        }
    }

    /// What has come due at `now_ms`. `changed` is called for each such session as it is from then on, while nobody else can have
    /// it: with `None` for one that has ended.
    pub fn take_due(&self, now_ms: i64, mut changed: impl FnMut(&Arc<str>, Option<&Parked>)) -> Vec<Due> {
        let mut found = Vec::new();
        loop {
            let client_id = {
                let mut due = lock(&self.due);
                match due.first() {
                    Some((due_ms, _)) if *due_ms <= now_ms => due.pop_first().map(|(_, client_id)| client_id),
                    _ => None,
                }
            };
            let Some(client_id) = client_id else { return found };
            let mut part = self.part(&client_id);
            let Some(Entry::Away(parked)) = part.get_mut(&client_id) else { continue };
            if parked.expires_at_ms.is_some_and(|at_ms| at_ms <= now_ms) {
                if let Some(Entry::Away(ended)) = part.remove(&client_id) {
                    changed(&client_id, None);
                    self.forget(&ended.session.name);
                    found.push(Due::Ended(ended));
                }
                continue;
            }
            if parked.will.as_ref().is_some_and(|(_, due_ms)| *due_ms <= now_ms)
                && let Some((will, _)) = parked.will.take()
            {
                changed(&client_id, Some(parked));
                found.push(Due::Will(will));
            }
            if let Some(due_ms) = parked.due_ms() {
                drop(part);
                lock(&self.due).insert((due_ms, client_id));
            }
        }
    }
}
