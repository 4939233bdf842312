//! Columns as they are declared in a configuration, and all that can be wrong with them.

use engine::parse::{NumberTexts, Parser};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::columns::ColumnBuilder;
use super::fit::{Fit, Misfit};
use super::types::{ColumnType, Unit};
use crate::config::Problem;

/// What becomes of a value that does not fit its column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnMismatch {
    /// The column is null, `_rest` has the value and `_errors` says why.
    #[default]
    Null,
    /// The event goes to the dead letter file of the endpoint instead of Parquet.
    DeadLetter,
}

/// How nested members become columns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Nested {
    /// Columns whose names have dots.
    #[default]
    Flatten,
    /// Columns of structs: the dots in names part them.
    Struct,
}

/// A column of the data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnConfig {
    /// Its name.
    pub name: String,
    /// Where its values are in the JSON data: member names with dots between, as in `loc.lat`. Default: the name.
    #[serde(default)]
    pub path: Option<String>,
    /// Instead of a place in the data: a CloudEvents attribute, an application property, or `key`.
    #[serde(default)]
    pub attribute: Option<String>,
    /// `bool`, `int64`, `float64`, `string`, `timestamp_ms`, `decimal(10,2)`, `list<float64>` …: see [`ColumnType`].
    pub r#type: ColumnType,
    /// The physical unit, for instance `°C`: metadata of the column, nothing is converted.
    #[serde(default)]
    pub unit: Option<String>,
    /// For timestamps: the unit of numbers since 1970, `s`, `ms`, `us` or `ns`. Default: the column's own.
    #[serde(default)]
    pub epoch: Option<Unit>,
    /// Whether the column may be null.
    #[serde(default = "yes")]
    pub nullable: bool,
    /// The value of events that have none.
    #[serde(default)]
    pub default: Option<Json>,
    /// `null` or `dead_letter`. Default: what the endpoint says.
    #[serde(default)]
    pub on_mismatch: Option<OnMismatch>,
}

fn yes() -> bool {
    true
}

/// Most columns that can be declared.
pub const COLUMNS_MAX: usize = 10_000;
/// Deepest place of a column.
const PATH_MEMBERS_MAX: usize = 64;

impl ColumnConfig {
    /// A column of the member with its name.
    pub fn new(name: impl Into<String>, r#type: ColumnType) -> Self {
        Self {
            name: name.into(),
            path: None,
            attribute: None,
            r#type,
            unit: None,
            epoch: None,
            nullable: true,
            default: None,
            on_mismatch: None,
        }
    }

