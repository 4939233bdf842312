//! `topic_matches(topic, 'filter')`: the topic filter is known beforehand, so that it is refused where it is written.

use super::super::mqtt;
use super::super::plan::{ExprKind, Type};
use super::super::syntax::{Node, NodeKind};
use super::super::topic::TopicFilter;
use super::super::{Diagnostic, Span};
use super::Checker;

const EXAMPLE: &str = "for example `topic_matches(subject, 'sensors/+/temp')`";

impl Checker<'_> {
    pub(super) fn topic_matches(&mut self, args: &[Node], span: &Span) -> Option<(ExprKind, Type)> {
        let [value, filter] = args else {
            self.exprs(args);
            let detail = format!("it takes 2 arguments, not {}", args.len());
            self.wrong_topic(span, &detail, EXAMPLE);
            return None;
        };
        let value = Box::new(self.expr(value));
        let is_text = matches!(value.ty, Type::String | Type::Dynamic);
        if !is_text {
            self.wrong_topic(&value.span, "argument 1 must be a string", EXAMPLE);
        }
        let filter = match &filter.kind {
            NodeKind::String(text) => TopicFilter::new(text).map_err(|error| {
                // With escapes in it, places in the text are not places in the source.
                let inside = filter.span.start + 1..filter.span.end.saturating_sub(1);
                let problem = match self.text_of(&inside) == text && !text.is_empty() {
                    true => mqtt::refused(&error, text, inside.start),
                    false => Diagnostic::error(filter.span.clone(), error.to_string()).help(error.help(text)),
                };
                self.report(problem);
            }),
            NodeKind::Error => Err(()),
            _ => {
                let help = "to compare with a value of the event use `=` or `starts_with`";
                self.wrong_topic(&filter.span, "argument 2 must be a string literal", help);
                Err(())
            }
        };
        let filter = filter.ok().filter(|_| is_text)?;
        Some((ExprKind::Topic { value, filter }, Type::Bool))
    }

    fn wrong_topic(&mut self, span: &Span, detail: &str, help: &str) {
        let problem = Diagnostic::error(span.clone(), format!("wrong arguments of `topic_matches`: {detail}"));
        self.report(problem.help(help));
    }
}
