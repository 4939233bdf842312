//! The encoder of Parquet columns beside three readers of others: columns of every type that pyarrow made come back as they were, whole
//! and filtered, in every codec.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use connectors::parquet::{Compression, Encoder, ParquetConfig};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::python::environment;

const SKIPPED: &str = "!!! SKIPPED: there is no python3, so nobody but us has read the pages";
const PACKAGES: [&str; 3] = ["duckdb", "polars", "pyarrow"];

fn script(python: &Path, words: &[&Path]) -> String {
    let script = crate::sources::root().join("tests/python/parquet_pages.py");
    let output = Command::new(python).arg(script).args(words).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    said.into_owned()
}

/// What is in `source`, by our encoder.
fn encode_again(source: &Path, compression: Compression, bloom: &[String]) -> Vec<u8> {
    let config = ParquetConfig { compression, bloom: bloom.to_vec(), ..ParquetConfig::new("unused") };
    let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(source).expect("a file")).expect("a footer");
    let mut encoder = Encoder::new(Vec::new(), Vec::new());
    for batch in reader.with_batch_size(8192).build().expect("a reader") {
        encoder.write(&config, &batch.expect("rows")).expect("encodes");
    }
    std::mem::take(encoder.finish(&[]).expect("finishes").output())
}

#[test]
fn three_readers_find_the_rows_that_pyarrow_made() {
    let Some(python) = environment("readers", &PACKAGES, &PACKAGES) else {
        eprintln!("{SKIPPED}");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let source = folder.path().join("source.parquet");
    script(&python, &[Path::new("make"), &source]);
    let codecs = [
        ("none", Compression::None),
        ("snappy", Compression::Snappy),
        ("lz4", Compression::Lz4),
        ("zstd", Compression::Zstd),
    ];
    let blooms = ["string_any", "int64_few", "float64_late", "uint64_sorted"].map(str::to_owned);
    let files = codecs.map(|(name, compression)| {
        let file = folder.path().join(format!("{name}.parquet"));
        std::fs::write(&file, encode_again(&source, compression, &blooms)).expect("writes");
        file
    });
    let mut words: Vec<&Path> = vec![Path::new("check"), &source];
    words.extend(files.iter().map(PathBuf::as_path));
    assert!(script(&python, &words).contains("all as it should be"));
}
