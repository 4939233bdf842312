//! Listing and redriving over real files and a real receiver.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use connectors::webhook::dead_letter::{DeadLetterFile, Lines, default_path};
use http_body_util::BodyExt;
use hyper_util::rt::TokioIo;

use super::*;

fn letter(endpoint: &str, offset: u64) -> String {
    let said = r#""reason":"NonRetriableStatus","outcome":"BadRequest","status":400,"detail":"bad\u001b[31m thing""#;
    let tried = r#""attempts":2,"last_attempt":"2026-11-20T10:00:00Z""#;
    let place = format!(r#""anabranchpartition":1,"anabranchoffset":"{offset}""#);
    let event = format!(r#"{{"specversion":"1.0","id":"{offset}",{place},"data":{{"n":{offset}}}}}"#);
    format!(r#"{{"endpoint":"{endpoint}",{said},{tried},"partition":1,"offset":{offset},"event":{event}}}"#) + "\n"
}

fn data() -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("dir");
    for endpoint in ["alerts", "audit"] {
        let file = DeadLetterFile::open(default_path(dir.path(), endpoint), 1 << 20).expect("opens");
        let lines: String = (0..3).map(|offset| letter(endpoint, offset)).collect();
        file.append(lines.as_bytes()).expect("room");
    }
    dir
}

fn at(dir: &tempfile::TempDir, endpoint: Option<&str>) -> Where {
    Where { data: dir.path().to_owned(), file: None, endpoint: endpoint.map(str::to_owned) }
}

fn offsets(path: &std::path::Path) -> Vec<u64> {
    Lines::open(path).expect("there").map(|line| line.expect("read").letter.expect("a letter").offset).collect()
}

fn listed(args: &ListArgs) -> (bool, String) {
    let mut out = Vec::new();
    let all_readable = list::list(args, &mut out).expect("listed");
    (all_readable, String::from_utf8(out).expect("UTF-8"))
}

#[test]
fn a_table_and_the_lines_themselves() {
    let dir = data();
    let (_, table) = listed(&ListArgs { at: at(&dir, None), json: false });
    let rows: Vec<&str> = table.lines().collect();
    assert_eq!(rows.len(), 8, "{table}");
    assert!(rows[0].starts_with("ENDPOINT") && rows[7] == "6 dead letters");
    let words: Vec<&str> = rows[2].split_whitespace().take(7).collect();
    assert_eq!(words, ["alerts", "1:1", "NonRetriableStatus", "BadRequest", "400", "2", "2026-11-20T10:00:00Z"]);
    assert!(!table.contains('\u{1b}'), "no control character of a receiver reaches the terminal");
    let (_, json) = listed(&ListArgs { at: at(&dir, Some("audit")), json: true });
    let values: Vec<serde_json::Value> = json.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert!(
        values.len() == 3
            && values.iter().all(|value| value["endpoint"] == "audit" && value["event"]["id"].is_string())
    );
}

#[test]
fn nothing_and_nonsense() {
    let dir = tempfile::tempdir().expect("dir");
    assert_eq!(listed(&ListArgs { at: at(&dir, None), json: false }), (true, "no dead letters\n".to_owned()));
    let missing = Where { data: dir.path().join("none"), file: None, endpoint: None };
    assert!(list::list(&ListArgs { at: missing, json: false }, &mut Vec::new()).is_err());
    let path = dir.path().join("x.ndjson");
    std::fs::write(&path, format!("nonsense\n{}", letter("alerts", 9))).expect("written");
    let only = Where { data: dir.path().to_owned(), file: Some(path), endpoint: None };
    let (all_readable, table) = listed(&ListArgs { at: only, json: false });
    assert!(!all_readable && table.contains("1:9"));
    let missing = Where { data: dir.path().to_owned(), file: Some(dir.path().join("y")), endpoint: None };
    assert!(list::list(&ListArgs { at: missing, json: false }, &mut Vec::new()).is_err());
}

/// Method and path, content type, authorization, body.
type Seen = Arc<Mutex<Vec<(String, String, String, String)>>>;

/// A receiver on a thread of its own that answers the n-th request with `answers(n)`.
fn receiver(answers: fn(usize) -> u16) -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("free");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("set");
    let seeing = seen.clone();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("runtime");
        runtime.block_on(async move {
            let listener = tokio::net::TcpListener::from_std(listener).expect("listener");
            while let Ok((stream, _)) = listener.accept().await {
                let seen = seeing.clone();
                let service = hyper::service::service_fn(move |request: http::Request<hyper::body::Incoming>| {
                    let seen = seen.clone();
                    async move {
                        let (head, body) = request.into_parts();
                        let body = body.collect().await.expect("whole").to_bytes();
                        let header = |name| {
                            head.headers
                                .get(name)
                                .and_then(|value: &http::HeaderValue| value.to_str().ok())
                                .unwrap_or("")
                                .to_owned()
                        };
                        let mut seen = seen.lock().expect("whole");
                        let index = seen.len();
                        seen.push((
                            format!("{} {}", head.method, head.uri.path()),
                            header("content-type"),
                            header("authorization"),
                            String::from_utf8(body.to_vec()).expect("UTF-8"),
                        ));
                        let response = http::Response::builder().status(answers(index)).body("why\nnot".to_owned());
                        Ok::<_, std::convert::Infallible>(response.expect("a response"))
                    }
                });
                tokio::spawn(
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service),
                );
            }
        });
    });
    (address, seen)
}

