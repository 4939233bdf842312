//! One member of an event: how its value follows from a draw, and how it is written.

use crate::fleet::out::{PIECE, Pen, Piece};
use crate::fleet::random::{Draw, Holds, below, mix};

/// A value as a filter or a reader of columns sees it.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// `scaled` times 10^-`decimals`.
    Number {
        /// The digits.
        scaled: i64,
        /// Digits behind the point.
        decimals: u8,
    },
    /// Text, not escaped.
    Text(String),
    /// A truth value.
    Bool(bool),
    /// Something without a single value: `null`, an array, an object.
    Other,
}

impl Value {
    /// A number as the nearest double, which is what a JSON reader makes of its digits.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            // Both are exact up to 2^53, and division rounds correctly.
            Self::Number { scaled, decimals } => Some(*scaled as f64 / 10f64.powi(i32::from(*decimals))),
            _ => None,
        }
    }
}

/// A constant with its JSON.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) json: Vec<Piece>,
    pub(super) bytes: usize,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Kind {
    Constant(Constant),
    /// Value noise around the device's own mean: see [`Walk::at`].
    Walk(Walk),
    Uniform {
        low: i64,
        span: u64,
        decimals: u8,
    },
    Drain(Drain),
    /// `edges`: upper ends of each value's part of 2^32.
    Choice {
        values: Vec<Constant>,
        edges: Vec<u64>,
    },
    Flag {
        edge: u64,
    },
    Label {
        prefix: Vec<Piece>,
        text: String,
        of: u32,
        digits: usize,
    },
    Text {
        length: [u32; 2],
        escapes: u64,
    },
    Array {
        length: [u32; 2],
        low: i64,
        span: u64,
        decimals: u8,
    },
}

#[derive(Debug)]
pub(super) struct Walk {
    pub(super) mean_low: i64,
    pub(super) mean_span: u64,
    pub(super) swing: i64,
    /// 2^shift events lie between the values that are drawn; those between them go straight from one to the next.
    pub(super) shift: u32,
    pub(super) decimals: u8,
}

/// From one value to another in a straight line, and from the beginning again; every device somewhere else on it.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) lasts: u32,
    pub(super) decimals: u8,
}

impl Drain {
    #[inline(always)]
    fn at(&self, draw: &Draw, salt: u64) -> i64 {
        let phase = below(draw.word(salt, Holds::Device), u64::from(self.lasts)) as u32;
        // Of 32 bits: such a division costs a quarter of one of 64.
        let part = (phase + draw.seq % self.lasts) % self.lasts;
        let share = (u64::from(part) << 32) / u64::from(self.lasts);
        self.from + (((self.to - self.from) * share as i64) >> 32)
    }
}

/// What replaces a value while the device is in alarm.
#[derive(Debug)]
pub(super) enum Alarm {
    Constant(Constant),
    Number { low: i64, span: u64 },
}

/// `false` and `true`.
const FLAGS: [Piece; 2] = [Piece::short(b"false"), Piece::short(b"true")];

/// A compiled member.
#[derive(Debug)]
pub(super) struct Field {
    /// With dots where it is nested.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) holds: Holds,
    pub(super) alarm: Option<Alarm>,
    /// Odd.
    pub(super) salt: u64,
}

impl Walk {
    /// Wanders like a reading does and never leaves its range, so that the share of high values is the same in the first hour and
    /// the thousandth: three quarters a line between values drawn every 2^shift events, one quarter noise of each event.
    #[inline(always)]
    fn at(&self, draw: &Draw, salt: u64) -> i64 {
        let mean = self.mean_low + below(draw.word(salt, Holds::Device), self.mean_span) as i64;
        let signed = |word: u64| (word >> 48) as i64 - 32_768;
        let block = draw.seq >> self.shift;
        let (a, b) = (signed(draw.block(salt, block)), signed(draw.block(salt, block.wrapping_add(1))));
        let part = i64::from(draw.seq & ((1 << self.shift) - 1));
        let smooth = a + (((b - a) * part) >> self.shift);
        mean + ((self.swing * (3 * smooth + signed(draw.word(salt, Holds::Event)))) >> 17)
    }
}

