//! Lines of a version of a Delta log: those that are written, and what is wanted of those that are read.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::parquet::folders;
use crate::parquet::open_file::CommittedFile;
use crate::parquet::stats::bounds;

/// What a line says that counts here.
pub enum Action {
    /// `metaData`.
    Table {
        /// Id of the table.
        id: String,
        /// Its columns, as text.
        schema: String,
    },
    /// `txn`.
    Progress {
        /// Whose.
        app: String,
        /// The last offset that is in.
        offset: u64,
    },
    /// `add`.
    Add {
        /// The file.
        path: String,
    },
    /// `remove`.
    Remove {
        /// The file.
        path: String,
    },
    /// Another one.
    Other,
}

impl Action {
    /// Of a line, or of a row of a checkpoint.
    pub fn read(line: &Value) -> Result<Self, String> {
        let text = |value: &Value, what: &str| {
            value.as_str().map(str::to_owned).ok_or_else(|| format!("an action without {what}"))
        };
        if let Some(table) = line.get("metaData") {
            let (id, schema) = (text(&table["id"], "id")?, text(&table["schemaString"], "schemaString")?);
            return Ok(Self::Table { id, schema });
        }
        if let Some(progress) = line.get("txn") {
            let offset = progress["version"].as_u64().ok_or("a txn without version")?;
            return Ok(Self::Progress { app: text(&progress["appId"], "appId")?, offset });
        }
        if let Some(add) = line.get("add") {
            return Ok(Self::Add { path: decode(&text(&add["path"], "path")?) });
        }
        if let Some(remove) = line.get("remove") {
            return Ok(Self::Remove { path: decode(&text(&remove["path"], "path")?) });
        }
        if let Some(protocol) = line.get("protocol") {
            let (reader, writer) = (&protocol["minReaderVersion"], &protocol["minWriterVersion"]);
            if reader.as_u64() > Some(1) || writer.as_u64() > Some(2) {
                return Err(format!("protocol {reader} and {writer} is newer than 1 and 2"));
            }
        }
        Ok(Self::Other)
    }
}

/// Paths are URIs there: an escape of a folder's name is escaped once more.
fn encode(path: &str) -> String {
    path.replace('%', "%25").replace(' ', "%20")
}

/// And back.
pub fn decode(path: &str) -> String {
    folders::unescape(path)
}

/// `commitInfo`.
pub fn commit_info(now_ms: i64, is_data_change: bool) -> Value {
    let operation = if is_data_change { "WRITE" } else { "OPTIMIZE" };
    let engine = concat!("anabranch/", env!("CARGO_PKG_VERSION"));
    json!({"commitInfo": {"timestamp": now_ms, "operation": operation, "operationParameters": {}, "engineInfo": engine}})
}

/// `protocol`.
pub fn protocol() -> Value {
    json!({"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}})
}

/// `metaData`.
pub fn table(id: &str, schema: &str, partition_by: &[&str], now_ms: i64) -> Value {
    json!({"metaData": {
        "id": id, "format": {"provider": "parquet", "options": {}}, "schemaString": schema,
        "partitionColumns": partition_by, "configuration": {}, "createdTime": now_ms,
    }})
}

/// An id that nobody else has.
pub fn new_id() -> String {
    // The bits of a random UUID: version 4, variant 1.
    let bits = fastrand::u128(..) & !(0xf << 76) & !(0x3 << 62) | (0x4 << 76) | (0x2 << 62);
    let digits = format!("{bits:032x}");
    format!("{}-{}-{}-{}-{}", &digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..])
}

/// `txn`.
pub fn progress(app: &str, last: u64, now_ms: i64) -> Value {
    json!({"txn": {"appId": app, "version": last, "lastUpdated": now_ms}})
}

/// `remove`.
pub fn remove(path: &str, now_ms: i64, is_data_change: bool) -> Value {
    json!({"remove": {"path": encode(path), "deletionTimestamp": now_ms, "dataChange": is_data_change}})
}

/// `add`.
pub fn add(file: &CommittedFile, partition_by: &[&str], now_ms: i64, is_data_change: bool) -> Value {
    let said: BTreeMap<String, Option<String>> = folders::values(&file.path);
    let mut values = Map::new();
    for name in partition_by {
        let value = said.get(*name).cloned().flatten();
        // A number has no leading zero there.
        let value = value.map(|value| if *name == "hour" { value.trim_start_matches('0').to_owned() } else { value });
        let value = value.map(|value| if *name == "hour" && value.is_empty() { "0".to_owned() } else { value });
        values.insert((*name).to_owned(), value.into());
    }
    json!({"add": {
        "path": encode(&file.path), "partitionValues": values, "size": file.bytes, "modificationTime": now_ms,
        "dataChange": is_data_change, "stats": stats(file).to_string(),
    }})
}

/// Rows, and bounds of the columns that are no others' members.
fn stats(file: &CommittedFile) -> Value {
    let (mut min, mut max, mut nulls) = (Map::new(), Map::new(), Map::new());
    for (path, bounds) in bounds(&file.footer) {
        let [name] = &path[..] else { continue };
        if let (Some(least), Some(largest)) = (bounds.min, bounds.max) {
            min.insert(name.clone(), least);
            max.insert(name.clone(), largest);
        }
        if let Some(count) = bounds.nulls {
            nulls.insert(name.clone(), count.into());
        }
    }
    let rows = file.footer.file_metadata().num_rows();
    json!({"numRecords": rows, "minValues": min, "maxValues": max, "nullCount": nulls})
}
