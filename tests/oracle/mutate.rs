//! Small damage to a text: what a fuzzer would do, repeatable from a seed.

use fastrand::Rng;

/// Pieces that have meaning in JSON.
const PIECES: [&[u8]; 44] = [
    b"\"",
    b"\\",
    b":",
    b",",
    b"{",
    b"}",
    b"[",
    b"]",
    b" ",
    b"\t",
    b"\n",
    b"-",
    b".",
    b"0",
    b"1",
    b"9",
    b"e",
    b"E",
    b"+",
    b"true",
    b"false",
    b"null",
    b"nul",
    b"tru",
    b"\\u0041",
    b"\\ud83d\\ude00",
    b"\\ud800",
    b"\\n",
    b"\\\"",
    b"\"\"",
    b"{}",
    b"[]",
    b"\"a\":",
    b"\"a\":1,",
    b",\"b\":\"x\"",
    b"1e5",
    b"1e400",
    b"-0",
    b"00",
    b"0.1",
    b"\xc3\xa4",
    b"\xff",
    b"\x01",
    b"123456789012345678901234567890",
];

/// Changes `text` in one to four places.
pub fn mutate(text: &mut Vec<u8>, rng: &mut Rng) {
    for _ in 0..rng.usize(1..=4) {
        let at = rng.usize(0..=text.len());
        match rng.u8(0..8) {
            0 if at < text.len() => text[at] = rng.u8(..),
            1 if at < text.len() => text[at] ^= 1 << rng.u8(0..8),
            2 if at < text.len() => drop(text.remove(at)),
            3 if at < text.len() => {
                let end = (at + rng.usize(1..=8)).min(text.len());
                text.drain(at..end);
            }
            4 => text.truncate(at),
            5 if at < text.len() => {
                // A piece of itself elsewhere: duplicates of members, doubled brackets.
                let end = (at + rng.usize(1..=24)).min(text.len());
                let piece = text[at..end].to_vec();
                let to = rng.usize(0..=text.len());
                text.splice(to..to, piece);
            }
            6 if at < text.len() => {
                let piece = PIECES[rng.usize(0..PIECES.len())];
                let end = (at + piece.len()).min(text.len());
                text.splice(at..end, piece.iter().copied());
            }
            _ => {
                let piece = PIECES[rng.usize(0..PIECES.len())];
                text.splice(at..at, piece.iter().copied());
            }
        }
    }
}
