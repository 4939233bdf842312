//! Against byte after byte.

use super::*;

fn byte_by_byte<const N: usize>(values: impl Iterator<Item = [u8; N]> + Clone) -> Vec<u8> {
    (0..N).flat_map(|byte| values.clone().map(move |value| value[byte])).collect()
}

#[test]
fn every_count_is_split_as_byte_by_byte() {
    let mut random = fastrand::Rng::with_seed(3);
    for count in (0..70).chain([1000, 1001]) {
        let values: Vec<u64> = (0..count).map(|_| random.u64(..)).collect();
        let mut out = vec![9];
        encode_64(values.iter().copied(), &mut out);
        assert_eq!(out[1..], byte_by_byte(values.iter().map(|value| value.to_le_bytes())), "{count} of 8 bytes");
        out.truncate(1);
        encode_32(values.iter().map(|value| *value as u32), &mut out);
        assert_eq!(
            out[1..],
            byte_by_byte(values.iter().map(|value| (*value as u32).to_le_bytes())),
            "{count} of 4 bytes"
        );
        assert_eq!(out[0], 9);
    }
}
