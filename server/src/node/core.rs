//! One core: a pinned thread with a single-threaded runtime that runs the core's connections, its shard and the endpoints that
//! live there.
//!
//! What always holds: everything on this thread is owned by it but the ends of rings; a stop goes listeners first, then shards,
//! then endpoints, so that what was acknowledged has been handed on.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use connectors::intake::Intake;
use engine::ring::Bell;
use engine::shard::Shard;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Duration, Instant};

/// Turns a shard takes before it lets the core's connections run.
const STEPS_PER_POLL_MAX: usize = 16;

/// A task for a core, built on the core itself because it need not be `Send`, with the core's way into the log.
pub type CoreTask = Box<dyn FnOnce(Intake) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// The listener of a core, built on it.
pub type Listener = Box<dyn FnOnce(Intake) -> Pin<Box<dyn Future<Output = ()>>> + Send>;

/// How far a stop has come; each stage waits for all cores to finish the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Serving.
    Run,
    /// Listeners finish what they have begun.
    Listeners,
    /// Shards finish what waits for the disk.
    Shards,
    /// Everything else ends.
    End,
}

/// What a core thread is given.
pub struct CoreSetup {
    /// Its number.
    pub core: usize,
    /// The processor it is pinned to, if pinning is possible.
    pub cpu: Option<usize>,
    /// Makes the core's intake; the intake itself cannot move between threads.
    pub intake: Box<dyn FnOnce() -> Intake + Send>,
    /// The core's shard.
    pub shard: Shard,
    /// Wakes the shard.
    pub shard_bell: Bell,
    /// Told when a shard has synced something.
    pub committed: Arc<Notify>,
    /// Builds the listener task, which ends when the stage passes `Run` and its requests are done.
    pub listener: Listener,
    /// More tasks, while the node runs.
    pub tasks: mpsc::UnboundedReceiver<CoreTask>,
    /// How far a stop has come.
    pub stage: watch::Receiver<Stage>,
    /// Counts the cores that have finished a stage.
    pub finished: mpsc::UnboundedSender<Stage>,
}

/// Runs the core until the stage is `End`.
pub fn run(mut setup: CoreSetup) -> std::io::Result<()> {
    if let Some(cpu) = setup.cpu {
        pin(cpu);
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let local = tokio::task::LocalSet::new();
    runtime.block_on(local.run_until(async move {
        let intake = (setup.intake)();
        let acks = intake.clone();
        tokio::task::spawn_local(async move { acks.run_acks().await });
        let stopping = Arc::new(AtomicBool::new(false));
        let shard =
            tokio::task::spawn_local(drive(setup.shard, setup.shard_bell.clone(), setup.committed, stopping.clone()));
        let mut tasks = setup.tasks;
        let of_tasks = intake.clone();
        tokio::task::spawn_local(async move {
            while let Some(task) = tasks.recv().await {
                tokio::task::spawn_local(task(of_tasks.clone()));
            }
        });
        (setup.listener)(intake.clone()).await;
        intake.stop();
        // The node counts these; if it is gone there is nobody to wait for.
        let _ = setup.finished.send(Stage::Listeners);
        let _ = setup.stage.wait_for(|stage| *stage >= Stage::Shards).await;
        stopping.store(true, Ordering::Release);
        setup.shard_bell.ring();
        if let Err(error) = shard.await {
            tracing::error!(core = setup.core, %error, "the shard ended unexpectedly");
        }
        let _ = setup.finished.send(Stage::Shards);
        let _ = setup.stage.wait_for(|stage| *stage >= Stage::End).await;
    }));
    Ok(())
}

/// Gives the shard its turns, and ends when it is told to stop and has nothing left.
async fn drive(mut shard: Shard, bell: Bell, committed: Arc<Notify>, stopping: Arc<AtomicBool>) {
    let began = Instant::now();
    let mut timer = std::pin::pin!(tokio::time::sleep_until(began));
    std::future::poll_fn(move |cx| {
        bell.register(cx.waker());
        let mut worked = false;
        for step in 0.. {
            if !shard.step(began.elapsed().as_micros() as u64) {
                break;
            }
            worked = true;
            if step == STEPS_PER_POLL_MAX {
                cx.waker().wake_by_ref();
                break;
            }
        }
        if worked {
            committed.notify_waiters();
        }
        if let Some(due_us) = shard.next_due_us() {
            timer.as_mut().reset(began + Duration::from_micros(due_us));
            if timer.as_mut().poll(cx).is_ready() {
                cx.waker().wake_by_ref();
            }
        }
        if stopping.load(Ordering::Acquire) && shard.is_idle() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await
}

/// The processors this process may use, in order.
pub fn cpus() -> Vec<usize> {
    match rustix::thread::sched_getaffinity(None) {
        Ok(set) => (0..rustix::thread::CpuSet::MAX_CPU).filter(|cpu| set.is_set(*cpu)).collect(),
        Err(_) => (0..std::thread::available_parallelism().map_or(1, usize::from)).collect(),
    }
}

fn pin(cpu: usize) {
    let mut set = rustix::thread::CpuSet::new();
    set.set(cpu);
    if let Err(error) = rustix::thread::sched_setaffinity(None, &set) {
        tracing::warn!(cpu, %error, "cannot pin a thread to its processor; going on unpinned");
    }
}
