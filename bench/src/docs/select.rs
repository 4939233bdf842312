//! Which rows of a record are meant.

use crate::record::Record;
use crate::row::Row;

use super::directive::Directive;

/// The rows that all pairs of the directive allow: `case`, `metric`, `peer` and `kernel`, each the whole text, or its beginning and `*`.
/// Without `kernel`, those of the kernel that the engine chooses itself. None is an error.
pub(super) fn rows<'a>(record: &'a Record, directive: &Directive) -> Result<Vec<&'a Row>, String> {
    let mut rows: Vec<&Row> = record.rows.iter().collect();
    let mut kernel_chosen = false;
    for (key, wanted) in &directive.pairs {
        let field: fn(&Row) -> &str = match key.as_str() {
            "case" => |row| &row.case,
            "metric" => |row| &row.metric,
            "peer" => |row| &row.peer_name,
            "kernel" => |row| &row.ours_name,
            _ => return Err(format!("'{key}' is no key: case, metric, peer and kernel are")),
        };
        kernel_chosen |= key == "kernel";
        let there: Vec<&str> = rows.iter().map(|row| field(row)).collect();
        if !there.iter().any(|found| fits(found, wanted)) {
            let mut known: Vec<String> = there.iter().map(|found| format!("\"{found}\"")).collect();
            known.dedup();
            return Err(format!("suite {} has no {key}=\"{wanted}\": there is {}", record.suite, known.join(", ")));
        }
        rows.retain(|row| fits(field(row), wanted));
    }
    if !kernel_chosen && rows.iter().any(|row| row.ours_name.is_empty()) {
        rows.retain(|row| row.ours_name.is_empty());
    }
    match rows.is_empty() {
        true => Err(format!("the record of suite {} is empty", record.suite)),
        false => Ok(rows),
    }
}

fn fits(found: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => found.starts_with(beginning),
        None => found == wanted,
    }
}
