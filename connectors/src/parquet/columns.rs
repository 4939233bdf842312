//! Typed vectors that grow row by row and become Arrow arrays without another copy.
//!
//! What always holds: the values and their validity have one entry per row, null or not. Setting a value in a row that is there
//! already takes back that row and all behind it first: so the last value counts, and a row can be taken back whole.

mod bytes;

use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::types::{
    Date32Type, Decimal128Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, UInt64Type,
};
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, ListArray, PrimitiveArray, StringArray};
use arrow_buffer::{BooleanBuffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{DataType, TimeUnit};

use self::bytes::Bytes;
use super::types::ColumnType;

/// The values of a column.
#[derive(Debug)]
enum Values {
    Bool(Vec<bool>),
    /// Whole numbers and days.
    I32(Vec<i32>),
    /// Whole numbers and instants.
    I64(Vec<i64>),
    U64(Vec<u64>),
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// Decimals.
    I128(Vec<i128>),
    /// Text and bytes.
    Bytes(Bytes),
    List(Box<Items>),
}

/// The items of all rows, one behind the other.
#[derive(Debug)]
struct Items {
    ends: Vec<i32>,
    items: ColumnBuilder,
}

/// A column that is being filled.
#[derive(Debug)]
pub struct ColumnBuilder {
    values: Values,
    data_type: DataType,
    valid: Vec<bool>,
    nulls: usize,
    /// Rows and bytes of the last array: the room that the next one starts with, so that it does not grow into it step by step.
    rows_hint: usize,
    bytes_hint: usize,
}

macro_rules! setter {
    ($name:ident, $variant:ident, $type:ty, $what:literal) => {
        #[doc = $what]
        #[inline]
        pub fn $name(&mut self, row: usize, value: $type) {
            self.open(row);
            if let Values::$variant(values) = &mut self.values {
                values.push(value);
                self.valid.push(true);
            }
        }
    };
}

impl ColumnBuilder {
    /// An empty column.
    pub fn new(r#type: &ColumnType) -> Self {
        let values = match r#type {
            ColumnType::Bool => Values::Bool(Vec::new()),
            ColumnType::Int32 | ColumnType::Date => Values::I32(Vec::new()),
            ColumnType::Int64 | ColumnType::Timestamp(_) => Values::I64(Vec::new()),
            ColumnType::Uint64 => Values::U64(Vec::new()),
            ColumnType::Float32 => Values::F32(Vec::new()),
            ColumnType::Float64 => Values::F64(Vec::new()),
            ColumnType::Decimal(..) => Values::I128(Vec::new()),
            ColumnType::String | ColumnType::Json | ColumnType::Binary => Values::Bytes(Bytes::default()),
            ColumnType::List(item) => Values::List(Box::new(Items { ends: vec![0], items: Self::new(item) })),
        };
        Self { values, data_type: r#type.arrow(), valid: Vec::new(), nulls: 0, rows_hint: 0, bytes_hint: 0 }
    }

    /// Rows that are there.
    #[inline]
    pub fn rows(&self) -> usize {
        self.valid.len()
    }

    /// Bytes in memory.
    pub fn byte_len(&self) -> usize {
        self.valid.len()
            + match &self.values {
                Values::Bool(values) => values.len(),
                Values::I32(values) => values.len() * 4,
                Values::I64(values) => values.len() * 8,
                Values::U64(values) => values.len() * 8,
                Values::F32(values) => values.len() * 4,
                Values::F64(values) => values.len() * 8,
                Values::I128(values) => values.len() * 16,
                Values::Bytes(bytes) => bytes.byte_len(),
                Values::List(list) => list.ends.len() * 4 + list.items.byte_len(),
            }
    }

    /// Makes room for as much as the last array held.
    pub fn reserve(&mut self) {
        let rows = self.rows_hint;
        self.valid.reserve(rows);
        match &mut self.values {
            Values::Bool(values) => values.reserve(rows),
            Values::I32(values) => values.reserve(rows),
            Values::I64(values) => values.reserve(rows),
            Values::U64(values) => values.reserve(rows),
            Values::F32(values) => values.reserve(rows),
            Values::F64(values) => values.reserve(rows),
            Values::I128(values) => values.reserve(rows),
            Values::Bytes(bytes) => bytes.reserve(rows, self.bytes_hint),
            Values::List(list) => {
                list.ends.reserve(rows);
                list.items.reserve();
            }
        }
    }

    /// Takes rows back from `row` on.
    #[inline(always)]
    fn open(&mut self, row: usize) {
        debug_assert!(self.valid.len() >= row, "a row was left out");
        if self.valid.len() != row {
            self.truncate(row);
        }
    }

    /// Takes rows back, so that `rows` are left.
    #[cold]
    pub fn truncate(&mut self, rows: usize) {
        if self.valid.len() <= rows {
            return;
        }
        self.nulls -= self.valid[rows..].iter().filter(|valid| !**valid).count();
        self.valid.truncate(rows);
        match &mut self.values {
            Values::Bool(values) => values.truncate(rows),
            Values::I32(values) => values.truncate(rows),
            Values::I64(values) => values.truncate(rows),
            Values::U64(values) => values.truncate(rows),
            Values::F32(values) => values.truncate(rows),
            Values::F64(values) => values.truncate(rows),
            Values::I128(values) => values.truncate(rows),
            Values::Bytes(bytes) => bytes.truncate(rows),
            Values::List(list) => {
                list.ends.truncate(rows + 1);
                list.items.truncate(list.ends[rows] as usize);
            }
        }
    }

    setter!(set_bool, Bool, bool, "Sets a boolean.");
    setter!(set_i32, I32, i32, "Sets a number or a day.");
    setter!(set_i64, I64, i64, "Sets a number or an instant.");
    setter!(set_u64, U64, u64, "Sets a number.");
    setter!(set_f32, F32, f32, "Sets a number.");
    setter!(set_f64, F64, f64, "Sets a number.");
    setter!(set_i128, I128, i128, "Sets a decimal's digits.");

    /// Sets text or bytes.
    #[inline]
    pub fn set_bytes(&mut self, row: usize, value: &[u8]) {
        self.open(row);
        if let Values::Bytes(bytes) = &mut self.values {
            bytes.push(value);
            self.valid.push(true);
        }
    }

    /// Sets a list, item by item: `fill` gets the items' column and the row at which they begin. What it refuses is not there.
    pub fn set_list<E>(
        &mut self,
        row: usize,
        fill: impl FnOnce(&mut ColumnBuilder, usize) -> Result<(), E>,
    ) -> Result<(), E> {
        self.open(row);
        let Values::List(list) = &mut self.values else { return Ok(()) };
        let start = list.items.rows();
        let filled = fill(&mut list.items, start);
        match filled {
            Ok(()) => {
                list.ends.push(list.items.rows() as i32);
                self.valid.push(true);
            }
            Err(_) => list.items.truncate(start),
        }
        filled
    }

    /// Appends a list of values as bits, as [`extend_bits`](Self::extend_bits) does.
    pub fn push_list(&mut self, values: &[u64], filled: &[u8]) {
        let Values::List(list) = &mut self.values else { return };
        list.items.extend_bits(values, filled);
        list.ends.push(list.items.rows() as i32);
        self.valid.push(true);
    }

    /// The row is over: null unless it was set.
    #[inline]
    pub fn end_row(&mut self, row: usize) {
        if self.valid.len() == row {
            self.push_null();
        }
    }

    fn push_null(&mut self) {
        self.valid.push(false);
        self.nulls += 1;
        match &mut self.values {
            Values::Bool(values) => values.push(false),
            Values::I32(values) => values.push(0),
            Values::I64(values) => values.push(0),
            Values::U64(values) => values.push(0),
            Values::F32(values) => values.push(0.0),
            Values::F64(values) => values.push(0.0),
            Values::I128(values) => values.push(0),
            Values::Bytes(bytes) => bytes.push(b""),
            Values::List(list) => list.ends.push(list.items.rows() as i32),
        }
    }

    /// Appends values as bits, with zeros and ones that say which of them are there.
    pub fn extend_bits(&mut self, values: &[u64], filled: &[u8]) {
        match &mut self.values {
            Values::Bool(to) => to.extend(values.iter().map(|bits| *bits != 0)),
            Values::I32(to) => to.extend(values.iter().map(|bits| *bits as i32)),
            Values::I64(to) => to.extend(values.iter().map(|bits| *bits as i64)),
            Values::U64(to) => to.extend_from_slice(values),
            Values::F32(to) => to.extend(values.iter().map(|bits| f32::from_bits(*bits as u32))),
            Values::F64(to) => to.extend(values.iter().map(|bits| f64::from_bits(*bits))),
            Values::I128(_) | Values::Bytes(_) | Values::List(_) => return,
        }
        self.nulls += filled.iter().filter(|filled| **filled == 0).count();
        self.valid.extend(filled.iter().map(|filled| *filled != 0));
    }

    /// Appends texts that lie in `bytes`, or elsewhere, with zeros and ones that say which of them are there; the others are empty.
    pub fn extend_texts<'t>(&mut self, texts: impl Iterator<Item = &'t [u8]> + Clone, filled: &[u8], bytes: &[u8]) {
        let Values::Bytes(values) = &mut self.values else { return };
        values.extend_of(texts, bytes);
        self.nulls += filled.iter().filter(|filled| **filled == 0).count();
        self.valid.extend(filled.iter().map(|filled| *filled != 0));
    }

    /// Appends rows without a value.
    pub fn extend_nulls(&mut self, rows: usize) {
        self.nulls += rows;
        let all = self.valid.len() + rows;
        self.valid.resize(all, false);
        match &mut self.values {
            Values::Bool(values) => values.resize(all, false),
            Values::I32(values) => values.resize(all, 0),
            Values::I64(values) => values.resize(all, 0),
            Values::U64(values) => values.resize(all, 0),
            Values::F32(values) => values.resize(all, 0.0),
            Values::F64(values) => values.resize(all, 0.0),
            Values::I128(values) => values.resize(all, 0),
            Values::Bytes(bytes) => bytes.pad(all),
            Values::List(list) => list.ends.resize(all + 1, list.items.rows() as i32),
        }
    }

    /// Appends what `from`, a column of the same type, has in its row `at`.
    pub fn copy(&mut self, from: &Self, at: usize) {
        if !from.valid[at] {
            return self.end_row(self.rows());
        }
        match (&mut self.values, &from.values) {
            (Values::Bool(to), Values::Bool(from)) => to.push(from[at]),
            (Values::I32(to), Values::I32(from)) => to.push(from[at]),
            (Values::I64(to), Values::I64(from)) => to.push(from[at]),
            (Values::U64(to), Values::U64(from)) => to.push(from[at]),
            (Values::F32(to), Values::F32(from)) => to.push(from[at]),
            (Values::F64(to), Values::F64(from)) => to.push(from[at]),
            (Values::I128(to), Values::I128(from)) => to.push(from[at]),
            (Values::Bytes(to), Values::Bytes(from)) => to.push(from.of(at)),
            (Values::List(to), Values::List(from)) => {
                for item in from.ends[at]..from.ends[at + 1] {
                    to.items.copy(&from.items, item as usize);
                }
                to.ends.push(to.items.rows() as i32);
            }
            _ => return,
        }
        self.valid.push(true);
    }

    /// The column as an array; the builder is empty afterwards.
    pub fn finish(&mut self) -> ArrayRef {
        self.rows_hint = self.valid.len();
        let valid = std::mem::take(&mut self.valid);
        let nulls = match std::mem::take(&mut self.nulls) {
            0 => None,
            // As the columns for what fits nowhere most often are.
            all if all == valid.len() => Some(NullBuffer::new_null(all)),
            _ => Some(NullBuffer::from(valid)),
        };
        let data_type = &self.data_type;
        match &mut self.values {
            Values::Bool(values) => Arc::new(BooleanArray::new(BooleanBuffer::from(std::mem::take(values)), nulls)),
            Values::I32(values) => match data_type {
                DataType::Date32 => primitive::<Date32Type>(values, nulls, data_type),
                _ => primitive::<Int32Type>(values, nulls, data_type),
            },
            Values::I64(values) => match data_type {
                DataType::Timestamp(TimeUnit::Millisecond, _) => {
                    primitive::<TimestampMillisecondType>(values, nulls, data_type)
                }
                DataType::Timestamp(TimeUnit::Microsecond, _) => {
                    primitive::<TimestampMicrosecondType>(values, nulls, data_type)
                }
                DataType::Timestamp(TimeUnit::Nanosecond, _) => {
                    primitive::<TimestampNanosecondType>(values, nulls, data_type)
                }
                _ => primitive::<Int64Type>(values, nulls, data_type),
            },
            Values::U64(values) => primitive::<UInt64Type>(values, nulls, data_type),
            Values::F32(values) => primitive::<Float32Type>(values, nulls, data_type),
            Values::F64(values) => primitive::<Float64Type>(values, nulls, data_type),
            Values::I128(values) => primitive::<Decimal128Type>(values, nulls, data_type),
            Values::Bytes(bytes) => {
                self.bytes_hint = bytes.data_len();
                let (offsets, data) = bytes.take();
                match data_type {
                    DataType::Binary => Arc::new(BinaryArray::new(offsets, data, nulls)),
                    _ => Arc::new(StringArray::new(offsets, data, nulls)),
                }
            }
            Values::List(list) => {
                let ends = std::mem::replace(&mut list.ends, vec![0]);
                let items = list.items.finish();
                let DataType::List(field) = data_type else { unreachable!("lists have the type of a list") };
                Arc::new(ListArray::new(field.clone(), OffsetBuffer::new(ScalarBuffer::from(ends)), items, nulls))
            }
        }
    }
}

fn primitive<T: ArrowPrimitiveType>(
    values: &mut Vec<T::Native>,
    nulls: Option<NullBuffer>,
    data_type: &DataType,
) -> ArrayRef {
    let values = ScalarBuffer::from(std::mem::take(values));
    Arc::new(PrimitiveArray::<T>::new(values, nulls).with_data_type(data_type.clone()))
}
