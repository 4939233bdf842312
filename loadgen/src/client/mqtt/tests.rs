//! The client against mosquitto, a broker that is not ours, and against small servers that misbehave on purpose.

mod broker;
mod delivery;
mod fan_out;
mod faults;
mod idle;
mod server;

use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{oneshot, watch};

use super::*;
use crate::fleet::{device_id, read_back};

/// What a subscriber has read, in its order, and a count of the different ones that can be waited for.
#[derive(Clone)]
struct Seen {
    rows: Arc<Mutex<Vec<(u32, u32)>>>,
    events: watch::Sender<u64>,
}

impl Seen {
    fn new() -> Self {
        Self { rows: Arc::default(), events: watch::Sender::new(0) }
    }

    /// Takes what a subscriber shows, which must be a whole event on its device's topic. What the broker itself repeats, and says so,
    /// is not the publisher's.
    fn taker(&self) -> impl FnMut(&Publish<'_>) + use<> {
        let (seen, mut different) = (self.clone(), HashSet::new());
        move |publish| {
            let row = event_of(publish);
            let new = different.insert(row);
            if new || !publish.dup {
                seen.rows.lock().unwrap().push(row);
            }
            if new {
                seen.events.send_modify(|events| *events += 1);
            }
        }
    }

    async fn wait_for(&self, wanted: u64) {
        let mut events = self.events.subscribe();
        let waited = tokio::time::timeout(Duration::from_secs(30), events.wait_for(|&events| events >= wanted)).await;
        assert!(waited.is_ok(), "only {} of {wanted} events were read within 30 s", *self.events.borrow());
    }

    fn verdict(&self, ledger: &Ledger) -> crate::ledger::Verdict {
        let mut verifier = ledger.verifier();
        for (position, &(device, seq)) in self.rows.lock().unwrap().iter().enumerate() {
            verifier.see(device, seq, position as u64);
        }
        verifier.finish()
    }
}

fn event_of(publish: &Publish<'_>) -> (u32, u32) {
    let read = read_back(publish.payload).unwrap();
    assert_eq!(publish.topic, format!("devices/{}/messages/events", device_id(read.device)));
    (read.device, read.seq)
}

fn plan(target: &Target, version: Version, qos: Qos) -> MqttPlan {
    let mut plan = MqttPlan::new(target.clone(), 1_000);
    plan.access.version = version;
    plan.access.request_timeout = Duration::from_secs(10);
    plan.qos = qos;
    plan.events = 10_000;
    plan.connections = 4;
    plan.threads = 2;
    plan
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Runs a plan to its end.
fn run_plan(plan: MqttPlan) -> Result<MqttOutcome, MqttError> {
    let (_stop, stopped) = watch::channel(false);
    block_on(run(plan, Arc::new(Progress::default()), stopped))
}
