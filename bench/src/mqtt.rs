//! Suite `mqtt`: our node as a broker beside mosquitto and rumqttd, by the processor time of the broker's process.
//!
//! What always holds: brokers have one core and the driver another; all that take part in a case are driven by the same client with the
//! same bytes, in turns; peers keep nothing on a disk, ours has every message in its log and waits for the disk where a case says
//! `synced`. MQTT 5 without TLS, over loopback.

mod brokers;
mod fan_out;
mod hub;
mod idle;
mod latency;
mod publish;
mod turns;

#[cfg(test)]
mod tests;

use std::error::Error;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::row::Row;
use crate::{Setting, cores};

use brokers::Kind;

/// Files that a process needs beside its connections.
const FILES_BESIDE: u32 = 500;

/// Who runs where.
#[derive(Clone, Copy)]
pub struct Cores {
    server: usize,
    driver: usize,
}

/// Measures all cases.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let on = Cores::of_machine()?;
    let kinds = [Kind::Ours, Kind::Mosquitto, Kind::Rumqttd];
    let connections_max = files_max().saturating_sub(FILES_BESIDE);
    let mut rows = publish::run(setting, on, &kinds, connections_max)?;
    rows.extend(fan_out::run(setting, on, &kinds, connections_max)?);
    rows.extend(idle::run(setting, on, &kinds, connections_max)?);
    rows.extend(latency::run(setting, on, &kinds, connections_max)?);
    Ok(rows)
}

impl Cores {
    /// The first that is allowed for brokers, the last one for the driver.
    fn of_machine() -> Result<Self, Box<dyn Error>> {
        let allowed = cores::allowed()?;
        let (&server, &driver) =
            (allowed.first().ok_or("no core is allowed")?, allowed.last().ok_or("no core is allowed")?);
        Ok(Self { server, driver })
    }
}

/// Raises the limit of open files, which the brokers inherit, as far as it goes; says how many there are now.
fn files_max() -> u32 {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    // Where it cannot be raised, what there is has to do.
    let _ = setrlimit(Resource::Nofile, raised);
    let now = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    u32::try_from(now).unwrap_or(u32::MAX)
}
