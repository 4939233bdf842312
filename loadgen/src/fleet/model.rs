//! What the devices of a fleet are like: compiled from a profile file, and able to make any event of any device at once.
//!
//! What always holds: an event follows from (seed, device, sequence number, time) alone; its first bytes up to the last member are
//! covered by the CRC-32C that this last member, `check`, holds in eight hexadecimal digits; a fleet needs to remember nothing of a
//! device but its next sequence number.

mod compile;
mod field;
mod program;
mod spec;

#[cfg(test)]
mod tests;

use std::sync::{Arc, OnceLock};

use super::DEVICES_MAX;
use super::check::check_of;
use super::out::{Line, Piece};
use super::random::{Draw, Holds, below, mix};
use field::Field;
use program::{Slot, Step};
use spec::{FileSpec, ProfileSpec, Spacing};

pub use field::Value;

const TELEMETRY: &str = include_str!("../../profiles/telemetry.toml");
/// Most profiles, fields of one, and shapes of one: more is a mistake.
const PROFILES_MAX: usize = 256;
const FIELDS_MAX: usize = 1_024;
const SHAPES_MAX: u32 = 4_096;
/// Longest event.
const EVENT_BYTES_MAX: usize = 1 << 20;
/// Times of sixteen digits: 2001 to 2286. JSON allows no leading zeros.
const TS_US: std::ops::RangeInclusive<u64> = 1_000_000_000_000_000..=9_999_999_999_999_999;
/// Members that the fleet fills itself.
const OWN: [(&str, Slot); 3] = [("device_id", Slot::DeviceId), ("ts", Slot::Ts), ("seq", Slot::Seq)];
/// Events whose mean size tells how much is to be padded.
const SAMPLE: u32 = 512;

/// Before a device's number.
const DEVICE: Piece = Piece::short(b"\"dev-");

const PROFILE_SALT: u64 = 0xA5A5_0001;
const SHAPE_SALT: u64 = 0xA5A5_0003;
const ALARM_SALT: u64 = 0xA5A5_0005;

/// A profile file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    /// Not TOML, or a key that does not exist.
    #[error("the profile file is wrong: {0}")]
    Toml(String),
    /// A profile that makes no sense.
    #[error("profile `{profile}` {what}")]
    Profile {
        /// Its name.
        profile: String,
        /// What is wrong.
        what: String,
    },
    /// A field that makes no sense.
    #[error("profile `{profile}`: field `{field}` {what}")]
    Field {
        /// Name of the profile.
        profile: String,
        /// Name of the field.
        field: String,
        /// What is wrong.
        what: String,
    },
}

/// All profiles of a fleet.
#[derive(Debug)]
pub struct Model {
    profiles: Vec<Profile>,
    /// Upper end of each profile's part of 2^32.
    edges: Vec<u64>,
    source: String,
    bytes_max: usize,
}

#[derive(Debug)]
struct Profile {
    name: String,
    fields: Vec<Field>,
    /// Which fields are optional, by index.
    optional: Vec<u16>,
    shapes: Vec<Vec<Step>>,
    alarm_edge: u64,
    alarm: Holds,
    pretty: bool,
    /// Bytes of `"check":` as they are spaced.
    key_bytes: usize,
}

impl Model {
    /// The fleet that is taken when no profile is given.
    pub fn telemetry() -> Arc<Self> {
        static MODEL: OnceLock<Arc<Model>> = OnceLock::new();
        MODEL.get_or_init(|| Arc::new(Self::parse(TELEMETRY).expect("the built-in profile is tested"))).clone()
    }

