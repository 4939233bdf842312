//! Filter texts of all dialects: no panic, bounded work, and what is printed compiles to the same.
#![no_main]

use engine::batch::{BatchBuilder, HeaderWriter};
use engine::event::Event;
use engine::filter::{CompileOptions, Dialect, Filter};
use engine::parse::Parser;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let mut builder = BatchBuilder::new(0);
    builder.push(Some(b"d"), b"{\"a\":1,\"b\":[\"x\"]}", &HeaderWriter::default(), 0).expect("fits");
    let batch = builder.seal().expect("a row");
    let event = Event::new(&batch, 0);
    let mut parser = Parser::default();
    let document = parser.parse(event.data().expect("data")).expect("JSON");
    for dialect in Dialect::ALL {
        let Ok((filter, _)) = Filter::compile(text, dialect, &CompileOptions::default()) else { continue };
        let answer = filter.eval(&event, Some(document.root()));
        let printed = filter.to_string();
        let (again, _) = Filter::compile(&printed, dialect, &CompileOptions::default())
            .unwrap_or_else(|problems| panic!("{printed}: {problems:?}"));
        assert_eq!(again.eval(&event, Some(document.root())), answer, "{printed}");
    }
});
