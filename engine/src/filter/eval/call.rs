//! The built-in functions.

use super::super::functions::Function;
use super::super::plan::Expr;
use super::super::value::{Text, Value};
use super::{Facts, Interpreter, number, text};

impl<'v, F: Facts<'v>> Interpreter<F> {
    /// The check has seen to it that there are as many arguments as the function wants.
    pub(super) fn call(&self, function: Function, args: &'v [Expr]) -> Value<'v> {
        let arg = |index: usize| args.get(index).map_or(Value::Undefined, |arg| self.value(arg));
        let math = |f: fn(f64) -> f64| arg(0).as_number().map_or(Value::Undefined, |x| Value::number(f(x)));
        let is = |test: fn(&Value<'_>) -> bool| Value::Bool(test(&arg(0)));
        let strings = |test: fn(&str, &str) -> bool| match (arg(0).as_text(), arg(1).as_text()) {
            (Some(text), Some(part)) => Value::Bool(test(text, part)),
            _ => Value::Undefined,
        };
        match function {
            Function::Abs => math(f64::abs),
            Function::Exp => math(f64::exp),
            Function::Square => math(|x| x * x),
            Function::Ceiling => math(f64::ceil),
            Function::Floor => math(f64::floor),
            Function::Sign => math(|x| if x == 0.0 { 0.0 } else { x.signum() }),
            Function::Sqrt => math(f64::sqrt),
            Function::Power => match (arg(0).as_number(), arg(1).as_number()) {
                (Some(base), Some(exponent)) => Value::number(base.powf(exponent)),
                _ => Value::Undefined,
            },
            Function::AsNumber => match arg(0) {
                Value::Number(value) => Value::Number(value),
                Value::Text(text) => number::as_number(text.as_str()).map_or(Value::Undefined, Value::number),
                _ => Value::Undefined,
            },
            Function::IsBool => is(|value| matches!(value, Value::Bool(_))),
            Function::IsNumber => is(|value| matches!(value, Value::Number(number) if number.is_finite())),
            Function::IsString => is(|value| matches!(value, Value::Text(_))),
            Function::IsNull => is(|value| matches!(value, Value::Null | Value::NullText)),
            Function::IsArray => is(|value| matches!(value, Value::Array(_))),
            Function::IsObject => is(|value| matches!(value, Value::Object(_))),
            Function::IsPrimitive => is(|value| {
                matches!(value, Value::Null | Value::NullText | Value::Bool(_) | Value::Number(_) | Value::Text(_))
            }),
            Function::IsDefined => Value::Bool(self.is_defined(&arg(0))),
            Function::Concat => self.join(&args.iter().collect::<Vec<_>>()),
            Function::Length => arg(0)
                .as_text()
                .map_or(Value::Undefined, |found| Value::Number(text::len(found, self.semantics) as f64)),
            Function::Lower => text::to_lower(arg(0)),
            Function::Upper => text::to_upper(arg(0)),
            Function::Substring => self.substring(args),
            Function::IndexOf => match (arg(0).as_text(), arg(1).as_text()) {
                (Some(found), Some(part)) => Value::Number(text::index_of(found, part, self.semantics)),
                _ => Value::Undefined,
            },
            Function::StartsWith => strings(|text, part| text.starts_with(part)),
            Function::EndsWith => strings(|text, part| text.ends_with(part)),
            Function::Contains => strings(|text, part| text.contains(part)),
        }
    }

    fn substring(&self, args: &'v [Expr]) -> Value<'v> {
        let number = |index: usize| args.get(index).map(|arg| self.value(arg).as_number());
        let (start, count) = (number(1).flatten(), number(2));
        let (Some(start), true) = (start, count != Some(None)) else { return Value::Undefined };
        let (count, semantics) = (count.flatten(), self.semantics);
        match args.first().map(|arg| self.value(arg)) {
            Some(Value::Text(Text::Borrowed(found))) => {
                Value::optional_text(text::substring(found, start, count, semantics))
            }
            Some(Value::Text(found)) => text::substring(found.as_str(), start, count, semantics)
                .map_or(Value::Undefined, |part| Value::Text(Text::Owned(part.to_owned()))),
            _ => Value::Undefined,
        }
    }
}
