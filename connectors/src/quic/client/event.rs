//! An event that is to be published.

use engine::batch::HeaderWriter;
use engine::event::{put_attribute, put_property};

/// An event to publish: data, a key, and what stands beside the data. Can be published again, and changed in between.
#[derive(Debug, Default)]
pub struct NewEvent {
    pub(super) key: Option<Vec<u8>>,
    pub(super) data: Vec<u8>,
    pub(super) headers: HeaderWriter,
}

impl NewEvent {
    /// With this data, no key and nothing beside.
    pub fn new(data: impl Into<Vec<u8>>) -> Self {
        Self { key: None, data: data.into(), headers: HeaderWriter::default() }
    }

    /// Made of parts; the headers are those of the log.
    pub fn of_parts(key: Option<&[u8]>, data: &[u8], headers: HeaderWriter) -> Self {
        Self { key: key.map(<[u8]>::to_vec), data: data.to_vec(), headers }
    }

    /// Events with the same key come into the same partition and keep their order there.
    pub fn key(mut self, key: impl Into<Vec<u8>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// A CloudEvents attribute or extension, such as `type`, `source`, `subject`, `datacontenttype`; each name once, in lower case.
    pub fn attribute(mut self, name: &str, value: &str) -> Self {
        put_attribute(&mut self.headers, name, value);
        self
    }

    /// An application property; each name once.
    pub fn property(mut self, name: &str, value: &[u8]) -> Self {
        put_property(&mut self.headers, name, Some(value));
        self
    }

    /// Key, data and headers in bytes.
    pub fn byte_len(&self) -> usize {
        self.key.as_ref().map_or(0, Vec::len) + self.data.len() + self.headers.byte_len()
    }
}
