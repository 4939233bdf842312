//! The API over a real log in a temporary folder.

mod fixture;

use std::time::Duration;

use axum::body::Body;
use http::{Request, Response};
use http_body_util::BodyExt;
use serde_json::{Value, json};

pub(crate) use fixture::Fixture;

use super::*;

async fn get(fixture: &Fixture, target: &str) -> Response<Body> {
    ask(fixture, Request::get(target)).await
}

async fn ask(fixture: &Fixture, request: http::request::Builder) -> Response<Body> {
    let request = request.body(Body::empty()).expect("a request");
    match fixture.router().call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

async fn text(response: Response<Body>) -> String {
    let bytes = response.into_body().collect().await.expect("whole").to_bytes();
    String::from_utf8(bytes.to_vec()).expect("UTF-8")
}

async fn value(response: Response<Body>) -> Value {
    serde_json::from_str(&text(response).await).expect("JSON")
}

/// Status, and the members of the problem.
async fn problem(fixture: &Fixture, target: &str) -> (u16, Value) {
    let response = get(fixture, target).await;
    assert_eq!(response.headers()["content-type"], "application/problem+json", "{target}");
    let status = response.status().as_u16();
    let members = value(response).await;
    assert_eq!(members["status"], status);
    assert!(members["title"].is_string() && members["detail"].is_string(), "{members}");
    (status, members)
}

fn numbers(page: &Value) -> Vec<u64> {
    page["events"]
        .as_array()
        .expect("events")
        .iter()
        .map(|event| event["data"]["n"].as_u64().expect("a number"))
        .collect()
}

#[tokio::test]
async fn bounds_of_all_partitions() {
    let mut fixture = Fixture::new(2);
    fixture.append(1, 0..5).await;
    let found = value(get(&fixture, "/hub/partitions").await).await;
    let wanted = json!({ "partitions": [
        { "partition": 0, "first": 0, "end": 0 },
        { "partition": 1, "first": 0, "end": 5 },
    ] });
    assert_eq!(found, wanted);
}

#[tokio::test]
async fn pages_follow_each_other() {
    let mut fixture = Fixture::new(1);
    fixture.append(0, 0..4).await;
    fixture.append(0, 4..7).await;
    let (mut next, mut seen) = (0, Vec::new());
    for wanted in [3, 3, 1, 0] {
        let page = value(get(&fixture, &format!("/hub/partitions/0/events?from={next}&max=3")).await).await;
        assert_eq!((page["partition"].as_u64(), page["end"].as_u64()), (Some(0), Some(7)));
        assert_eq!(numbers(&page).len(), wanted);
        assert_eq!(page["offsets"].as_array().map(Vec::len), Some(wanted));
        seen.extend(numbers(&page));
        next = page["next"].as_u64().expect("next");
    }
    assert_eq!((seen, next), ((0..7).collect(), 7));
    let all = value(get(&fixture, "/hub/partitions/0/events?from=beginning").await).await;
    assert_eq!(numbers(&all), (0..7).collect::<Vec<_>>());
    assert_eq!(all["events"][2]["specversion"], "1.0");
    let none = value(get(&fixture, "/hub/partitions/0/events?from=end").await).await;
    assert_eq!((numbers(&none), none["next"].as_u64()), (vec![], Some(7)));
}

#[tokio::test]
async fn lines_instead_of_one_object() {
    let mut fixture = Fixture::new(1);
    // Data with line breaks stays on one line.
    fixture.append_data(0, vec![b"{\"n\":0}".to_vec(), b"{\n\"n\":\r\n1\n}".to_vec()]).await;
    let request = Request::get("/hub/partitions/0/events").header("accept", "text/html, application/x-ndjson;q=0.9");
    let response = ask(&fixture, request).await;
    assert_eq!(response.headers()["content-type"], "application/x-ndjson");
    let offset = |name| response.headers()[name].to_str().expect("a number");
    assert_eq!((offset("anabranch-next-offset"), offset("anabranch-end-offset")), ("2", "2"));
    let text = text(response).await;
    let numbers: Vec<_> =
        text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")["data"]["n"].clone()).collect();
    assert_eq!(numbers, [0, 1]);
}

#[tokio::test]
async fn a_filter_leaves_out_and_the_offset_goes_on() {
    let mut fixture = Fixture::new(1);
    fixture.append(0, 0..10).await;
    let page = value(get(&fixture, "/hub/partitions/0/events?filter=n%20%3E%206&max=2").await).await;
    assert_eq!((numbers(&page), page["offsets"].clone(), page["next"].as_u64()), (vec![7, 8], json!([7, 8]), Some(9)));
    let page = value(get(&fixture, "/hub/partitions/0/events?filter=%24body.n%20%3D%203&dialect=iothub").await).await;
    // Sent without content type and encoding of the IoT Hub profile, data are taken as JSON all the same.
    assert_eq!((numbers(&page), page["next"].as_u64()), (vec![3], Some(10)));
    let (status, wrong) = problem(&fixture, "/hub/partitions/0/events?filter=n%20%3E").await;
    assert_eq!((status, wrong["title"].as_str()), (400, Some("the filter is wrong")));
    assert!(wrong["errors"][0]["message"].is_string() && wrong["errors"][0]["column"].is_u64(), "{wrong}");
    let (status, wrong) = problem(&fixture, "/hub/partitions/0/events?filter=n&dialect=sql").await;
    assert_eq!(status, 400);
    assert!(wrong["detail"].as_str().is_some_and(|detail| detail.contains("digitaltwins")), "{wrong}");
}

#[tokio::test]
async fn a_request_waits_for_new_events() {
    let mut fixture = Fixture::new(1);
    fixture.append(0, 0..3).await;
    let mut router = fixture.router();
    let request = Request::get("/hub/partitions/0/events?from=end&wait=20000&filter=n%20%3E%3D%205")
        .body(Body::empty())
        .expect("a request");
    let answer = tokio::spawn(async move { router.call(request).await });
    // Events that the filter leaves out do not end the wait.
    fixture.append(0, 3..5).await;
    fixture.append(0, 5..7).await;
    let response = tokio::time::timeout(Duration::from_secs(10), answer).await.expect("in time").expect("no panic");
    let page = value(match response {
        Ok(response) => response,
        Err(never) => match never {},
    })
    .await;
    assert!(numbers(&page).starts_with(&[5]), "{page}");
}

#[tokio::test]
async fn a_wait_ends_without_events() {
    let fixture = Fixture::new(1);
    let page = value(get(&fixture, "/hub/partitions/0/events?from=end&wait=30").await).await;
    assert_eq!((numbers(&page), page["next"].as_u64()), (vec![], Some(0)));
}

#[tokio::test]
async fn refusals_say_the_way_out() {
    let mut fixture = Fixture::new(2);
    fixture.append(0, 0..3).await;
    for (target, wanted, word) in [
        ("/hub/partitions/2/events", 404, "0 to 1"),
        ("/hub/partitions/x/events", 404, "0 to 1"),
        ("/hub/partitions/-1/events", 404, "0 to 1"),
        ("/hub/partitions/0/events?from=4", 400, "from=3"),
        ("/hub/partitions/0/events?from=yesterday", 400, "yesterday"),
        ("/hub/partitions/0/events?max=0", 400, "10000"),
        ("/hub/partitions/0/events?max=some", 400, "max"),
        ("/hub/partitions/0/events?form=0", 400, "from, max, wait"),
        ("/hub", 404, "/hub"),
        ("/", 404, "paths"),
    ] {
        let (status, members) = problem(&fixture, target).await;
        assert_eq!(status, wanted, "{target}");
        assert!(members["detail"].as_str().is_some_and(|detail| detail.contains(word)), "{target}: {members}");
    }
    let response = ask(&fixture, Request::post("/hub/partitions")).await;
    assert_eq!(response.status(), 405);
    assert_eq!(response.headers()["content-type"], "application/problem+json");
}

#[tokio::test]
async fn an_offset_that_retention_removed_is_gone() {
    let mut fixture = Fixture::with_retention(1);
    // Each append is larger than a segment may be, and only the last ones are kept.
    for round in 0..8 {
        fixture
            .append_data(0, vec![format!("{{\"n\":{round},\"pad\":\"{}\"}}", "x".repeat(60_000)).into_bytes()])
            .await;
    }
    // Three batches of 60,000 bytes are more than the log may have.
    let first = 6;
    fixture.until_first_is(0, first).await;
    let (status, members) = problem(&fixture, "/hub/partitions/0/events?from=0").await;
    assert_eq!((status, members["first_available"].as_u64()), (410, Some(first)));
    let page = value(get(&fixture, &format!("/hub/partitions/0/events?from={first}&max=1")).await).await;
    assert_eq!(numbers(&page), [first]);
}

#[tokio::test]
async fn health_and_metrics() {
    let fixture = Fixture::new(1);
    assert_eq!(text(get(&fixture, "/healthz").await).await, "alive\n");
    fixture.ready.store(false, std::sync::atomic::Ordering::Release);
    let (status, members) = problem(&fixture, "/readyz").await;
    assert_eq!((status, members["title"].as_str()), (503, Some("not ready")));
    assert_eq!(get(&fixture, "/healthz").await.status(), 200, "alive is not ready");
    fixture.ready.store(true, std::sync::atomic::Ordering::Release);
    assert_eq!(get(&fixture, "/readyz").await.status(), 200);
    let response = get(&fixture, "/metrics").await;
    assert!(
        response.headers()["content-type"].to_str().is_ok_and(|kind| kind.starts_with("application/openmetrics-text"))
    );
    assert!(text(response).await.ends_with("# EOF\n"));
}
