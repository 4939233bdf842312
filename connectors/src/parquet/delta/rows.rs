//! Actions of a Delta log as rows of a checkpoint: a column per kind of action, of which one is there in each row.
//!
//! What always holds: a row reads back as the action it was made of, without what the checkpoint has no column for. Both ways know the
//! types of checkpoints only: texts, whole numbers, truth values, structs, lists and maps of them.

use std::sync::Arc;

use arrow_array::builder::BooleanBuilder;
use arrow_array::cast::AsArray;
use arrow_array::types::{Int8Type, Int16Type, Int32Type, Int64Type};
use arrow_array::{
    Array, ArrayRef, Int32Array, Int64Array, ListArray, MapArray, RecordBatch, StringArray, StructArray,
};
use arrow_buffer::{NullBuffer, OffsetBuffer};
use arrow_schema::{ArrowError, DataType, Field, FieldRef, Fields, Schema, SchemaRef};
use serde_json::{Map, Value};

/// The columns of a checkpoint that is written here.
pub fn columns() -> SchemaRef {
    let text = |name: &str| Field::new(name, DataType::Utf8, true);
    let long = |name: &str| Field::new(name, DataType::Int64, true);
    let truth = |name: &str| Field::new(name, DataType::Boolean, true);
    let map = |name: &str| {
        let entry = [Field::new("key", DataType::Utf8, false), Field::new("value", DataType::Utf8, true)];
        Field::new_map(name, "key_value", entry[0].clone(), entry[1].clone(), false, true)
    };
    let of = |name: &str, fields: Vec<Field>| Field::new_struct(name, fields, true);
    let int = |name: &str| Field::new(name, DataType::Int32, true);
    Arc::new(Schema::new(vec![
        of("protocol", vec![int("minReaderVersion"), int("minWriterVersion")]),
        of(
            "metaData",
            vec![
                text("id"),
                text("name"),
                text("description"),
                of("format", vec![text("provider"), map("options")]),
                text("schemaString"),
                Field::new_list("partitionColumns", Field::new("element", DataType::Utf8, true), true),
                long("createdTime"),
                map("configuration"),
            ],
        ),
        of("txn", vec![text("appId"), long("version"), long("lastUpdated")]),
        of(
            "add",
            vec![
                text("path"),
                map("partitionValues"),
                long("size"),
                long("modificationTime"),
                truth("dataChange"),
                text("stats"),
                map("tags"),
            ],
        ),
        of("remove", vec![text("path"), long("deletionTimestamp"), truth("dataChange")]),
    ]))
}

/// Actions, each a JSON object with one member, as rows with these columns.
pub fn to_rows(columns: &SchemaRef, actions: &[Value]) -> Result<RecordBatch, ArrowError> {
    let actions: Vec<Option<&Value>> = actions.iter().map(Some).collect();
    RecordBatch::try_new(columns.clone(), members(columns.fields(), &actions)?)
}

/// The action of a row: a JSON object with the columns that are not null.
pub fn to_action(rows: &RecordBatch, row: usize) -> Value {
    object(rows.schema_ref().fields(), rows.columns(), row)
}

/// An array for each field of objects.
fn members(fields: &Fields, objects: &[Option<&Value>]) -> Result<Vec<ArrayRef>, ArrowError> {
    let member = |field: &FieldRef| {
        let values: Vec<Option<&Value>> = objects
            .iter()
            .map(|object| object.and_then(|object| object.get(field.name())).filter(|value| !value.is_null()))
            .collect();
        array(field, &values)
    };
    fields.iter().map(member).collect()
}

fn array(field: &FieldRef, values: &[Option<&Value>]) -> Result<ArrayRef, ArrowError> {
    let wrong = |value: &Value| {
        ArrowError::InvalidArgumentError(format!("`{}` is {value}, which is no {}", field.name(), field.data_type()))
    };
    // Each value by a look at it that knows the type.
    macro_rules! each {
        ($look:expr) => {
            values.iter().map(|value| value.map(|value| $look(value).ok_or_else(|| wrong(value))).transpose())
        };
    }
    let valid = || Some(NullBuffer::from_iter(values.iter().map(Option::is_some)));
    Ok(match field.data_type() {
        DataType::Utf8 => Arc::new(each!(Value::as_str).collect::<Result<StringArray, _>>()?),
        DataType::Int64 => Arc::new(each!(Value::as_i64).collect::<Result<Int64Array, _>>()?),
        DataType::Int32 => {
            let look = |value: &Value| value.as_i64().and_then(|number| i32::try_from(number).ok());
            Arc::new(each!(look).collect::<Result<Int32Array, _>>()?)
        }
        DataType::Boolean => {
            let mut truths = BooleanBuilder::with_capacity(values.len());
            for truth in each!(Value::as_bool) {
                truths.append_option(truth?);
            }
            Arc::new(truths.finish())
        }
        DataType::Struct(fields) => {
            for object in each!(Value::as_object) {
                object?;
            }
            let arrays = members(fields, values)?;
            Arc::new(StructArray::try_new_with_length(fields.clone(), arrays, valid(), values.len())?)
        }
        DataType::List(element) => {
            let lists = each!(Value::as_array).collect::<Result<Vec<_>, _>>()?;
            let ends = OffsetBuffer::from_lengths(lists.iter().map(|list| list.map_or(0, Vec::len)));
            let elements: Vec<Option<&Value>> = lists.into_iter().flatten().flatten().map(Some).collect();
            Arc::new(ListArray::try_new(element.clone(), ends, array(element, &elements)?, valid())?)
        }
        DataType::Map(entry, _) => {
            let DataType::Struct(fields) = entry.data_type() else { unreachable!("a map has entries") };
            let maps = each!(Value::as_object).collect::<Result<Vec<_>, _>>()?;
            let ends = OffsetBuffer::from_lengths(maps.iter().map(|map| map.map_or(0, Map::len)));
            let keys = StringArray::from_iter_values(maps.iter().flatten().flat_map(|map| map.keys()));
            let said: Vec<Option<&Value>> = maps.iter().flatten().flat_map(|map| map.values()).map(Some).collect();
            let said: Vec<Option<&Value>> =
                said.into_iter().map(|value| value.filter(|value| !value.is_null())).collect();
            let entries = StructArray::try_new(fields.clone(), vec![Arc::new(keys), array(&fields[1], &said)?], None)?;
            Arc::new(MapArray::try_new(entry.clone(), ends, entries, valid(), false)?)
        }
        other => return Err(ArrowError::NotYetImplemented(format!("a column of {other} in a checkpoint"))),
    })
}

