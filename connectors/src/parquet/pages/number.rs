//! The types of numbers that columns are made of, each with its order, its plain encoding and its statistics.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use arrow_array::types::{
    Date32Type, Float32Type, Float64Type, Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, UInt64Type,
};
use arrow_buffer::ScalarBuffer;
use arrow_schema::{DataType, TimeUnit};
use parquet::basic::Encoding;
use parquet::file::statistics::{Statistics, ValueStatistics};

use super::kind::{Bounds, Facts};
use super::{delta, split};

/// Side by side, for loops without a chain from value to value.
const LANES: usize = 4;

/// See the module.
pub trait Number: Copy + Default + PartialOrd + Send + 'static {
    /// Bytes of one.
    const BYTES: usize;
    /// Whether differences between neighbours are what is written.
    const IS_WHOLE: bool;

    /// The values of an array of its type.
    fn source(array: &dyn Array) -> Option<ScalarBuffer<Self>>
    where
        Self: arrow_buffer::ArrowNativeType;
    /// Its bits.
    fn bits(self) -> u64;
    /// From its bits.
    fn of_bits(bits: u64) -> Self;
    /// Bounds of values of which there is at least one.
    fn bounds(values: &[Self]) -> Bounds<Self>;
    /// `self > other`; all bits have a place in the order.
    fn is_greater(self, other: Self) -> bool {
        self > other
    }
    /// Whether it is no number.
    fn is_nan(self) -> bool {
        false
    }
    /// Appends values without a dictionary.
    fn encode(values: &[Self], out: &mut Vec<u8>) -> Encoding;
    /// Statistics of a column chunk.
    fn statistics(facts: Facts<Self>) -> Statistics;
}

/// Of values without NaN.
fn whole_bounds<T: Number + Ord>(values: &[T]) -> Bounds<T> {
    let first = values.first().copied().unwrap_or_default();
    let (mut min, mut max) = ([first; LANES], [first; LANES]);
    let (lanes, rest) = values.as_chunks::<LANES>();
    for values in lanes {
        for ((min, max), value) in min.iter_mut().zip(&mut max).zip(values) {
            *min = (*min).min(*value);
            *max = (*max).max(*value);
        }
    }
    let min = min.iter().chain(rest).copied().min().unwrap_or(first);
    let max = max.iter().chain(rest).copied().max().unwrap_or(first);
    Bounds { min, max, nans: None }
}

fn value_statistics<T>(
    min: Option<T>,
    max: Option<T>,
    nulls: u64,
    nans: Option<u64>,
    is_signed: bool,
) -> ValueStatistics<T> {
    ValueStatistics::new(min, max, None, Some(nulls), false)
        .with_nan_count(nans)
        .with_backwards_compatible_min_max(is_signed)
}

macro_rules! whole {
    ($type:ty, $bits:ty, $source:expr, $variant:ident, $physical:ty) => {
        impl Number for $type {
            const BYTES: usize = size_of::<Self>();
            const IS_WHOLE: bool = true;

            fn source(array: &dyn Array) -> Option<ScalarBuffer<Self>> {
                let source: fn(&dyn Array) -> Option<ScalarBuffer<Self>> = $source;
                source(array)
            }

            fn bits(self) -> u64 {
                u64::from(self as $bits)
            }

            fn of_bits(bits: u64) -> Self {
                bits as Self
            }

            fn bounds(values: &[Self]) -> Bounds<Self> {
                whole_bounds(values)
            }

            fn encode(values: &[Self], out: &mut Vec<u8>) -> Encoding {
                delta::encode(values, out);
                Encoding::DELTA_BINARY_PACKED
            }

            fn statistics(facts: Facts<Self>) -> Statistics {
                let (min, max) = facts.bounds.map(|bounds| (bounds.min as $physical, bounds.max as $physical)).unzip();
                Statistics::$variant(value_statistics(min, max, facts.nulls, None, facts.is_signed))
            }
        }
    };
}

