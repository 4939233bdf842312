//! Shapes of events: which fields in which order, and how an event of a shape is written.

use std::io::Write;

use fastrand::Rng;

use super::{Values, device_name};

/// What stands in a field.
#[derive(Clone)]
enum Content {
    DeviceId,
    Ts,
    Temp,
    Humidity,
    Battery,
    Status,
    /// The status written with escapes in every other event.
    EscapedStatus,
    Seq,
    /// A whole number of so many digits.
    Whole(u32),
    /// A number below 10^n with so many decimals.
    Decimal(u32, usize),
    Flag,
    Null,
    Text(&'static str),
    /// Eight numbers.
    Numbers,
    Object(Vec<Field>),
}

#[derive(Clone)]
struct Field {
    name: String,
    content: Content,
}

fn field(name: &str, content: Content) -> Field {
    Field { name: name.to_owned(), content }
}

/// The fields of an event, in order.
pub(super) struct Shape(Vec<Field>);

impl Shape {
    /// The 15 leaves that most suites use.
    pub(super) fn telemetry() -> Self {
        use Content::*;
        let location = vec![field("lat", Decimal(2, 6)), field("lon", Decimal(2, 6))];
        Self(vec![
            field("device_id", DeviceId),
            field("ts", Ts),
            field("seq", Seq),
            field("temp", Temp),
            field("humidity", Humidity),
            field("pressure", Decimal(3, 2)),
            field("battery", Battery),
            field("rssi", Whole(2)),
            field("mains", Flag),
            field("status", Status),
            field("loc", Object(location)),
            field("firmware", Text("4.12.3")),
            field("error", Null),
            field("sealed", Flag),
        ])
    }

    /// Telemetry with the content of the field `name` replaced.
    fn with(name: &str, content: Content) -> Self {
        let mut shape = Self::telemetry();
        for field in shape.0.iter_mut().filter(|field| field.name == name) {
            field.content = content.clone();
        }
        shape
    }

