//! Checkpoints of a Delta table in the hands of others: the `deltalake` package opens the table by ours when the versions before are gone,
//! and a node goes on from its own and from one of that package.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::python::environment;
use crate::support::{Node, eventually};

const SKIPPED: &str = "!!! SKIPPED: there is no python3, so nobody but us has read the checkpoints";

/// Rows and files of a table, as others see it; with `checkpoint` it gets one of theirs.
const LOOK: &str = r#"
import deltalake, json, os, sys
table = deltalake.DeltaTable(sys.argv[1])
if "checkpoint" in sys.argv:
    table.create_checkpoint()
rows = table.to_pyarrow_table(columns=["_partition", "_offset", "n", "site"])
places = sorted(zip(*(rows[name].to_pylist() for name in ("_partition", "_offset", "n", "site"))))
assert len(set(place[:2] for place in places)) == len(places), "an offset is there twice"
files = sorted(os.path.basename(path) for path in table.file_uris())
print(json.dumps({"version": table.version(), "files": files, "rows": places}), flush=True)
os._exit(0)
"#;

struct Lake {
    config: PathBuf,
    data: PathBuf,
    lake: PathBuf,
    sent: usize,
}

impl Lake {
    /// A run of the node: so many requests, each of which is a commit of its own.
    fn run(&mut self, requests: usize) {
        let node = Node::start(&self.config, &self.data, "127.0.0.1:0");
        for _ in 0..requests {
            let mut body = String::new();
            for n in self.sent..self.sent + 20 {
                body += &format!("{{\"id\":\"dev-{}\",\"site\":\"{}\",\"n\":{n}}}\n", n % 3, ["ber", "a/b c"][n % 2]);
            }
            self.sent += 20;
            assert_eq!(node.request("POST", "/events", "application/x-ndjson", &body).0, 200);
            eventually("all rows are in files", || node.metric("anabranch_endpoint_lag_events") == 0.0);
        }
        assert!(node.stop().success());
    }

    /// The last checkpoint, by its version.
    fn checkpoint(&self) -> u64 {
        let path = self.lake.join("_delta_log/_last_checkpoint");
        let last: serde_json::Value = serde_json::from_slice(&std::fs::read(path).expect("there")).expect("JSON");
        last["version"].as_u64().expect("a number")
    }

    /// Takes the versions out that the last checkpoint covers.
    fn forget_versions(&self) {
        for version in 0..=self.checkpoint() {
            let path = self.lake.join(format!("_delta_log/{version:020}.json"));
            match std::fs::remove_file(path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => panic!("{error}"),
                _ => {}
            }
        }
    }
}

fn look(python: &Path, lake: &Path, more: &[&str]) -> serde_json::Value {
    let output = Command::new(python).args(["-c", LOOK]).arg(lake).args(more).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_str(&said).expect("JSON")
}

#[test]
fn a_table_is_read_from_its_checkpoint_when_the_versions_before_are_gone() {
    let packages = ["duckdb", "polars", "pyarrow", "pandas", "deltalake"];
    let Some(python) = environment("analytics", &packages, &packages) else {
        eprintln!("{SKIPPED}");
        return;
    };
    let folder = tempfile::tempdir().expect("a folder");
    let path = |name: &str| folder.path().join(name);
    let mut lake = Lake { config: path("c.toml"), data: path("data"), lake: path("lake"), sent: 0 };
    let text = format!(
        "[node]\npartitions = 2\n\n[listeners.http]\nkey_pointer = \"/id\"\n\n[endpoints.lake]\ntype = \"parquet\"\ndir = '{}'\n\
         partition_by = [\"date\", \"site\"]\ndelta = true\nage_ms_max = 50\ncompact_commits = 3\ncompact_keep_ms = 0\n\n\
         [[routes]]\nname = \"all\"\nendpoint = \"lake\"\n",
        lake.lake.display()
    );
    std::fs::write(&lake.config, text).expect("writes");
    lake.run(14);
    let whole = look(&python, &lake.lake, &[]);
    assert_eq!(whole["rows"].as_array().map(Vec::len), Some(lake.sent));
    let checkpoint = lake.checkpoint();
    assert!(checkpoint >= 10, "{checkpoint}");
    lake.forget_versions();
    assert_eq!(look(&python, &lake.lake, &[]), whole, "from the checkpoint of version {checkpoint}");
    // As after a crash between the two.
    let last = lake.lake.join("_delta_log/_last_checkpoint");
    let kept = std::fs::read(&last).expect("there");
    std::fs::remove_file(&last).expect("removes");
    assert_eq!(look(&python, &lake.lake, &[]), whole, "found without being named");
    std::fs::write(&last, kept).expect("writes");

    // Ours goes on from its own, and from one of others.
    lake.run(12);
    let more = look(&python, &lake.lake, &["checkpoint"]);
    assert_eq!(more["rows"].as_array().map(Vec::len), Some(lake.sent));
    assert_eq!(more["version"].as_u64(), Some(lake.checkpoint()), "theirs is of the newest version");
    lake.forget_versions();
    lake.run(12);
    assert!(Some(lake.checkpoint()) > more["version"].as_u64(), "ours is made of theirs");
    lake.forget_versions();
    let all = look(&python, &lake.lake, &[]);
    assert_eq!(all["rows"].as_array().map(Vec::len), Some(lake.sent));
    let numbers: Vec<u64> = all["rows"].as_array().expect("rows").iter().filter_map(|row| row[2].as_u64()).collect();
    assert_eq!(numbers.iter().sum::<u64>(), (0..lake.sent as u64).sum::<u64>());
}
