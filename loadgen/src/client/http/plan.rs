//! What a run is to do, and where to.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use hyper::Uri;

use crate::fleet::Model;
use crate::pace::Pace;

/// How events are put into a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One JSON object a line, `application/x-ndjson`.
    Ndjson,
    /// A JSON array of CloudEvents, `application/cloudevents-batch+json`.
    CloudEventsBatch,
    /// One CloudEvent a request, `application/cloudevents+json`.
    CloudEvent,
}

impl Format {
    /// Its content type.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Ndjson => "application/x-ndjson",
            Self::CloudEventsBatch => "application/cloudevents-batch+json",
            Self::CloudEvent => "application/cloudevents+json",
        }
    }
}

/// Where to: host, port and path of an `http://` address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// `host:port`, as connected to and as sent in `Host`.
    pub(super) authority: String,
    /// Path and query.
    pub(super) path: String,
}

/// An address that cannot be a target.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not an address at all.
    #[error("`{0}` is not a web address; write it as http://127.0.0.1:8080/path")]
    Malformed(String),
    /// Another protocol.
    #[error("`{0}` does not begin with http://, the only scheme that this client speaks")]
    Scheme(String),
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, TargetError> {
        let uri: Uri = text.parse().map_err(|_| TargetError::Malformed(text.to_owned()))?;
        if uri.scheme_str() != Some("http") {
            return Err(TargetError::Scheme(text.to_owned()));
        }
        let host = uri.host().filter(|host| !host.is_empty()).ok_or_else(|| TargetError::Malformed(text.to_owned()))?;
        let path = uri.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self { authority: format!("{host}:{}", uri.port_u16().unwrap_or(80)), path: path.to_owned() })
    }
}

impl Target {
    /// `host:port`.
    pub fn authority(&self) -> &str {
        &self.authority
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// A run over HTTP.
#[derive(Clone, Debug)]
pub struct HttpPlan {
    /// Where to.
    pub target: Target,
    /// How events are put into a request.
    pub format: Format,
    /// What the devices are like.
    pub model: Arc<Model>,
    /// Size of the fleet.
    pub devices: u32,
    /// Events to send; `u64::MAX` goes on until told to stop.
    pub events: u64,
    /// Connections; each has a batch under way.
    pub connections: u32,
    /// Events of one request; one where the format carries one.
    pub batch: usize,
    /// Closed loop, or a rate.
    pub pace: Pace,
    /// The fleet's seed.
    pub seed: u64,
    /// How long a receipt may take.
    pub request_timeout: Duration,
    /// How long a batch is tried again before it is given up.
    pub give_up_after: Duration,
}

impl HttpPlan {
    /// A closed loop of bulk NDJSON: 16 connections, 1,000 events a request, without an end.
    pub fn new(target: Target, devices: u32) -> Self {
        Self {
            target,
            format: Format::Ndjson,
            model: Model::telemetry(),
            devices,
            events: u64::MAX,
            connections: 16,
            batch: 1_000,
            pace: Pace::Closed,
            seed: 1,
            request_timeout: Duration::from_secs(30),
            give_up_after: Duration::from_secs(60),
        }
    }

    /// Events of one request.
    pub fn batch_events(&self) -> usize {
        if self.format == Format::CloudEvent { 1 } else { self.batch.max(1) }
    }
}
