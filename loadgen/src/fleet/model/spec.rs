//! A profile file as it is written: TOML, with a message for everything that is not understood.

use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FileSpec {
    pub(super) profile: Vec<ProfileSpec>,
}

/// A kind of device.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ProfileSpec {
    pub(super) name: String,
    /// Of all devices, relative to the other profiles' shares.
    #[serde(default = "one")]
    pub(super) share: f64,
    #[serde(default)]
    pub(super) spacing: Spacing,
    /// Different sets of optional fields.
    #[serde(default = "one_shape")]
    pub(super) shapes: u32,
    /// Mean size of an event; a `pad` member makes up for what the fields lack.
    pub(super) bytes: Option<usize>,
    /// Of all events.
    #[serde(default)]
    pub(super) alarm_share: f64,
    #[serde(default = "one_event")]
    pub(super) alarm_lasts: u32,
    #[serde(default)]
    pub(super) field: Vec<FieldSpec>,
}

/// White space between the tokens of an event.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum Spacing {
    #[default]
    Compact,
    Spaced,
    Pretty,
}

/// One member. Which keys a kind takes is checked when the field is compiled.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct FieldSpec {
    pub(super) name: String,
    pub(super) kind: Option<KindSpec>,
    #[serde(default)]
    pub(super) optional: bool,
    pub(super) value: Option<toml::Value>,
    pub(super) values: Option<Vec<toml::Value>>,
    pub(super) weights: Option<Vec<u32>>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) from: Option<f64>,
    pub(super) to: Option<f64>,
    pub(super) decimals: Option<u8>,
    pub(super) wander: Option<f64>,
    pub(super) share: Option<f64>,
    pub(super) lasts: Option<u32>,
    pub(super) per: Option<PerSpec>,
    pub(super) prefix: Option<String>,
    pub(super) of: Option<u32>,
    pub(super) length: Option<[u32; 2]>,
    pub(super) escapes: Option<f64>,
    pub(super) alarm: Option<toml::Value>,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindSpec {
    Constant,
    Walk,
    Uniform,
    Drain,
    Choice,
    Flag,
    Label,
    Text,
    Array,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
pub(super) enum PerSpec {
    Event,
    Device,
}

fn one() -> f64 {
    1.0
}

fn one_shape() -> u32 {
    1
}

fn one_event() -> u32 {
    1
}