    pub(super) fn escaped() -> Self {
        let mut shape = Self::with("firmware", Content::Text(r#"C:\\fw\\4.12 \"rc1\"\u00e9\n"#));
        for field in shape.0.iter_mut().filter(|field| field.name == "status") {
            field.content = Content::EscapedStatus;
        }
        shape
    }

    pub(super) fn arrays() -> Self {
        Self::with("pressure", Content::Numbers)
    }

    pub(super) fn non_ascii() -> Self {
        Self::with("firmware", Content::Text("Zürich – 東京 🌡"))
    }

    /// Telemetry and further fields up to 60.
    pub(super) fn kilobyte() -> Self {
        use Content::*;
        let mut shape = Self::telemetry();
        for n in shape.0.len()..60 {
            let content = match n % 6 {
                0 => Whole(5),
                1 => Decimal(3, 3),
                2 => Flag,
                3 => Text("nominal"),
                4 => Null,
                _ => Decimal(2, 1),
            };
            // The wanted ones are not all at the front.
            shape.0.insert(n / 2, field(&format!("chan_{n:02}"), content));
        }
        shape
    }

    /// The wanted fields and nine leaves of 60, some inside an object, in any order.
    pub(super) fn random(rng: &mut Rng) -> Self {
        use Content::*;
        const STEMS: [&str; 20] = [
            "pressure", "rssi", "voltage", "current", "seq", "uptime", "firmware", "model", "site", "line", "fan",
            "vib", "level", "flow", "mode", "alarm", "door", "torque", "speed", "ph",
        ];
        let mut others: Vec<Field> = Vec::new();
        while others.len() < 9 {
            let stem = rng.usize(..STEMS.len());
            let name = format!("{}{}", STEMS[stem], ["", "2", "3"][rng.usize(..3)]);
            if others.iter().any(|other| other.name == name) {
                continue;
            }
            let content = match stem % 6 {
                0 => Decimal(3, 2),
                1 => Whole(5),
                2 => Decimal(2, 6),
                3 => Flag,
                4 => Text("4.12.3"),
                _ => Null,
            };
            others.push(Field { name, content });
        }
        let inside: Vec<Field> = others.drain(..rng.usize(..4)).collect();
        if !inside.is_empty() {
            others.push(field(["location", "meta", "extra"][rng.usize(..3)], Object(inside)));
        }
        others.extend([
            field("device_id", DeviceId),
            field("ts", Ts),
            field("temp", Temp),
            field("humidity", Humidity),
            field("battery", Battery),
            field("status", Status),
        ]);
        rng.shuffle(&mut others);
        Self(others)
    }

    /// Number of outer fields.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Writes one event. `unseen` is a further field: before which one, and its name.
    pub(super) fn write(
        &self,
        values: &Values,
        spaced: bool,
        unseen: Option<(usize, &str)>,
        rng: &mut Rng,
        out: &mut Vec<u8>,
    ) {
        object(&self.0, values, spaced, unseen, rng, out);
    }
}

fn object(
    fields: &[Field],
    values: &Values,
    spaced: bool,
    unseen: Option<(usize, &str)>,
    rng: &mut Rng,
    out: &mut Vec<u8>,
) {
    let (colon, comma) = if spaced { ("\": ", ", ") } else { ("\":", ",") };
    out.push(b'{');
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            out.extend_from_slice(comma.as_bytes());
        }
        if let Some((_, name)) = unseen.filter(|(before, _)| *before == at) {
            out.push(b'"');
            out.extend_from_slice(name.as_bytes());
            out.extend_from_slice(colon.as_bytes());
            out.push(b'1');
            out.extend_from_slice(comma.as_bytes());
        }
        out.push(b'"');
        out.extend_from_slice(field.name.as_bytes());
        out.extend_from_slice(colon.as_bytes());
        content(&field.content, values, spaced, rng, out);
    }
    out.push(b'}');
}

fn content(content: &Content, values: &Values, spaced: bool, rng: &mut Rng, out: &mut Vec<u8>) {
    let text = match content {
        Content::DeviceId => format!("\"{}\"", device_name(values.fact.device)),
        Content::Ts => values.ts_ms.to_string(),
        Content::Temp => {
            let centi = values.fact.temp_centi;
            format!("{}{}.{:02}", if centi < 0 { "-" } else { "" }, centi.abs() / 100, centi.abs() % 100)
        }
        Content::Humidity => format!("{}.{}", values.humidity_deci / 10, values.humidity_deci % 10),
        Content::Battery => values.battery.to_string(),
        Content::EscapedStatus if values.number.is_multiple_of(2) => format!(r#""{}\t\/\ud83d\ude00""#, values.status),
        Content::Status | Content::EscapedStatus => format!("\"{}\"", values.status),
        Content::Seq => (1_000_000 + values.number % 9_000_000).to_string(),
        Content::Whole(digits) => format!("{}{}", if rng.bool() { "-" } else { "" }, whole(*digits, rng)),
        Content::Decimal(digits, decimals) => format!("{}.{}", whole(*digits, rng), whole(*decimals as u32, rng)),
        Content::Flag => rng.bool().to_string(),
        Content::Null => "null".into(),
        Content::Text(text) => format!("\"{text}\""),
        Content::Numbers => {
            let numbers: Vec<String> = (0..8).map(|n| format!("{}.{}", whole(2, rng), n)).collect();
            format!("[{}]", numbers.join(if spaced { ", " } else { "," }))
        }
        Content::Object(fields) => return object(fields, values, spaced, None, rng, out),
    };
    // A vector takes all that is written to it.
    let _ = out.write_all(text.as_bytes());
}

/// A whole number of exactly so many digits.
fn whole(digits: u32, rng: &mut Rng) -> u64 {
    rng.u64(10u64.pow(digits - 1)..10u64.pow(digits))
}
