//! `type = "webhook"` as it is written in the configuration file.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use http::{HeaderName, HeaderValue};
use serde::{Deserialize, Serialize};

use super::policy::{RetryPolicy, Schedule};
use crate::config::Problem;

/// What to do with an event that is to become a dead letter when the dead letter file has reached its size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Full {
    /// Keep it unsettled: the endpoint stops and falls behind until somebody redrives or removes dead letters. Nothing is lost.
    #[default]
    Hold,
    /// Drop it and count it.
    Drop,
}

/// From when on an event's time to live runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TtlFrom {
    /// From its first delivery attempt: a backlog in the log does not expire.
    #[default]
    FirstAttempt,
    /// From its acceptance by the node: an event that is too old is never sent.
    Acceptance,
}

/// An endpoint of type `webhook`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WebhookConfig {
    /// Where to POST: `http://` or `https://`.
    pub url: String,
    /// Headers added to every request, for instance `Authorization`.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// PEM file with the certificate authorities to trust for `https` instead of the system's.
    #[serde(default)]
    pub ca_file: Option<PathBuf>,
    /// Most requests under way at once.
    #[serde(default = "concurrency_max")]
    pub concurrency_max: u32,
    /// Longest wait for an answer, in milliseconds; then the attempt has failed.
    #[serde(default = "timeout_ms")]
    pub timeout_ms: u64,
    /// Most events of one request. 1: one CloudEvent per POST. More: a JSON array, `application/cloudevents-batch+json`. A batch is
    /// sent as soon as a request is free, it never waits to be filled.
    #[serde(default = "batch_events_max")]
    pub batch_events_max: u32,
    /// A batch is closed when its data reach this many bytes; a larger event goes alone.
    #[serde(default = "batch_bytes_max")]
    pub batch_bytes_max: usize,
    /// Keep the order of each key: while one of its events is under way or waits for a retry, its later events wait behind it. Other
    /// keys go on; events without a key have no order.
    #[serde(default)]
    pub ordered: bool,
    /// Most attempts for one event.
    #[serde(default = "attempts_max")]
    pub attempts_max: u32,
    /// Time to live of an event in seconds, tested when a retry is due.
    #[serde(default = "ttl_s_max")]
    pub ttl_s_max: u64,
    /// From when on the time to live runs: `first-attempt` or `acceptance`.
    #[serde(default)]
    pub ttl_from: TtlFrom,
    /// When to retry: `exponential`, or Event Grid's table: `event-grid`, `event-grid-namespace`.
    #[serde(default)]
    pub schedule: Schedule,
    /// Shortest wait before a retry in milliseconds (schedule `exponential`).
    #[serde(default = "backoff_ms_min")]
    pub backoff_ms_min: u64,
    /// Longest wait before a retry in milliseconds (schedule `exponential`).
    #[serde(default = "backoff_ms_max")]
    pub backoff_ms_max: u64,
    /// Most events that wait for a retry or behind an event of their key; at this bound the endpoint takes no new ones and falls
    /// behind to the log.
    #[serde(default = "parked_events_max")]
    pub parked_events_max: u32,
    /// Path of the dead letter file, or `"drop"` to keep none. Default: `DATA/dead-letters/ENDPOINT.ndjson`.
    #[serde(default)]
    pub dead_letter: Option<String>,
    /// Largest size of the dead letter file in bytes.
    #[serde(default = "dead_letter_bytes_max")]
    pub dead_letter_bytes_max: u64,
    /// At that size: `hold` (the endpoint stops, nothing is lost) or `drop` (counted).
    #[serde(default)]
    pub dead_letter_full: Full,
    /// When the node stops: how long, in milliseconds, deliveries may still be finished; the rest is sent after the restart.
    #[serde(default = "shutdown_grace_ms")]
    pub shutdown_grace_ms: u64,
}

fn concurrency_max() -> u32 {
    32
}
fn timeout_ms() -> u64 {
    30_000
}
fn batch_events_max() -> u32 {
    1
}
fn batch_bytes_max() -> usize {
    256 * 1024
}
fn attempts_max() -> u32 {
    30
}
fn ttl_s_max() -> u64 {
    24 * 60 * 60
}
fn backoff_ms_min() -> u64 {
    500
}
fn backoff_ms_max() -> u64 {
    10 * 60 * 1000
}
fn parked_events_max() -> u32 {
    4096
}
fn dead_letter_bytes_max() -> u64 {
    1 << 30
}
fn shutdown_grace_ms() -> u64 {
    5000
}

/// Highest `concurrency_max`: each request holds a connection.
const CONCURRENCY_MAX: u32 = 1024;
/// Highest `batch_events_max`: Event Grid's hard cap.
const BATCH_EVENTS_MAX: u32 = 5000;
/// Highest `batch_bytes_max`.
const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Highest `ttl_s_max`: thirty days.
const TTL_S_MAX: u64 = 30 * 24 * 60 * 60;

