//! The manual's examples of reading a lake, as they stand in `docs/analytics.md`, on a lake that a node wrote; and `parquet inspect` on it.

use std::process::Command;

use crate::python::environment;
use crate::support::{Node, eventually, run};

const SKIPPED: &str = "!!! SKIPPED: there is no python3, so nobody has run the examples of docs/analytics.md";

/// The code blocks of the manual that begin with this line, in its order.
fn examples(first_line: &str) -> Vec<String> {
    let manual = crate::sources::root().join("docs/analytics.md");
    let manual = std::fs::read_to_string(manual).expect("the manual");
    let blocks = manual.split("```").skip(1).step_by(2);
    let code = blocks.filter_map(|block| block.split_once('\n').map(|(_, code)| code.to_owned()));
    code.filter(|code| code.starts_with(first_line)).collect()
}

/// The configuration that the manual shows.
fn configuration() -> String {
    examples("[endpoints.lake]").swap_remove(0)
}

#[test]
fn the_examples_of_the_manual_read_what_a_node_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("c.toml");
    let lake = folder.path().join("lake");
    let endpoint = configuration().replace("./lake", &lake.display().to_string());
    let text = format!(
        "{endpoint}age_ms_max = 100\ncompact_commits = 3\ncompact_keep_ms = 0\n\n[listeners.http]\nkey_pointer = \"/id\"\n\n\
         [[routes]]\nname = \"all\"\nendpoint = \"lake\"\n"
    );
    std::fs::write(&config, text).expect("writes");
    let node = Node::start(&config, &folder.path().join("data"), "127.0.0.1:0");
    for round in 0..12 {
        let mut body = String::new();
        for n in round * 100..(round + 1) * 100 {
            let site = ["ber", "muc", "a/b c", "007"][n % 4];
            body += &format!("{{\"id\":\"dev-{}\",\"site\":\"{site}\",\"temp\":{}.5,\"n\":{n}}}\n", n % 10, n % 50);
        }
        assert_eq!(node.request("POST", "/events", "application/x-ndjson", &body).0, 200);
        eventually("all rows are in files", || node.metric("anabranch_endpoint_lag_events") == 0.0);
    }
    assert!(node.stop().success());

    let (code, said, wrong) = run(&["parquet", "inspect", &lake.display().to_string(), "--json"], "");
    assert_eq!(code, 0, "{wrong}");
    let report: serde_json::Value = serde_json::from_str(&said).expect("JSON");
    assert_eq!(report["rows"], 1200, "{said}");
    let partitions = report["partitions"].as_array().expect("partitions");
    assert!(partitions.iter().all(|partition| partition["gaps"] == serde_json::json!([])), "{said}");
    assert!(report["files"].as_array().expect("files").iter().any(|file| file["is_compacted"] == true), "{said}");
    let (code, said, _) = run(&["parquet", "inspect", &lake.display().to_string(), "--files"], "");
    assert!(code == 0 && said.contains("1200 rows") && said.contains("site=a%2Fb c/"), "{said}");

    let packages = ["duckdb", "polars", "pyarrow", "pandas", "deltalake"];
    let Some(python) = environment("analytics", &packages, &packages) else {
        eprintln!("{SKIPPED}");
        return;
    };
    let script = folder.path().join("examples.py");
    let mut text = examples("# python").concat();
    let queries = examples("-- duckdb");
    assert!(text.contains("deltalake.DeltaTable") && queries.len() == 3, "the manual has lost its examples");
    text += "import duckdb\n";
    for (at, query) in queries.iter().enumerate() {
        text += &format!("query_{at} = duckdb.sql('''{query}''').fetchall()\n");
    }
    text += CHECKS;
    std::fs::write(&script, text).expect("writes");
    let output = Command::new(python).arg(&script).current_dir(folder.path()).output().expect("starts");
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("all as it should be"), "{said}");
}

/// What the examples should have found.
const CHECKS: &str = r#"
sites = {"ber": 48.5, "muc": 49.5, "a/b c": 48.5, "007": 49.5}
assert {row[0]: (row[1], row[2]) for row in query_0} == {site: (300, hottest) for site, hottest in sites.items()}, query_0
assert query_1 == [(48.5,)], query_1
said = {(name, what) for name, what, said in query_2}
assert {what for name, what in said} >= {"anabranch.covers_from", "anabranch.last_offset", "anabranch.rows"}, said
assert dict(zip(hottest["site"], zip(hottest["events"], hottest["temp"]))) == {s: (300, t) for s, t in sites.items()}, hottest
assert one == 48.5, one
assert ber.num_rows == 300 and len(frame) == 300, (ber.num_rows, len(frame))
rows_of_manifests = sum(pyarrow.dataset.dataset(path, format="parquet").count_rows() for path in whole)
assert rows_of_manifests == 1200, rows_of_manifests
assert rows.num_rows == 300 and max(rows["temp"].to_pylist()) == 48.5, rows.num_rows
everything = table.to_pyarrow_table()
assert everything.num_rows == 1200 and sum(everything["n"].to_pylist()) == sum(range(1200)), everything.num_rows
places = set(zip(everything["_partition"].to_pylist(), everything["_offset"].to_pylist()))
assert len(places) == 1200, len(places)
assert versions > 3, versions
# Pruning: of the files of one day, those of one site are opened, and a filter on the key finds its row groups by their statistics.
fragments = list(files.get_fragments(filter=pyarrow.dataset.field("site") == "ber"))
assert 0 < len(fragments) < len(list(files.get_fragments())), len(fragments)
import pyarrow.parquet
footer = pyarrow.parquet.ParquetFile(fragments[0].path)
group = footer.metadata.row_group(0)
names = [group.column(at).path_in_schema for at in range(group.num_columns)]
assert [names[column.column_index] for column in group.sorting_columns] == ["_key", "_time"], group.sorting_columns
keys = footer.read(columns=["_key"])["_key"].to_pylist()
assert keys == sorted(keys) or footer.metadata.num_row_groups > 1, keys
key = group.column(names.index("_key"))
assert key.statistics.min <= key.statistics.max and key.has_column_index and key.has_offset_index, key
# Five libraries with threads of their own in one process: their end is not what is tried here.
print("all as it should be", flush=True)
import os
os._exit(0)
"#;
