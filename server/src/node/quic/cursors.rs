//! Positions that subscribers have committed: stored by a thread, all that wait in one transaction, each answered when it is on disk.
//!
//! What always holds: commits are stored in the order in which they were begun; an answer comes after its transaction.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};
use std::thread::JoinHandle;

use tokio::sync::oneshot;

use crate::state::State;

/// What a partition has that nobody committed.
pub const NOT_COMMITTED: u64 = u64::MAX;
/// Most commits of one transaction.
const TOGETHER_MAX: usize = 1024;

struct Request {
    name: String,
    positions: Vec<(u32, u64)>,
    answer: oneshot::Sender<Result<(), String>>,
}

/// See the module. Its thread ends with the last handle.
pub struct Subscribers {
    requests: Option<Sender<Request>>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
    partitions: u32,
}

impl Subscribers {
    /// Starts the thread.
    pub fn start(state: Arc<State>, partitions: u32) -> std::io::Result<Self> {
        let (requests, from_cores) = std::sync::mpsc::channel();
        let of_thread = state.clone();
        let thread = std::thread::Builder::new()
            .name("subscribers".to_owned())
            .spawn(move || keep(&of_thread, partitions, &from_cores))?;
        Ok(Self { requests: Some(requests), thread: Some(thread), state, partitions })
    }

    /// Begins to store positions; resolves when they are on disk.
    pub fn commit(
        &self,
        principal: &str,
        subscriber: &str,
        positions: Vec<(u32, u64)>,
    ) -> oneshot::Receiver<Result<(), String>> {
        let (answer, answered) = oneshot::channel();
        let request = Request { name: name_of(principal, subscriber), positions, answer };
        // Without the thread the answer is dropped, which is an error for who waits.
        if let Some(requests) = &self.requests {
            let _ = requests.send(request);
        }
        answered
    }

    /// What a subscriber has committed, per partition; [`NOT_COMMITTED`] where it has not. Blocks.
    pub fn positions(&self, principal: &str, subscriber: &str) -> Result<Option<Vec<u64>>, String> {
        let name = name_of(principal, subscriber);
        self.state.cursors(&name, self.partitions).map_err(|error| error.to_string())
    }
}

impl Drop for Subscribers {
    fn drop(&mut self) {
        self.requests = None;
        if let Some(thread) = self.thread.take() {
            // It may have panicked: then it is gone, which is what is wanted.
            let _ = thread.join();
        }
    }
}

/// No endpoint can have such a name. A principal's length stands before it, so that no two of them meet.
fn name_of(principal: &str, subscriber: &str) -> String {
    format!("$subscriber/{}/{principal}/{subscriber}", principal.len())
}

fn keep(state: &State, partitions: u32, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let mut together = vec![first];
        together.extend(requests.try_iter().take(TOGETHER_MAX - 1));
        let stored = store(state, partitions, &together);
        if let Err(error) = &stored {
            tracing::error!(error, "the positions of subscribers cannot be stored");
        }
        for request in together {
            // Who asked may be gone.
            let _ = request.answer.send(stored.clone());
        }
    }
}

fn store(state: &State, partitions: u32, requests: &[Request]) -> Result<(), String> {
    let mut changed: Vec<(String, Vec<u64>)> = Vec::new();
    for request in requests {
        let at = match changed.iter().position(|(name, _)| *name == request.name) {
            Some(at) => at,
            None => {
                let before = state.cursors(&request.name, partitions).map_err(|error| error.to_string())?;
                let before = before.unwrap_or_else(|| vec![NOT_COMMITTED; partitions as usize]);
                changed.push((request.name.clone(), before));
                changed.len() - 1
            }
        };
        for (partition, offset) in &request.positions {
            if let Some(position) = changed[at].1.get_mut(*partition as usize) {
                *position = *offset;
            }
        }
    }
    state.commit(&changed).map_err(|error| error.to_string())
}
