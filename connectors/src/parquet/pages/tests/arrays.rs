//! Columns of every type that an endpoint writes, with values of several sorts.

use std::sync::Arc;

use arrow_array::builder::{Float64Builder, ListBuilder};
use arrow_array::*;
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use fastrand::Rng;
use proptest::prelude::*;

/// How the values of a column are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice {
    /// All the same.
    One,
    /// Few different ones.
    Few,
    /// The first ones repeat, the later ones do not.
    Grows,
    /// Each one no less than the one before.
    Sorted,
    /// The ends of the type, NaN, empty and long texts among them.
    Any,
    /// Nothing but null.
    Null,
}

impl Arbitrary for Choice {
    type Parameters = ();
    type Strategy = BoxedStrategy<Self>;

    fn arbitrary_with((): ()) -> Self::Strategy {
        use Choice::*;
        prop_oneof![Just(One), Just(Few), Just(Grows), Just(Sorted), Just(Any), Just(Null)].boxed()
    }
}

/// The columns; each type once with nulls and once without.
pub fn fields() -> Vec<Field> {
    let utc = || Some("UTC".into());
    let types = [
        DataType::Boolean,
        DataType::Int32,
        DataType::Date32,
        DataType::Int64,
        DataType::UInt64,
        DataType::Timestamp(TimeUnit::Millisecond, utc()),
        DataType::Timestamp(TimeUnit::Microsecond, utc()),
        DataType::Timestamp(TimeUnit::Nanosecond, utc()),
        DataType::Float32,
        DataType::Float64,
        DataType::Utf8,
        DataType::Binary,
        DataType::Decimal128(20, 3),
        DataType::List(Arc::new(Field::new_list_field(DataType::Float64, true))),
    ];
    let name = |r#type: &DataType| match r#type {
        DataType::Boolean => "bool".to_owned(),
        DataType::Timestamp(unit, _) => format!("{unit:?}"),
        DataType::List(_) => "list".to_owned(),
        DataType::Decimal128(..) => "decimal128".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    };
    let both = |r#type: &DataType| {
        let name = name(r#type);
        [Field::new(format!("{name}.required"), r#type.clone(), false), Field::new(name, r#type.clone(), true)]
    };
    types.iter().flat_map(both).collect()
}

/// Numbers of 64 bits, of which all others are made.
fn numbers(choice: Choice, rows: usize, random: &mut Rng) -> Vec<i64> {
    let start = random.i64(-1000..1000);
    let mut at = random.i64(-1_000_000..1_000_000_000);
    let values = (0..rows).map(|row| match choice {
        Choice::One | Choice::Null => start,
        Choice::Few => start * 1_000_003 + random.i64(0..20) * 77_777_777,
        Choice::Grows if row < rows / 3 => random.i64(0..3),
        Choice::Grows => random.i64(..) >> 20,
        Choice::Sorted => {
            at += random.i64(0..30);
            at
        }
        Choice::Any => match random.u8(0..8) {
            0 => i64::MIN,
            1 => i64::MAX,
            2 => random.i64(-3..3),
            3 => i64::from(random.i32(..)),
            _ => random.i64(..),
        },
    });
    values.collect()
}

fn double(choice: Choice, number: i64, random: &mut Rng) -> f64 {
    match choice {
        Choice::Any => match random.u8(0..10) {
            0 => f64::NAN,
            1 => f64::INFINITY,
            2 => f64::NEG_INFINITY,
            3 => -0.0,
            4 => 0.0,
            5 => -f64::NAN,
            6 => f64::MIN_POSITIVE / 2.0,
            _ => f64::from_bits(number as u64),
        },
        // Now and then nothing but NaN, or zeros of both signs.
        Choice::One if number % 5 == 0 => f64::NAN,
        Choice::One if number % 5 == 1 => [0.0, -0.0][random.usize(0..2)],
        _ => number as f64 / 100.0,
    }
}

fn text(choice: Choice, number: i64, random: &mut Rng) -> Vec<u8> {
    let some = |random: &mut Rng, part: &str| part.repeat(random.usize(0..40)).into_bytes();
    match choice {
        Choice::Any => match random.u8(0..8) {
            0 => Vec::new(),
            1 => some(random, "é€"),
            2 => some(random, "\u{10ffff}"),
            3 => some(random, "ab\0"),
            4 => vec![b'x'; random.usize(60..70)],
            _ => number.to_string().into_bytes(),
        },
        Choice::Sorted => format!("{:020}", number + 2_000_000).into_bytes(),
        Choice::One if number % 2 == 0 => "\u{10ffff}".repeat(30).into_bytes(),
        _ => format!("device-{number}").into_bytes(),
    }
}

fn array(field: &Field, choice: Choice, rows: usize, random: &mut Rng) -> ArrayRef {
    let numbers = numbers(choice, rows, random);
    let rate = [0.0, 0.02, 0.5, 0.97][random.usize(0..4)];
    let is_null = |random: &mut Rng| match (field.is_nullable(), choice) {
        (false, _) => false,
        (true, Choice::Null) => true,
        (true, _) => random.f64() < rate,
    };
    let nulls: Vec<bool> = (0..rows).map(|_| is_null(random)).collect();
    let some = || numbers.iter().zip(&nulls).map(|(number, is_null)| (!is_null).then_some(*number));
    match field.data_type() {
        DataType::Boolean => Arc::new(some().map(|n| n.map(|n| n % 3 == 0)).collect::<BooleanArray>()),
        DataType::Int32 => Arc::new(some().map(|n| n.map(|n| n as i32)).collect::<Int32Array>()),
        DataType::Date32 => Arc::new(some().map(|n| n.map(|n| n as i32 % 40_000)).collect::<Date32Array>()),
        DataType::Int64 => Arc::new(some().collect::<Int64Array>()),
        DataType::UInt64 => Arc::new(some().map(|n| n.map(|n| n as u64)).collect::<UInt64Array>()),
        DataType::Timestamp(TimeUnit::Millisecond, utc) => {
            Arc::new(some().collect::<TimestampMillisecondArray>().with_timezone_opt(utc.clone()))
        }
        DataType::Timestamp(TimeUnit::Microsecond, utc) => {
            Arc::new(some().collect::<TimestampMicrosecondArray>().with_timezone_opt(utc.clone()))
        }
        DataType::Timestamp(_, utc) => {
            Arc::new(some().collect::<TimestampNanosecondArray>().with_timezone_opt(utc.clone()))
        }
        DataType::Float32 => {
            Arc::new(some().map(|n| n.map(|n| double(choice, n, random) as f32)).collect::<Float32Array>())
        }
        DataType::Float64 => Arc::new(some().map(|n| n.map(|n| double(choice, n, random))).collect::<Float64Array>()),
        DataType::Utf8 => {
            let texts = some().map(|n| n.map(|n| String::from_utf8(text(choice, n, random)).expect("text")));
            Arc::new(texts.collect::<StringArray>())
        }
        DataType::Binary => {
            let bytes = some().map(|n| {
                n.map(|n| match choice {
                    Choice::Any => vec![0xff; random.usize(0..100)],
                    _ => text(choice, n, random),
                })
            });
            Arc::new(bytes.collect::<BinaryArray>())
        }
        DataType::Decimal128(precision, scale) => {
            let values = some().map(|n| n.map(i128::from)).collect::<Decimal128Array>();
            Arc::new(values.with_precision_and_scale(*precision, *scale).expect("20 digits"))
        }
        _ => {
            let mut lists = ListBuilder::new(Float64Builder::new());
            for number in some() {
                match number {
                    None => lists.append(false),
                    Some(number) => lists.append_value((0..number.rem_euclid(4)).map(|n| (n > 0).then_some(n as f64))),
                }
            }
            Arc::new(lists.finish())
        }
    }
}

/// Rows of the columns; every other batch is a slice from the middle of a larger one.
pub fn batches(choices: &[Choice], sizes: &[usize], seed: u64) -> Vec<RecordBatch> {
    let mut random = Rng::with_seed(seed);
    let fields = fields();
    let schema = Arc::new(Schema::new(fields.clone()));
    let batch = |(number, rows): (usize, &usize)| {
        let around = if number % 2 == 1 { 11 } else { 0 };
        let all = rows + 2 * around;
        let columns = fields.iter().zip(choices).map(|(field, choice)| array(field, *choice, all, &mut random));
        let batch = RecordBatch::try_new(schema.clone(), columns.collect()).expect("columns of one length");
        batch.slice(around, *rows)
    };
    sizes.iter().enumerate().map(batch).collect()
}