    /// Text of the built-in profile file: one to start from.
    pub fn telemetry_source() -> &'static str {
        TELEMETRY
    }

    /// Compiles a profile file.
    pub fn parse(text: &str) -> Result<Self, ModelError> {
        let file: FileSpec = toml::from_str(text).map_err(|error| ModelError::Toml(error.to_string()))?;
        if file.profile.is_empty() || file.profile.len() > PROFILES_MAX {
            return Err(ModelError::Toml(format!("it has {} profiles, of 1 to {PROFILES_MAX}", file.profile.len())));
        }
        let total: f64 = file.profile.iter().map(|profile| profile.share.max(0.0)).sum();
        let (mut profiles, mut edges, mut sum) = (Vec::new(), Vec::new(), 0.0);
        for spec in &file.profile {
            if !(spec.share > 0.0 && total.is_finite()) {
                return Err(wrong(spec, "has a `share` that is not above 0"));
            }
            sum += spec.share;
            edges.push((sum / total * 4_294_967_296.0).round() as u64);
            profiles.push(Profile::compile(spec)?);
        }
        let bytes_max = profiles.iter().map(Profile::bytes_max).max().unwrap_or(0);
        Ok(Self { profiles, edges, source: text.to_owned(), bytes_max })
    }

    /// The text it was compiled from.
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Names of the profiles, by the number that [`profile_of`](Self::profile_of) gives.
    pub fn profile_names(&self) -> impl Iterator<Item = &str> {
        self.profiles.iter().map(|profile| profile.name.as_str())
    }

    /// The first profile whose events have line breaks, which a file of lines cannot carry.
    pub fn multiline_profile(&self) -> Option<&str> {
        self.profiles.iter().find(|profile| profile.pretty).map(|profile| profile.name.as_str())
    }

    /// Number of the profile of a device.
    #[inline(always)]
    pub fn profile_of(&self, seed: u64, device: u32) -> usize {
        if self.profiles.len() == 1 {
            return 0;
        }
        let chance = mix(mix(seed, u64::from(device)), PROFILE_SALT) >> 32;
        self.edges.iter().position(|&edge| chance < edge).unwrap_or(self.profiles.len() - 1)
    }

    /// A field's place in each profile; `None` if no profile has it.
    pub fn find(&self, field: &str) -> Option<FieldPlace> {
        let own = OWN.iter().find(|(name, _)| *name == field).map(|(_, slot)| *slot);
        let places: Vec<Option<Slot>> = self
            .profiles
            .iter()
            .map(|profile| {
                let at = profile.fields.iter().position(|own| own.name == field);
                own.or_else(|| at.map(|at| Slot::Field(at as u16)))
            })
            .collect();
        places.iter().any(Option::is_some).then_some(FieldPlace(places))
    }

    /// Names of all fields of all profiles, each once, without those of the fleet itself.
    pub fn field_names(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for field in self.profiles.iter().flat_map(|profile| &profile.fields) {
            if !names.contains(&field.name.as_str()) {
                names.push(&field.name);
            }
        }
        names
    }

    /// What an event says in a field's place; `None` where it has none. `ts` is not known from here.
    pub fn value(&self, seed: u64, device: u32, seq: u32, place: &FieldPlace) -> Option<Value> {
        let profile = self.profile_of(seed, device);
        let number = |value: u32| Value::Number { scaled: i64::from(value), decimals: 0 };
        match place.0[profile]? {
            Slot::DeviceId => Some(Value::Text(super::device_id(device))),
            Slot::Seq => Some(number(seq)),
            Slot::Ts => None,
            Slot::Field(index) => {
                let profile = &self.profiles[profile];
                let draw = profile.draw(seed, device, seq);
                profile.shows(index, draw.device).then(|| profile.fields[usize::from(index)].value(&draw))
            }
        }
    }

    pub(super) fn line(&self) -> Line {
        Line::new(self.bytes_max)
    }

    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Writes one event over the line.
    #[inline(always)]
    pub(super) fn write<'a>(&self, seed: u64, device: u32, seq: u32, ts_us: u64, line: &'a mut Line) -> &'a [u8] {
        debug_assert!(device < DEVICES_MAX, "ids have nine digits");
        let profile = &self.profiles[self.profile_of(seed, device)];
        let draw = profile.draw(seed, device, seq);
        let mut pen = line.pen();
        for step in &profile.shapes[profile.shape(draw.device)] {
            pen = pen.piece(&step.lead);
            pen = match step.slot {
                Some(Slot::Field(index)) => profile.fields[usize::from(index)].write(&draw, pen),
                Some(Slot::DeviceId) => pen.piece(&DEVICE).digits::<9>(u64::from(device)).byte(b'"'),
                Some(Slot::Ts) => pen.digits::<16>(ts_us.clamp(*TS_US.start(), *TS_US.end())),
                Some(Slot::Seq) => pen.number(i64::from(seq), 0),
                None => pen,
            };
        }
        let check = check_of(pen.before_last(profile.key_bytes));
        pen.byte(b'"').text(&check).text(b"\"}").written()
    }
}

/// Where a field is in each profile.
#[derive(Clone, Debug)]
pub struct FieldPlace(Vec<Option<Slot>>);

fn wrong(profile: &ProfileSpec, what: impl Into<String>) -> ModelError {
    ModelError::Profile { profile: profile.name.clone(), what: what.into() }
}

