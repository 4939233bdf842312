//! Look-ups of texts against a map of the standard library.

use std::collections::HashMap;

use super::*;

/// Texts of all lengths around those of a word and two, which differ in one byte only.
fn text(random: &mut fastrand::Rng) -> Vec<u8> {
    let mut text = vec![b'a'; random.usize(0..40)];
    if !text.is_empty() && random.bool() {
        let at = random.usize(..text.len());
        text[at] = [0, b'b', 0xff][random.usize(..3)];
    }
    text
}

/// Looks up all.
fn look_up<'t>(table: &mut TextTable, texts: impl Iterator<Item = &'t [u8]>, places: &mut Vec<u16>) -> bool {
    let (mut bytes, mut lengths) = (Vec::new(), Vec::new());
    for text in texts {
        bytes.extend_from_slice(text);
        lengths.push(text.len() as i32);
    }
    table.look_up(&bytes, &lengths, places)
}

#[test]
fn places_are_those_of_a_map() {
    let mut random = fastrand::Rng::with_seed(4);
    for _ in 0..50 {
        let (mut table, mut map) = (TextTable::default(), HashMap::new());
        for _ in 0..4 {
            let texts: Vec<Vec<u8>> = (0..500).map(|_| text(&mut random)).collect();
            let mut places = Vec::new();
            assert!(look_up(&mut table, texts.iter().map(Vec::as_slice), &mut places));
            for (text, place) in texts.iter().zip(places) {
                let next = map.len() as u16;
                assert_eq!(*map.entry(text.clone()).or_insert(next), place);
                assert_eq!(table.text(place), text);
            }
        }
        assert_eq!(table.len(), map.len());
        let mut in_order: Vec<u16> = (0..table.len() as u16).collect();
        in_order.sort_by_key(|place| table.text(*place).to_vec());
        assert!(in_order.is_sorted_by_key(|place| table.order(usize::from(*place))));
    }
}

#[test]
fn what_does_not_fit_leaves_it_as_it_was() {
    let mut table = TextTable::default();
    let mut places = Vec::new();
    assert!(look_up(&mut table, [&b"one"[..], b"two", b"one"].into_iter(), &mut places));
    let many: Vec<String> = (0..40_000).map(|n| format!("device-{n}")).collect();
    let bytes = table.bytes().to_vec();
    assert!(!look_up(&mut table, many.iter().map(String::as_bytes), &mut places));
    assert_eq!((places, table.len(), table.bytes()), (vec![0, 1, 0], 2, &bytes[..]));
}
