//! A column under way in a table: its values, what it takes, and what it is when it gets nothing.

use super::columns::ColumnBuilder;
use super::declared::{OnMismatch, default_row};
use super::fit::Fit;
use super::schema::Column;

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

    fn miss(&mut self) {
        match &self.default {
            Some(default) => self.builder.copy(default, 0),
            None => self.builder.end_row(self.builder.rows()),
        }
    }
}
