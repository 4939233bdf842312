//! Alive, ready, and the metrics.

use std::sync::atomic::Ordering;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE};
use http::{HeaderValue, StatusCode};

use super::{ApiState, Problem};

const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// The process serves requests; says nothing about the rest. For a supervisor that restarts what does not answer.
pub(super) async fn alive() -> Response {
    ([(CACHE_CONTROL, NO_STORE)], "alive\n").into_response()
}

/// Everything has started and nothing is being stopped. For a load balancer.
pub(super) async fn ready(State(state): State<ApiState>) -> Response {
    let answer = if state.ready.load(Ordering::Acquire) {
        "ready\n".into_response()
    } else {
        let detail = "the node is starting, or draining before it ends; ask again, or use another node";
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, "not ready", detail).into_response()
    };
    ([(CACHE_CONTROL, NO_STORE)], answer).into_response()
}

pub(super) async fn metrics(State(state): State<ApiState>) -> Response {
    ([(CONTENT_TYPE, OPEN_METRICS), (CACHE_CONTROL, NO_STORE)], (state.metrics)()).into_response()
}
