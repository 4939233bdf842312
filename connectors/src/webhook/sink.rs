//! The loop of a webhook endpoint: the world around a [`Dispatch`]. It reads the feed and the clock, sends requests, writes dead letters.
//!
//! One task, no locks, nothing per event but its bytes in a body. What is sent, parked or given up is decided and bounded by
//! the dispatch.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Request, Url};
use tokio::time::{Instant, sleep_until};

use super::client::{ClientError, Report, attempt, client, wall_ms};
use super::config::WebhookConfig;
use super::dead_letter::{AppendError, DeadLetterFile};
use super::dispatch::Dispatch;
use super::policy::{Outcome, Verdict};
use super::shot::Shot;
use super::written_off::WrittenOff;
use crate::sink::{Feed, Handed, SinkStats};

#[cfg(test)]
mod tests;

/// A failing receiver is reported once in this time.
const REPORT_WAIT: Duration = Duration::from_secs(30);

const SINGLE: HeaderValue = HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json; charset=utf-8");
const ATTEMPT: HeaderName = HeaderName::from_static("anabranch-delivery-attempt");
const ENDPOINT: HeaderName = HeaderName::from_static("anabranch-endpoint");

/// Why an endpoint cannot start.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The configuration has problems; `problems()` names them all.
    #[error("the configuration of webhook `{endpoint}` is wrong: {problem}")]
    Config {
        /// Name of the endpoint.
        endpoint: String,
        /// The first problem.
        problem: String,
    },
    /// No HTTP client.
    #[error("webhook `{endpoint}`: {source}")]
    Client {
        /// Name of the endpoint.
        endpoint: String,
        /// Why.
        source: ClientError,
    },
    /// No dead letter file.
    #[error("webhook `{endpoint}`: {source}; check the permissions, or set `dead_letter`")]
    DeadLetters {
        /// Name of the endpoint.
        endpoint: String,
        /// Why.
        source: AppendError,
    },
}

/// A webhook endpoint that is ready to run.
#[derive(Debug)]
pub struct Webhook {
    name: Arc<str>,
    config: WebhookConfig,
    client: Client,
    url: Url,
    headers: HeaderMap,
    dead_letters: Option<Arc<DeadLetterFile>>,
}

impl Webhook {
    /// Builds the client and makes the dead letter file ready. Blocks; sends nothing. Call it on the thread that runs it.
    pub fn open(name: &str, config: WebhookConfig, data_dir: &Path) -> Result<Self, OpenError> {
        let endpoint = || name.to_owned();
        if let Some(problem) = config.problems().into_iter().next() {
            return Err(OpenError::Config {
                endpoint: endpoint(),
                problem: format!("{}: {}", problem.field, problem.message),
            });
        }
        let wrong = |problem: String| OpenError::Config { endpoint: endpoint(), problem };
        let url = Url::parse(&config.url).map_err(|error| wrong(error.to_string()))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &config.headers {
            let name = HeaderName::try_from(name).map_err(|error| wrong(error.to_string()))?;
            let mut value = HeaderValue::try_from(value).map_err(|error| wrong(error.to_string()))?;
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        headers.insert(CONTENT_TYPE, if config.batch_events_max > 1 { BATCH } else { SINGLE });
        if let Ok(name) = HeaderValue::try_from(name) {
            headers.insert(ENDPOINT, name);
        }
        let client = client(&config).map_err(|source| OpenError::Client { endpoint: endpoint(), source })?;
        let dead_letters = match config.dead_letter_path(name, data_dir) {
            None => None,
            Some(path) => Some(Arc::new(
                DeadLetterFile::open(path, config.dead_letter_bytes_max)
                    .map_err(|source| OpenError::DeadLetters { endpoint: endpoint(), source })?,
            )),
        };
        Ok(Self { name: name.into(), config, client, url, headers, dead_letters })
    }
}

struct Sink {
    name: Arc<str>,
    dispatch: Dispatch,
    written_off: WrittenOff,
    stats: Arc<SinkStats>,
    client: Client,
    url: Url,
    headers: HeaderMap,
    is_batch: bool,
    /// When the sink's milliseconds began.
    start: Instant,
    report_from: Instant,
    unreported: u64,
    /// Size of the last body: the next is likely as large.
    body_bytes: usize,
}

/// A request that has been answered.
struct Done {
    shot: Shot,
    body_bytes: usize,
    report: Report,
}

/// Runs the endpoint until the feed has ended and what was under way is done, or `shutdown_grace_ms` is over. What is unsettled
/// then comes again after the restart. Runs on a single-threaded runtime.
pub async fn run(webhook: Webhook, mut feed: Feed, stats: Arc<SinkStats>) {
    let grace = Duration::from_millis(webhook.config.shutdown_grace_ms);
    let mut sink = Sink::new(webhook, stats);
    let mut requests = FuturesUnordered::new();
    let mut writes = FuturesUnordered::new();
    // The feed will bring nothing more; when to leave.
    let (mut is_dry, mut leave_at) = (false, None::<Instant>);
    loop {
        while !is_dry
            && sink.wants_more()
            && let Some(handed) = feed.try_next()
        {
            sink.dispatch.take(handed);
        }
        let now = Instant::now();
        let now_ms = sink.ms(now);
        while let Some(shot) = sink.dispatch.next_shot(now_ms, wall_ms()) {
            let request = sink.request(&shot);
            let (client, body_bytes) = (sink.client.clone(), sink.body_bytes);
            requests.push(async move { Done { shot, body_bytes, report: attempt(client, request).await } });
        }
        for given_up in sink.dispatch.take_given_up() {
            sink.written_off.push(given_up);
        }
        if let Some(write) = sink.written_off.start(now_ms) {
            writes.push(write);
        }
        let wake = sink.next_due();
        if let Some(leave_at) = leave_at {
            let is_still = requests.is_empty() && writes.is_empty();
            let can_take = !is_dry && sink.wants_more();
            if now >= leave_at || (is_still && !can_take && wake.is_none_or(|wake| wake > leave_at)) {
                return;
            }
        }
        let wake = [wake, leave_at].into_iter().flatten().min();
        tokio::select! {
            biased;
            Some(done) = requests.next(), if !requests.is_empty() => sink.answered(done),
            Some(written) = writes.next(), if !writes.is_empty() => {
                let now_ms = sink.ms(Instant::now());
                sink.written_off.finished(written, now_ms);
            }
            fed = next_or_end(&mut feed, sink.wants_more(), leave_at.is_some()), if !is_dry => match fed {
                Fed::Handed(handed) => sink.dispatch.take(handed),
                Fed::Dry => is_dry = true,
                Fed::Ended => leave_at = Some(Instant::now() + grace),
            },
            () = sleep_until(wake.unwrap_or(now)), if wake.is_some() => {}
        }
    }
}

enum Fed {
    Handed(Handed),
    /// Nothing is left.
    Dry,
    /// Nothing new will come.
    Ended,
}

/// The next delivery, if one is wanted; or the news that the feed has ended, once.
async fn next_or_end(feed: &mut Feed, wants_more: bool, knows_end: bool) -> Fed {
    if knows_end {
        return match wants_more {
            true => feed.next().await.map_or(Fed::Dry, Fed::Handed),
            false => std::future::pending().await,
        };
    }
    feed.next_unless_ended(wants_more).await.map_or(Fed::Ended, Fed::Handed)
}

impl Sink {
    fn new(webhook: Webhook, stats: Arc<SinkStats>) -> Self {
        let Webhook { name, config, client, url, headers, dead_letters } = webhook;
        let written_off = WrittenOff::new(name.clone(), dead_letters, config.dead_letter_full, stats.clone());
        let start = Instant::now();
        Self {
            dispatch: Dispatch::new(&config, fastrand::u64(..)),
            written_off,
            stats,
            is_batch: config.batch_events_max > 1,
            start,
            report_from: start,
            unreported: 0,
            body_bytes: 512,
            name,
            client,
            url,
            headers,
        }
    }