fn redrive_args(at: Where, to: SocketAddr) -> RedriveArgs {
    RedriveArgs { at, to: format!("http://{to}"), url: None, headers: Vec::new(), places: Vec::new(), all: true }
}

#[test]
fn everything_goes_back_to_the_node_and_moves() {
    let dir = data();
    let (to, seen) = receiver(|_| 200);
    let mut out = Vec::new();
    assert!(redrive::redrive(&redrive_args(at(&dir, None), to), &mut out).expect("redriven"));
    assert!(String::from_utf8(out).expect("UTF-8").starts_with("6 dead letters redriven"));
    let seen = seen.lock().expect("whole");
    assert_eq!(seen.len(), 6);
    assert_eq!(
        (seen[1].0.as_str(), seen[1].1.as_str()),
        ("POST /events", "application/cloudevents+json; charset=utf-8")
    );
    assert_eq!(seen[1].3, r#"{"specversion":"1.0","id":"1","data":{"n":1}}"#);
    for endpoint in ["alerts", "audit"] {
        let path = default_path(dir.path(), endpoint);
        assert!(offsets(&path).is_empty());
        assert_eq!(offsets(&path.with_extension("ndjson.redriven")), [0, 1, 2]);
    }
}

#[test]
fn only_what_was_chosen_goes_straight_to_an_address() {
    let dir = data();
    let (to, seen) = receiver(|_| 204);
    let mut args = redrive_args(at(&dir, Some("alerts")), to);
    (args.all, args.places, args.url) = (false, vec![(1, 2), (0, 0)], Some(format!("http://{to}/hook")));
    args.headers = vec!["authorization: Bearer x".into()];
    assert!(redrive::redrive(&args, &mut Vec::new()).expect("redriven"));
    let seen = seen.lock().expect("whole");
    assert_eq!((seen.len(), seen[0].0.as_str(), seen[0].2.as_str()), (1, "POST /hook", "Bearer x"));
    assert_eq!(offsets(&default_path(dir.path(), "alerts")), [0, 1]);
    assert_eq!(offsets(&default_path(dir.path(), "audit")), [0, 1, 2]);
}

#[test]
fn the_first_that_is_not_taken_ends_it() {
    let dir = data();
    let (to, seen) = receiver(|index| if index == 1 { 503 } else { 200 });
    assert!(!redrive::redrive(&redrive_args(at(&dir, None), to), &mut Vec::new()).expect("ran"));
    assert_eq!(seen.lock().expect("whole").len(), 2);
    let path = default_path(dir.path(), "alerts");
    assert_eq!((offsets(&path), offsets(&path.with_extension("ndjson.redriven"))), (vec![1, 2], vec![0]));
    assert_eq!(offsets(&default_path(dir.path(), "audit")), [0, 1, 2]);
}

#[test]
fn arguments_as_typed() {
    use clap::Parser;
    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: DeadLettersArgs,
    }
    let parsed = |words: &[&str]| Cli::try_parse_from([&["x"], words].concat()).map(|cli| cli.args.action);
    assert!(matches!(parsed(&["list", "--endpoint", "a", "--json"]), Ok(Action::List(ListArgs { json: true, .. }))));
    let Ok(Action::Redrive(args)) = parsed(&["redrive", "--offset", "3:1042", "--offset", "0:1"]) else {
        panic!("refused")
    };
    assert_eq!(args.places, [(3, 1042), (0, 1)]);
    for wrong in [
        &["redrive"][..],
        &["redrive", "--offset", "3"],
        &["redrive", "--all", "--offset", "1:1"],
        &["redrive", "--all", "--header", "a: b"],
    ] {
        assert!(parsed(wrong).is_err(), "{wrong:?}");
    }
}
