//! `dead-letters list`

use std::io::{BufWriter, Write};

use connectors::webhook::dead_letter::{DeadLetter, Lines};

use super::ListArgs;
use super::files::{Failure, files, shown};

/// Most of a detail in the table; `--json` has all of it.
const DETAIL_CHARS_MAX: usize = 60;

/// Prints the dead letters as a table, or as they are. False if a line was unreadable.
pub(super) fn list(args: &ListArgs, out: &mut impl Write) -> Result<bool, Failure> {
    let mut out = BufWriter::new(out);
    let (mut count, mut readable) = (0u64, true);
    for path in files(&args.at)? {
        let lines = Lines::open(&path).map_err(|source| Failure::Open { path: shown(&path), source })?;
        for line in lines {
            let line = line.map_err(|source| Failure::Read { path: shown(&path), source })?;
            let letter = match line.letter {
                Ok(letter) => letter,
                Err(error) => {
                    eprintln!("{}:{}: no dead letter: {error}", shown(&path), line.number);
                    readable = false;
                    continue;
                }
            };
            if args.at.endpoint.as_ref().is_some_and(|wanted| *wanted != letter.endpoint) {
                continue;
            }
            if args.json {
                serde_json::to_writer(&mut out, &letter).map_err(std::io::Error::from)?;
                writeln!(out)?;
            } else {
                if count == 0 {
                    row(&mut out, ["ENDPOINT", "PLACE", "REASON", "OUTCOME", "ATTEMPTS", "LAST ATTEMPT", "DETAIL"])?;
                }
                table_row(&mut out, &letter)?;
            }
            count += 1;
        }
    }
    if !args.json {
        match count {
            0 => writeln!(out, "no dead letters")?,
            count => writeln!(out, "{count} dead letter{}", if count == 1 { "" } else { "s" })?,
        }
    }
    out.flush()?;
    Ok(readable)
}

fn table_row(out: &mut impl Write, letter: &DeadLetter) -> std::io::Result<()> {
    let place = format!("{}:{}", letter.partition, letter.offset);
    let outcome = match (&letter.outcome, letter.status) {
        (Some(outcome), Some(status)) => format!("{outcome} {status}"),
        (Some(outcome), None) => outcome.clone(),
        (None, _) => "-".to_owned(),
    };
    let detail: String = letter.detail.as_deref().unwrap_or("").chars().take(DETAIL_CHARS_MAX).collect();
    let last = letter.last_attempt.as_deref().unwrap_or("-");
    row(out, [&letter.endpoint, &place, &letter.reason, &outcome, &letter.attempts.to_string(), last, &detail])
}

fn row(out: &mut impl Write, cells: [&str; 7]) -> std::io::Result<()> {
    // Texts come from receivers: no control character of theirs reaches the terminal.
    let [endpoint, place, reason, outcome, attempts, last, detail] =
        cells.map(|cell| cell.replace(char::is_control, " "));
    let line = format!("{endpoint:<16} {place:<12} {reason:<27} {outcome:<24} {attempts:>8} {last:<24} {detail}");
    writeln!(out, "{}", line.trim_end())
}