    fn ms(&self, at: Instant) -> u64 {
        (at - self.start).as_millis() as u64
    }

    fn wants_more(&self) -> bool {
        !self.written_off.is_stuck() && self.dispatch.wants_more()
    }

    /// When there is something to do that no answer, write or delivery brings.
    fn next_due(&self) -> Option<Instant> {
        let due_ms = [self.dispatch.next_due_ms(), self.written_off.next_due_ms()].into_iter().flatten().min()?;
        Some(self.start + Duration::from_millis(due_ms))
    }

    fn request(&mut self, shot: &Shot) -> Request {
        let mut body = Vec::with_capacity(self.body_bytes + self.body_bytes / 4);
        if self.is_batch {
            body.push(b'[');
        }
        for (event, enrichments) in shot.enriched() {
            if body.len() > 1 {
                body.push(b',');
            }
            crate::cloudevents::write_structured(&event, enrichments, &mut body);
        }
        if self.is_batch {
            body.push(b']');
        }
        self.body_bytes = body.len();
        let mut request = Request::new(http::Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(ATTEMPT, shot.tried().attempts.into());
        *request.body_mut() = Some(body.into());
        request
    }

    fn answered(&mut self, done: Done) {
        let now = Instant::now();
        let now_ms = self.ms(now);
        let Done { shot, body_bytes, report: Report { answer, detail } } = done;
        let outcome = answer.outcome();
        if outcome != Outcome::Delivered {
            self.failed(outcome, answer.code(), detail.as_deref(), now);
        }
        let judged = self.dispatch.answered(shot, answer, detail, now_ms);
        if let Some(failures) = judged.back_after {
            tracing::info!(endpoint = &*self.name, failures, "the receiver is back");
        }
        match judged.verdict {
            Verdict::Delivered => {
                SinkStats::add(&self.stats.delivered_events, judged.events as u64);
                SinkStats::add(&self.stats.delivered_bytes, body_bytes as u64);
            }
            Verdict::Retry { .. } => SinkStats::add(&self.stats.retries, 1),
            Verdict::Halve | Verdict::DeadLetter(_) => {}
            Verdict::Stop => {
                tracing::error!(
                    endpoint = &*self.name,
                    "the receiver answered 410 Gone: nothing more is sent to it and its events stay in the log; correct or remove the endpoint and reload"
                );
                self.stats.failed("410 Gone: the receiver is retired; correct or remove the endpoint and reload");
            }
        }
    }

    fn failed(&mut self, outcome: Outcome, status: Option<u16>, detail: Option<&str>, now: Instant) {
        self.unreported += 1;
        if now < self.report_from {
            return;
        }
        self.report_from = now + REPORT_WAIT;
        let status = status.map_or_else(String::new, |status| format!(" ({status})"));
        let detail = detail.unwrap_or_default();
        self.stats.failed(format_args!("{outcome:?}{status} {detail}"));
        tracing::warn!(
            endpoint = &*self.name,
            failures = self.unreported,
            "delivery failed: {outcome:?}{status} {detail}"
        );
        self.unreported = 0;
    }
}
