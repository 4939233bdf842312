//! The filter language: text in, "does this event match" out. One compiler, five dialects, one plan, three-valued logic.
//!
//! The way of a filter: `lex` (where a name ends) → `parse` (what belongs together) → `check` with `resolve` (what names
//! mean, which types fit) → `plan`, which `eval` interprets. `docs/filters.md` describes the language for its users.
//!
//! What always holds:
//! - **Compiling is total.** Any text gives a filter or a list of problems with their places; it never panics and its cost is
//!   bounded by [`limits`].
//! - **Evaluating cannot fail.** What makes no sense for an event is undefined, and only true routes.
//! - **Static names.** What a name refers to depends on the text alone, never on what an event happens to carry.
//! - **No memory per event**, but for functions that put strings together.

mod case;
mod check;
mod diagnostic;
mod eval;
mod eventgrid;
mod functions;
pub mod grid;
mod lex;
mod mqtt;
mod parse;
mod pattern;
pub mod plan;
mod print;
mod resolve;
mod syntax;
mod token;
pub mod topic;
mod trace;
mod value;

#[cfg(test)]
pub(crate) mod tests;

use std::fmt;

pub use crate::event::Source;
pub use case::{fold, fold_char};
pub use diagnostic::{Diagnostic, LineColumn, Severity, Span, Suggestion, nearest};
pub use eval::{Facts, Presence, body_readable, body_text, header_value, looks_like_date_time};
pub use functions::{Function, Param, SIGNATURES, Signature};
pub use grid::{GridCondition, GridOperand, GridOperator, GridValues};
pub use pattern::{Pattern, PatternError, Piece};
pub use topic::{TopicError, TopicFilter};
pub use trace::Trace;
pub use value::{Short, Text, Truth, Value};

use crate::event::Event;
use crate::limits;
use eval::{Interpreter, Whole};
use plan::{Expr, ExprKind, Literal, Semantics, Type};

/// Which language a filter is written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// Ours.
    #[default]
    Anabranch,
    /// Routing queries of Azure IoT Hub.
    IotHub,
    /// Route filters of Azure Digital Twins.
    DigitalTwins,
    /// Filters of Azure Event Grid subscriptions, in JSON.
    EventGrid,
    /// MQTT topic filters, one to a line, on the attribute `subject`.
    Mqtt,
}

impl Dialect {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Anabranch, Self::IotHub, Self::DigitalTwins, Self::EventGrid, Self::Mqtt];

    /// Its name in configurations.
    pub fn name(self) -> &'static str {
        match self {
            Self::Anabranch => "anabranch",
            Self::IotHub => "iothub",
            Self::DigitalTwins => "digitaltwins",
            Self::EventGrid => "eventgrid",
            Self::Mqtt => "mqtt",
        }
    }

    /// The dialect of that name, in any case.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.name().eq_ignore_ascii_case(name))
    }

    /// The filter of a route that names none: it takes everything, in the MQTT dialect every topic that is no server's own.
    pub fn default_filter(self) -> &'static str {
        match self {
            Self::Anabranch | Self::IotHub | Self::DigitalTwins => "true",
            Self::EventGrid => "{}",
            Self::Mqtt => "#",
        }
    }

    /// A filter of this dialect may look into the data of the event: see [`body_readable`].
    pub fn body_readable(self, event: &Event<'_>) -> bool {
        body_readable(event, self)
    }

    /// A syntax error: IoT Hub's own message with the detail beside the caret, or the detail itself.
    fn syntax_error(self, span: Span, detail: &str) -> Diagnostic {
        match self {
            Self::IotHub => Diagnostic::error(span, "Syntax error.").label(detail),
            _ => Diagnostic::error(span, detail),
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What the text alone does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CompileOptions {
    /// Source of the route; a function exists for one of them only.
    pub source: Source,
    /// In the IoT Hub dialect: strings of the data that look like a date and time are undefined, as users saw on Azure.
    pub azure_date_quirk: bool,
}

/// A compiled filter.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    text: Box<str>,
    root: Expr,
    semantics: Semantics,
    reads_body: bool,
    cost: u32,
}

impl Filter {
    /// Compiles `text`: the filter and what is doubtful about it, or all that is wrong with it. Problems are in the order of
    /// their places, at most [`limits::FILTER_PROBLEMS_MAX`] of them.
    pub fn compile(
        text: &str,
        dialect: Dialect,
        options: &CompileOptions,
    ) -> Result<(Self, Vec<Diagnostic>), Vec<Diagnostic>> {
        let most = limits::FILTER_BYTES_MAX;
        if text.len() > most {
            let message = format!("the filter has {} bytes, more than the {most} that are allowed", text.len());
            return Err(vec![Diagnostic::error(0..0, message).help("split it into several routes to one endpoint")]);
        }
        let mut problems = Vec::new();
        let root = compile_root(text, dialect, options, &mut problems);
        problems.sort_by_key(|problem| (problem.span.start, problem.span.end));
        problems.dedup();
        let wrong = problems.iter().any(|problem| problem.severity == Severity::Error);
        if wrong && problems.len() > limits::FILTER_PROBLEMS_MAX {
            problems.retain(|problem| problem.severity == Severity::Error);
        }
        problems.truncate(limits::FILTER_PROBLEMS_MAX);
        if wrong {
            return Err(problems);
        }
        let quirk = options.azure_date_quirk && dialect == Dialect::IotHub;
        let filter = Self {
            text: text.into(),
            semantics: Semantics { dialect, azure_date_quirk: quirk },
            reads_body: root.reads_body(),
            cost: root.cost(),
            root,
        };
        Ok((filter, problems))
    }

    /// Its text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its dialect.
    pub fn dialect(&self) -> Dialect {
        self.semantics.dialect
    }

    /// The plan.
    pub fn root(&self) -> &Expr {
        &self.root
    }

    /// The rules under which the plan is evaluated.
    pub fn semantics(&self) -> Semantics {
        self.semantics
    }

    /// It looks into the data of events, so the data must be parsed for it.
    pub fn reads_body(&self) -> bool {
        self.reads_body
    }

    /// Worst-case work of one evaluation, in units of about one comparison.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Its answer for one event. `body` is the parsed data; `None` where it is no JSON or [`Dialect::body_readable`] says no.
    pub fn eval(&self, event: &Event<'_>, body: Option<crate::parse::Value<'_>>) -> Truth {
        Interpreter { facts: Whole { event: *event, body }, semantics: self.semantics }.result(&self.root)
    }

    /// As [`eval`](Self::eval), with the value of every sub-expression and why it has it. For people, not for speed.
    pub fn trace(&self, event: &Event<'_>, body: Option<crate::parse::Value<'_>>) -> Trace {
        trace::trace(&Interpreter { facts: Whole { event: *event, body }, semantics: self.semantics }, &self.root)
    }
}

/// What `expr` answers for an event of which `facts` are known. [`Filter::eval`] is this with the facts of the event itself.
pub fn truth_of<'v>(expr: &'v Expr, facts: impl Facts<'v>, semantics: Semantics) -> Truth {
    Interpreter { facts, semantics }.result(expr)
}

