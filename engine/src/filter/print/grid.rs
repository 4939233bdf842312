//! Event Grid's filters as JSON: the bare array where that says all, else the object of the basic tier.

use std::fmt;

use super::super::grid::{GridCondition, GridOperator, GridValues};
use super::super::plan::{Expr, ExprKind, Reference, Step};
use super::Printer;

impl Printer<'_> {
    /// The whole filter.
    pub(super) fn event_grid(&mut self, root: &Expr) -> fmt::Result {
        let mut conditions = Vec::new();
        root.walk(&mut |expr| {
            if let ExprKind::Grid(condition) = &expr.kind {
                conditions.push(&**condition);
            }
        });
        let exact = |operator| {
            let find = |condition: &&&GridCondition| condition.operator == operator;
            conditions.iter().find(find).map(|condition| &condition.values)
        };
        let subjects = [GridOperator::ExactBeginsWith, GridOperator::ExactEndsWith];
        let arrays = conditions.iter().any(|condition| condition.arrays);
        let has_exact = subjects.into_iter().any(|operator| exact(operator).is_some());
        if conditions.is_empty() {
            return self.out.write_str("{}");
        }
        if arrays || has_exact {
            self.out.write_char('{')?;
        }
        for operator in subjects {
            if let Some(GridValues::Strings(texts)) = exact(operator) {
                write!(self.out, "\"{}\":", operator.name())?;
                texts.iter().try_for_each(|text| self.json_string(text))?;
                self.out.write_char(',')?;
            }
        }
        if has_exact {
            self.out.write_str("\"isSubjectCaseSensitive\":true,")?;
        }
        if arrays {
            self.out.write_str("\"enableAdvancedFilteringOnArrays\":true,")?;
        }
        if arrays || has_exact {
            self.out.write_str("\"advancedFilters\":")?;
        }
        self.out.write_char('[')?;
        let advanced = conditions.iter().filter(|condition| !subjects.contains(&condition.operator));
        for (index, condition) in advanced.enumerate() {
            if index > 0 {
                self.out.write_char(',')?;
            }
            self.condition(condition)?;
        }
        self.out.write_char(']')?;
        if arrays || has_exact { self.out.write_char('}') } else { Ok(()) }
    }

    fn condition(&mut self, condition: &GridCondition) -> fmt::Result {
        write!(self.out, "{{\"operatorType\":\"{}\",\"key\":", condition.operator.name())?;
        self.key(&condition.key)?;
        match &condition.values {
            GridValues::None => {}
            GridValues::Bool(value) => write!(self.out, ",\"value\":{value}")?,
            GridValues::Numbers(numbers) => self.values(numbers, |printer, number| printer.json_number(*number))?,
            GridValues::Ranges(ranges) => self.values(ranges, |printer, (least, most)| {
                printer.out.write_char('[')?;
                printer.json_number(*least)?;
                printer.out.write_char(',')?;
                printer.json_number(*most)?;
                printer.out.write_char(']')
            })?,
            GridValues::Strings(texts) => self.values(texts, |printer, text| printer.json_string(text))?,
        }
        self.out.write_char('}')
    }

    fn values<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T) -> fmt::Result) -> fmt::Result {
        self.out.write_str(",\"values\":[")?;
        for (index, value) in values.iter().enumerate() {
            if index > 0 {
                self.out.write_char(',')?;
            }
            write(self, value)?;
        }
        self.out.write_char(']')
    }

    fn key(&mut self, key: &Reference) -> fmt::Result {
        match key {
            Reference::Attribute(name) => self.json_string(name),
            Reference::Body(path) => {
                let mut text = "data".to_owned();
                for step in path {
                    // No filter of this dialect names an element.
                    if let Step::Member(name) = step {
                        text.push('.');
                        text.push_str(name);
                    }
                }
                self.json_string(&text)
            }
            other => {
                self.out.write_char('"')?;
                self.reference(other)?;
                self.out.write_char('"')
            }
        }
    }

    fn json_number(&mut self, value: f64) -> fmt::Result {
        if value.abs() >= 1e21 || (value != 0.0 && value.abs() < 1e-7) {
            return write!(self.out, "{value:e}");
        }
        write!(self.out, "{value}")
    }

    fn json_string(&mut self, text: &str) -> fmt::Result {
        write!(self.out, "{}", serde_json::Value::from(text))
    }
}
