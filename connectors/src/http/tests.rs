//! The listener over real sockets, with a shard played by a task of the same thread: modes, limits, refusals, streaming.

use std::cell::RefCell;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use bytes::Bytes;
use engine::batch::Batch;
use engine::event::{Event, Property};
use engine::mesh::{Ack, Placed, Submitted};
use engine::ring::{Bell, Consumer, Producer, ring};
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::*;
use crate::intake::Intake;

/// What the played shard has kept.
type Kept = Rc<RefCell<Vec<Batch>>>;

struct World {
    addr: SocketAddr,
    kept: Kept,
    stats: Arc<HttpStats>,
}

/// Keeps and acknowledges everything, as a shard on a fast disk would.
async fn shard(mut from: Consumer<Submitted>, mut back: Producer<Ack>, bell: Bell, kept: Kept) {
    let mut next = [0u64; 4];
    std::future::poll_fn(|cx| {
        bell.register(cx.waker());
        while let Some(Submitted { mut batch, ticket }) = from.pop() {
            let partition = batch.partition() as usize;
            batch.set_base_offset(next[partition]);
            let rows = batch.rows().len() as u32;
            let placed = Placed { partition: partition as u32, base_offset: next[partition], rows, duplicates: 0 };
            next[partition] += u64::from(rows);
            kept.borrow_mut().push(batch);
            back.push(Ack { ticket, result: Ok(placed) }).expect("room");
        }
        std::task::Poll::<()>::Pending
    })
    .await
}

/// Runs `test` beside a listener with this configuration.
fn with_listener<F: Future<Output = ()>>(config: HttpConfig, test: impl FnOnce(World) -> F) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tokio::task::LocalSet::new().block_on(&runtime, async {
        let (core_bell, shard_bell) = (Bell::default(), Bell::default());
        let (to, from) = ring(4, &shard_bell);
        let (back, acks) = ring(64, &core_bell);
        let intake = Intake::new(0, 4, vec![to], vec![acks], core_bell);
        let kept = Kept::default();
        tokio::task::spawn_local(shard(from, back, shard_bell, kept.clone()));
        let acks = intake.clone();
        tokio::task::spawn_local(async move { acks.run_acks().await });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("binds");
        listener.set_nonblocking(true).expect("non-blocking");
        let addr = listener.local_addr().expect("an address");
        let stats = Arc::new(HttpStats::default());
        let fallback: Fallback = Rc::new(|_| {
            Box::pin(async {
                let mut response: Response<ResponseBody> =
                    Response::new(Full::new(Bytes::from("elsewhere")).map_err(|never| match never {}).boxed_unsync());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            })
        });
        let connections = Arc::new(AtomicUsize::new(0));
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving =
            tokio::task::spawn_local(serve(listener, config, intake, fallback, stats.clone(), connections, async {
                let _ = stopped.await;
            }));
        test(World { addr, kept, stats }).await;
        let _ = stop.send(());
        serving.await.expect("no panic").expect("served");
    });
}

async fn send(addr: SocketAddr, request: http::request::Builder, body: impl Into<Bytes>) -> (StatusCode, Value) {
    let stream = TcpStream::connect(addr).await.expect("connects");
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(hyper_util::rt::TokioIo::new(stream)).await.expect("shakes hands");
    let connection = tokio::task::spawn_local(connection);
    let request: Request<Full<Bytes>> = request.header("host", "test").body(Full::new(body.into())).expect("a request");
    let response = sender.send_request(request).await.expect("answered");
    let status = response.status();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    drop(sender);
    let _ = connection.await;
    (
        status,
        serde_json::from_slice(&body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(&body).into_owned())),
    )
}

fn post(path: &str, content_type: &str) -> http::request::Builder {
    Request::post(path.to_owned()).header("content-type", content_type)
}

fn data(kept: &Kept) -> Vec<String> {
    let mut all = Vec::new();
    for batch in kept.borrow().iter() {
        for row in 0..batch.rows().len() {
            all.push(String::from_utf8_lossy(Event::new(batch, row).data().unwrap_or(b"-")).into_owned());
        }
    }
    all.sort();
    all
}

const EVENT: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","subject":"d1","data":{"n":1}}"#;

