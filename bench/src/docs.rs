//! `bench docs`: `docs/performance.md` and its charts from `bench/performance.md.in` and the newest record of each suite.
//!
//! What always holds: every figure on the page stands in a record, and the same records give the same bytes. `--check` fails when what
//! is on disk differs; a test of this crate does the same.

mod directive;
mod figure;
mod render;
mod select;
mod table;

#[cfg(test)]
mod tests;

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use crate::record;

use render::render;

const TEMPLATE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/performance.md.in");
const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const PAGE: &str = "performance.md";
const AGAIN: &str = "run `cargo run --release -p bench -- docs`";

/// A file of `docs/` as the records give it.
struct Generated {
    name: String,
    text: String,
}

/// Writes page and charts; says where.
pub fn write() -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut written = Vec::new();
    for file in generate()? {
        let path = Path::new(DOCS).join(&file.name);
        fs::write(&path, file.text).map_err(|error| format!("cannot write {}: {error}", path.display()))?;
        written.push(path);
    }
    Ok(written)
}

/// Whether page and charts on disk are what the records give; an error says which is not, and from which line on.
pub fn check() -> Result<(), Box<dyn Error>> {
    for file in generate()? {
        let found = fs::read_to_string(Path::new(DOCS).join(&file.name));
        let found = found.map_err(|error| format!("docs/{} cannot be read: {error}; {AGAIN}", file.name))?;
        if let Some(line) = first_difference(&found, &file.text) {
            let name = &file.name;
            return Err(format!("docs/{name}:{line} is not what template and records in bench/ give; {AGAIN}").into());
        }
    }
    Ok(())
}

fn generate() -> Result<Vec<Generated>, Box<dyn Error>> {
    let template = fs::read_to_string(TEMPLATE).map_err(|error| format!("cannot read {TEMPLATE}: {error}"))?;
    let page = render(&template, &record::newest(Path::new(record::FOLDER))?)
        .map_err(|error| format!("bench/performance.md.in:{error}"))?;
    let mut files = vec![Generated { name: PAGE.into(), text: page.text }];
    files.extend(page.charts.into_iter().map(|(name, text)| Generated { name: format!("{name}.svg"), text }));
    Ok(files)
}

/// The number of the first line that differs, from 1.
fn first_difference(a: &str, b: &str) -> Option<usize> {
    if a == b {
        return None;
    }
    let same = a.lines().zip(b.lines()).take_while(|(a, b)| a == b).count();
    Some(same + 1)
}
