//! Foreign bytes as events of a Parquet endpoint: read by the column or one by one, they are the same rows.
#![no_main]

use connectors::parquet::{Body, Cells, Learner, Nested, Piece, Schema, Table};
use engine::batch::{Batch, BatchBuilder, HeaderWriter};
use engine::event::Event;
use engine::parse::Parser;
use libfuzzer_sys::fuzz_target;

fn one(table: &mut Table, parser: &mut Parser, event: &Event<'_>) {
    let text = event.data().unwrap_or_default();
    let document = parser.parse(text).ok();
    let body = document.as_ref().map(|document| Body { root: document.root(), text });
    table.push(event, &[], body).expect("a learnt schema refuses nothing");
}

fn one_by_one(schema: &Schema, batch: &Batch) -> Table {
    let (mut table, mut parser) = (Table::new(schema, true), Parser::default());
    (0..batch.rows().len()).for_each(|row| one(&mut table, &mut parser, &Event::new(batch, row)));
    table
}

fn by_column(schema: &Schema, batch: &Batch) -> Table {
    let (mut table, mut parser, mut cells) = (Table::new(schema, true), Parser::default(), Cells::default());
    let rows = 0..batch.rows().len();
    // More than once, so that shapes are learnt and used; at last as it lies or gathered, which the number of rows decides.
    let pieces = vec![Piece::from(batch); 1 + rows.len() % 2];
    for _ in 0..3 {
        cells.read(table.plan(), &pieces, rows.clone().map(|row| (row % pieces.len(), row)));
    }
    let mut at = 0;
    while at < cells.len() {
        if cells.is_plain(at) {
            at += table.push_cells(&cells, at, 5, &pieces).expect("a learnt schema refuses nothing");
        } else {
            one(&mut table, &mut parser, &cells.event(at, &pieces));
            at += 1;
        }
    }
    table
}

// Events are parted by line feeds; the schema is learnt from those with an even number.
fuzz_target!(|input: &[u8]| {
    let [mode, input @ ..] = input else { return };
    let (mut builder, mut learner, mut parser) = (BatchBuilder::new(0), Learner::default(), Parser::default());
    for (number, body) in input.split(|byte| *byte == b'\n').take(64).enumerate() {
        if let (Ok(document), 0) = (parser.parse(body), number % 2) {
            learner.see(document.root());
        }
        builder.push(None, body, &HeaderWriter::default(), 1_700_000_000_000).expect("it is small");
    }
    let schema = learner.finish_as(if mode % 2 == 0 { Nested::Flatten } else { Nested::Struct });
    let batch = builder.seal().expect("it has a row");
    assert_eq!(by_column(&schema, &batch).take(), one_by_one(&schema, &batch).take());
});
