//! What is written about the pages of a column chunk besides the pages: bounds and nulls of each one and of all.

use parquet::basic::BoundaryOrder;
use parquet::errors::ParquetError;
use parquet::file::metadata::{ColumnIndexBuilder, LevelHistogram};
use parquet::file::page_index::column_index::ColumnIndexMetaData;
use parquet::file::statistics::Statistics;
use parquet::schema::types::ColumnDescriptor;

use super::kind::{Bounds, Facts, Kind, widened};

/// See the module.
pub struct Index<K: Kind> {
    builder: ColumnIndexBuilder,
    is_text: bool,
    is_signed: bool,
    is_optional: bool,
    ascends: bool,
    descends: bool,
    last: Option<Bounds<K::Bound>>,
    all: Option<Bounds<K::Bound>>,
    nulls: u64,
    values: u64,
}

impl<K: Kind> Index<K> {
    /// Of a chunk of this column.
    pub fn new(column: &ColumnDescriptor) -> Self {
        use parquet::basic::{ConvertedType, LogicalType};
        Self {
            builder: ColumnIndexBuilder::new(column.physical_type()),
            is_text: column.logical_type_ref() == Some(&LogicalType::String)
                || column.converted_type() == ConvertedType::UTF8,
            is_signed: column.sort_order().is_signed(),
            is_optional: column.max_def_level() > 0,
            ascends: true,
            descends: true,
            last: None,
            all: None,
            nulls: 0,
            values: 0,
        }
    }

    /// Takes the next page. `None`: all of it is null.
    pub fn page(&mut self, bounds: Option<Bounds<K::Bound>>, values: usize, nulls: usize) {
        self.nulls += nulls as u64;
        self.values += values as u64;
        match bounds {
            None => self.builder.append(true, Vec::new(), Vec::new(), nulls as i64, K::HAS_NAN.then_some(0)),
            Some(bounds) => {
                let (min, max) = K::index_bytes(&bounds, self.is_text);
                self.builder.append(false, min, max, nulls as i64, bounds.nans.map(|nans| nans as i64));
                if let Some(last) = &self.last {
                    let is_after = |one: &Bounds<K::Bound>, other: &Bounds<K::Bound>| {
                        K::is_greater(&one.min, &other.min) || K::is_greater(&one.max, &other.max)
                    };
                    self.ascends &= !is_after(last, &bounds);
                    self.descends &= !is_after(&bounds, last);
                }
                self.all = Some(match self.all.take() {
                    None => bounds.clone(),
                    Some(all) => widened::<K>(all, &bounds),
                });
                self.last = Some(bounds);
            }
        }
        if self.is_optional {
            let levels = LevelHistogram::from(vec![nulls as i64, values as i64]);
            self.builder.append_histograms(&None, &Some(levels));
        }
    }

    /// Rows with a value and without one.
    pub fn levels(&self) -> Option<LevelHistogram> {
        self.is_optional.then(|| vec![self.nulls as i64, self.values as i64].into())
    }

    /// Index and statistics of the chunk.
    pub fn close(mut self) -> Result<(ColumnIndexMetaData, Statistics), ParquetError> {
        self.builder.set_boundary_order(match (self.ascends, self.descends) {
            (true, _) => BoundaryOrder::ASCENDING,
            (false, true) => BoundaryOrder::DESCENDING,
            (false, false) => BoundaryOrder::UNORDERED,
        });
        let Self { all: bounds, nulls, is_signed, is_text, .. } = self;
        Ok((self.builder.build()?, K::statistics(Facts { bounds, nulls, is_signed, is_text })))
    }
}
