//! `anabranch subscribe` and `publish` against the real node: what is printed, what is kept, and what is said when something is wrong.

use std::collections::HashSet;
use std::io::Write;
use std::process::Stdio;

use arrow_array::cast::AsArray;
use arrow_array::types::Int64Type;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use serde_json::Value;

use crate::beside::Beside;
use crate::quic_node::{QuicNode, each_once_in_order, lines};
use crate::support::eventually_or;

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))
}

fn values(text: &str) -> Vec<Value> {
    text.lines().map(json).collect()
}

#[test]
fn a_filter_gives_what_matches_in_every_format() {
    let quic = QuicNode::start();
    let matching = || (300..900u64).filter(|n| n % 3 == 0);
    // As events come …
    let filter = ["--filter", "kind = 'a' AND n >= 300", "--max", "200"];
    let live = Beside::start(&mut quic.command("subscribe", &filter));
    eventually_or(|| live.said(), || live.said().contains("subscribed at quic://"));
    quic.post(0..500);
    quic.post(500..900);
    each_once_in_order(&values(&live.done()), matching());
    // … and from the log.
    let with = |more: &[&str]| {
        let (code, stdout, stderr) =
            quic.ends("subscribe", &[&filter[..], &["--from", "beginning"], more].concat(), "");
        assert_eq!(code, 0, "{stderr}");
        stdout
    };
    each_once_in_order(&values(&with(&[])), matching());
    let cloudevents = values(&with(&["--format", "cloudevents"]));
    let data: Vec<Value> = cloudevents.iter().map(|event| event["data"].clone()).collect();
    each_once_in_order(&data, matching());
    assert!(cloudevents.iter().all(|event| event["specversion"] == "1.0" && event["anabranchpartition"].is_u64()));
    let table = with(&["--format", "table"]);
    assert_eq!(table.lines().count(), 200);
    let row = table.lines().find(|line| line.ends_with("\"n\":300,\"kind\":\"a\"}")).expect("a row");
    assert!(
        row.contains(" anabranch.event /anabranch ") && row.split(' ').next().expect("a place").contains(':'),
        "{row}"
    );
    let (file, lines_file) = (quic.path("out.parquet"), quic.path("out.ndjson"));
    assert_eq!(with(&["--format", "parquet", "--output", &file]), "");
    let rows = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&file).expect("a file")).expect("Parquet");
    let mut found: Vec<i64> = Vec::new();
    for rows in rows.build().expect("a reader") {
        let rows = rows.expect("rows");
        let n = rows.column_by_name("n").expect("a column").as_primitive::<Int64Type>().clone();
        assert!(rows.column_by_name("_offset").is_some(), "{:?}", rows.schema());
        found.extend(n.values());
    }
    found.sort_unstable();
    assert!(found.iter().map(|n| *n as u64).eq(matching()), "{found:?}");
    // A file of lines is appended to, a Parquet file is not written over.
    assert_eq!(with(&["--output", &lines_file]), "");
    assert_eq!(with(&["--output", &lines_file]), "");
    assert_eq!(std::fs::read_to_string(&lines_file).expect("a file").lines().count(), 400);
    let again = ["--from", "beginning", "--format", "parquet", "--output", &file];
    let (code, _, stderr) = quic.ends("subscribe", &again, "");
    assert!(code == 1 && stderr.contains("is there already"), "{stderr}");
}

#[test]
fn partitions_offsets_and_times_say_where() {
    let quic = QuicNode::with("[node]\npartitions = 4\n");
    quic.post(0..200);
    let take = |args: &[&str]| {
        let (code, stdout, stderr) = quic.ends("subscribe", &[args, &["--format", "cloudevents"]].concat(), "");
        assert_eq!(code, 0, "{stderr}");
        values(&stdout)
    };
    let place = |event: &Value| {
        let offset = event["anabranchoffset"].as_str().and_then(|text| text.parse::<u64>().ok());
        (event["anabranchpartition"].as_u64().expect("a partition"), offset.expect("an offset"))
    };
    let all: HashSet<_> = take(&["--from", "beginning", "--max", "200"]).iter().map(place).collect();
    assert_eq!(all.len(), 200);
    let of_two = all.iter().filter(|(partition, _)| *partition >= 2).count().to_string();
    let found = take(&["--from", "1h", "--partitions", "2-3", "--max", &of_two]);
    assert!(found.iter().all(|event| place(event).0 >= 2));
    let behind = all.iter().filter(|(partition, offset)| *partition == 1 && *offset >= 3).count().to_string();
    let found = take(&["--from", "1:3", "--max", &behind]);
    assert_eq!(place(&found[0]), (1, 3));
    assert!(found.iter().all(|event| place(event).0 == 1));
}

