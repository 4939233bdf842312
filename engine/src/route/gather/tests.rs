//! Gathering a batch gives each row what gathering it alone gives: nothing of the rows before shines through.

use proptest::prelude::*;

use super::*;
use crate::batch::{BatchBuilder, HeaderWriter};
use crate::filter::{CompileOptions, Filter};
use crate::route::{Route, RouteTable};

/// Name and value of headers. What comes last in a row most often differs from row to row, as with listeners.
type Headers = Vec<(&'static str, Option<&'static [u8]>)>;

fn header() -> impl Strategy<Value = (&'static str, Option<&'static [u8]>)> {
    let names = [
        "ce_type",
        "ce_subject",
        "ce_source",
        "level",
        "Level",
        "app_level",
        CONTENT_TYPE,
        CONTENT_ENCODING,
        MESSAGE_SOURCE,
        "iothub-message-id",
    ];
    let values: [Option<&[u8]>; 8] = [
        None,
        Some(b""),
        Some(b"hot"),
        Some(b"a/b"),
        Some(b"application/json"),
        Some(b"utf-16"),
        Some(b"twinChangeEvents"),
        Some(b"\xff"),
    ];
    (prop::sample::select(names.to_vec()), prop::sample::select(values.to_vec()))
}

fn rows() -> impl Strategy<Value = Vec<(Headers, bool)>> {
    // Few shapes, each with another last value again and again.
    let shapes = prop::collection::vec(prop::collection::vec(header(), 1..5), 1..4);
    let picks = prop::collection::vec((any::<prop::sample::Index>(), header(), 0..8u8), 1..40);
    (shapes, picks).prop_map(|(shapes, picks)| {
        let mut at = 0;
        let row = |(index, (_, value), what): (prop::sample::Index, _, u8)| {
            if what > 5 {
                at = index.index(shapes.len());
            }
            let mut headers: Headers = shapes[at].clone();
            if what != 0
                && let Some(last) = headers.last_mut()
            {
                last.1 = value;
            }
            (headers, what != 1)
        };
        picks.into_iter().map(row).collect()
    })
}

fn batch(rows: &[(Headers, bool)]) -> Batch {
    let mut builder = BatchBuilder::new(0);
    for (headers, has_data) in rows {
        let mut writer = HeaderWriter::default();
        for (name, value) in headers {
            writer.put(name, *value);
        }
        let data: &[u8] = if *has_data { br#"{"temp":31,"site":"x"}"# } else { b"" };
        builder.push(Some(b"d"), data, &writer, 0).expect("fits");
    }
    builder.seal().expect("rows")
}

/// What is seen of a row: its source and its cells, texts as texts.
type Seen = (Source, Vec<(Tag, Option<Vec<u8>>, u64)>);

fn seen(gather: &Gather, batch: &Batch, set: &ColumnSet, row: usize) -> Seen {
    let cells = (0..set.len()).map(|column| {
        let (tag, value) = gather.columns.cell(column as ColumnId, row);
        let text = gather.columns.text(tag, value, batch.bytes()).map(<[u8]>::to_vec);
        let number = if matches!(tag, Tag::Number | Tag::Object) { value } else { 0 };
        // Where a text lies means nothing: an empty one may lie behind the batch.
        (if tag == Tag::OwnText { Tag::Text } else { tag }, text, number)
    });
    (gather.sources[row], cells.collect())
}

proptest! {
    #[test]
    fn each_row_is_as_it_is_alone(rows in rows(), again in rows()) {
        let filters = [
            ("type = 'x' AND subject = 'y' AND source = 'z'", Dialect::Anabranch),
            ("level = 'hot' OR temp > 30", Dialect::Anabranch),
            ("level = 'hot' AND $messageId = 'm' AND $body.temp > 30", Dialect::IotHub),
        ];
        let route = |(at, (text, dialect)): (usize, &(&str, Dialect))| Route {
            name: format!("r{at}"),
            source: Source::DeviceMessages,
            filter: Filter::compile(text, *dialect, &CompileOptions::default()).expect("valid").0,
            endpoint: 0,
            enabled: true, every_source: false,
        };
        for used in 1..=filters.len() {
            let routes: Vec<Route> = filters[..used].iter().enumerate().map(route).collect();
            let table = RouteTable::new(1, &routes, None, vec![[].into()]).expect("valid");
            let mut together = Gather::new(Kernel::best());
            for rows in [&rows, &again] {
                let whole = batch(rows);
                together.run(&table.columns, &whole);
                for (at, row) in rows.iter().enumerate() {
                    let single = batch(std::slice::from_ref(row));
                    let mut alone = Gather::new(Kernel::best());
                    alone.run(&table.columns, &single);
                    prop_assert_eq!(
                        seen(&together, &whole, &table.columns, at),
                        seen(&alone, &single, &table.columns, 0),
                        "row {}: {:?}", at, row
                    );
                }
            }
        }
    }
}
