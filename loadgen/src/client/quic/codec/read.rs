//! What a client reads: frames out of a stream, and what they say.

use super::{CodecError, MINOR, kind};

/// Bound of a frame on the control stream, and of BATCH; other frames of data streams are small.
const CONTROL_BYTES_MAX: u64 = 65_536;
const BATCH_BYTES_MAX: u64 = 1_120_320;
const SMALL_BYTES_MAX: u64 = 1_024;

/// The head of a RecordBatch v2.
pub(super) const BATCH_HEAD_BYTES: usize = 61;

/// Takes values from the front of a frame's body.
struct Fields<'a> {
    kind: u64,
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    fn wrong(&self, what: &'static str) -> CodecError {
        CodecError::Malformed { kind: self.kind, what }
    }

    fn number(&mut self) -> Result<u64, CodecError> {
        let (n, used) = number(self.rest).ok_or_else(|| self.wrong("it ends inside a number"))?;
        self.rest = &self.rest[used..];
        Ok(n)
    }

    fn small(&mut self) -> Result<u32, CodecError> {
        u32::try_from(self.number()?).map_err(|_| self.wrong("a number is too large"))
    }

    fn bytes(&mut self) -> Result<&'a [u8], CodecError> {
        let len = self.number()?;
        let len = usize::try_from(len).ok().filter(|len| *len <= self.rest.len());
        let (bytes, rest) = self.rest.split_at(len.ok_or_else(|| self.wrong("it ends inside bytes"))?);
        self.rest = rest;
        Ok(bytes)
    }

    fn text(&self, bytes: &[u8]) -> Result<String, CodecError> {
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| self.wrong("a text is not UTF-8"))
    }

    /// A list of (partition, offset).
    fn positions(&self, bytes: &[u8]) -> Result<Vec<(u32, u64)>, CodecError> {
        let mut list = Fields { kind: self.kind, rest: bytes };
        let mut positions = Vec::new();
        while !list.rest.is_empty() {
            positions.push((list.small()?, list.number()?));
        }
        Ok(positions)
    }

    /// The optional fields, one after the other.
    fn optional(
        mut self,
        mut take: impl FnMut(&Self, u64, &'a [u8]) -> Result<(), CodecError>,
    ) -> Result<(), CodecError> {
        let mut least = 0;
        while !self.rest.is_empty() {
            let tag = self.number()?;
            if tag < least {
                return Err(self.wrong("tags do not ascend"));
            }
            least = tag;
            let value = self.bytes()?;
            take(&self, tag, value)?;
        }
        Ok(())
    }
}

/// The number at the front, and how many bytes it has; `None` if it is not whole.
pub(super) fn number(bytes: &[u8]) -> Option<(u64, usize)> {
    let first = *bytes.first()?;
    let len = 1 << (first >> 6);
    let rest = bytes.get(1..len)?;
    Some((rest.iter().fold(u64::from(first & 0x3f), |n, byte| n << 8 | u64::from(*byte)), len))
}

/// Type, length of the body and bytes before it; `None` if they are not whole. A length above its bound is an error at once.
fn head(bytes: &[u8], is_control: bool) -> Result<Option<(u64, usize, usize)>, CodecError> {
    let Some((kind, kind_len)) = number(bytes) else { return Ok(None) };
    let Some((len, len_len)) = number(&bytes[kind_len..]) else { return Ok(None) };
    let bytes_max = match (is_control, kind) {
        (true, _) => CONTROL_BYTES_MAX,
        (false, kind::BATCH) => BATCH_BYTES_MAX,
        (false, _) => SMALL_BYTES_MAX,
    };
    if len > bytes_max {
        return Err(CodecError::TooLarge { kind, bytes: len, bytes_max });
    }
    Ok(Some((kind, len as usize, kind_len + len_len)))
}

/// Bytes of one stream until they are whole frames.
#[derive(Debug, Default)]
pub struct Frames {
    bytes: Vec<u8>,
    at: usize,
}

impl Frames {
    pub fn push(&mut self, bytes: &[u8]) {
        if self.at == self.bytes.len() {
            self.bytes.clear();
            self.at = 0;
        } else if self.at > self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn next(&mut self, is_control: bool) -> Result<Option<(u64, &[u8])>, CodecError> {
        let Some((kind, len, before)) = head(&self.bytes[self.at..], is_control)? else { return Ok(None) };
        let from = self.at + before;
        if self.bytes.len() - from < len {
            return Ok(None);
        }
        self.at = from + len;
        Ok(Some((kind, &self.bytes[from..from + len])))
    }

    /// The next frame of a control stream.
    pub fn control(&mut self) -> Result<Option<Control>, CodecError> {
        loop {
            let Some((kind, body)) = self.next(true)? else { return Ok(None) };
            if let Some(frame) = Control::read(kind, body)? {
                return Ok(Some(frame));
            }
        }
    }

    /// The next frame of a data stream.
    pub fn data(&mut self) -> Result<Option<Data<'_>>, CodecError> {
        let at = loop {
            let Some((kind, body)) = self.next(false)? else { return Ok(None) };
            // An unknown frame of an even type.
            if Data::read(kind, body)?.is_some() {
                break (kind, body.len());
            }
        };
        let (kind, len) = at;
        Data::read(kind, &self.bytes[self.at - len..self.at])
    }
}

