//! Eight publishers whose events are acknowledged when the disk has them.

use std::error::Error;

use super::node::{Clock, Node, publish};
use super::{Cores, Words, of_events, rate_rows, turns};
use crate::row::Row;
use crate::{Setting, cores};

pub fn run(setting: &Setting, on: Cores) -> Result<Vec<Row>, Box<dyn Error>> {
    let events = if setting.quick { 20_000 } else { 1_000_000 };
    let node = Node::start(setting, on, "synced")?;
    let measured = turns(setting, || {
        cores::on(on.driver, || {
            let clock = Clock::start(node.pid())?;
            let outcome = publish(node.plan(events))?;
            clock.stop(events, 0, Some(outcome.elapsed.as_secs_f64()))
        })?
    })?;
    let case = format!("publish from 8 connections, ack synced, {}", of_events());
    let words = Words {
        case: &case,
        cpu: "CPU per event",
        rate: "events per busy core-second",
        unit: "events/s",
        note: "target: at most 1,000 ns",
    };
    Ok(rate_rows(&words, &measured, setting.quick))
}
