//! Columns: one value per row and wanted field, as a tag and eight bytes. Text is not copied: a cell says where it lies.
//!
//! What always holds: a column has one tag and one value per row; what a value means depends on its tag alone; the span of a
//! [`Tag::Text`] lies in the batch that was read, that of a [`Tag::OwnText`] in the columns' own memory.

use super::ColumnId;

/// What a cell holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Tag {
    /// There is no value, or none that can be read.
    #[default]
    Undefined,
    /// The body can be read; the path leads nowhere in it.
    Missing,
    /// JSON `null`.
    Null,
    /// A property that is there without a value.
    NullText,
    /// `false`
    False,
    /// `true`
    True,
    /// A number: the bits of a double.
    Number,
    /// A number as it is written in the batch, in a column that [asks](super::Fields::add_digits) for it: a packed [`Span`].
    Digits,
    /// The same in [`Columns::own_text`].
    OwnDigits,
    /// Text in the batch: a packed [`Span`].
    Text,
    /// Text that had to be rewritten (escapes, another encoding): a packed [`Span`] into [`Columns::own_text`].
    OwnText,
    /// An array in the batch: its text, brackets included, as a packed [`Span`].
    Array,
    /// An array of a body in another encoding: its text in [`Columns::own_text`].
    OwnArray,
    /// An object: the number of its members.
    Object,
}

/// A piece of text: where it starts and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Number of bytes.
    pub len: u32,
}

impl Span {
    /// As a cell's value.
    #[inline]
    pub fn pack(self) -> u64 {
        u64::from(self.start) | u64::from(self.len) << 32
    }

    /// From a cell's value.
    #[inline]
    pub fn unpack(value: u64) -> Self {
        Self { start: value as u32, len: (value >> 32) as u32 }
    }

    /// The bytes.
    #[inline]
    pub fn of(self, bytes: &[u8]) -> &[u8] {
        &bytes[self.start as usize..self.start as usize + self.len as usize]
    }
}

/// Cells of one batch, column by column. The memory is used again for the next batch.
#[derive(Debug, Default)]
pub struct Columns {
    rows: usize,
    /// Distance of two columns: the rows rounded up to whole words of a bitmap.
    stride: usize,
    tags: Vec<Tag>,
    values: Vec<u64>,
    own_text: Vec<u8>,
}

impl Columns {
    /// Makes room for so many rows and columns. What the cells hold afterwards is left over: see [`fill`](Self::fill).
    pub fn reset(&mut self, rows: usize, columns: usize) {
        self.rows = rows;
        self.stride = rows.next_multiple_of(64);
        let cells = self.stride * columns;
        if self.tags.len() < cells {
            self.tags.resize(cells, Tag::Undefined);
            self.values.resize(cells, 0);
        }
        self.own_text.clear();
    }

    /// Sets all cells of a column to `tag`.
    pub fn fill(&mut self, column: ColumnId, tag: Tag) {
        let start = column as usize * self.stride;
        self.tags[start..start + self.stride].fill(tag);
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Tags of a column, one per row, rounded up to whole words of 64.
    #[inline]
    pub fn tags(&self, column: ColumnId) -> &[Tag] {
        let start = column as usize * self.stride;
        &self.tags[start..start + self.stride]
    }

    /// Values of a column.
    #[inline]
    pub fn values(&self, column: ColumnId) -> &[u64] {
        let start = column as usize * self.stride;
        &self.values[start..start + self.stride]
    }

    /// Tags of a column, its values to be changed, and the columns' own text: for who turns values into others of its own.
    pub fn split_mut(&mut self, column: ColumnId) -> (&[Tag], &mut [u64], &[u8]) {
        let start = column as usize * self.stride;
        let cells = start..start + self.stride;
        (&self.tags[cells.clone()], &mut self.values[cells], &self.own_text)
    }

    /// One cell.
    #[inline]
    pub fn cell(&self, column: ColumnId, row: usize) -> (Tag, u64) {
        let at = column as usize * self.stride + row;
        (self.tags[at], self.values[at])
    }

    /// Sets one cell.
    #[inline]
    pub fn set(&mut self, column: ColumnId, row: usize, tag: Tag, value: u64) {
        let at = column as usize * self.stride + row;
        self.tags[at] = tag;
        self.values[at] = value;
    }

    /// Sets the tag of a cell; the number of the cell, for its value.
    #[inline]
    pub(super) fn set_tag(&mut self, column: ColumnId, row: usize, tag: Tag) -> u32 {
        let at = column as usize * self.stride + row;
        self.tags[at] = tag;
        at as u32
    }

    /// Sets the value of a cell by its number.
    #[inline]
    pub(super) fn set_value(&mut self, cell: u32, value: u64) {
        self.values[cell as usize] = value;
    }

    /// Text that does not lie in the batch.
    #[inline]
    pub fn own_text(&self) -> &[u8] {
        &self.own_text
    }

    /// Adds to it.
    pub fn own_text_mut(&mut self) -> &mut Vec<u8> {
        &mut self.own_text
    }

    /// The text of a cell, or its digits, of the batch `bytes`; `None` if it is neither.
    #[inline]
    pub fn text<'b>(&'b self, tag: Tag, value: u64, bytes: &'b [u8]) -> Option<&'b [u8]> {
        match tag {
            Tag::Text | Tag::Digits => Some(Span::unpack(value).of(bytes)),
            Tag::OwnText | Tag::OwnDigits => Some(Span::unpack(value).of(&self.own_text)),
            _ => None,
        }
    }
}
