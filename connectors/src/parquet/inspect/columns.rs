//! What columns cost: values, bytes before and after compression, encodings.

use std::collections::{BTreeMap, BTreeSet};

use parquet::file::metadata::ParquetMetaData;
use serde::Serialize;

/// A column over all files.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnReport {
    /// Its path, with dots.
    pub name: String,
    /// How it is stored.
    pub r#type: String,
    /// Rows.
    pub values: u64,
    /// Rows without a value, as far as footers say.
    pub nulls: u64,
    /// Bytes in the files.
    pub bytes: u64,
    /// Bytes before compression.
    pub raw_bytes: u64,
    /// Encodings of its values.
    pub encodings: Vec<String>,
    /// Codecs.
    pub codecs: Vec<String>,
}

#[derive(Default)]
struct Column {
    r#type: String,
    values: u64,
    nulls: u64,
    bytes: u64,
    raw_bytes: u64,
    encodings: BTreeSet<String>,
    codecs: BTreeSet<String>,
}

/// Sums over footers.
#[derive(Default)]
pub struct Columns {
    /// In the order in which they first come.
    names: Vec<String>,
    found: BTreeMap<String, Column>,
}

impl Columns {
    /// Adds a file.
    pub fn add(&mut self, footer: &ParquetMetaData) {
        for group in footer.row_groups() {
            for chunk in group.columns() {
                let name = chunk.column_path().string();
                if !self.found.contains_key(&name) {
                    self.names.push(name.clone());
                }
                let column = self.found.entry(name).or_default();
                column.r#type = chunk.column_type().to_string();
                column.values += chunk.num_values().max(0) as u64;
                column.nulls += chunk.statistics().and_then(|of| of.null_count_opt()).unwrap_or(0);
                column.bytes += chunk.compressed_size().max(0) as u64;
                column.raw_bytes += chunk.uncompressed_size().max(0) as u64;
                // Levels are always packed by runs: that says nothing of the values.
                let encodings = chunk.encodings().map(|encoding| encoding.to_string());
                column.encodings.extend(encodings.filter(|encoding| encoding != "RLE" && encoding != "BIT_PACKED"));
                column.codecs.insert(chunk.compression().to_string());
            }
        }
    }

    /// The sums.
    pub fn finish(mut self) -> Vec<ColumnReport> {
        let names = std::mem::take(&mut self.names);
        let report = |name: String| {
            let column = self.found.remove(&name)?;
            let Column { r#type, values, nulls, bytes, raw_bytes, encodings, codecs } = column;
            let (encodings, codecs) = (encodings.into_iter().collect(), codecs.into_iter().collect());
            Some(ColumnReport { name, r#type, values, nulls, bytes, raw_bytes, encodings, codecs })
        };
        names.into_iter().filter_map(report).collect()
    }
}
