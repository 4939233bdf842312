//! One advanced filter: `{"operatorType": …, "key": …, "value(s)": …}`.

use super::super::diagnostic::{Diagnostic, nearest};
use super::super::fold;
use super::super::grid::{GridCondition, GridOperand, GridOperator, GridValues};
use super::super::plan::Reference;
use super::json::{Json, Node};
use super::{CHARACTERS_MAX, Compiler, find, key};

const MEMBERS: [&str; 4] = ["operatorType", "key", "value", "values"];

/// The condition; `None` if something about it was refused.
pub(super) fn compile(compiler: &mut Compiler<'_>, node: &Node, arrays: bool) -> Option<GridCondition> {
    let Json::Object(members) = &node.kind else {
        let message = format!("an advanced filter is an object, and this is {}", node.kind.noun());
        let help = "for example `{\"operatorType\": \"StringIn\", \"key\": \"data.site\", \"values\": [\"hh\"]}`";
        compiler.error(&node.span, message, help);
        return None;
    };
    for member in members {
        if !MEMBERS.contains(&&*member.name) {
            compiler.unknown_member(member, &MEMBERS, "an advanced filter");
        }
    }
    let operator = operator(compiler, find(members, "operatorType"), node);
    let key = match find(members, "key") {
        Some(found) => key::resolve(compiler, found).map(|key| (key, found)),
        None => {
            let help = "say what is looked at: `\"key\": \"data.temp\"` or `\"key\": \"subject\"`";
            compiler.error(&node.first(), "an advanced filter has a `key`", help);
            None
        }
    };
    let operator = operator?;
    let operand = match (find(members, "value"), find(members, "values")) {
        (Some(_), Some(second)) => {
            compiler.error(&second.span, "there are both `value` and `values`", "keep one of them");
            return None;
        }
        (value, values) => value.or(values),
    };
    let values = values(compiler, operator, operand, node)?;
    let (key, key_node) = key?;
    let is_attribute = matches!(key, Reference::Attribute(_));
    if is_attribute && matches!(values, GridValues::Numbers(_) | GridValues::Ranges(_) | GridValues::Bool(_)) {
        let always = if operator.takes_nothing() { "always" } else { "never" };
        let message = format!("attributes are text, so {} {always} holds for one", operator.name());
        let warning = Diagnostic::warning(key_node.span.clone(), message);
        compiler.problems.push(warning.help("compare it as text, or look at a member of the data: `data.…`"));
    }
    Some(GridCondition { arrays: arrays && !is_attribute, key, operator, values })
}

fn operator(compiler: &mut Compiler<'_>, found: Option<&Node>, whole: &Node) -> Option<GridOperator> {
    let Some(node) = found else {
        let help = "say what is asked: `\"operatorType\": \"StringIn\"`";
        compiler.error(&whole.first(), "an advanced filter has an `operatorType`", help);
        return None;
    };
    let Json::String(name) = &node.kind else {
        let message = format!("`operatorType` is a string, and this is {}", node.kind.noun());
        compiler.error(&node.span, message, "for example `\"StringIn\"`");
        return None;
    };
    let operator = GridOperator::by_name(name);
    if operator.is_none() {
        let problem = Diagnostic::error(node.span.clone(), format!("there is no operator `{name}`"));
        let names = GridOperator::NAMED.map(GridOperator::name);
        compiler.problems.push(match nearest(name, names) {
            Some(near) => {
                problem.help(format!("did you mean `{near}`?")).suggest(node.span.clone(), format!("\"{near}\""))
            }
            None => problem.help(format!("the operators are {}", names.join(", "))),
        });
    }
    operator
}

