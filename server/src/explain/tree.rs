//! A trace drawn below the filter: one line for each sub-expression, with its source underlined, its value indented by its
//! depth, and the reason behind it.

use engine::filter::Trace;

/// Longest filter that is underlined; a longer one would wrap, so its parts are quoted instead.
const UNDERLINED_CHARS_MAX: usize = 100;
/// Longest value or piece of source that is shown whole.
const SHOWN_CHARS_MAX: usize = 80;

pub(super) fn draw(text: &str, trace: &Trace, color: bool) -> String {
    let underline = !text.contains(['\n', '\r', '\t']) && text.chars().count() <= UNDERLINED_CHARS_MAX;
    let drawing = Drawing { text, underline, width: text.chars().count(), color };
    let mut out = String::new();
    if underline {
        out.push_str(&format!("  {text}\n"));
    }
    drawing.node(&mut out, trace, 0);
    out
}

struct Drawing<'t> {
    text: &'t str,
    underline: bool,
    width: usize,
    color: bool,
}

impl Drawing<'_> {
    fn node(&self, out: &mut String, trace: &Trace, depth: usize) {
        let source = self.text.get(trace.span.clone()).unwrap_or_default();
        let indent = "  ".repeat(depth);
        let value = self.painted(&cut(&trace.value));
        let reason = trace.reason.as_deref().map(|reason| format!("   ({reason})")).unwrap_or_default();
        if self.underline {
            let before = self.text[..trace.span.start].chars().count();
            let marked = source.chars().count().max(1);
            let line = format!("{}{}", " ".repeat(before), "^".repeat(marked));
            let width = self.width;
            out.push_str(&format!("  {line:width$}   {indent}{value}{reason}\n"));
        } else {
            out.push_str(&format!("  {indent}{value}   {}{reason}\n", cut(source)));
        }
        for child in &trace.children {
            if !is_literal(self.text, child) {
                self.node(out, child, depth + 1);
            }
        }
    }

    fn painted(&self, value: &str) -> String {
        let code = match value {
            "true" => "32",
            "false" => "31",
            "undefined" | "missing" => "33",
            _ => return value.to_owned(),
        };
        if self.color { format!("\u{1b}[{code}m{value}\u{1b}[0m") } else { value.to_owned() }
    }
}

/// A literal is its own value: nothing is to be shown.
fn is_literal(text: &str, trace: &Trace) -> bool {
    let source = text.get(trace.span.clone()).unwrap_or_default();
    trace.children.is_empty()
        && trace.reason.is_none()
        && (source == trace.value || source.starts_with(|c: char| c.is_ascii_digit() || "'\"-.".contains(c)))
}

/// One line of bounded length.
pub(super) fn cut(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(SHOWN_CHARS_MAX + 1).collect();
    match line.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line,
    }
}
