//! What one client may do, compiled once when it connects.

#[cfg(test)]
mod tests;

use super::topics::filter_contains;
use crate::mqtt::topics::levels_take;

/// A topic filter, prepared so that a topic is decided by its first bytes in the ordinary case.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern {
    filter: Box<str>,
    /// Bytes before the first level with a wildcard.
    literal_bytes: u32,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// No wildcard.
    Exact,
    /// One `#` at the end.
    Under,
    /// Anything with a `+`.
    Levels,
}

impl Pattern {
    fn new(filter: String) -> Self {
        let wildcard = filter.find(['+', '#']);
        let kind = match wildcard {
            None => Kind::Exact,
            Some(at) if filter.as_bytes()[at] == b'#' => Kind::Under,
            Some(_) => Kind::Levels,
        };
        let literal_bytes = wildcard.unwrap_or(filter.len()) as u32;
        Self { filter: filter.into(), literal_bytes, kind }
    }

    /// The same as `mqtt::topics::filter_takes`.
    fn matches(&self, topic: &str) -> bool {
        let literal = &self.filter[..self.literal_bytes as usize];
        if self.kind == Kind::Exact {
            return topic == literal;
        }
        if literal.is_empty() && topic.starts_with('$') {
            return false;
        }
        match topic.strip_prefix(literal) {
            Some(_) if self.kind == Kind::Under => true,
            Some(rest) => levels_take(&self.filter[literal.len()..], rest),
            // `a/#` is `a` too.
            None => self.kind == Kind::Under && literal.strip_suffix('/') == Some(topic),
        }
    }
}

/// What one client may publish and subscribe to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Grants {
    everything: bool,
    publish: Box<[Pattern]>,
    subscribe: Box<[Pattern]>,
}

impl Grants {
    /// Everything is allowed: there are no topic spaces.
    pub fn everything() -> Self {
        Self { everything: true, ..Self::default() }
    }

    pub(super) fn new(publish: impl IntoIterator<Item = String>, subscribe: impl IntoIterator<Item = String>) -> Self {
        fn patterns(filters: impl IntoIterator<Item = String>) -> Box<[Pattern]> {
            let mut filters: Vec<String> = filters.into_iter().collect();
            filters.sort_unstable();
            filters.dedup();
            filters.into_iter().map(Pattern::new).collect()
        }
        Self { everything: false, publish: patterns(publish), subscribe: patterns(subscribe) }
    }

    /// Whether the client may publish to a topic. Allocates nothing.
    pub fn may_publish(&self, topic: &str) -> bool {
        self.everything || self.publish.iter().any(|pattern| pattern.matches(topic))
    }

    /// Whether the client may publish to every topic.
    pub fn may_publish_all(&self) -> bool {
        self.everything || self.publish.iter().any(|pattern| filter_contains(&pattern.filter, "#"))
    }

    /// Whether the client may subscribe: all that the filter matches must lie within one grant. Of a shared subscription
    /// (`$share/<group>/<filter>`) the filter counts.
    pub fn may_subscribe(&self, filter: &str) -> bool {
        let shared = filter.strip_prefix("$share/").map(|rest| rest.split_once('/').map_or("", |(_, filter)| filter));
        let filter = shared.unwrap_or(filter);
        self.everything
            || !filter.is_empty() && self.subscribe.iter().any(|pattern| filter_contains(&pattern.filter, filter))
    }
}
