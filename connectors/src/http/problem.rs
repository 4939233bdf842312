//! Refusals as RFC 9457 problem details.

use http::StatusCode;
use serde::Serialize;

use super::stats::RejectReason;

/// Most bad events that one problem or receipt lists; the rest is counted.
pub const ERRORS_LISTED_MAX: usize = 100;

/// One bad event of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct EventError {
    /// Position in a batch, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub index: Option<u64>,
    /// Line of an NDJSON body, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u64>,
    /// Short name of the reason, as in the metrics.
    pub reason: &'static str,
    /// What is wrong.
    pub detail: String,
}

/// Why a request is refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Answered with this status.
    pub status: StatusCode,
    /// For the metrics.
    pub reason: RejectReason,
    /// What is wrong, in one sentence.
    pub detail: String,
    /// What to do.
    pub help: &'static str,
    /// The bad events.
    pub errors: Vec<EventError>,
    /// Seconds after which to try again.
    pub retry_after_s: Option<u32>,
    /// The rest of the body was not read: the connection ends with the answer.
    pub closes: bool,
}

#[derive(Serialize)]
struct Shape<'p> {
    r#type: String,
    title: &'p str,
    status: u16,
    detail: &'p str,
    help: &'p str,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    errors: &'p [EventError],
}

impl Problem {
    /// A problem with the whole request.
    pub fn new(status: StatusCode, reason: RejectReason, detail: impl Into<String>, help: &'static str) -> Self {
        Self { status, reason, detail: detail.into(), help, errors: Vec::new(), retry_after_s: None, closes: false }
    }

    /// A bad event in a request that is refused whole. `index` is given for batches.
    pub fn bad_event(reason: RejectReason, index: Option<u64>, detail: String) -> Self {
        let status = match reason {
            RejectReason::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            _ => StatusCode::BAD_REQUEST,
        };
        let summary = match index {
            Some(index) => format!("event {index} of the batch: {detail}"),
            None => detail.clone(),
        };
        let help = "mend the event and send the request again; nothing of it was kept";
        let errors = vec![EventError { index, line: None, reason: reason.name(), detail }];
        Self { errors, ..Self::new(status, reason, summary, help) }
    }

    /// The problem as JSON.
    pub fn to_json(&self) -> Vec<u8> {
        let shape = Shape {
            r#type: format!("urn:anabranch:problem:{}", self.reason.name()),
            title: self.status.canonical_reason().unwrap_or("Refused"),
            status: self.status.as_u16(),
            detail: &self.detail,
            help: self.help,
            errors: &self.errors,
        };
        serde_json::to_vec(&shape).expect("strings and numbers are always JSON")
    }
}
