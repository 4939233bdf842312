//! CloudEvents bodies to rows, all or nothing. No socket, no clock.

use engine::batch::HeaderWriter;
use engine::limits;
use http::HeaderMap;

use super::problem::Problem;
use super::stats::RejectReason;
use crate::cloudevents::{BinaryError, DecodeError, Decoder, decode_binary};
use crate::intake::Submission;

/// Which mode a content type means (HTTP binding 3: by its prefix, without case).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `application/cloudevents-batch…`
    Batch,
    /// `application/cloudevents…`
    Structured,
    /// `application/x-ndjson` and its other names.
    Ndjson,
    /// Anything else, with the attributes in `ce-` header fields.
    Binary,
}

impl Mode {
    /// The mode of a request, or the problem with its content type.
    pub fn of(content_type: Option<&str>, headers: &HeaderMap) -> Result<Self, Problem> {
        let essence = content_type.unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
        let (kind, format) = essence.split_once('+').unwrap_or((&essence, "json"));
        let is_events = kind == "application/cloudevents" || kind == "application/cloudevents-batch";
        if is_events && format != "json" {
            return Err(unsupported(format!("the event format '{format}' is not understood")));
        }
        match kind {
            "application/cloudevents-batch" => Ok(Self::Batch),
            "application/cloudevents" => Ok(Self::Structured),
            "application/x-ndjson" | "application/ndjson" | "application/jsonl" => Ok(Self::Ndjson),
            _ if headers.keys().any(|name| name.as_str().starts_with("ce-")) => Ok(Self::Binary),
            "" => Err(unsupported("the request has no Content-Type".to_owned())),
            other => Err(unsupported(format!("'{other}' without ce- header fields is no event"))),
        }
    }
}

fn unsupported(detail: String) -> Problem {
    let help = "use application/cloudevents+json, application/cloudevents-batch+json, application/x-ndjson for lines of JSON, \
                or ce-id, ce-source, ce-type and ce-specversion header fields";
    Problem::new(http::StatusCode::UNSUPPORTED_MEDIA_TYPE, RejectReason::Unsupported, detail, help)
}

/// Decodes one structured event.
pub fn structured(body: &[u8], bytes_max: usize, now_ms: i64, into: &mut Submission) -> Result<(), Problem> {
    push_structured(&mut Decoder::default(), &mut HeaderWriter::default(), body, None, bytes_max, now_ms, into)
}

/// Decodes a batch; an empty one is no mistake.
pub fn batch(body: &[u8], bytes_max: usize, now_ms: i64, into: &mut Submission) -> Result<(), Problem> {
    let (mut decoder, mut headers) = (Decoder::default(), HeaderWriter::default());
    let (mut index, mut problem) = (0, None);
    let split = Decoder::split_batch(body, &mut |event| {
        if problem.is_none() {
            let pushed = push_structured(&mut decoder, &mut headers, event, Some(index), bytes_max, now_ms, into);
            problem = pushed.err();
        }
        index += 1;
    });
    match (problem, split) {
        (Some(problem), _) => Err(problem),
        (None, Err(error)) => Err(Problem::bad_event(RejectReason::MalformedJson, None, error.to_string())),
        (None, Ok(())) => Ok(()),
    }
}

fn push_structured(
    decoder: &mut Decoder,
    headers: &mut HeaderWriter,
    json: &[u8],
    index: Option<u64>,
    bytes_max: usize,
    now_ms: i64,
    into: &mut Submission,
) -> Result<(), Problem> {
    let decoded = decoder.decode(json, headers).map_err(|error| {
        let reason = match &error {
            DecodeError::Json(_) => RejectReason::MalformedJson,
            _ => RejectReason::InvalidEvent,
        };
        Problem::bad_event(reason, index, error.to_string())
    })?;
    push(decoded.key, decoded.data, headers, index, bytes_max, now_ms, into)
}

/// Decodes an event whose attributes are in the request's header fields.
pub fn binary(
    fields: &HeaderMap,
    body: &[u8],
    bytes_max: usize,
    now_ms: i64,
    into: &mut Submission,
) -> Result<(), Problem> {
    let (mut headers, mut key) = (HeaderWriter::default(), Vec::new());
    let content_type = fields.get(http::header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let pairs = fields.iter().map(|(name, value)| (name.as_str(), value.as_bytes()));
    decode_binary(pairs, content_type, &mut headers, &mut key)
        .map_err(|error: BinaryError| Problem::bad_event(RejectReason::InvalidEvent, None, error.to_string()))?;
    push(&key, body, &headers, None, bytes_max, now_ms, into)
}

/// Adds an event that is held against the limits of the listener.
pub fn push(
    key: &[u8],
    data: &[u8],
    headers: &HeaderWriter,
    index: Option<u64>,
    bytes_max: usize,
    now_ms: i64,
    into: &mut Submission,
) -> Result<(), Problem> {
    let bytes = data.len() + headers.byte_len();
    if bytes > bytes_max {
        let detail = format!("it has {bytes} bytes, more than event_bytes_max, {bytes_max}");
        return Err(Problem::bad_event(RejectReason::TooLarge, index, detail));
    }
    if key.len() > limits::KEY_BYTES_MAX {
        let detail = format!("its partition key has {} bytes, more than {}", key.len(), limits::KEY_BYTES_MAX);
        return Err(Problem::bad_event(RejectReason::InvalidEvent, index, detail));
    }
    into.push(Some(key), data, headers, now_ms)
        .map_err(|error| Problem::bad_event(RejectReason::InvalidEvent, index, error.to_string()))
}