impl Field {
    /// The number that it shows; `None` where it is no number.
    #[inline(always)]
    fn number(&self, draw: &Draw) -> Option<(i64, u8)> {
        let of = |decimals| match (&self.alarm, draw.alarm) {
            (Some(Alarm::Number { low, span }), true) => {
                Some((low + below(draw.word(self.salt, Holds::Event), *span) as i64, decimals))
            }
            _ => None,
        };
        match &self.kind {
            Kind::Walk(walk) => Some(of(walk.decimals).unwrap_or_else(|| (walk.at(draw, self.salt), walk.decimals))),
            Kind::Uniform { low, span, decimals } => Some(
                of(*decimals)
                    .unwrap_or_else(|| (low + below(draw.word(self.salt, self.holds), *span) as i64, *decimals)),
            ),
            Kind::Drain(drain) => Some((drain.at(draw, self.salt), drain.decimals)),
            _ => None,
        }
    }

    /// The constant that it shows.
    fn constant(&self, draw: &Draw) -> Option<&Constant> {
        if let (Some(Alarm::Constant(constant)), true) = (&self.alarm, draw.alarm) {
            return Some(constant);
        }
        match &self.kind {
            Kind::Constant(constant) => Some(constant),
            Kind::Choice { values, edges } => Some(&values[self.chosen(draw, edges)]),
            _ => None,
        }
    }

    /// Writes its JSON.
    #[inline(always)]
    pub(super) fn write<'a>(&self, draw: &Draw, pen: Pen<'a>) -> Pen<'a> {
        if draw.alarm && self.alarm.is_some() { self.write_alarm(draw, pen) } else { self.write_usual(draw, pen) }
    }

    #[inline(always)]
    fn write_usual<'a>(&self, draw: &Draw, pen: Pen<'a>) -> Pen<'a> {
        match &self.kind {
            Kind::Constant(constant) => pen.pieces(&constant.json),
            Kind::Walk(walk) => pen.number(walk.at(draw, self.salt), walk.decimals),
            Kind::Uniform { low, span, decimals } => {
                pen.number(low + below(draw.word(self.salt, self.holds), *span) as i64, *decimals)
            }
            Kind::Choice { values, edges } => pen.pieces(&values[self.chosen(draw, edges)].json),
            Kind::Flag { edge } => pen.piece(&FLAGS[usize::from(self.flag(draw, *edge))]),
            Kind::Drain(drain) => pen.number(drain.at(draw, self.salt), drain.decimals),
            Kind::Label { prefix, of, digits, .. } => {
                let number = below(draw.word(self.salt, self.holds), u64::from(*of));
                let pen = pen.pieces(prefix);
                match u8::try_from(*digits) {
                    Ok(digits @ ..=8) => pen.fraction(number as u32, digits),
                    _ => pen.digits::<10>(number),
                }
                .byte(b'"')
            }
            Kind::Text { .. } | Kind::Array { .. } => self.write_long(draw, pen),
        }
    }

    #[cold]
    fn write_alarm<'a>(&self, draw: &Draw, pen: Pen<'a>) -> Pen<'a> {
        match (self.number(draw), &self.alarm) {
            (Some((scaled, decimals)), _) => pen.number(scaled, decimals),
            (None, Some(Alarm::Constant(constant))) => pen.pieces(&constant.json),
            _ => pen,
        }
    }

    #[inline(never)]
    fn write_long<'a>(&self, draw: &Draw, mut pen: Pen<'a>) -> Pen<'a> {
        match &self.kind {
            Kind::Text { length, escapes } => {
                pen = pen.byte(b'"');
                for letter in letters(self.salt, self.holds, *length, *escapes, draw) {
                    pen = match letter {
                        Letter::Plain(byte) => pen.byte(byte),
                        Letter::Escaped(json, _) => pen.text(json),
                    };
                }
                pen.byte(b'"')
            }
            Kind::Array { length, low, span, decimals } => {
                pen = pen.byte(b'[');
                for at in 0..length_of(*length, draw.word(self.salt, self.holds)) {
                    if at > 0 {
                        pen = pen.byte(b',');
                    }
                    let word = mix(draw.event ^ self.salt, u64::from(at));
                    pen = pen.number(low + below(word, *span) as i64, *decimals);
                }
                pen.byte(b']')
            }
            _ => pen,
        }
    }

    #[inline(always)]
    fn chosen(&self, draw: &Draw, edges: &[u64]) -> usize {
        let chance = draw.word(self.salt, self.holds) >> 32;
        edges.iter().map(|&edge| usize::from(chance >= edge)).sum::<usize>().min(edges.len() - 1)
    }

    /// What [`write`](Self::write) writes, as a value.
    pub(super) fn value(&self, draw: &Draw) -> Value {
        if let Some((scaled, decimals)) = self.number(draw) {
            return Value::Number { scaled, decimals };
        }
        if let Some(constant) = self.constant(draw) {
            return constant.value.clone();
        }
        match &self.kind {
            Kind::Flag { edge } => Value::Bool(self.flag(draw, *edge)),
            Kind::Label { text, of, digits, .. } => {
                let number = below(draw.word(self.salt, self.holds), u64::from(*of));
                Value::Text(format!("{text}{number:0digits$}"))
            }
            Kind::Text { length, escapes } => {
                let chars = letters(self.salt, self.holds, *length, *escapes, draw).map(|letter| match letter {
                    Letter::Plain(byte) => char::from(byte),
                    Letter::Escaped(_, char) => char,
                });
                Value::Text(chars.collect())
            }
            _ => Value::Other,
        }
    }

    fn flag(&self, draw: &Draw, edge: u64) -> bool {
        match (&self.alarm, draw.alarm) {
            (Some(Alarm::Constant(constant)), true) => constant.value == Value::Bool(true),
            _ => draw.word(self.salt, self.holds) >> 32 < edge,
        }
    }

    /// Most bytes that it can need.
    pub(super) fn bytes_max(&self) -> usize {
        const NUMBER: usize = 24;
        let alarm = match &self.alarm {
            Some(Alarm::Constant(constant)) => constant.bytes,
            _ => 0,
        };
        let own = match &self.kind {
            Kind::Constant(constant) => constant.bytes,
            Kind::Choice { values, .. } => values.iter().map(|value| value.bytes).max().unwrap_or(0),
            Kind::Walk(_) | Kind::Uniform { .. } | Kind::Drain(_) => NUMBER,
            Kind::Flag { .. } => 5,
            Kind::Label { text, digits, .. } => 6 * text.len() + digits + 2,
            Kind::Text { length, .. } => 6 * length[1] as usize + 2,
            Kind::Array { length, .. } => (NUMBER + 1) * length[1] as usize + 2,
        };
        own.max(alarm) + PIECE
    }
}

