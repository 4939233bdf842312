//! Any columns, encoded by ours and by the crate's own writer: the same values come back, and the files say the same of them.

mod arrays;
mod decisions;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, Schema};
use arrow_select::concat::concat_batches;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::{PageIndexPolicy, ParquetMetaData};
use parquet::file::properties::{ReaderProperties, WriterProperties};
use parquet::file::reader::FileReader;
use parquet::file::serialized_reader::{ReadOptionsBuilder, SerializedFileReader};
use parquet::schema::types::ColumnPath;
use proptest::prelude::*;

use crate::parquet::encoder::Encoder;
use crate::parquet::encoding::properties;
use crate::parquet::{Compression, ParquetConfig};
use arrays::{Choice, batches, fields};

/// By the encoder; a row group ends behind each of the batches whose number is in `ends`.
fn ours(config: &ParquetConfig, batches: &[RecordBatch], ends: &[usize]) -> Bytes {
    let mut encoder = Encoder::new(Vec::new(), Vec::new());
    for (at, batch) in batches.iter().enumerate() {
        encoder.write(config, batch).expect("writes");
        if ends.contains(&at) {
            encoder.flush().expect("ends a row group");
        }
    }
    let mut encoded = encoder.finish(&[]).expect("finishes");
    let (bytes, file) = (encoded.bytes, std::mem::take(encoded.output()));
    assert_eq!(bytes, file.len() as u64);
    file.into()
}

/// What the crate is told to write the same columns in the same way.
fn twin_properties(config: &ParquetConfig, schema: &Schema) -> WriterProperties {
    let mut properties = properties(config, schema, Vec::new()).into_builder();
    for field in schema.fields() {
        let (plain, has_dictionary) = match field.data_type() {
            DataType::Int64 | DataType::Timestamp(..) => (Encoding::DELTA_BINARY_PACKED, false),
            DataType::Float64 => (Encoding::BYTE_STREAM_SPLIT, true),
            DataType::Utf8 => (Encoding::DELTA_LENGTH_BYTE_ARRAY, true),
            _ => continue,
        };
        let path = ColumnPath::new(vec![field.name().clone()]);
        properties = properties
            .set_column_dictionary_enabled(path.clone(), has_dictionary)
            .set_column_dictionary_page_size_limit(path.clone(), 256 * 1024)
            .set_column_encoding(path, plain);
    }
    properties.build()
}

fn twin(config: &ParquetConfig, batches: &[RecordBatch], ends: &[usize]) -> Bytes {
    let schema = batches[0].schema();
    let properties = twin_properties(config, &schema);
    let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties)).expect("a writer");
    for (at, batch) in batches.iter().enumerate() {
        writer.write(batch).expect("writes");
        if ends.contains(&at) {
            writer.flush().expect("ends a row group");
        }
    }
    writer.into_inner().expect("finishes").into()
}

fn read(file: &Bytes) -> (RecordBatch, ParquetMetaData) {
    let options = ArrowReaderOptions::new().with_page_index_policy(PageIndexPolicy::Required);
    let builder = ParquetRecordBatchReaderBuilder::try_new_with_options(file.clone(), options).expect("a footer");
    let (schema, metadata) = (builder.schema().clone(), builder.metadata().as_ref().clone());
    let batches: Vec<RecordBatch> = builder.build().expect("a reader").map(|batch| batch.expect("rows")).collect();
    (concat_batches(&schema, &batches).expect("one schema"), metadata)
}

/// Bytes of every bound of a column's pages, with its nulls.
fn page_bounds(metadata: &ParquetMetaData, group: usize, column: usize) -> String {
    format!("{:?}", metadata.page_index_for_row_group(group).column_index(column).expect("a column index"))
}

/// Bits of a chunk's Bloom filter.
fn bloom(file: &Bytes, group: usize, column: usize) -> Option<Vec<u8>> {
    let options = ReadOptionsBuilder::new()
        .with_reader_properties(ReaderProperties::builder().set_read_bloom_filter(true).build())
        .build();
    let reader = SerializedFileReader::new_with_options(file.clone(), options).expect("a footer");
    let group = reader.get_row_group(group).expect("a row group");
    group.get_column_bloom_filter(column).map(|filter| {
        let mut bits = Vec::new();
        filter.write_bitset(&mut bits).expect("memory");
        bits
    })
}

