//! Lines in, files out: routes, keys, bad lines, events that are no objects, chunks of any size.

use std::io::{self, Read};

use std::path::Path;

use ::parquet::file::reader::{FileReader, SerializedFileReader};
use clap::Parser as _;

use super::*;

#[derive(clap::Parser)]
struct Cli {
    #[command(flatten)]
    pipe: PipeArgs,
}

/// Arguments as typed, `DIR` replaced by a folder.
fn args(dir: &Path, typed: &[&str]) -> PipeArgs {
    let dir = dir.display().to_string();
    let typed = typed.iter().map(|word| word.replace("DIR", &dir));
    Cli::try_parse_from(std::iter::once("pipe".to_owned()).chain(typed)).expect("arguments").pipe
}

/// Runs `typed` on a file with `input`; what was reported.
fn piped(dir: &Path, typed: &[&str], input: &str) -> Result<Vec<String>, String> {
    let file = dir.join("input.ndjson");
    std::fs::write(&file, input).expect("writes");
    let mut args = args(dir, typed);
    args.files.push(file.clone());
    let mut routes = Routes::compile(&args, 1_000, false)?;
    let mut reported = Vec::new();
    pipe(&args, &mut routes, &Progress::none(), &mut |message| {
        reported.push(message.replace(&file.display().to_string(), "IN"))
    })
    .and(routes.finish())?;
    Ok(reported)
}

fn read(path: PathBuf) -> String {
    std::fs::read_to_string(path).expect("reads")
}

#[test]
fn each_line_goes_once_to_each_endpoint_that_wants_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let routes = [
        "--route",
        "temp > 30=>ndjson:DIR/hot",
        "--route",
        "temp > 10=>ndjson:DIR/warm",
        // A second way to the same place, and an arrow inside a string.
        "--route",
        "s = '=>'=>ndjson:DIR/hot",
        "--route",
        "temp > 20=>ndjson:DIR/hot",
    ];
    let input = "{\"temp\":31}\n{\"temp\":15}\r\n\n{\"temp\":25}\n{\"temp\":1,\"s\":\"=>\"}";
    assert_eq!(piped(dir.path(), &routes, input), Ok(vec![]));
    assert_eq!(read(dir.path().join("hot")), "{\"temp\":31}\n{\"temp\":25}\n{\"temp\":1,\"s\":\"=>\"}\n");
    assert_eq!(read(dir.path().join("warm")), "{\"temp\":31}\n{\"temp\":15}\n{\"temp\":25}\n");
}

#[test]
fn bad_lines_are_named_and_cost_only_themselves() {
    let dir = tempfile::tempdir().expect("a folder");
    let input = "{\"a\":1}\n{\"a\":\n\n{\"specversion\":\"1.0\",\"id\":\"x\"}\n{\"a\":2}\n";
    let reported = piped(dir.path(), &["--route", "true=>ndjson:DIR/out"], input).expect("writes");
    assert_eq!(reported.len(), 2, "{reported:?}");
    assert!(reported[0].starts_with("IN:2: not valid JSON: "), "{reported:?}");
    assert!(reported[1].starts_with("IN:4: ") && reported[1].contains("source"), "{reported:?}");
    assert_eq!(read(dir.path().join("out")), "{\"a\":1}\n{\"a\":2}\n");
    // A file that is not there costs itself.
    let mut args = args(dir.path(), &["--route", "true=>ndjson:DIR/second", "DIR/none"]);
    args.files.push(dir.path().join("input.ndjson"));
    let mut routes = Routes::compile(&args, 0, false).expect("compiles");
    let mut reported = 0;
    pipe(&args, &mut routes, &Progress::none(), &mut |_| reported += 1).and(routes.finish()).expect("writes");
    assert_eq!((reported, routes.matched()), (3, 2));
}

