//! Where a subscription begins, as people type it.

use connectors::quic::client::StartAt;

use crate::time_span;

/// What is wrong.
const HELP: &str =
    "use latest, beginning, cursor:NAME, PARTITION:OFFSET,… or a time (15m, 2h, 7d, 2026-11-21T04:00:00Z)";

/// Where to begin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// With the next new event.
    Latest,
    /// With the oldest event that is kept.
    Beginning,
    /// Where this name committed last.
    Cursor(String),
    /// With these offsets, of these partitions alone.
    Offsets(Vec<(u32, u64)>),
    /// With the first event accepted at this time or later.
    Time(u64),
}

impl std::str::FromStr for From {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "latest" | "end" => return Ok(Self::Latest),
            "beginning" | "earliest" => return Ok(Self::Beginning),
            _ => {}
        }
        if let Some(name) = text.strip_prefix("cursor:") {
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
            return match (1..=128).contains(&name.len()) && name.chars().all(is_name) {
                true => Ok(Self::Cursor(name.to_owned())),
                false => Err("a cursor's name has 1 to 128 letters, digits, dots, dashes and underscores".to_owned()),
            };
        }
        if let Some(offsets) = offsets(text) {
            return offsets.map(Self::Offsets);
        }
        if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(format!("an offset is one of a partition: write for example 0:{text},1:{text}"));
        }
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        match time_span::parse(text, now.as_millis() as i64) {
            Ok(ms) => Ok(Self::Time(u64::try_from(ms).unwrap_or(0))),
            Err(_) => Err(HELP.to_owned()),
        }
    }
}

/// `0:15,3:7`, if it looks like that.
fn offsets(text: &str) -> Option<Result<Vec<(u32, u64)>, String>> {
    let pair = |part: &str| {
        let (partition, offset) = part.split_once(':')?;
        Some((partition.trim().parse().ok()?, offset.trim().parse().ok()?))
    };
    let mut offsets: Vec<(u32, u64)> = text.split(',').map(pair).collect::<Option<_>>()?;
    offsets.sort_unstable();
    Some(match offsets.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(twice) => Err(format!("partition {} is named twice", twice[0].0)),
        None => Ok(offsets),
    })
}

/// Where to begin in partitions for which a cursor has no position.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Otherwise {
    /// With the next new event.
    Latest,
    /// With the oldest event that is kept.
    Beginning,
}

impl From {
    /// As the library takes it.
    pub(super) fn start(&self, otherwise: Otherwise) -> StartAt {
        match self {
            Self::Latest => StartAt::Latest,
            Self::Beginning => StartAt::Earliest,
            Self::Cursor(name) => {
                StartAt::Cursor { subscriber: name.clone(), else_earliest: otherwise == Otherwise::Beginning }
            }
            Self::Offsets(offsets) => StartAt::Offsets(offsets.clone()),
            Self::Time(ms) => StartAt::Time(*ms),
        }
    }
}