#[test]
fn a_cursor_goes_on_after_kill_9_of_the_command_and_of_the_node() {
    let mut quic = QuicNode::start();
    quic.post(0..900);
    let args = ["--from", "cursor:billing", "--otherwise", "beginning", "--commit"];
    let part = |quic: &QuicNode, max: &str| {
        let (code, stdout, stderr) = quic.ends("subscribe", &[&args[..], &["--max", max]].concat(), "");
        assert_eq!(code, 0, "{stderr}");
        values(&stdout)
    };
    let mut found = part(&quic, "400");
    quic.kill_and_start();
    found.extend(part(&quic, "300"));
    // Whole ends lose and repeat nothing.
    let known: HashSet<u64> = found.iter().map(|event| event["n"].as_u64().expect("a number")).collect();
    assert_eq!((known.len(), found.len()), (700, 700));
    // kill -9 of the command, while it waits for more: what it had committed does not come again.
    let running = Beside::start(&mut quic.command("subscribe", &args));
    let mut all: HashSet<u64> = known;
    while all.len() < 900 {
        assert!(all.insert(json(&running.line())["n"].as_u64().expect("a number")), "it comes twice");
    }
    running.kill();
    quic.post(900..1_000);
    quic.kill_and_start();
    let mut again = 0;
    let last = Beside::start(&mut quic.command("subscribe", &args));
    while all.len() < 1_000 {
        again += usize::from(!all.insert(json(&last.line())["n"].as_u64().expect("a number")));
    }
    assert!(again <= 200, "{again} came again, and at most what the killed command had taken may");
    assert!((0..1_000).all(|n| all.contains(&n)));
}

#[test]
fn a_running_command_survives_the_node() {
    let mut quic = QuicNode::start();
    let running = Beside::start(&mut quic.command("subscribe", &["--from", "beginning", "--max", "3000"]));
    let mut events = Vec::new();
    for round in 0..3 {
        quic.post(round * 1_000..(round + 1) * 1_000);
        while events.len() < round as usize * 1_000 + 300 {
            events.push(json(&running.line()));
        }
        match round {
            0 => quic.kill_and_start(),
            1 => {
                quic.stop();
                quic.run();
            }
            _ => {}
        }
    }
    while events.len() < 3_000 {
        events.push(json(&running.line()));
    }
    assert!(running.said().contains("is away"), "{}", running.said());
    assert!(running.said().contains("is back"), "{}", running.said());
    running.done();
    each_once_in_order(&events, 0..3_000);
}

