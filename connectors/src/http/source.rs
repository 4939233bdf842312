//! The listener of one core: accepts, serves, answers after the ack level, and ends without losing what it has begun.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use engine::batch::HeaderWriter;
use engine::event::put_attribute;
use engine::mesh::Refused;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};

use super::body::{self, collect};
use super::events::{self, Mode};
use super::iothub::{self, Sender};
use super::ndjson::{KeyPointer, LineDecoder};
use super::problem::Problem;
use super::stats::{HttpStats, RejectReason};
use super::{HttpConfig, receipt};
use crate::intake::{Intake, IntakeError, Submission};
use crate::iothub::percent_decode;
use crate::rate_limited::RateLimited;

/// Body of every answer.
pub type ResponseBody = UnsyncBoxBody<Bytes, Box<dyn std::error::Error + Send + Sync>>;

/// Answers requests that bring no events.
pub type Fallback = Rc<dyn Fn(Request<Incoming>) -> Pin<Box<dyn Future<Output = Response<ResponseBody>>>>>;

/// How long connections may take to finish their request when the listener ends.
const GRACE: Duration = Duration::from_secs(10);
/// Bytes of NDJSON after which full batches are sent on, so that a long body is not held back to its end.
const FLUSH_BYTES: usize = 256 * 1024;

struct Listener {
    config: HttpConfig,
    key: Option<KeyPointer>,
    intake: Intake,
    fallback: Fallback,
    stats: Arc<HttpStats>,
    /// Open connections of all cores.
    connections: Arc<AtomicUsize>,
}