    /// The same, of the member at `path`.
    pub fn at(mut self, path: impl Into<String>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Where its values are in the data, dots between.
    pub fn path(&self) -> &str {
        self.path.as_deref().unwrap_or(&self.name)
    }

    /// How values become those of the column.
    pub fn fit(&self) -> Fit {
        let own = match self.r#type.item() {
            ColumnType::Timestamp(unit) => *unit,
            _ => Unit::Ms,
        };
        Fit { r#type: self.r#type.clone(), epoch: self.epoch.unwrap_or(own), plain: false }
    }

    /// The default as TOML gives it, in JSON's words: times without quotes are texts.
    pub fn default_json(&self) -> Option<Json> {
        let default = self.default.as_ref()?;
        let bare = default.as_object().and_then(|table| table.get("$__toml_private_datetime"));
        Some(bare.unwrap_or(default).clone())
    }

    fn problems(&self, on_mismatch: OnMismatch, problem: &mut impl FnMut(String, String)) {
        let name = &self.name;
        if name.is_empty() || name.starts_with('_') {
            problem(
                format!("`{name}` is no name for a column"),
                "use a name that does not begin with `_`; those are the node's own".to_owned(),
            );
        }
        match (&self.attribute, &self.path) {
            (Some(_), Some(_)) => problem(
                format!("the column `{name}` has a path and an attribute"),
                "keep `path` for a member of the data, or `attribute` for what came with it".to_owned(),
            ),
            (Some(attribute), None) if attribute.is_empty() => problem(
                format!("the column `{name}` reads an attribute without a name"),
                "name an attribute or property, or write \"key\"".to_owned(),
            ),
            (Some(_), None) if matches!(self.r#type, ColumnType::List(_) | ColumnType::Json) => problem(
                format!("the column `{name}` is {} and reads an attribute, which is a text", self.r#type),
                "use string, or another type of single values".to_owned(),
            ),
            (Some(_), None) => {}
            (None, _) => {
                let path = self.path();
                let members = path.split('.').count();
                if path.split('.').any(str::is_empty) || members > PATH_MEMBERS_MAX {
                    problem(
                        format!("`{path}` is no path"),
                        format!("write at most {PATH_MEMBERS_MAX} member names with dots between, as in loc.lat"),
                    );
                }
            }
        }
        if self.epoch.is_some() && !matches!(self.r#type.item(), ColumnType::Timestamp(_)) {
            problem(
                format!("the column `{name}` is {} and has an `epoch`", self.r#type),
                "`epoch` is the unit of numbers in columns of timestamps; a physical unit is `unit`".to_owned(),
            );
        }
        match self.default_json() {
            Some(Json::Null) => problem(
                format!("the default of the column `{name}` is null"),
                "remove `default`: without it the column is null".to_owned(),
            ),
            Some(default) => {
                if let Err(misfit) = default_row(&self.fit(), &default) {
                    problem(
                        format!("the default {default} of the column `{name}` {misfit}"),
                        format!("write a value that fits {}, or change the type", self.r#type),
                    );
                }
            }
            None if !self.nullable && self.on_mismatch.unwrap_or(on_mismatch) == OnMismatch::Null => problem(
                format!(
                    "the column `{name}` is never null, has no default, and events without a value are no dead letters"
                ),
                "add `default = …`, or `on_mismatch = \"dead_letter\"`, or remove `nullable = false`".to_owned(),
            ),
            None => {}
        }
    }
}

/// A column with one row: the default.
pub fn default_row(fit: &Fit, default: &Json) -> Result<ColumnBuilder, Misfit> {
    let text = default.to_string();
    let mut parser = Parser::default();
    let document = parser.parse(text.as_bytes()).map_err(|_| Misfit::Form)?;
    let mut column = ColumnBuilder::new(&fit.r#type);
    let mut numbers = NumberTexts::new(document.root(), text.as_bytes());
    fit.set(&mut column, 0, document.root(), &mut numbers, &mut Vec::new())?;
    Ok(column)
}

/// All that is wrong with a list of columns.
pub fn problems(columns: &[ColumnConfig], nested: Nested, on_mismatch: OnMismatch, found: &mut Vec<Problem>) {
    let mut problem = |message: String, help: String| found.push(Problem { field: "columns", message, help });
    if columns.len() > COLUMNS_MAX {
        problem(format!("there are {} columns", columns.len()), format!("declare at most {COLUMNS_MAX}"));
        return;
    }
    for (at, column) in columns.iter().enumerate() {
        column.problems(on_mismatch, &mut problem);
        let (name, path) = (&column.name, column.path());
        let before = &columns[..at];
        if before.iter().any(|other| other.name == *name) {
            problem(format!("there are two columns `{name}`"), "give each column a name of its own".to_owned());
        }
        if column.attribute.is_none() {
            let same = |other: &ColumnConfig| other.attribute.is_none() && other.path() == path;
            if before.iter().any(same) {
                problem(format!("two columns read `{path}`"), "a value goes to one column".to_owned());
            }
        }
        if nested == Nested::Struct {
            let is_inside =
                |inner: &str, outer: &str| inner.strip_prefix(outer).is_some_and(|rest| rest.starts_with('.'));
            if let Some(other) =
                before.iter().find(|other| is_inside(name, &other.name) || is_inside(&other.name, name))
            {
                problem(
                    format!("one of the columns `{}` and `{name}` is a value and a struct at once", other.name),
                    "rename the one that is a value; its `path` can stay".to_owned(),
                );
            }
            if name.split('.').any(str::is_empty) {
                problem(
                    format!("`{name}` names no field of a struct"),
                    "with nested = \"struct\" dots part the names of fields, as in loc.lat".to_owned(),
                );
            }
        }
    }
}