impl WebhookConfig {
    /// The defaults, for `url`.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            headers: BTreeMap::new(),
            ca_file: None,
            concurrency_max: concurrency_max(),
            timeout_ms: timeout_ms(),
            batch_events_max: batch_events_max(),
            batch_bytes_max: batch_bytes_max(),
            ordered: false,
            attempts_max: attempts_max(),
            ttl_s_max: ttl_s_max(),
            ttl_from: TtlFrom::default(),
            schedule: Schedule::default(),
            backoff_ms_min: backoff_ms_min(),
            backoff_ms_max: backoff_ms_max(),
            parked_events_max: parked_events_max(),
            dead_letter: None,
            dead_letter_bytes_max: dead_letter_bytes_max(),
            dead_letter_full: Full::default(),
            shutdown_grace_ms: shutdown_grace_ms(),
        }
    }

    /// Everything that is wrong with it; opens nothing.
    pub fn problems(&self) -> Vec<Problem> {
        let mut found = Vec::new();
        let mut problem = |field, message: String, help: &str| {
            found.push(Problem { field, message, help: help.to_owned() });
        };
        match reqwest::Url::parse(&self.url) {
            Err(error) => problem(
                "url",
                format!("`{}` is no URL: {error}", self.url),
                "write the whole address, for example \"https://alerts.example/hook\"",
            ),
            Ok(url) if !matches!(url.scheme(), "http" | "https") => problem(
                "url",
                format!("a webhook cannot be sent by `{}`", url.scheme()),
                "use an address that begins with http:// or https://",
            ),
            Ok(url) if !url.username().is_empty() || url.password().is_some() => problem(
                "url",
                "user name and password in the address would show up in logs".to_owned(),
                "put them into an Authorization header under `headers`",
            ),
            Ok(url) if url.scheme() == "http" && self.ca_file.is_some() => problem(
                "ca_file",
                "certificate authorities are of no use for an http:// address".to_owned(),
                "use https:// in `url`, or remove `ca_file`",
            ),
            Ok(_) => {}
        }
        for (name, value) in &self.headers {
            if HeaderName::try_from(name.as_str()).is_err() {
                problem("headers", format!("`{name}` is no header name"), "use letters, digits and `-`");
            } else if is_ours(name) {
                problem("headers", format!("the header `{name}` is set by the endpoint itself"), "remove it");
            }
            if HeaderValue::try_from(value.as_str()).is_err() {
                // The value may be a secret: name the header only.
                problem(
                    "headers",
                    format!("the value of header `{name}` holds a line break or another control character"),
                    "write it on one line, in visible characters",
                );
            }
        }
        let mut range = |field, value: u64, low: u64, high: u64, unit: &str| {
            if !(low..=high).contains(&value) {
                problem(field, format!("{value} is out of range"), &format!("choose {low} to {high}{unit}"));
            }
        };
        range("concurrency_max", self.concurrency_max.into(), 1, CONCURRENCY_MAX.into(), "");
        range("timeout_ms", self.timeout_ms, 1, 10 * 60 * 1000, " milliseconds");
        range("batch_events_max", self.batch_events_max.into(), 1, BATCH_EVENTS_MAX.into(), " events");
        range("batch_bytes_max", self.batch_bytes_max as u64, 1, BATCH_BYTES_MAX as u64, " bytes");
        range("attempts_max", self.attempts_max.into(), 1, 1000, " attempts");
        range("ttl_s_max", self.ttl_s_max, 1, TTL_S_MAX, " seconds");
        range("backoff_ms_min", self.backoff_ms_min, 1, 24 * 60 * 60 * 1000, " milliseconds");
        range("backoff_ms_max", self.backoff_ms_max, 1, 24 * 60 * 60 * 1000, " milliseconds");
        range("parked_events_max", self.parked_events_max.into(), 1, 1_000_000, " events");
        range("shutdown_grace_ms", self.shutdown_grace_ms, 0, 10 * 60 * 1000, " milliseconds");
        range("dead_letter_bytes_max", self.dead_letter_bytes_max, 1024 * 1024, 1 << 50, " bytes");
        if self.backoff_ms_max < self.backoff_ms_min {
            problem(
                "backoff_ms_max",
                format!("{} is below backoff_ms_min = {}", self.backoff_ms_max, self.backoff_ms_min),
                "make backoff_ms_max the larger of the two",
            );
        }
        if self.dead_letter.as_deref().is_some_and(|path| path.trim().is_empty()) {
            problem(
                "dead_letter",
                "the path is empty".to_owned(),
                "name a file, write \"drop\" to keep no dead letters, or remove the key for the default file",
            );
        }
        found
    }

    /// Where the dead letters of endpoint `name` go; `None`: nowhere.
    pub fn dead_letter_path(&self, name: &str, data_dir: &Path) -> Option<PathBuf> {
        match self.dead_letter.as_deref() {
            Some("drop") => None,
            Some(path) => Some(PathBuf::from(path)),
            None => Some(super::dead_letter::default_path(data_dir, name)),
        }
    }

    /// The part that decides about retries.
    pub fn policy(&self) -> RetryPolicy {
        RetryPolicy {
            schedule: self.schedule,
            backoff_ms_min: self.backoff_ms_min,
            backoff_ms_max: self.backoff_ms_max,
            attempts_max: self.attempts_max,
            ttl_ms_max: self.ttl_s_max.saturating_mul(1000),
        }
    }
}

/// Headers that the endpoint sets on every request.
fn is_ours(name: &str) -> bool {
    ["content-type", "content-length", "transfer-encoding", "host", "connection"]
        .iter()
        .any(|own| name.eq_ignore_ascii_case(own))
        || name.get(..10).is_some_and(|head| head.eq_ignore_ascii_case("anabranch-"))
}

#[cfg(test)]
mod tests;
