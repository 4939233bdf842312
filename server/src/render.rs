//! Problems of filters and configurations as people read them: the source with the place underlined, what is wrong, the way out.

use annotate_snippets::{AnnotationKind, Group, Level, Patch, Renderer, Snippet};
use engine::filter::{Diagnostic, Severity, Suggestion};

/// Draws `diagnostics` about `text`, which came from `origin` (a file name, or what else the reader knows it by). Ends with a
/// newline unless there is nothing to say.
pub fn diagnostics(origin: &str, text: &str, diagnostics: &[Diagnostic], color: bool) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() };
    let mut out = String::new();
    for (index, diagnostic) in diagnostics.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        out.push_str(&renderer.render(&report(origin, text, diagnostic)));
        out.push('\n');
    }
    out
}

fn report<'a>(origin: &'a str, text: &'a str, diagnostic: &'a Diagnostic) -> Vec<Group<'a>> {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Warning => Level::WARNING,
    };
    let annotation = AnnotationKind::Primary.span(diagnostic.span.clone()).label(diagnostic.label.as_deref());
    let snippet = Snippet::source(text).path(origin).annotation(annotation);
    let main = Group::with_title(level.primary_title(diagnostic.message.as_str())).element(snippet);
    let help = diagnostic.help.as_deref();
    match &diagnostic.suggestion {
        None => match help {
            Some(help) => vec![main.element(Level::HELP.message(help))],
            None => vec![main],
        },
        Some(Suggestion { span, replacement }) => {
            let patch = Patch::new(span.clone(), replacement.as_str());
            let change = Group::with_title(Level::HELP.secondary_title(help.unwrap_or("write it like this")))
                .element(Snippet::source(text).path(origin).patch(patch));
            vec![main, change]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use engine::filter::{CompileOptions, Dialect, Filter};

    #[test]
    fn problems_show_the_place_and_the_way_out() {
        let text = "temp > 30\nAND lenght(x) = 1";
        let problems = Filter::compile(text, Dialect::Anabranch, &CompileOptions::default()).expect_err("refused");
        let drawn = diagnostics("route `hot`", text, &problems, false);
        for part in [
            "error: there is no function `lenght`",
            "route `hot`:2:5",
            "AND lenght(x) = 1",
            "^^^^^^",
            "length(x)",
            "help: did",
        ] {
            assert!(drawn.contains(part), "{part:?} is missing in\n{drawn}");
        }
        assert!(diagnostics("f", text, &problems, true).contains('\u{1b}'));
    }

    #[test]
    fn every_kind_of_place_can_be_drawn() {
        for text in ["", "temp >", "'open", "(temp", "ä = 'ö' x", "x == 1\r\n AND y", "status = \u{1b}[31m"] {
            for dialect in Dialect::ALL {
                let problems = match Filter::compile(text, dialect, &CompileOptions::default()) {
                    Ok((_, warnings)) => warnings,
                    Err(problems) => problems,
                };
                let drawn = diagnostics("filter", text, &problems, false);
                assert_eq!(drawn.is_empty(), problems.is_empty(), "{text:?}");
                assert!(!drawn.contains('\u{1b}'), "{drawn:?}");
            }
        }
    }
}