#[test]
fn a_torn_last_line_of_the_target_is_cut_before_more_is_appended() {
    let dir = tempfile::tempdir().expect("a folder");
    std::fs::write(dir.path().join("out"), "1\n{\"to").expect("writes");
    assert_eq!(piped(dir.path(), &["--route", "true=>ndjson:DIR/out"], "2\n"), Ok(vec![]));
    assert_eq!(read(dir.path().join("out")), "1\n2\n");
}

#[test]
fn cloud_events_are_filtered_by_their_attributes_and_written_either_way() {
    let dir = tempfile::tempdir().expect("a folder");
    let event = |kind: &str, rest: &str| {
        format!("{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"{kind}\"{rest}}}\n")
    };
    let input = event("alarm", ",\"data\":{\"temp\":31}")
        + &event("alarm", ",\"datacontenttype\":\"text/plain\",\"data\":\"fire\"")
        + &event("other", ",\"data\":{\"temp\":99}");
    let alarms = ["--route", "type = 'alarm'=>ndjson:DIR/alarms"];
    assert_eq!(piped(dir.path(), &alarms, &input), Ok(vec![]));
    assert_eq!(read(dir.path().join("alarms")), "{\"temp\":31}\n\"fire\"\n");
    let whole = ["--route", "temp > 30 AND type = 'alarm'=>ndjson:DIR/whole", "--format", "cloudevents", "--key", "/d"];
    let plain = "{\"temp\":40,\"d\":\"dev-1\"}\n";
    assert_eq!(piped(dir.path(), &whole, &(input + plain)), Ok(vec![]));
    let lines = read(dir.path().join("whole"));
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines.len(), 1, "a line without attributes has the default type: {lines:?}");
    assert_eq!((&lines[0]["type"], &lines[0]["data"]["temp"]), (&"alarm".into(), &31.into()));
}

#[test]
fn a_line_that_is_no_cloud_event_becomes_one_with_its_data() {
    let dir = tempfile::tempdir().expect("a folder");
    let typed = ["--route", "true=>ndjson:DIR/out", "--format", "cloudevents"];
    let input = "{\"d\":{\"n\":\"dev-1\"}}\n[1]\n{\"d\":{\"n\":7}}\n";
    assert_eq!(piped(dir.path(), &typed, input), Ok(vec![]));
    let lines = read(dir.path().join("out"));
    let lines: Vec<serde_json::Value> = lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines[0]["data"]["d"]["n"], "dev-1");
    assert_eq!(lines[1]["data"][0], 1);
    // Its key is where the pointer leads, and filters see it.
    for (key, expected) in [("dev-1", "{\"d\":{\"n\":\"dev-1\"}}\n"), ("7", "{\"d\":{\"n\":7}}\n")] {
        let route = format!("$connectionDeviceId = '{key}'=>ndjson:DIR/{key}");
        let typed = ["--route", &route, "--dialect", "iothub", "--key", "/d/n"];
        assert_eq!(piped(dir.path(), &typed, input), Ok(vec![]));
        assert_eq!(read(dir.path().join(key)), expected);
    }
}

#[test]
fn routes_and_endpoints_come_from_a_configuration_too() {
    let dir = tempfile::tempdir().expect("a folder");
    let text = format!(
        "[endpoints.out]\ntype = \"ndjson\"\npath = '{0}/out'\nformat = \"data\"\n[endpoints.hook]\ntype = \"webhook\"\n\
         url = \"http://127.0.0.1:1\"\n[[routes]]\nname = \"r\"\nfilter = \"$body.n > 1\"\ndialect = \"iothub\"\nendpoint = \"out\"\n\
         [[routes]]\nname = \"off\"\nfilter = \"true\"\nendpoint = \"hook\"\nenabled = false\n",
        dir.path().display()
    );
    std::fs::write(dir.path().join("c.toml"), &text).expect("writes");
    let typed = ["--config", "DIR/c.toml", "--route", "n = 1=>out", "--route", "n = 3=>ndjson:DIR/three"];
    assert_eq!(piped(dir.path(), &typed, "{\"n\":0}\n{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n"), Ok(vec![]));
    assert_eq!(read(dir.path().join("out")), "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n");
    assert_eq!(read(dir.path().join("three")), "{\"n\":3}\n");
    std::fs::write(dir.path().join("c.toml"), text.replace("enabled = false", "enabled = true")).expect("writes");
    let error = piped(dir.path(), &typed, "").expect_err("a webhook");
    assert!(error.contains("hook") && error.contains("needs a node"), "{error}");
}

