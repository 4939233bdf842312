//! Writing: events per second, processor time, size of the files and memory, all contestants in turns.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Deserialize;

use crate::peers::Peers;
use crate::process::{self, Ran};
use crate::row::{Peer, Row};
use crate::{Setting, cores};

use super::PEERS;
use super::content::{Content, files};

const CASE: &str = "a fleet of 10,000 to Parquet";
const MIB: f64 = 1024.0 * 1024.0;

/// What everybody reads.
pub(super) struct Input {
    pub(super) path: PathBuf,
    pub(super) events: u64,
    pub(super) bytes: u64,
    pub(super) expected: Content,
}

/// Where the files of ours and of DuckDB lie, for the readers.
pub(super) struct Written {
    pub(super) ours: PathBuf,
    /// Nothing when DuckDB is missing.
    pub(super) duckdb: Option<PathBuf>,
}

/// What a peer's driver prints.
#[derive(Debug, Deserialize)]
pub(super) struct PeerRun {
    version: String,
    wall_s: f64,
    cpu_s: f64,
    memory_bytes: u64,
    memory_before_bytes: u64,
}

impl PeerRun {
    /// From standard output; a peer may say more before its last line.
    pub(super) fn read(stdout: &str) -> Result<Self, String> {
        let line = stdout.lines().last().unwrap_or_default();
        serde_json::from_str(line).map_err(|error| format!("the driver printed '{line}': {error}"))
    }
}

/// One that takes part, and what its turns gave.
#[derive(Default)]
struct Contestant {
    name: &'static str,
    version: String,
    missing: Option<String>,
    per_s: Vec<f64>,
    cpu_ns: Vec<f64>,
    bytes_per_event: Vec<f64>,
    memory_mib: Vec<f64>,
    host_mib: f64,
}

/// Measures all; says also where the files are that are to be read.
pub(super) fn run(
    setting: &Setting,
    peers: &Result<Peers, String>,
    input: &Input,
    folder: &Path,
) -> Result<(Vec<Row>, Written), Box<dyn Error>> {
    let core = *cores::allowed()?.first().ok_or("no core is allowed")?;
    let rounds = if setting.quick { 1 } else { 7 };
    let mut all = vec![Contestant { name: "anabranch", ..Contestant::default() }];
    all.extend(PEERS.map(|name| {
        let missing = match peers {
            Ok(peers) => peers.why_missing(name).map(str::to_owned),
            Err(why) => Some(why.clone()),
        };
        Contestant { name, missing, ..Contestant::default() }
    }));
    // The first round warms up and does not count.
    for round in 0..=rounds {
        for turn in 0..all.len() {
            let at = (turn + round) % all.len();
            let contestant = &mut all[at];
            let out = output(folder, contestant.name);
            if contestant.missing.is_some() {
                continue;
            }
            let turn = match peers {
                Ok(peers) if at > 0 => cores::on(core, || contestant.peer_turn(peers, input, &out))?,
                _ => cores::on(core, || contestant.our_turn(&setting.anabranch, input, &out, folder))?,
            };
            match turn {
                // Installed, and yet it does not run here.
                Err(error) if at > 0 && round == 0 => {
                    contestant.missing = Some(error.to_string().lines().last().unwrap_or_default().to_owned());
                    continue;
                }
                turn => turn?,
            }
            contestant.check(&out, input.expected)?;
            if round == 0 {
                contestant.forget();
            }
        }
    }
    let duckdb = all[1].missing.is_none().then(|| output(folder, "duckdb"));
    Ok((rows(setting, &all, input), Written { ours: output(folder, "anabranch"), duckdb }))
}

fn output(folder: &Path, name: &str) -> PathBuf {
    folder.join(if name == "anabranch" { "lake".to_owned() } else { format!("{name}.parquet") })
}

impl Contestant {
    fn our_turn(&mut self, anabranch: &Path, input: &Input, out: &Path, folder: &Path) -> Result<(), Box<dyn Error>> {
        if out.exists() {
            fs::remove_dir_all(out)?;
        }
        let mut command = Command::new(anabranch);
        command.arg("pipe").arg("--route").arg(format!("true=>parquet:{}", out.display())).arg(&input.path);
        let (Ran { wall, cpu, .. }, memory) = process::run_with_memory(command.current_dir(folder))?;
        self.add(input, wall.as_secs_f64(), cpu.as_secs_f64(), memory, out)
    }

    fn peer_turn(&mut self, peers: &Peers, input: &Input, out: &Path) -> Result<(), Box<dyn Error>> {
        if out.exists() {
            fs::remove_file(out)?;
        }
        let ran = process::run(peers.script("parquet_write.py").arg(self.name).arg(&input.path).arg(out))?;
        let run = PeerRun::read(&ran.stdout)?;
        self.host_mib = run.memory_before_bytes as f64 / MIB;
        self.version = run.version;
        self.add(input, run.wall_s, run.cpu_s, run.memory_bytes, out)
    }

