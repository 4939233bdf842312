//! Memory of open files: the real node with rows in a hundred folders, and the same node with all of them in one file.
//!
//! What always holds: nothing is finished before all is in, so a hundred files are open at a time, and the names of the files say so
//! afterwards; what is reported is the most that the process had resident, so whatever it takes beside the files counts as theirs. More than
//! [`FILE_MIB_MAX`] a file or [`ALL_MIB_MAX`] for all fails the run.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use loadgen::client::Progress;
use loadgen::client::http::{self, HttpPlan};
use loadgen::fleet::Model;
use rustix::process::{Pid, Signal, kill_process};
use tokio::sync::watch;

use crate::Setting;
use crate::process::{Server, busy_ns_when_quiet, resident_max};
use crate::row::{Peer, Row};

/// What makes rows so large that all bounds are reached.
const NOTE: &str = "\n[[profile.field]]\nname = \"note\"\nkind = \"text\"\nlength = [1900, 2100]\n";
const DEVICES: u32 = 10_000;
const FOLDERS: usize = 100;
/// What an open file may take, its row group not counted: docs/parquet.md promises it.
const FILE_MIB_MAX: f64 = 64.0;
/// What all may take together: the default of `memory_bytes_max`.
const ALL_MIB_MAX: f64 = 256.0;
/// Until it has finished its files.
const PATIENCE: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);

struct Measured {
    resident_mib: f64,
    files: usize,
}

/// Measures both.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let (events, rounds) = if setting.quick { (20_000, 1) } else { (400_000, 3) };
    let (mut many, mut one) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let measured = measure(setting, events, "partition_by = [\"site\"]\n")?;
        if measured.files != FOLDERS {
            return Err(format!("{} files were open at a time, not {FOLDERS}", measured.files).into());
        }
        many.push(measured.resident_mib);
        one.push(measure(setting, events, "")?.resident_mib);
    }
    let beside = many.iter().zip(&one).map(|(many, one)| many - one);
    if let Some(most) = beside.max_by(f64::total_cmp).filter(|mib| *mib > ALL_MIB_MAX) {
        return Err(format!(
            "{FOLDERS} open files take {most:.0} MiB more than one, beyond the bound of {ALL_MIB_MAX}"
        )
        .into());
    }
    let each: Vec<f64> = many.iter().zip(&one).map(|(many, one)| (many - one) / (FOLDERS - 1) as f64).collect();
    if let Some(most) = each.iter().find(|mib| **mib > FILE_MIB_MAX) {
        return Err(format!("an open file takes {most:.1} MiB, more than {FILE_MIB_MAX}").into());
    }
    let peer = |values: &[f64]| Peer {
        name: "the same node, one file".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        values: values.to_vec(),
        cpu_ns: vec![],
    };
    let case = format!("node, {} events in {FOLDERS} open files", loadgen::report::grouped(events));
    let mut node = Row::new("parquet", &case, "memory of the node", &many, &[], peer(&one), setting.quick).unit("MiB");
    node.note = "events of 2.3 KB; default bounds: 256 MiB for all open files together".into();
    let mut file =
        Row::new("parquet", &case, "memory of an open file", &each, &[], peer(&[]), setting.quick).unit("MiB");
    file.note = "what the node has more than with one file, divided by the files that it has more".into();
    Ok(vec![node, file])
}

fn measure(setting: &Setting, events: u64, layout: &str) -> Result<Measured, Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let (config, lake) = (folder.path().join("anabranch.toml"), folder.path().join("lake"));
    // Nothing is finished by itself.
    let text = format!(
        "[node]\npartitions = 1\n\n[listeners.http]\nkey_pointer = \"/device_id\"\n\n[endpoints.lake]\ntype = \"parquet\"\ndir = '{}'\n\
         rows_max = 1000000000\nbytes_max = 1000000000000\nage_ms_max = 100000000\n{layout}\n\
         [[routes]]\nname = \"all\"\nendpoint = \"lake\"\n",
        lake.display()
    );
    std::fs::write(&config, text)?;
    let mut command = Command::new(&setting.anabranch);
    command.args(["run", "--http-listen", "127.0.0.1:0", "--log-level", "off", "--config"]).arg(&config);
    command.arg("--data-dir").arg(folder.path().join("data"));
    let server = Server::start(&mut command)?;
    send(&server, events)?;
    // Nothing is settled before its file is finished, so no metric says that all rows are with the endpoint.
    busy_ns_when_quiet(server.pid())?;
    let resident = resident_max(server.pid()).ok_or("a process has VmHWM")?;
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw).ok_or("a child has a process id")?;
    kill_process(pid, Signal::TERM)?;
    let began = Instant::now();
    // A process that has ended has no memory any more, reaped or not.
    while resident_max(server.pid()).is_some() {
        if began.elapsed() > PATIENCE {
            return Err(format!("the node does not end within {PATIENCE:?}").into());
        }
        std::thread::sleep(LOOK);
    }
    Ok(Measured { resident_mib: resident as f64 / f64::from(1 << 20), files: files(setting, &lake, events)? })
}

fn send(server: &Server, events: u64) -> Result<(), Box<dyn Error>> {
    let mut plan = HttpPlan::new(format!("{}/events", server.address).parse()?, DEVICES);
    let profile = Model::telemetry_source().replace("of = 256", &format!("of = {FOLDERS}"));
    plan.model = Arc::new(Model::parse(&(profile + NOTE))?);
    (plan.events, plan.batch) = (events, 500);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_go_on, stop) = watch::channel(false);
    let outcome = runtime.block_on(http::run(plan, Arc::new(Progress::default()), stop, None))?;
    match outcome.ledger.acknowledged_events() {
        all if all == events => Ok(()),
        some => Err(format!("{some} of {events} events were acknowledged").into()),
    }
}

/// Files of a lake, which must be of one commit with all events.
fn files(setting: &Setting, lake: &Path, events: u64) -> Result<usize, Box<dyn Error>> {
    let mut command = Command::new(&setting.anabranch);
    let ran = crate::process::run(command.args(["parquet", "inspect", "--json"]).arg(lake))?;
    let report: serde_json::Value = serde_json::from_str(&ran.stdout)?;
    let files = report["files"].as_array().map_or(0, Vec::len);
    match (report["rows"].as_u64(), report["partitions"][0]["commits"].as_u64()) {
        (Some(rows), Some(1)) if rows == events => Ok(files),
        (rows, commits) => Err(format!("{rows:?} of {events} rows are in {commits:?} commits, not all in one").into()),
    }
}