#[test]
fn a_parquet_folder_is_taken_only_if_it_has_no_files() {
    let dir = tempfile::tempdir().expect("a folder");
    let lake = dir.path().join("lake");
    let typed = ["--route", "a >= 0=>parquet:DIR/lake", "--system-columns"];
    // What an interrupted run left behind is no reason to stop.
    std::fs::create_dir(&lake).expect("creates");
    std::fs::write(lake.join(".tmp-p00000-00000000000000000000"), "half").expect("writes");
    assert_eq!(piped(dir.path(), &typed, "{\"b\":1}\n{\"a\":1}\n{\"a\":2}\n5\n"), Ok(vec![]));
    let names: Vec<_> = std::fs::read_dir(&lake)
        .expect("a folder")
        .filter_map(|entry| entry.expect("an entry").file_name().into_string().ok())
        .collect();
    assert_eq!(names, ["p00000-00000000000000000001-00000000000000000002.parquet"]);
    let error = piped(dir.path(), &typed, "").expect_err("not empty");
    assert!(error.contains("has Parquet files"), "{error}");
}

#[test]
fn wrong_routes_are_all_named_before_anything_is_opened() {
    let dir = tempfile::tempdir().expect("a folder");
    let wrong = [
        "--route",
        "true=>ndjson:DIR/out",
        "--route",
        "temp >=>-",
        "--route",
        "true",
        "--key",
        "device",
        "--dialect",
        "anabranch",
    ];
    let error = piped(dir.path(), &wrong, "").expect_err("wrong");
    for part in ["no JSON pointer", "has no =>", "temp >"] {
        assert!(error.contains(part), "{part} is not in\n{error}");
    }
    assert!(!dir.path().join("out").exists());
    assert!(piped(dir.path(), &["--route", "true=>-", "--dialect", "sql"], "").is_err());
}

/// Gives a few bytes at a time.
struct Trickle(io::Cursor<Vec<u8>>, usize);

impl Read for Trickle {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let most = self.1.min(room.len());
        self.0.read(&mut room[..most])
    }
}

#[test]
fn lines_and_their_numbers_do_not_depend_on_how_they_come() {
    let long = "x".repeat(700_000);
    let mut texts: Vec<String> = (0..200).map(|at| format!("{at}{}", "y".repeat(at * 37 % 300))).collect();
    (texts[50], texts[51], texts[199]) = (long, String::new(), "the end".to_owned());
    let input = texts.join("\n").into_bytes();
    for bytes in [1000, 65_536, usize::MAX] {
        let mut lines = Lines::new(Box::new(Trickle(io::Cursor::new(input.clone()), bytes)));
        let mut found = Vec::new();
        while lines.read_chunk().expect("reads") {
            let chunk = lines.chunk();
            for (number, line) in (chunk.first_line..).zip(chunk.lines()) {
                found.push((number, String::from_utf8_lossy(line).into_owned()));
            }
        }
        let expected: Vec<(u64, String)> = (1..).zip(texts.iter().cloned()).collect();
        assert_eq!(found.len(), expected.len());
        assert!(found == expected, "with {bytes} bytes at a time");
    }
}

#[test]
fn the_progress_template_is_one() {
    assert!(indicatif::ProgressStyle::with_template(crate::progress::PROGRESS).is_ok());
}