/// The operands, of the kind that the operator wants: as an array or, where there is one only, bare.
fn values(
    compiler: &mut Compiler<'_>,
    operator: GridOperator,
    operand: Option<&Node>,
    whole: &Node,
) -> Option<GridValues> {
    let name = operator.name();
    let (wanted, example) = match operator.operand() {
        GridOperand::None => {
            let Some(node) = operand else { return Some(GridValues::None) };
            compiler.error(&node.span, format!("{name} takes no values"), "leave them out");
            return None;
        }
        GridOperand::Number => ("a number", "\"value\": 30"),
        GridOperand::Numbers => ("numbers", "\"values\": [1, 2]"),
        GridOperand::Ranges => ("pairs of numbers", "\"values\": [[1, 5], [10, 20]]"),
        GridOperand::Bool => ("true or false", "\"value\": true"),
        GridOperand::Strings => ("strings", "\"values\": [\"a\", \"b\"]"),
    };
    let example = format!("for example `{example}`");
    let Some(node) = operand else {
        compiler.error(&whole.first(), format!("{name} takes {wanted}, and there are none"), example);
        return None;
    };
    let one = std::slice::from_ref(node);
    let items = match (&node.kind, operator.operand()) {
        // A pair without the array around it.
        (Json::Array(items), GridOperand::Ranges) if items.iter().any(|item| matches!(item.kind, Json::Number(_))) => {
            one
        }
        (Json::Array(items), _) => items,
        _ => one,
    };
    if items.is_empty() {
        compiler.error(&node.span, format!("{name} takes {wanted}, and this is empty"), example);
        return None;
    }
    if matches!(operator.operand(), GridOperand::Number | GridOperand::Bool) && items.len() > 1 {
        let help = "write one filter for each; all filters must hold";
        compiler.error(&node.span, format!("{name} takes one value, and these are {}", items.len()), help);
        return None;
    }
    let mut operands = Operands { compiler, wanted: format!("{name} takes {wanted}"), example };
    match operator.operand() {
        GridOperand::None => None,
        GridOperand::Number | GridOperand::Numbers => operands.all(items, Operands::number).map(GridValues::Numbers),
        GridOperand::Ranges => operands.all(items, Operands::range).map(GridValues::Ranges),
        GridOperand::Bool => operands.bool(&items[0]).map(GridValues::Bool),
        GridOperand::Strings => operands.all(items, Operands::string).map(GridValues::Strings),
    }
}

/// Reads operands one by one; all that is wrong is reported.
struct Operands<'o, 'c> {
    compiler: &'o mut Compiler<'c>,
    wanted: String,
    example: String,
}

impl Operands<'_, '_> {
    fn all<T>(&mut self, items: &[Node], read: impl Fn(&mut Self, &Node) -> Option<T>) -> Option<Box<[T]>> {
        // Not lazily: every one that is wrong is to be reported.
        let found: Vec<Option<T>> = items.iter().map(|item| read(self, item)).collect();
        found.into_iter().collect()
    }

    fn refuse(&mut self, node: &Node) {
        let message = format!("{}, and this is {}", self.wanted, node.kind.noun());
        let problem = Diagnostic::error(node.span.clone(), message);
        let quoted = match &node.kind {
            Json::String(text) => (text == "true" || text == "false" || text.parse::<f64>().is_ok_and(f64::is_finite))
                .then(|| text.clone())
                .filter(|_| !self.wanted.ends_with("strings")),
            _ => None,
        };
        self.compiler.problems.push(match quoted {
            Some(bare) => problem.help("it stands without quotes").suggest(node.span.clone(), bare),
            None => problem.help(self.example.clone()),
        });
    }

    fn number(&mut self, node: &Node) -> Option<f64> {
        if let Json::Number(value) = node.kind {
            return Some(value);
        }
        self.refuse(node);
        None
    }

    fn bool(&mut self, node: &Node) -> Option<bool> {
        if let Json::Bool(value) = node.kind {
            return Some(value);
        }
        self.refuse(node);
        None
    }

    fn range(&mut self, node: &Node) -> Option<(f64, f64)> {
        let Json::Array(items) = &node.kind else {
            self.refuse(node);
            return None;
        };
        let [low, high] = &items[..] else {
            let message = format!("a range is a pair of numbers, least and most, and these are {}", items.len());
            self.compiler.error(&node.span, message, self.example.clone());
            return None;
        };
        let (low, high) = (self.number(low), self.number(high));
        let (low, high) = (low?, high?);
        if low > high {
            let problem =
                Diagnostic::error(node.span.clone(), "no number is in this range: its least is above its most");
            let problem = problem.help("the least comes first").suggest(node.span.clone(), format!("[{high}, {low}]"));
            self.compiler.problems.push(problem);
            return None;
        }
        Some((low, high))
    }

    fn string(&mut self, node: &Node) -> Option<Box<str>> {
        let Json::String(text) = &node.kind else {
            let is_scalar = matches!(node.kind, Json::Number(_) | Json::Bool(_));
            self.refuse(node);
            if let (true, Some(problem)) = (is_scalar, self.compiler.problems.last_mut()) {
                problem.help =
                    Some("for numbers and truths there are operators of their own: NumberIn, BoolEquals".to_owned());
            }
            return None;
        };
        let characters = text.chars().count();
        if characters > CHARACTERS_MAX {
            let message = format!("{characters} characters are more than the {CHARACTERS_MAX} that Azure allows");
            let warning =
                Diagnostic::warning(node.span.clone(), message).help("they work here; Azure would refuse them");
            self.compiler.problems.push(warning);
        }
        Some(fold(text).into())
    }
}
