//! Rows of a row group in the order of some columns: they gather until there are enough for one, and come out sorted.
//!
//! Equal rows keep their order. Nulls come first.

use arrow_array::RecordBatch;
use arrow_ord::sort::{SortColumn, SortOptions, lexsort_to_indices};
use arrow_schema::{ArrowError, DataType, Schema};
use arrow_select::concat::concat_batches;
use arrow_select::take::take_record_batch;
use parquet::file::metadata::SortingColumn;

/// What was put in last decides between equals.
const OFFSET: &str = "_offset";
const ORDER: SortOptions = SortOptions { descending: false, nulls_first: true };

/// See the module.
#[derive(Debug)]
pub struct Sorter {
    columns: Vec<String>,
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl Sorter {
    /// Sorts by these columns; those that rows do not have count as null.
    pub fn new(columns: &[String]) -> Self {
        Self { columns: columns.to_vec(), batches: Vec::new(), rows: 0, bytes: 0 }
    }

    /// Takes rows.
    pub fn push(&mut self, rows: RecordBatch) {
        self.rows += rows.num_rows();
        self.bytes += rows.get_array_memory_size();
        self.batches.push(rows);
    }

    /// Rows that have gathered.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Their bytes in memory.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// All rows, sorted; `None` if there are none.
    pub fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        let batches = std::mem::take(&mut self.batches);
        (self.rows, self.bytes) = (0, 0);
        let Some(first) = batches.first() else { return Ok(None) };
        let all = concat_batches(&first.schema(), &batches)?;
        drop(batches);
        let by = self.columns.iter().map(String::as_str).chain([OFFSET]);
        let columns: Vec<SortColumn> = by
            .filter_map(|name| all.column_by_name(name))
            .map(|values| SortColumn { values: values.clone(), options: Some(ORDER) })
            .collect();
        if columns.is_empty() {
            return Ok(Some(all));
        }
        let order = lexsort_to_indices(&columns, None)?;
        take_record_batch(&all, &order).map(Some)
    }
}

/// The first column that rows cannot be sorted by, if there is one.
pub fn unfit<'n>(columns: &'n [String], schema: &Schema) -> Option<(&'n str, DataType)> {
    let mut types =
        columns.iter().filter_map(|name| Some((name.as_str(), schema.field_with_name(name).ok()?.data_type().clone())));
    types.find(|(_, kind)| kind.is_nested())
}

/// What the footer says of the order. Only leaves have numbers, so that what comes behind a nested column is not named.
pub fn footer_columns(columns: &[String], schema: &Schema) -> Option<Vec<SortingColumn>> {
    let mut said = Vec::new();
    for name in columns {
        let (at, _) = schema.column_with_name(name)?;
        let is_flat = !schema.fields()[..=at].iter().any(|field| field.data_type().is_nested());
        if !is_flat {
            break;
        }
        said.push(SortingColumn { column_idx: at as i32, descending: false, nulls_first: true });
    }
    (!said.is_empty()).then_some(said)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use arrow_array::{ArrayRef, Int64Array, StringArray};

    use super::*;

    fn rows(first: i64, keys: &[Option<&str>]) -> RecordBatch {
        let offsets = Int64Array::from_iter_values(first..first + keys.len() as i64);
        let keys = StringArray::from_iter(keys.iter());
        RecordBatch::try_from_iter_with_nullable([
            ("_offset", Arc::new(offsets) as ArrayRef, false),
            ("_key", Arc::new(keys), true),
        ])
        .expect("two columns")
    }

    #[test]
    fn rows_of_several_batches_come_out_in_one_order() {
        let mut sorter = Sorter::new(&["_key".to_owned(), "not there".to_owned()]);
        assert!(sorter.take().expect("nothing").is_none());
        sorter.push(rows(0, &[Some("b"), Some("a"), None]));
        sorter.push(rows(3, &[Some("a"), Some("c"), Some("b")]));
        assert_eq!(sorter.rows(), 6);
        let sorted = sorter.take().expect("sorts").expect("rows");
        assert_eq!(sorted.column(0).as_primitive::<Int64Type>().values().to_vec(), [2, 1, 3, 0, 5, 4]);
        assert!(sorter.take().expect("nothing").is_none());
        let said = footer_columns(&["_key".to_owned()], sorted.schema_ref()).expect("a column");
        assert_eq!((said.len(), said[0].column_idx), (1, 1));
    }
}
