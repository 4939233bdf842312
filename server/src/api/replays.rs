//! Replays over HTTP: `POST /replays` begins one, `GET /replays/ID` tells how far it is, `DELETE /replays/ID` stops it.

use std::sync::atomic::Ordering;
use std::time::SystemTime;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Path, State};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ApiState, Problem};
use crate::node::replays::{Replay, ReplayError, ReplayRequest, ReplayState};
use crate::time_span;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    route: String,
    from: String,
    #[serde(default)]
    to: Option<String>,
    #[serde(default)]
    dry_run: bool,
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_millis() as i64)
}

pub(super) async fn start(State(state): State<ApiState>, body: Bytes) -> Result<(StatusCode, Json<Value>), Problem> {
    let bad = |detail: String| Problem::new(StatusCode::BAD_REQUEST, "not a replay", detail);
    let asked: Asked = serde_json::from_slice(&body).map_err(|error| {
        bad(format!("{error}; send for example {{\"route\":\"hot\",\"from\":\"2h\",\"to\":\"now\",\"dry_run\":true}}"))
    })?;
    let now_ms = now_ms();
    let request = ReplayRequest {
        route: asked.route,
        from_ms: time_span::parse(&asked.from, now_ms).map_err(bad)?,
        to_ms: time_span::parse(asked.to.as_deref().unwrap_or("now"), now_ms).map_err(bad)?,
        dry_run: asked.dry_run,
    };
    let replay = state.replays.start(request, now_ms).map_err(|error| {
        let (status, title) = match &error {
            ReplayError::UnknownRoute { .. } => (StatusCode::NOT_FOUND, "no such route"),
            ReplayError::Endpoint(_) => (StatusCode::CONFLICT, "the endpoint cannot be replayed to"),
            ReplayError::Empty => (StatusCode::BAD_REQUEST, "not a replay"),
            ReplayError::TooMany => (StatusCode::TOO_MANY_REQUESTS, "too many replays"),
            ReplayError::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "the node is stopping"),
        };
        Problem::new(status, title, error.to_string())
    })?;
    Ok((StatusCode::ACCEPTED, Json(show(&replay))))
}

pub(super) async fn list(State(state): State<ApiState>) -> Json<Value> {
    Json(json!({ "replays": state.replays.all().iter().map(|replay| show(replay)).collect::<Vec<_>>() }))
}

pub(super) async fn get(State(state): State<ApiState>, Path(id): Path<u64>) -> Result<Json<Value>, Problem> {
    state.replays.get(id).map(|replay| Json(show(&replay))).ok_or_else(|| unknown(id))
}

pub(super) async fn stop(State(state): State<ApiState>, Path(id): Path<u64>) -> Result<Json<Value>, Problem> {
    let replay = state.replays.get(id).ok_or_else(|| unknown(id))?;
    replay.stop();
    Ok(Json(show(&replay)))
}

fn unknown(id: u64) -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "no such replay", format!("there is no replay {id}; GET /replays lists them"))
}

fn show(replay: &Replay) -> Value {
    let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
    let (state, error) = match replay.state() {
        ReplayState::Running => ("running", None),
        ReplayState::Done => ("done", None),
        ReplayState::Stopped => ("stopped", None),
        ReplayState::Failed(reason) => ("failed", Some(reason)),
    };
    json!({
        "id": replay.id,
        "route": replay.request.route,
        "endpoint": replay.endpoint,
        "from": time_span::show(replay.request.from_ms),
        "to": time_span::show(replay.request.to_ms),
        "dry_run": replay.request.dry_run,
        "state": state,
        "total_events": count(&replay.total_events),
        "scanned_events": count(&replay.scanned_events),
        "matched_events": count(&replay.matched_events),
        "delivered_events": count(&replay.stats.delivered_events),
        "dead_lettered_events": count(&replay.stats.dead_lettered_events),
        "retries": count(&replay.stats.retries),
        "lost_events": count(&replay.lost_events),
        "error": error,
    })
}
