//! Clients that carry a fleet's events over real sockets: one folder per protocol.
//!
//! What every client keeps: a device belongs to one connection, which has at most one batch under way, so a device's events arrive
//! in its order; an event counts as acknowledged only after the far end's receipt; whatever ends without one is sent again.

mod control;
pub mod http;
pub mod mqtt;
mod progress;
pub mod quic;
mod tls;

pub use progress::{Progress, ProgressView};

use crate::fleet::Emitted;

/// Called with every batch that was acknowledged: who counts for himself what should have matched.
pub type Observer = std::sync::Arc<dyn Fn(&[Emitted]) + Send + Sync>;

/// Until the flag is true; never again when its sender is gone.
async fn told(flag: &mut tokio::sync::watch::Receiver<bool>) {
    if flag.wait_for(|&told| told).await.is_err() {
        std::future::pending::<()>().await;
    }
}