#[test]
fn each_mode_keeps_its_events() {
    with_listener(HttpConfig::default(), |world| async move {
        let (status, receipt) =
            send(world.addr, post("/events", "application/cloudevents+json; charset=utf-8"), EVENT).await;
        assert_eq!((status, &receipt["accepted"]), (StatusCode::OK, &json!(1)));
        let batch = format!("[{EVENT},{EVENT}]");
        let (status, receipt) = send(world.addr, post("/events", "Application/CloudEvents-Batch+JSON"), batch).await;
        assert_eq!((status, &receipt["accepted"]), (StatusCode::OK, &json!(2)));
        assert_eq!(receipt["partitions"][0]["count"], json!(2));
        let binary =
            post("/events", "text/plain").header("ce-id", "1").header("ce-source", "/s").header("ce-type", "t");
        let (status, _) = send(world.addr, binary.header("ce-specversion", "1.0"), "hello").await;
        assert_eq!(status, StatusCode::OK);
        let lines = "{\"n\":2}\n\n  {\"n\":3} \r\n4";
        let (status, receipt) = send(world.addr, post("/events", "application/x-ndjson"), lines).await;
        assert_eq!((status, &receipt["accepted"], &receipt["rejected"]), (StatusCode::OK, &json!(3), &json!(0)));
        assert_eq!(data(&world.kept), ["4", "hello", "{\"n\":1}", "{\"n\":1}", "{\"n\":1}", "{\"n\":2}", "{\"n\":3}"]);
        let (status, _) = send(world.addr, post("/events", "application/cloudevents-batch+json"), "[]").await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(world.stats.events.load(std::sync::atomic::Ordering::Relaxed), 7);
    });
}

#[test]
fn bulk_lines_go_by_their_key_and_bad_ones_cost_only_themselves() {
    let config = HttpConfig { key_pointer: Some("/device/id".into()), event_bytes_max: 60, ..HttpConfig::default() };
    with_listener(config, |world| async move {
        let long = format!("{{\"device\":{{\"id\":\"b\"}},\"x\":\"{}\"}}", "y".repeat(100));
        let body = format!(
            "{{\"device\":{{\"id\":\"a\"}}}}\nnot json\n{{\"device\":{{}}}}\n{long}\n{{\"device\":{{\"id\":7}}}}"
        );
        let (status, receipt) = send(world.addr, post("/events?type=telemetry", "application/x-ndjson"), body).await;
        assert_eq!((status, &receipt["accepted"], &receipt["rejected"]), (StatusCode::OK, &json!(2), &json!(3)));
        let lines: Vec<_> =
            receipt["errors"].as_array().expect("errors").iter().map(|e| (&e["line"], &e["reason"])).collect();
        let expected =
            [(json!(2), json!("malformed_json")), (json!(3), json!("missing_key")), (json!(4), json!("too_large"))];
        assert_eq!(lines, expected.iter().map(|(line, reason)| (line, reason)).collect::<Vec<_>>());
        {
            let kept = world.kept.borrow();
            let events = kept.iter().map(|batch| Event::new(batch, 0));
            let mut keys: Vec<_> = events.map(|event| (event.key(), event.attribute("type"))).collect();
            keys.sort();
            assert_eq!(keys, [(Some(&b"7"[..]), Some("telemetry")), (Some(&b"a"[..]), Some("telemetry"))]);
        }
        let (status, problem) = send(world.addr, post("/events", "application/x-ndjson"), "x\ny").await;
        assert_eq!((status, problem["errors"].as_array().map(Vec::len)), (StatusCode::BAD_REQUEST, Some(2)));
        assert_eq!(world.stats.rejected(RejectReason::MalformedJson), 3);
    });
}

#[test]
fn lines_may_be_cut_anywhere() {
    with_listener(HttpConfig::default(), |world| async move {
        let body = "{\"a\":1}\n[2,\"\u{fc}\"]\r\n\n3\n{\"b\":[4]}";
        for cut in 1..body.len() {
            let mut stream = TcpStream::connect(world.addr).await.expect("connects");
            stream.set_nodelay(true).expect("set");
            let head = "POST /events HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-ndjson\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
            let (first, second) = body.as_bytes().split_at(cut);
            let chunk = |piece: &[u8]| [format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"].concat();
            stream.write_all(&[head.as_bytes(), &chunk(first)].concat()).await.expect("writes");
            tokio::task::yield_now().await;
            stream.write_all(&[&chunk(second)[..], b"0\r\n\r\n"].concat()).await.expect("writes");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await.expect("reads");
            assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("\"accepted\":4"), "cut at {cut}: {answer}");
        }
    });
}

#[test]
fn a_long_body_is_held_back_by_the_rings_and_kept_whole() {
    with_listener(HttpConfig::default(), |world| async move {
        let lines: String = (0..60_000).map(|n| format!("{{\"n\":{n},\"pad\":\"{}\"}}\n", "x".repeat(40))).collect();
        let (status, receipt) = send(world.addr, post("/events", "application/x-ndjson"), lines).await;
        assert_eq!((status, &receipt["accepted"]), (StatusCode::OK, &json!(60_000)));
        assert_eq!(world.kept.borrow().iter().map(|batch| batch.rows().len()).sum::<usize>(), 60_000);
    });
}

