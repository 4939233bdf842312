//! What a learner keeps to: how many columns there may be, what folders are named by and rows sorted by, and what a Delta table can hold.
//!
//! What always holds: a column that `partition_by` or `sort_by` names is never learnt with a type that cannot be there; with a Delta
//! table, every learnt column is one that the table can have beside those that it has. What is refused stays in `_rest`.

use std::fmt;

use super::COLUMNS_MAX;
use crate::parquet::config::ParquetConfig;
use crate::parquet::declared::Nested;
use crate::parquet::delta;
use crate::parquet::layout::Layout;
use crate::parquet::schema::Column;
use crate::parquet::types::ColumnType;

/// Why values of a member stay in `_rest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// There are as many columns as there may be.
    Room,
    /// Folders would have to be made of them.
    Folders,
    /// Rows would have to be sorted by them.
    Order,
    /// A Delta table cannot have the column.
    Delta,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Room => "there are as many columns as `columns_max` allows",
            Self::Folders => {
                "`partition_by` names their column, and folders are made of texts, whole numbers (int64) and booleans"
            }
            Self::Order => "`sort_by` names their column, and lists and structs have no order",
            Self::Delta => {
                "the Delta table cannot have their column: there no column changes its type, no struct gets more fields, nothing is \
                 uint64, and names have neither spaces nor any of ,;{}()="
            }
        })
    }
}

/// A member, with the kind of its values, that has no column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Refusal {
    /// Its name, with those above it.
    pub member: String,
    /// Why.
    pub why: Why,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Bounds {
    /// Most columns.
    pub columns_max: usize,
    /// Columns whose values are in names of folders.
    folders: Vec<String>,
    /// Columns that rows are sorted by.
    sorted: Vec<String>,
    /// There is a Delta table.
    has_delta: bool,
}

impl Default for Bounds {
    fn default() -> Self {
        Self::of(COLUMNS_MAX)
    }
}

impl Bounds {
    /// So many columns, and nothing else.
    pub fn of(columns_max: usize) -> Self {
        Self { columns_max, folders: Vec::new(), sorted: Vec::new(), has_delta: false }
    }

    /// Of the first schema of an endpoint. What does not go with its folders and its order is an error of the start, not of a column.
    pub fn at_first(config: &ParquetConfig) -> Self {
        Self { has_delta: config.delta, ..Self::of(config.columns_max) }
    }

    /// Of all that an endpoint learns later.
    pub fn later(config: &ParquetConfig) -> Self {
        let folders = Layout::new(&config.partition_by).columns().map(str::to_owned).collect();
        Self { folders, sorted: config.sort_by.clone(), ..Self::at_first(config) }
    }

    /// Whether a column can become this wider type.
    pub(super) fn widen(&self, name: &str, to: &ColumnType) -> Result<(), Why> {
        self.place(name, to, Nested::Flatten)?;
        if self.has_delta { Err(Why::Delta) } else { Ok(()) }
    }

    /// Whether a column can be added to those that are `known` from before.
    pub(super) fn add(&self, name: &str, r#type: &ColumnType, known: &[Column], nested: Nested) -> Result<(), Why> {
        self.place(name, r#type, nested)?;
        if !self.has_delta {
            return Ok(());
        }
        // Not all readers of Delta fill fields that came later to a struct.
        let outer = name.split_once('.').filter(|_| nested == Nested::Struct).map(|(outer, _)| outer);
        let is_inside =
            |column: &Column, outer: &str| column.name.strip_prefix(outer).is_some_and(|inner| inner.starts_with('.'));
        let is_late = outer.is_some_and(|outer| known.iter().any(|column| is_inside(column, outer)));
        match is_late || delta::unfit(name, &r#type.arrow()).is_some() {
            true => Err(Why::Delta),
            false => Ok(()),
        }
    }

    /// Whether folders and order go with a column.
    fn place(&self, name: &str, r#type: &ColumnType, nested: Nested) -> Result<(), Why> {
        let (top, is_struct) = match name.split_once('.') {
            Some((outer, _)) if nested == Nested::Struct => (outer, true),
            _ => (name, false),
        };
        let is_one = |names: &[String]| names.iter().any(|name| name == top);
        if is_one(&self.folders) && (is_struct || !Layout::makes_folders(&r#type.arrow())) {
            return Err(Why::Folders);
        }
        if is_one(&self.sorted) && (is_struct || r#type.arrow().is_nested()) {
            return Err(Why::Order);
        }
        Ok(())
    }
}
