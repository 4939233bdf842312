//! A pace as it is written on the command line: `constant`, `poisson`, `bursts,factor=10,for_s=1,every_s=10` …

use super::{Pace, Rate};

/// A pace that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PaceError {
    /// There is no such pace.
    #[error(
        "there is no pace `{0}`; there are constant, poisson, bursts[,factor=10,for_s=1,every_s=10], diurnal[,low=0.1,period_s=60] and \
         ramp,to=RATE[,over_s=60], each but the first two also with ,poisson"
    )]
    Unknown(String),
    /// A setting that the pace does not have, or no number.
    #[error("`{setting}` is no setting of the pace `{pace}`; it has {known}")]
    Setting {
        /// As written.
        setting: String,
        /// The pace.
        pace: String,
        /// What it has.
        known: String,
    },
    /// A number that makes no sense.
    #[error("{0}")]
    Range(String),
}

impl Pace {
    /// Reads a pace around `rate`, events per second.
    pub fn parse(text: &str, rate: f64) -> Result<Self, PaceError> {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(PaceError::Range(format!(
                "a rate of {rate} events per second cannot be kept; it has to be above 0"
            )));
        }
        let mut words = text.split(',').map(str::trim);
        let name = words.next().unwrap_or_default();
        let mut known: Vec<(&str, f64)> = match name {
            "constant" | "poisson" => vec![],
            "bursts" => vec![("factor", 10.0), ("for_s", 1.0), ("every_s", 10.0)],
            "diurnal" => vec![("low", 0.1), ("period_s", 60.0)],
            "ramp" => vec![("to", 0.0), ("over_s", 60.0)],
            _ => return Err(PaceError::Unknown(name.to_owned())),
        };
        let mut poisson = name == "poisson";
        for word in words {
            if word == "poisson" {
                poisson = true;
                continue;
            }
            let set = word.split_once('=').and_then(|(key, value)| {
                let value: f64 = value.trim().parse().ok().filter(|value: &f64| value.is_finite())?;
                known.iter_mut().find(|(name, _)| *name == key.trim())?.1 = value;
                Some(())
            });
            set.ok_or_else(|| PaceError::Setting {
                setting: word.to_owned(),
                pace: name.to_owned(),
                known: match known.is_empty() {
                    true => "none".to_owned(),
                    false => known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", "),
                },
            })?;
        }
        let get = |name: &str| known.iter().find(|(known, _)| *known == name).map_or(0.0, |(_, value)| *value);
        let check = |holds: bool, why: &str| if holds { Ok(()) } else { Err(PaceError::Range(why.to_owned())) };
        let rate = match name {
            "bursts" => {
                let (factor, for_s, every_s) = (get("factor"), get("for_s"), get("every_s"));
                check(factor >= 1.0, "a burst is at least 1 times the rate: factor")?;
                check(
                    for_s > 0.0 && for_s <= every_s,
                    "a burst lasts longer than 0 s and no longer than every_s: for_s",
                )?;
                Rate::Bursts { base: rate, factor, for_s, every_s }
            }
            "diurnal" => {
                let (low, period_s) = (get("low"), get("period_s"));
                check((0.0..=1.0).contains(&low), "the lowest rate of a day is a share of the mean, 0 to 1: low")?;
                check(period_s > 0.0, "a day is longer than 0 s: period_s")?;
                Rate::Diurnal { mean: rate, low, period_s }
            }
            "ramp" => {
                let (to, over_s) = (get("to"), get("over_s"));
                check(to > 0.0, "a ramp needs the rate at its end: ramp,to=RATE")?;
                check(over_s > 0.0, "a ramp takes longer than 0 s: over_s")?;
                Rate::Ramp { from: rate, to, over_s }
            }
            _ if !poisson => return Ok(Self::Constant(rate)),
            _ => Rate::Constant(rate),
        };
        Ok(Self::Open { rate, poisson })
    }
}
