//! Connections that stand and say nothing: what each costs a broker, and how fast it takes them.
//!
//! What always holds: at most so many connections are being opened at once, so that a broker's queue of connections that it has not
//! accepted does not overflow; all that stand are kept until the whole is dropped. They never ping, and ask for the longest keep
//! alive there is: some brokers refuse those that ask for none.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::codec::Connect;
use super::dial::{DialError, Dialer, Stream};
use super::plan::{Access, Target};
use super::{MqttError, limits};
use crate::histogram::Latencies;

/// Pause before a connection is tried again.
const PAUSE: Duration = Duration::from_millis(100);

/// How many connections, and where to.
#[derive(Clone, Debug)]
pub struct IdlePlan {
    /// Where to and how to get in; its keep alive does not count.
    pub access: Access,
    /// Connections.
    pub connections: u32,
    /// Most of them that are being opened at once.
    pub under_way_max: u32,
    /// Client ids are this, a hyphen and the connection's number.
    pub client_prefix: String,
}

impl IdlePlan {
    /// So many, of which 64 are being opened at once.
    pub fn new(target: Target, connections: u32) -> Self {
        Self { access: Access::new(target), connections, under_way_max: 64, client_prefix: "idle".to_owned() }
    }
}

/// Connections that stand.
pub struct Idle {
    streams: Vec<Stream>,
    /// From the first byte of opening a connection to CONNACK.
    pub connects: Latencies,
    /// From the start until all connections stood.
    pub connecting: Duration,
    /// Attempts that failed.
    pub retries: u64,
}

impl Idle {
    /// How many there are.
    pub fn connections(&self) -> usize {
        self.streams.len()
    }
}

/// What one of those that open connections did.
#[derive(Default)]
struct Opened {
    streams: Vec<Stream>,
    connects: Latencies,
    retries: u64,
}

/// Opens the plan's connections, and gives them once they all stand.
pub async fn idle(mut plan: IdlePlan) -> Result<Idle, MqttError> {
    plan.access.keep_alive_s = u16::MAX;
    let connections = plan.connections;
    limits::make_room(u64::from(connections)).map_err(|(needed, files_max)| MqttError::Files {
        connections,
        needed,
        files_max,
    })?;
    let dialer = Arc::new(Dialer::new(plan.access.clone(), Vec::new(), connections).await?);
    let (plan, next) = (Arc::new(plan), Arc::new(AtomicU32::new(0)));
    let began = Instant::now();
    let mut openers = JoinSet::new();
    for _ in 0..plan.under_way_max.clamp(1, connections.max(1)) {
        openers.spawn(open(plan.clone(), dialer.clone(), next.clone()));
    }
    let mut idle = Idle {
        streams: Vec::with_capacity(connections as usize),
        connects: Latencies::default(),
        connecting: Duration::ZERO,
        retries: 0,
    };
    while let Some(opened) = openers.join_next().await {
        let opened = opened.map_err(|error| MqttError::Fault(error.to_string()))??;
        idle.streams.extend(opened.streams);
        idle.connects.merge(&opened.connects);
        idle.retries += opened.retries;
    }
    idle.connecting = began.elapsed();
    Ok(idle)
}

/// One after the other, as long as there are numbers.
async fn open(plan: Arc<IdlePlan>, dialer: Arc<Dialer>, next: Arc<AtomicU32>) -> Result<Opened, MqttError> {
    let mut opened = Opened::default();
    let access = dialer.access();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.connections {
            return Ok(opened);
        }
        let client_id = format!("{}-{number}", plan.client_prefix);
        let connect = Connect {
            client_id: &client_id,
            keep_alive_s: access.keep_alive_s,
            clean_start: true,
            username: access.username.as_deref(),
            password: access.password.as_deref().map(str::as_bytes),
            session_expiry_s: 0,
            receive_maximum: 100,
        };
        let (mut trying_since, mut attempt) = (None, 0u32);
        loop {
            let began = Instant::now();
            match dialer.dial(number, attempt, &connect).await {
                Ok(dialed) => {
                    opened.connects.record(began.elapsed());
                    opened.streams.push(dialed.stream);
                    break;
                }
                Err(DialError::Fatal(error)) => return Err(error),
                Err(DialError::Again(why)) => {
                    let after = trying_since.get_or_insert(began).elapsed();
                    if after >= access.give_up_after {
                        return Err(MqttError::Unreachable { target: access.target.to_string(), after, why });
                    }
                }
            }
            opened.retries += 1;
            attempt = attempt.wrapping_add(1);
            tokio::time::sleep(PAUSE).await;
        }
    }
}
