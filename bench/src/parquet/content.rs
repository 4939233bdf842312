//! What a file holds, as far as two numbers of every event tell: who wrote what was given loses none and changes none of them.

use std::error::Error;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};

use parquet::column::reader::ColumnReader;
use parquet::file::reader::{FileReader, SerializedFileReader};
use serde::Deserialize;

/// Values that are read at a time.
const CHUNK: usize = 64 * 1024;
/// The filter of the reading queries, in hundredths of a degree.
pub(super) const HOT_CENTI: i64 = 3_000;

/// Number of events and sums over them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Content {
    /// Events.
    pub(super) rows: u64,
    /// Sum of `seq`.
    pub(super) seq: i64,
    /// Sum of `temp`, in hundredths.
    pub(super) temp_centi: i64,
    /// Events with `temp` above 30.
    pub(super) hot: u64,
}

#[derive(Deserialize)]
struct Event {
    seq: i64,
    temp: f64,
}

impl Content {
    /// Of the input.
    pub(super) fn of_ndjson(path: &Path) -> Result<Self, Box<dyn Error>> {
        let mut content = Self::default();
        let mut reader = BufReader::with_capacity(1 << 20, File::open(path)?);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            let event: Event = serde_json::from_slice(&line)?;
            content.rows += 1;
            content.seq += event.seq;
            content.add_temp(event.temp);
            line.clear();
        }
        Ok(content)
    }

    /// Of a Parquet file, or of all of a folder.
    pub(super) fn of_parquet(path: &Path) -> Result<Self, Box<dyn Error>> {
        let mut content = Self::default();
        for file in files(path)? {
            content.add_file(&file).map_err(|error| format!("cannot read {}: {error}", file.display()))?;
        }
        Ok(content)
    }

    fn add_temp(&mut self, temp: f64) {
        let centi = (temp * 100.0).round() as i64;
        self.temp_centi += centi;
        self.hot += u64::from(centi > HOT_CENTI);
    }

    fn add_file(&mut self, path: &Path) -> Result<(), Box<dyn Error>> {
        let reader = SerializedFileReader::new(File::open(path)?)?;
        let schema = reader.metadata().file_metadata().schema_descr_ptr();
        let column = |name: &str| {
            let found = schema.columns().iter().position(|column| column.path().string() == name);
            found.ok_or_else(|| format!("there is no column {name}"))
        };
        let (seq, temp) = (column("seq")?, column("temp")?);
        for group in 0..reader.num_row_groups() {
            let group = reader.get_row_group(group)?;
            self.rows += u64::try_from(group.metadata().num_rows())?;
            match group.get_column_reader(seq)? {
                ColumnReader::Int64ColumnReader(mut column) => {
                    let (mut values, mut levels) = (Vec::new(), Vec::new());
                    while column.read_records(CHUNK, Some(&mut levels), None, &mut values)?.0 > 0 {
                        self.seq += values.drain(..).sum::<i64>();
                        levels.clear();
                    }
                }
                _ => return Err("seq is not a column of 64-bit integers".into()),
            }
            match group.get_column_reader(temp)? {
                ColumnReader::DoubleColumnReader(mut column) => {
                    let (mut values, mut levels) = (Vec::new(), Vec::new());
                    while column.read_records(CHUNK, Some(&mut levels), None, &mut values)?.0 > 0 {
                        values.drain(..).for_each(|temp| self.add_temp(temp));
                        levels.clear();
                    }
                }
                _ => return Err("temp is not a column of doubles".into()),
            }
        }
        Ok(())
    }
}

/// The file itself, or the Parquet files of a folder by name.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in fs::read_dir(path)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "parquet") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}