    fn add(&mut self, input: &Input, wall_s: f64, cpu_s: f64, memory: u64, out: &Path) -> Result<(), Box<dyn Error>> {
        let mut bytes = 0;
        for file in files(out)? {
            bytes += fs::metadata(file)?.len();
        }
        let events = input.events as f64;
        self.per_s.push(events / wall_s.max(1e-9));
        self.cpu_ns.push(cpu_s * 1e9 / events);
        self.bytes_per_event.push(bytes as f64 / events);
        self.memory_mib.push(memory as f64 / MIB);
        Ok(())
    }

    fn check(&self, out: &Path, expected: Content) -> Result<(), Box<dyn Error>> {
        let found = Content::of_parquet(out)?;
        if found == expected {
            return Ok(());
        }
        Err(format!("{} wrote {found:?} where {expected:?} was given, in {}", self.name, out.display()).into())
    }

    fn forget(&mut self) {
        for values in [&mut self.per_s, &mut self.cpu_ns, &mut self.bytes_per_event, &mut self.memory_mib] {
            values.clear();
        }
    }

    fn peer(&self, values: &[f64], cpu_ns: &[f64]) -> Peer {
        let name = match &self.missing {
            Some(why) => format!("{} is missing: {why}", self.name),
            None => format!("{}, one thread", self.name),
        };
        Peer { name, version: self.version.clone(), values: values.to_vec(), cpu_ns: cpu_ns.to_vec() }
    }
}

fn rows(setting: &Setting, all: &[Contestant], input: &Input) -> Vec<Row> {
    let (ours, peers) = (&all[0], &all[1..]);
    let row =
        |metric, ours: &[f64], cpu: &[f64], peer| Row::new("parquet", CASE, metric, ours, cpu, peer, setting.quick);
    let mut rows = Vec::new();
    for peer in peers {
        let row = row("written", &ours.per_s, &ours.cpu_ns, peer.peer(&peer.per_s, &peer.cpu_ns));
        let mut row = row.bytes_per_event(input.bytes as f64 / input.events as f64);
        row.note =
            "snappy everywhere; ours is the whole process with its sync to disk, a peer's time its conversion alone"
                .into();
        rows.push(row);
    }
    for peer in peers {
        let row = row("size of the files", &ours.bytes_per_event, &[], peer.peer(&peer.bytes_per_event, &[]));
        rows.push(row.unit("bytes/event"));
    }
    for peer in peers {
        let row = row("most memory resident", &ours.memory_mib, &[], peer.peer(&peer.memory_mib, &[]));
        let mut row = row.unit("MiB");
        if peer.missing.is_none() {
            row.note = format!(
                "ours is the whole process; {} had {:.0} MiB before it began, which are not counted",
                peer.name, peer.host_mib
            );
        }
        rows.push(row);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_driver_may_say_more_before_its_last_line() {
        let said = "notice\n{\"version\":\"2.0\",\"wall_s\":1.5,\"cpu_s\":1.25,\"memory_bytes\":7,\"memory_before_bytes\":3}\n";
        let run = PeerRun::read(said).unwrap();
        assert_eq!((run.version.as_str(), run.wall_s, run.cpu_s, run.memory_bytes), ("2.0", 1.5, 1.25, 7));
        let error = PeerRun::read("Killed\n").unwrap_err();
        assert!(error.contains("Killed"), "{error}");
    }

    #[test]
    fn who_is_missing_has_its_rows_and_its_reason() {
        let setting = Setting { quick: true, anabranch: PathBuf::new(), data: None };
        let input = Input { path: PathBuf::new(), events: 10, bytes: 2_400, expected: Content::default() };
        let ours = Contestant {
            name: "anabranch",
            per_s: vec![200.0],
            cpu_ns: vec![5.0],
            bytes_per_event: vec![16.0],
            memory_mib: vec![50.0],
            ..Contestant::default()
        };
        let missing = Some("no wheel".to_owned());
        let chdb = Contestant { name: "chdb", missing, ..Contestant::default() };
        let polars = Contestant {
            name: "polars",
            per_s: vec![100.0],
            cpu_ns: vec![10.0],
            bytes_per_event: vec![32.0],
            memory_mib: vec![25.0],
            ..Contestant::default()
        };
        let rows = rows(&setting, &[ours, chdb, polars], &input);
        let told: Vec<_> = rows.iter().map(|row| (row.peer_name.as_str(), row.unit.as_str(), row.ratio)).collect();
        let (gone, there) = ("chdb is missing: no wheel", "polars, one thread");
        assert_eq!(
            told,
            [
                (gone, "events/s", None),
                (there, "events/s", Some(2.0)),
                (gone, "bytes/event", None),
                (there, "bytes/event", Some(2.0)),
                (gone, "MiB", None),
                (there, "MiB", Some(0.5)),
            ]
        );
    }
}
