//! Takes values from the front of a packet's body. Nothing is read beyond its end; what is missing is a malformed packet.

use super::{DecodeError, text};

const ENDS: DecodeError = DecodeError::malformed("the packet ends within a field");

#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Reader { rest: bytes }
    }

    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// What was not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    #[inline]
    pub fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or(ENDS)?;
        self.rest = rest;
        Ok(taken)
    }

    #[inline]
    pub fn byte(&mut self) -> Result<u8, DecodeError> {
        let (&byte, rest) = self.rest.split_first().ok_or(ENDS)?;
        self.rest = rest;
        Ok(byte)
    }

    #[inline]
    pub fn two(&mut self) -> Result<u16, DecodeError> {
        let (&bytes, rest) = self.rest.split_first_chunk::<2>().ok_or(ENDS)?;
        self.rest = rest;
        Ok(u16::from_be_bytes(bytes))
    }

    #[inline]
    pub fn four(&mut self) -> Result<u32, DecodeError> {
        let (&bytes, rest) = self.rest.split_first_chunk::<4>().ok_or(ENDS)?;
        self.rest = rest;
        Ok(u32::from_be_bytes(bytes))
    }

    /// A variable byte integer inside a packet: only MQTT 5 has these, so the shortest form is demanded.
    #[inline]
    pub fn varint(&mut self) -> Result<u32, DecodeError> {
        let mut value = 0;
        for index in 0..4 {
            let byte = self.byte()?;
            value |= u32::from(byte & 0x7F) << (7 * index);
            if byte & 0x80 == 0 {
                if byte == 0 && index > 0 {
                    return Err(DecodeError::malformed("a variable byte integer is longer than it needs to be"));
                }
                return Ok(value);
            }
        }
        Err(DecodeError::malformed("a variable byte integer has more than four bytes"))
    }

    #[inline]
    pub fn binary(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.two()?;
        self.take(usize::from(length))
    }

    #[inline]
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        text::text(self.binary()?)
    }

    /// A property list without its length.
    #[inline]
    pub fn properties(&mut self) -> Result<&'a [u8], DecodeError> {
        let length = self.varint()?;
        self.take(length as usize)
    }

    #[inline]
    pub fn packet_id(&mut self) -> Result<u16, DecodeError> {
        match self.two()? {
            0 => Err(DecodeError::protocol("packet identifier 0 is not allowed")),
            id => Ok(id),
        }
    }

    /// Nothing may follow.
    #[inline]
    pub fn end(&self) -> Result<(), DecodeError> {
        if self.rest.is_empty() { Ok(()) } else { Err(DecodeError::malformed("bytes follow the packet's last field")) }
    }
}
