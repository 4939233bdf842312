//! One keep-alive connection: opened when needed, thrown away after any fault.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::plan::{Format, Target};
use super::{HttpError, receipt};

/// How long a connection may take to be accepted.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Most bytes of an answer that are read.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// How an attempt ended.
pub(super) enum Attempt {
    /// With a receipt for the whole batch.
    Receipt,
    /// Without one; worth another attempt. `left`: the request may have reached the target.
    Again { why: String, after: Option<Duration>, left: bool },
    /// Another attempt would end the same way.
    Fatal(HttpError),
}

pub(super) struct Link {
    target: Target,
    format: Format,
    request_timeout: Duration,
    sender: Option<SendRequest<Full<Bytes>>>,
}

impl Link {
    pub(super) fn new(target: Target, format: Format, request_timeout: Duration) -> Self {
        Self { target, format, request_timeout, sender: None }
    }

    /// Posts `body`, which holds `events` events, once.
    pub(super) async fn send(&mut self, body: Bytes, events: u64) -> Attempt {
        let request = match self.request(body) {
            Ok(request) => request,
            Err(error) => return Attempt::Fatal(HttpError::Fault(error.to_string())),
        };
        let mut sender = match self.sender.take() {
            Some(sender) if sender.is_ready() => sender,
            _ => match tokio::time::timeout(CONNECT_TIMEOUT, connect(&self.target)).await {
                Ok(Ok(sender)) => sender,
                Ok(Err(error)) => return again(format!("cannot connect to {}: {error}", self.target), false),
                Err(_) => return again(format!("cannot connect to {} within {CONNECT_TIMEOUT:?}", self.target), false),
            },
        };
        let exchange = async {
            let response = sender.send_request(request).await?;
            let head = (response.status(), retry_after(&response));
            let answer = Limited::new(response.into_body(), ANSWER_BYTES_MAX).collect().await?;
            Ok::<_, Box<dyn std::error::Error + Send + Sync>>((head, answer.to_bytes()))
        };
        match tokio::time::timeout(self.request_timeout, exchange).await {
            Err(_) => again(format!("{} gave no receipt within {:?}", self.target, self.request_timeout), true),
            Ok(Err(error)) => again(format!("the connection to {} broke: {error}", self.target), true),
            Ok(Ok(((status, after), answer))) => {
                if sender.ready().await.is_ok() {
                    self.sender = Some(sender);
                }
                self.judge(status, after, &answer, events)
            }
        }
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
        Request::builder()
            .method(Method::POST)
            .uri(self.target.path.as_str())
            .header(HOST, self.target.authority.as_str())
            .header(CONTENT_TYPE, self.format.content_type())
            .body(Full::new(body))
    }

    fn judge(&self, status: StatusCode, after: Option<Duration>, answer: &[u8], events: u64) -> Attempt {
        let words = || receipt::words(answer);
        if status.is_success() {
            return match receipt::accepted(answer) {
                Some(accepted) if accepted < events => Attempt::Fatal(HttpError::Partial {
                    target: self.target.to_string(),
                    accepted,
                    sent: events,
                    answer: words(),
                }),
                _ => Attempt::Receipt,
            };
        }
        if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::REQUEST_TIMEOUT
        {
            return Attempt::Again {
                why: format!("{} answered {}: {}", self.target, status.as_u16(), words()),
                after,
                left: true,
            };
        }
        Attempt::Fatal(HttpError::Refused { target: self.target.to_string(), status: status.as_u16(), answer: words() })
    }
}

fn again(why: String, left: bool) -> Attempt {
    Attempt::Again { why, after: None, left }
}

async fn connect(target: &Target) -> Result<SendRequest<Full<Bytes>>, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(target.authority.as_str()).await?;
    stream.set_nodelay(true)?;
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its errors come out of the request that was under way.
    tokio::spawn(connection);
    Ok(sender)
}

fn retry_after(response: &Response<Incoming>) -> Option<Duration> {
    let seconds = response.headers().get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
