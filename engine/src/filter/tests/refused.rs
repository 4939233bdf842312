//! Filters that are refused or doubted, with everything that is said about them.
//!
//! `tests/corpus/filters-refused.txt` holds both the filters and the answers. `UPDATE_SNAPSHOTS=1` writes the answers anew.

use std::fmt::Write;

use crate::filter::*;

const CORPUS: &str = include_str!("../../../../tests/corpus/filters-refused.txt");
const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/corpus/filters-refused.txt");

/// Draws problems as plain text: message, place, the line with carets, label, help, and the filter as it would be mended.
fn draw(text: &str, problems: &[Diagnostic]) -> String {
    let mut out = String::new();
    for problem in problems {
        let (start, end) = problem.location(text);
        let _ = writeln!(out, "{} {start}-{end}: {}", problem.severity.name(), problem.message);
        let line = text.split('\n').nth(start.line - 1).unwrap_or_default();
        let carets =
            if end.line == start.line { end.column - start.column } else { line.chars().count() + 1 - start.column };
        let label = problem.label.as_deref().unwrap_or_default();
        let _ = writeln!(out, "{}", format!("  | {line}").trim_end());
        let _ = writeln!(
            out,
            "{}",
            format!("  | {}{} {label}", " ".repeat(start.column - 1), "^".repeat(carets.max(1))).trim_end()
        );
        if let Some(help) = &problem.help {
            let _ = writeln!(out, "  help: {help}");
        }
        if let Some(Suggestion { span, replacement }) = &problem.suggestion {
            let _ = writeln!(out, "  try:  {}{replacement}{}", &text[..span.start], &text[span.end..]);
        }
    }
    out
}

/// Filters of the corpus: lines `>` with the dialect, then lines of text, under headings `#`.
fn answer(corpus: &str) -> String {
    let mut out = String::new();
    let mut lines = corpus.lines().peekable();
    let mut dialect = Dialect::Anabranch;
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("## ") {
            dialect = Dialect::by_name(name).unwrap_or_else(|| panic!("dialect {name}"));
        }
        let Some(first) = line.strip_prefix("> ").or((line == ">").then_some("")) else {
            if line.starts_with('#')
                || (line.is_empty() && lines.peek().is_some_and(|next| next.starts_with(['>', '#'])))
            {
                out.push_str(line);
                out.push('\n');
            }
            continue;
        };
        let mut text = first.to_owned();
        let _ = writeln!(out, "{line}");
        while let Some(more) = lines.peek().and_then(|next| next.strip_prefix(". ")) {
            text.push('\n');
            text.push_str(more);
            let _ = writeln!(out, ". {more}");
            lines.next();
        }
        match Filter::compile(&text, dialect, &CompileOptions::default()) {
            Ok((_, warnings)) if warnings.is_empty() => out.push_str("accepted\n"),
            Ok((_, problems)) | Err(problems) => out.push_str(&draw(&text, &problems)),
        }
    }
    out
}

#[expect(clippy::disallowed_methods, reason = "UPDATE_SNAPSHOTS=1 rewrites the corpus")]
#[test]
fn refusals_read_like_help() {
    let found = answer(CORPUS);
    if std::env::var_os("UPDATE_SNAPSHOTS").is_some() {
        std::fs::write(PATH, found).expect("the corpus can be written");
        return;
    }
    let mut differences = String::new();
    for (number, (expected, found)) in CORPUS.lines().zip(found.lines()).enumerate() {
        if expected != found {
            let _ = writeln!(differences, "line {}:\n- {expected}\n+ {found}", number + 1);
        }
    }
    let (expected_lines, found_lines) = (CORPUS.lines().count(), found.lines().count());
    if expected_lines != found_lines {
        let _ = writeln!(differences, "{expected_lines} lines were expected, {found_lines} found");
    }
    assert!(
        differences.is_empty(),
        "messages changed; if they are better, UPDATE_SNAPSHOTS=1 cargo test -p engine refusals\n{differences}"
    );
}

/// What the sheet says must be refused is refused, whatever the words.
#[test]
fn documented_refusals_are_errors() {
    let section = CORPUS.split("\n# ").find(|section| section.starts_with("Refused at save")).expect("the section");
    let mut count = 0;
    for text in section.lines().filter_map(|line| line.strip_prefix("> ")) {
        let result = Filter::compile(text, Dialect::IotHub, &CompileOptions::default());
        assert!(result.is_err(), "{text} was accepted");
        count += 1;
    }
    assert!(count >= 26, "{count}");
}
