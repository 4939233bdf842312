//! The HTTP client of one endpoint: how it is built, and one attempt from request to answer.

use std::error::Error;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use http::header::RETRY_AFTER;
use reqwest::{Certificate, Client, Request, Response, Url, redirect};

use super::config::WebhookConfig;
use super::policy::{Answer, retry_after_ms};

/// Why the client of an endpoint cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The file of certificate authorities cannot be read.
    #[error("cannot read the certificate authorities in {path}: {source}; check the path and its permissions")]
    CaFile {
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is no PEM, or the system has no certificates.
    #[error("cannot set up TLS: {0}; name a PEM file in `ca_file`, or install the system's certificate authorities")]
    Tls(String),
}

/// Bytes of an answer's body that are read so that its connection can be used again; a longer one costs the connection.
const ANSWER_BYTES_MAX: usize = 64 * 1024;
/// How long a body may follow its status; the status alone decides.
const ANSWER_BODY_WAIT: Duration = Duration::from_secs(1);
/// How much of a refusal's body is kept as its reason.
const DETAIL_CHARS_MAX: usize = 256;
/// Idle connections are closed before the usual server does, so that a request seldom meets a closing one.
const IDLE_WAIT: Duration = Duration::from_secs(30);

/// Builds the client. Redirects are not followed (CloudEvents webhook binding), proxies of the environment are not used: an
/// event goes where the configuration says and nowhere else.
pub fn client(config: &WebhookConfig) -> Result<Client, ClientError> {
    let mut builder = Client::builder()
        .user_agent(concat!("anabranch/", env!("CARGO_PKG_VERSION")))
        .redirect(redirect::Policy::none())
        .no_proxy()
        .referer(false)
        .retry(reqwest::retry::never())
        .timeout(Duration::from_millis(config.timeout_ms))
        .pool_max_idle_per_host(config.concurrency_max as usize)
        .pool_idle_timeout(IDLE_WAIT)
        .tcp_nodelay(true);
    let plain = Url::parse(&config.url).is_ok_and(|url| url.scheme() == "http");
    if let Some(path) = &config.ca_file {
        let pem =
            std::fs::read(path).map_err(|source| ClientError::CaFile { path: path.display().to_string(), source })?;
        let certificates = Certificate::from_pem_bundle(&pem).map_err(|error| ClientError::Tls(chain(&error)))?;
        builder = builder.tls_certs_only(certificates);
    } else if plain {
        // No need for the system's certificates, and a machine without any must still reach its own receivers.
        builder = builder.tls_certs_only([]);
    }
    builder.build().map_err(|error| ClientError::Tls(chain(&error)))
}

/// How an attempt went.
#[derive(Debug)]
pub(super) struct Report {
    pub answer: Answer,
    /// What the receiver or the system said about a failure.
    pub detail: Option<String>,
}

/// One attempt.
pub(super) async fn attempt(client: Client, request: Request) -> Report {
    match client.execute(request).await {
        Ok(response) => answered(response).await,
        Err(error) => {
            let answer = if error.is_timeout() {
                Answer::TimedOut
            } else if sources(&error).any(|source| source.to_string() == "dns error") {
                Answer::ResolutionError
            } else {
                Answer::SocketError
            };
            // The address stands in the configuration and may hold a token.
            Report { answer, detail: Some(shortened(&chain(&error.without_url()))) }
        }
    }
}

async fn answered(mut response: Response) -> Report {
    let code = response.status().as_u16();
    let failed = !(200..=204).contains(&code);
    let retry_after = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
    let answer = Answer::Status { code, retry_after_ms: retry_after.and_then(|text| retry_after_ms(text, wall_ms())) };
    let location = response.headers().get(http::header::LOCATION).and_then(|value| value.to_str().ok());
    let mut detail = match location {
        Some(location) if (300..400).contains(&code) => {
            Some(shortened(&format!("redirected to {location}; redirects are not followed, change `url`")))
        }
        _ => None,
    };
    let mut seen = 0;
    let mut start = Vec::new();
    let read = async {
        while seen < ANSWER_BYTES_MAX
            && let Ok(Some(chunk)) = response.chunk().await
        {
            seen += chunk.len();
            if failed && start.len() < DETAIL_CHARS_MAX * 4 {
                start.extend_from_slice(&chunk[..chunk.len().min(DETAIL_CHARS_MAX * 4)]);
            }
        }
    };
    // A body that drips does not change what the status said; its connection is given up.
    let _ = tokio::time::timeout(ANSWER_BODY_WAIT, read).await;
    if detail.is_none() && !start.is_empty() {
        detail = Some(shortened(&String::from_utf8_lossy(&start)));
    }
    Report { answer, detail }
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = String::new();
    for source in sources(error) {
        let part = source.to_string();
        if !text.contains(&part) {
            text.push_str(if text.is_empty() { "" } else { ": " });
            text.push_str(&part);
        }
    }
    text
}

/// One line of bounded length without control characters: it goes to logs and files.
fn shortened(text: &str) -> String {
    let mut short: String =
        text.trim().chars().take(DETAIL_CHARS_MAX).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.trim().chars().nth(DETAIL_CHARS_MAX).is_some() {
        short.push('…');
    }
    short
}

/// Wall clock in milliseconds since the Unix epoch.
pub(super) fn wall_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}
