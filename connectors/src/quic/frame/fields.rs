//! Takes values from the front of a frame's body. Nothing is read beyond its end; what is missing is a malformed frame.

use engine::limits;

use super::{FrameError, bounds, varint};

/// What a body's optional part may have: see [`Reader::field`].
pub(super) struct Tagged<'a> {
    pub tag: u64,
    pub value: Reader<'a>,
}

#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    kind: u64,
    rest: &'a [u8],
    /// Tag of the field before, plus one.
    tag_min: u64,
}

impl<'a> Reader<'a> {
    pub fn new(kind: u64, bytes: &'a [u8]) -> Self {
        Reader { kind, rest: bytes, tag_min: 0 }
    }

    /// A reader of a part of the same frame.
    pub fn of<'b>(&self, bytes: &'b [u8]) -> Reader<'b> {
        Reader::new(self.kind, bytes)
    }

    pub fn fail<T>(&self, what: &'static str) -> Result<T, FrameError> {
        Err(FrameError::Malformed { kind: self.kind, what })
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub fn varint(&mut self) -> Result<u64, FrameError> {
        let Some((value, bytes)) = varint::get(self.rest) else { return self.fail("it ends within a number") };
        self.rest = &self.rest[bytes..];
        Ok(value)
    }

    /// A number that fits 32 bits.
    pub fn int(&mut self) -> Result<u32, FrameError> {
        match u32::try_from(self.varint()?) {
            Ok(value) => Ok(value),
            Err(_) => self.fail("a number is above 4294967295"),
        }
    }

    #[inline]
    pub fn partition(&mut self) -> Result<u32, FrameError> {
        match self.varint()? {
            partition if partition < u64::from(limits::PARTITIONS_MAX) => Ok(partition as u32),
            _ => self.fail("a partition is above 1023"),
        }
    }

    #[inline]
    pub fn sequence(&mut self) -> Result<u64, FrameError> {
        match self.varint()? {
            sequence if sequence < bounds::SEQUENCES => Ok(sequence),
            _ => self.fail("a sequence is not below 2^46"),
        }
    }

    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], FrameError> {
        let Some((taken, rest)) = self.rest.split_at_checked(count) else { return self.fail("it ends within a field") };
        self.rest = rest;
        Ok(taken)
    }

    /// Bytes behind their length.
    pub fn bytes(&mut self, bytes_max: usize) -> Result<&'a [u8], FrameError> {
        match self.varint()? {
            length if length <= bytes_max as u64 => self.take(length as usize),
            _ => self.fail("a text or a list is longer than it may be"),
        }
    }

    /// A text behind its length.
    pub fn text(&mut self, bytes_max: usize) -> Result<&'a str, FrameError> {
        let bytes = self.bytes(bytes_max)?;
        self.utf8(bytes)
    }

    fn utf8(&self, bytes: &'a [u8]) -> Result<&'a str, FrameError> {
        simdutf8::basic::from_utf8(bytes).or_else(|_| self.fail("a text is not UTF-8"))
    }

    /// All that is left, as bytes.
    pub fn all(&mut self, bytes_max: usize) -> Result<&'a [u8], FrameError> {
        if self.rest.len() > bytes_max {
            return self.fail("a field is longer than it may be");
        }
        Ok(std::mem::take(&mut self.rest))
    }

    /// All that is left, as a text.
    pub fn all_text(&mut self, bytes_max: usize) -> Result<&'a str, FrameError> {
        let bytes = self.all(bytes_max)?;
        self.utf8(bytes)
    }

    /// All that is left is one number.
    pub fn only_varint(&mut self) -> Result<u64, FrameError> {
        let value = self.varint()?;
        self.end()?;
        Ok(value)
    }

    /// The next optional field. Tags ascend; only those in `repeatable` come more than once.
    pub fn field(&mut self, repeatable: &[u64]) -> Result<Option<Tagged<'a>>, FrameError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let tag = self.varint()?;
        if tag < self.tag_min {
            return self.fail("tags do not ascend, or one comes twice");
        }
        let length = self.varint()?;
        let value = self.take(usize::try_from(length).unwrap_or(usize::MAX))?;
        self.tag_min = if repeatable.contains(&tag) { tag } else { tag + 1 };
        Ok(Some(Tagged { tag, value: Reader::new(self.kind, value) }))
    }

    /// Nothing may follow.
    #[inline]
    pub fn end(&self) -> Result<(), FrameError> {
        if self.rest.is_empty() { Ok(()) } else { self.fail("bytes follow its last field") }
    }
}

/// Appends bytes behind their length.
pub(super) fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    varint::put(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Appends an optional field.
pub(super) fn put_field(out: &mut Vec<u8>, tag: u64, value: Option<&[u8]>) {
    if let Some(value) = value {
        varint::put(out, tag);
        put_bytes(out, value);
    }
}

/// Appends an optional field that is a text; an empty one is left out.
pub(super) fn put_text(out: &mut Vec<u8>, tag: u64, text: &str) {
    put_field(out, tag, (!text.is_empty()).then_some(text.as_bytes()));
}

/// Appends an optional field that is a number.
pub(super) fn put_number(out: &mut Vec<u8>, tag: u64, value: Option<u64>) {
    if let Some(value) = value {
        varint::put(out, tag);
        varint::put(out, varint::len(value.min(varint::MAX)) as u64);
        varint::put(out, value);
    }
}
