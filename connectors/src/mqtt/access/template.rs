//! Topic templates: topic filters with variables of the client in them.
//!
//! What always holds: what a variable stands for never becomes a wildcard or a level of its own. A client whose name or attribute
//! has a `/`, `+` or `#` in it is not granted the template, because it would reach into what belongs to others.

#[cfg(test)]
mod tests;

use super::attributes::{Attribute, Attributes};

/// Most bytes of a template: topics have no more than 65,535.
const TEMPLATE_BYTES_MAX: usize = 4096;

/// Most topic filters that one template may become through lists, which stand for each of their items.
const FILTERS_MAX: usize = 64;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Literal(Box<str>),
    AuthenticationName,
    Attribute(Box<str>),
}

/// A template, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Template(Vec<Piece>);

impl Template {
    /// Reads a template. The error says what is wrong.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() || text.len() > TEMPLATE_BYTES_MAX || text.contains('\0') {
            return Err(format!("a topic template has 1 to {TEMPLATE_BYTES_MAX} bytes and no NUL"));
        }
        let mut pieces = Vec::new();
        // The filter as it would be with a harmless value in each variable's place: it must be a valid one.
        let mut shape = String::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(begin) = rest.find("${") {
            literal.push_str(&rest[..begin]);
            let inner = &rest[begin + 2..];
            let end = inner.find('}').ok_or_else(|| format!("`{text}`: a variable has no closing brace"))?;
            let (variable, suffix) = inner[..end].split_once('|').unwrap_or((&inner[..end], ""));
            if suffix.contains(['/', '+', '#', '$', '{']) {
                return Err(format!("`{text}`: what follows `|` is plain text of the same level, without / + # $"));
            }
            let piece = variable_of(variable.trim()).ok_or_else(|| {
                format!("`{text}`: `{variable}` is no variable; there are client.authenticationName and client.attributes.<name>")
            })?;
            shape.push_str(&literal);
            shape.push('v');
            pieces.extend((!literal.is_empty()).then(|| Piece::Literal(std::mem::take(&mut literal).into())));
            pieces.push(piece);
            literal.push_str(suffix);
            rest = &inner[end + 1..];
        }
        literal.push_str(rest);
        shape.push_str(&literal);
        pieces.extend((!literal.is_empty()).then(|| Piece::Literal(literal.into())));
        match is_filter(&shape) {
            true => Ok(Self(pieces)),
            false => Err(format!("`{text}` is no topic filter: + and # fill a whole level, and # is the last")),
        }
    }

    /// The filters that it is for a client: none if the client lacks a variable, several where a variable is a list.
    pub(super) fn filters(&self, name: &str, attributes: &Attributes) -> Vec<String> {
        let mut filters = vec![String::new()];
        for piece in &self.0 {
            let number;
            let values: &[&str] = match piece {
                Piece::Literal(text) => &[text],
                Piece::AuthenticationName => &[name],
                Piece::Attribute(key) => match attributes.get(key) {
                    None => return Vec::new(),
                    Some(Attribute::Text(text)) => &[text],
                    Some(Attribute::Integer(found)) => {
                        number = found.to_string();
                        &[&number]
                    }
                    Some(Attribute::List(items)) => {
                        filters = filters
                            .iter()
                            .flat_map(|begin| {
                                items.iter().filter(|item| is_plain(item)).map(move |item| format!("{begin}{item}"))
                            })
                            .take(FILTERS_MAX)
                            .collect();
                        continue;
                    }
                },
            };
            let value = values[0];
            if !matches!(piece, Piece::Literal(_)) && !is_plain(value) {
                return Vec::new();
            }
            filters.iter_mut().for_each(|filter| filter.push_str(value));
        }
        filters
    }
}

fn variable_of(name: &str) -> Option<Piece> {
    if name == "client.authenticationName" || name == "client.name" {
        return Some(Piece::AuthenticationName);
    }
    let key = name.strip_prefix("client.attributes.")?;
    super::attributes::is_name(key).then(|| Piece::Attribute(key.into()))
}

/// Whether a value can stand within one level and mean itself.
fn is_plain(value: &str) -> bool {
    !value.is_empty() && !value.contains(['/', '+', '#', '\0'])
}

fn is_filter(text: &str) -> bool {
    let mut levels = text.split('/').peekable();
    while let Some(level) = levels.next() {
        let is_good = match level {
            "+" => true,
            "#" => levels.peek().is_none(),
            text => !text.contains(['+', '#']),
        };
        if !is_good {
            return false;
        }
    }
    true
}
