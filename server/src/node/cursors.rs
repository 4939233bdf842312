//! Keeps the endpoints' cursors on disk: a thread that stores those that moved, all endpoints in one commit.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use super::Shared;
use super::endpoint::Endpoint;
use crate::state::{State, StateError};

/// How much may be delivered again after a crash.
pub const COMMIT_INTERVAL: Duration = Duration::from_millis(500);

/// What was stored last, by endpoint; shared so that a reload and the thread never store an older position over a newer one.
type Stored = Arc<Mutex<HashMap<String, Vec<u64>>>>;

/// See the module.
pub struct CursorKeeper {
    stop: std::sync::mpsc::Sender<()>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    stored: Stored,
}

impl CursorKeeper {
    /// Starts the thread.
    pub fn start(shared: Arc<Shared>) -> std::io::Result<Self> {
        let stored = Stored::default();
        let (stop, stopped) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name("cursors".to_owned()).spawn({
            let (shared, stored) = (shared.clone(), stored.clone());
            move || {
                while stopped.recv_timeout(COMMIT_INTERVAL) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
                    if let Err(error) = commit(&shared.state, &shared.endpoints(), &stored) {
                        tracing::error!(%error, "cannot store cursors; after a crash more events would be delivered again");
                    }
                }
            }
        })?;
        Ok(Self { stop, thread: Some(thread), shared, stored })
    }

    /// Stores these endpoints' cursors now.
    pub fn commit_now(&self, endpoints: &[Arc<Endpoint>]) -> Result<(), StateError> {
        commit(&self.shared.state, endpoints, &self.stored)
    }

    /// Stores all cursors once more and ends the thread.
    pub fn stop(&mut self) -> Result<(), StateError> {
        // The thread may have panicked: then it is gone, which is what is wanted.
        let _ = self.stop.send(());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
        self.commit_now(&self.shared.endpoints())
    }
}

fn commit(state: &State, endpoints: &[Arc<Endpoint>], stored: &Stored) -> Result<(), StateError> {
    let mut stored = stored.lock().unwrap_or_else(PoisonError::into_inner);
    let moved: Vec<(String, Vec<u64>)> = endpoints
        .iter()
        .map(|endpoint| (endpoint.name.clone(), endpoint.cursors()))
        .filter(|(name, cursors)| stored.get(name) != Some(cursors))
        .collect();
    if moved.is_empty() {
        return Ok(());
    }
    state.commit(&moved)?;
    stored.extend(moved);
    Ok(())
}