fn object(fields: &Fields, columns: &[ArrayRef], row: usize) -> Value {
    let said = |(field, column): (&FieldRef, &ArrayRef)| Some((field.name().clone(), value(column, row)?));
    Value::Object(fields.iter().zip(columns).filter_map(said).collect())
}

/// A value; `None` where it is null, or of a type that checkpoints of our tables do not need.
fn value(column: &ArrayRef, row: usize) -> Option<Value> {
    if column.is_null(row) {
        return None;
    }
    Some(match column.data_type() {
        DataType::Utf8 => column.as_string::<i32>().value(row).into(),
        DataType::LargeUtf8 => column.as_string::<i64>().value(row).into(),
        DataType::Utf8View => column.as_string_view().value(row).into(),
        DataType::Boolean => column.as_boolean().value(row).into(),
        DataType::Int8 => column.as_primitive::<Int8Type>().value(row).into(),
        DataType::Int16 => column.as_primitive::<Int16Type>().value(row).into(),
        DataType::Int32 => column.as_primitive::<Int32Type>().value(row).into(),
        DataType::Int64 => column.as_primitive::<Int64Type>().value(row).into(),
        DataType::Struct(fields) => object(fields, column.as_struct().columns(), row),
        DataType::List(_) => {
            let items = column.as_list::<i32>().value(row);
            (0..items.len()).map(|item| value(&items, item).unwrap_or_default()).collect()
        }
        DataType::Map(..) => {
            let entries = column.as_map().value(row);
            let (keys, values) = (entries.column(0), entries.column(1));
            let entry =
                |at: usize| Some((value(keys, at)?.as_str()?.to_owned(), value(values, at).unwrap_or_default()));
            Value::Object((0..entries.len()).filter_map(entry).collect())
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn actions_come_back_from_rows() {
        let actions = [
            json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}}),
            json!({"metaData": {
                "id": "x", "format": {"provider": "parquet", "options": {}}, "schemaString": "{\"fields\":[]}",
                "partitionColumns": ["date", "a b"], "createdTime": 1_795_165_200_123i64, "configuration": {"k": "v", "n": null},
            }}),
            json!({"txn": {"appId": "anabranch/lake/7", "version": 12, "lastUpdated": 5}}),
            json!({"add": {
                "path": "site=a%252Fb/x.parquet", "partitionValues": {"date": "2026-11-21", "site": null}, "size": 12,
                "modificationTime": -1, "dataChange": true, "stats": "{}", "tags": {},
            }}),
            json!({"add": {"path": "y", "partitionValues": {}, "size": 0, "modificationTime": 0, "dataChange": false}}),
            json!({"remove": {"path": "z", "deletionTimestamp": 3, "dataChange": false}}),
        ];
        let rows = to_rows(&columns(), &actions).expect("all have columns");
        let back: Vec<Value> = (0..rows.num_rows()).map(|row| to_action(&rows, row)).collect();
        assert_eq!(back, actions);
        let none = to_rows(&columns(), &[]).expect("no rows");
        assert_eq!(none.num_rows(), 0);
        let more = to_rows(&columns(), &[json!({"remove": {"path": "z", "size": 7}, "commitInfo": {}})]).expect("rows");
        assert_eq!(to_action(&more, 0), json!({"remove": {"path": "z"}}));
        for wrong in
            [json!({"add": 7}), json!({"txn": {"version": "7"}}), json!({"protocol": {"minReaderVersion": 1u64 << 40}})]
        {
            assert!(to_rows(&columns(), std::slice::from_ref(&wrong)).is_err(), "{wrong}");
        }
    }
}