/// Written out with all parentheses; compiles to an equal plan.
impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print::write(f, &self.root, self.dialect())
    }
}

fn compile_root(text: &str, dialect: Dialect, options: &CompileOptions, problems: &mut Vec<Diagnostic>) -> Expr {
    let root = match dialect {
        Dialect::Anabranch | Dialect::IotHub | Dialect::DigitalTwins => {
            compile_condition(text, dialect, options, problems)
        }
        Dialect::EventGrid => eventgrid::compile(text, problems),
        Dialect::Mqtt => mqtt::compile(text, problems),
    };
    let mut nodes = 0usize;
    root.walk(&mut |_| nodes += 1);
    let most = limits::FILTER_NODES_MAX;
    if nodes > most {
        let message = format!("the filter has {nodes} parts, more than the {most} that are allowed");
        problems.push(Diagnostic::error(0..text.len(), message).help("split it into several routes to one endpoint"));
    }
    let (cost, most) = (root.cost(), limits::FILTER_COST_MAX);
    if cost > most {
        let dearest = dearest(&root);
        let message = format!("the filter may cost {cost} units for one event, more than the {most} that are allowed");
        let problem =
            Diagnostic::error(dearest.span.clone(), message).label(format!("this part costs {}", dearest.cost()));
        problems.push(problem.help("shorten it, or split the filter into several routes to one endpoint"));
    }
    root
}

/// The smallest part that holds most of the cost.
fn dearest(expr: &Expr) -> &Expr {
    let mut best: Option<&Expr> = None;
    expr.each_child(&mut |child| {
        if best.is_none_or(|best| child.cost() > best.cost()) {
            best = Some(child);
        }
    });
    match best {
        Some(child) if child.cost() > expr.cost() / 2 => dearest(child),
        _ => expr,
    }
}

/// The dialects that are written as conditions.
fn compile_condition(text: &str, dialect: Dialect, options: &CompileOptions, problems: &mut Vec<Diagnostic>) -> Expr {
    let tokens = lex::lex(text, dialect, problems);
    if let Some(node) = parse::parse(text, &tokens, dialect, problems) {
        return check::check(&node, text, dialect, options, problems);
    }
    let span = 0..text.len();
    if dialect == Dialect::IotHub {
        let warning = Diagnostic::warning(span.clone(), "an empty condition never routes anything");
        problems.push(warning.help("write `true` to route everything"));
    } else {
        let problem = Diagnostic::error(span.clone(), "the filter is empty");
        problems.push(problem.help("write `true` to match everything"));
    }
    Expr { kind: ExprKind::Literal(Literal::Undefined), ty: Type::Undefined, span }
}
