//! Any events through any declared columns, held against an oracle that reads the rules off the documentation: it knows numbers as
//! texts, texts of times by another library, and walks each event once per column.

use std::collections::BTreeMap;
use std::fmt::Write;

use engine::event::{Event, put_property};
use engine::parse::Parser;
use proptest::prelude::*;

use super::*;
use crate::parquet::{Body, ColumnConfig, ColumnType, Nested, OnMismatch, ParquetConfig, Schema, Table, Unit};

/// JSON with its numbers as they are written.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum J {
    Null,
    Bool(bool),
    Number(String),
    Text(String),
    Array(Vec<J>),
    Object(Vec<(String, J)>),
}

impl J {
    fn write(&self, out: &mut String, space: &str) {
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(truth) => write!(out, "{truth}").expect("memory"),
            Self::Number(text) => out.push_str(text),
            Self::Text(text) => out.push_str(&serde_json::to_string(text).expect("JSON")),
            Self::Array(elements) => {
                out.push('[');
                for (at, element) in elements.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    out.push_str(space);
                    element.write(out, space);
                }
                out.push(']');
            }
            Self::Object(members) => {
                out.push('{');
                for (at, (name, member)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { "," } else { "" });
                    write!(out, "{}{space}:{space}", serde_json::to_string(name).expect("JSON")).expect("memory");
                    member.write(out, space);
                }
                out.push('}');
            }
        }
    }

    pub(super) fn text(&self, space: &str) -> String {
        let mut out = String::new();
        self.write(&mut out, space);
        out
    }
}

pub(super) fn number() -> impl Strategy<Value = String> {
    prop_oneof![
        (-200i64..200).prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<i32>().prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        ((1i64 << 53) - 2..(1i64 << 53) + 3).prop_map(|n| n.to_string()),
        ((1i64 << 24) - 2..(1i64 << 24) + 3).prop_map(|n| n.to_string()),
        (1_700_000_000_000i64..1_800_000_000_000).prop_map(|n| n.to_string()),
        "-?[1-9][0-9]{0,12}\\.[0-9]{1,22}",
        "[0-9]\\.[0-9]{1,3}0{0,4}(e[+-]?[0-9]{1,2})?",
        "[1-9][0-9]{18,30}",
    ]
}

pub(super) fn text() -> impl Strategy<Value = String> {
    let time =
        (-2_000_000_000i64..4_000_000_000, 0i32..1000, prop_oneof![Just(1), Just(1000), Just(1_000_000)], -12i8..12);
    prop_oneof![
        "[a-zé\"\\\\/ ]{0,6}",
        number(),
        Just("aGVsbG8=".to_owned()),
        Just("aGVsbG8".to_owned()),
        Just("true".to_owned()),
        Just("2026-02-29".to_owned()),
        Just("2024-02-29".to_owned()),
        (-20_000i32..40_000).prop_map(day_text),
        time.prop_map(|(seconds, part, unit, hours)| {
            let instant = jiff::Timestamp::new(seconds, part * unit).expect("in range");
            if hours == 0 {
                instant.to_string()
            } else {
                instant.display_with_offset(jiff::tz::offset(hours)).to_string()
            }
        }),
    ]
}

fn day_text(day: i32) -> String {
    jiff::Timestamp::from_second(i64::from(day) * 86_400).expect("in range").to_string()[..10].to_owned()
}

fn scalar() -> impl Strategy<Value = J> {
    prop_oneof![
        Just(J::Null),
        any::<bool>().prop_map(J::Bool),
        number().prop_map(J::Number),
        number().prop_map(J::Number),
        text().prop_map(J::Text),
        text().prop_map(J::Text),
    ]
}

pub(super) fn json() -> impl Strategy<Value = J> {
    scalar().prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(scalar(), 0..4).prop_map(J::Array),
            prop::collection::vec(inner.clone(), 0..3).prop_map(J::Array),
            object(inner).prop_map(J::Object),
        ]
    })
}

