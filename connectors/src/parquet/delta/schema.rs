//! The columns of a Delta table, in Delta's words. They only ever become more.

use arrow_schema::{DataType, Field, Schema};
use serde_json::{Map, Value, json};

/// Columns in their order: name and type.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableSchema(Vec<(String, Value)>);

/// Characters that a name cannot have.
const FORBIDDEN: &str = " ,;{}()\n\t=";

impl TableSchema {
    /// Of a `schemaString`.
    pub fn read(text: &str) -> Result<Self, String> {
        let schema: Value = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let fields = schema["fields"].as_array().ok_or("a schema without fields")?;
        let read = |field: &Value| Some((field["name"].as_str()?.to_owned(), field["type"].clone()));
        fields
            .iter()
            .map(|field| read(field).ok_or("a field without name".to_owned()))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// As a `schemaString`. Every column may be null: what came later is not in the files before.
    pub fn text(&self) -> String {
        let field =
            |(name, kind): &(String, Value)| json!({"name": name, "type": kind, "nullable": true, "metadata": {}});
        json!({"type": "struct", "fields": self.0.iter().map(field).collect::<Vec<_>>()}).to_string()
    }

    /// Adds the columns of a file that are not there. Or the column that cannot be, and why.
    pub fn add(&mut self, columns: &Schema) -> Result<(), (String, String)> {
        for field in columns.fields() {
            let name = field.name();
            let kind = kind_of(name, field.data_type()).map_err(|reason| (name.clone(), reason))?;
            match self.0.iter().find(|(there, _)| there == name) {
                None => self.0.push((name.clone(), kind)),
                Some((_, there)) if *there == kind => {}
                Some((_, there)) => {
                    return Err((name.clone(), format!("it is {there} in the table and {kind} in new files")));
                }
            }
        }
        Ok(())
    }

    /// Adds the columns that are in the names of folders alone.
    pub fn add_folders(&mut self, folders: &[(String, DataType)]) {
        for (name, kind) in folders {
            if !self.0.iter().any(|(there, _)| there == name) {
                self.0.push((name.clone(), delta_type(kind).unwrap_or_else(|| "string".into())));
            }
        }
    }
}

/// Why no table can have a column of this name and type.
pub fn unfit(name: &str, kind: &DataType) -> Option<String> {
    kind_of(name, kind).err()
}

/// The type of a column in Delta's words, if it can have its name.
fn kind_of(name: &str, kind: &DataType) -> Result<Value, String> {
    if let Some(wrong) = forbidden(name) {
        return Err(format!("its name has {wrong:?}"));
    }
    if let Some((field, wrong)) = forbidden_inside(kind) {
        return Err(format!("the name of its field `{field}` has {wrong:?}"));
    }
    delta_type(kind).ok_or_else(|| format!("Delta has no type for {kind}"))
}

fn forbidden(name: &str) -> Option<char> {
    name.chars().find(|character| FORBIDDEN.contains(*character))
}

fn forbidden_inside(kind: &DataType) -> Option<(String, char)> {
    match kind {
        DataType::List(element) => forbidden_inside(element.data_type()),
        DataType::Struct(fields) => fields.iter().find_map(|field| {
            let own = forbidden(field.name()).map(|wrong| (field.name().clone(), wrong));
            own.or_else(|| forbidden_inside(field.data_type()))
        }),
        _ => None,
    }
}

fn delta_type(kind: &DataType) -> Option<Value> {
    let name = match kind {
        DataType::Boolean => "boolean",
        DataType::Int8 => "byte",
        DataType::Int16 => "short",
        DataType::Int32 => "integer",
        DataType::Int64 => "long",
        DataType::Float32 => "float",
        DataType::Float64 => "double",
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "string",
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView => "binary",
        DataType::Date32 => "date",
        DataType::Timestamp(_, Some(_)) => "timestamp",
        DataType::Decimal128(precision, scale) => return Some(format!("decimal({precision},{scale})").into()),
        DataType::Dictionary(_, values) => return delta_type(values),
        DataType::List(element) | DataType::LargeList(element) => {
            let kind = delta_type(element.data_type())?;
            return Some(json!({"type": "array", "elementType": kind, "containsNull": true}));
        }
        DataType::Struct(members) => {
            let member = |field: &Field| {
                let mut said = Map::new();
                said.insert("name".to_owned(), field.name().clone().into());
                said.insert("type".to_owned(), delta_type(field.data_type())?);
                said.insert("nullable".to_owned(), true.into());
                said.insert("metadata".to_owned(), Map::new().into());
                Some(Value::from(said))
            };
            let fields: Option<Vec<Value>> = members.iter().map(|field| member(field)).collect();
            return Some(json!({"type": "struct", "fields": fields?}));
        }
        _ => return None,
    };
    Some(name.into())
}
