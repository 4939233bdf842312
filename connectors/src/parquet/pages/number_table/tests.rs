//! Look-ups of numbers against a map of the standard library.

use std::collections::HashMap;

use super::*;

#[test]
fn places_are_those_of_a_map() {
    let mut random = fastrand::Rng::with_seed(5);
    for round in 0..40 {
        let (mut table, mut map, mut places, mut keys) =
            (NumberTable::default(), HashMap::new(), Vec::new(), Vec::new());
        for _ in 0..random.usize(1..9000) {
            keys.push(match round % 3 {
                0 => random.u64(..),
                1 => random.u64(..100),
                _ => f64::from(random.u32(..4000)).to_bits(),
            });
        }
        assert!(table.look_up(keys.iter().copied(), &mut places));
        for (key, place) in keys.iter().zip(places) {
            let next = map.len() as u16;
            assert_eq!(*map.entry(*key).or_insert(next), place);
            assert_eq!(table.keys()[usize::from(place)], *key);
        }
        assert_eq!(table.keys().len(), map.len());
    }
}

#[test]
fn what_does_not_fit_leaves_it_as_it_was() {
    let mut table = NumberTable::default();
    let mut places = Vec::new();
    assert!(table.look_up([7, 8, 7].into_iter(), &mut places));
    assert!(!table.look_up((0..ENTRIES_MAX as u64 + 3).collect::<Vec<_>>().into_iter(), &mut places));
    assert_eq!((&places[..], table.keys()), (&[0, 1, 0][..], &[7, 8][..]));
    table.clear();
    assert!(
        table.look_up((0..ENTRIES_MAX as u64).collect::<Vec<_>>().into_iter(), &mut places),
        "as many as there is room for"
    );
}
