//! The report of `anabranch parquet inspect` as tables.

use std::fmt::Write;

use connectors::parquet::{PartitionReport, Report};

/// Gaps, overlaps and other lists that are shown; the rest is counted.
const SHOWN_MAX: usize = 20;

/// All of it, with every file if `with_files`.
pub fn text(report: &Report, with_files: bool) -> String {
    let mut out = String::new();
    let said = write(report, with_files, &mut out);
    said.expect("writing to memory cannot fail");
    out
}

fn write(report: &Report, with_files: bool, out: &mut String) -> std::fmt::Result {
    let files = report.files.len() as u64;
    writeln!(out, "{}: {}, {} rows, {}", report.place, count(files, "file"), report.rows, size(report.bytes))?;
    if report.manifests > 0 {
        writeln!(out, "{}", count(report.manifests, "manifest"))?;
    }
    let rows: Vec<_> = report.partitions.iter().map(partition).collect();
    table(out, &["partition", "files", "commits", "rows", "first offset", "last offset", "gaps", "overlaps"], &rows)?;
    for partition in &report.partitions {
        let number = partition.partition;
        let gaps = partition.gaps.iter().map(|gap| {
            let offsets = gap.last_offset - gap.first_offset + 1;
            format!(
                "partition {number}: no file covers {} to {} ({offsets} offsets)",
                gap.first_offset, gap.last_offset
            )
        });
        list(out, "", gaps)?;
        let overlaps = partition.overlaps.iter().map(|overlap| {
            let range = overlap.range;
            let (one, other) = (&overlap.one, &overlap.other);
            format!(
                "partition {number}: {} to {} are covered twice, by {one} and {other}",
                range.first_offset, range.last_offset
            )
        });
        list(out, "", overlaps)?;
    }
    list(
        out,
        "damaged, and in none of the sums",
        report.damaged.iter().map(|(path, reason)| format!("{path}: {reason}")),
    )?;
    list(out, "files of sets that are not whole; their rows come again", report.incomplete.iter().cloned())?;
    list(out, "files whose rows are in a compacted file", report.replaced.iter().cloned())?;
    list(out, "being written, or cut short", report.temporary.iter().cloned())?;
    list(out, "files without a manifest", report.without_manifest.iter().cloned())?;
    schemas(report, out)?;
    let columns: Vec<_> = report
        .columns
        .iter()
        .map(|column| {
            let ratio = column.raw_bytes as f64 / column.bytes.max(1) as f64;
            let (encodings, codecs) = (column.encodings.join(" "), column.codecs.join(" "));
            [
                column.name.clone(),
                column.r#type.clone(),
                column.values.to_string(),
                column.nulls.to_string(),
                size(column.bytes),
                size(column.raw_bytes),
                format!("{ratio:.1}"),
                format!("{:.1}", 100.0 * column.bytes as f64 / report.bytes.max(1) as f64),
                format!("{codecs}, {encodings}"),
            ]
        })
        .collect();
    table(
        out,
        &["column", "stored as", "values", "nulls", "bytes", "raw", "ratio", "% of all", "codec, encodings"],
        &columns,
    )?;
    if with_files {
        let rows: Vec<_> = report
            .files
            .iter()
            .map(|file| {
                [
                    file.path.clone(),
                    file.rows.to_string(),
                    size(file.bytes),
                    file.row_groups.to_string(),
                    (file.schema + 1).to_string(),
                ]
            })
            .collect();
        table(out, &["file", "rows", "bytes", "row groups", "schema"], &rows)?;
    }
    Ok(())
}

fn partition(partition: &PartitionReport) -> [String; 8] {
    [
        u64::from(partition.partition),
        partition.files,
        partition.commits,
        partition.rows,
        partition.first_offset,
        partition.last_offset,
        partition.gaps.len() as u64,
        partition.overlaps.len() as u64,
    ]
    .map(|number| number.to_string())
}

fn schemas(report: &Report, out: &mut String) -> std::fmt::Result {
    if report.schemas.len() < 2 {
        return Ok(());
    }
    writeln!(out, "\n{} sets of columns, oldest first:", report.schemas.len())?;
    for (at, schema) in report.schemas.iter().enumerate() {
        let (columns, files) = (schema.columns.len() as u64, count(schema.files, "file"));
        writeln!(out, "  {}: {}, {files}, since {}", at + 1, count(columns, "column"), schema.since)?;
        for change in &schema.changes {
            writeln!(out, "     {change}")?;
        }
    }
    Ok(())
}

fn count(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

fn list(out: &mut String, title: &str, lines: impl ExactSizeIterator<Item = String>) -> std::fmt::Result {
    let all = lines.len();
    if all > 0 && !title.is_empty() {
        writeln!(out, "\n{title}:")?;
    }
    for line in lines.take(SHOWN_MAX) {
        writeln!(out, "  {line}")?;
    }
    if all > SHOWN_MAX {
        writeln!(out, "  and {} more; --json shows all", all - SHOWN_MAX)?;
    }
    Ok(())
}

/// The first column to the left, numbers to the right, the last as it comes.
fn table<const N: usize>(out: &mut String, head: &[&str; N], rows: &[[String; N]]) -> std::fmt::Result {
    if rows.is_empty() {
        return Ok(());
    }
    let mut widths = head.map(str::len);
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let is_number = |at: usize| rows.iter().all(|row| row[at].starts_with(|first: char| first.is_ascii_digit()));
    let mut line = |cells: [&str; N]| {
        let mut text = String::new();
        for (at, (cell, width)) in cells.into_iter().zip(widths).enumerate() {
            let gap = if at == 0 { "" } else { "  " };
            match at > 0 && is_number(at) {
                true => write!(text, "{gap}{cell:>width$}")?,
                false => write!(text, "{gap}{cell:<width$}")?,
            }
        }
        writeln!(out, "{}", text.trim_end())
    };
    line([""; N])?;
    line(head.map(|cell| cell))?;
    for row in rows {
        line(std::array::from_fn(|at| row[at].as_str()))?;
    }
    Ok(())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_000 => format!("{bytes} B"),
        10_000..10_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        10_000_000..10_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}
