//! A plan written out again, in the words of its dialect: fully parenthesised, so that no precedence has to be known to read
//! it. What is printed compiles to an equal plan.

mod grid;

use std::fmt::{self, Write};

use super::Dialect;
use super::plan::{Expr, ExprKind, Literal, Reference, Step, System};

/// Writes `expr` as text of `dialect`.
pub(super) fn write(out: &mut dyn Write, expr: &Expr, dialect: Dialect) -> fmt::Result {
    let mut printer = Printer { out, dialect };
    match dialect {
        Dialect::Anabranch | Dialect::IotHub | Dialect::DigitalTwins => printer.expr(expr),
        Dialect::EventGrid => printer.event_grid(expr),
        Dialect::Mqtt => printer.topics(expr),
    }
}

struct Printer<'o> {
    out: &'o mut dyn Write,
    dialect: Dialect,
}

impl Printer<'_> {
    /// An operand: in parentheses unless it is simple.
    fn operand(&mut self, expr: &Expr) -> fmt::Result {
        let simple = match &expr.kind {
            ExprKind::Literal(Literal::Number(value)) => *value >= 0.0 && value.is_sign_positive(),
            ExprKind::Literal(_)
            | ExprKind::Reference(_)
            | ExprKind::Exists(_)
            | ExprKind::Call { .. }
            | ExprKind::TwinChangeIncludes(_)
            | ExprKind::Topic { .. } => true,
            _ => false,
        };
        if simple {
            return self.expr(expr);
        }
        self.out.write_char('(')?;
        self.expr(expr)?;
        self.out.write_char(')')
    }

    fn joined(&mut self, parts: &[Expr], between: &str) -> fmt::Result {
        for (index, part) in parts.iter().enumerate() {
            if index > 0 {
                self.out.write_str(between)?;
            }
            self.operand(part)?;
        }
        Ok(())
    }

    /// The lines of an MQTT filter.
    fn topics(&mut self, root: &Expr) -> fmt::Result {
        let mut lines = Vec::new();
        root.walk(&mut |expr| {
            if let ExprKind::Topic { filter, .. } = &expr.kind {
                lines.push(filter.text());
            }
        });
        self.out.write_str(&lines.join("\n"))
    }

    fn sides(&mut self, left: &Expr, op: &str, right: &Expr) -> fmt::Result {
        self.operand(left)?;
        write!(self.out, " {op} ")?;
        self.operand(right)
    }

    fn expr(&mut self, expr: &Expr) -> fmt::Result {
        let not = |negated: bool| if negated { " NOT" } else { "" };
        match &expr.kind {
            ExprKind::Literal(literal) => self.literal(literal),
            ExprKind::Reference(reference) => self.reference(reference),
            ExprKind::Not(inner) => {
                self.out.write_str("NOT ")?;
                self.operand(inner)
            }
            ExprKind::Negate(inner) => {
                self.out.write_str("- ")?;
                self.operand(inner)
            }
            ExprKind::And(parts) => self.joined(parts, " AND "),
            ExprKind::Or(parts) => self.joined(parts, " OR "),
            ExprKind::Compare { op, left, right } => self.sides(left, op.symbol(), right),
            ExprKind::Arithmetic { op, left, right } => self.sides(left, op.symbol(), right),
            ExprKind::Join(left, right) => self.sides(left, "||", right),
            ExprKind::Coalesce(left, right) => self.sides(left, "??", right),
            ExprKind::In { value, list, negated } => {
                self.operand(value)?;
                write!(self.out, "{} IN (", not(*negated))?;
                self.joined(list, ", ")?;
                self.out.write_char(')')
            }
            ExprKind::Between { value, low, high, negated } => {
                self.operand(value)?;
                write!(self.out, "{} BETWEEN ", not(*negated))?;
                self.sides(low, "AND", high)
            }
            ExprKind::Like { value, pattern, negated } => {
                self.operand(value)?;
                write!(self.out, "{} LIKE ", not(*negated))?;
                let (text, escape) = pattern.source();
                self.string(text)?;
                match escape {
                    Some(escape) => {
                        self.out.write_str(" ESCAPE ")?;
                        self.string(escape.encode_utf8(&mut [0; 4]))
                    }
                    None => Ok(()),
                }
            }
            ExprKind::IsNull { value, negated } => {
                self.operand(value)?;
                write!(self.out, " IS{} NULL", not(*negated))
            }
            ExprKind::Exists(reference) => {
                self.out.write_str("EXISTS(")?;
                self.reference(reference)?;
                self.out.write_char(')')
            }
            ExprKind::Call { function, args } => {
                write!(self.out, "{}(", function.name())?;
                self.joined(args, ", ")?;
                self.out.write_char(')')
            }
            ExprKind::TwinChangeIncludes(path) => {
                self.out.write_str("twin_change_includes(")?;
                if let Reference::Body(path) = path {
                    self.steps(path, true)?;
                }
                self.out.write_char(')')
            }
            ExprKind::Grid(_) => self.event_grid(expr),
            ExprKind::Topic { value, filter } => {
                self.out.write_str("topic_matches(")?;
                self.operand(value)?;
                self.out.write_str(", ")?;
                self.string(filter.text())?;
                self.out.write_char(')')
            }
        }
    }

    fn literal(&mut self, literal: &Literal) -> fmt::Result {
        match literal {
            Literal::String(text) => self.string(text),
            // Forms that only the IoT Hub lexer lets through: a real without digits is undefined.
            Literal::Number(value) if value.is_nan() => self.out.write_str("e0"),
            Literal::Number(value) if value.is_infinite() => {
                self.out.write_str(if *value > 0.0 { "1e999" } else { "-1e999" })
            }
            Literal::Number(value) if value.abs() >= 1e21 || (*value != 0.0 && value.abs() < 1e-7) => {
                write!(self.out, "{value:e}")
            }
            Literal::Number(value) => write!(self.out, "{value}"),
            Literal::Bool(value) => write!(self.out, "{value}"),
            Literal::Null => self.out.write_str("null"),
            Literal::Undefined => self.out.write_str("undefined"),
        }
    }

    fn string(&mut self, text: &str) -> fmt::Result {
        self.out.write_char('\'')?;
        for c in text.chars() {
            match c {
                '\'' | '\\' => write!(self.out, "\\{c}")?,
                c if c.is_control() => {
                    for unit in c.encode_utf16(&mut [0; 2]) {
                        write!(self.out, "\\u{unit:04x}")?;
                    }
                }
                c => self.out.write_char(c)?,
            }
        }
        self.out.write_char('\'')
    }

    fn reference(&mut self, reference: &Reference) -> fmt::Result {
        let hub = self.dialect == Dialect::IotHub;
        match reference {
            Reference::Attribute(name) if super::resolve::CONTEXT_ATTRIBUTES.contains(&&**name) => {
                self.out.write_str(name)
            }
            Reference::Attribute(name) => {
                self.out.write_str("$attribute.")?;
                self.name(name)
            }
            Reference::Property(name) if hub => self.out.write_str(name),
            Reference::Property(name) => {
                self.out.write_str("$property.")?;
                self.name(name)
            }
            Reference::System(name) if hub => write!(self.out, "{{${}}}", system_name(name)),
            Reference::System(name) => {
                self.out.write_char('$')?;
                self.name(system_name(name))
            }
            Reference::SystemOrProperty { property, .. } => self.out.write_str(property),
            Reference::Body(path) => {
                self.out.write_str("$body")?;
                self.steps(path, false)
            }
            Reference::NoBody => self.out.write_str("$body"),
            Reference::Column(column) => write!(self.out, "$column{column}"),
        }
    }

    fn steps(&mut self, path: &[Step], bare: bool) -> fmt::Result {
        for (index, step) in path.iter().enumerate() {
            match step {
                Step::Member(name) => {
                    if !(bare && index == 0) {
                        self.out.write_char('.')?;
                    }
                    self.name(name)?;
                }
                Step::Element(element) => write!(self.out, "[{element}]")?,
            }
        }
        Ok(())
    }

    /// A name behind a sign or a dot; in backticks where it needs them.
    fn name(&mut self, name: &str) -> fmt::Result {
        let plain = match self.dialect {
            Dialect::IotHub => true,
            Dialect::Anabranch => is_plain(name),
            // This dialect has no backticks, and `$` may start a name.
            Dialect::DigitalTwins | Dialect::EventGrid | Dialect::Mqtt => true,
        };
        if plain { self.out.write_str(name) } else { write!(self.out, "`{}`", name.replace('`', "``")) }
    }
}

fn is_plain(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(|c| c.is_alphabetic() || c == '_') && chars.all(|c| c.is_alphanumeric() || c == '_')
}

fn system_name(system: &System) -> &str {
    match system {
        System::Known(known) => known.keyword,
        System::Header(header) => header.strip_prefix("iothub-").unwrap_or(header),
    }
}
