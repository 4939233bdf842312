//! From the publisher to the subscriber at half of the load that both together can be under.
//!
//! It counts from the moment at which an event should have gone out, which is when it was made unless the driver was late, to the one at
//! which the subscriber has its batch. What always holds: every event arrives, or the turn fails. The beginning does not count.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use loadgen::client::quic::{Crowd, Seen, SubscribePlan, Wanted, subscribe};
use loadgen::clock::now_us;
use loadgen::histogram::{Latencies, Quantiles};
use loadgen::pace::Pace;
use loadgen::report::grouped;
use tokio::sync::{oneshot, watch};

use super::node::{Node, live, publish};
use super::{Cores, nobody, of_events};
use crate::row::Row;
use crate::{Setting, cores};

/// What is still under way when all is sent has this long.
const DRAIN_MAX: Duration = Duration::from_secs(10);
/// Connections that publish. With more of them each has fewer events per partition to put into a frame before they are due.
const GATEWAYS: u32 = 2;
/// The beginning of a turn.
const WARM_UP_US: u64 = 500_000;

pub fn run(setting: &Setting, on: Cores) -> Result<Vec<Row>, Box<dyn Error>> {
    let node = Node::start(setting, on, "written")?;
    let (events, seconds, rounds) = if setting.quick { (20_000, 1.0, 1) } else { (500_000, 5.0, 3) };
    let full = cores::on(on.driver, || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let mut crowd = runtime.block_on(Crowd::open(node.crowd(1, Wanted::default())))?;
        let full = live(&runtime, &node, &mut crowd, node.plan(events), events)?;
        runtime.block_on(crowd.close());
        Ok::<_, Box<dyn Error>>(full.per_s())
    })??;
    let rate = full / 2.0;
    let mut taken = Vec::new();
    for round in 0..=rounds {
        if setting.quick && round == 0 {
            continue;
        }
        let quantiles = cores::on(on.driver, || measure(&node, rate, seconds))??;
        if round > 0 {
            taken.push(quantiles);
        }
    }
    let case = format!("{GATEWAYS} publishers to a subscriber at half load, ack written, {}", of_events());
    let row = |metric, target: &str, figure: fn(&Quantiles) -> u64| {
        let values: Vec<f64> = taken.iter().map(|quantiles| figure(quantiles) as f64).collect();
        let mut row = Row::new("quic", &case, metric, &values, &[], nobody(), setting.quick).unit("µs");
        row.note = format!(
            "{target}{} events/s, half of what node and driver did together with a core each",
            grouped(rate as u64)
        );
        row
    };
    Ok(vec![
        row("end to end, p50", "target: under 1 ms; ", |quantiles| quantiles.p50_us),
        row("end to end, p99", "target: under 5 ms; ", |quantiles| quantiles.p99_us),
        row("end to end, p99.9", "", |quantiles| quantiles.p999_us),
    ])
}

fn measure(node: &Node, rate: f64, seconds: f64) -> Result<Quantiles, Box<dyn Error>> {
    let mut plan = node.plan((rate * seconds) as u64);
    plan.pace = Pace::Constant(rate);
    plan.connections = GATEWAYS;
    let events = plan.events;
    let (stop, stopped) = watch::channel(false);
    let (ready, stands) = oneshot::channel();
    let arrived = Arc::new(AtomicU64::new(0));
    let counted = arrived.clone();
    let subscribing =
        SubscribePlan { access: node.access.clone(), wanted: Wanted::default(), commit: None, held: None };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("subscriber".into()).spawn(move || {
        let (mut latencies, mut first_us, mut now, mut count) = (Latencies::default(), None, None, 0);
        let taken = subscribe(subscribing, stopped, Some(ready), |seen| match seen {
            Seen::Event(event) => {
                // All events of a batch are there at the same time.
                let now = *now.get_or_insert_with(now_us);
                if let Some(ts_us) = sent_us(event.value.unwrap_or_default()) {
                    if ts_us.saturating_sub(*first_us.get_or_insert(ts_us)) > WARM_UP_US {
                        latencies.record_us(now.saturating_sub(ts_us));
                    }
                    count += 1;
                }
            }
            Seen::BatchEnds => {
                now = None;
                counted.store(count, Ordering::Relaxed);
            }
            _ => {}
        });
        let seen = runtime.block_on(taken).map_err(|error| error.to_string())?;
        if seen.reconnects > 0 { Err("the subscriber's connection broke".to_owned()) } else { Ok(latencies) }
    })?;
    if stands.blocking_recv().is_ok() {
        publish(plan)?;
        let began = Instant::now();
        while arrived.load(Ordering::Relaxed) < events && began.elapsed() < DRAIN_MAX {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    stop.send_replace(true);
    let latencies = thread.join().map_err(|_| "the subscriber's thread ended by a fault")??;
    match arrived.load(Ordering::Relaxed) {
        all if all == events => Ok(latencies.quantiles()),
        some => Err(format!("{some} of {events} events arrived").into()),
    }
}

/// When an event was made, by its own `ts`, without reading the rest of it.
fn sent_us(json: &[u8]) -> Option<u64> {
    const KEY: &[u8] = b"\"ts\":";
    let at = json.windows(KEY.len()).position(|window| window == KEY)? + KEY.len();
    let digits = json[at..].iter().take_while(|byte| byte.is_ascii_digit());
    Some(digits.fold(0, |n, digit| n * 10 + u64::from(digit - b'0')))
}