/// Now and then a member comes twice.
pub(super) fn object(value: impl Strategy<Value = J>) -> impl Strategy<Value = Vec<(String, J)>> {
    prop::collection::vec(("[a-e]", value), 0..6)
}

fn unit() -> impl Strategy<Value = Unit> {
    prop::sample::select(Unit::ALL.to_vec())
}

fn single_type() -> impl Strategy<Value = ColumnType> {
    use ColumnType::*;
    prop_oneof![
        3 => prop::sample::select(vec![Bool, Int32, Int64, Uint64, Float32, Float64, String, Binary, Date]),
        1 => unit().prop_map(Timestamp),
        1 => (1u8..39).prop_flat_map(|precision| (Just(precision), 0..=precision)).prop_map(|(p, s)| Decimal(p, s)),
    ]
}

fn column() -> impl Strategy<Value = ColumnConfig> {
    let r#type = prop_oneof![
        5 => single_type(),
        1 => single_type().prop_map(|item| ColumnType::List(Box::new(item))),
        1 => prop_oneof![Just(ColumnType::Json), Just(ColumnType::List(Box::new(ColumnType::Json)))],
    ];
    let place = prop_oneof![
        6 => "[a-e](\\.[a-e]){0,2}".prop_map(|path| (path, None)),
        1 => "[f-h]".prop_map(|name| (name, Some("site".to_owned()))),
    ];
    let rules = (prop::option::weighted(0.2, Just(OnMismatch::DeadLetter)), prop::bool::weighted(0.9));
    (place, r#type, prop::option::of(unit()), rules, prop::option::weighted(0.3, scalar())).prop_map(
        |((name, attribute), r#type, epoch, (on_mismatch, nullable), default)| ColumnConfig {
            attribute,
            epoch: epoch.filter(|_| matches!(r#type.item(), ColumnType::Timestamp(_))),
            on_mismatch,
            nullable,
            default: default.map(|default| serde_json::from_str(&default.text("")).expect("JSON")),
            ..ColumnConfig::new(name, r#type)
        },
    )
}

/// Columns without a problem; those that have one are repaired or left out.
pub(super) fn columns(nested: Nested) -> impl Strategy<Value = Vec<ColumnConfig>> {
    prop::collection::vec(column(), 0..7).prop_map(move |all| {
        let mut good: Vec<ColumnConfig> = Vec::new();
        for mut column in all {
            for repair in 0..3 {
                let mut config = ParquetConfig::new("lake");
                config.nested = nested;
                config.columns = Some(good.iter().cloned().chain([column.clone()]).collect());
                if config.problems().is_empty() {
                    good.push(column);
                    break;
                }
                match repair {
                    0 => column.default = None,
                    1 => column.nullable = true,
                    _ => {}
                }
            }
        }
        good
    })
}

/// What a column holds for a value, by the table in the documentation.
fn fits(column: &ColumnConfig, r#type: &ColumnType, value: &J) -> Option<Json> {
    let is_whole = |text: &str| !text.contains(['.', 'e']);
    let small = |text: &str, bits: u32| text.parse::<i128>().ok().filter(|n| n.unsigned_abs() <= 1 << bits);
    match (r#type, value) {
        (ColumnType::Bool, J::Bool(truth)) => Some((*truth).into()),
        (ColumnType::Int32, J::Number(text)) => text.parse::<i32>().ok().map(Json::from),
        (ColumnType::Int64, J::Number(text)) => text.parse::<i64>().ok().map(Json::from),
        (ColumnType::Uint64, J::Number(text)) => text.parse::<u64>().ok().map(Json::from),
        (ColumnType::Float64, J::Number(text)) if is_whole(text) => small(text, 53).map(|n| Json::from(n as f64)),
        (ColumnType::Float64, J::Number(text)) => text.parse::<f64>().ok().map(Json::from),
        (ColumnType::Float32, J::Number(text)) if is_whole(text) => small(text, 24).map(|n| Json::from(n as f32)),
        (ColumnType::Float32, J::Number(text)) => {
            text.parse::<f64>().ok().map(|n| n as f32).filter(|n| n.is_finite()).map(Json::from)
        }
        (ColumnType::String, J::Text(text)) => Some(text.clone().into()),
        (ColumnType::Binary, J::Text(text)) => (text == "aGVsbG8=" || text.is_empty())
            .then(|| if text.is_empty() { "" } else { "hello" }.into())
            .or_else(|| other_base64(text)),
        (ColumnType::Date, J::Text(text)) => {
            let day: jiff::civil::Date = text.parse().ok().filter(|_| text.len() == 10)?;
            Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_second().div_euclid(86_400).into())
        }
        (ColumnType::Decimal(precision, scale), J::Number(text) | J::Text(text)) => decimal(text, *scale, *precision),
        (ColumnType::Timestamp(unit), J::Text(text)) => {
            let instant: jiff::Timestamp = text.parse().ok().filter(|_| text.contains('T'))?;
            instant_of(instant.as_nanosecond(), *unit)
        }
        (ColumnType::Timestamp(unit), J::Number(text)) => {
            let epoch = column.epoch.unwrap_or(*unit);
            let nanoseconds = decimal_digits(text, i64::from(9 - epoch.digits()))?;
            instant_of(nanoseconds, *unit)
        }
        (ColumnType::Json, J::Null) => None,
        (ColumnType::Json, value) => Some(value.text("").into()),
        (ColumnType::List(item), J::Array(elements)) => elements
            .iter()
            .map(|element| if *element == J::Null { Some(Json::Null) } else { fits(column, item, element) })
            .collect(),
        _ => None,
    }
}

/// Texts of four letters that happen to be Base64.
fn other_base64(text: &str) -> Option<Json> {
    use base64::Engine as _;
    let bytes = base64::engine::general_purpose::STANDARD.decode(text).ok()?;
    Some(String::from_utf8_lossy(&bytes).into())
}

/// Whole units, seconds as milliseconds.
fn instant_of(nanoseconds: i128, unit: Unit) -> Option<Json> {
    let year_9999: jiff::Timestamp = "9999-12-30T22:00:00Z".parse().expect("a time");
    let year_0: jiff::Timestamp = "0000-01-01T00:00:00Z".parse().expect("a time");
    if nanoseconds < year_0.as_nanosecond() || nanoseconds > year_9999.as_nanosecond() {
        return None;
    }
    let (whole, stored) = match unit {
        Unit::S => (1_000_000_000, 1_000_000),
        Unit::Ms => (1_000_000, 1_000_000),
        Unit::Us => (1_000, 1_000),
        Unit::Ns => (1, 1),
    };
    (nanoseconds % whole == 0).then(|| i64::try_from(nanoseconds / stored).ok())?.map(Json::from)
}

/// A number times a power of ten, by moving the point in its text.
fn decimal_digits(text: &str, places: i64) -> Option<i128> {
    let (number, power) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (negative, number) = number.strip_prefix('-').map_or((false, number), |number| (true, number));
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let places = places + power.parse::<i64>().ok()?;
    let (mut digits, point) = (format!("{whole}{fraction}"), whole.len() as i64 + places);
    while (digits.len() as i64) < point {
        digits.push('0');
    }
    let (before, behind) = if point < 0 { ("", digits.as_str()) } else { digits.split_at(point as usize) };
    if behind.bytes().any(|digit| digit != b'0') {
        return None;
    }
    let before = before.trim_start_matches('0');
    let number: i128 = if before.is_empty() { 0 } else { before.parse().ok()? };
    Some(if negative { -number } else { number })
}

fn decimal(text: &str, scale: u8, precision: u8) -> Option<Json> {
    let is_number = serde_json::from_str::<serde_json::Number>(text).is_ok()
        || text.len() > 15 && text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    let units = decimal_digits(text, i64::from(scale)).filter(|_| is_number)?;
    if units.unsigned_abs() >= 10u128.pow(u32::from(precision)) {
        return None;
    }
    let digits = format!("{:0>width$}", units.unsigned_abs(), width = usize::from(scale) + 1);
    let (whole, fraction) = digits.split_at(digits.len() - usize::from(scale));
    let (sign, dot) = (if units < 0 { "-" } else { "" }, if scale > 0 { "." } else { "" });
    Some(format!("{sign}{whole}{dot}{fraction}").into())
}

/// An attribute is a text: where something else is wanted, its text is JSON.
fn fits_attribute(column: &ColumnConfig, text: &str) -> Option<Json> {
    let value = match column.r#type {
        ColumnType::Binary => return Some(text.into()),
        ColumnType::String | ColumnType::Date => J::Text(text.to_owned()),
        ColumnType::Bool => J::Bool(text.parse().ok()?),
        _ if serde_json::from_str::<serde_json::Number>(text).is_ok() => J::Number(text.to_owned()),
        _ => J::Text(text.to_owned()),
    };
    fits(column, &column.r#type, &value)
}

#[derive(Default)]
struct Expected {
    row: BTreeMap<String, Json>,
    rest: Vec<(String, J)>,
    errors: Vec<String>,
    is_refused: bool,
}

struct Oracle<'c> {
    columns: &'c [ColumnConfig],
    dedupes: bool,
    out: Expected,
}

