//! Queries that say who is in a client group: comparisons of attributes, joined by `and`, `or` and parentheses.
//!
//! A comparison with an attribute that the client does not have is false, whatever the operator: who is not known to be in a
//! group is not in it.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;

use super::attributes::{Attribute, Attributes, is_name};
use super::policy::folded;

/// Most bytes of a query, most parentheses inside each other, and most values of an `IN`: queries run at each connect.
const QUERY_BYTES_MAX: usize = 4096;
const DEPTH_MAX: usize = 32;
const VALUES_MAX: usize = 100;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Operand {
    AuthenticationName,
    Attribute(Box<str>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Literal {
    Text(Box<str>),
    Integer(i64),
}

/// A query, ready to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Query {
    /// Of the built-in group `$all`.
    Everybody,
    And(Vec<Query>),
    Or(Vec<Query>),
    Compare(Comparison),
}

/// One comparison; of several values one must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Comparison {
    operand: Operand,
    operator: Operator,
    values: Vec<Literal>,
}

impl Query {
    /// Reads a query. The error says what is wrong and at which character.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.len() > QUERY_BYTES_MAX {
            return Err(format!("the query has more than {QUERY_BYTES_MAX} bytes"));
        }
        let mut parser = Parser { text, at: 0, depth: 0 };
        let query = parser.any_of()?;
        parser.skip_space();
        match parser.rest() {
            "" => Ok(query),
            _ => Err(parser.wants("`and`, `or` or the end")),
        }
    }

    /// Whether a client is in the group.
    pub(super) fn holds(&self, name: &str, attributes: &Attributes) -> bool {
        match self {
            Self::Everybody => true,
            Self::And(parts) => parts.iter().all(|part| part.holds(name, attributes)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(name, attributes)),
            Self::Compare(comparison) => comparison.holds(name, attributes),
        }
    }
}

impl Comparison {
    fn holds(&self, name: &str, attributes: &Attributes) -> bool {
        match &self.operand {
            // Nobody is anybody as long as the name is not proven.
            Operand::AuthenticationName if name.is_empty() => false,
            Operand::AuthenticationName => {
                let equal = self.values.iter().any(|value| match value {
                    Literal::Text(text) => folded(text) == folded(name),
                    Literal::Integer(number) => number.to_string() == name,
                });
                equal == (self.operator == Operator::Equal)
            }
            Operand::Attribute(key) => attributes.get(key).is_some_and(|found| match (self.operator, found) {
                (Operator::Equal, _) => self.any_equal(found),
                (Operator::NotEqual, _) => !self.any_equal(found),
                (operator, Attribute::Integer(number)) => self.values.iter().any(|value| match value {
                    Literal::Integer(other) => operator.holds(number.cmp(other)),
                    Literal::Text(_) => false,
                }),
                (_, Attribute::Text(_) | Attribute::List(_)) => false,
            }),
        }
    }

    fn any_equal(&self, found: &Attribute) -> bool {
        self.values.iter().any(|value| match (found, value) {
            (Attribute::Text(text), Literal::Text(other)) => text == other,
            (Attribute::Integer(number), Literal::Integer(other)) => number == other,
            (Attribute::List(items), Literal::Text(other)) => items.contains(other),
            _ => false,
        })
    }
}

impl Operator {
    fn holds(self, order: Ordering) -> bool {
        match self {
            Self::Equal => order.is_eq(),
            Self::NotEqual => order.is_ne(),
            Self::Less => order.is_lt(),
            Self::LessOrEqual => order.is_le(),
            Self::Greater => order.is_gt(),
            Self::GreaterOrEqual => order.is_ge(),
        }
    }
}

struct Parser<'t> {
    text: &'t str,
    at: usize,
    depth: usize,
}

