//! A folder's schema as it is kept beside its files, `_schema.json`, with the history of its changes.
//!
//! What always holds: the file is written whole or not at all, and before the first data file of a new version; so a file's version
//! is never above the kept one. Format 1 (columns only) is still read.

use std::collections::HashSet;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::config::ParquetConfig;
use super::declared::{Nested, default_row};
use super::schema::{Column, Schema, SchemaError};
use super::types::ColumnType;

/// Name of the file.
const FILE: &str = "_schema.json";
/// Version of its format.
const FORMAT: u32 = 2;

/// What a version changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Change {
    /// The version that began with it.
    pub version: u32,
    /// When, RFC 3339.
    pub at: String,
    /// Names of the columns that came.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub added: Vec<String>,
    /// Columns whose type became wider.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub widened: Vec<Widened>,
    /// Columns that were declared anew: other unit, default, nullability or handling of mismatches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub declared: Vec<String>,
}

/// A column whose type became wider.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widened {
    /// Its name.
    pub name: String,
    /// Its type before.
    pub from: String,
    /// And since.
    pub to: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Of the format.
    version: u32,
    #[serde(default = "one")]
    schema_version: u32,
    #[serde(default)]
    nested: Nested,
    columns: Vec<Column>,
    #[serde(default)]
    history: Vec<Change>,
}

fn one() -> u32 {
    1
}

impl Schema {
    /// The schema kept in a folder, if there is one.
    pub fn load(dir: &Path) -> Result<Option<Self>, SchemaError> {
        let path = dir.join(FILE);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(SchemaError::Io { path, error }),
        };
        let mut kept: Kept = serde_json::from_slice(&bytes)
            .map_err(|error| SchemaError::Malformed { path: path.clone(), reason: error.to_string() })?;
        match kept.version {
            // It did not say what was learnt, but times never were.
            1 => {
                let is_learnt = |column: &Column| !matches!(column.r#type, ColumnType::Timestamp(_));
                kept.columns.iter_mut().for_each(|column| column.learnt = is_learnt(column));
            }
            FORMAT => {}
            other => return Err(SchemaError::Malformed { path, reason: format!("version {other}") }),
        }
        let Kept { schema_version, nested, columns, history, .. } = kept;
        if let Some(reason) = wrong(&columns) {
            return Err(SchemaError::Malformed { path, reason });
        }
        Ok(Some(Self { version: schema_version, nested, columns, history }))
    }

    /// Keeps the schema in a folder.
    pub fn save(&self, dir: &Path) -> Result<(), SchemaError> {
        let path = dir.join(FILE);
        let Self { version, nested, columns, history } = self.clone();
        let kept = Kept { version: FORMAT, schema_version: version, nested, columns, history };
        let json = serde_json::to_vec_pretty(&kept).expect("texts and numbers are always JSON");
        crate::hub::write_whole(&path, &json).map_err(|error| SchemaError::Io { path, error })
    }

    /// The schema of an endpoint's folder: the configured one, held against the kept one, or else the kept one; and whether it has
    /// yet to be kept, before the first file. `None`: it is to be learnt.
    pub fn of(config: &ParquetConfig) -> Result<Option<(Self, bool)>, SchemaError> {
        let kept = Self::load(&config.dir)?;
        let Some(columns) = config.columns.as_deref() else {
            return match kept {
                Some(kept) if kept.nested != config.nested => Err(differs(config, "`nested` is another".to_owned())),
                kept => Ok(kept.map(|kept| (kept, false))),
            };
        };
        let configured = Self::configured(columns, config.nested, config.on_mismatch);
        let Some(mut schema) = kept else { return Ok(Some((configured, true))) };
        let is_new = schema.declare(configured, config.evolves()).map_err(|what| differs(config, what))?;
        Ok(Some((schema, is_new)))
    }

    /// Takes over what is configured now; whether anything is new. The error is what cannot change.
    fn declare(&mut self, configured: Self, keeps_learnt: bool) -> Result<bool, String> {
        if self.nested != configured.nested {
            return Err("`nested` is another".to_owned());
        }
        let mut change = Change::new(self.version + 1);
        let mut new: Vec<Option<Column>> = configured.columns.into_iter().map(Some).collect();
        for old in &mut self.columns {
            let name = old.name.clone();
            let same = new.iter_mut().find(|column| column.as_ref().is_some_and(|column| column.name == name));
            let Some(column) = same.and_then(Option::take) else {
                if old.learnt && keeps_learnt {
                    continue;
                }
                return Err(format!("the column `{name}` is configured no more"));
            };
            if column.r#type != old.r#type {
                return Err(format!("the column `{name}` was {} and is {}", old.r#type, column.r#type));
            }
            if (&column.path, &column.attribute) != (&old.path, &old.attribute) {
                return Err(format!("the column `{name}` reads another place"));
            }
            if *old != column {
                change.declared.push(name);
                *old = column;
            }
        }
        for column in new.into_iter().flatten() {
            change.added.push(column.name.clone());
            if self.is_taken(&column.name) {
                return Err(format!(
                    "the column `{}` is a value where the files have a struct, or the other way round",
                    column.name
                ));
            }
            self.columns.push(column);
        }
        let is_new = change.is_any();
        if is_new {
            self.version = change.version;
            self.history.push(change);
        }
        Ok(is_new)
    }
}

impl Change {
    /// Nothing yet, as of now.
    pub fn new(version: u32) -> Self {
        let at = jiff::Timestamp::now().to_string();
        Self { version, at, added: Vec::new(), widened: Vec::new(), declared: Vec::new() }
    }

    /// Something is other than before.
    pub fn is_any(&self) -> bool {
        !(self.added.is_empty() && self.widened.is_empty() && self.declared.is_empty())
    }
}

/// What no node would have kept.
fn wrong(columns: &[Column]) -> Option<String> {
    let mut names = HashSet::new();
    columns.iter().find_map(|column| {
        let name = &column.name;
        if !names.insert(name) {
            return Some(format!("there are two columns `{name}`"));
        }
        let misfit = default_row(&column.fit(), column.default.as_ref()?).err()?;
        Some(format!("the default of the column `{name}` {misfit}"))
    })
}

fn differs(config: &ParquetConfig, what: String) -> SchemaError {
    SchemaError::Differs { dir: config.dir.clone(), what }
}