impl Oracle<'_> {
    fn has_inside(&self, path: &str) -> bool {
        self.columns.iter().any(|column| column.attribute.is_none() && column.path().starts_with(&format!("{path}.")))
    }

    fn at(&self, path: &str) -> Option<&ColumnConfig> {
        self.columns.iter().find(|column| column.attribute.is_none() && column.path() == path)
    }

    /// Whether a member with a column at or below it comes twice somewhere.
    fn repeats(&self, members: &[(String, J)], above: &str) -> bool {
        members.iter().enumerate().any(|(at, (name, value))| {
            let path = format!("{above}{name}");
            let is_known = self.at(&path).is_some() || self.has_inside(&path);
            let twice = is_known && members[..at].iter().any(|(other, _)| other == name);
            twice || matches!(value, J::Object(inside) if self.has_inside(&path) && self.repeats(inside, &format!("{path}.")))
        })
    }

    fn object(&mut self, members: &[(String, J)], above: &str, is_held: bool) {
        for (at, (name, value)) in members.iter().enumerate() {
            if self.dedupes && members[at + 1..].iter().any(|(other, _)| other == name) {
                continue;
            }
            let path = format!("{above}{name}");
            let column = self.at(&path).cloned();
            if *value == J::Null && column.is_some() {
                continue;
            }
            let fitting = column.as_ref().and_then(|column| fits(column, &column.r#type, value));
            let is_taken = fitting.is_some();
            if let (Some(column), Some(fitting)) = (&column, fitting) {
                self.out.row.insert(column.name.clone(), fitting);
            }
            match value {
                J::Object(inside) if !inside.is_empty() && self.has_inside(&path) => {
                    self.object(inside, &format!("{path}."), is_held || is_taken);
                }
                _ if is_taken => {}
                _ => {
                    if let Some(column) = column {
                        self.misfit(&column);
                    }
                    if !is_held {
                        self.out.rest.push((path, value.clone()));
                    }
                }
            }
        }
    }

    fn misfit(&mut self, column: &ColumnConfig) {
        self.out.is_refused |= column.on_mismatch == Some(OnMismatch::DeadLetter);
        self.out.errors.push(column.name.clone());
        if column.nullable {
            self.out.row.insert(column.name.clone(), Json::Null);
        }
    }

    fn row(mut self, event: &J, site: Option<&str>) -> Expected {
        if let J::Object(members) = event {
            self.dedupes = self.repeats(members, "");
            self.object(members, "", false);
        }
        for column in self.columns.iter().filter(|column| column.attribute.is_some()) {
            match site.map(|site| fits_attribute(column, site)) {
                Some(Some(value)) => drop(self.out.row.insert(column.name.clone(), value)),
                Some(None) => self.misfit(column),
                None => {}
            }
        }
        for column in self.columns {
            if self.out.row.contains_key(&column.name) {
                continue;
            }
            match &column.default {
                Some(default) => {
                    let default = fits(column, &column.r#type, &from_json(default)).expect("checked");
                    self.out.row.insert(column.name.clone(), default);
                }
                None => self.out.is_refused |= !column.nullable,
            }
        }
        self.out
    }
}

fn from_json(json: &Json) -> J {
    match json {
        Json::Null => J::Null,
        Json::Bool(truth) => J::Bool(*truth),
        Json::Number(number) => J::Number(number.to_string()),
        Json::String(text) => J::Text(text.clone()),
        Json::Array(elements) => J::Array(elements.iter().map(from_json).collect()),
        Json::Object(members) => {
            J::Object(members.iter().map(|(name, member)| (name.clone(), from_json(member))).collect())
        }
    }
}

/// Fields of structs under their names with dots.
fn unnest(name: &str, value: Json, out: &mut Row) {
    match value {
        Json::Object(members) => {
            members.into_iter().for_each(|(inner, value)| unnest(&format!("{name}.{inner}"), value, out));
        }
        value => drop(out.insert(name.to_owned(), value)),
    }
}

/// Columns, and events with a property `site` or without.
type Case = (Nested, Vec<ColumnConfig>, Vec<(J, Option<String>)>);

fn cases() -> impl Strategy<Value = Case> {
    prop_oneof![Just(Nested::Flatten), Just(Nested::Struct)].prop_flat_map(|nested| {
        let event = prop_oneof![9 => object(json()).prop_map(J::Object), 1 => json()];
        let events = prop::collection::vec((event, prop::option::of(text())), 1..8);
        (Just(nested), columns(nested), events)
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn a_table_says_what_the_oracle_says((nested, columns, events) in cases(), space in "[ \n\t]{0,2}") {
        let schema = Schema::configured(&columns, nested, OnMismatch::Null);
        let mut table = Table::new(&schema, false);
        let mut parser = Parser::default();
        let mut expected = Vec::new();
        for (event, site) in &events {
            let text = event.text(&space);
            let mut headers = HeaderWriter::default();
            if let Some(site) = site {
                put_property(&mut headers, "site", Some(site.as_bytes()));
            }
            let delivery = delivery_of(0, 0, &[(b"k", text.as_bytes(), headers)], &[]);
            let document = parser.parse(text.as_bytes()).expect("JSON");
            let body = Body { root: document.root(), text: text.as_bytes() };
            let pushed = table.push(&Event::new(&delivery.batch, 0), &[], Some(body));
            let oracle = Oracle { columns: &columns, dedupes: false, out: Expected::default() }.row(event, site.as_deref());
            prop_assert_eq!(pushed.is_err(), oracle.is_refused, "{:?} of {}", pushed, text);
            if !oracle.is_refused {
                expected.push((text, event, oracle));
            }
        }
        prop_assert_eq!(table.rows(), expected.len());
        for ((text, event, oracle), row) in expected.into_iter().zip(to_rows(&table.take())) {
            let mut found = Row::new();
            row.into_iter().for_each(|(name, value)| unnest(&name, value, &mut found));
            let rest = found.remove("_rest").map_or(J::Object(Vec::new()).text(""), |rest| rest.as_str().expect("text").to_owned());
            prop_assert_eq!(rest, J::Object(oracle.rest).text(""), "the rest of {}", text);
            let errors = found.remove("_errors").map(|errors| serde_json::from_str::<Row>(errors.as_str().expect("text")).expect("JSON"));
            let errors: Vec<String> = errors.unwrap_or_default().keys().cloned().collect();
            prop_assert_eq!(errors, oracle.errors, "the errors of {}", text);
            let data = found.remove("_data");
            prop_assert_eq!(data, (!matches!(event, J::Object(_))).then(|| Json::from(text.as_str())), "the data");
            let row: Row = oracle.row.into_iter().filter(|(_, value)| *value != Json::Null).collect();
            let (found, row): (BTreeMap<_, _>, BTreeMap<_, _>) = (found.into_iter().collect(), row.into_iter().collect());
            prop_assert_eq!(found, row, "of {}", text);
        }
    }
}
