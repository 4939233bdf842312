//! Lists inside frames, borrowed: they are checked once when the frame is decoded, and walked without looking for errors again.

use super::fields::{Reader, put_bytes, put_field};
use super::{FrameError, bounds, varint};

/// Ascending partitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Numbers<'a>(&'a [u8]);

impl<'a> Numbers<'a> {
    /// Appends the encoded list, without a length.
    pub fn encode(out: &mut Vec<u8>, partitions: impl IntoIterator<Item = u32>) {
        partitions.into_iter().for_each(|partition| varint::put(out, u64::from(partition)));
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn of(kind: u64, bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (mut reader, mut min) = (Reader::new(kind, bytes), 0);
        while !reader.is_empty() {
            let partition = reader.partition()?;
            if partition < min {
                return reader.fail("partitions do not ascend, or one comes twice");
            }
            min = partition + 1;
        }
        Ok(Self(bytes))
    }

    pub(super) fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// The partitions.
    pub fn iter(&self) -> impl Iterator<Item = u32> + use<'a> {
        numbers(self.0).map(|number| number as u32)
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Ascending partitions with an offset each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    /// Appends the encoded list, without a length.
    pub fn encode(out: &mut Vec<u8>, pairs: impl IntoIterator<Item = (u32, u64)>) {
        for (partition, offset) in pairs {
            varint::put(out, u64::from(partition));
            varint::put(out, offset);
        }
    }

    /// Reads what [`encode`](Self::encode) wrote.
    pub fn of(kind: u64, bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (mut reader, mut min) = (Reader::new(kind, bytes), 0);
        while !reader.is_empty() {
            let partition = reader.partition()?;
            if partition < min {
                return reader.fail("partitions do not ascend, or one comes twice");
            }
            min = partition + 1;
            reader.varint()?;
        }
        Ok(Self(bytes))
    }

    pub(super) fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// Partitions with their offsets.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u64)> + use<'a> {
        let mut numbers = numbers(self.0);
        std::iter::from_fn(move || Some((numbers.next()? as u32, numbers.next()?)))
    }

    /// There is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The groups of a subscription, each a list of partitions with the offset that they begin at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Groups<'a>(&'a [u8]);

impl<'a> Groups<'a> {
    /// Appends one group.
    pub fn encode(out: &mut Vec<u8>, pairs: impl IntoIterator<Item = (u32, u64)>) {
        let mut list = Vec::new();
        Pairs::encode(&mut list, pairs);
        put_bytes(out, &list);
    }

    /// Reads groups, one behind the other.
    pub fn of(kind: u64, bytes: &'a [u8]) -> Result<Self, FrameError> {
        let (mut reader, mut count) = (Reader::new(kind, bytes), 0);
        while !reader.is_empty() {
            Pairs::of(kind, reader.bytes(bounds::CONTROL_BODY_BYTES_MAX)?)?;
            count += 1;
        }
        if count == 0 || count > bounds::GROUPS_MAX {
            return reader.fail("there are no groups, or more than 64");
        }
        Ok(Self(bytes))
    }

    pub(super) fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// The groups, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = Pairs<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (length, bytes) = varint::get(rest)?;
            let (list, behind) = rest.get(bytes..)?.split_at_checked(length as usize)?;
            rest = behind;
            Some(Pairs(list))
        })
    }
}

/// Up to where the events of a partition are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckEntry {
    /// The partition.
    pub partition: u32,
    /// All before this sequence are kept.
    pub next_sequence: u64,
    /// All that this acknowledges lie before this offset; 0: not known, they had been kept before.
    pub end_offset: u64,
}

/// Entries of an ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Acks<'a>(&'a [u8]);

impl<'a> Acks<'a> {
    /// Appends one entry.
    pub fn encode(out: &mut Vec<u8>, entry: AckEntry) {
        varint::put(out, u64::from(entry.partition));
        varint::put(out, entry.next_sequence);
        varint::put(out, entry.end_offset);
    }

    /// Reads entries, one behind the other.
    pub fn of(kind: u64, bytes: &'a [u8]) -> Result<Self, FrameError> {
        let mut reader = Reader::new(kind, bytes);
        while !reader.is_empty() {
            reader.partition()?;
            if reader.varint()? > bounds::SEQUENCES {
                return reader.fail("a sequence is above 2^46");
            }
            reader.varint()?;
        }
        Ok(Self(bytes))
    }