impl Profile {
    fn compile(spec: &ProfileSpec) -> Result<Self, ModelError> {
        if spec.field.len() > FIELDS_MAX {
            return Err(wrong(spec, format!("has more than {FIELDS_MAX} fields")));
        }
        if !(0.0..=1.0).contains(&spec.alarm_share) {
            return Err(wrong(spec, "has an `alarm_share` outside 0 to 1"));
        }
        let (mut fields, mut optional) = (Vec::new(), Vec::new());
        let mut members: Vec<(&str, Slot)> = Vec::new();
        for (index, field) in spec.field.iter().enumerate() {
            let wrong =
                |what: String| ModelError::Field { profile: spec.name.clone(), field: field.name.clone(), what };
            if field.name.split('.').any(str::is_empty) || field.name == "check" || field.name == "pad" {
                return Err(wrong("cannot be called so: no empty part, not `check` and not `pad`".into()));
            }
            match OWN.iter().find(|(name, _)| *name == field.name) {
                Some(_) if field.kind.is_some() || field.optional => {
                    return Err(wrong("is filled by the fleet: it has a name and nothing else".into()));
                }
                Some(own) => members.push(*own),
                None => {
                    let slot = fields.len() as u16;
                    if field.optional {
                        optional.push(slot);
                    }
                    fields.push(compile::field(field, index).map_err(wrong)?);
                    members.push((&field.name, Slot::Field(slot)));
                }
            }
        }
        for (at, own) in OWN.into_iter().enumerate() {
            if !members.contains(&own) {
                members.insert(at.min(members.len()), own);
            }
        }
        let lasts = spec.alarm_lasts.max(1).next_power_of_two().trailing_zeros();
        let mut profile = Self {
            name: spec.name.clone(),
            fields,
            optional,
            shapes: Vec::new(),
            alarm_edge: (spec.alarm_share * 4_294_967_296.0) as u64,
            alarm: Holds::Block(lasts),
            pretty: spec.spacing == Spacing::Pretty,
            key_bytes: r#""check":"#.len() + usize::from(spec.spacing != Spacing::Compact),
        };
        profile.shapes = profile.lay_out(spec, &members, "")?;
        if let Some(bytes) = spec.bytes {
            let mean = profile.mean_bytes();
            let extra = bytes.min(EVENT_BYTES_MAX).saturating_sub(mean + r#","pad":"""#.len());
            if extra == 0 {
                return Err(wrong(spec, format!("is to have {bytes} bytes, but its fields alone take {mean}")));
            }
            profile.shapes = profile.lay_out(spec, &members, &"x".repeat(extra))?;
        }
        if profile.bytes_max() > EVENT_BYTES_MAX {
            return Err(wrong(spec, format!("could make an event of more than {EVENT_BYTES_MAX} bytes")));
        }
        Ok(profile)
    }

    fn lay_out(&self, spec: &ProfileSpec, members: &[(&str, Slot)], pad: &str) -> Result<Vec<Vec<Step>>, ModelError> {
        let possible = 1u64 << self.optional.len().min(32);
        if spec.shapes == 0 || spec.shapes > SHAPES_MAX || u64::from(spec.shapes) > possible {
            return Err(wrong(
                spec,
                format!(
                    "has {} shapes: with {} optional fields it can have 1 to {}",
                    spec.shapes,
                    self.optional.len(),
                    possible.min(u64::from(SHAPES_MAX))
                ),
            ));
        }
        let shape = |shape: u32| {
            let there = |slot: &Slot| match slot {
                Slot::Field(index) => self.in_shape(*index, shape as usize),
                _ => true,
            };
            let members: Vec<(&str, Slot)> = members.iter().filter(|(_, slot)| there(slot)).copied().collect();
            program::steps(&members, pad, spec.spacing).map_err(|what| wrong(spec, what))
        };
        (0..spec.shapes).map(shape).collect()
    }

    /// Shape `n` is without the optional fields whose bits are set in `n`.
    fn in_shape(&self, field: u16, shape: usize) -> bool {
        self.optional.iter().position(|&optional| optional == field).is_none_or(|bit| shape >> bit.min(31) & 1 == 0)
    }

    #[inline(always)]
    fn shape(&self, device_word: u64) -> usize {
        match self.shapes.len() {
            1 => 0,
            shapes => below(mix(device_word, SHAPE_SALT), shapes as u64) as usize,
        }
    }

    fn shows(&self, field: u16, device_word: u64) -> bool {
        self.in_shape(field, self.shape(device_word))
    }

    #[inline(always)]
    fn draw(&self, seed: u64, device: u32, seq: u32) -> Draw {
        let device = mix(seed, u64::from(device));
        let mut draw = Draw { device, event: mix(device, u64::from(seq)), seq, alarm: false };
        draw.alarm = self.alarm_edge > 0 && draw.word(ALARM_SALT, self.alarm) >> 32 < self.alarm_edge;
        draw
    }

    fn bytes_max(&self) -> usize {
        self.shapes.iter().map(|steps| program::bytes_max(steps, &self.fields)).max().unwrap_or(0)
    }

    /// Over all shapes, of a fleet that has no other profile.
    fn mean_bytes(&self) -> usize {
        let mut line = Line::new(self.bytes_max());
        let mut total = 0;
        for device in 0..SAMPLE {
            let draw = self.draw(0, device, device);
            let mut pen = line.pen();
            for step in &self.shapes[self.shape(draw.device)] {
                pen = pen.piece(&step.lead);
                pen = match step.slot {
                    Some(Slot::Field(index)) => self.fields[usize::from(index)].write(&draw, pen),
                    Some(Slot::DeviceId) => pen.text(br#""dev-000000000""#),
                    Some(Slot::Ts) => pen.digits::<16>(*TS_US.start()),
                    Some(Slot::Seq) => pen.number(1_000, 0),
                    None => pen,
                };
            }
            total += pen.written().len() + r#""00000000"}"#.len();
        }
        total / SAMPLE as usize
    }
}
