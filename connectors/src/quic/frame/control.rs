//! What the control stream carries, both ways: the smaller frames, and all of them as one enum.

use super::fields::{Reader, put_bytes, put_text};
use super::subscribe::{ADVICE, TEXT, reasons};
use super::{
    Ack, Code, Ended, FrameError, Hello, Nack, Pairs, Refused, Subscribe, Subscribed, Welcome, bounds, kind, put,
    unknown, varint,
};

/// More may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The client's number.
    pub subscription: u32,
    /// Bytes of BATCH bodies that may be sent beyond what was allowed before.
    pub bytes: u64,
}

/// Keep these positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Commit<'a> {
    /// The client's number for the answer.
    pub request: u64,
    /// Whose positions.
    pub subscriber: &'a str,
    /// Per partition the offset of the first event that is still to be processed.
    pub positions: Pairs<'a>,
}

/// Positions are kept, or are not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Committed<'a> {
    /// The number of the COMMIT.
    pub request: u64,
    /// [`Code::NONE`] if they are kept.
    pub code: Code,
    /// Why not, for people.
    pub text: &'a str,
    /// What to do.
    pub advice: &'a str,
}

/// The connection will end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GoAway<'a> {
    /// Why.
    pub code: Code,
    /// How long to wait before connecting again, in milliseconds.
    pub after_ms: u64,
    /// Why, for people.
    pub text: &'a str,
    /// Where to connect instead, `host:port`; empty: at the same address.
    pub address: &'a str,
}

const ADDRESS: u64 = 2;

/// A frame of the control stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control<'a> {
    /// HELLO
    Hello(Hello<'a>),
    /// WELCOME
    Welcome(Welcome<'a>),
    /// SUBSCRIBE
    Subscribe(Subscribe<'a>),
    /// SUBSCRIBED
    Subscribed(Subscribed<'a>),
    /// REFUSED
    Refused(Refused<'a>),
    /// UNSUBSCRIBE, with the client's number.
    Unsubscribe(u32),
    /// ENDED
    Ended(Ended<'a>),
    /// CREDIT
    Credit(Credit),
    /// COMMIT
    Commit(Commit<'a>),
    /// COMMITTED
    Committed(Committed<'a>),
    /// ACK
    Ack(Ack<'a>),
    /// NACK
    Nack(Nack<'a>),
    /// GOAWAY
    GoAway(GoAway<'a>),
}

impl<'a> Control<'a> {
    /// Reads the body of a frame of type `kind`; `None` for one that is to be skipped.
    pub fn decode(kind: u64, body: &'a [u8]) -> Result<Option<Self>, FrameError> {
        Ok(Some(match kind {
            kind::HELLO => Self::Hello(Hello::decode(body)?),
            kind::WELCOME => Self::Welcome(Welcome::decode(body)?),
            kind::SUBSCRIBE => Self::Subscribe(Subscribe::decode(body)?),
            kind::SUBSCRIBED => Self::Subscribed(Subscribed::decode(body)?),
            kind::REFUSED => Self::Refused(Refused::decode(body)?),
            kind::UNSUBSCRIBE => {
                let mut reader = Reader::new(kind, body);
                let subscription = reader.int()?;
                reasons(&mut reader)?;
                Self::Unsubscribe(subscription)
            }
            kind::ENDED => Self::Ended(Ended::decode(body)?),
            kind::CREDIT => {
                let mut reader = Reader::new(kind, body);
                let credit = Credit { subscription: reader.int()?, bytes: reader.varint()? };
                reasons(&mut reader)?;
                Self::Credit(credit)
            }
            kind::COMMIT => Self::Commit(Commit::decode(body)?),
            kind::COMMITTED => Self::Committed(Committed::decode(body)?),
            kind::ACK => Self::Ack(Ack::decode(body)?),
            kind::NACK => Self::Nack(Nack::decode(body)?),
            kind::GOAWAY => Self::GoAway(GoAway::decode(body)?),
            _ => return unknown(kind),
        }))
    }

    /// Appends the frame.
    pub fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Hello(frame) => frame.write(out),
            Self::Welcome(frame) => frame.write(out),
            Self::Subscribe(frame) => frame.write(out),
            Self::Subscribed(frame) => frame.write(out),
            Self::Refused(frame) => frame.write(out),
            Self::Unsubscribe(subscription) => {
                put(out, kind::UNSUBSCRIBE, |out| varint::put(out, u64::from(*subscription)));
            }
            Self::Ended(frame) => frame.write(out),
            Self::Credit(Credit { subscription, bytes }) => put(out, kind::CREDIT, |out| {
                varint::put(out, u64::from(*subscription));
                varint::put(out, *bytes);
            }),
            Self::Commit(frame) => frame.write(out),
            Self::Committed(frame) => frame.write(out),
            Self::Ack(frame) => frame.write(out),
            Self::Nack(frame) => frame.write(out),
            Self::GoAway(frame) => frame.write(out),
        }
    }
}

impl<'a> Commit<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::COMMIT, body);
        let request = reader.varint()?;
        let subscriber = reader.text(bounds::NAME_BYTES_MAX)?;
        let positions = Pairs::of(kind::COMMIT, reader.bytes(bounds::CONTROL_BODY_BYTES_MAX)?)?;
        reasons(&mut reader)?;
        Ok(Self { request, subscriber, positions })
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::COMMIT, |out| {
            varint::put(out, self.request);
            put_bytes(out, self.subscriber.as_bytes());
            put_bytes(out, self.positions.raw());
        });
    }
}

impl<'a> Committed<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::COMMITTED, body);
        let (request, code) = (reader.varint()?, Code(reader.varint()?));
        let (text, advice) = reasons(&mut reader)?;
        Ok(Self { request, code, text, advice })
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::COMMITTED, |out| {
            varint::put(out, self.request);
            varint::put(out, self.code.0);
            put_text(out, TEXT, self.text);
            put_text(out, ADVICE, self.advice);
        });
    }
}

impl<'a> GoAway<'a> {
    fn decode(body: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind::GOAWAY, body);
        let (code, after_ms) = (Code(reader.varint()?), reader.varint()?);
        let (mut text, mut address) = ("", "");
        while let Some(mut field) = reader.field(&[])? {
            match field.tag {
                TEXT => text = field.value.all_text(bounds::TEXT_BYTES_MAX)?,
                ADDRESS => address = field.value.all_text(bounds::NAME_BYTES_MAX)?,
                _ => {}
            }
        }
        Ok(Self { code, after_ms, text, address })
    }

    fn write(&self, out: &mut Vec<u8>) {
        put(out, kind::GOAWAY, |out| {
            varint::put(out, self.code.0);
            varint::put(out, self.after_ms);
            put_text(out, TEXT, self.text);
            put_text(out, ADDRESS, self.address);
        });
    }
}
