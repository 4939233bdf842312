//! Bodies that are needed whole, read with a bound on bytes and time.

use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::time::Instant;

use super::problem::Problem;
use super::stats::RejectReason;

/// A body of at most `bytes_max` bytes that is there before `deadline`.
pub async fn collect(mut body: Incoming, bytes_max: usize, deadline: Instant) -> Result<Bytes, Problem> {
    check_length(&body, bytes_max)?;
    let mut whole = Vec::new();
    loop {
        match next(&mut body, deadline).await? {
            // A body of one frame, the usual case, is handed on as it lies.
            Some(frame) if whole.is_empty() && body.is_end_stream() => return Ok(frame),
            Some(frame) => {
                if whole.len() + frame.len() > bytes_max {
                    return Err(too_large(bytes_max));
                }
                whole.extend_from_slice(&frame);
            }
            None => return Ok(whole.into()),
        }
    }
}

/// A body that says it is too long is refused before it is read.
pub fn check_length(body: &Incoming, bytes_max: usize) -> Result<(), Problem> {
    if body.size_hint().lower() > bytes_max as u64 { Err(too_large(bytes_max)) } else { Ok(()) }
}

/// The next piece of data; `None` at the end.
pub async fn next(body: &mut Incoming, deadline: Instant) -> Result<Option<Bytes>, Problem> {
    loop {
        let frame = match tokio::time::timeout_at(deadline, body.frame()).await {
            Err(_) => {
                let detail = "the body did not come in time";
                let help = "send it faster or in smaller requests, or raise request_timeout_ms";
                let problem = Problem::new(StatusCode::REQUEST_TIMEOUT, RejectReason::Incomplete, detail, help);
                return Err(Problem { closes: true, ..problem });
            }
            Ok(None) => return Ok(None),
            Ok(Some(Err(error))) => {
                let detail = format!("the body broke off: {error}");
                let help = "send the request again";
                let problem = Problem::new(StatusCode::BAD_REQUEST, RejectReason::Incomplete, detail, help);
                return Err(Problem { closes: true, ..problem });
            }
            Ok(Some(Ok(frame))) => frame,
        };
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }
}

/// The body is above its limit.
pub fn too_large(bytes_max: usize) -> Problem {
    let detail = format!("the body is larger than body_bytes_max, {bytes_max} bytes");
    let help = "send fewer events per request, or raise body_bytes_max";
    Problem { closes: true, ..Problem::new(StatusCode::PAYLOAD_TOO_LARGE, RejectReason::TooLarge, detail, help) }
}

/// When a request that begins now has to be read.
pub fn deadline(timeout_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(timeout_ms)
}
