//! The columns of the data: declared or learnt, with what each one takes, and their shape in Arrow's words.
//!
//! What always holds: a file has one schema; a schema of a folder only ever changes by [`Schema::evolve`] and
//! [`Schema::of`](super::kept), which give it the next version and write that down before the first file with it.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::declared::{ColumnConfig, Nested, OnMismatch};
use super::fit::Fit;
use super::kept::Change;
use super::nest::Layout;
use super::types::{ColumnType, Unit};

/// Why the kept schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It is something else.
    #[error("{path} is no schema of this version ({reason}); move it away to learn the columns anew, for new files")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The configured columns are not those of the files that are there.
    #[error(
        "the files in {dir} have other columns than the configuration: {what}; columns can be added and their defaults, units and \
         mismatches changed. For anything else give the endpoint a new folder, or move what is there away"
    )]
    Differs {
        /// The folder.
        dir: PathBuf,
        /// The first difference.
        what: String,
    },
}

/// A column of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where its values are in the data; empty if it reads an attribute.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub path: Vec<String>,
    /// The attribute, property or key that it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<String>,
    /// Their type.
    pub r#type: ColumnType,
    /// Physical unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Unit of numbers that are instants; without it the column's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub epoch: Option<Unit>,
    /// It is never null.
    #[serde(default, skip_serializing_if = "is_false")]
    pub required: bool,
    /// The value of events that have none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<Json>,
    /// What becomes of events whose value does not fit.
    #[serde(default, skip_serializing_if = "is_null")]
    pub on_mismatch: OnMismatch,
    /// It was learnt: values that do not fit are no mistake, and times are taken only as plain text.
    #[serde(default, skip_serializing_if = "is_false")]
    pub learnt: bool,
}

fn is_false(truth: &bool) -> bool {
    !truth
}

fn is_null(on_mismatch: &OnMismatch) -> bool {
    *on_mismatch == OnMismatch::Null
}

impl Column {
    /// A learnt column.
    pub fn learnt(name: String, path: Vec<String>, r#type: ColumnType) -> Self {
        Self {
            name,
            path,
            attribute: None,
            r#type,
            unit: None,
            epoch: None,
            required: false,
            default: None,
            on_mismatch: OnMismatch::Null,
            learnt: true,
        }
    }

    /// A declared column; `on_mismatch` is the endpoint's.
    pub fn declared(config: &ColumnConfig, on_mismatch: OnMismatch) -> Self {
        let path = match config.attribute {
            Some(_) => Vec::new(),
            None => config.path().split('.').map(str::to_owned).collect(),
        };
        Self {
            name: config.name.clone(),
            path,
            attribute: config.attribute.clone(),
            r#type: config.r#type.clone(),
            unit: config.unit.clone(),
            epoch: config.epoch,
            required: !config.nullable,
            default: config.default_json(),
            on_mismatch: config.on_mismatch.unwrap_or(on_mismatch),
            learnt: false,
        }
    }

    /// How values become those of the column.
    pub fn fit(&self) -> Fit {
        let own = match self.r#type.item() {
            ColumnType::Timestamp(unit) => *unit,
            _ => Unit::Ms,
        };
        Fit { r#type: self.r#type.clone(), epoch: self.epoch.unwrap_or(own), plain: self.learnt }
    }

    /// The column in Arrow's words, under a name.
    pub fn field(&self, name: &str) -> Field {
        let place = match &self.attribute {
            Some(attribute) => ("attribute".to_owned(), attribute.clone()),
            None => ("path".to_owned(), self.path.join(".")),
        };
        let mut metadata = HashMap::from([place]);
        if let Some(unit) = &self.unit {
            metadata.insert("unit".to_owned(), unit.clone());
        }
        if matches!(self.r#type.item(), ColumnType::Json | ColumnType::Timestamp(Unit::S)) {
            metadata.insert("type".to_owned(), self.r#type.to_string());
        }
        Field::new(name, self.r#type.arrow(), !self.required).with_metadata(metadata)
    }
}

/// The columns of the data, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Counts the changes of a folder's schema, from 1.
    pub version: u32,
    /// How nested members become columns.
    pub nested: Nested,
    /// The columns.
    pub columns: Vec<Column>,
    /// How it became what it is, version by version.
    pub history: Vec<Change>,
}

impl Schema {
    /// These columns, in their first version.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { version: 1, nested: Nested::Flatten, columns, history: Vec::new() }
    }

    /// As configured.
    pub fn configured(columns: &[ColumnConfig], nested: Nested, on_mismatch: OnMismatch) -> Self {
        let columns = columns.iter().map(|column| Column::declared(column, on_mismatch)).collect();
        Self { nested, ..Self::new(columns) }
    }

    /// Some of the columns are declared: then a column says what did not fit.
    pub fn has_errors(&self) -> bool {
        self.columns.iter().any(|column| !column.learnt)
    }

    /// How the columns are laid out: flat, or in structs.
    pub fn layout(&self) -> Layout {
        Layout::new(&self.columns, self.nested)
    }

    /// All columns of a file in Arrow's words: the node's own, the data's, and those of what has no column.
    pub fn arrow(&self, with_system: bool) -> arrow_schema::Schema {
        let mut fields = if with_system { system_fields().to_vec() } else { Vec::new() };
        fields.extend(self.layout().fields(&self.columns));
        fields.extend(rest_fields().map(Arc::new));
        if self.has_errors() {
            fields.push(Arc::new(errors_field()));
        }
        arrow_schema::Schema::new(fields)
    }
}

fn timestamp() -> DataType {
    DataType::Timestamp(TimeUnit::Millisecond, Some("UTC".into()))
}

/// The node's own columns, which stand before those of the data.
pub fn system_fields() -> Fields {
    Fields::from(vec![
        Field::new("_partition", DataType::Int64, false),
        Field::new("_offset", DataType::Int64, false),
        Field::new("_key", DataType::Utf8, true),
        Field::new("_time", timestamp(), false),
        Field::new("_ingest_time", timestamp(), false),
        Field::new("_id", DataType::Utf8, true),
        Field::new("_type", DataType::Utf8, true),
        Field::new("_source", DataType::Utf8, true),
        Field::new("_attributes", DataType::Utf8, true),
    ])
}

/// The columns behind those of the data: what has no column, and data that is no JSON object.
pub fn rest_fields() -> [Field; 2] {
    [Field::new("_rest", DataType::Utf8, true), Field::new("_data", DataType::Binary, true)]
}

/// Which declared columns are null because a value did not fit, and why.
pub fn errors_field() -> Field {
    Field::new("_errors", DataType::Utf8, true)
}
