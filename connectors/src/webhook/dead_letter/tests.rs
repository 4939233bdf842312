//! Append, torn tails, bounds, removal, and two writers at once.

use std::io::Write;

use super::*;

fn line(offset: u64) -> String {
    let head = r#"{"endpoint":"a","reason":"NonRetriableStatus","outcome":"BadRequest","status":400,"attempts":1"#;
    format!("{head},\"partition\":0,\"offset\":{offset},\"event\":{{\"id\":\"{offset}\"}}}}\n")
}

fn offsets(path: &Path) -> Vec<u64> {
    Lines::open(path).expect("there").map(|line| line.expect("read").letter.expect("a letter").offset).collect()
}

#[test]
fn what_was_appended_is_read() {
    let dir = tempfile::tempdir().expect("dir");
    let path = default_path(dir.path(), "a");
    let file = DeadLetterFile::open(path.clone(), 1 << 20).expect("opened");
    assert!(offsets(&path).is_empty());
    file.append(line(1).as_bytes()).expect("room");
    file.append((line(2) + &line(3)).as_bytes()).expect("room");
    assert_eq!(offsets(&path), [1, 2, 3]);
    let first = Lines::open(&path).expect("there").next().expect("one").expect("read");
    let letter = first.letter.expect("a letter");
    assert_eq!((first.number, first.range), (1, 0..line(1).len() as u64));
    assert_eq!((letter.endpoint.as_str(), letter.status, letter.event.get()), ("a", Some(400), r#"{"id":"1"}"#));
}

#[test]
fn a_torn_line_is_cut_wherever_it_tore() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("x.ndjson");
    let (kept, torn) = (line(1), line(2));
    for cut in [1, 10, torn.len() - 1] {
        std::fs::write(&path, [kept.as_bytes(), &torn.as_bytes()[..cut]].concat()).expect("written");
        // A reader leaves it out, an opening node cuts it, a node that was not restarted cuts it when it appends.
        assert_eq!(offsets(&path), [1]);
        let file = DeadLetterFile::open(path.clone(), 1 << 20).expect("opened");
        assert_eq!(std::fs::read_to_string(&path).expect("there"), kept);
        std::fs::OpenOptions::new()
            .append(true)
            .open(&path)
            .expect("there")
            .write_all(&torn.as_bytes()[..cut])
            .expect("written");
        file.append(line(3).as_bytes()).expect("room");
        assert_eq!(offsets(&path), [1, 3]);
    }
    // Torn at the very start, and longer than the piece that is searched at a time.
    std::fs::write(&path, vec![b'x'; 20_000]).expect("written");
    DeadLetterFile::open(path.clone(), 1 << 20).expect("opened");
    assert_eq!(std::fs::metadata(&path).expect("there").len(), 0);
    std::fs::write(&path, [kept.as_bytes(), &[b'x'; 20_000]].concat()).expect("written");
    DeadLetterFile::open(path.clone(), 1 << 20).expect("opened");
    assert_eq!(offsets(&path), [1]);
}

#[test]
fn the_size_is_a_bound() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("x.ndjson");
    let one = line(1).len() as u64;
    let file = DeadLetterFile::open(path.clone(), 2 * one).expect("opened");
    file.append(line(1).as_bytes()).expect("room");
    assert!(matches!(file.append((line(2) + &line(3)).as_bytes()), Err(AppendError::Full { .. })));
    assert_eq!(offsets(&path), [1]);
    file.append(line(2).as_bytes()).expect("exactly full");
    assert!(matches!(file.append(line(3).as_bytes()), Err(AppendError::Full { .. })));
    // Making room helps a running node.
    remove(&path, std::slice::from_ref(&(0..one)), &dir.path().join("moved")).expect("removed");
    file.append(line(3).as_bytes()).expect("room again");
    assert_eq!(offsets(&path), [2, 3]);
}

#[test]
fn removed_lines_stand_in_the_other_file() {
    let dir = tempfile::tempdir().expect("dir");
    let (path, moved) = (dir.path().join("x.ndjson"), dir.path().join("x.ndjson.redriven"));
    let file = DeadLetterFile::open(path.clone(), 1 << 20).expect("opened");
    let all: String = (0..6).map(line).collect();
    file.append(all.as_bytes()).expect("room");
    let ranges: Vec<_> = Lines::open(&path)
        .expect("there")
        .map(|line| line.expect("read"))
        .filter(|line| line.letter.as_ref().is_ok_and(|letter| letter.offset % 2 == 1))
        .map(|line| line.range)
        .collect();
    file.append(line(7).as_bytes()).expect("room");
    remove(&path, &ranges, &moved).expect("removed");
    assert_eq!((offsets(&path), offsets(&moved)), (vec![0, 2, 4, 7], vec![1, 3, 5]));
    remove(&path, &[], &moved).expect("nothing to do");
    assert_eq!(offsets(&path), [0, 2, 4, 7]);
    assert!(remove(&dir.path().join("none"), std::slice::from_ref(&(0..1)), &moved).is_err());
}

#[test]
fn a_node_appends_while_lines_are_removed() {
    let dir = tempfile::tempdir().expect("dir");
    let (path, moved) = (dir.path().join("x.ndjson"), dir.path().join("moved"));
    let file = DeadLetterFile::open(path.clone(), 1 << 20).expect("opened");
    let appending = std::thread::spawn(move || {
        for offset in 0..100 {
            file.append(line(offset).as_bytes()).expect("room");
        }
    });
    while !appending.is_finished() {
        let first = Lines::open(&path).expect("there").next().map(|line| line.expect("read").range);
        remove(&path, first.as_slice(), &moved).expect("removed");
    }
    appending.join().expect("appended");
    let left = offsets(&path);
    let mut all = if moved.exists() { offsets(&moved) } else { Vec::new() };
    all.extend(left);
    assert_eq!(all, (0..100).collect::<Vec<_>>());
}

#[test]
fn lines_that_are_no_letters_are_reported_in_place() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("x.ndjson");
    std::fs::write(&path, format!("{}nonsense\n\n{}", line(1), line(2))).expect("written");
    let found: Vec<_> = Lines::open(&path).expect("there").map(|line| line.expect("read").letter.is_ok()).collect();
    assert_eq!(found, [true, false, false, true]);
}

#[test]
fn names_become_file_names() {
    let folder = Path::new("/d");
    for (name, file) in
        [("alerts", "alerts"), ("a.b-c_d", "a.b-c_d"), ("../x", "%2E.%2Fx"), ("ü", "%C3%BC"), ("a%2F", "a%252F")]
    {
        assert_eq!(default_path(folder, name), folder.join("dead-letters").join(format!("{file}.ndjson")));
    }
}