/// WELCOME.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    pub partitions: u32,
    pub credit_max: u64,
    pub subscriptions_max: u64,
    pub publish_streams_max: u64,
    pub publish_bytes_max: u64,
    pub ack_level: u64,
    pub node: String,
}

/// REFUSED, ENDED or COMMITTED: a number, a code, and what is said about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub number: u64,
    pub code: u64,
    pub text: String,
    pub advice: String,
}

/// NACK.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nack {
    pub publish: u32,
    pub partition: u32,
    pub sequence: u64,
    pub code: u64,
    pub text: String,
    pub advice: String,
    pub expected: Option<u64>,
}

/// What the node says on the control stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Control {
    Welcome(Welcome),
    Subscribed { subscription: u32, groups: Vec<Vec<(u32, u64)>>, warnings: Vec<String> },
    Refused(Answer),
    Ended(Answer),
    Committed(Answer),
    Ack { publish: u32, entries: Vec<(u32, u64)> },
    Nack(Nack),
    GoAway { code: u64, text: String },
}

impl Control {
    /// `None`: a frame to be skipped.
    fn read(kind: u64, body: &[u8]) -> Result<Option<Self>, CodecError> {
        let mut fields = Fields { kind, rest: body };
        Ok(Some(match kind {
            kind::WELCOME => {
                if fields.number()? > MINOR {
                    return Err(fields.wrong("it has a minor version that was not offered"));
                }
                let mut welcome = Welcome {
                    partitions: fields.small()?,
                    credit_max: fields.number()?,
                    subscriptions_max: fields.number()?,
                    publish_streams_max: fields.number()?,
                    publish_bytes_max: fields.number()?,
                    ack_level: 0,
                    node: String::new(),
                };
                fields.number()?;
                welcome.ack_level = fields.number()?;
                if !(1..=1024).contains(&welcome.partitions) {
                    return Err(fields.wrong("the log has no or too many partitions"));
                }
                fields.optional(|fields, tag, value| {
                    if tag == 1 {
                        welcome.node = fields.text(value)?;
                    }
                    Ok(())
                })?;
                Self::Welcome(welcome)
            }
            kind::SUBSCRIBED => {
                let subscription = fields.small()?;
                let list = fields.bytes()?;
                let mut all = Fields { kind, rest: list };
                let (mut groups, mut warnings) = (Vec::new(), Vec::new());
                while !all.rest.is_empty() {
                    let group = all.bytes()?;
                    groups.push(fields.positions(group)?);
                }
                fields.optional(|fields, tag, value| {
                    if tag == 2 {
                        warnings.push(fields.text(value)?);
                    }
                    Ok(())
                })?;
                Self::Subscribed { subscription, groups, warnings }
            }
            kind::REFUSED => Self::Refused(answer(fields)?),
            kind::ENDED => Self::Ended(answer(fields)?),
            kind::COMMITTED => Self::Committed(answer(fields)?),
            kind::ACK => {
                let publish = fields.small()?;
                let list = fields.bytes()?;
                let mut list = Fields { kind, rest: list };
                let mut entries = Vec::new();
                while !list.rest.is_empty() {
                    entries.push((list.small()?, list.number()?));
                    list.number()?;
                }
                fields.optional(|_, _, _| Ok(()))?;
                Self::Ack { publish, entries }
            }
            kind::NACK => {
                let mut nack = Nack {
                    publish: fields.small()?,
                    partition: fields.small()?,
                    sequence: fields.number()?,
                    code: fields.number()?,
                    text: String::new(),
                    advice: String::new(),
                    expected: None,
                };
                fields.optional(|fields, tag, value| {
                    match tag {
                        1 => nack.text = fields.text(value)?,
                        2 => nack.advice = fields.text(value)?,
                        3 => nack.expected = Some(Fields { kind, rest: value }.number()?),
                        _ => {}
                    }
                    Ok(())
                })?;
                Self::Nack(nack)
            }
            kind::GOAWAY => {
                let code = fields.number()?;
                fields.number()?;
                let mut said = String::new();
                fields.optional(|fields, tag, value| {
                    if tag == 1 {
                        said = fields.text(value)?;
                    }
                    Ok(())
                })?;
                Self::GoAway { code, text: said }
            }
            kind if kind % 2 == 0 => return Ok(None),
            kind => return Err(CodecError::Unexpected(kind)),
        }))
    }
}

