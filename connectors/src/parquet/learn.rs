//! Learns the columns from the first events.
//!
//! The rule: a member that is a boolean, number or string becomes a column, members of objects with dots between the names, in the
//! order they are first seen. Whole numbers and others together are doubles; of any other mixture the kind that came
//! first counts. Arrays, and members that were only ever null, have no column: they go to `_rest`.

use engine::parse::{Kind, Value};

use super::config::ColumnType;
use super::schema::{Column, Schema};

/// Most columns that are learnt; what comes after them goes to `_rest`.
const COLUMNS_MAX: usize = 1000;
/// Deepest nesting that is flattened.
const DEPTH_MAX: usize = 8;

/// What was seen so far.
#[derive(Debug, Default)]
pub struct Learner {
    columns: Vec<Column>,
    path: Vec<String>,
    events: usize,
}

impl Learner {
    /// Looks at one event's data.
    pub fn see(&mut self, root: Value<'_>) {
        self.events += 1;
        self.members(root);
    }

    /// Events seen so far.
    pub fn events(&self) -> usize {
        self.events
    }

    /// The columns.
    pub fn finish(self) -> Schema {
        Schema::new(self.columns)
    }

    fn members(&mut self, value: Value<'_>) {
        for (name, value) in value.members() {
            // Names with `_` in front are the node's own; a name with a dot would read as a path.
            if name.is_empty() || name.contains('.') || (self.path.is_empty() && name.starts_with('_')) {
                continue;
            }
            let seen = match value.kind() {
                Kind::Bool(_) => ColumnType::Bool,
                Kind::Int(_) => ColumnType::Int64,
                Kind::Uint(_) | Kind::Float(_) => ColumnType::Float64,
                Kind::String(_) => ColumnType::String,
                Kind::Object(_) if self.path.len() + 1 < DEPTH_MAX => {
                    self.path.push(name.to_owned());
                    self.members(value);
                    self.path.pop();
                    continue;
                }
                Kind::Null | Kind::Array(_) | Kind::Object(_) => continue,
            };
            self.column(name, seen);
        }
    }

    fn column(&mut self, name: &str, seen: ColumnType) {
        let is_it = |column: &Column| {
            column.path.split_last().is_some_and(|(last, path)| last == name && path == self.path.as_slice())
        };
        match self.columns.iter().position(is_it) {
            Some(at) => {
                let column = &mut self.columns[at];
                if (column.r#type, seen) == (ColumnType::Int64, ColumnType::Float64) {
                    column.r#type = ColumnType::Float64;
                }
            }
            None if self.columns.len() < COLUMNS_MAX => {
                let mut path = self.path.clone();
                path.push(name.to_owned());
                self.columns.push(Column { name: path.join("."), path, r#type: seen });
            }
            None => {}
        }
    }
}
