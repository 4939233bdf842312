//! The columns of the data: as configured or as learnt, kept beside the files so that all files of a folder have the same.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields, TimeUnit};
use serde::{Deserialize, Serialize};

use super::config::{ColumnConfig, ColumnType};

/// Name of the file that keeps a learnt schema.
const FILE: &str = "_schema.json";

/// Why the kept schema cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// It cannot be read or written.
    #[error("{path}: {error}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
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
        "the files in {dir} have other columns than the configuration ({path} says which); \
         give the endpoint a new folder, or move what is there away", path = FILE
    )]
    Differs {
        /// The folder.
        dir: PathBuf,
    },
}

/// A column of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Where its values are.
    pub path: Vec<String>,
    /// Their type.
    pub r#type: ColumnType,
}

/// Version of the kept file's format.
const VERSION: u32 = 1;

/// The columns of the data, in the order of the files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    version: u32,
    /// The columns.
    pub columns: Vec<Column>,
}

impl Schema {
    /// These columns.
    pub fn new(columns: Vec<Column>) -> Self {
        Self { version: VERSION, columns }
    }

    /// As configured.
    pub fn configured(columns: &[ColumnConfig]) -> Self {
        let column = |column: &ColumnConfig| {
            let path = column.path.as_deref().unwrap_or(&column.name).split('.').map(str::to_owned).collect();
            Column { name: column.name.clone(), path, r#type: column.r#type }
        };
        Self::new(columns.iter().map(column).collect())
    }

    /// The schema kept in a folder, if there is one.
    pub fn load(dir: &Path) -> Result<Option<Self>, SchemaError> {
        let path = dir.join(FILE);
        match std::fs::read(&path) {
            Ok(bytes) => match serde_json::from_slice::<Self>(&bytes) {
                Ok(schema) if schema.version == VERSION => Ok(Some(schema)),
                Ok(schema) => Err(SchemaError::Malformed { path, reason: format!("version {}", schema.version) }),
                Err(error) => Err(SchemaError::Malformed { path, reason: error.to_string() }),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(SchemaError::Io { path, error }),
        }
    }

    /// The schema of a folder: the configured one, held against the kept one, or else the kept one. `None`: it is to be learnt.
    pub fn of(dir: &Path, configured: Option<&[ColumnConfig]>) -> Result<Option<Self>, SchemaError> {
        match (configured.map(Self::configured), Self::load(dir)?) {
            (Some(configured), Some(kept)) if configured != kept => Err(SchemaError::Differs { dir: dir.to_owned() }),
            (Some(configured), None) => configured.save(dir).map(|()| Some(configured)),
            (_, kept) => Ok(kept),
        }
    }

    /// Keeps the schema in a folder.
    pub fn save(&self, dir: &Path) -> Result<(), SchemaError> {
        let path = dir.join(FILE);
        let json = serde_json::to_vec_pretty(self).expect("strings are always JSON");
        crate::hub::write_whole(&path, &json).map_err(|error| SchemaError::Io { path, error })
    }

    /// The fields of the data in Arrow's words.
    pub fn fields(&self) -> Vec<Arc<Field>> {
        let field = |column: &Column| {
            let metadata = std::collections::HashMap::from([("path".to_owned(), column.path.join("."))]);
            Arc::new(Field::new(&column.name, arrow_type(column.r#type), true).with_metadata(metadata))
        };
        self.columns.iter().map(field).collect()
    }
}

/// The type of a column in Arrow's words.
pub fn arrow_type(column: ColumnType) -> DataType {
    match column {
        ColumnType::Bool => DataType::Boolean,
        ColumnType::Int64 => DataType::Int64,
        ColumnType::Float64 => DataType::Float64,
        ColumnType::String => DataType::Utf8,
        ColumnType::TimestampMs => timestamp(),
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