fn answer(mut fields: Fields<'_>) -> Result<Answer, CodecError> {
    let mut answer =
        Answer { number: fields.number()?, code: fields.number()?, text: String::new(), advice: String::new() };
    fields.optional(|fields, tag, value| {
        match tag {
            1 => answer.text = fields.text(value)?,
            2 => answer.advice = fields.text(value)?,
            _ => {}
        }
        Ok(())
    })?;
    Ok(answer)
}

/// What the node says on a data stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data<'a> {
    Header {
        subscription: u32,
        group: u32,
    },
    Batch {
        partition: u32,
        next_offset: u64,
        /// Which of the batch's events match; `None`: all that it has.
        mask: Option<&'a [u8]>,
        batch: &'a [u8],
        /// The frame's body, which is what counts against the credit.
        body_bytes: usize,
    },
    Position {
        partition: u32,
        next_offset: u64,
    },
    Lost {
        partition: u32,
        from: u64,
        to: u64,
    },
}

impl<'a> Data<'a> {
    /// `None`: a frame to be skipped.
    fn read(kind: u64, body: &'a [u8]) -> Result<Option<Self>, CodecError> {
        let mut fields = Fields { kind, rest: body };
        let read = match kind {
            kind::DATA => Self::Header { subscription: fields.small()?, group: fields.small()? },
            kind::BATCH => {
                let (partition, next_offset) = (fields.small()?, fields.number()?);
                let mask = match fields.number()? {
                    1 => Some(fields.bytes()?),
                    0 | 2 => None,
                    _ => return Err(fields.wrong("an encoding that was not asked for")),
                };
                return Ok(Some(Self::Batch {
                    partition,
                    next_offset,
                    mask,
                    batch: fields.rest,
                    body_bytes: body.len(),
                }));
            }
            kind::POSITION => Self::Position { partition: fields.small()?, next_offset: fields.number()? },
            kind::LOST => {
                let lost = Self::Lost { partition: fields.small()?, from: fields.number()?, to: fields.number()? };
                if matches!(lost, Self::Lost { from, to, .. } if from >= to) {
                    return Err(fields.wrong("nothing is lost"));
                }
                lost
            }
            kind if kind % 2 == 0 => return Ok(None),
            kind => return Err(CodecError::Unexpected(kind)),
        };
        fields.optional(|_, _, _| Ok(()))?;
        Ok(Some(read))
    }
}

/// A frame of a data stream, of which only the front was looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skimmed {
    /// Of the whole frame.
    pub frame_bytes: usize,
    /// Matching events that it carries, and the bytes that count against the credit.
    pub events: u64,
    pub body_bytes: usize,
    /// It is a LOST.
    pub is_lost: bool,
}

/// Counts the frame at the front by as few of its bytes as say how many events it has; `None`: by more than these.
pub fn skim(bytes: &[u8]) -> Result<Option<Skimmed>, CodecError> {
    let Some((kind, len, before)) = head(bytes, false)? else { return Ok(None) };
    let frame = Skimmed { frame_bytes: before + len, events: 0, body_bytes: 0, is_lost: kind == kind::LOST };
    if kind != kind::BATCH {
        return match kind {
            // Its fields are wanted too.
            kind::DATA if bytes.len() < frame.frame_bytes => Ok(None),
            kind::DATA | kind::POSITION | kind::LOST => Ok(Some(frame)),
            kind if kind % 2 == 0 => Ok(Some(frame)),
            kind => Err(CodecError::Unexpected(kind)),
        };
    }
    let body = &bytes[before..bytes.len().min(before + len)];
    let is_whole = body.len() == len;
    let counted = (|| {
        let mut at = 0;
        let mut next = || {
            let (n, used) = number(body.get(at..)?)?;
            at += used;
            Some(n)
        };
        next()?;
        next()?;
        if next()? == 1 {
            let mask_len = usize::try_from(next()?).ok()?;
            let mask = body.get(at..at.checked_add(mask_len)?)?;
            return Some(mask.iter().map(|byte| u64::from(byte.count_ones())).sum());
        }
        let count = body.get(at + BATCH_HEAD_BYTES - 4..at + BATCH_HEAD_BYTES)?;
        Some(u64::from(u32::from_be_bytes([count[0], count[1], count[2], count[3]])))
    })();
    match counted {
        Some(events) => Ok(Some(Skimmed { events, body_bytes: len, ..frame })),
        None if is_whole => Err(CodecError::Malformed { kind, what: "it ends before its batch" }),
        None => Ok(None),
    }
}
