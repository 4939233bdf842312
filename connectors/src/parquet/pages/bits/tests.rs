//! Against a packer that puts bit after bit.

use super::*;

fn bit_by_bit(values: &[u64], width: u32) -> Vec<u8> {
    let mut out = vec![0; (values.len() * width as usize).div_ceil(8)];
    let bits = values.iter().flat_map(|value| (0..width).map(move |bit| value >> bit & 1));
    for (at, bit) in bits.enumerate() {
        out[at / 8] |= (bit as u8) << (at % 8);
    }
    out
}

#[test]
fn every_width_is_packed_as_bit_by_bit() {
    let mut random = fastrand::Rng::with_seed(1);
    for width in 1..=64 {
        for round in 0..200 {
            let mask = u64::MAX >> (64 - width);
            let values: [u64; CHUNK] = std::array::from_fn(|_| match round {
                0 => mask,
                1 => 0,
                _ => random.u64(..) >> random.u32(0..64) & mask,
            });
            let mut out = vec![7];
            pack_chunk(&values, width, &mut out);
            assert_eq!((out[0], &out[1..]), (7, &bit_by_bit(&values, width)[..]), "width {width}, round {round}");
        }
    }
}

#[test]
fn a_width_is_that_of_the_highest_bit() {
    assert_eq!([0, 1, 2, 255, 256, u64::MAX].map(width), [0, 1, 2, 8, 9, 64]);
}
