//! Topic filters of MQTT 5 section 4.7: levels between slashes, `+` for one level whatever it is, `#` at the end for all that
//! follow, and none too. Compiled once, matched without memory.

#[cfg(test)]
mod tests;

use std::ops::Range;

/// Longest topic name or filter in bytes: MQTT counts a string's bytes in 16 bits.
pub const TOPIC_BYTES_MAX: usize = 65_535;

/// A compiled topic filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TopicFilter {
    text: Box<str>,
    /// One or more; `Rest` stands only at the end.
    levels: Box<[Level]>,
}

/// One level of a topic filter.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// Exactly this text, which may be empty.
    Name(Box<str>),
    /// `+`: any one level.
    Any,
    /// `#`: any number of levels, the level above included.
    Rest,
}

/// Why a text is no topic filter; with bytes of it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TopicError {
    /// Nothing is no topic.
    #[error("a topic filter has at least one character")]
    Empty,
    /// Longer than [`TOPIC_BYTES_MAX`].
    #[error("the topic filter has {0} bytes, more than the {TOPIC_BYTES_MAX} of MQTT")]
    TooLong(usize),
    /// It has the character NUL in it.
    #[error("a topic filter must not contain the character NUL")]
    Nul(usize),
    /// `+` shares its level with something.
    #[error("`+` stands for a whole level and must be alone between slashes")]
    PlusNotAlone(usize),
    /// `#` shares its level with something.
    #[error("`#` stands for whole levels and must be alone behind the last slash")]
    HashNotAlone(usize),
    /// Levels follow on `#`.
    #[error("`#` stands for all levels that follow and must be the last one")]
    HashNotLast(usize),
    /// `$share/group/filter`
    #[error("`$share` shares a subscription between the clients of a broker; a route cannot be shared")]
    Shared,
}

impl TopicError {
    /// Where it is wrong.
    pub fn place(&self, text: &str) -> Range<usize> {
        match self {
            Self::Empty | Self::TooLong(_) => 0..text.len(),
            Self::Nul(at) | Self::PlusNotAlone(at) | Self::HashNotAlone(at) | Self::HashNotLast(at) => *at..at + 1,
            Self::Shared => 0..text.match_indices('/').nth(1).map_or(text.len(), |(at, _)| at + 1),
        }
    }

    /// What to write instead.
    pub fn help(&self, text: &str) -> String {
        match self {
            Self::Empty => "write `#` for every topic".to_owned(),
            Self::TooLong(_) => "no topic is longer than that either".to_owned(),
            Self::Nul(_) => "leave it out: no topic has one".to_owned(),
            Self::PlusNotAlone(_) => "for example `sensors/+/temp`; a part of a level cannot be left open".to_owned(),
            Self::HashNotAlone(_) => "for example `sensors/#`, which takes `sensors` too".to_owned(),
            Self::HashNotLast(_) => "for one level in the middle write `+`".to_owned(),
            Self::Shared => {
                let own = text.splitn(3, '/').nth(2).filter(|own| !own.is_empty()).unwrap_or("sensors/#");
                format!("write the topic filter alone: `{own}`")
            }
        }
    }
}

impl TopicFilter {
    /// Compiles `text`.
    pub fn new(text: &str) -> Result<Self, TopicError> {
        if text.is_empty() {
            return Err(TopicError::Empty);
        }
        if text.len() > TOPIC_BYTES_MAX {
            return Err(TopicError::TooLong(text.len()));
        }
        if let Some(at) = text.find('\0') {
            return Err(TopicError::Nul(at));
        }
        if text == "$share" || text.starts_with("$share/") {
            return Err(TopicError::Shared);
        }
        let mut levels = Vec::new();
        let mut start = 0;
        for level in text.split('/') {
            let end = start + level.len();
            levels.push(match level {
                "+" => Level::Any,
                "#" if end < text.len() => return Err(TopicError::HashNotLast(start)),
                "#" => Level::Rest,
                name => match name.find(['+', '#']) {
                    None => Level::Name(name.into()),
                    Some(at) if name[at..].starts_with('+') => return Err(TopicError::PlusNotAlone(start + at)),
                    Some(at) => return Err(TopicError::HashNotAlone(start + at)),
                },
            });
            start = end + 1;
        }
        Ok(Self { text: text.into(), levels: levels.into() })
    }

    /// As written.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its levels, from left to right.
    pub fn levels(&self) -> &[Level] {
        &self.levels
    }

    /// It takes this topic. Topics that start with `$` are a server's own: no wildcard at the start takes them.
    pub fn matches(&self, topic: &str) -> bool {
        if topic.starts_with('$') && !matches!(self.levels[0], Level::Name(_)) {
            return false;
        }
        let mut names = topic.split('/');
        for level in &self.levels {
            match level {
                // Also where there are no more names: `a/#` takes `a`.
                Level::Rest => return true,
                Level::Any if names.next().is_some() => {}
                Level::Name(name) if names.next() == Some(&**name) => {}
                _ => return false,
            }
        }
        names.next().is_none()
    }

    pub(super) fn cost(&self) -> u32 {
        1 + self.levels.len() as u32
    }
}
