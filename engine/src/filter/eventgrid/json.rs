//! JSON (RFC 8259) with places: what stands where in the text of a filter. For small, hand-written texts; the data of events
//! have a parser of their own.
//!
//! It reads all or reports the first thing that is wrong. No object has a member twice, every number is finite, and nesting
//! ends at [`limits::FILTER_DEPTH_MAX`], which bounds the recursion.

use super::super::Span;
use super::super::diagnostic::Diagnostic;
use crate::limits;

/// A value and where it stands.
#[derive(Debug, PartialEq)]
pub(super) struct Node {
    pub kind: Json,
    pub span: Span,
}

#[derive(Debug, PartialEq)]
pub(super) enum Json {
    Null,
    Bool(bool),
    Number(f64),
    String(String),
    Array(Vec<Node>),
    Object(Vec<Member>),
}

#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub name: String,
    /// With its quotes.
    pub name_span: Span,
    pub value: Node,
}

impl Node {
    /// The sign it starts with: to point at something long.
    pub fn first(&self) -> Span {
        self.span.start..self.span.start + 1
    }
}

impl Json {
    /// What it is, in messages.
    pub fn noun(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Bool(_) => "true or false",
            Self::Number(_) => "a number",
            Self::String(_) => "a string",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

/// Reads the whole of `text`.
pub(super) fn read(text: &str) -> Result<Node, Box<Diagnostic>> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    if reader.at == text.len() {
        let problem = Diagnostic::error(0..text.len(), "the filter is empty");
        return Err(problem.help("write `{}` to take everything").into());
    }
    let root = reader.value(0)?;
    reader.space();
    match reader.peek() {
        None => Ok(root),
        Some(_) => Err(reader.wrong("nothing may follow the filter", "put all advanced filters into one array `[ ]`")),
    }
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Reader<'t> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches([' ', '\t', '\n', '\r']).len();
    }

    /// The next character is not what it should be.
    fn wrong(&self, message: &str, help: &str) -> Box<Diagnostic> {
        let span = self.at..self.at + self.peek().map_or(0, char::len_utf8);
        let message = match span.is_empty() {
            true => format!("{message}, and here the text ends"),
            false => message.to_owned(),
        };
        Box::new(Diagnostic::error(span, message).help(help))
    }

    fn take(&mut self, c: char) -> bool {
        let found = self.peek() == Some(c);
        if found {
            self.at += c.len_utf8();
        }
        found
    }

    fn value(&mut self, depth: usize) -> Result<Node, Box<Diagnostic>> {
        let most = limits::FILTER_DEPTH_MAX;
        let start = self.at;
        if depth >= most {
            let message = format!("the filter is nested deeper than {most} levels");
            return Err(self.wrong(&message, "filters need no more than four"));
        }
        let kind = match self.peek() {
            Some('{') => self.object(depth)?,
            Some('[') => self.array(depth)?,
            Some('"') => Json::String(self.string()?),
            Some('-' | '0'..='9') => Json::Number(self.number()?),
            Some('a'..='z' | 'A'..='Z' | '_' | '$') => self.word()?,
            Some('\'') => return Err(self.wrong("strings of JSON stand in double quotes", "write `\"text\"`")),
            Some(']' | '}') if self.text[..start].trim_end().ends_with(',') => {
                return Err(self.wrong("a value stands behind each comma", "remove the comma before this"));
            }
            Some('/') => return Err(self.wrong("JSON has no comments", "remove it")),
            _ => {
                return Err(self
                    .wrong("here a value is expected", "this dialect takes JSON: an object `{ }` or an array `[ ]`"));
            }
        };
        Ok(Node { kind, span: start..self.at })
    }

