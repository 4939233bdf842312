//! Read back by a reader that knows nothing but the format.

use proptest::prelude::*;

use super::*;

struct Reader<'r>(&'r [u8]);

impl Reader<'_> {
    fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a byte");
        self.0 = rest;
        *first
    }

    fn varint(&mut self) -> u64 {
        let (mut value, mut shift) = (0u64, 0);
        loop {
            let byte = self.byte();
            value |= u64::from(byte & 0x7f) << shift;
            shift += 7;
            if byte < 0x80 {
                return value;
            }
        }
    }

    fn signed(&mut self) -> i64 {
        let value = self.varint();
        (value >> 1) as i64 ^ -((value & 1) as i64)
    }
}

/// Values as they are in 64 bits; those of 32 wrap around there.
fn decoded(bytes: &[u8]) -> Vec<i64> {
    let mut reader = Reader(bytes);
    let (block, parts) = (reader.varint() as usize, reader.varint() as usize);
    assert!(block.is_multiple_of(128) && (block / parts).is_multiple_of(32));
    let count = reader.varint() as usize;
    let mut values = vec![reader.signed()];
    while values.len() < count {
        let least = reader.signed();
        let widths: Vec<u8> = (0..parts).map(|_| reader.byte()).collect();
        for width in widths.into_iter().map(usize::from) {
            if values.len() >= count {
                continue;
            }
            let (packed, rest) = reader.0.split_at(block / parts * width / 8);
            reader.0 = rest;
            let bit = |at: usize| u64::from(packed[at / 8] >> (at % 8) & 1);
            for n in 0..block / parts {
                let delta = (0..width).fold(0, |all, b| all | bit(n * width + b) << b);
                let last = *values.last().expect("the first one");
                values.push(last.wrapping_add(least).wrapping_add(delta as i64));
            }
        }
    }
    assert!(reader.0.is_empty(), "{} bytes are left", reader.0.len());
    values.truncate(count);
    values
}

fn encoded<T: Whole>(values: &[T]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(values, &mut out);
    out
}

fn numbers() -> impl Strategy<Value = Vec<i64>> {
    let one = prop_oneof![any::<i64>(), -5..5i64, 0..1_000_000i64, Just(i64::MIN), Just(i64::MAX)];
    prop_oneof![
        prop::collection::vec(one, 0..900),
        prop::collection::vec(-3..300i64, 0..900).prop_map(|steps| {
            steps
                .into_iter()
                .scan(1_700_000_000_000_000, |at, step| {
                    *at += step;
                    Some(*at)
                })
                .collect()
        }),
    ]
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(values in numbers()) {
        prop_assert_eq!(decoded(&encoded(&values)), values.clone());
        let unsigned: Vec<u64> = values.iter().map(|value| *value as u64).collect();
        prop_assert_eq!(decoded(&encoded(&unsigned)), values.clone());
        let short: Vec<i32> = values.iter().map(|value| *value as i32).collect();
        let back: Vec<i32> = decoded(&encoded(&short)).into_iter().map(|value| value as i32).collect();
        prop_assert_eq!(back, short);
    }
}

#[test]
fn what_rises_evenly_takes_almost_nothing() {
    let values: Vec<i64> = (0..20_000).map(|n| 1_700_000_000_000 + n * 10).collect();
    assert!(encoded(&values).len() < 600);
}
