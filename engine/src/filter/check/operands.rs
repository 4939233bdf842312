//! Operands of operators: which types go together (sheet `iothub-and-twins.md` 1.7.4), and what to write where they don't.

use super::super::plan::{Comparison, Expr, ExprKind, Literal, Reference, Type};
use super::super::{Diagnostic, Dialect, Span};
use super::Checker;

/// A type with its article.
fn article(ty: Type) -> &'static str {
    match ty {
        Type::String => "a string",
        Type::Number => "a number",
        Type::Bool => "true or false",
        Type::Null => "null",
        Type::Undefined => "undefined",
        Type::Dynamic => "a value of the data",
    }
}

/// It has been refused, and nothing more is to be said about it.
pub(super) fn is_refused(expr: &Expr) -> bool {
    expr.ty == Type::Dynamic && matches!(expr.kind, ExprKind::Literal(_))
}

impl Checker<'_> {
    /// The operands of `a op b`, in the documented words for the IoT Hub dialect and in plain ones elsewhere.
    fn bad_operands(&self, op: &str, left: Type, right: Type, expected: Type, span: Span, plain: String) -> Diagnostic {
        match self.dialect {
            Dialect::IotHub => Diagnostic::error(
                span,
                format!(
                    "Invalid operands to binary operator '{op}': have '{left}' and '{right}', expected '{expected}' and '{expected}'"
                ),
            ),
            _ => Diagnostic::error(span, plain),
        }
    }

    fn bad_operand(&self, op: &str, ty: Type, expected: Type, span: Span, plain: String) -> Diagnostic {
        match self.dialect {
            Dialect::IotHub => Diagnostic::error(
                span,
                format!("Invalid operands to unary operator '{op}': have '{ty}', expected '{expected}'"),
            ),
            _ => Diagnostic::error(span, plain),
        }
    }

    /// `left op right` compares two of a kind; `span` is what to underline.
    pub(super) fn comparable(&mut self, op: Comparison, left: &Expr, right: &Expr, span: &Span) -> bool {
        if is_refused(left) || is_refused(right) {
            return true;
        }
        if self.dialect == Dialect::Anabranch && (left.ty == Type::Null || right.ty == Type::Null) {
            return self.refuse_null(op, left, right, span);
        }
        if left.ty == right.ty || left.ty == Type::Dynamic || right.ty == Type::Dynamic {
            return true;
        }
        let expected = if matches!(left.ty, Type::Null | Type::Undefined) { right.ty } else { left.ty };
        let plain = format!("{} cannot be compared with {}", article(left.ty), article(right.ty));
        let problem = self.bad_operands(op.symbol(), left.ty, right.ty, expected, span.clone(), plain);
        let problem = self.help_compare(problem, op, left, right, span);
        self.report(problem);
        false
    }

    fn help_compare(&self, problem: Diagnostic, op: Comparison, left: &Expr, right: &Expr, span: &Span) -> Diagnostic {
        let (text, number) = match (left.ty, right.ty) {
            (Type::String, Type::Number) => (left, right),
            (Type::Number, Type::String) => (right, left),
            (Type::String, Type::Null) | (Type::Null, Type::String) if self.dialect == Dialect::IotHub => {
                let text = if left.ty == Type::String { left } else { right };
                let not = if op == Comparison::NotEqual { "NOT " } else { "" };
                return problem
                    .help("a property is compared with null by `is_null`")
                    .suggest(span.clone(), format!("{not}is_null({})", self.text_of(&text.span)));
            }
            (_, Type::Null) | (Type::Null, _) if self.dialect == Dialect::DigitalTwins => {
                return problem.help("attributes are strings; only members of the data can be null");
            }
            (Type::Bool, _) | (_, Type::Bool) => return self.help_bool(problem, left, right),
            _ => return problem.help("compare two values of one type"),
        };
        if let ExprKind::Literal(Literal::String(value)) = &text.kind {
            if value.parse::<f64>().is_ok() {
                return problem.help("numbers stand without quotes").suggest(text.span.clone(), &**value);
            }
            return problem.help("compare a number with a number");
        }
        if self.dialect == Dialect::DigitalTwins {
            return problem.help("this field is a string; compare it with a string in single quotes");
        }
        let source = self.text_of(&text.span);
        if let (ExprKind::Reference(Reference::Attribute(name)), Dialect::Anabranch) = (&text.kind, self.dialect)
            && **name == *source
        {
            return problem
                .help(format!(
                    "`{name}` is the attribute of the event, a string; the member of the data is `$body.{name}`"
                ))
                .suggest(text.span.clone(), format!("$body.{name}"));
        }
        let is_literal = matches!(number.kind, ExprKind::Literal(_));
        let what = match &text.kind {
            ExprKind::Reference(Reference::Attribute(_)) => "attributes are strings",
            ExprKind::Reference(_) => "properties are strings, whatever they hold",
            _ => "the other side is a string",
        };
        let how = if is_literal { "; `as_number` reads the number that they spell" } else { "; use `as_number`" };
        problem.help(format!("{what}{how}")).suggest(text.span.clone(), format!("as_number({source})"))
    }

    fn help_bool(&self, problem: Diagnostic, left: &Expr, right: &Expr) -> Diagnostic {
        let (flag, other) = if left.ty == Type::Bool { (left, right) } else { (right, left) };
        // `NOT x = 'y'` has been refused at NOT already; here stands `x = true` of a property, or a precedence slip.
        match (&flag.kind, other.ty) {
            (ExprKind::Literal(Literal::Bool(value)), Type::String) => problem
                .help("properties are strings: compare with the text")
                .suggest(flag.span.clone(), format!("'{value}'")),
            (ExprKind::Compare { .. }, _) => {
                problem.help("put parentheses where you want them: one side of this is a comparison of its own")
            }
            _ => problem.help("compare two values of one type"),
        }
    }

    /// In the default dialect nothing equals null; there is a word for what is meant.
    fn refuse_null(&mut self, op: Comparison, left: &Expr, right: &Expr, span: &Span) -> bool {
        let value = if left.ty == Type::Null { right } else { left };
        let source = self.text_of(&value.span).to_owned();
        let problem = Diagnostic::error(span.clone(), format!("`{}` never holds for null", op.symbol()));
        let problem = match op {
            Comparison::Equal if value.ty != Type::Null => problem
                .help("ask with IS NULL, which is true for what is absent or null")
                .suggest(span.clone(), format!("{source} IS NULL")),
            Comparison::NotEqual if value.ty != Type::Null => problem
                .help("ask with IS NOT NULL, which is true for what is there and not null")
                .suggest(span.clone(), format!("{source} IS NOT NULL")),
            _ => problem.help("null has no order; ask with IS NULL or IS NOT NULL"),
        };
        self.report(problem);
        false
    }

    /// Both sides of an arithmetic operator.
    pub(super) fn numbers(&mut self, op: &str, left: &Expr, right: &Expr, op_span: &Span) -> bool {
        let fits = |ty| matches!(ty, Type::Number | Type::Dynamic);
        if fits(left.ty) && fits(right.ty) || is_refused(left) || is_refused(right) {
            return true;
        }
        let wrong = if fits(left.ty) { right } else { left };
        let plain = format!("`{op}` takes numbers, and this is {}", article(wrong.ty));
        let span = if self.dialect == Dialect::IotHub { left.span.start..right.span.end } else { wrong.span.clone() };
        let problem = self.bad_operands(op, left.ty, right.ty, Type::Number, span, plain);
        let source = self.text_of(&wrong.span);
        let problem = match (op, &wrong.kind, wrong.ty) {
            ("+", _, Type::String) if left.ty == Type::String && right.ty == Type::String => {
                problem.help("strings are joined by `||`").suggest(op_span.clone(), "||")
            }
            (_, ExprKind::Literal(Literal::String(value)), _) if value.parse::<f64>().is_ok() => {
                problem.help("numbers stand without quotes").suggest(wrong.span.clone(), &**value)
            }
            (_, ExprKind::Literal(_), _) => problem.help("calculate with numbers only"),
            (_, _, Type::String) => problem
                .help("`as_number` makes a number of a string")
                .suggest(wrong.span.clone(), format!("as_number({source})")),
            _ => problem.help("calculate with numbers only"),
        };
        self.report(problem);
        false
    }

    /// The operand of unary minus.
    pub(super) fn negate_operand(&mut self, operand: &Expr, span: &Span) -> bool {
        if matches!(operand.ty, Type::Number | Type::Dynamic) {
            return true;
        }
        if self.dialect == Dialect::IotHub && matches!(operand.ty, Type::Null | Type::Undefined) {
            return true;
        }
        let plain = format!("`-` takes a number, and this is {}", article(operand.ty));
        let problem = self.bad_operand("-", operand.ty, Type::Number, span.clone(), plain);
        let source = self.text_of(&operand.span);
        let problem = match operand.ty {
            Type::String => problem
                .help("`as_number` makes a number of a string")
                .suggest(operand.span.clone(), format!("as_number({source})")),
            _ => problem.help("turn a number round only"),
        };
        self.report(problem);
        false
    }

    /// Both sides of `||`.
    pub(super) fn strings(&mut self, left: &Expr, right: &Expr, op_span: &Span) -> bool {
        let fits = |ty| matches!(ty, Type::String | Type::Dynamic);
        if fits(left.ty) && fits(right.ty) || is_refused(left) || is_refused(right) {
            return true;
        }
        let wrong = if fits(left.ty) { right } else { left };
        let plain = format!("`||` joins strings, and this is {}", article(wrong.ty));
        let span = if self.dialect == Dialect::IotHub { left.span.start..right.span.end } else { wrong.span.clone() };
        let problem = self.bad_operands("||", left.ty, right.ty, Type::String, span, plain);
        // `x > 3 || y` is an OR that was written in another language.
        let alternative = matches!(wrong.ty, Type::Bool)
            || self.text.get(..left.span.start).is_some_and(|before| before.trim_end().ends_with(['=', '<', '>']));
        let problem = if alternative {
            problem.help("`||` joins strings; to let either condition do, write OR").suggest(op_span.clone(), "OR")
        } else if wrong.ty == Type::Number && matches!(wrong.kind, ExprKind::Literal(_)) {
            let quoted = format!("'{}'", self.text_of(&wrong.span));
            problem.help("strings stand in quotes").suggest(wrong.span.clone(), quoted)
        } else {
            problem.help("join strings only")
        };
        self.report(problem);
        false
    }

    /// All sides of AND or OR.
    pub(super) fn logic_operands(&mut self, parts: &[Expr], op: &str) -> bool {
        let null_fits = self.dialect == Dialect::IotHub;
        let fits = |ty| match ty {
            Type::Bool | Type::Dynamic => true,
            Type::Null | Type::Undefined => null_fits,
            Type::String | Type::Number => false,
        };
        let Some(at) = parts.iter().position(|part| !fits(part.ty)) else { return true };
        let wrong = &parts[at];
        // Seen pairwise, from left to right.
        let (left, right) = if at == 0 { (&parts[0], &parts[1]) } else { (&parts[at - 1], wrong) };
        let left_ty = if at > 1 { Type::Bool } else { left.ty };
        let plain = format!("{} joins conditions, and this is {}", op.to_uppercase(), article(wrong.ty));
        let problem = self.bad_operands(op, left_ty, right.ty, Type::Bool, wrong.span.clone(), plain);
        let problem = match (&wrong.kind, wrong.ty) {
            (ExprKind::Reference(_), Type::String) => problem.help(format!(
                "a condition compares: `{0} = 'true'`; or asks: `is_defined({0})`",
                self.text_of(&wrong.span)
            )),
            (ExprKind::Literal(_), _)
                if at > 0
                    && let ExprKind::Compare { op, left, .. } = &parts[at - 1].kind =>
            {
                let whole = format!("{} {} {}", self.text_of(&left.span), op.symbol(), self.text_of(&wrong.span));
                problem.help("a comparison is written whole on both sides").suggest(wrong.span.clone(), whole)
            }
            _ => problem.help("compare it with something"),
        };
        self.report(problem);
        false
    }

    /// The operand of NOT.
    pub(super) fn not_operand(&mut self, operand: &Expr, span: &Span) -> bool {
        let hub = self.dialect == Dialect::IotHub;
        match operand.ty {
            Type::Bool | Type::Dynamic => return true,
            Type::Null | Type::Undefined if hub => return true,
            _ => {}
        }
        let plain = format!("NOT takes a condition, and this is {}", article(operand.ty));
        let problem = self.bad_operand("not", operand.ty, Type::Bool, span.clone(), plain);
        let after = self.text.get(span.end..).unwrap_or_default().trim_start();
        let problem = if hub && after.starts_with(['=', '<', '>', '!']) {
            problem.help("NOT binds tighter than a comparison here: write `NOT (x = 'y')`")
        } else {
            problem.help("compare it with something")
        };
        self.report(problem);
        false
    }

    /// What is matched by LIKE.
    pub(super) fn like_operand(&mut self, value: &Expr) -> bool {
        if matches!(value.ty, Type::String | Type::Dynamic) {
            return true;
        }
        let problem =
            Diagnostic::error(value.span.clone(), format!("LIKE takes a string, and this is {}", article(value.ty)));
        self.report(problem.help("compare numbers with `=`, `<` or BETWEEN"));
        false
    }

    /// Both sides of `??`; gives the type of the whole.
    pub(super) fn same_type(&mut self, left: &Expr, right: &Expr) -> Option<Type> {
        if left.ty == right.ty {
            return Some(left.ty);
        }
        if left.ty == Type::Dynamic || right.ty == Type::Dynamic {
            return Some(Type::Dynamic);
        }
        let plain =
            format!("`??` takes two values of one type, and these are {} and {}", article(left.ty), article(right.ty));
        let span = left.span.start..right.span.end;
        let problem = self.bad_operands("??", left.ty, right.ty, left.ty, span, plain);
        let problem = match (&right.kind, self.dialect) {
            (ExprKind::Compare { .. } | ExprKind::And(_) | ExprKind::Or(_), Dialect::IotHub) => {
                problem.help("`??` binds loosest of all: write `(a ?? 'b') = 'c'`")
            }
            _ if left.ty == Type::String && right.ty == Type::Number => problem
                .help("make both strings or both numbers")
                .suggest(left.span.clone(), format!("as_number({})", self.text_of(&left.span))),
            _ => problem.help("make both sides the same type"),
        };
        self.report(problem);
        None
    }
}
