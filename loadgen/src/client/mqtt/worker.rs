//! One thread and its share of the connections: a runtime of its own, and what its connections use in turn.
//!
//! Connections are tasks of one thread, so the events, the books and the buffers are one each, lent to whichever connection is at
//! work; what a connection keeps for itself is small.

use std::cell::RefCell;
use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinSet, LocalSet};

use super::MqttError;
use super::dial::Dialer;
use super::plan::MqttPlan;
use super::publish::Publisher;
use crate::client::Progress;
use crate::client::control::{Control, Phase};
use crate::fleet::{self, Fleet};
use crate::histogram::Latencies;
use crate::ledger::Ledger;

/// A write is filled up to about this.
pub(super) const WRITE_BYTES: usize = 64 * 1024;
/// A read takes at most this.
const READ_BYTES: usize = 64 * 1024;

/// What all threads share.
pub(super) struct Run {
    pub plan: MqttPlan,
    pub progress: Arc<Progress>,
    pub control: Control,
    pub dialer: Dialer,
    pub began: Instant,
}

/// What the connections of a thread share.
pub(super) struct Worker {
    pub run: Arc<Run>,
    pub desk: RefCell<Desk>,
}

/// What a connection needs while it is at work.
pub(super) struct Desk {
    pub fleet: Fleet,
    pub book: Book,
    /// Packets under construction.
    pub out: Vec<u8>,
    pub payload: Vec<u8>,
    pub read: Box<[u8]>,
    pub chance: fastrand::Rng,
}

/// What happened.
pub(super) struct Book {
    pub ledger: Ledger,
    pub latencies: Latencies,
    pub connects: Latencies,
    pub reconnects: u64,
    pub refused: u64,
    pub abandoned: u32,
    pub error: Option<MqttError>,
}

impl Worker {
    /// Microseconds of the run at `now`.
    pub(super) fn us(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.run.began).as_micros() as u64
    }

    pub(super) fn instant(&self, us: u64) -> Instant {
        self.run.began + Duration::from_micros(us)
    }

    /// The run cannot go on.
    pub(super) fn fail(&self, error: MqttError) {
        self.desk.borrow_mut().book.error.get_or_insert(error);
        self.run.control.go_on(Phase::Halted);
    }
}

/// Carries these connections until they have ended. Blocks.
pub(super) fn work(run: Arc<Run>, connections: Range<u32>) -> Result<Book, MqttError> {
    let plan = &run.plan;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| MqttError::Fault(error.to_string()))?;
    let devices = |connection| fleet::share(plan.devices, connection, plan.connections);
    let range = match (connections.clone().next(), connections.clone().next_back()) {
        (Some(first), Some(last)) => devices(first).start..devices(last).end,
        _ => 0..0,
    };
    let book = Book {
        ledger: Ledger::new(range.clone()),
        latencies: Latencies::default(),
        connects: Latencies::default(),
        reconnects: 0,
        refused: 0,
        abandoned: 0,
        error: None,
    };
    let desk = Desk {
        fleet: Fleet::of(plan.model.clone(), plan.seed, range.clone()),
        book,
        out: Vec::with_capacity(WRITE_BYTES + 4096),
        payload: Vec::new(),
        read: vec![0; READ_BYTES].into_boxed_slice(),
        chance: fastrand::Rng::with_seed(plan.seed ^ u64::from(connections.start)),
    };
    let worker = Rc::new(Worker { run: run.clone(), desk: RefCell::new(desk) });
    let died = LocalSet::new().block_on(&runtime, async {
        let mut tasks = JoinSet::new();
        for number in connections {
            let devices = devices(number);
            let places = (devices.start - range.start) as usize..(devices.end - range.start) as usize;
            // An argument of a task is kept twice: boxed, it is small.
            let publisher = Box::new(Publisher::new(worker.clone(), number, places));
            tasks.spawn_local(publisher.run(run.control.watch()));
        }
        let mut died = None;
        while let Some(ended) = tasks.join_next().await {
            if let Err(error) = ended {
                run.control.go_on(Phase::Halted);
                died = Some(MqttError::Fault(error.to_string()));
            }
        }
        died
    });
    if let Some(died) = died {
        return Err(died);
    }
    let worker = Rc::into_inner(worker).ok_or_else(|| MqttError::Fault("a connection did not end".to_owned()))?;
    let mut book = worker.desk.into_inner().book;
    match book.error.take() {
        Some(error) => Err(error),
        None => Ok(book),
    }
}
