//! Typed vectors that grow row by row and become Arrow arrays without another copy.
//!
//! A value may be set again in the row that is open: of duplicate members the last one counts.

use std::sync::Arc;

use arrow_array::{
    ArrayRef, BinaryArray, BooleanArray, Float64Array, Int64Array, StringArray, TimestampMillisecondArray,
};
use arrow_buffer::{BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};

/// The values of a column.
#[derive(Debug)]
pub enum Values {
    Bool(Vec<bool>),
    Int64(Vec<i64>),
    Float64(Vec<f64>),
    TimestampMs(Vec<i64>),
    String(Bytes),
    Binary(Bytes),
}

/// Values of varying length, one behind the other.
#[derive(Debug)]
pub struct Bytes {
    ends: Vec<i32>,
    data: Vec<u8>,
}

impl Default for Bytes {
    fn default() -> Self {
        Self { ends: vec![0], data: Vec::new() }
    }
}

impl Bytes {
    /// Appends the value of a row, or replaces it if the row has one.
    fn set(&mut self, row: usize, value: &[u8]) {
        if self.ends.len() == row + 2 {
            self.ends.pop();
            self.data.truncate(self.ends[row] as usize);
        }
        self.data.extend_from_slice(value);
        self.ends.push(self.data.len() as i32);
    }

    fn rows(&self) -> usize {
        self.ends.len() - 1
    }

    fn take(&mut self) -> (OffsetBuffer<i32>, Buffer) {
        let taken = std::mem::take(self);
        (OffsetBuffer::new(ScalarBuffer::from(taken.ends)), Buffer::from_vec(taken.data))
    }
}

/// A column that is being filled.
#[derive(Debug)]
pub struct ColumnBuilder {
    values: Values,
    valid: Vec<bool>,
    nulls: usize,
    /// Rows and bytes of the last array: the room that the next one starts with, so that it does not grow into it step by step.
    rows_hint: usize,
    bytes_hint: usize,
}

impl ColumnBuilder {
    pub fn new(values: Values) -> Self {
        Self { values, valid: Vec::new(), nulls: 0, rows_hint: 0, bytes_hint: 0 }
    }

    /// Bytes in memory.
    pub fn byte_len(&self) -> usize {
        self.valid.len()
            + match &self.values {
                Values::Bool(values) => values.len(),
                Values::Int64(values) | Values::TimestampMs(values) => values.len() * 8,
                Values::Float64(values) => values.len() * 8,
                Values::String(bytes) | Values::Binary(bytes) => bytes.data.len() + bytes.rows() * 4,
            }
    }

    /// Makes room for as much as the last array held.
    pub fn reserve(&mut self) {
        let rows = self.rows_hint;
        self.valid.reserve(rows);
        match &mut self.values {
            Values::Bool(values) => values.reserve(rows),
            Values::Int64(values) | Values::TimestampMs(values) => values.reserve(rows),
            Values::Float64(values) => values.reserve(rows),
            Values::String(bytes) | Values::Binary(bytes) => {
                bytes.ends.reserve(rows);
                bytes.data.reserve(self.bytes_hint);
            }
        }
    }

    #[inline]
    fn mark(&mut self, row: usize) {
        if self.valid.len() > row {
            self.nulls -= usize::from(!self.valid[row]);
            self.valid[row] = true;
        } else {
            self.valid.push(true);
        }
    }

    #[inline]
    pub fn set_bool(&mut self, row: usize, value: bool) {
        if let Values::Bool(values) = &mut self.values {
            values.truncate(row);
            values.push(value);
            self.mark(row);
        }
    }

    #[inline]
    pub fn set_i64(&mut self, row: usize, value: i64) {
        if let Values::Int64(values) | Values::TimestampMs(values) = &mut self.values {
            values.truncate(row);
            values.push(value);
            self.mark(row);
        }
    }

    #[inline]
    pub fn set_f64(&mut self, row: usize, value: f64) {
        if let Values::Float64(values) = &mut self.values {
            values.truncate(row);
            values.push(value);
            self.mark(row);
        }
    }

    #[inline]
    pub fn set_bytes(&mut self, row: usize, value: &[u8]) {
        if let Values::String(bytes) | Values::Binary(bytes) = &mut self.values {
            bytes.set(row, value);
            self.mark(row);
        }
    }

    /// The row is over: null unless it was set.
    #[inline]
    pub fn end_row(&mut self, row: usize) {
        if self.valid.len() > row {
            return;
        }
        self.valid.push(false);
        self.nulls += 1;
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::Int64(values) | Values::TimestampMs(values) => values.push(0),
            Values::Float64(values) => values.push(0.0),
            Values::String(bytes) | Values::Binary(bytes) => {
                debug_assert_eq!(bytes.rows(), row);
                bytes.ends.push(bytes.data.len() as i32);
            }
        }
    }

    /// The column as an array; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        self.rows_hint = self.valid.len();
        if let Values::String(bytes) | Values::Binary(bytes) = &self.values {
            self.bytes_hint = bytes.data.len();
        }
        let valid = std::mem::take(&mut self.valid);
        let nulls = (std::mem::take(&mut self.nulls) > 0).then(|| NullBuffer::from(valid));
        match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(values)), nulls)),
            Values::Int64(values) => Arc::new(Int64Array::new(std::mem::take(values).into(), nulls)),
            Values::Float64(values) => Arc::new(Float64Array::new(std::mem::take(values).into(), nulls)),
            Values::TimestampMs(values) => {
                Arc::new(TimestampMillisecondArray::new(std::mem::take(values).into(), nulls).with_timezone("UTC"))
            }
            Values::String(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(StringArray::new(offsets, data, nulls))
            }
            Values::Binary(bytes) => {
                let (offsets, data) = bytes.take();
                Arc::new(BinaryArray::new(offsets, data, nulls))
            }
        }
    }
}
