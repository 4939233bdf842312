//! Rows into folders and back: names as Hive writes them, order kept, nothing lost.

use std::sync::Arc;

use arrow_array::{BooleanArray, Int64Array, StringArray, TimestampMillisecondArray};

use super::*;
use crate::parquet::folders::values;

fn rows(times: &[&str], sites: &[Option<&str>], levels: &[Option<i64>]) -> RecordBatch {
    let at = |text: &&str| text.parse::<jiff::Timestamp>().expect("a time").as_millisecond();
    let times: TimestampMillisecondArray = times.iter().map(|text| Some(at(text))).collect();
    let truths: BooleanArray = levels.iter().map(|level| level.map(|level| level > 0)).collect();
    RecordBatch::try_from_iter([
        ("_offset", Arc::new(Int64Array::from_iter_values(0..sites.len() as i64)) as ArrayRef),
        ("_time", Arc::new(times)),
        ("site", Arc::new(sites.iter().collect::<StringArray>())),
        ("level", Arc::new(levels.iter().collect::<Int64Array>())),
        ("up", Arc::new(truths)),
    ])
    .expect("columns of one length")
}

fn split(names: &[&str], rows: &RecordBatch) -> Vec<(String, Vec<i64>)> {
    let layout = Layout::new(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
    assert_eq!(layout.unfit(rows.schema_ref()), None);
    let split = layout.split(rows).expect("splits");
    for name in layout.columns() {
        assert!(split.iter().all(|(_, rows)| rows.column_by_name(name).is_none()), "{name} is in the folders alone");
    }
    let offsets = |rows: &RecordBatch| rows.column(0).as_primitive::<Int64Type>().values().to_vec();
    split.iter().map(|(folder, rows)| (folder.clone(), offsets(rows))).collect()
}

#[test]
fn rows_go_to_the_folders_of_their_times_and_values() {
    let times = ["2026-11-21T23:59:59.999Z", "2026-11-22T00:00:00Z", "1969-12-31T23:30:00Z", "2026-11-21T23:00:00Z"];
    let rows = rows(&times, &[Some("ber"), Some("a/b=c%"), None, Some("ber")], &[Some(1), None, Some(-7), Some(1)]);
    let folders = |of: &[(&str, &[i64])]| -> Vec<(String, Vec<i64>)> {
        of.iter().map(|(name, offsets)| ((*name).to_owned(), offsets.to_vec())).collect()
    };
    assert_eq!(split(&[], &rows), folders(&[("", &[0, 1, 2, 3])]));
    assert_eq!(
        split(&["date"], &rows),
        folders(&[("date=2026-11-21", &[0, 3]), ("date=2026-11-22", &[1]), ("date=1969-12-31", &[2])])
    );
    assert_eq!(
        split(&["date", "hour", "site"], &rows),
        folders(&[
            ("date=2026-11-21/hour=23/site=ber", &[0, 3]),
            ("date=2026-11-22/hour=00/site=a%2Fb%3Dc%25", &[1]),
            ("date=1969-12-31/hour=23/site=__HIVE_DEFAULT_PARTITION__", &[2]),
        ])
    );
    assert_eq!(
        split(&["level", "up"], &rows),
        folders(&[
            ("level=1/up=true", &[0, 3]),
            ("level=__HIVE_DEFAULT_PARTITION__/up=__HIVE_DEFAULT_PARTITION__", &[1]),
            ("level=-7/up=false", &[2]),
        ])
    );
    // A column that nobody has seen yet has no values.
    assert_eq!(split(&["new"], &rows), folders(&[("new=__HIVE_DEFAULT_PARTITION__", &[0, 1, 2, 3])]));
}

#[test]
fn folders_say_what_the_rows_said() {
    let sites = ["ber", "Zürich", "a/b", "100 %", "x=y", ".", "..", "__", "日本", "tab\t", "", "a%2Fb"];
    let rows = rows(&["2026-11-21T00:00:00Z"; 12], &sites.map(Some), &[None; 12]);
    for (folder, offsets) in split(&["site"], &rows) {
        let said = values(&format!("{folder}/p.parquet")).remove("site").expect("a value");
        let expected = Some(sites[offsets[0] as usize]).filter(|site| !site.is_empty());
        assert_eq!(said.as_deref(), expected);
        assert!(!folder.contains('/') && folder.is_ascii(), "{folder} is one folder, whatever the system");
    }
}

#[test]
fn no_folders_are_made_of_doubles() {
    let rows = RecordBatch::try_from_iter([("t", Arc::new(arrow_array::Float64Array::from(vec![1.5])) as ArrayRef)]);
    let schema = rows.expect("one column").schema();
    assert_eq!(Layout::new(&["t".to_owned()]).unfit(&schema), Some(("t", &DataType::Float64)));
}

#[test]
fn rows_of_a_column_that_makes_no_folders_are_refused_and_not_lost() {
    let rows = rows(&["2026-11-21T23:59:59.999Z"], &[Some("ber")], &[Some(1)]);
    let layout = Layout::new(&["_time_of_day".to_owned(), "up".to_owned(), "share".to_owned()]);
    assert_eq!(layout.split(&rows).expect("columns that are not there").len(), 1);
    let fields: Vec<arrow_schema::FieldRef> = [
        rows.schema_ref().fields().to_vec(),
        vec![Arc::new(arrow_schema::Field::new("share", DataType::Float64, true))],
    ]
    .concat();
    let shares: ArrayRef = Arc::new(arrow_array::Float64Array::from(vec![0.5]));
    let columns = [rows.columns().to_vec(), vec![shares]].concat();
    let rows = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).expect("one row");
    let error = layout.split(&rows).expect_err("no folders of doubles").to_string();
    assert!(error.contains("`share` of type Float64"), "{error}");
}
