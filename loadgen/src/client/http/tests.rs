//! The client against small servers that behave in every way that matters: counting, failing once, dying, refusing.

use super::*;
use crate::ledger::Ledger;
use crate::pace::Pace;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

/// What the server does with a request, one after the other; afterwards it accepts everything.
enum Answer {
    Accept,
    /// The request is read and the connection cut.
    Cut,
    /// This status, with a body.
    Status(u16, &'static str),
}

struct Server {
    target: Target,
    /// Lines of every request that was read.
    requests: Arc<Mutex<Vec<Vec<String>>>>,
}

fn server(script: impl IntoIterator<Item = Answer>) -> Server {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/events?x=1", listener.local_addr().unwrap()).parse().unwrap();
    let requests = Arc::new(Mutex::new(Vec::new()));
    let script: Arc<Mutex<VecDeque<Answer>>> = Arc::new(Mutex::new(script.into_iter().collect()));
    let kept = requests.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (kept, script) = (kept.clone(), script.clone());
            std::thread::spawn(move || {
                let mut stream = BufReader::new(stream.unwrap());
                loop {
                    let (mut line, mut length) = (String::new(), 0);
                    while stream.read_line(&mut line).unwrap_or(0) > 2 {
                        if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                            length = value.trim().parse().unwrap();
                        }
                        line.clear();
                    }
                    if line.is_empty() {
                        return;
                    }
                    let mut body = vec![0; length];
                    stream.read_exact(&mut body).unwrap();
                    let lines: Vec<String> = String::from_utf8(body).unwrap().lines().map(str::to_owned).collect();
                    let answer = script.lock().unwrap().pop_front().unwrap_or(Answer::Accept);
                    let (status, body) = match answer {
                        Answer::Accept => (200, format!("{{\"accepted\":{}}}", lines.len())),
                        Answer::Status(status, body) => (status, body.to_owned()),
                        Answer::Cut => {
                            kept.lock().unwrap().push(lines);
                            return;
                        }
                    };
                    kept.lock().unwrap().push(lines);
                    let head = format!("HTTP/1.1 {status} X\r\ncontent-length: {}\r\n\r\n{body}", body.len());
                    stream.get_mut().write_all(head.as_bytes()).unwrap();
                }
            });
        }
    });
    Server { target, requests }
}

fn plan(server: &Server) -> HttpPlan {
    let mut plan = HttpPlan::new(server.target.clone(), 30);
    plan.events = 600;
    plan.connections = 4;
    plan.batch = 25;
    plan
}

fn run_plan(plan: HttpPlan) -> (Result<HttpOutcome, HttpError>, Arc<Progress>) {
    let progress = Arc::new(Progress::default());
    let (_stop, stopped) = watch::channel(false);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    (runtime.block_on(run(plan, progress.clone(), stopped, None)), progress)
}

/// What the server read, in its order, held against the ledger.
fn verify(ledger: &Ledger, server: &Server) -> crate::ledger::Verdict {
    let mut verifier = ledger.verifier();
    let requests = server.requests.lock().unwrap();
    for (position, line) in requests.iter().flatten().enumerate() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        let device = fleet::device_number(value["device_id"].as_str().unwrap()).unwrap();
        verifier.see(device, value["seq"].as_u64().unwrap() as u32, position as u64);
    }
    verifier.finish()
}

#[test]
fn every_event_is_sent_and_acknowledged_once() {
    let server = server([]);
    let (outcome, progress) = run_plan(plan(&server));
    let outcome = outcome.unwrap();
    assert_eq!((outcome.ledger.sent_events(), outcome.ledger.acknowledged_events()), (600, 600));
    assert_eq!((outcome.retries, outcome.ledger.repeated_events(), outcome.requests), (0, 0, 24));
    assert_eq!(outcome.latencies.quantiles().count, 24);
    let view = progress.look();
    assert_eq!((view.sent_events, view.acknowledged_events, view.recent.count), (600, 600, 24));
    assert_eq!(progress.look().recent.count, 0, "a look takes the recent latencies away");
    let verdict = verify(&outcome.ledger, &server);
    assert!(verdict.is_clean() && verdict.repeats_legal == 0, "{verdict}");
}

#[test]
fn a_request_without_a_receipt_is_sent_again_and_may_be_there_twice() {
    let script =
        [Answer::Accept, Answer::Cut, Answer::Status(503, "later"), Answer::Accept, Answer::Status(429, "slow down")];
    let server = server(script);
    let (outcome, progress) = run_plan(plan(&server));
    let outcome = outcome.unwrap();
    assert_eq!(outcome.ledger.acknowledged_events(), 600);
    assert_eq!((outcome.retries, progress.look().retries), (3, 3));
    let repeated = outcome.ledger.repeated_events();
    assert!((50..=75).contains(&repeated), "one batch may have met two of the three faults: {repeated}");
    let verdict = verify(&outcome.ledger, &server);
    assert!(verdict.is_clean(), "{verdict}");
    assert_eq!(verdict.repeats_legal, 75, "three batches of 25 were read twice: {verdict}");
}

