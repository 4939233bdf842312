//! Calls: does the function exist here, and do the arguments fit.

use super::super::diagnostic::nearest;
use super::super::functions::{SIGNATURES, Signature};
use super::super::plan::{Expr, ExprKind, Reference, Type};
use super::super::syntax::{Node, NodeKind};
use super::super::{Diagnostic, Dialect, Source, Span, resolve};
use super::Checker;

const TWIN_CHANGE_INCLUDES: &str = "twin_change_includes";
const TOPIC_MATCHES: &str = "topic_matches";

/// Names of other languages and what does the same here.
const FOREIGN: [(&str, &str); 21] = [
    ("len", "length"),
    ("size", "length"),
    ("tolower", "lower"),
    ("to_lower", "lower"),
    ("lowercase", "lower"),
    ("toupper", "upper"),
    ("to_upper", "upper"),
    ("uppercase", "upper"),
    ("substr", "substring"),
    ("ceil", "ceiling"),
    ("pow", "power"),
    ("to_number", "as_number"),
    ("tonumber", "as_number"),
    ("number", "as_number"),
    ("int", "as_number"),
    ("float", "as_number"),
    ("indexof", "index_of"),
    ("position", "index_of"),
    ("includes", "contains"),
    ("isnull", "is_null"),
    ("isdefined", "is_defined"),
];

impl Checker<'_> {
    pub(super) fn call(
        &mut self,
        name: &str,
        name_span: &Span,
        args: &[Node],
        span: &Span,
    ) -> Option<(ExprKind, Type)> {
        if name.eq_ignore_ascii_case(TWIN_CHANGE_INCLUDES) && self.dialect == Dialect::IotHub {
            return self.twin_change_includes(name, name_span, args, span);
        }
        if name.eq_ignore_ascii_case(TOPIC_MATCHES) && self.dialect == Dialect::Anabranch {
            return self.topic_matches(args, span);
        }
        let signature = Signature::by_name(name).filter(|signature| signature.function.is_in(self.dialect));
        let Some(signature) = signature else {
            // Look at the arguments all the same: they may be wrong as well.
            self.exprs(args);
            self.unknown_function(name, name_span);
            return None;
        };
        let args = self.exprs(args);
        let (least, most) = signature.arity;
        if args.len() < least || args.len() > most {
            let wanted = match (least, most) {
                (least, usize::MAX) => format!("{least} or more arguments"),
                (1, 1) => "1 argument".to_owned(),
                (least, most) if least == most => format!("{least} arguments"),
                (least, most) => format!("{least} to {most} arguments"),
            };
            let detail = format!("it takes {wanted}, not {}", args.len());
            let problem = self.bad_arguments(signature, name, &args, span.clone(), &detail);
            self.report(problem.help(format!("for example `{}`", signature.example)));
            return None;
        }
        let wrong = args.iter().enumerate().find(|(index, arg)| !signature.param(*index).takes(arg.ty));
        if let Some((index, arg)) = wrong {
            let param = signature.param(index);
            let detail = format!("argument {} must be {}", index + 1, param.name());
            let text = self.text_of(&arg.span).to_owned();
            let problem = self.bad_arguments(signature, name, &args, arg.span.clone(), &detail);
            let problem = match (param.takes(Type::Number), param.takes(Type::String), arg.ty) {
                (true, false, Type::String) if matches!(arg.kind, ExprKind::Literal(_)) => {
                    problem.help(format!("for example `{}`", signature.example))
                }
                (true, false, Type::String) => problem
                    .help("`as_number` makes a number of a string")
                    .suggest(arg.span.clone(), format!("as_number({text})")),
                (false, true, Type::Number) => {
                    problem.help("strings stand in quotes").suggest(arg.span.clone(), format!("'{text}'"))
                }
                _ => problem.help(format!("for example `{}`", signature.example)),
            };
            self.report(problem);
            return None;
        }
        Some((ExprKind::Call { function: signature.function, args }, signature.result))
    }

    fn bad_arguments(&self, signature: &Signature, name: &str, args: &[Expr], span: Span, detail: &str) -> Diagnostic {
        let given = args.iter().map(|arg| arg.ty.name()).collect::<Vec<_>>().join(", ");
        match self.dialect {
            Dialect::IotHub => Diagnostic::error(
                span,
                format!("Invalid arguments to built-in function '{name}': {name}({given}). Error: {detail}"),
            ),
            _ => Diagnostic::error(span, format!("wrong arguments of `{}`: {detail}", signature.function.name())),
        }
    }

    fn unknown_function(&mut self, name: &str, span: &Span) {
        let message = match self.dialect {
            Dialect::IotHub => format!("Invalid built-in function '{name}'"),
            _ => format!("there is no function `{name}`"),
        };
        let problem = Diagnostic::error(span.clone(), message);
        let lower = name.to_ascii_lowercase();
        let dialect = self.dialect;
        let here =
            SIGNATURES.iter().filter(|signature| signature.function.is_in(dialect)).map(|signature| signature.name);
        let here = here.chain((dialect == Dialect::Anabranch).then_some(TOPIC_MATCHES));
        let ours = FOREIGN.iter().find(|(theirs, _)| *theirs == lower).map(|(_, ours)| *ours);
        let near = ours.filter(|_| dialect != Dialect::DigitalTwins).or_else(|| nearest(name, here));
        let problem = match near {
            Some(near) => problem.help(format!("did you mean `{near}`?")).suggest(span.clone(), near),
            None if lower == TWIN_CHANGE_INCLUDES => problem.help("write `EXISTS($body.properties.…)`"),
            None if matches!(&*lower, "exists" | "defined" | "has") && dialect == Dialect::IotHub => {
                problem.help("write `is_defined(x)`").suggest(span.clone(), "is_defined")
            }
            None if dialect == Dialect::DigitalTwins => {
                problem.help("the functions of this dialect are STARTS_WITH, ENDS_WITH and CONTAINS")
            }
            None if matches!(&*lower, "regex" | "matches" | "regexp_like" | "regexp") && dialect == Dialect::IotHub => {
                problem.help("there are no regular expressions; use `starts_with`, `ends_with` or `contains`")
            }
            None if matches!(&*lower, "regex" | "matches" | "regexp_like" | "regexp") => problem
                .help("there are no regular expressions; use `x LIKE 'a%'`, `starts_with`, `ends_with` or `contains`"),
            None if matches!(&*lower, "now" | "getdate" | "current_timestamp") => {
                problem.help("a filter knows no clock: the same event gives the same answer whenever it is replayed")
            }
            None => problem.help("the functions are listed in docs/filters.md"),
        };
        self.report(problem);
    }

    fn twin_change_includes(
        &mut self,
        name: &str,
        name_span: &Span,
        args: &[Node],
        span: &Span,
    ) -> Option<(ExprKind, Type)> {
        if self.options.source != Source::TwinChangeEvents {
            let problem = Diagnostic::error(name_span.clone(), format!("Invalid built-in function '{name}'"))
                .help("it is there for routes with the source TwinChangeEvents only");
            self.report(problem);
            return None;
        }
        let [Node { kind: NodeKind::Name(path), span: path_span, .. }] = args else {
            let problem = Diagnostic::error(
                span.clone(),
                format!("Invalid arguments to built-in function '{name}': {name}(path). Error: it takes one bare path"),
            )
            .help("for example `twin_change_includes(properties.reported.firmware)`");
            self.report(problem);
            return None;
        };
        let path = resolve::twin_change_path(self, path, path_span)?;
        Some((ExprKind::TwinChangeIncludes(Reference::Body(path)), Type::Bool))
    }
}
