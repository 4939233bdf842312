//! Retained messages: the last one of each topic that was published to be kept (MQTT 5, section 3.3.1.3).
//!
//! Every core's tap shows it what comes out of the log; who shows an event first has it taken, the others find it there. What
//! always holds: of two messages for a topic the one that was accepted later stays; a message without payload removes; the
//! number and the bytes of messages are bounded, and what does not fit is counted, not kept.

use std::collections::{BTreeMap, HashSet};
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::Event;

use super::topics::filter_takes;

#[cfg(test)]
mod tests;

/// Stands for the place of messages of an earlier log.
const NO_PARTITION: u32 = u32::MAX;

/// A message, or the memory of its removal at a time.
#[derive(Debug)]
struct Kept {
    message: Option<Arc<Batch>>,
    place: (u32, u64),
    timestamp_ms: i64,
}

#[derive(Debug, Default)]
struct Inner {
    topics: BTreeMap<Box<str>, Kept>,
    /// Topics whose message is not stored as it is.
    changed: HashSet<Box<str>>,
    messages: usize,
    bytes: usize,
    refused: u64,
}

/// See the module.
#[derive(Debug)]
pub struct Retained {
    inner: Mutex<Inner>,
    messages_max: usize,
    bytes_max: usize,
}

/// What is kept and what was not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RetainedStats {
    /// Messages kept.
    pub messages: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Messages that were not kept for want of room.
    pub refused: u64,
}

/// What is to be stored: topics with their message, or none where it was removed.
pub type Changed = Vec<(Box<str>, Option<Arc<Batch>>)>;

impl Retained {
    /// None yet.
    pub fn new(messages_max: usize, bytes_max: usize) -> Self {
        Self { inner: Mutex::default(), messages_max, bytes_max }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic under the lock leaves the map whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An event of the log that is to be retained.
    pub fn update(&self, topic: &str, event: &Event<'_>, is_removal: bool) {
        self.take(topic, (event.partition(), event.offset()), event.timestamp_ms(), || {
            if is_removal { None } else { alone(event) }
        });
    }

    /// A stored message, at a start of a log that ends at `ends`.
    pub fn restore(&self, topic: &str, message: Arc<Batch>, ends: &[u64]) {
        let mut place = (message.partition(), message.base_offset());
        if ends.get(place.0 as usize).is_none_or(|end| place.1 >= *end) {
            // Of a log that is no more: it is older than everything that comes.
            place = (NO_PARTITION, 0);
        }
        let timestamp_ms = message.max_timestamp_ms();
        self.take(topic, place, timestamp_ms, || Some(message));
        self.lock().changed.remove(topic);
    }

    fn take(&self, topic: &str, place: (u32, u64), timestamp_ms: i64, message: impl FnOnce() -> Option<Arc<Batch>>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let known = inner.topics.get(topic);
        // Shown by another core before, or older than what came from another partition.
        let is_old = |kept: &Kept| {
            if kept.place.0 == place.0 {
                return kept.place.1 >= place.1;
            }
            // The same whichever core shows which first.
            kept.place.0 != NO_PARTITION && (kept.timestamp_ms, kept.place) > (timestamp_ms, place)
        };
        if known.is_some_and(is_old) {
            return;
        }
        let before =
            known.and_then(|kept| kept.message.as_ref()).map_or((0, 0), |old| (1, old.bytes().len() + topic.len()));
        let mut message = message();
        let now = message.as_ref().map_or((0, 0), |new| (1, new.bytes().len() + topic.len()));
        if inner.messages - before.0 + now.0 > self.messages_max || inner.bytes - before.1 + now.1 > self.bytes_max {
            inner.refused += 1;
            message = None;
        }
        let now = if message.is_some() { now } else { (0, 0) };
        inner.messages = inner.messages - before.0 + now.0;
        inner.bytes = inner.bytes - before.1 + now.1;
        inner.changed.insert(topic.into());
        inner.topics.insert(topic.into(), Kept { message, place, timestamp_ms });
    }

    /// The messages whose topics `filter` takes, in the order of their topics. Not those behind `tap`, which another core has shown
    /// first: whoever asks gets them as news.
    pub fn matching(&self, filter: &str, tap: &[u64]) -> Vec<Arc<Batch>> {
        let inner = self.lock();
        let is_news = |(partition, offset): (u32, u64)| tap.get(partition as usize).is_some_and(|tap| offset >= *tap);
        let message = |kept: &Kept| kept.message.clone().filter(|_| !is_news(kept.place));
        if !filter.contains(['+', '#']) {
            return inner.topics.get(filter).and_then(message).into_iter().collect();
        }
        // All of them begin with what stands before the first wildcard; `a/#` takes `a` too.
        let fixed = filter.find(['+', '#']).map_or(filter, |at| &filter[..at]);
        let fixed = fixed.strip_suffix('/').unwrap_or(fixed);
        let from = inner.topics.range::<str, _>((Bound::Included(fixed), Bound::Unbounded));
        from.take_while(|(topic, _)| topic.starts_with(fixed))
            .filter(|(topic, _)| filter_takes(filter, topic))
            .filter_map(|(_, kept)| message(kept))
            .collect()
    }

    /// Removes a message that has expired, if it is still the one.
    pub fn remove(&self, topic: &str, message: &Arc<Batch>) {
        let mut inner = self.lock();
        let inner = &mut *inner;
        if let Some(kept) = inner.topics.get_mut(topic)
            && kept.message.as_ref().is_some_and(|known| Arc::ptr_eq(known, message))
        {
            kept.message = None;
            inner.messages -= 1;
            inner.bytes -= message.bytes().len() + topic.len();
            inner.changed.insert(topic.into());
        }
    }

    /// What has changed since the last call. Removed topics are forgotten with it: `settled_ms` is older than anything that a
    /// core may still show.
    pub fn take_changed(&self, settled_ms: i64) -> Changed {
        let mut inner = self.lock();
        let inner = &mut *inner;
        let mut changed = Vec::with_capacity(inner.changed.len());
        for topic in inner.changed.drain() {
            let message = inner.topics.get(&topic).and_then(|kept| kept.message.clone());
            changed.push((topic, message));
        }
        for (topic, message) in &changed {
            if message.is_none() && inner.topics.get(topic).is_some_and(|kept| kept.timestamp_ms < settled_ms) {
                inner.topics.remove(topic);
            } else if message.is_none() {
                // Looked at again next time, so that its memory goes.
                inner.changed.insert(topic.clone());
            }
        }
        changed
    }

    /// See [`RetainedStats`].
    pub fn stats(&self) -> RetainedStats {
        let inner = self.lock();
        RetainedStats { messages: inner.messages as u64, bytes: inner.bytes as u64, refused: inner.refused }
    }
}

/// The event as a batch of its own, so that its memory is its own.
fn alone(event: &Event<'_>) -> Option<Arc<Batch>> {
    let mut headers = HeaderWriter::default();
    for (name, value) in event.headers() {
        headers.put(name, value);
    }
    let mut builder = BatchBuilder::new(event.partition());
    // It was in a batch before, so it fits into one.
    builder.push(event.key(), event.data().unwrap_or_default(), &headers, event.timestamp_ms()).ok()?;
    let mut batch = builder.seal()?;
    batch.set_base_offset(event.offset());
    Some(Arc::new(batch))
}
