//! Read back by a reader that knows nothing but the format.

use super::*;

fn decoded(mut bytes: &[u8], width: usize, count: usize) -> Vec<u16> {
    let mut values = Vec::new();
    while values.len() < count {
        let mut header = 0u64;
        for shift in (0..).step_by(7) {
            let byte = bytes[0];
            bytes = &bytes[1..];
            header |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                break;
            }
        }
        if header & 1 == 0 {
            let (value, rest) = bytes.split_at(width.div_ceil(8));
            let value = value.iter().rev().fold(0, |all, byte| all << 8 | u16::from(*byte));
            assert!(header > 0, "a run of nothing");
            values.extend(std::iter::repeat_n(value, (header >> 1) as usize));
            bytes = rest;
        } else {
            let (packed, rest) = bytes.split_at((header >> 1) as usize * width);
            let bit = |at: usize| u16::from(packed[at / 8] >> (at % 8) & 1);
            values.extend(
                (0..(header >> 1) as usize * 8).map(|n| (0..width).fold(0, |all, b| all | bit(n * width + b) << b)),
            );
            bytes = rest;
        }
    }
    assert!(bytes.is_empty(), "{} bytes are left", bytes.len());
    assert!(values.len() - count < 8 && values[count..].iter().all(|value| *value == 0));
    values.truncate(count);
    values
}

#[test]
fn what_was_encoded_is_decoded() {
    let mut random = fastrand::Rng::with_seed(2);
    for round in 0..3000 {
        let width = round % 17;
        let mask = (u32::MAX >> (32 - width).min(31)) as u16 * u16::from(width > 0);
        let mut values = Vec::new();
        for _ in 0..random.usize(0..12) {
            let length = random.usize(0..90);
            match random.bool() {
                true => values.extend(std::iter::repeat_n(random.u16(..) & mask, length)),
                false => values.extend((0..length).map(|_| random.u16(..) & mask)),
            }
        }
        let mut out = Vec::new();
        encode(&values, width as u32, &mut out);
        assert_eq!(decoded(&out, width, values.len()), values, "width {width}");
    }
}

#[test]
fn long_runs_take_a_few_bytes() {
    let mut out = Vec::new();
    encode(&[5; 20_000], 9, &mut out);
    assert_eq!(out.len(), 5);
    out.clear();
    encode(&[0; 20_000], 0, &mut out);
    assert_eq!(out.len(), 3);
}
