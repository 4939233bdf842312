//! The far end of a webhook: a real HTTP server that takes CloudEvents and is healthy, failing, hanging or slow as told.
//!
//! It runs on a thread of its own with a port that the system chooses, counts what it was given, and remembers (device, sequence
//! number) in the order of arrival, so that a [`crate::ledger`] can judge it. An event counts only when its request is answered with 200;
//! its latency is the time from the event's `ts` to its arrival.

mod arrivals;
mod keeper;
mod serve;

#[cfg(test)]
mod tests;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::histogram::Quantiles;
use arrivals::Arrivals;

pub use arrivals::Taker;
pub use keeper::{Fault, FaultError, Keeper};

/// How the receiver behaves. A change holds from the next request on, and ends hanging ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Answers 200 at once.
    Healthy,
    /// Answers with this status, and asks for a pause of so many seconds if given.
    Fail {
        /// The status, 4xx or 5xx.
        status: u16,
        /// Value of `Retry-After`.
        retry_after_s: Option<u32>,
    },
    /// Takes requests and never answers.
    Hang,
    /// Answers 200 after a pause.
    Slow(Duration),
}

/// What arrived so far.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Received {
    /// Requests, however they ended.
    pub requests: u64,
    /// Requests that were not answered with 200.
    pub refused_requests: u64,
    /// Events of requests that were answered with 200.
    pub events: u64,
    /// Events among them that are none of a fleet's: no `device_id` and `seq` in their data.
    pub strangers: u64,
    /// Events among them whose bytes are not those that were sent.
    pub corrupted: u64,
    /// From the event's `ts` to its arrival.
    pub latency: Quantiles,
}

/// A receiver that runs until it is dropped.
pub struct Receiver {
    address: SocketAddr,
    mode: Arc<watch::Sender<Mode>>,
    arrivals: Arc<Mutex<Arrivals>>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Receiver {
    /// Listens on a free port of 127.0.0.1.
    pub fn start(mode: Mode) -> io::Result<Self> {
        Self::listen(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)), mode)
    }

    /// Listens on `address`.
    pub fn listen(address: SocketAddr, mode: Mode) -> io::Result<Self> {
        Self::open(address, mode, None)
    }

    /// Listens on `address` and shows every payload to `taker`; the order of arrival is then not kept.
    pub fn listen_for(address: SocketAddr, mode: Mode, taker: Taker) -> io::Result<Self> {
        Self::open(address, mode, Some(taker))
    }

    fn open(address: SocketAddr, mode: Mode, taker: Option<Taker>) -> io::Result<Self> {
        let listener = TcpListener::bind(address)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let mode = Arc::new(watch::Sender::new(mode));
        let arrivals = Arc::new(Mutex::new(Arrivals::new(taker)));
        let (stop, stopped) = watch::channel(false);
        let (told, tell) = (mode.clone(), arrivals.clone());
        let (ready, started) = mpsc::channel();
        // Its runtime lives and dies on its own thread: whoever starts a receiver may be inside another one.
        let thread = std::thread::Builder::new().name("receiver".into()).spawn(move || {
            let built = tokio::runtime::Builder::new_current_thread().enable_all().build().and_then(|runtime| {
                let listener = runtime.block_on(async { tokio::net::TcpListener::from_std(listener) })?;
                Ok((runtime, listener))
            });
            match built {
                Ok((runtime, listener)) => {
                    if ready.send(Ok(())).is_ok() {
                        runtime.block_on(serve::serve(listener, told, tell, stopped));
                    }
                }
                // Its starter waits for this, unless it has been killed.
                Err(error) => drop(ready.send(Err(error))),
            }
        })?;
        started.recv().map_err(|_| io::Error::other("the receiver's thread ended before it listened"))??;
        Ok(Self { address, mode, arrivals, stop, thread: Some(thread) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What to configure as a webhook's address.
    pub fn url(&self) -> String {
        format!("http://{}/events", self.address)
    }

    /// Behaves otherwise from now on.
    pub fn set_mode(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }

    /// What arrived so far.
    pub fn received(&self) -> Received {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).view()
    }

    /// Forgets latencies, so that the next [`received`](Self::received) tells those of a period.
    pub fn clear_latencies(&self) {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).clear_latencies();
    }

    /// (device, sequence number) of every event of a fleet, in the order of arrival.
    pub fn order_of_arrival(&self) -> Vec<(u32, u32)> {
        self.arrivals.lock().unwrap_or_else(PoisonError::into_inner).order().to_vec()
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic in it has been printed by its own thread.
            let _ = thread.join();
        }
    }
}
