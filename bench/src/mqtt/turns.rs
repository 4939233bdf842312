//! Turns of the brokers, round by round, and the rows that come of them.
//!
//! What always holds: in a round every broker has one turn, the first one changes from round to round, and the round before the first
//! warms up and does not count. A peer that is missing or fails is named with its reason and has no more turns; when ours fails, so
//! does the suite.

use std::error::Error;

use super::brokers::{Ask, Broker, Kind};
use crate::Setting;
use crate::row::{Peer, Row};

/// What one turn measures.
pub struct Metric {
    pub name: &'static str,
    pub unit: &'static str,
    /// The target, where there is one, and whatever else has to be said.
    pub note: String,
}

impl Metric {
    pub fn new(name: &'static str, unit: &'static str, note: impl Into<String>) -> Self {
        Self { name, unit, note: note.into() }
    }
}

/// All that a broker measured: by turn, then by metric.
pub struct Taken {
    kind: Kind,
    version: String,
    turns: Vec<Vec<f64>>,
    failed: Option<String>,
}

/// Brokers that are started when they are first asked for, and stand until this is dropped.
pub struct Brokers<'a> {
    setting: &'a Setting,
    ask: Ask,
    core: usize,
    started: Vec<(Kind, Broker)>,
}

impl<'a> Brokers<'a> {
    pub fn new(setting: &'a Setting, ask: Ask, core: usize) -> Self {
        Self { setting, ask, core, started: Vec::new() }
    }

    pub fn get(&mut self, kind: Kind) -> Result<&Broker, Box<dyn Error>> {
        let at = match self.started.iter().position(|(started, _)| *started == kind) {
            Some(at) => at,
            None => {
                self.started.push((kind, self.start(kind)?));
                self.started.len() - 1
            }
        };
        Ok(&self.started[at].1)
    }

    /// One of its own.
    pub fn start(&self, kind: Kind) -> Result<Broker, Box<dyn Error>> {
        kind.start(self.setting, &self.ask, self.core)
    }
}

/// Lets all take turns. A turn is told whether it counts, and gives the broker's version and what it measured.
pub fn take_turns(
    kinds: &[Kind],
    rounds: usize,
    mut turn: impl FnMut(Kind, bool) -> Result<(String, Vec<f64>), Box<dyn Error>>,
) -> Result<Vec<Taken>, Box<dyn Error>> {
    let new = |&kind: &Kind| Taken { kind, version: String::new(), turns: Vec::new(), failed: None };
    let mut all: Vec<Taken> = kinds.iter().map(new).collect();
    for round in 0..=rounds {
        for at in 0..all.len() {
            let who = (at + round) % all.len();
            let taken = &mut all[who];
            if taken.failed.is_some() {
                continue;
            }
            match turn(taken.kind, round > 0) {
                Ok((version, values)) => {
                    taken.version = version;
                    if round > 0 {
                        taken.turns.push(values);
                    }
                }
                Err(error) if taken.kind == Kind::Ours => return Err(error),
                Err(error) => {
                    taken.failed = Some(error.to_string());
                    taken.turns.clear();
                }
            }
        }
    }
    Ok(all)
}

/// A row for each metric and peer; ours is the first of `all`.
pub fn rows(case: &str, metrics: &[Metric], all: &[Taken], quick: bool) -> Vec<Row> {
    let Some((ours, peers)) = all.split_first() else { return Vec::new() };
    let values = |taken: &Taken, metric: usize| -> Vec<f64> {
        taken.turns.iter().filter_map(|turn| turn.get(metric).copied()).collect()
    };
    let mut rows = Vec::new();
    for (at, metric) in metrics.iter().enumerate() {
        for taken in peers {
            let peer = match &taken.failed {
                None => Peer {
                    name: taken.kind.name().to_owned(),
                    version: taken.version.clone(),
                    values: values(taken, at),
                    cpu_ns: vec![],
                },
                Some(why) => {
                    let name = format!("{} is missing: {why}", taken.kind.name());
                    Peer { name, version: String::new(), values: vec![], cpu_ns: vec![] }
                }
            };
            let mut row = Row::new("mqtt", case, metric.name, &values(ours, at), &[], peer, quick).unit(metric.unit);
            row.note = metric.note.clone();
            // Where nothing is lost there is no ratio.
            row.ratio = row.ratio.filter(|ratio| ratio.is_finite());
            rows.push(row);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_fails_is_named_and_has_no_more_turns() {
        let kinds = [Kind::Ours, Kind::Mosquitto, Kind::Rumqttd];
        let mut order = Vec::new();
        let all = take_turns(&kinds, 2, |kind, counts| {
            order.push(kind);
            match kind {
                Kind::Rumqttd if counts => Err("it is tired".into()),
                Kind::Ours => Ok(("1".into(), vec![100.0, 0.0])),
                _ => Ok(("2".into(), vec![200.0, 0.0])),
            }
        });
        use Kind::{Mosquitto, Ours, Rumqttd};
        assert_eq!(order, [Ours, Mosquitto, Rumqttd, Mosquitto, Rumqttd, Ours, Ours, Mosquitto]);
        let metrics = [Metric::new("CPU per message", "ns", "target: 500"), Metric::new("lost", "%", "")];
        let rows = rows("case", &metrics, &all.unwrap(), true);
        let told: Vec<_> = rows.iter().map(|row| (row.ours, row.peer, row.ratio, row.peer_name.as_str())).collect();
        let why = "rumqttd is missing: it is tired";
        assert_eq!(
            told,
            [
                (100.0, Some(200.0), Some(2.0), "mosquitto"),
                (100.0, None, None, why),
                (0.0, Some(0.0), None, "mosquitto"),
                (0.0, None, None, why),
            ]
        );
        assert_eq!((rows[0].note.as_str(), rows[0].ours_range), ("target: 500", (100.0, 100.0)));
    }

    #[test]
    fn ours_must_not_fail() {
        let error = take_turns(&[Kind::Ours, Kind::Mosquitto], 1, |_, _| Err("no".into())).err().unwrap();
        assert_eq!(error.to_string(), "no");
    }
}