/// Serves until `shutdown` resolves, then lets requests under way finish. Runs on a single-threaded runtime with a `LocalSet`.
/// `connections` is shared by the listeners of all cores.
pub async fn serve(
    listener: std::net::TcpListener,
    config: HttpConfig,
    intake: Intake,
    fallback: Fallback,
    stats: Arc<HttpStats>,
    connections: Arc<AtomicUsize>,
    shutdown: impl Future<Output = ()>,
) -> std::io::Result<()> {
    let socket = TcpListener::from_std(listener)?;
    // The configuration was checked: a pointer that cannot be parsed is no pointer.
    let key = config.key_pointer.as_deref().and_then(|pointer| KeyPointer::parse(pointer).ok());
    let listener = Rc::new(Listener { config, key, intake, fallback, stats, connections });
    let (closing, closed) = tokio::sync::watch::channel(());
    let mut shutdown = std::pin::pin!(shutdown);
    let complaints = RateLimited::new(Duration::from_secs(10));
    loop {
        tokio::select! {
            accepted = socket.accept() => match accepted {
                Ok((stream, _)) => {
                    tokio::task::spawn_local(listener.clone().connection(stream, closed.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end make room.
                    if let Some(held_back) = complaints.allow(std::time::Instant::now()) {
                        tracing::warn!(%error, held_back, "cannot accept a connection");
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            () = &mut shutdown => break,
        }
    }
    drop((socket, closed));
    // Each connection holds a receiver: sending says "finish", and all of them gone means done.
    let _ = closing.send(());
    if tokio::time::timeout(GRACE, closing.closed()).await.is_err() {
        tracing::warn!("some connections did not finish their request in time and are cut");
    }
    Ok(())
}

impl Listener {
    async fn connection(self: Rc<Self>, stream: TcpStream, mut closing: tokio::sync::watch::Receiver<()>) {
        let open = self.connections.fetch_add(1, Ordering::Relaxed);
        self.stats.connections.fetch_add(1, Ordering::Relaxed);
        let is_full = open >= self.config.connections_max;
        let service = service_fn({
            let listener = self.clone();
            move |request| {
                let listener = listener.clone();
                async move { Ok::<_, Infallible>(listener.answer(request, is_full).await) }
            }
        });
        let mut builder = http1::Builder::new();
        builder
            .timer(TokioTimer::new())
            .header_read_timeout(Duration::from_millis(self.config.idle_timeout_ms))
            .max_buf_size(self.config.header_bytes_max.max(256 * 1024))
            .pipeline_flush(true);
        let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
        let ended = tokio::select! {
            ended = &mut connection => ended,
            _ = closing.changed() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            tracing::debug!(%error, "a connection ended");
        }
        self.stats.connections.fetch_sub(1, Ordering::Relaxed);
        self.connections.fetch_sub(1, Ordering::Relaxed);
    }

    async fn answer(&self, request: Request<Incoming>, is_full: bool) -> Response<ResponseBody> {
        if is_full {
            let detail = format!("the node has its {} connections", self.config.connections_max);
            let help =
                "try again later, keep connections open and send more events per request, or raise connections_max";
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, RejectReason::Unavailable, detail, help);
            return self.refuse(Problem { retry_after_s: Some(1), closes: true, ..problem });
        }
        let path = request.uri().path();
        let answered = if path == "/events" {
            match check_method(request.method()) {
                Ok(()) => self.events(request).await,
                Err(problem) => Err(problem),
            }
        } else if let Some(sender) = Sender::of_path(path) {
            match (check_method(request.method()), sender) {
                (Ok(()), Ok(sender)) => self.device(sender, request).await,
                (Err(problem), _) | (_, Err(problem)) => Err(problem),
            }
        } else {
            return (self.fallback)(request).await;
        };
        answered.unwrap_or_else(|problem| self.refuse(problem))
    }

    async fn events(&self, request: Request<Incoming>) -> Result<Response<ResponseBody>, Problem> {
        let (head, body) = request.into_parts();
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mode = Mode::of(content_type, &head.headers)?;
        if mode == Mode::Ndjson {
            return self.ndjson(head.uri.query(), body).await;
        }
        let deadline = body::deadline(self.config.request_timeout_ms);
        let body = collect(body, self.config.body_bytes_max, deadline).await?;
        let mut submission = self.intake.submission(self.config.ack);
        let (bytes_max, now_ms) = (self.config.event_bytes_max, now_ms());
        match mode {
            Mode::Structured => events::structured(&body, bytes_max, now_ms, &mut submission),
            Mode::Batch => events::batch(&body, bytes_max, now_ms, &mut submission),
            Mode::Binary | Mode::Ndjson => events::binary(&head.headers, &body, bytes_max, now_ms, &mut submission),
        }?;
        let receipt = self.commit(submission).await?;
        Ok(json(StatusCode::OK, "application/json", receipt::to_json(&receipt, 0, &[])))
    }

    async fn ndjson(&self, query: Option<&str>, mut body: Incoming) -> Result<Response<ResponseBody>, Problem> {
        let query = Query::parse(query)?;
        let mut headers = HeaderWriter::default();
        for (name, value) in [("type", &query.event_type), ("source", &query.source)] {
            if let Some(value) = value {
                put_attribute(&mut headers, name, value);
            }
        }
        body::check_length(&body, self.config.body_bytes_max)?;
        let deadline = body::deadline(self.config.request_timeout_ms);
        let key = query.key.or_else(|| self.key.clone());
        let mut decoder = LineDecoder::new(key, headers, self.config.event_bytes_max);
        let mut submission = self.intake.submission(self.config.ack);
        let (mut bytes, mut unflushed) = (0, 0);
        while let Some(chunk) = body::next(&mut body, deadline).await? {
            bytes += chunk.len();
            unflushed += chunk.len();
            if bytes > self.config.body_bytes_max {
                return Err(body::too_large(self.config.body_bytes_max));
            }
            decoder.chunk(&chunk, now_ms(), &mut submission);
            if unflushed >= FLUSH_BYTES {
                unflushed = 0;
                submission.flush().await.map_err(unavailable)?;
            }
        }
        decoder.finish(now_ms(), &mut submission);
        for (reason, count) in decoder.rejected_by_reason() {
            self.stats.reject(reason, count);
        }
        let rejected = decoder.rejected();
        if submission.events() == 0 && rejected > 0 {
            let detail = format!("none of the {rejected} lines is an event");
            let help = "send one JSON value per line; see the errors";
            let problem = Problem::new(StatusCode::BAD_REQUEST, RejectReason::MalformedJson, detail, help);
            // Counted above, line by line.
            return Ok(problem_response(&Problem { errors: decoder.errors().to_vec(), ..problem }));
        }
        let receipt = self.commit(submission).await?;
        Ok(json(StatusCode::OK, "application/json", receipt::to_json(&receipt, rejected, decoder.errors())))
    }

    async fn device(&self, sender: Sender, request: Request<Incoming>) -> Result<Response<ResponseBody>, Problem> {
        let (head, body) = request.into_parts();
        let deadline = body::deadline(self.config.request_timeout_ms);
        let body = collect(body, self.config.body_bytes_max, deadline).await?;
        let mut submission = self.intake.submission(self.config.ack);
        let (bytes_max, now_ms) = (self.config.event_bytes_max, now_ms());
        let content_type = head.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("");
        let essence = content_type.split(';').next().unwrap_or("").trim();
        if essence.eq_ignore_ascii_case(iothub::BATCH_TYPE) {
            iothub::batch(&sender, &body, bytes_max, now_ms, &mut submission)?;
        } else {
            iothub::message(&sender, &head.headers, &body, bytes_max, now_ms, &mut submission)?;
        }
        self.commit(submission).await?;
        let mut response = Response::new(empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Ok(response)
    }

    async fn commit(&self, submission: Submission) -> Result<crate::intake::Receipt, Problem> {
        let bytes = submission.bytes() as u64;
        let receipt = submission.commit().await.map_err(unavailable)?;
        self.stats.requests.fetch_add(1, Ordering::Relaxed);
        self.stats.events.fetch_add(receipt.events(), Ordering::Relaxed);
        self.stats.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(receipt)
    }

    fn refuse(&self, problem: Problem) -> Response<ResponseBody> {
        self.stats.reject(problem.reason, problem.errors.len().max(1) as u64);
        problem_response(&problem)
    }
}

fn check_method(method: &Method) -> Result<(), Problem> {
    if method == Method::POST {
        return Ok(());
    }
    let detail = format!("{method} is not served here");
    let help = "send events with POST";
    Err(Problem::new(StatusCode::METHOD_NOT_ALLOWED, RejectReason::Unsupported, detail, help))
}

fn unavailable(error: IntakeError) -> Problem {
    let IntakeError::Refused(refused) = error;
    let help = match refused {
        Refused::LogFailed => "send the request again; if it stays so, look at the node's disk",
        Refused::Stopping => "send the request again to the node when it is back",
        Refused::OutOfOrder { .. } => "send what is missing first",
    };
    let detail = format!("{refused}; what of the request was kept is not known");
    let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, RejectReason::Unavailable, detail, help);
    Problem { retry_after_s: Some(1), ..problem }
}

/// One clock read per request or chunk.
fn now_ms() -> i64 {
    // A clock before 1970 is a broken clock; its events get the epoch.
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

#[derive(Default)]
struct Query {
    key: Option<KeyPointer>,
    event_type: Option<String>,
    source: Option<String>,
}

impl Query {
    fn parse(query: Option<&str>) -> Result<Self, Problem> {
        let bad = |detail: String| {
            let help = "NDJSON takes ?key=/json/pointer, ?type= and ?source=";
            Problem::new(StatusCode::BAD_REQUEST, RejectReason::InvalidEvent, detail, help)
        };
        let mut found = Self::default();
        for pair in query.unwrap_or("").split('&').filter(|pair| !pair.is_empty()) {
            let (name, raw) = pair.split_once('=').unwrap_or((pair, ""));
            let value = percent_decode(raw).ok_or_else(|| bad(format!("'{raw}' is not percent-encoded UTF-8")))?;
            match name {
                "key" => found.key = Some(KeyPointer::parse(&value).map_err(bad)?),
                "type" if !value.is_empty() => found.event_type = Some(value),
                "source" if !value.is_empty() => found.source = Some(value),
                _ => return Err(bad(format!("the query parameter '{name}' is not understood"))),
            }
        }
        Ok(found)
    }
}

fn empty() -> ResponseBody {
    Full::new(Bytes::new()).map_err(|never| match never {}).boxed_unsync()
}

fn json(status: StatusCode, content_type: &'static str, body: Vec<u8>) -> Response<ResponseBody> {
    let mut response = Response::new(Full::new(Bytes::from(body)).map_err(|never| match never {}).boxed_unsync());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn problem_response(problem: &Problem) -> Response<ResponseBody> {
    let mut response = json(problem.status, "application/problem+json", problem.to_json());
    let headers = response.headers_mut();
    if let Some(seconds) = problem.retry_after_s {
        headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    if problem.status == StatusCode::METHOD_NOT_ALLOWED {
        headers.insert(header::ALLOW, HeaderValue::from_static("POST"));
    }
    if problem.closes {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
