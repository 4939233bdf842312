//! What storing cursors costs: 1,000 endpoints of 32 partitions, all of them moved, in one commit.

use std::error::Error;
use std::path::Path;
use std::time::Instant;

use server::node::CURSOR_COMMIT_INTERVAL;
use server::state::State;

use super::node::PARTITIONS;
use crate::Setting;
use crate::process::busy_ns;
use crate::row::{Peer, Row};

const ENDPOINTS: usize = 1000;

/// One row, in percent of a core at the interval in which a node commits.
pub fn run(setting: &Setting, folder: &Path) -> Result<Row, Box<dyn Error>> {
    let rounds = if setting.quick { 3 } else { 40 };
    let state = State::open(&folder.join("state.redb"))?;
    let mut cursors: Vec<(String, Vec<u64>)> =
        (0..ENDPOINTS).map(|number| (format!("endpoint-{number}"), vec![1 << 40; PARTITIONS as usize])).collect();
    let (mut percent, mut wall_ms) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        cursors.iter_mut().flat_map(|(_, offsets)| offsets).for_each(|offset| *offset += 1000);
        let (began, busy) = (Instant::now(), busy_ns(std::process::id())?);
        state.commit(&cursors)?;
        let busy = busy_ns(std::process::id())? - busy;
        wall_ms.push(began.elapsed().as_secs_f64() * 1e3);
        percent.push(100.0 * busy as f64 / CURSOR_COMMIT_INTERVAL.as_nanos() as f64);
    }
    let peer = Peer { name: String::new(), version: String::new(), values: Vec::new(), cpu_ns: Vec::new() };
    let case = "cursor commit, 1,000 endpoints x 32 partitions, all moved";
    let mut row = Row::new("log", case, "percent of a core", &percent, &[], peer, setting.quick).unit("%");
    row.note = format!(
        "target: less than 1; it is {:.2} %, a commit takes {:.1} ms",
        crate::row::median(&percent),
        crate::row::median(&wall_ms)
    );
    Ok(row)
}