#[test]
fn lines_are_published_and_receipts_counted() {
    let quic = QuicNode::start();
    let args = ["--key-pointer", "/key", "--type", "reading", "--source", "/plant"];
    let (code, stdout, stderr) = quic.ends("publish", &args, &lines(0..5_000));
    assert_eq!((code, stdout.as_str()), (0, ""), "{stderr}");
    assert!(stderr.contains("5,000 events: 5,000 acknowledged"), "{stderr}");
    let mixed = "{\"key\":\"k\",\"n\":1}\n\n{\"n\":2}\nnothing\n\
        {\"specversion\":\"1.0\",\"id\":\"7\",\"source\":\"/s\",\"type\":\"t\",\"subject\":\"k\",\"data\":{\"key\":\"k\",\"n\":3}}\n";
    let (code, _, stderr) = quic.ends("publish", &args, mixed);
    assert_eq!(code, 1, "{stderr}");
    for said in [
        "line 3 was refused: the partition key must be a string or an integer at /key: nothing is there",
        "line 4 was refused: not valid JSON",
        "4 events: 2 acknowledged, 2 refused",
        "error: 2 of 4 events were refused",
    ] {
        assert!(stderr.contains(said), "{said} is not in\n{stderr}");
    }
    let all = ["--from", "beginning", "--format", "cloudevents", "--max", "5002"];
    let (code, stdout, stderr) = quic.ends("subscribe", &all, "");
    assert_eq!(code, 0, "{stderr}");
    let (mixed, mine): (Vec<Value>, Vec<Value>) =
        values(&stdout).into_iter().partition(|event| event["data"]["key"] == "k");
    assert!(mine.iter().all(|event| event["type"] == "reading" && event["source"] == "/plant"));
    let data: Vec<Value> = mine.iter().map(|event| event["data"].clone()).collect();
    each_once_in_order(&data, 0..5_000);
    let kinds: Vec<&str> = mixed.iter().filter_map(|event| event["type"].as_str()).collect();
    assert_eq!(kinds, ["reading", "t"]);
    let nothing = quic.ends("publish", &[], "");
    assert_eq!((nothing.0, nothing.2.contains("0 events: 0 acknowledged")), (0, true), "{}", nothing.2);
}

#[test]
fn one_event_that_is_too_large_costs_only_itself() {
    let quic = QuicNode::with("[listeners.http]\nlisten = \"127.0.0.1:0\"\n");
    let large = format!("{{\"key\":\"k1\",\"n\":0,\"text\":\"{}\"}}\n", "x".repeat(2 << 20));
    let (code, _, stderr) = quic.ends("publish", &["--key-pointer", "/key"], &(large + &lines(1..300)));
    assert_eq!(code, 1, "{stderr}");
    assert!(
        stderr.contains("line 1 was refused") && stderr.contains("300 events: 299 acknowledged, 1 refused"),
        "{stderr}"
    );
}

#[test]
fn what_is_published_is_kept_once_across_kill_9_of_the_node() {
    const EVENTS: u64 = 6_000;
    let mut quic = QuicNode::start();
    let mut publisher = quic.command("publish", &["--key-pointer", "/key"]);
    publisher.stdin(Stdio::piped());
    let mut publisher = Beside::start(&mut publisher);
    let mut input = publisher.stdin();
    let watching =
        Beside::start(&mut quic.command("subscribe", &["--from", "beginning", "--max", &EVENTS.to_string()]));
    let mut events = Vec::new();
    for round in 0..3 {
        input.write_all(lines(round * 2_000..(round + 1) * 2_000).as_bytes()).expect("it reads");
        input.flush().expect("it reads");
        while events.len() < round as usize * 2_000 + 500 {
            events.push(json(&watching.line()));
        }
        if round < 2 {
            quic.kill_and_start();
        }
    }
    drop(input);
    while events.len() < EVENTS as usize {
        events.push(json(&watching.line()));
    }
    each_once_in_order(&events, 0..EVENTS);
    let ended = publisher.ended();
    assert!(ended.success(), "{}", publisher.said());
    assert!(publisher.said().contains("6,000 events: 6,000 acknowledged"), "{}", publisher.said());
}

#[test]
fn who_is_wrong_reads_why_and_what_to_do() {
    let quic = QuicNode::start();
    quic.post(0..10);
    for (command, args, code, said) in [
        ("subscribe", &["--filter", "n >"][..], 2, "the node refused the filter"),
        ("subscribe", &["--filter", "n >"], 2, "--filter:1:4"),
        ("subscribe", &["--route", "nowhere"], 1, "the node has no route 'nowhere'; name a route that the node has"),
        ("subscribe", &["--partitions", "77"], 1, "ask for partitions below the number in WELCOME"),
        ("subscribe", &["--from", "0:99999"], 1, "begin --from beginning or --from latest"),
        ("subscribe", &["--from", "17"], 2, "write for example 0:17"),
        ("subscribe", &["--from", "0:1", "--partitions", "0"], 2, "leave --partitions out"),
        ("subscribe", &["--commit"], 2, "add --from cursor:NAME"),
        ("subscribe", &["--format", "parquet"], 2, "name it with --output"),
        ("subscribe", &["--filter", "true", "--route", "r"], 2, "cannot be used with"),
        ("subscribe", &["--filter", "true", "--dialect", "sql"], 2, "use anabranch, iothub"),
        ("subscribe", &["--user", "ann", "--password-file", "/nowhere"], 1, "cannot read /nowhere"),
        ("subscribe", &["--insecure", "--ca-file", "x"], 2, "cannot be used with"),
        ("publish", &["--key-pointer", "key"], 2, "does not begin with '/'"),
        ("publish", &["--source", "a b"], 2, "must be a URI without spaces"),
        ("publish", &["--cert", "x"], 2, "--key"),
    ] {
        let (found, stdout, stderr) = quic.ends(command, args, "");
        assert_eq!((found, stdout.as_str()), (code, ""), "{args:?}: {stderr}");
        assert!(stderr.contains(said), "{args:?}: {said} is not in\n{stderr}");
    }
}

