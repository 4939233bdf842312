//! A borrowed view of one row: nothing is copied, nothing allocated; a look-up walks the event's few headers.

use super::vocabulary::{
    APP_PREFIX, CE_PREFIX, CONTENT_TYPE, DEFAULT_SOURCE, DEFAULT_TYPE, MESSAGE_SOURCE, SystemProperty, is_reserved,
};
use crate::batch::{Batch, Row, SparseBatch};

/// An application property as a look-up finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Property<'a> {
    /// No such property.
    Absent,
    /// It is there without a value (MQTT: a key with no `=`), or its bytes are not UTF-8.
    Null,
    /// Its value.
    Text(&'a str),
}

/// One event of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Event<'a> {
    bytes: &'a [u8],
    row: &'a Row,
    partition: u32,
    offset: u64,
}

impl<'a> Event<'a> {
    /// The event at `index` of the batch.
    ///
    /// # Panics
    /// If the batch has no such row.
    #[inline]
    pub fn new(batch: &'a Batch, index: usize) -> Self {
        Self {
            bytes: batch.bytes(),
            row: &batch.rows()[index],
            partition: batch.partition(),
            offset: batch.base_offset() + index as u64,
        }
    }

    /// Its partition.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// Its offset in the partition.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// When it was accepted, in milliseconds since the Unix epoch.
    pub fn timestamp_ms(&self) -> i64 {
        self.row.timestamp_ms
    }

    /// Partition key.
    pub fn key(&self) -> Option<&'a [u8]> {
        self.row.key.of(self.bytes)
    }

    /// The data; `None` where the event has none.
    pub fn data(&self) -> Option<&'a [u8]> {
        self.row.value.of(self.bytes)
    }

    /// All headers as stored.
    pub fn headers(&self) -> Headers<'a> {
        let bytes = self.row.headers.of(self.bytes).unwrap_or(&[]);
        Headers { bytes, at: 0, left: self.row.header_count }
    }

    /// The value of the header with exactly this name; inner `None` is a null value.
    pub fn header(&self, name: &str) -> Option<Option<&'a [u8]>> {
        self.headers().raw().find(|(found, _)| *found == name.as_bytes()).map(|(_, value)| value)
    }

    fn header_text(&self, name: &str) -> Option<&'a str> {
        std::str::from_utf8(self.header(name)??).ok()
    }

    /// It came by the IoT Hub profile: system properties are what was sent, nothing is implied.
    pub fn is_iothub(&self) -> bool {
        self.header(MESSAGE_SOURCE).is_some()
    }

    /// Media type of the data; `application/json` where it is implied.
    pub fn content_type(&self) -> Option<&'a str> {
        match self.header_text(CONTENT_TYPE) {
            Some(text) => Some(text),
            None if self.is_iothub() => None,
            None => Some("application/json"),
        }
    }

    /// A stored CloudEvents attribute or extension, `datacontenttype` included, or its default where that is a fixed text.
    /// `id` and `time` have defaults that depend on offset and timestamp: see [`id`](Self::id) and
    /// [`timestamp_ms`](Self::timestamp_ms).
    pub fn attribute(&self, name: &str) -> Option<&'a str> {
        if name == "datacontenttype" {
            return self.content_type();
        }
        let stored = self.headers().raw().find_map(|(found, value)| {
            let attribute = found.strip_prefix(CE_PREFIX.as_bytes())?;
            (attribute == name.as_bytes()).then(|| value.and_then(|value| std::str::from_utf8(value).ok()))
        });
        match (stored, name) {
            (Some(text), _) => text,
            (None, "specversion") => Some("1.0"),
            (None, "source") => Some(DEFAULT_SOURCE),
            (None, "type") => Some(DEFAULT_TYPE),
            (None, _) => None,
        }
    }

    /// All stored CloudEvents attributes and extensions but `datacontenttype`, in stored order.
    pub fn attributes(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.headers()
            .filter_map(|(name, value)| Some((name.strip_prefix(CE_PREFIX)?, std::str::from_utf8(value?).ok()?)))
    }

    /// The event's `id`: as sent, or `{partition}-{offset}` written into `room`.
    pub fn id<'b>(&self, room: &'b mut String) -> &'b str
    where
        'a: 'b,
    {
        use std::fmt::Write;
        match self.attribute("id") {
            Some(id) => id,
            None => {
                room.clear();
                write!(room, "{}-{}", self.partition, self.offset).expect("writing to a string");
                room
            }
        }
    }

    /// An application property; names compare without case (sheet `iothub-and-twins.md` 1.2).
    pub fn property(&self, name: &str) -> Property<'a> {
        let found = self.headers().raw().find(|(found, _)| match found.strip_prefix(APP_PREFIX.as_bytes()) {
            Some(own) => own.eq_ignore_ascii_case(name.as_bytes()),
            None => found.eq_ignore_ascii_case(name.as_bytes()) && !is_reserved(name),
        });
        match found {
            None => Property::Absent,
            Some((_, value)) => {
                value.and_then(|value| std::str::from_utf8(value).ok()).map_or(Property::Null, Property::Text)
            }
        }
    }

    /// All application properties under their own names.
    pub fn properties(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        self.headers().filter_map(|(name, value)| match name.strip_prefix(APP_PREFIX) {
            Some(own) => Some((own, value)),
            None => (!is_reserved(name)).then_some((name, value)),
        })
    }

    /// A system property of the IoT Hub profile as stored, or as implied for events that did not come by it.
    /// `enqueuedTime` is not stored: use [`timestamp_ms`](Self::timestamp_ms).
    pub fn system(&self, property: SystemProperty) -> Option<&'a str> {
        match property.header {
            CONTENT_TYPE => self.content_type(),
            super::CONTENT_ENCODING => match self.header_text(super::CONTENT_ENCODING) {
                None if !self.is_iothub() && self.header(CONTENT_TYPE).is_none() => Some("utf-8"),
                stored => stored,
            },
            super::DEVICE_ID => self.header_text(super::DEVICE_ID).or_else(|| std::str::from_utf8(self.key()?).ok()),
            header => self.header_text(header),
        }
    }
}

impl SparseBatch {
    /// Its events in offset order.
    pub fn events(&self) -> impl ExactSizeIterator<Item = Event<'_>> {
        let (partition, rows) = self.places();
        let bytes = self.own_bytes();
        rows.map(move |(row, offset)| Event { bytes, row, partition, offset })
    }
}

/// Walks the headers of one event. Decoding has checked the lengths, so it ends only at their end.
#[derive(Clone, Debug)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    at: usize,
    left: u32,
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let name = self.part()??;
        let value = self.part()?;
        Some((std::str::from_utf8(name).ok()?, value))
    }
}

impl<'a> Headers<'a> {
    /// With the names as bytes: for a look that compares them, which is not to pay for each being text.
    pub fn raw(mut self) -> impl Iterator<Item = (&'a [u8], Option<&'a [u8]>)> {
        std::iter::from_fn(move || {
            self.left = self.left.checked_sub(1)?;
            let name = self.part()??;
            Some((name, self.part()?))
        })
    }

    #[inline]
    fn part(&mut self) -> Option<Option<&'a [u8]>> {
        let len = crate::batch::read_varint(self.bytes, &mut self.at)?;
        if len < 0 {
            return Some(None);
        }
        let part = self.bytes.get(self.at..self.at + len as usize)?;
        self.at += len as usize;
        Some(Some(part))
    }
}
