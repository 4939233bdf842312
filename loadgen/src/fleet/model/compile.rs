//! From what a profile file says of a field to the field, with an error for every key that its kind has no use for.

use super::field::{Alarm, Constant, Drain, Field, Kind, Value, Walk};
use super::spec::{FieldSpec, KindSpec, PerSpec};
use crate::fleet::out::Piece;
use crate::fleet::random::{Holds, mix};

/// Longest text and array: what one event of a device can reasonably hold.
const LENGTH_MAX: u32 = 65_536;
/// Most decimals of a number.
const DECIMALS_MAX: u8 = 9;
/// Numbers beyond this cannot be told exactly by a double.
const NUMBER_MAX: f64 = 9e15;
/// A range of numbers is drawn from 32 bits.
const STEPS_MAX: f64 = 4_294_967_296.0;

/// `Err` says what is wrong with the field.
pub(super) fn field(spec: &FieldSpec, index: usize) -> Result<Field, String> {
    let kind = spec.kind.ok_or(
        "needs a `kind`: constant, walk, uniform, drain, choice, flag, label, text or array (only device_id, ts and seq have none)",
    )?;
    for (key, given, kinds) in [
        ("value", spec.value.is_some(), &[KindSpec::Constant][..]),
        ("values", spec.values.is_some(), &[KindSpec::Choice]),
        ("weights", spec.weights.is_some(), &[KindSpec::Choice]),
        ("min", spec.min.is_some(), &[KindSpec::Walk, KindSpec::Uniform, KindSpec::Array]),
        ("max", spec.max.is_some(), &[KindSpec::Walk, KindSpec::Uniform, KindSpec::Array]),
        ("decimals", spec.decimals.is_some(), &[KindSpec::Walk, KindSpec::Uniform, KindSpec::Array, KindSpec::Drain]),
        ("from", spec.from.is_some(), &[KindSpec::Drain]),
        ("to", spec.to.is_some(), &[KindSpec::Drain]),
        ("wander", spec.wander.is_some(), &[KindSpec::Walk]),
        ("share", spec.share.is_some(), &[KindSpec::Flag]),
        ("prefix", spec.prefix.is_some(), &[KindSpec::Label]),
        ("of", spec.of.is_some(), &[KindSpec::Label]),
        ("length", spec.length.is_some(), &[KindSpec::Text, KindSpec::Array]),
        ("escapes", spec.escapes.is_some(), &[KindSpec::Text]),
        (
            "per",
            spec.per.is_some(),
            &[KindSpec::Uniform, KindSpec::Choice, KindSpec::Flag, KindSpec::Label, KindSpec::Text],
        ),
        ("lasts", spec.lasts.is_some(), &[KindSpec::Walk, KindSpec::Drain, KindSpec::Choice, KindSpec::Flag]),
        (
            "alarm",
            spec.alarm.is_some(),
            &[KindSpec::Constant, KindSpec::Walk, KindSpec::Uniform, KindSpec::Choice, KindSpec::Flag],
        ),
    ] {
        if given && !kinds.contains(&kind) {
            return Err(format!("has `{key}`, which its kind does not use; kinds that do: {kinds:?}").to_lowercase());
        }
    }
    let decimals = spec.decimals.unwrap_or(0);
    if decimals > DECIMALS_MAX {
        return Err(format!("has {decimals} decimals; {DECIMALS_MAX} is the most"));
    }
    let scale = 10f64.powi(i32::from(decimals));
    let holds = match (spec.per, spec.lasts) {
        (Some(PerSpec::Device), None) => Holds::Device,
        (Some(PerSpec::Device), Some(_)) => return Err("is per device and so has no `lasts`".into()),
        (_, Some(0)) => return Err("lasts 0 events; 1 is the least".into()),
        (_, Some(lasts)) if lasts > 1 => Holds::Block(lasts.next_power_of_two().trailing_zeros()),
        _ if kind == KindSpec::Label && spec.per.is_none() => Holds::Device,
        _ => Holds::Event,
    };
    let kind = match kind {
        KindSpec::Constant => Kind::Constant(constant(spec.value.as_ref().ok_or("needs a `value`")?)?),
        KindSpec::Walk => {
            let (low, high) = bounds(spec, scale)?;
            let wander = spec.wander.unwrap_or(0.15);
            if !(0.0..=0.5).contains(&wander) {
                return Err("has a `wander` outside 0 to 0.5: it swings that share of the range to both sides".into());
            }
            let swing = ((high - low) as f64 * wander) as i64;
            let shift = spec.lasts.unwrap_or(32).next_power_of_two().trailing_zeros().min(20);
            Kind::Walk(Walk {
                mean_low: low + swing,
                mean_span: (high - low - 2 * swing + 1).max(1) as u64,
                swing,
                shift,
                decimals,
            })
        }
        KindSpec::Uniform => {
            let (low, high) = bounds(spec, scale)?;
            Kind::Uniform { low, span: (high - low + 1) as u64, decimals }
        }
        KindSpec::Drain => {
            let end = |value: Option<f64>, key: &str| {
                let value = value.ok_or(format!("needs `{key}`"))? * scale;
                if value.abs() > STEPS_MAX { Err(format!("has a `{key}` that is too large")) } else { Ok(value as i64) }
            };
            let lasts = spec.lasts.unwrap_or(10_000);
            Kind::Drain(Drain { from: end(spec.from, "from")?, to: end(spec.to, "to")?, lasts, decimals })
        }
        KindSpec::Choice => choice(spec)?,
        KindSpec::Flag => Kind::Flag { edge: (share(spec.share.unwrap_or(0.5), "share")? * STEPS_MAX) as u64 },
        KindSpec::Label => {
            let of = spec.of.ok_or("needs `of`: how many labels there are")?.max(1);
            let text = spec.prefix.clone().unwrap_or_default();
            let digits = (of - 1).checked_ilog10().map_or(1, |log| log as usize + 1);
            let json = serde_json::Value::from(text.as_str()).to_string();
            Kind::Label { prefix: Piece::split(&json.as_bytes()[..json.len() - 1]), text, of, digits }
        }
        KindSpec::Text => {
            let escapes = (share(spec.escapes.unwrap_or(0.0), "escapes")? * STEPS_MAX) as u64;
            Kind::Text { length: length(spec)?, escapes }
        }
        KindSpec::Array => {
            let (low, high) = bounds(spec, scale)?;
            Kind::Array { length: length(spec)?, low, span: (high - low + 1) as u64, decimals }
        }
    };
    let alarm = match (&spec.alarm, &kind) {
        (None, _) => None,
        (Some(value), Kind::Walk(_) | Kind::Uniform { .. }) => Some(number_alarm(value, scale)?),
        (Some(value), _) => Some(Alarm::Constant(constant(value)?)),
    };
    Ok(Field { name: spec.name.clone(), kind, holds, alarm, salt: mix(0x5EED, index as u64) | 1 })
}

