//! A column under way in a table: its values, what it takes, and what it is when it gets nothing.

use std::ops::Range;

use super::cells::Cells;
use super::columns::ColumnBuilder;
use super::declared::{OnMismatch, default_row};
use super::fit::Fit;
use super::schema::Column;
use super::types::ColumnType;

/// See the module.
#[derive(Debug)]
pub struct Slot {
    pub builder: ColumnBuilder,
    pub fit: Fit,
    pub name: String,
    /// It is never null.
    pub is_required: bool,
    /// One row of it.
    pub default: Option<ColumnBuilder>,
    /// An event whose value does not fit is refused.
    pub refuses: bool,
    pub is_learnt: bool,
}

impl Slot {
    /// An empty column.
    pub fn new(column: &Column) -> Self {
        let fit = column.fit();
        Self {
            builder: ColumnBuilder::new(&column.r#type),
            name: column.name.clone(),
            is_required: column.required,
            // Whoever declared or loaded it has checked it; what does not fit is no default.
            default: column.default.as_ref().and_then(|default| default_row(&fit, default).ok()),
            refuses: column.on_mismatch == OnMismatch::DeadLetter,
            is_learnt: column.learnt,
            fit,
        }
    }

    /// The row is over: its default or null, unless it was set.
    #[inline]
    pub fn end_row(&mut self, row: usize) {
        if self.builder.rows() == row {
            self.miss();
        }
    }

    /// Appends rows that are plain: `rows` of `cells`, whose column it is in a table.
    pub fn extend(&mut self, column: usize, cells: &Cells, rows: Range<usize>, bytes: &[u8]) {
        let filled = cells.filled(column, rows.clone());
        match &self.fit.r#type {
            ColumnType::String if self.default.is_none() => {
                self.builder.extend_texts(cells.texts(column, rows, bytes), filled, bytes);
            }
            ColumnType::String => {
                for (at, filled) in rows.zip(filled) {
                    if *filled == 0 {
                        self.miss();
                    } else {
                        let text = cells.texts(column, at..at + 1, bytes);
                        self.builder.extend_texts(text, &[1], bytes);
                    }
                }
            }
            ColumnType::Decimal(precision, scale) => {
                let (precision, scale) = (*precision, *scale);
                for text in cells.texts(column, rows, bytes) {
                    let row = self.builder.rows();
                    // What does not fit was found out before.
                    if let Ok(digits) = Fit::decimal(text, precision, scale) {
                        self.builder.set_i128(row, digits);
                    } else {
                        self.miss();
                    }
                }
            }
            ColumnType::List(_) => {
                for (at, filled) in rows.zip(filled) {
                    if *filled == 0 {
                        self.miss();
                    } else {
                        let (bits, filled) = cells.list(column, at);
                        self.builder.push_list(bits, filled);
                    }
                }
            }
            // No plain row has a value of these.
            ColumnType::Binary | ColumnType::Json => rows.for_each(|_| self.miss()),
            _ if self.default.is_none() => self.builder.extend_bits(cells.values(column, rows), filled),
            _ => {
                for (at, filled) in rows.zip(filled) {
                    if *filled == 0 {
                        self.miss();
                    } else {
                        self.builder.extend_bits(cells.values(column, at..at + 1), &[1]);
                    }
                }
            }
        }
    }

    fn miss(&mut self) {
        match &self.default {
            Some(default) => self.builder.copy(default, 0),
            None => self.builder.end_row(self.builder.rows()),
        }
    }
}
