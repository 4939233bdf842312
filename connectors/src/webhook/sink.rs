//! The loop of a webhook endpoint: takes deliveries, keeps requests under way, and does what the policy says with each answer.
//!
//! One task, no locks, nothing per event but its bytes in a body. Everything it holds is bounded: requests by `concurrency_max`,
//! waiting retries by `parked_events_max`, unsettled deliveries by [`HELD_DELIVERIES_MAX`].

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::{FuturesUnordered, StreamExt};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Client, Request, Url};
use tokio::time::{Instant, sleep_until};

use super::client::{ClientError, Report, attempt, client, now_ms};
use super::config::{TtlFrom, WebhookConfig};
use super::dead_letter::{AppendError, DeadLetterFile};
use super::parked::Parked;
use super::policy::{Reason, RetryPolicy, Verdict};
use super::queue::{Queue, Shot, Span};
use super::written_off::WrittenOff;
use crate::sink::{Feed, Handed, SinkStats};

#[cfg(test)]
mod tests;

/// Deliveries that may be held unsettled besides those that keep the requests busy: each pins a batch of about 64 KiB.
const HELD_DELIVERIES_MAX: usize = 512;
/// After so many failures without a success the receiver counts as down; its first success then makes all retries due at once.
const DOWN_FAILURES_MIN: u32 = 8;
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
    config: WebhookConfig,
    policy: RetryPolicy,
    client: Client,
    url: Url,
    headers: HeaderMap,
    queue: Queue,
    parked: Parked,
    written_off: WrittenOff,
    stats: Arc<SinkStats>,
    /// The receiver asked for silence until then.
    silent_until: Option<Instant>,
    /// It said 410: nothing more is sent.
    stopped: bool,
    failures_in_a_row: u32,
    report_from: Instant,
    unreported: u64,
    /// Size of the last body: the next is likely as large.
    body_bytes: usize,
}