#[test]
fn a_refusal_ends_the_run_with_the_targets_words() {
    let server = server([Answer::Status(413, "{\"title\":\"too large\"}")]);
    let error = run_plan(plan(&server)).0.unwrap_err();
    let HttpError::Refused { status, answer, .. } = &error else { panic!("{error}") };
    assert_eq!((*status, answer.as_str()), (413, "{\"title\":\"too large\"}"));
    assert!(error.to_string().contains("refused a batch with status 413"), "{error}");
}

#[test]
fn a_receipt_for_a_part_is_no_receipt() {
    let server = server([Answer::Status(200, "{\"accepted\":24}")]);
    let error = run_plan(plan(&server)).0.unwrap_err();
    assert!(matches!(error, HttpError::Partial { accepted: 24, sent: 25, .. }), "{error}");
}

#[test]
fn a_bare_success_is_a_receipt_for_all() {
    let server = server((0..24).map(|_| Answer::Status(204, "")));
    let outcome = run_plan(plan(&server)).0.unwrap();
    assert_eq!(outcome.ledger.acknowledged_events(), 600);
}

#[test]
fn a_target_that_is_not_there_is_given_up() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = format!("http://{}/", gone.local_addr().unwrap()).parse().unwrap();
    drop(gone);
    let mut plan = HttpPlan::new(target, 10);
    plan.events = 10;
    plan.batch = 10;
    plan.connections = 1;
    plan.give_up_after = Duration::ZERO;
    let (outcome, progress) = run_plan(plan);
    let outcome = outcome.unwrap();
    assert_eq!((outcome.ledger.unknown_events(), outcome.ledger.acknowledged_events()), (10, 0));
    assert_eq!(outcome.ledger.repeated_events(), 0, "it never left this machine");
    assert!(progress.look().trouble.unwrap().contains("cannot connect"));
}

#[test]
fn told_to_stop_it_finishes_what_is_under_way() {
    let server = server([]);
    let mut plan = plan(&server);
    plan.events = u64::MAX;
    let progress = Arc::new(Progress::default());
    let (stop, stopped) = watch::channel(false);
    let stop = Arc::new(stop);
    let (counted, teller) = (Arc::new(Mutex::new(0)), stop.clone());
    let count = counted.clone();
    let observer: Observer = Arc::new(move |batch: &[Emitted]| {
        *count.lock().unwrap() += batch.len();
        if *count.lock().unwrap() >= 500 {
            teller.send_replace(true);
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcome = runtime.block_on(run(plan, progress, stopped, Some(observer))).unwrap();
    assert!(outcome.ledger.acknowledged_events() >= 500);
    assert_eq!(outcome.ledger.sent_events(), outcome.ledger.acknowledged_events());
    assert_eq!(outcome.ledger.acknowledged_events(), *counted.lock().unwrap() as u64);
}

#[test]
fn an_open_loop_takes_the_time_its_rate_says() {
    let server = server([]);
    let mut plan = plan(&server);
    plan.pace = Pace::Constant(6_000.0);
    let outcome = run_plan(plan).0.unwrap();
    assert_eq!(outcome.ledger.acknowledged_events(), 600);
    assert!(outcome.elapsed >= Duration::from_millis(90), "{:?}", outcome.elapsed);
}

#[test]
fn more_connections_than_devices_are_not_opened() {
    let server = server([]);
    let mut plan = plan(&server);
    plan.devices = 2;
    plan.connections = 50;
    let outcome = run_plan(plan).0.unwrap();
    assert_eq!(outcome.ledger.acknowledged_events(), 600);
    assert_eq!(outcome.ledger.devices(), 0..2);
}

#[test]
fn targets_are_read_and_what_is_none_is_explained() {
    for (text, shown) in [
        ("http://localhost:8080", "http://localhost:8080/"),
        ("http://h/a/b?c=d", "http://h:80/a/b?c=d"),
        ("http://[::1]:9/x", "http://[::1]:9/x"),
    ] {
        assert_eq!(text.parse::<Target>().unwrap().to_string(), shown);
    }
    for (text, message) in
        [("https://h/", "does not begin with http://"), ("h:1", "does not begin"), ("", "is not a web address")]
    {
        let error = text.parse::<Target>().unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
}