whole!(
    i32,
    u32,
    |array| match array.data_type() {
        DataType::Int32 => Some(array.as_primitive::<Int32Type>().values().clone()),
        DataType::Date32 => Some(array.as_primitive::<Date32Type>().values().clone()),
        _ => None,
    },
    Int32,
    i32
);
whole!(
    i64,
    u64,
    |array| match array.data_type() {
        DataType::Int64 => Some(array.as_primitive::<Int64Type>().values().clone()),
        DataType::Timestamp(unit, _) => match unit {
            // Stored as they are; Parquet has no seconds.
            TimeUnit::Second => None,
            TimeUnit::Millisecond => Some(array.as_primitive::<TimestampMillisecondType>().values().clone()),
            TimeUnit::Microsecond => Some(array.as_primitive::<TimestampMicrosecondType>().values().clone()),
            TimeUnit::Nanosecond => Some(array.as_primitive::<TimestampNanosecondType>().values().clone()),
        },
        _ => None,
    },
    Int64,
    i64
);
whole!(u64, u64, |array| array.as_primitive_opt::<UInt64Type>().map(|array| array.values().clone()), Int64, i64);

macro_rules! float {
    ($type:ty, $bits:ty, $arrow:ty, $variant:ident, $split:path) => {
        impl Number for $type {
            const BYTES: usize = size_of::<Self>();
            const IS_WHOLE: bool = false;

            fn source(array: &dyn Array) -> Option<ScalarBuffer<Self>> {
                array.as_primitive_opt::<$arrow>().map(|array| array.values().clone())
            }

            fn bits(self) -> u64 {
                u64::from(self.to_bits())
            }

            fn of_bits(bits: u64) -> Self {
                Self::from_bits(bits as $bits)
            }

            fn bounds(values: &[Self]) -> Bounds<Self> {
                // Comparisons with NaN are false, so it is never taken.
                let (mut min, mut max, mut nans) =
                    ([Self::INFINITY; LANES], [Self::NEG_INFINITY; LANES], [0u64; LANES]);
                let mut take = |lane: usize, value: Self| {
                    min[lane] = if value < min[lane] { value } else { min[lane] };
                    max[lane] = if value > max[lane] { value } else { max[lane] };
                    nans[lane] += u64::from(value.is_nan());
                };
                let (lanes, rest) = values.as_chunks::<LANES>();
                for values in lanes {
                    for (lane, value) in values.iter().enumerate() {
                        take(lane, *value);
                    }
                }
                rest.iter().for_each(|value| take(0, *value));
                let nans = nans.iter().sum::<u64>();
                let all_nan = nans == values.len() as u64;
                let less = |least: Self, value: Self| if value < least { value } else { least };
                let more = |most: Self, value: Self| if value > most { value } else { most };
                let mut least = min.into_iter().fold(Self::INFINITY, less);
                let mut most = max.into_iter().fold(Self::NEG_INFINITY, more);
                // Zeros of both signs are equal there, and two bounds here.
                if all_nan || least == 0.0 || most == 0.0 {
                    let counted = || values.iter().filter(|value| all_nan || !value.is_nan());
                    least = counted().copied().min_by(Self::total_cmp).unwrap_or(least);
                    most = counted().copied().max_by(Self::total_cmp).unwrap_or(most);
                }
                Bounds { min: least, max: most, nans: Some(nans) }
            }

            fn is_greater(self, other: Self) -> bool {
                self.total_cmp(&other).is_gt()
            }

            fn is_nan(self) -> bool {
                <$type>::is_nan(self)
            }

            fn encode(values: &[Self], out: &mut Vec<u8>) -> Encoding {
                $split(values.iter().map(|value| value.to_bits()), out);
                Encoding::BYTE_STREAM_SPLIT
            }

            fn statistics(facts: Facts<Self>) -> Statistics {
                let nans = facts.bounds.as_ref().and_then(|bounds| bounds.nans);
                let (min, max) = facts.bounds.map(|bounds| (bounds.min, bounds.max)).unzip();
                Statistics::$variant(value_statistics(min, max, facts.nulls, nans, facts.is_signed))
            }
        }
    };
}

float!(f32, u32, Float32Type, Float, split::encode_32);
float!(f64, u64, Float64Type, Double, split::encode_64);