/// Runs the endpoint until the feed has ended and what was under way is done, or `shutdown_grace_ms` is over. What is unsettled
/// then comes again after the restart. Runs on a single-threaded runtime.
pub async fn run(webhook: Webhook, mut feed: Feed, stats: Arc<SinkStats>) {
    let grace = Duration::from_millis(webhook.config.shutdown_grace_ms);
    let concurrency = webhook.config.concurrency_max as usize;
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
            sink.take(handed);
        }
        let now = Instant::now();
        while requests.len() < concurrency
            && let Some((shot, request)) = sink.next_request(now)
        {
            let client = sink.client.clone();
            requests.push(async move { (shot, attempt(client, request).await) });
        }
        if let Some(write) = sink.written_off.start(now) {
            writes.push(write);
        }
        let wake = sink.next_due(requests.len() < concurrency);
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
            Some((shot, report)) = requests.next(), if !requests.is_empty() => sink.answered(shot, report),
            Some(written) = writes.next(), if !writes.is_empty() => sink.written_off.finished(written, Instant::now()),
            fed = next_or_end(&mut feed, sink.wants_more(), leave_at.is_some()), if !is_dry => match fed {
                Fed::Handed(handed) => sink.take(handed),
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
        Self {
            policy: config.policy(),
            queue: Queue::new(config.ordered),
            parked: Parked::default(),
            written_off,
            stats,
            silent_until: None,
            stopped: false,
            failures_in_a_row: 0,
            report_from: Instant::now(),
            unreported: 0,
            body_bytes: 512,
            name,
            config,
            client,
            url,
            headers,
        }
    }

    fn wants_more(&self) -> bool {
        !self.stopped
            && self.silent_until.is_none()
            && !self.written_off.is_stuck()
            && self.queue.ready_events() < self.config.batch_events_max as usize
            && self.queue.held() < HELD_DELIVERIES_MAX + self.config.concurrency_max as usize
            && self.parked.events() < self.config.parked_events_max as usize
    }

    fn take(&mut self, handed: Handed) {
        self.queue.push(handed);
    }

    /// When there is something to do that no answer brings; `free`: a request could start.
    fn next_due(&self, free: bool) -> Option<Instant> {
        let retry = match self.silent_until {
            _ if self.stopped || !free => None,
            Some(until) => Some(until),
            None => self.parked.next_due(),
        };
        [retry, self.written_off.next_due()].into_iter().flatten().min()
    }

    /// The next request that may be sent now: retries that are due first.
    fn next_request(&mut self, now: Instant) -> Option<(Shot, Request)> {
        if self.stopped || self.silent_until.is_some_and(|until| until > now) {
            return None;
        }
        self.silent_until = None;
        loop {
            let shot = match self.parked.pop_due(now) {
                Some(shot) => shot,
                None => self.queue.next(self.config.batch_events_max as usize, self.config.batch_bytes_max)?,
            };
            if let Some(mut shot) = self.still_alive(shot, now) {
                let request = self.request(&mut shot, now);
                return Some((shot, request));
            }
        }
    }

    /// Writes off what has outlived its time; `None` if nothing is left of it.
    fn still_alive(&mut self, mut shot: Shot, now: Instant) -> Option<Shot> {
        let expired = match (self.config.ttl_from, shot.first) {
            (TtlFrom::FirstAttempt, None) => false,
            (TtlFrom::FirstAttempt, Some((first, _))) => self.policy.is_expired(ms(now - first)),
            (TtlFrom::Acceptance, _) => {
                let now_ms = now_ms();
                let is_old =
                    |accepted_ms: i64| self.policy.is_expired(u64::try_from(now_ms - accepted_ms).unwrap_or(0));
                // Almost always all or none: look at each event only if one of them is old.
                if shot.spans.iter().flat_map(Span::events).any(|event| is_old(event.timestamp_ms())) {
                    let (old, young) = shot
                        .spans
                        .iter()
                        .flat_map(Span::each)
                        .partition(|one| one.events().all(|event| is_old(event.timestamp_ms())));
                    shot.spans = old;
                    self.written_off.push(&shot, Reason::TimeToLiveExceeded);
                    shot.spans = young;
                }
                if !shot.spans.is_empty() {
                    return Some(shot);
                }
                return self.finished(shot);
            }
        };
        if !expired {
            return Some(shot);
        }
        self.written_off.push(&shot, Reason::TimeToLiveExceeded);
        self.finished(shot)
    }

    /// The events of `shot` are done. What is to follow it, if it was part of something larger.
    fn finished(&mut self, shot: Shot) -> Option<Shot> {
        let lane = shot.lane;
        let next = shot.next();
        if next.is_none() {
            self.queue.release(lane);
        }
        next
    }

    fn request(&mut self, shot: &mut Shot, now: Instant) -> Request {
        let mut body = Vec::with_capacity(self.body_bytes + self.body_bytes / 4);
        let is_batch = self.config.batch_events_max > 1;
        if is_batch {
            body.push(b'[');
        }
        for span in &shot.spans {
            let enrichments = &span.open.delivery().enrichments;
            for event in span.events() {
                if body.len() > 1 {
                    body.push(b',');
                }
                crate::cloudevents::write_structured(&event, enrichments, &mut body);
            }
        }
        if is_batch {
            body.push(b']');
        }
        self.body_bytes = body.len();
        shot.attempts += 1;
        shot.last_ms = now_ms();
        shot.first.get_or_insert((now, shot.last_ms));
        shot.body_bytes = body.len();
        let mut request = Request::new(http::Method::POST, self.url.clone());
        *request.headers_mut() = self.headers.clone();
        request.headers_mut().insert(ATTEMPT, shot.attempts.into());
        *request.body_mut() = Some(body.into());
        request
    }

    fn answered(&mut self, mut shot: Shot, report: Report) {
        let now = Instant::now();
        let Report { answer, detail } = report;
        let since_first_ms = shot.first.map_or(0, |(first, _)| ms(now - first));
        let verdict = self.policy.judge(&answer, shot.len(), shot.attempts, since_first_ms, fastrand::f64());
        if verdict == Verdict::Delivered {
            self.succeeded(now);
            SinkStats::add(&self.stats.delivered_events, shot.len() as u64);
            SinkStats::add(&self.stats.delivered_bytes, shot.body_bytes as u64);
            for span in &shot.spans {
                span.open.done(span.len());
            }
        } else {
            self.failed(&answer.outcome(), answer.code(), detail.as_deref(), now);
            shot.last = Some((answer, detail));
        }
        let next = match verdict {
            Verdict::Delivered => self.finished(shot),
            Verdict::Retry { after_ms, hold_all } => {
                let due = now + Duration::from_millis(after_ms);
                if hold_all {
                    self.silent_until = Some(self.silent_until.map_or(due, |until| until.max(due)));
                }
                SinkStats::add(&self.stats.retries, 1);
                self.parked.park(shot, due);
                None
            }
            Verdict::Halve => Some(shot.halve()),
            Verdict::DeadLetter(reason) => {
                self.written_off.push(&shot, reason);
                self.finished(shot)
            }
            Verdict::Stop => {
                self.stopped = true;
                tracing::error!(
                    endpoint = &*self.name,
                    "the receiver answered 410 Gone: nothing more is sent to it and its events stay in the log; correct or remove the endpoint and reload"
                );
                self.stats.failed("410 Gone: the receiver is retired; correct or remove the endpoint and reload");
                // Dropped unsettled: it comes again when the endpoint runs again.
                None
            }
        };
        if let Some(next) = next {
            self.parked.park(next, now);
        }
    }

    fn succeeded(&mut self, now: Instant) {
        if self.failures_in_a_row >= DOWN_FAILURES_MIN {
            tracing::info!(endpoint = &*self.name, failures = self.failures_in_a_row, "the receiver is back");
            self.parked.all_due(now);
        }
        self.failures_in_a_row = 0;
    }

    fn failed(&mut self, outcome: &super::policy::Outcome, status: Option<u16>, detail: Option<&str>, now: Instant) {
        self.failures_in_a_row = self.failures_in_a_row.saturating_add(1);
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

fn ms(duration: Duration) -> u64 {
    duration.as_millis() as u64
}
