//! The row group that is being written: an encoder of our own for each flat column, the crate's for all others.

use std::io::Write;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema, TimeUnit};
use parquet::arrow::arrow_writer::{ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnDescPtr;

use super::booleans::Booleans;
use super::chunk::PageRoom;
use super::codec;
use super::column::{Column, ColumnEncoder};
use super::numbers::Numbers;
use super::texts::Texts;
use crate::parquet::config::ParquetConfig;

/// See the module.
pub struct RowGroup {
    columns: Vec<AnyColumn>,
    room: PageRoom,
    codec: Compression,
    factory: ArrowRowGroupWriterFactory,
    rows: usize,
    number: usize,
}

/// A column of the batches.
enum AnyColumn {
    Own(Box<dyn ColumnEncoder>),
    /// By the crate: its leaves, and their writers since the row group began.
    Theirs {
        leaves: std::ops::Range<usize>,
        writers: Vec<ArrowColumnWriter>,
    },
}

/// An encoder of our own, if there is one for values of this type.
fn own(r#type: &DataType, column: ColumnDescPtr, has_bloom: bool) -> Option<Box<dyn ColumnEncoder>> {
    Some(match r#type {
        DataType::Boolean => Box::new(Column::new(Booleans::default(), column, has_bloom)),
        DataType::Int32 | DataType::Date32 => Box::new(Column::new(Numbers::<i32>::default(), column, has_bloom)),
        DataType::Int64
        | DataType::Timestamp(TimeUnit::Millisecond | TimeUnit::Microsecond | TimeUnit::Nanosecond, _) => {
            Box::new(Column::new(Numbers::<i64>::default(), column, has_bloom))
        }
        DataType::UInt64 => Box::new(Column::new(Numbers::<u64>::default(), column, has_bloom)),
        DataType::Float32 => Box::new(Column::new(Numbers::<f32>::default(), column, has_bloom)),
        DataType::Float64 => Box::new(Column::new(Numbers::<f64>::default(), column, has_bloom)),
        DataType::Utf8 | DataType::Binary => Box::new(Column::new(Texts::default(), column, has_bloom)),
        _ => return None,
    })
}

impl RowGroup {
    /// The first one of a file with these columns, whose pages are made in `room`.
    pub fn new<W: Write + Send>(
        config: &ParquetConfig,
        room: PageRoom,
        schema: &Schema,
        file: &SerializedFileWriter<W>,
        factory: ArrowRowGroupWriterFactory,
    ) -> Result<Self, ParquetError> {
        let described = file.schema_descr();
        let mut columns = Vec::with_capacity(schema.fields().len());
        let mut first = 0;
        for (at, field) in schema.fields().iter().enumerate() {
            let count =
                (first..described.num_columns()).take_while(|leaf| described.get_column_root_idx(*leaf) == at).count();
            let has_bloom = config.bloom.contains(field.name());
            let leaves = first..first + count;
            first = leaves.end;
            let own =
                described.columns().get(leaves.start).and_then(|leaf| own(field.data_type(), leaf.clone(), has_bloom));
            columns.push(own.map_or(AnyColumn::Theirs { leaves, writers: Vec::new() }, AnyColumn::Own));
        }
        Ok(Self { columns, room, codec: codec::name(config), factory, rows: 0, number: 0 })
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes in memory, those that wait to be filled among them.
    pub fn memory_bytes(&self) -> usize {
        let of = |column: &AnyColumn| match column {
            AnyColumn::Own(own) => own.memory_bytes(),
            AnyColumn::Theirs { writers, .. } => writers.iter().map(ArrowColumnWriter::memory_size).sum(),
        };
        self.columns.iter().map(of).sum()
    }

    /// Bytes that it would have if it ended here, roughly.
    pub fn encoded_bytes(&self) -> usize {
        let of = |column: &AnyColumn| match column {
            AnyColumn::Own(own) => own.encoded_bytes(),
            AnyColumn::Theirs { writers, .. } => writers.iter().map(ArrowColumnWriter::get_estimated_total_bytes).sum(),
        };
        self.columns.iter().map(of).sum()
    }

    /// Begins the columns of the crate, whose writers are made for one row group.
    fn begin(&mut self) -> Result<(), ParquetError> {
        if !self.columns.iter().any(|column| matches!(column, AnyColumn::Theirs { .. })) {
            return Ok(());
        }
        let mut made = self.factory.create_column_writers(self.number)?.into_iter().map(Some).collect::<Vec<_>>();
        for column in &mut self.columns {
            if let AnyColumn::Theirs { leaves, writers } = column {
                *writers = made[leaves.clone()].iter_mut().filter_map(Option::take).collect();
            }
        }
        Ok(())
    }

    /// Appends rows.
    pub fn write(&mut self, rows: &RecordBatch) -> Result<(), ParquetError> {
        if self.rows == 0 {
            self.begin()?;
        }
        let schema = rows.schema_ref();
        let mut shared = self.room.enter(self.codec)?;
        for ((column, array), field) in self.columns.iter_mut().zip(rows.columns()).zip(schema.fields()) {
            match column {
                AnyColumn::Own(own) => own.write(array, &mut shared)?,
                AnyColumn::Theirs { writers, .. } => {
                    for (writer, leaf) in writers.iter_mut().zip(compute_leaves(field, array)?) {
                        writer.write(&leaf)?;
                    }
                }
            }
        }
        self.rows += rows.num_rows();
        Ok(())
    }

    /// Writes it to the file, and begins the next one.
    pub fn close<W: Write + Send>(&mut self, file: &mut SerializedFileWriter<W>) -> Result<(), ParquetError> {
        let mut group = file.next_row_group()?;
        let mut shared = self.room.enter(self.codec)?;
        for column in &mut self.columns {
            match column {
                AnyColumn::Own(own) => {
                    let (bytes, close) = own.close(&mut shared)?;
                    group.append_column(&bytes, close)?;
                }
                AnyColumn::Theirs { writers, .. } => {
                    for writer in writers.drain(..) {
                        writer.close()?.append_to_row_group(&mut group)?;
                    }
                }
            }
        }
        group.close()?;
        shared.release();
        self.rows = 0;
        self.number += 1;
        Ok(())
    }
}
