//! Lines appended, torn lines cut, cursors moved.

use std::sync::Arc;

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::lane::{Delivery, Rows};

use super::*;
use crate::sink::{Cursors, ROOM, SinkStats, feed};

fn delivery(base: u64, bodies: &[&str]) -> Delivery {
    let mut builder = BatchBuilder::new(0);
    for body in bodies {
        builder.push(Some(b"d"), body.as_bytes(), &HeaderWriter::default(), 1_000).expect("fits");
    }
    let mut batch = builder.seal().expect("rows");
    batch.set_base_offset(base);
    Delivery { batch: Arc::new(batch), rows: Rows::All, enrichments: Arc::new([]), table_version: 1 }
}

#[test]
fn lines_are_appended_behind_the_last_whole_one() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("sub/out.ndjson");
    let config = NdjsonConfig { path: path.clone(), format: LineFormat::Data };
    let run = |deliveries: Vec<Delivery>| {
        let cursors = Arc::new(Cursors::new(&[0]));
        let (sender, feed) = feed(ROOM, cursors.clone());
        deliveries.into_iter().for_each(|delivery| sender.blocking_send(delivery).expect("room"));
        drop(sender);
        run_blocking(config.clone(), feed, Arc::new(SinkStats::default())).expect("writes");
        cursors.get(0)
    };
    assert_eq!(run(vec![delivery(0, &["{\"a\":\n1}", "not json"]), delivery(2, &["3"])]), 3);
    let first = "{\"a\": 1}\n\"not json\"\n3\n";
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), first);
    std::fs::write(&path, format!("{first}{{\"torn\":")).expect("writes");
    assert_eq!(run(vec![delivery(3, &["4"])]), 4);
    assert_eq!(std::fs::read_to_string(&path).expect("reads"), format!("{first}4\n"));
}

#[test]
fn a_folder_that_cannot_be_written_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let config = NdjsonConfig { path: dir.path().to_owned(), format: LineFormat::Data };
    let (_sender, feed) = feed(1, Arc::new(Cursors::new(&[0])));
    let error = run_blocking(config, feed, Arc::new(SinkStats::default())).expect_err("a folder").to_string();
    assert!(error.contains(&dir.path().display().to_string()), "{error}");
}