enum Letter {
    Plain(u8),
    /// Its JSON, and what that means.
    Escaped(&'static [u8], char),
}

const ALPHABET: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz  0123";
const ESCAPED: [(&[u8], char); 8] = [
    (b"\\\"", '"'),
    (b"\\\\", '\\'),
    (b"\\n", '\n'),
    (b"\\/", '/'),
    (b"\\u00e9", '\u{e9}'),
    (b"\\t", '\t'),
    ("\u{e9}".as_bytes(), '\u{e9}'),
    ("\u{4e2d}".as_bytes(), '\u{4e2d}'),
];

fn length_of(length: [u32; 2], word: u64) -> u32 {
    length[0] + below(word, u64::from(length[1] - length[0]) + 1) as u32
}

/// The letters of a text; `escapes` of 2^32 of them are escaped or not ASCII.
fn letters(
    salt: u64,
    holds: Holds,
    length: [u32; 2],
    escapes: u64,
    draw: &Draw,
) -> impl Iterator<Item = Letter> + use<> {
    let word = draw.word(salt, holds);
    (0..length_of(length, word)).map(move |at| {
        let word = mix(word, u64::from(at));
        match word >> 32 < escapes {
            true => {
                let (json, char) = ESCAPED[(word >> 8 & 7) as usize];
                Letter::Escaped(json, char)
            }
            false => Letter::Plain(ALPHABET[(word & 31) as usize]),
        }
    })
}