#[test]
fn iot_hubs_device_path() {
    with_listener(HttpConfig::default(), |world| async move {
        let single = Request::post("/devices/dev%2D1/messages/events?api-version=2020-03-13")
            .header("iothub-app-level", "hot")
            .header("iothub-contenttype", "application/json")
            .header("iothub-contentencoding", "utf-8")
            .header("iothub-messageid", "m1");
        assert_eq!(send(world.addr, single, "{\"t\":1}").await.0, StatusCode::NO_CONTENT);
        {
            let kept = world.kept.borrow();
            let event = Event::new(&kept[0], 0);
            assert_eq!((event.key(), event.property("Level")), (Some(&b"dev-1"[..]), Property::Text("hot")));
            let message_id = engine::event::SystemProperty::by_keyword("messageId").expect("known");
            assert_eq!((event.system(message_id), event.content_type()), (Some("m1"), Some("application/json")));
        }
        let batch =
            json!([{"body":"eA==","base64Encoded":true,"properties":{"iothub-app-k":"v"}},{"body":"y"}]).to_string();
        let (status, _) =
            send(world.addr, post("/devices/d/modules/m/messages/events", iothub::BATCH_TYPE), batch).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
        assert_eq!(data(&world.kept), ["x", "y", "{\"t\":1}"]);
        let spoof = Request::post("/devices/d/messages/events").header("iothub-connection-device-id", "other");
        let (status, problem) = send(world.addr, spoof, "x").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
        assert!(problem["detail"].as_str().is_some_and(|detail| detail.contains("stamped by the node")), "{problem}");
        let (status, _) = send(world.addr, Request::post("/devices/a%20b/messages/events"), "x").await;
        assert_eq!(status, StatusCode::BAD_REQUEST);
    });
}

#[test]
fn one_bad_event_refuses_a_batch_whole() {
    with_listener(HttpConfig::default(), |world| async move {
        let batch = format!("[{EVENT},{{\"id\":\"2\"}},{EVENT}]");
        let (status, problem) = send(world.addr, post("/events", "application/cloudevents-batch+json"), batch).await;
        assert_eq!((status, &problem["errors"][0]["index"]), (StatusCode::BAD_REQUEST, &json!(1)));
        assert!(world.kept.borrow().is_empty());
    });
}

/// Wrong requests as data: `tests/corpus/bodies.json` holds the request and the whole problem that answers it.
#[test]
fn the_corpus_of_wrong_bodies_is_answered_as_written_down() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/bodies.json");
    let text = std::fs::read_to_string(path).expect("the corpus");
    let mut cases: Vec<Value> = serde_json::from_str(&text).expect("JSON");
    assert!(cases.len() >= 25, "only {} cases", cases.len());
    let config = HttpConfig {
        event_bytes_max: 200,
        body_bytes_max: 1024,
        key_pointer: Some("/device_id".into()),
        ..HttpConfig::default()
    };
    let update = std::env::var_os("UPDATE_SNAPSHOTS").is_some();
    let answered = Rc::new(RefCell::new(Vec::new()));
    let (input, output) = (cases.clone(), answered.clone());
    with_listener(config, |world| async move {
        for case in input {
            let text = |name: &str| case[name].as_str().unwrap_or_default().to_owned();
            let method = case["method"].as_str().unwrap_or("POST");
            let mut request = Request::builder().method(method).uri(case["path"].as_str().unwrap_or("/events"));
            for (name, value) in case["headers"].as_object().into_iter().flatten() {
                request = request.header(name, value.as_str().expect("text"));
            }
            let body = text("body").repeat(case["repeat"].as_u64().unwrap_or(1) as usize);
            let answer = send(world.addr, request, body).await;
            output.borrow_mut().push(answer);
        }
        assert!(world.kept.borrow().is_empty(), "something wrong was kept");
    });
    let mut wrong = Vec::new();
    for (case, (status, problem)) in cases.iter_mut().zip(answered.borrow().iter()) {
        let expected = json!({"status": status.as_u16(), "problem": problem});
        if case["expected"] != expected {
            wrong.push(format!("{}\n  is:        {expected}\n  should be: {}", case["name"], case["expected"]));
            case["expected"] = expected;
        }
    }
    if update {
        std::fs::write(path, serde_json::to_string_pretty(&cases).expect("JSON") + "\n").expect("written");
    } else {
        assert!(wrong.is_empty(), "UPDATE_SNAPSHOTS=1 rewrites them:\n{}", wrong.join("\n"));
    }
}
