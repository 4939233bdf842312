//! Lines in pieces of every size, and the template of the progress line.

use std::io::{Cursor, Read};

use super::input::Lines;

/// Gives its bytes a few at a time.
struct Dripping(Cursor<Vec<u8>>, usize);

impl Read for Dripping {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let most = into.len().min(self.1);
        self.0.read(&mut into[..most])
    }
}

fn lines(text: &str, step: usize) -> Vec<(u64, String)> {
    let mut input = Lines::new(Box::new(Dripping(Cursor::new(text.as_bytes().to_vec()), step)));
    let mut all = Vec::new();
    while let Some(chunk) = input.next_chunk().expect("reads") {
        let texts = chunk.lines().map(|line| String::from_utf8_lossy(line).into_owned());
        all.extend((chunk.first_line..).zip(texts));
    }
    all
}

#[test]
fn lines_are_numbered_however_they_are_read() {
    let text = "a\n\nbcd\r\nlast without end";
    let expected = vec![(1, "a".into()), (2, "".into()), (3, "bcd\r".into()), (4, "last without end".into())];
    for step in 1..text.len() + 1 {
        assert_eq!(lines(text, step), expected, "{step} bytes at a time");
    }
    assert_eq!(lines("", 5), []);
    assert_eq!(lines("x\n", 1), [(1, "x".to_owned())]);
}

#[test]
fn a_line_longer_than_a_chunk_is_whole() {
    let long = "y".repeat(3 * 1024 * 1024);
    let found = lines(&format!("{long}\nz"), 700_000);
    assert_eq!((found.len(), found[0].1.len(), found[1].1.as_str()), (2, long.len(), "z"));
}

#[test]
fn the_progress_template_is_one() {
    assert!(indicatif::ProgressStyle::with_template(super::PROGRESS).is_ok());
}