    fn word(&mut self) -> Result<Json, Box<Diagnostic>> {
        let rest = self.rest();
        let len =
            rest.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '$' | '.'))).unwrap_or(rest.len());
        let (word, span) = (&rest[..len], self.at..self.at + len);
        self.at += len;
        match word {
            "null" => Ok(Json::Null),
            "true" => Ok(Json::Bool(true)),
            "false" => Ok(Json::Bool(false)),
            _ => {
                let problem = Diagnostic::error(span.clone(), format!("`{word}` is no JSON"));
                let lower = word.to_ascii_lowercase();
                Err(Box::new(match &*lower {
                    "null" | "true" | "false" => problem.help("these words are written small").suggest(span, lower),
                    _ if span.start == 0 => problem
                        .help("this dialect takes JSON; conditions like `temp > 30` are `dialect = \"anabranch\"`"),
                    _ => problem.help("strings stand in double quotes").suggest(span, format!("\"{word}\"")),
                }))
            }
        }
    }

    fn number(&mut self) -> Result<f64, Box<Diagnostic>> {
        let rest = self.rest();
        let len = rest.find(|c: char| !matches!(c, '0'..='9' | '-' | '+' | '.' | 'e' | 'E')).unwrap_or(rest.len());
        let (text, span) = (&rest[..len], self.at..self.at + len);
        self.at += len;
        if !is_number(text) {
            let problem = Diagnostic::error(span, format!("`{text}` is no number of JSON"));
            return Err(problem.help("for example `30`, `-0.5` or `1e3`").into());
        }
        match text.parse::<f64>() {
            Ok(value) if value.is_finite() => Ok(value),
            _ => {
                let problem = Diagnostic::error(span, "the number is beyond what a double can hold");
                Err(problem.help("numbers end at about 1.8e308").into())
            }
        }
    }

    fn array(&mut self, depth: usize) -> Result<Json, Box<Diagnostic>> {
        self.at += 1;
        let mut items = Vec::new();
        self.space();
        if self.take(']') {
            return Ok(Json::Array(items));
        }
        loop {
            self.space();
            items.push(self.value(depth + 1)?);
            self.space();
            if self.take(']') {
                return Ok(Json::Array(items));
            }
            if !self.take(',') {
                return Err(self.wrong("here `,` or `]` is expected", "elements of an array stand between commas"));
            }
        }
    }

    fn object(&mut self, depth: usize) -> Result<Json, Box<Diagnostic>> {
        self.at += 1;
        let mut members: Vec<Member> = Vec::new();
        self.space();
        if self.take('}') {
            return Ok(Json::Object(members));
        }
        loop {
            self.space();
            let start = self.at;
            match self.peek() {
                Some('"') => {}
                Some('}') => {
                    return Err(self.wrong("a member stands behind each comma", "remove the comma before this"));
                }
                _ => return Err(self.wrong("here the name of a member is expected", "names stand in double quotes")),
            }
            let name = self.string()?;
            let name_span = start..self.at;
            if members.iter().any(|member| member.name == name) {
                let problem = Diagnostic::error(name_span, format!("`{name}` is there twice"));
                return Err(problem.help("keep one of them").into());
            }
            self.space();
            if !self.take(':') {
                return Err(self.wrong("here `:` is expected", "a member is written `\"name\": value`"));
            }
            self.space();
            let value = self.value(depth + 1)?;
            members.push(Member { name, name_span, value });
            self.space();
            if self.take('}') {
                return Ok(Json::Object(members));
            }
            if !self.take(',') {
                return Err(self.wrong("here `,` or `}` is expected", "members of an object stand between commas"));
            }
        }
    }

    fn string(&mut self) -> Result<String, Box<Diagnostic>> {
        let start = self.at;
        self.at += 1;
        let mut text = String::new();
        loop {
            let Some(c) = self.peek() else {
                let problem = Diagnostic::error(start..start + 1, "the string that starts here has no end");
                return Err(problem.help("close it with `\"`").into());
            };
            match c {
                '"' => {
                    self.at += 1;
                    return Ok(text);
                }
                '\\' => text.push(self.escape()?),
                c if c < ' ' => {
                    return Err(
                        self.wrong("a string of JSON has no control characters", "write `\\n`, `\\t` or `\\u001f`")
                    );
                }
                c => {
                    self.at += c.len_utf8();
                    text.push(c);
                }
            }
        }
    }

    fn escape(&mut self) -> Result<char, Box<Diagnostic>> {
        let start = self.at;
        self.at += 1;
        let plain = match self.peek() {
            Some(c @ ('"' | '\\' | '/')) => c,
            Some('b') => '\u{8}',
            Some('f') => '\u{c}',
            Some('n') => '\n',
            Some('r') => '\r',
            Some('t') => '\t',
            Some('u') => {
                self.at += 1;
                return self.unicode(start);
            }
            other => {
                let span = start..self.at + other.map_or(0, char::len_utf8);
                let problem = Diagnostic::error(span, "this is no escape of JSON");
                return Err(problem.help("a backslash itself is written `\\\\`").into());
            }
        };
        self.at += 1;
        Ok(plain)
    }

    /// What follows `\u`, the second half of a pair included.
    fn unicode(&mut self, start: usize) -> Result<char, Box<Diagnostic>> {
        let first = self.hex();
        let code = match first {
            Some(high @ 0xd800..0xdc00) if self.rest().starts_with("\\u") => {
                self.at += 2;
                match self.hex() {
                    Some(low @ 0xdc00..0xe000) => Some(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00)),
                    _ => None,
                }
            }
            code => code,
        };
        code.and_then(char::from_u32).ok_or_else(|| {
            let problem = Diagnostic::error(start..self.at, "this is no character");
            let help = "`\\u` takes four hexadecimal digits; characters beyond them are pairs, or written as they are";
            problem.help(help).into()
        })
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.rest().get(..4).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// JSON's grammar of numbers, which is narrower than Rust's.
fn is_number(text: &str) -> bool {
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let text = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent.strip_prefix(['+', '-']).unwrap_or(exponent))),
        None => (text, None),
    };
    let (whole, fraction) = mantissa.split_once('.').map_or((mantissa, None), |(whole, part)| (whole, Some(part)));
    let leading = whole.len() > 1 && whole.starts_with('0');
    digits(whole) && !leading && fraction.is_none_or(digits) && exponent.is_none_or(digits)
}