#[test]
fn only_the_right_node_is_talked_to_unless_nobody_is_checked() {
    let quic = QuicNode::start();
    quic.post(0..1);
    let run =
        |args: &[&str]| crate::support::run(&[&["subscribe", "--url", &quic.url(), "--max", "1"], args].concat(), "");
    let wrong = format!("sha256:{}", "0".repeat(64));
    let (code, _, stderr) = run(&["--fingerprint", &wrong]);
    assert_eq!(code, 1, "{stderr}");
    for said in [
        "is not trusted",
        &format!("it is {}, and not {wrong}", quic.fingerprint),
        "give the --fingerprint that it says",
    ] {
        assert!(stderr.contains(said), "{said} is not in\n{stderr}");
    }
    let (code, _, stderr) = run(&[]);
    assert!(code == 1 && stderr.contains("give the --fingerprint that the node says when it starts"), "{stderr}");
    let certificate = quic.path("data/quic/dev-cert.pem");
    let (code, stdout, stderr) = run(&["--ca-file", &certificate, "--from", "beginning"]);
    assert!(
        code == 1 && stderr.contains("use a name of the certificate") || code == 0 && stdout.lines().count() == 1,
        "{stderr}"
    );
    let (code, stdout, stderr) = run(&["--insecure", "--from", "beginning"]);
    assert_eq!((code, stdout.lines().count()), (0, 1), "{stderr}");
    assert!(stderr.contains("nobody is checked"), "{stderr}");
}

#[test]
fn who_may_not_reads_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name).display().to_string();
    let (code, line, stderr) = crate::support::run(&["mqtt", "passwd", "ann"], "her secret\n");
    assert_eq!(code, 0, "{stderr}");
    std::fs::write(at("users"), line).expect("writes");
    std::fs::write(at("right"), "her secret\n").expect("writes");
    std::fs::write(at("wrong"), "his secret\n").expect("writes");
    let access = "[[topic_spaces]]\nname = \"all\"\ntemplates = [\"#\"]\n\n[[permission_bindings]]\ngroup = \"$all\"\n\
        space = \"all\"\npermission = \"subscriber\"\n";
    std::fs::write(at("access.toml"), access).expect("writes");
    let settings = format!(
        "[listeners.quic.access]\nanonymous = \"no\"\npassword_file = '{}'\naccess_file = '{}'\n",
        at("users"),
        at("access.toml")
    );
    let quic = QuicNode::with(&settings);
    quic.post(0..1);
    let (right, wrong) = (at("right"), at("wrong"));
    let ann = ["--user", "ann", "--password-file", &right];
    let (code, stdout, stderr) =
        quic.ends("subscribe", &[&ann[..], &["--from", "beginning", "--max", "1"]].concat(), "");
    assert_eq!((code, stdout.lines().count()), (0, 1), "{stderr}");
    for (command, args, said) in [
        ("subscribe", &[][..], "check --user and the password"),
        ("subscribe", &["--user", "ann", "--password-file", &wrong], "unauthenticated"),
        ("publish", &ann, "the node does not let this client publish; ask who runs the node"),
    ] {
        let (code, _, stderr) = quic.ends(command, args, "");
        assert!(code == 1 && stderr.contains(said), "{args:?}: {stderr}");
    }
}