impl<'t> Parser<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn skip_space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn wants(&self, what: &str) -> String {
        let at = self.text[..self.at].chars().count() + 1;
        match self.rest().chars().next() {
            Some(_) => {
                let found: String = self.rest().chars().take(20).collect();
                format!("the query wants {what} at character {at}, not `{found}`")
            }
            None => format!("the query ends where it wants {what}"),
        }
    }

    /// Takes a sign, if it is next.
    fn sign(&mut self, sign: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(sign);
        self.at += if is_next { sign.len() } else { 0 };
        is_next
    }

    /// The word that is next: letters, digits, `_` and dots.
    fn peek_word(&mut self) -> &'t str {
        self.skip_space();
        let rest = self.rest();
        let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_' || c == '.')).unwrap_or(rest.len());
        &rest[..end]
    }

    /// Takes a word, if it is next; case does not count.
    fn word(&mut self, word: &str) -> bool {
        let is_next = self.peek_word().eq_ignore_ascii_case(word);
        self.at += if is_next { word.len() } else { 0 };
        is_next
    }

    fn any_of(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.all_of()?];
        while self.word("or") {
            parts.push(self.all_of()?);
        }
        Ok(one_or(parts, Query::Or))
    }

    fn all_of(&mut self) -> Result<Query, String> {
        let mut parts = vec![self.part()?];
        while self.word("and") {
            parts.push(self.part()?);
        }
        Ok(one_or(parts, Query::And))
    }

    fn part(&mut self) -> Result<Query, String> {
        if !self.sign("(") {
            return self.comparison().map(Query::Compare);
        }
        self.depth += 1;
        if self.depth > DEPTH_MAX {
            return Err(format!("the query has more than {DEPTH_MAX} parentheses inside each other"));
        }
        let inner = self.any_of()?;
        if !self.sign(")") {
            return Err(self.wants("`)`"));
        }
        self.depth -= 1;
        Ok(inner)
    }

    fn comparison(&mut self) -> Result<Comparison, String> {
        let word = self.peek_word();
        let operand = match word.strip_prefix("attributes.") {
            Some(name) if is_name(name) => Operand::Attribute(name.into()),
            None if word == "authenticationName" => Operand::AuthenticationName,
            _ => return Err(self.wants("`attributes.<name>` or `authenticationName`")),
        };
        self.at += word.len();
        if self.word("in") {
            return Ok(Comparison { operand, operator: Operator::Equal, values: self.values()? });
        }
        // The longer signs first: `<` begins three of them.
        let signs = [
            ("<>", Operator::NotEqual),
            ("!=", Operator::NotEqual),
            ("<=", Operator::LessOrEqual),
            (">=", Operator::GreaterOrEqual),
            ("=", Operator::Equal),
            ("<", Operator::Less),
            (">", Operator::Greater),
        ];
        let Some((_, operator)) = signs.into_iter().find(|(sign, _)| self.sign(sign)) else {
            return Err(self.wants("one of = <> != < <= > >= in"));
        };
        let is_order = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if is_order && operand == Operand::AuthenticationName {
            return Err("authenticationName can be compared with =, <>, != and in only".to_owned());
        }
        self.skip_space();
        let before = self.at;
        let value = self.value()?;
        if is_order && matches!(value, Literal::Text(_)) {
            self.at = before;
            return Err(self.wants("a whole number: text has no order"));
        }
        Ok(Comparison { operand, operator, values: vec![value] })
    }

    fn values(&mut self) -> Result<Vec<Literal>, String> {
        if !self.sign("[") {
            return Err(self.wants("`[`"));
        }
        let mut values = vec![self.value()?];
        while self.sign(",") {
            values.push(self.value()?);
            if values.len() > VALUES_MAX {
                return Err(format!("the query has a list of more than {VALUES_MAX} values"));
            }
        }
        match self.sign("]") {
            true => Ok(values),
            false => Err(self.wants("`,` or `]`")),
        }
    }

    fn value(&mut self) -> Result<Literal, String> {
        self.skip_space();
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '\'' | '"')) {
            let inner = &rest[1..];
            let end = inner.find(quote).ok_or_else(|| self.wants("a text with its closing quote"))?;
            self.at += end + 2;
            return Ok(Literal::Text(inner[..end].into()));
        }
        let digits = rest.strip_prefix('-').unwrap_or(rest);
        let end = digits.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(digits.len()) + rest.len() - digits.len();
        let number = rest[..end].parse().map_err(|_| self.wants("a text in quotes or a whole number"))?;
        self.at += end;
        Ok(Literal::Integer(number))
    }
}

fn one_or(mut parts: Vec<Query>, join: fn(Vec<Query>) -> Query) -> Query {
    match parts.len() {
        1 => parts.remove(0),
        _ => join(parts),
    }
}
