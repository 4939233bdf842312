//! SUBSCRIBE and its answers SUBSCRIBED and REFUSED; ENDED.

use engine::filter::Dialect;
use engine::limits;

use super::fields::{Reader, put_bytes, put_field, put_number, put_text};
use super::{Code, ENCODINGS_ALL, FrameError, Groups, Numbers, Pairs, Properties, Texts, bounds, kind, put, varint};

/// Where a subscription begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// Behind the last event.
    Latest,
    /// At the first event that the log still has.
    Earliest,
    /// At the first event that was accepted at this time or later, in milliseconds since the Unix epoch.
    Time(u64),
    /// Where the subscriber of this name committed last.
    Cursor {
        /// The name.
        subscriber: &'a str,
        /// For partitions that it never committed: at the first event instead of behind the last.
        else_earliest: bool,
    },
    /// At these offsets; other partitions are not wanted.
    Offsets(Pairs<'a>),
}

/// Asks for events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribe<'a> {
    /// The client's number for it: above all that it used before on this connection.
    pub subscription: u32,
    /// Bytes of BATCH bodies that may be sent at first.
    pub credit: u64,
    /// Where it begins.
    pub start: Start<'a>,
    /// A named route whose events are wanted; empty: all events of the hub.
    pub route: &'a str,
    /// The filter; empty: all of the source.
    pub filter: &'a str,
    /// What the filter is written in.
    pub dialect: Dialect,
    /// The partitions wanted; none: all, or those that `start` names.
    pub partitions: Numbers<'a>,
    /// Data streams wanted.
    pub groups: u32,
    /// Encodings that the client reads: see [`Encoding`](super::Encoding).
    pub encodings: u64,
}

const ROUTE: u64 = 1;
const FILTER: u64 = 2;
const DIALECT: u64 = 3;
const PARTITIONS: u64 = 4;
const TIME: u64 = 5;
const SUBSCRIBER: u64 = 6;
const ELSE_EARLIEST: u64 = 7;
const OFFSETS: u64 = 8;
const GROUPS: u64 = 9;
const ENCODINGS: u64 = 10;

impl<'a> Subscribe<'a> {
    /// All events of the hub, from the latest on, in one data stream.
    pub fn new(subscription: u32, credit: u64) -> Self {
        Self {
            subscription,
            credit,
            start: Start::Latest,
            route: "",
            filter: "",
            dialect: Dialect::default(),
            partitions: Numbers::default(),
            groups: 1,
            encodings: ENCODINGS_ALL,
        }
    }

    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::SUBSCRIBE, body);
        let mut this = Self::new(reader.int()?, reader.varint()?);
        let start = reader.varint()?;
        let (mut time, mut subscriber, mut else_earliest, mut offsets) = (None, None, None, None);
        while let Some(mut field) = reader.field(&[])? {
            let value = &mut field.value;
            match field.tag {
                ROUTE => this.route = value.all_text(bounds::NAME_BYTES_MAX)?,
                FILTER => this.filter = value.all_text(limits::FILTER_BYTES_MAX)?,
                DIALECT => match Dialect::by_name(value.all_text(bounds::NAME_BYTES_MAX)?) {
                    Some(dialect) => this.dialect = dialect,
                    None => return reader.fail("the filter's dialect is not known"),
                },
                PARTITIONS => this.partitions = Numbers::of(kind::SUBSCRIBE, value.rest())?,
                TIME => time = Some(value.only_varint()?),
                SUBSCRIBER => subscriber = Some(value.all_text(bounds::NAME_BYTES_MAX)?),
                ELSE_EARLIEST => match value.only_varint()? {
                    choice @ (0 | 1) => else_earliest = Some(choice == 1),
                    _ => return reader.fail("the start without a cursor is neither 0 nor 1"),
                },
                OFFSETS => offsets = Some(Pairs::of(kind::SUBSCRIBE, value.rest())?),
                GROUPS => match value.only_varint()? {
                    groups @ 1..=64 => this.groups = groups as u32,
                    _ => return reader.fail("the number of groups is not 1 to 64"),
                },
                ENCODINGS => match value.only_varint()? & ENCODINGS_ALL {
                    encodings if encodings & 4 != 0 => this.encodings = encodings,
                    _ => return reader.fail("its encodings lack packed"),
                },
                _ => {}
            }
        }
        this.start = match (start, time, subscriber, else_earliest, offsets) {
            (0, None, None, None, None) => Start::Latest,
            (1, None, None, None, None) => Start::Earliest,
            (2, Some(time), None, None, None) => Start::Time(time),
            (3, None, Some(subscriber), choice, None) => {
                Start::Cursor { subscriber, else_earliest: choice.unwrap_or(false) }
            }
            (4, None, None, None, Some(offsets)) if this.partitions.is_empty() && !offsets.is_empty() => {
                Start::Offsets(offsets)
            }
            _ => return reader.fail("its fields do not go with its start"),
        };
        Ok(this)
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        let (start, mut time, mut subscriber, mut earliest, mut offsets) = (self.start, None, "", None, None);
        let start = match start {
            Start::Latest => 0,
            Start::Earliest => 1,
            Start::Time(ms) => {
                time = Some(ms);
                2
            }
            Start::Cursor { subscriber: name, else_earliest } => {
                (subscriber, earliest) = (name, else_earliest.then_some(1));
                3
            }
            Start::Offsets(pairs) => {
                offsets = Some(pairs.raw());
                4
            }
        };
        put(out, kind::SUBSCRIBE, |out| {
            varint::put(out, u64::from(self.subscription));
            varint::put(out, self.credit);
            varint::put(out, start);
            put_text(out, ROUTE, self.route);
            put_text(out, FILTER, self.filter);
            put_text(out, DIALECT, if self.dialect == Dialect::default() { "" } else { self.dialect.name() });
            put_field(out, PARTITIONS, (!self.partitions.is_empty()).then_some(self.partitions.raw()));
            put_number(out, TIME, time);
            put_field(out, SUBSCRIBER, matches!(self.start, Start::Cursor { .. }).then_some(subscriber.as_bytes()));
            put_number(out, ELSE_EARLIEST, earliest);
            put_field(out, OFFSETS, offsets);
            put_number(out, GROUPS, (self.groups != 1).then_some(u64::from(self.groups)));
            put_number(out, ENCODINGS, (self.encodings != ENCODINGS_ALL).then_some(self.encodings));
        });
    }
}

