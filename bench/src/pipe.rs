//! Suite `pipe`: NDJSON, a filter, Parquet. Ours is `anabranch pipe` as a process from start to end; DuckDB's time is that of its
//! query alone, without the start of its host, so what doubt there is works for it.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::process::Command;

use loadgen::fleet::{Emitted, Filter, Fleet, Model};
use loadgen::generate::{GeneratePlan, generate};
use serde::Deserialize;

use crate::peers::Peers;
use crate::process;
use crate::row::{Peer, Row};
use crate::{Setting, cores};

const DEVICES: u32 = 10_000;
const SEED: u64 = 1;

struct Case {
    name: &'static str,
    ours: &'static str,
    peer: &'static str,
    /// As the load generator reads it; everything without.
    matches: Option<&'static str>,
    /// As both call it.
    codec: &'static str,
}

impl Case {
    const fn all(name: &'static str, codec: &'static str) -> Self {
        Self { name, ours: "true", peer: "true", matches: None, codec }
    }

    const fn some(name: &'static str, ours: &'static str, peer: &'static str) -> Self {
        Self { name, ours, peer, matches: Some(peer), codec: "snappy" }
    }
}

const CASES: [Case; 5] = [
    Case::some("temp > 30 (3 %) to Parquet, snappy", "$body.temp > 30", "temp > 30"),
    Case::some("temp > 26 (25 %) to Parquet, snappy", "$body.temp > 26", "temp > 26"),
    Case::all("all to Parquet, snappy", "snappy"),
    Case::all("all to Parquet, lz4", "lz4"),
    Case::all("all to Parquet, zstd", "zstd"),
];

/// What the peer's script prints.
#[derive(Deserialize)]
struct PeerRun {
    wall_s: f64,
    cpu_s: f64,
    rows: u64,
}

/// Measures all cases.
pub fn run(setting: &Setting) -> Result<Vec<Row>, Box<dyn Error>> {
    let core = *cores::allowed()?.first().ok_or("no core is allowed")?;
    let (events, rounds) = if setting.quick { (50_000, 2) } else { (2_000_000, 5) };
    let folder = tempfile::tempdir()?;
    let input = folder.path().join("telemetry.ndjson");
    generate(&GeneratePlan::new(DEVICES, events, SEED), &mut File::create(&input)?)?;
    let duckdb = Duckdb::find();
    let mut rows = Vec::new();
    for case in &CASES {
        let mut fleet = Fleet::new(SEED, 0..DEVICES);
        let filter = case.matches.map(|text| Filter::parse(text, &Model::telemetry())).transpose()?;
        let matches =
            |event: Emitted| filter.as_ref().is_none_or(|filter| filter.matches(SEED, event.device, event.seq));
        let expected = (0..events).filter(|_| matches(fleet.skip_event())).count() as u64;
        let per_s = |seconds: f64| events as f64 / seconds.max(1e-9);
        let (mut ours, mut ours_cpu, mut peer, mut peer_cpu) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (mut ours_size, mut peer_size) = (Vec::new(), Vec::new());
        for round in 0..=rounds {
            let out = folder.path().join(format!("ours-{round}"));
            let ran = cores::on(core, || {
                process::run(pipe_command(&setting.anabranch, case, &input, &out).current_dir(folder.path()))
            })??;
            if let Ok(duckdb) = &duckdb {
                check(duckdb.count(&out)?, expected, "anabranch", case)?;
            }
            let size = size_of(&out)? as f64 / expected.max(1) as f64;
            std::fs::remove_dir_all(&out)?;
            let peer_run = match &duckdb {
                Ok(duckdb) => {
                    let out = folder.path().join("peer.parquet");
                    let run = cores::on(core, || duckdb.pipe(case, &input, &out))??;
                    check(run.rows, expected, "duckdb", case)?;
                    Some((run, std::fs::metadata(&out)?.len() as f64 / expected.max(1) as f64))
                }
                Err(_) => None,
            };
            // The first round warms up and does not count.
            if round > 0 {
                ours.push(per_s(ran.wall.as_secs_f64()));
                ours_cpu.push(ran.cpu.as_secs_f64() * 1e9 / events as f64);
                ours_size.push(size);
                if let Some((run, size)) = peer_run {
                    peer_size.push(size);
                    peer.push(per_s(run.wall_s));
                    peer_cpu.push(run.cpu_s * 1e9 / events as f64);
                }
            }
        }
        let (name, version) = match &duckdb {
            Ok(duckdb) => ("duckdb, threads=1".to_owned(), duckdb.version.clone()),
            Err(why) => (format!("duckdb is missing: {why}"), String::new()),
        };
        let (name_of_peer, version_of_peer) = (name.clone(), version.clone());
        let peer = Peer { name, version, values: peer, cpu_ns: peer_cpu };
        rows.push(Row::new("pipe", case.name, "one core", &ours, &ours_cpu, peer, setting.quick));
        let peer = Peer { name: name_of_peer, version: version_of_peer, values: peer_size, cpu_ns: Vec::new() };
        let row = Row::new("pipe", case.name, "size of the files", &ours_size, &[], peer, setting.quick);
        rows.push(row.unit("bytes/row"));
    }
    Ok(rows)
}

fn pipe_command(anabranch: &Path, case: &Case, input: &Path, out: &Path) -> Command {
    let mut command = Command::new(anabranch);
    command.arg("pipe").arg("--route").arg(format!("{}=>parquet:{}", case.ours, out.display()));
    command.args(["--compression", case.codec]).arg(input);
    command
}

/// Bytes of the files in a folder.
fn size_of(folder: &Path) -> std::io::Result<u64> {
    std::fs::read_dir(folder)?.map(|entry| Ok(entry?.metadata()?.len())).sum()
}

fn check(rows: u64, expected: u64, who: &str, case: &Case) -> Result<(), Box<dyn Error>> {
    if rows == expected {
        return Ok(());
    }
    Err(format!("{who} wrote {rows} rows where {expected} match, in case '{}'", case.name).into())
}

/// DuckDB in its Python environment.
struct Duckdb {
    peers: Peers,
    version: String,
}

impl Duckdb {
    fn find() -> Result<Self, String> {
        let peers = Peers::set_up(&["duckdb"])?;
        if let Some(why) = peers.why_missing("duckdb") {
            return Err(why.to_owned());
        }
        let version = process::run(peers.python().args(["-c", "import duckdb; print(duckdb.__version__)"]))
            .map_err(|error| error.to_string())?;
        Ok(Self { peers, version: version.stdout.trim().to_owned() })
    }

    fn script(&self, arguments: &[&std::ffi::OsStr]) -> Result<PeerRun, Box<dyn Error>> {
        let ran = process::run(self.peers.script("duckdb_pipe.py").args(arguments))?;
        Ok(serde_json::from_str(&ran.stdout)?)
    }

    fn pipe(&self, case: &Case, input: &Path, out: &Path) -> Result<PeerRun, Box<dyn Error>> {
        self.script(&["pipe".as_ref(), input.as_ref(), case.peer.as_ref(), out.as_ref(), case.codec.as_ref()])
    }

    fn count(&self, folder: &Path) -> Result<u64, Box<dyn Error>> {
        Ok(self.script(&["count".as_ref(), folder.as_ref()])?.rows)
    }
}