fn choice(spec: &FieldSpec) -> Result<Kind, String> {
    let values = spec.values.as_deref().filter(|values| !values.is_empty()).ok_or("needs `values`")?;
    let weights = spec.weights.clone().unwrap_or_else(|| vec![1; values.len()]);
    if weights.len() != values.len() {
        return Err(format!("has {} values and {} weights", values.len(), weights.len()));
    }
    let total: u64 = weights.iter().map(|&weight| u64::from(weight)).sum();
    if total == 0 {
        return Err("has weights that are all 0".into());
    }
    let mut sum = 0;
    let edges = weights.iter().map(|&weight| {
        sum += u64::from(weight);
        (sum << 32) / total
    });
    Ok(Kind::Choice { edges: edges.collect(), values: values.iter().map(constant).collect::<Result<_, _>>()? })
}

fn number_alarm(value: &toml::Value, scale: f64) -> Result<Alarm, String> {
    let wrong = "has an `alarm` that is neither a number nor a range [low, high]";
    let number = |value: &toml::Value| {
        let value = value.as_float().or_else(|| value.as_integer().map(|value| value as f64)).ok_or(wrong)?;
        Ok::<_, String>((value * scale).round())
    };
    let (low, high) = match value.as_array().map(Vec::as_slice) {
        Some([low, high]) => (number(low)?, number(high)?),
        _ => (number(value)?, number(value)?),
    };
    if low.abs().max(high.abs()) > NUMBER_MAX || low > high || high - low >= STEPS_MAX {
        return Err("has an `alarm` whose range is reversed or too wide".into());
    }
    Ok(Alarm::Number { low: low as i64, span: (high - low) as u64 + 1 })
}

fn bounds(spec: &FieldSpec, scale: f64) -> Result<(i64, i64), String> {
    let (low, high) = (spec.min.ok_or("needs `min`")? * scale, spec.max.ok_or("needs `max`")? * scale);
    if low > high {
        return Err("has a `min` above its `max`".into());
    }
    if low.abs().max(high.abs()) > NUMBER_MAX || high - low >= STEPS_MAX - 1.0 || low.is_nan() || high.is_nan() {
        return Err("has a range of more than 2^32 steps; take fewer decimals".into());
    }
    Ok((low.round() as i64, high.round() as i64))
}

fn share(value: f64, key: &str) -> Result<f64, String> {
    if (0.0..=1.0).contains(&value) { Ok(value) } else { Err(format!("has a `{key}` outside 0 to 1")) }
}

fn length(spec: &FieldSpec) -> Result<[u32; 2], String> {
    let length = spec.length.ok_or("needs a `length = [least, most]`")?;
    if length[0] > length[1] || length[1] > LENGTH_MAX {
        return Err(format!("has a `length` that is reversed or above {LENGTH_MAX}"));
    }
    Ok(length)
}

/// A TOML value as JSON.
fn constant(value: &toml::Value) -> Result<Constant, String> {
    let json: serde_json::Value =
        serde_json::to_value(value).map_err(|error| format!("has a value that JSON cannot say: {error}"))?;
    let text = json.to_string();
    let value = match &json {
        serde_json::Value::String(text) => Value::Text(text.clone()),
        serde_json::Value::Bool(value) => Value::Bool(*value),
        serde_json::Value::Number(_) => number(&text).unwrap_or(Value::Other),
        _ => Value::Other,
    };
    Ok(Constant { bytes: text.len(), json: Piece::split(text.as_bytes()), value })
}

/// Digits with at most [`DECIMALS_MAX`] behind the point.
fn number(text: &str) -> Option<Value> {
    let (whole, rest) = text.split_once('.').unwrap_or((text, ""));
    let decimals = u8::try_from(rest.len()).ok().filter(|&decimals| decimals <= DECIMALS_MAX)?;
    Some(Value::Number { scaled: format!("{whole}{rest}").parse().ok()?, decimals })
}
