//! Which connector does what for the node: endpoints by their kind, and the HTTP listener with the API behind it.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use connectors::http::{Fallback, HttpConfig, HttpStats};
use connectors::intake::Intake;
use connectors::sink::{Feed, SinkStats};
use http_body_util::BodyExt;
use tokio::sync::watch;

use super::core::Stage;
use crate::config::EndpointKind;

/// Bytes of deliveries between an endpoint's feeder and its sink.
pub fn feed_bytes_max(kind: &EndpointKind) -> usize {
    match kind {
        // Where they take nothing for a while, because their thread waits for a core or for more, the lane of a busy shard overflows.
        EndpointKind::Parquet(_) | EndpointKind::Ndjson(_) => 4 * 1024 * 1024,
        // They run on the core that feeds them, and there may be thousands.
        EndpointKind::Hub | EndpointKind::Webhook(_) | EndpointKind::Mqtt(_) => 256 * 1024,
    }
}

/// Runs an endpoint's sink until its feed ends. Sinks that encode or write files have a thread of their own; those that publish
/// do so through the intake of the core that runs them.
pub async fn run(
    name: &str,
    kind: &EndpointKind,
    data_dir: &Path,
    feed: Feed,
    intake: Intake,
    stats: Arc<SinkStats>,
) -> Result<(), String> {
    match kind {
        // The log itself: nothing to deliver.
        EndpointKind::Hub => Ok(()),
        EndpointKind::Webhook(config) => {
            let webhook =
                connectors::webhook::Webhook::open(name, config.clone(), data_dir).map_err(|e| e.to_string())?;
            connectors::webhook::run(webhook, feed, stats).await;
            Ok(())
        }
        EndpointKind::Mqtt(config) => {
            connectors::mqtt::sink::run(name, config.clone(), feed, intake, stats).await.map_err(|e| e.to_string())
        }
        EndpointKind::Parquet(config) => {
            let (name, config) = (name.to_owned(), config.clone().with_dead_letters(name, data_dir));
            on_thread(move || connectors::parquet::run_blocking(&name, config, feed, stats).map_err(|e| e.to_string()))
                .await
        }
        EndpointKind::Ndjson(config) => {
            let config = config.clone();
            on_thread(move || connectors::file::run_blocking(config, feed, stats).map_err(|e| e.to_string())).await
        }
    }
}

async fn on_thread(work: impl FnOnce() -> Result<(), String> + Send + 'static) -> Result<(), String> {
    let (done, outcome) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("sink".to_owned()).spawn(move || {
        // Nobody listens any more if the node has stopped waiting.
        let _ = done.send(work());
    });
    thread.map_err(|error| format!("cannot start a thread: {error}"))?;
    outcome.await.unwrap_or_else(|_| Err("its thread panicked".to_owned()))
}

/// Files that are complete say how far an endpoint has come, whatever its cursor says: that makes a replay exact.
/// An object store is not asked here: its endpoint itself passes over what is there.
pub fn go_on_behind_files(kind: &EndpointKind, start: &mut [u64]) -> Result<(), connectors::parquet::StoreError> {
    if let EndpointKind::Parquet(config) = kind
        && let Some(dir) = config.local_dir()
    {
        for (partition, next) in connectors::parquet::resume_offsets(&dir)? {
            if let Some(offset) = start.get_mut(partition as usize) {
                *offset = next.max(*offset);
            }
        }
    }
    Ok(())
}

/// What a core needs to serve HTTP.
pub struct HttpServing {
    /// The core's own socket.
    pub listener: std::net::TcpListener,
    /// Settings.
    pub config: HttpConfig,
    /// Answers what brings no events.
    pub router: axum::Router,
    /// The core's counters.
    pub stats: Arc<HttpStats>,
    /// Open connections of all cores.
    pub connections: Arc<AtomicUsize>,
    /// Ends the listener when it passes `Run`.
    pub stage: watch::Receiver<Stage>,
}

impl HttpServing {
    /// Serves until the stage passes `Run` or the node is gone.
    pub async fn run(self, intake: Intake) {
        let Self { listener, config, router, stats, connections, mut stage } = self;
        let fallback: Fallback = Rc::new(move |request| {
            let router = router.clone();
            Box::pin(async move {
                crate::api::call(router, request).await.map(|body| body.map_err(Into::into).boxed_unsync())
            })
        });
        let shutdown = async move {
            // An error means that the node is gone.
            let _ = stage.wait_for(|stage| *stage > Stage::Run).await;
        };
        if let Err(error) =
            connectors::http::serve(listener, config, intake, fallback, stats, connections, shutdown).await
        {
            tracing::error!(%error, "the HTTP listener of a core cannot be used");
        }
    }
}