fn check(config: &ParquetConfig, batches: &[RecordBatch], ends: &[usize]) {
    let given = concat_batches(&batches[0].schema(), batches).expect("one schema");
    let (file, twin_file) = (ours(config, batches, ends), twin(config, batches, ends));
    let ((read, of_ours), (_, of_twin)) = (read(&file), read(&twin_file));
    assert_eq!(read.num_rows(), given.num_rows());
    for (field, (read, given)) in given.schema().fields().iter().zip(read.columns().iter().zip(given.columns())) {
        assert!(read.to_data() == given.to_data(), "{field:?}");
    }
    assert_eq!(of_ours.file_metadata().schema_descr(), of_twin.file_metadata().schema_descr());
    assert_eq!(of_ours.file_metadata().key_value_metadata(), of_twin.file_metadata().key_value_metadata());
    // Where rows alone end row groups, both have the same ones.
    if config.row_group_bytes_max < 1 << 20 {
        return;
    }
    assert_eq!(of_ours.num_row_groups(), of_twin.num_row_groups());
    for (number, (group, of_twin_group)) in of_ours.row_groups().iter().zip(of_twin.row_groups()).enumerate() {
        assert_eq!(group.num_rows(), of_twin_group.num_rows());
        assert_eq!(group.sorting_columns(), of_twin_group.sorting_columns());
        for (at, (chunk, of_twin_chunk)) in group.columns().iter().zip(of_twin_group.columns()).enumerate() {
            let path = chunk.column_path();
            assert_eq!(chunk.compression(), of_twin_chunk.compression(), "{path}");
            assert_eq!(chunk.num_values(), of_twin_chunk.num_values(), "{path}");
            let (one, other) = (chunk.statistics(), of_twin_chunk.statistics());
            assert_eq!(format!("{one:?}"), format!("{other:?}"), "{path}");
            let (one, other) = (chunk.definition_level_histogram(), of_twin_chunk.definition_level_histogram());
            assert_eq!(one, other, "{path}");
            let (one, other) =
                (chunk.unencoded_byte_array_data_bytes(), of_twin_chunk.unencoded_byte_array_data_bytes());
            assert_eq!(one, other, "{path}");
            let rows = |metadata: &ParquetMetaData| {
                let index = metadata.page_index_for_row_group(number);
                index
                    .page_locations(at)
                    .expect("an offset index")
                    .iter()
                    .map(|page| page.first_row_index)
                    .collect::<Vec<_>>()
            };
            if rows(&of_ours) == rows(&of_twin) {
                assert_eq!(page_bounds(&of_ours, number, at), page_bounds(&of_twin, number, at), "{path}");
            }
            let filters = (bloom(&file, number, at), bloom(&twin_file, number, at));
            assert!(filters.0 == filters.1, "{path}");
        }
    }
}

fn config(compression: Compression, row_group_bytes_max: usize) -> ParquetConfig {
    ParquetConfig { compression, row_group_bytes_max, zstd_level: 1, ..ParquetConfig::new("unused") }
}

fn compression() -> impl Strategy<Value = Compression> {
    prop_oneof![Just(Compression::Lz4), Just(Compression::Snappy), Just(Compression::Zstd), Just(Compression::None)]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_same_values_come_back_and_the_same_is_said_of_them(
        choices in prop::collection::vec(any::<Choice>(), fields().len()),
        sizes in prop::collection::vec(prop_oneof![1..40usize, 1..3000usize], 1..5),
        ends in prop::collection::vec(0..5usize, 0..3),
        compression in compression(),
        row_group_bytes_max in prop_oneof![2 => Just(1usize << 25), 1 => Just(64 * 1024usize)],
        seed in any::<u64>(),
    ) {
        let mut config = config(compression, row_group_bytes_max);
        config.bloom = ["utf8", "int64", "float64", "bool", "decimal128"].map(str::to_owned).to_vec();
        check(&config, &batches(&choices, &sizes, seed), &ends);
    }
}

#[test]
fn large_row_groups_come_back() {
    for (seed, repeats) in [(1, Choice::Few), (2, Choice::Any), (3, Choice::Sorted), (4, Choice::Grows)] {
        let choices = vec![repeats; fields().len()];
        check(&config(Compression::Lz4, 1 << 30), &batches(&choices, &[8192; 18], seed), &[]);
    }
}