/// The subscription is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subscribed<'a> {
    /// The client's number.
    pub subscription: u32,
    /// Its groups, each with its partitions and the offsets that they begin at.
    pub groups: Groups<'a>,
    /// Properties that the route adds to every event; they are not in the batches.
    pub properties: Properties<'a>,
    /// What is doubtful about the filter.
    pub warnings: Texts<'a>,
}

const PROPERTY: u64 = 1;
const WARNING: u64 = 2;
const REPEATABLE: [u64; 2] = [PROPERTY, WARNING];

impl<'a> Subscribed<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::SUBSCRIBED, body);
        let subscription = reader.int()?;
        let groups = Groups::of(kind::SUBSCRIBED, reader.bytes(bounds::CONTROL_BODY_BYTES_MAX)?)?;
        let properties = Properties::find(reader, &REPEATABLE, PROPERTY)?;
        let warnings = Texts::find(reader, &REPEATABLE, WARNING)?;
        Ok(Self { subscription, groups, properties, warnings })
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        Self::put(out, self.subscription, self.groups.raw(), self.properties.iter(), self.warnings.iter());
    }

    /// Appends the frame from its parts; `groups` as [`Groups::encode`] wrote them.
    pub fn put<'b>(
        out: &mut Vec<u8>,
        subscription: u32,
        groups: &[u8],
        properties: impl Iterator<Item = (&'b str, &'b str)>,
        warnings: impl Iterator<Item = &'b str>,
    ) {
        put(out, kind::SUBSCRIBED, |out| {
            varint::put(out, u64::from(subscription));
            put_bytes(out, groups);
            properties.for_each(|(name, value)| Properties::encode(out, PROPERTY, name, value));
            warnings.for_each(|text| Texts::encode(out, WARNING, text));
        });
    }
}

/// The subscription is not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused<'a> {
    /// The client's number.
    pub subscription: u32,
    /// Why.
    pub code: Code,
    /// Why, for people.
    pub text: &'a str,
    /// What to do.
    pub advice: &'a str,
}

/// The subscription has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ended<'a> {
    /// The client's number.
    pub subscription: u32,
    /// Why; [`Code::NONE`] after UNSUBSCRIBE.
    pub code: Code,
    /// Why, for people.
    pub text: &'a str,
    /// What to do.
    pub advice: &'a str,
}

/// Tags that all answers share.
pub(super) const TEXT: u64 = 1;
pub(super) const ADVICE: u64 = 2;

/// The optional text and advice of an answer.
pub(super) fn reasons<'a>(reader: &mut Reader<'a>) -> Result<(&'a str, &'a str), FrameError> {
    let (mut text, mut advice) = ("", "");
    while let Some(mut field) = reader.field(&[])? {
        match field.tag {
            TEXT => text = field.value.all_text(bounds::TEXT_BYTES_MAX)?,
            ADVICE => advice = field.value.all_text(bounds::TEXT_BYTES_MAX)?,
            _ => {}
        }
    }
    Ok((text, advice))
}

impl<'a> Refused<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::REFUSED, body);
        let (subscription, code) = (reader.int()?, Code(reader.varint()?));
        let (text, advice) = reasons(&mut reader)?;
        Ok(Self { subscription, code, text, advice })
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_end(out, kind::REFUSED, self.subscription, self.code, self.text, self.advice);
    }
}

impl<'a> Ended<'a> {
    pub(super) fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::ENDED, body);
        let (subscription, code) = (reader.int()?, Code(reader.varint()?));
        let (text, advice) = reasons(&mut reader)?;
        Ok(Self { subscription, code, text, advice })
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        write_end(out, kind::ENDED, self.subscription, self.code, self.text, self.advice);
    }
}

fn write_end(out: &mut Vec<u8>, kind: u64, subscription: u32, code: Code, text: &str, advice: &str) {
    put(out, kind, |out| {
        varint::put(out, u64::from(subscription));
        varint::put(out, code.0);
        put_text(out, TEXT, text);
        put_text(out, ADVICE, advice);
    });
}
