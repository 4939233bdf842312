//! Rows as a table in Markdown: columns that say nothing are left out, what all rows share stands in the head.

use std::collections::BTreeSet;

use crate::row::Row;

use super::figure::{digits, quantity};

struct Column {
    head: String,
    /// Figures stand on the right.
    figures: bool,
    cells: Vec<String>,
}

/// The table and the notes below it.
pub(super) fn table(rows: &[&Row]) -> String {
    let mut notes: Vec<&str> = rows.iter().map(|row| row.note.as_str()).filter(|note| !note.is_empty()).collect();
    let mut seen = BTreeSet::new();
    notes.retain(|note| seen.insert(*note));
    // One note for all needs no numbers.
    let is_common = notes.len() == 1 && rows.iter().all(|row| !row.note.is_empty());
    let case = |row: &Row| match notes.iter().position(|note| *note == row.note) {
        Some(at) if !is_common => format!("{} ({})", row.case, at + 1),
        _ => row.case.clone(),
    };
    let text = |head: &str, of: &dyn Fn(&Row) -> String| Column {
        head: head.to_owned(),
        figures: false,
        cells: rows.iter().map(|row| of(row)).collect(),
    };
    let figures = |head: &str, of: &dyn Fn(&Row) -> String| Column { figures: true, ..text(head, of) };
    let peer_of = |row: &Row| format!("{} {}", row.peer_name, row.peer_version).trim().to_owned();
    let (metric, peer) = (shared(rows, |row| row.metric.clone()), shared(rows, peer_of));
    let mut columns = vec![text(metric.as_deref().unwrap_or("case"), &case)];
    if metric.is_none() {
        columns.push(text("what", &|row| row.metric.clone()));
    }
    if rows.iter().any(|row| !row.ours_name.is_empty()) {
        let chosen = |row: &Row| if row.ours_name.is_empty() { "chosen".to_owned() } else { row.ours_name.clone() };
        columns.push(text("kernel", &chosen));
    }
    columns.push(figures("ours", &|row| quantity(row.ours, &row.unit)));
    let value = |row: &Row| row.peer.map(|peer| quantity(peer, &row.unit)).unwrap_or_default();
    columns.push(figures(peer.as_deref().unwrap_or("peer"), &value));
    columns.push(figures("ratio", &|row| match row.ratio {
        Some(ratio) if row.tie => format!("{}, tie", digits(ratio)),
        Some(ratio) => digits(ratio),
        None => String::new(),
    }));
    columns.push(figures("spread", &|row| {
        let of_peer = row.peer.zip(row.peer_range).map(|(median, range)| spread(median, range));
        both(spread(row.ours, row.ours_range), of_peer)
    }));
    columns.push(figures("CPU ns/event", &|row| match row.cpu_ns_per_event > 0.0 {
        true => both(digits(row.cpu_ns_per_event), row.peer_cpu_ns_per_event.map(digits)),
        false => String::new(),
    }));
    if peer.is_none() {
        columns.push(text("against", &peer_of));
    }
    columns.retain(|column| column.cells.iter().any(|cell| !cell.is_empty()));
    let mut out = String::new();
    line(&mut out, columns.iter().map(|column| column.head.as_str()));
    line(&mut out, columns.iter().map(|column| if column.figures { "---:" } else { "---" }));
    for at in 0..rows.len() {
        line(&mut out, columns.iter().map(|column| column.cells[at].as_str()));
    }
    if !notes.is_empty() {
        out.push('\n');
    }
    for (at, note) in notes.iter().enumerate() {
        match is_common {
            true => out.push_str(&format!("({note})\n")),
            false => out.push_str(&format!("{}. {note}\n", at + 1)),
        }
    }
    out.trim_end().to_owned()
}

/// What all rows that have it have, if it is the same.
fn shared(rows: &[&Row], of: impl Fn(&Row) -> String) -> Option<String> {
    let mut all = rows.iter().map(|row| of(row)).filter(|text| !text.is_empty());
    let first = all.next()?;
    all.all(|other| other == first).then_some(first)
}

fn spread(median: f64, (low, high): (f64, f64)) -> String {
    format!("{:.0} %", 100.0 * (high - median).max(median - low) / median.max(f64::MIN_POSITIVE))
}

fn both(ours: String, peer: Option<String>) -> String {
    match peer {
        Some(peer) => format!("{ours} / {peer}"),
        None => ours,
    }
}

fn line<'a>(out: &mut String, cells: impl Iterator<Item = &'a str>) {
    for cell in cells {
        out.push_str("| ");
        out.push_str(&cell.replace('|', "\\|"));
        out.push(' ');
    }
    out.push_str("|\n");
}