/// What a run left behind: what was reported, the lines and the rows that were written, and the counts.
fn left_behind(dir: &Path, typed: &[&str], file: &Path, by_line: bool) -> (Vec<String>, String, Vec<String>, String) {
    let mut args = args(dir, typed);
    args.files.push(file.to_owned());
    let mut routes = Routes::compile(&args, 1_000, false).expect("compiles");
    assert!(routes.batches.is_some(), "nothing here asks for more than bodies");
    if by_line {
        routes.batches = None;
    }
    let mut reported = Vec::new();
    let report = &mut |message: &str| reported.push(message.to_owned());
    pipe(&args, &mut routes, &Progress::none(), report).and(routes.finish()).expect("writes");
    let counts = format!("{} {} {}", routes.seen(), routes.matched(), routes.summary())
        .replace(&dir.display().to_string(), "DIR");
    let lines = std::fs::read_to_string(dir.join("lines")).unwrap_or_default();
    let mut rows = Vec::new();
    for folder in ["some", "all"] {
        let Ok(entries) = std::fs::read_dir(dir.join(folder)) else { continue };
        let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
        paths.sort();
        for path in paths.iter().filter(|path| path.extension().is_some_and(|extension| extension == "parquet")) {
            let reader = SerializedFileReader::new(std::fs::File::open(path).expect("opens")).expect("Parquet");
            rows.push(path.file_name().expect("a name").to_string_lossy().into_owned());
            rows.extend(reader.get_row_iter(None).expect("rows").map(|row| row.expect("a row").to_string()));
        }
    }
    (reported, lines, rows, counts)
}

#[test]
fn by_the_batch_everything_is_as_line_by_line() {
    let line = |at: usize| match at % 997 {
        // Odd ones come alone, and many together.
        100 => "{\"specversion\":\"1.0\",\"id\":\"x\",\"source\":\"/s\",\"type\":\"t\",\"data\":{\"temp\":31,\"n\":1}}"
            .to_owned(),
        101 => "{\"specversion\":null,\"temp\":40}".to_owned(),
        300 => "not JSON".to_owned(),
        400 => "[1,2]".to_owned(),
        401 => "  ".to_owned(),
        402 => "{\"temp\":35,\"more\":[1]}  ".to_owned(),
        500..520 if at > 20_000 => "{".to_owned(),
        600 => "{\"temp\":36.5,\"n\":1.5,\"text\":\"\\u00e4\"}".to_owned(),
        _ => format!(
            "{{\"n\":{at},\"temp\":{}.{},\"ok\":{},\"text\":\"site-{}\",\"loc\":{{\"lat\":{}}}}}",
            at % 40,
            at % 10,
            at.is_multiple_of(3),
            at % 7,
            at as f64 / 3.0
        ),
    };
    let input: String = (0..40_000).map(|at| line(at) + if at.is_multiple_of(50) { "\r\n" } else { "\n" }).collect();
    let home = tempfile::tempdir().expect("a folder");
    let file = home.path().join("input.ndjson");
    std::fs::write(&file, input).expect("writes");
    let some = [
        "--route",
        "temp > 30=>parquet:DIR/some",
        "--route",
        "n < 5 OR temp < 3=>ndjson:DIR/lines",
        "--route",
        "true=>parquet:DIR/all",
    ];
    for typed in [
        &some[..],
        &["--route", "true=>parquet:DIR/all"],
        &["--route", "true=>ndjson:DIR/lines"],
        &["--route", "temp > 30=>parquet:DIR/some"],
    ] {
        let (one, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let by_batch = left_behind(one.path(), typed, &file, false);
        let by_line = left_behind(other.path(), typed, &file, true);
        assert!(by_line.0.len() > 20 && (by_line.1.len() > 1000 || by_line.2.len() > 1000));
        assert!(by_batch == by_line, "with {typed:?}: {:?} and {:?}", by_batch.3, by_line.3);
    }
}
