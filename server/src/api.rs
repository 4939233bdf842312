//! The node's HTTP API beside ingest: reading the log, health and metrics. One router, called by the main listener for every
//! request that brings no events.
//!
//! | path | answer |
//! |---|---|
//! | `GET /hub/partitions` | bounds of all partitions |
//! | `GET /hub/partitions/{p}/events` | events from an offset, filtered if asked, waiting for new ones if asked |
//! | `GET /healthz` | 200 while the process serves requests |
//! | `GET /readyz` | 200, or 503 and what is not ready |
//! | `GET /metrics` | OpenMetrics text |
//!
//! What always holds: only synced events are shown; nothing here writes; a request's work, answer and wait are bounded; reading
//! the disk and filtering happen on blocking threads, never on a core's own; every refusal is a problem of RFC 9457 that
//! says what to do.

mod health;
mod hub;
mod page;
mod problem;
mod replays;

#[cfg(test)]
pub(crate) mod tests;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use axum::Router;
use axum::routing::get;
use connectors::hub::LogReader;
use tokio::sync::Notify;
use tower_service::Service;

pub use problem::Problem;

use crate::node::replays::Replays;

/// What the API shows. Cheap to clone.
#[derive(Clone)]
pub struct ApiState {
    /// The log.
    pub reader: LogReader,
    /// Rung with `notify_waiters` whenever new events are synced, once per commit.
    pub committed: Arc<Notify>,
    /// Renders the metrics of this moment; see [`crate::metrics::render`].
    pub metrics: Arc<dyn Fn() -> String + Send + Sync>,
    /// Replays of the past.
    pub replays: Replays,
    /// Set once everything has started, cleared when the node begins to drain.
    pub ready: Arc<AtomicBool>,
}

impl std::fmt::Debug for ApiState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ApiState").field("ready", &self.ready).finish_non_exhaustive()
    }
}

/// All paths of the API. Whatever is none of them is answered with a problem that lists them.
pub fn router(state: ApiState) -> Router {
    Router::new()
        .route("/hub/partitions", get(hub::partitions))
        .route("/hub/partitions/{partition}/events", get(hub::events))
        .route("/replays", get(replays::list).post(replays::start))
        .route("/replays/{id}", get(replays::get).delete(replays::stop))
        .route("/healthz", get(health::alive))
        .route("/readyz", get(health::ready))
        .route("/metrics", get(health::metrics))
        .fallback(problem::no_such_path)
        .method_not_allowed_fallback(problem::no_such_method)
        .with_state(state)
}

/// Hands one request to the router.
pub async fn call(
    mut router: Router,
    request: http::Request<hyper::body::Incoming>,
) -> http::Response<axum::body::Body> {
    match router.call(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}
