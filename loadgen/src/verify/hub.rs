//! The hub of a running node, over its HTTP API: every partition from its beginning to the end that it had when it was asked.

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{ACCEPT, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpStream;

use super::lines::see_line;
use super::{Told, VerifyError};
use crate::client::http::Target;
use crate::ledger::Verifier;

const PAGE_EVENTS: u32 = 10_000;
const PAGE_BYTES_MAX: usize = 64 << 20;

#[derive(Deserialize)]
struct Partitions {
    partitions: Vec<Bounds>,
}

#[derive(Deserialize)]
struct Bounds {
    partition: u32,
    first: u64,
    end: u64,
}

/// Shows every event of the hub; gives their number.
pub async fn hub(verifier: &mut Verifier<'_>, target: &Target, told: Told<'_>) -> Result<u64, VerifyError> {
    let mut hub = Hub { target: target.clone(), sender: None };
    let (_, body) = hub.get("/hub/partitions", "application/json").await?;
    let partitions: Partitions = serde_json::from_slice(&body)
        .map_err(|error| hub.wrong("/hub/partitions", format!("the answer is not that of a hub: {error}")))?;
    let mut rows = 0;
    for bounds in partitions.partitions {
        let mut from = bounds.first;
        while from < bounds.end {
            let max = u64::from(PAGE_EVENTS).min(bounds.end - from);
            let path = format!("/hub/partitions/{}/events?from={from}&max={max}", bounds.partition);
            let (next, body) = hub.get(&path, "application/x-ndjson").await?;
            let next = next.ok_or_else(|| hub.wrong(&path, "the answer does not say where it ends".into()))?;
            let mut shown = 0;
            for line in body.split(|&byte| byte == b'\n').filter(|line| !line.is_empty()) {
                see_line(verifier, line, rows);
                rows += 1;
                shown += 1;
            }
            if next <= from {
                return Err(hub.wrong(&path, format!("reading does not go on behind offset {from}")));
            }
            if shown != next - from {
                let partition = bounds.partition;
                verifier.corrupt(|| {
                    format!("partition {partition}, offsets {from} to {next}: {shown} events for {}", next - from)
                });
            }
            from = next;
            told(rows);
        }
    }
    Ok(rows)
}

struct Hub {
    target: Target,
    sender: Option<SendRequest<Empty<Bytes>>>,
}

impl Hub {
    fn wrong(&self, path: &str, what: String) -> VerifyError {
        VerifyError::Hub { url: format!("http://{}{path}", self.target.authority()), what }
    }

    /// The header `anabranch-next-offset`, and the body.
    async fn get(&mut self, path: &str, accept: &'static str) -> Result<(Option<u64>, Bytes), VerifyError> {
        self.exchange(path, accept).await.map_err(|error| self.wrong(path, error.to_string()))
    }

    async fn exchange(
        &mut self,
        path: &str,
        accept: &'static str,
    ) -> Result<(Option<u64>, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let mut sender = match self.sender.take().filter(SendRequest::is_ready) {
            Some(sender) => sender,
            None => {
                let stream = TcpStream::connect(self.target.authority()).await?;
                stream.set_nodelay(true)?;
                let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
                // Its errors come out of the request that was under way.
                tokio::spawn(connection);
                sender
            }
        };
        let request =
            Request::get(path).header(HOST, self.target.authority()).header(ACCEPT, accept).body(Empty::new())?;
        let response: Response<_> = sender.send_request(request).await?;
        let (head, body) = response.into_parts();
        let body = Limited::new(body, PAGE_BYTES_MAX).collect().await?.to_bytes();
        if !head.status.is_success() {
            let words = String::from_utf8_lossy(&body[..body.len().min(400)]).into_owned();
            return Err(format!("the hub answered {}: {words}", head.status).into());
        }
        sender.ready().await?;
        self.sender = Some(sender);
        let next = head.headers.get("anabranch-next-offset").and_then(|next| next.to_str().ok()?.parse().ok());
        Ok((next, body))
    }
}
