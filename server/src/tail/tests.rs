//! Following a real log over real HTTP.

use std::time::Duration;

use super::*;
use crate::api::tests::Fixture;

fn args(node: &str, from: From) -> TailArgs {
    TailArgs {
        node: node.to_owned(),
        from,
        filter: None,
        dialect: None,
        partition: None,
        format: Format::Ndjson,
        max: None,
    }
}

async fn tailed(args: TailArgs) -> (Result<(), NodeError>, Vec<String>) {
    let mut out = Vec::new();
    let done = tokio::time::timeout(Duration::from_secs(20), follow_all(&args, &mut out)).await.expect("ends");
    (done, String::from_utf8(out).expect("UTF-8").lines().map(str::to_owned).collect())
}

fn numbers(lines: &[String]) -> Vec<u64> {
    let number = |line: &String| serde_json::from_str::<serde_json::Value>(line).expect("JSON")["data"]["n"].as_u64();
    lines.iter().map(|line| number(line).expect("a number")).collect()
}

#[tokio::test]
async fn all_partitions_from_the_beginning_and_then_what_comes() {
    let mut fixture = Fixture::new(3);
    fixture.append(0, 0..4).await;
    fixture.append(2, 10..14).await;
    let node = format!("http://{}/", fixture.listen().await);
    let following = tokio::spawn(tailed(TailArgs { max: Some(10), ..args(&node, From::Beginning) }));
    fixture.append(1, 20..22).await;
    let (done, lines) = following.await.expect("no panic");
    done.expect("ends by itself");
    let mut numbers = numbers(&lines);
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3, 10, 11, 12, 13, 20, 21]);
}

#[tokio::test]
async fn one_partition_from_an_offset_with_a_filter() {
    let mut fixture = Fixture::new(2);
    fixture.append(1, 0..10).await;
    let node = format!("http://{}", fixture.listen().await);
    let mut wanted = args(&node, From::Offset(4));
    (wanted.partition, wanted.filter, wanted.max) = (Some(1), Some("n != 6".into()), Some(4));
    let (done, lines) = tailed(wanted.clone()).await;
    done.expect("ends by itself");
    assert_eq!(numbers(&lines), [4, 5, 7, 8]);
    wanted.format = Format::Pretty;
    let (done, lines) = tailed(wanted).await;
    done.expect("ends by itself");
    assert!(lines[0].starts_with("1:4 ") && lines[0].ends_with(r#"{"n":4}"#), "{lines:?}");
}

#[tokio::test]
async fn refusals_end_it_in_words() {
    let fixture = Fixture::new(2);
    let node = format!("http://{}", fixture.listen().await);
    let said = async |args| tailed(args).await.0.expect_err("refused").to_string();
    let mut wrong = args(&node, From::End);
    wrong.filter = Some("n >".into());
    let text = said(wrong.clone()).await;
    assert!(text.starts_with("the filter is wrong\n  n >\n") && text.contains('^'), "{text}");
    (wrong.filter, wrong.partition) = (None, Some(7));
    assert!(said(wrong).await.contains("partitions 0 to 1"));
    assert!(said(args("localhost", From::End)).await.contains("is no address"));
    let free = std::net::TcpListener::bind("127.0.0.1:0").expect("free").local_addr().expect("bound");
    let text = said(args(&format!("http://{free}"), From::End)).await;
    assert!(text.contains("no node answers") && text.contains("anabranch run"), "{text}");
    let text = said(args(&format!("{node}/elsewhere"), From::End)).await;
    assert!(text.contains("not as a node does"), "{text}");
}

#[tokio::test]
async fn what_fell_off_the_log_is_left_out() {
    let mut fixture = Fixture::with_retention(1);
    for round in 0..8 {
        fixture
            .append_data(0, vec![format!("{{\"n\":{round},\"pad\":\"{}\"}}", "x".repeat(60_000)).into_bytes()])
            .await;
    }
    let first = 6;
    fixture.until_first_is(0, first).await;
    let node = format!("http://{}", fixture.listen().await);
    let (done, lines) = tailed(TailArgs { max: Some(1), ..args(&node, From::Offset(0)) }).await;
    done.expect("goes on");
    assert_eq!(numbers(&lines)[0], first);
}

#[test]
fn where_to_start() {
    let parse = str::parse::<From>;
    assert_eq!(
        (parse("beginning"), parse("end"), parse("17")),
        (Ok(From::Beginning), Ok(From::End), Ok(From::Offset(17)))
    );
    assert!(parse("-1").is_err() && parse("").is_err());
}