    pub(super) fn raw(&self) -> &'a [u8] {
        self.0
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = AckEntry> + use<'a> {
        let mut numbers = numbers(self.0);
        std::iter::from_fn(move || {
            let (partition, next_sequence) = (numbers.next()? as u32, numbers.next()?);
            Some(AckEntry { partition, next_sequence, end_offset: numbers.next()? })
        })
    }
}

fn numbers(bytes: &[u8]) -> impl Iterator<Item = u64> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let (value, bytes) = varint::get(rest)?;
        rest = &rest[bytes..];
        Some(value)
    })
}

/// The values of a field that may come more than once, where they lie in the body: fields, one behind the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Repeated<'a> {
    tag: u64,
    fields: &'a [u8],
}

impl<'a> Repeated<'a> {
    /// All fields of this tag in the optional part of a body.
    fn find(mut reader: Reader<'a>, repeatable: &[u64], wanted: u64) -> Result<Self, FrameError> {
        let (mut first, mut end, mut count) = (None, reader.rest(), 0);
        loop {
            let before = reader.rest();
            let Some(field) = reader.field(repeatable)? else { break };
            if field.tag == wanted {
                first = first.or(Some(before));
                end = reader.rest();
                count += 1;
            }
        }
        if count > bounds::REPEATS_MAX {
            return reader.fail("a field comes more than 64 times");
        }
        let fields = first.map_or(&[][..], |first| &first[..first.len() - end.len()]);
        Ok(Self { tag: wanted, fields })
    }

    fn iter(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut rest = self.fields;
        std::iter::from_fn(move || {
            let (_, bytes) = varint::get(rest)?;
            rest = &rest[bytes..];
            let (length, bytes) = varint::get(rest)?;
            let (value, behind) = rest.get(bytes..)?.split_at_checked(length as usize)?;
            rest = behind;
            Some(value)
        })
    }
}

/// Texts for people, of a field that may come more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Texts<'a>(Repeated<'a>);

impl<'a> Texts<'a> {
    /// Appends one as the field `tag`.
    pub(super) fn encode(out: &mut Vec<u8>, tag: u64, text: &str) {
        put_field(out, tag, Some(text.as_bytes()));
    }

    pub(super) fn find(reader: Reader<'a>, repeatable: &[u64], tag: u64) -> Result<Self, FrameError> {
        let found = Self(Repeated::find(reader, repeatable, tag)?);
        for value in found.0.iter() {
            reader.of(value).all_text(bounds::TEXT_BYTES_MAX)?;
        }
        Ok(found)
    }

    /// The texts.
    pub fn iter(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.0.iter().filter_map(|value| std::str::from_utf8(value).ok())
    }
}

/// Names with values, of a field that may come more than once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Properties<'a>(Repeated<'a>);

impl<'a> Properties<'a> {
    /// Appends one as the field `tag`.
    pub(super) fn encode(out: &mut Vec<u8>, tag: u64, name: &str, value: &str) {
        let mut field = Vec::with_capacity(name.len() + value.len() + varint::BYTES_MAX);
        put_bytes(&mut field, name.as_bytes());
        field.extend_from_slice(value.as_bytes());
        put_field(out, tag, Some(&field));
    }

    pub(super) fn find(reader: Reader<'a>, repeatable: &[u64], tag: u64) -> Result<Self, FrameError> {
        let found = Self(Repeated::find(reader, repeatable, tag)?);
        for value in found.0.iter() {
            let mut reader = reader.of(value);
            reader.text(bounds::NAME_BYTES_MAX)?;
            reader.all_text(bounds::TEXT_BYTES_MAX)?;
        }
        Ok(found)
    }

    /// Names with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.0.iter().filter_map(|field| {
            let (length, bytes) = varint::get(field)?;
            let (name, value) = field.get(bytes..)?.split_at_checked(length as usize)?;
            Some((std::str::from_utf8(name).ok()?, std::str::from_utf8(value).ok()?))
        })
    }
}
