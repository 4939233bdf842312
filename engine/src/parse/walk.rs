//! The generic walker: any JSON text, from the first byte to the last, with the values of the wanted paths.
//!
//! It validates everything (RFC 8259: grammar, UTF-8, escapes, surrogate pairs, depth) and takes of duplicate members the last
//! one. What the shapes of [`extract`](super::extract) cannot prove comes here, and shapes are learnt by it, so it is the truth
//! of the fast path. It is held equal to simd-json's tape and to serde_json.

use std::borrow::Cow;

use super::fields::{Fields, NOWHERE, Node};
use super::{ColumnId, Element, number, sixteen};
use crate::limits;

/// Takes what a walk finds.
pub(super) trait Sink {
    /// A value of a wanted path: what it is and where it stands in the text.
    fn put(&mut self, column: ColumnId, found: Found);
    /// The path leads nowhere after all: a later duplicate took its place.
    fn clear(&mut self, column: ColumnId);
    /// There is a value that fills no column, and is in no array that does.
    fn unwanted(&mut self);
    /// Room for a text that had to be rewritten; returns nothing, the caller measures it.
    fn room(&mut self) -> &mut Vec<u8>;
}

/// A value that was found.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Found {
    /// What it is.
    pub what: What,
    /// First byte of the token: the quote of a string.
    pub start: usize,
    /// Behind its last byte.
    pub end: usize,
}

/// What a value is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum What {
    Null,
    Bool(bool),
    Number(f64),
    /// As it stands between the quotes.
    Text,
    /// Rewritten: a piece of [`Sink::room`].
    Rewritten {
        start: usize,
        len: usize,
    },
    Array,
    /// With so many members, duplicates counted.
    Object(usize),
}

/// The text is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Malformed;

/// Walks `json`. After an error the sink holds what was found before it.
pub(super) fn walk(json: &[u8], fields: &Fields, sink: &mut impl Sink) -> Result<(), Malformed> {
    // One pass over the bytes that most often has nothing to say; then text is text everywhere below.
    if !json.is_ascii() && simdutf8::basic::from_utf8(json).is_err() {
        return Err(Malformed);
    }
    let mut walker = Walker { json, at: 0, fields, sink, name: Vec::new(), held: 0 };
    walker.space();
    walker.value(fields.root(), 0)?;
    walker.space();
    if walker.at == json.len() { Ok(()) } else { Err(Malformed) }
}

/// Calls `visit` for each element of an array.
pub(super) fn elements<'j>(
    array: &'j [u8],
    nothing: &Fields,
    visit: &mut dyn FnMut(Element<'j>),
) -> Result<(), Malformed> {
    let mut counts = Counts::default();
    let mut walker = Walker { json: array, at: 0, fields: nothing, sink: &mut counts, name: Vec::new(), held: 0 };
    walker.space();
    if walker.peek() != b'[' {
        return Err(Malformed);
    }
    walker.at += 1;
    walker.space();
    while walker.peek() != b']' {
        let start = walker.at;
        let first = walker.peek();
        let members = walker.members_of_value()?;
        let token = &array[start..walker.at];
        visit(match first {
            b'"' => Element::Text(text_of(token)?),
            b'{' => Element::Object(members),
            b'[' => Element::Array(members),
            b't' => Element::Bool(true),
            b'f' => Element::Bool(false),
            b'n' => Element::Null,
            _ => Element::Number(number::value(array, start, walker.at)),
        });
        walker.space();
        if walker.peek() == b',' {
            walker.at += 1;
            walker.space();
        }
    }
    Ok(())
}

/// A string token without its quotes and escapes.
fn text_of(token: &[u8]) -> Result<Cow<'_, str>, Malformed> {
    let inside = token.get(1..token.len() - 1).ok_or(Malformed)?;
    if !inside.contains(&b'\\') {
        return std::str::from_utf8(inside).map(Cow::Borrowed).map_err(|_| Malformed);
    }
    let mut text = Vec::with_capacity(inside.len());
    unescape(inside, &mut text)?;
    String::from_utf8(text).map(Cow::Owned).map_err(|_| Malformed)
}

/// A sink that wants nothing.
#[derive(Default)]
struct Counts {
    room: Vec<u8>,
}

impl Sink for Counts {
    fn put(&mut self, _: ColumnId, _: Found) {}
    fn clear(&mut self, _: ColumnId) {}
    fn unwanted(&mut self) {}
    fn room(&mut self) -> &mut Vec<u8> {
        &mut self.room
    }
}

struct Walker<'w, S> {
    json: &'w [u8],
    at: usize,
    fields: &'w Fields,
    sink: &'w mut S,
    /// A member's name without its escapes.
    name: Vec<u8>,
    /// Arrays around that are in a column with all that they hold.
    held: usize,
}

/// How a string ended.
#[derive(Clone, Copy)]
struct Text {
    /// First byte behind the opening quote.
    start: usize,
    /// The closing quote.
    end: usize,
    /// It has escapes.
    escaped: bool,
}

impl<S: Sink> Walker<'_, S> {
    #[inline]
    fn peek(&self) -> u8 {
        self.json.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn space(&mut self) {
        // Most often there is none.
        while self.peek() <= b' ' && matches!(self.peek(), b' ' | b'\t' | b'\n' | b'\r') {
            self.at += 1;
        }
    }

    #[inline]
    fn put(&mut self, node: Node, what: What, start: usize) {
        let columns = self.fields.columns_at(node);
        for column in columns {
            self.sink.put(*column, Found { what, start, end: self.at });
        }
        // The members of an object are looked at one by one, if somebody wants one of them; the elements of an array are not.
        let is_covered = match what {
            What::Object(members) => members > 0 && self.fields.has_members(node),
            _ => !columns.is_empty(),
        };
        if !is_covered {
            self.unwanted();
        }
    }

    #[inline]
    fn unwanted(&mut self) {
        if self.held == 0 {
            self.sink.unwanted();
        }
    }

    /// A value of which nothing is wanted but how many elements or members it has.
    fn members_of_value(&mut self) -> Result<usize, Malformed> {
        match self.peek() {
            b'{' => self.object(NOWHERE, 0),
            b'[' => self.array(NOWHERE, 0),
            _ => self.value(NOWHERE, 0).map(|()| 0),
        }
    }

    /// A value; `at` is its first byte. `depth` containers are open around it.
    fn value(&mut self, node: Node, depth: usize) -> Result<(), Malformed> {
        let start = self.at;
        match self.peek() {
            b'"' => {
                let text = self.string()?;
                if node == NOWHERE || self.fields.columns_at(node).is_empty() {
                    self.unwanted();
                    return if text.escaped { self.check_escapes(text) } else { Ok(()) };
                }
                let what = if text.escaped { self.rewrite(text)? } else { What::Text };
                self.put(node, what, start);
            }
            b'{' => return self.object(node, depth).map(drop),
            b'[' => return self.array(node, depth).map(drop),
            b't' => {
                self.literal(b"true")?;
                self.put(node, What::Bool(true), start);
            }
            b'f' => {
                self.literal(b"false")?;
                self.put(node, What::Bool(false), start);
            }
            b'n' => {
                self.literal(b"null")?;
                self.put(node, What::Null, start);
            }
            _ => {
                let doubtful = self.number()?;
                let wanted = !self.fields.columns_at(node).is_empty();
                if doubtful || wanted {
                    let value = number::value(self.json, start, self.at);
                    if value.is_infinite() {
                        return Err(Malformed);
                    }
                    if wanted {
                        self.put(node, What::Number(value), start);
                    }
                }
                if !wanted {
                    self.unwanted();
                }
            }
        }
        Ok(())
    }

    /// How many members it has.
    fn object(&mut self, node: Node, depth: usize) -> Result<usize, Malformed> {
        if depth == limits::JSON_DEPTH_MAX {
            return Err(Malformed);
        }
        let start = self.at;
        self.at += 1;
        self.space();
        let mut members = 0;
        if self.peek() == b'}' {
            self.at += 1;
        } else {
            loop {
                if self.peek() != b'"' {
                    return Err(Malformed);
                }
                let child = self.member(node)?;
                self.space();
                if self.peek() != b':' {
                    return Err(Malformed);
                }
                self.at += 1;
                self.space();
                if child != NOWHERE && members > 0 {
                    // It may be the later one of two duplicates.
                    self.forget(child);
                }
                self.value(child, depth + 1)?;
                members += 1;
                self.space();
                match self.peek() {
                    b',' => self.at += 1,
                    b'}' => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(Malformed),
                }
                self.space();
            }
        }
        self.put(node, What::Object(members), start);
        Ok(members)
    }

    /// A member's name: the node that it leads to.
    #[inline]
    fn member(&mut self, node: Node) -> Result<Node, Malformed> {
        let text = self.string()?;
        if text.escaped {
            let mut name = std::mem::take(&mut self.name);
            name.clear();
            let done = unescape(&self.json[text.start..text.end], &mut name);
            let child = if node == NOWHERE { NOWHERE } else { self.fields.member(node, &name) };
            self.name = name;
            return done.map(|()| child);
        }
        Ok(if node == NOWHERE { NOWHERE } else { self.fields.member(node, &self.json[text.start..text.end]) })
    }

    /// How many elements it has.
    fn array(&mut self, node: Node, depth: usize) -> Result<usize, Malformed> {
        if depth == limits::JSON_DEPTH_MAX {
            return Err(Malformed);
        }
        let start = self.at;
        self.at += 1;
        self.space();
        let is_held = usize::from(!self.fields.columns_at(node).is_empty());
        self.held += is_held;
        let mut index = 0u32;
        if self.peek() == b']' {
            self.at += 1;
        } else {
            loop {
                let child = if node == NOWHERE { NOWHERE } else { self.fields.element(node, index) };
                self.value(child, depth + 1)?;
                index = index.saturating_add(1);
                self.space();
                match self.peek() {
                    b',' => self.at += 1,
                    b']' => {
                        self.at += 1;
                        break;
                    }
                    _ => return Err(Malformed),
                }
                self.space();
            }
        }
        self.held -= is_held;
        self.put(node, What::Array, start);
        Ok(index as usize)
    }

    /// Clears what is wanted below `node`: only a duplicate can have set it.
    fn forget(&mut self, node: Node) {
        if node != NOWHERE {
            let sink = &mut *self.sink;
            self.fields.below(node, &mut |column| sink.clear(column));
        }
    }

    #[inline]
    fn literal(&mut self, word: &[u8]) -> Result<(), Malformed> {
        if self.json[self.at..].starts_with(word) {
            self.at += word.len();
            return Ok(());
        }
        Err(Malformed)
    }

    /// A number by its grammar; true if it may be too large for a double.
    #[inline]
    fn number(&mut self) -> Result<bool, Malformed> {
        let start = self.at;
        if self.peek() == b'-' {
            self.at += 1;
        }
        if self.short_number() {
            return Ok(false);
        }
        match self.peek() {
            b'0' => self.at += 1,
            b'1'..=b'9' => self.digits(),
            _ => return Err(Malformed),
        }
        let mut doubtful = self.at - start > 300;
        if self.peek() == b'.' {
            self.at += 1;
            self.some_digits()?;
        }
        if matches!(self.peek(), b'e' | b'E') {
            self.at += 1;
            if matches!(self.peek(), b'+' | b'-') {
                self.at += 1;
            }
            self.some_digits()?;
            doubtful = true;
        }
        Ok(doubtful)
    }

    /// A number without its sign that ends within sixteen bytes and has no exponent: false, and nothing done, if it is none.
    #[inline]
    fn short_number(&mut self) -> bool {
        let Some(bytes) = self.json[self.at..].first_chunk::<16>() else { return false };
        let digits = sixteen::digits(bytes);
        let whole = digits.trailing_ones();
        if whole == 0 || whole >= 15 || (bytes[0] == b'0' && whole > 1) {
            return false;
        }
        let mut len = whole;
        if bytes[whole as usize] == b'.' {
            let fraction = (digits >> (whole + 1)).trailing_ones();
            len += 1 + fraction;
            if fraction == 0 {
                return false;
            }
        }
        if len >= 16 || matches!(bytes[len as usize], b'e' | b'E') {
            return false;
        }
        self.at += len as usize;
        true
    }

    #[inline]
    fn digits(&mut self) {
        while self.peek().is_ascii_digit() {
            self.at += 1;
        }
    }

    #[inline]
    fn some_digits(&mut self) -> Result<(), Malformed> {
        let before = self.at;
        self.digits();
        if self.at > before { Ok(()) } else { Err(Malformed) }
    }

    /// A string from its opening quote to behind its closing one. Escapes are found, not checked.
    #[inline]
    fn string(&mut self) -> Result<Text, Malformed> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;
        loop {
            while let Some(bytes) = self.json[at..].first_chunk() {
                let specials = sixteen::specials(bytes);
                if specials != 0 {
                    at += specials.trailing_zeros() as usize;
                    break;
                }
                at += 16;
            }
            match self.json.get(at) {
                None => return Err(Malformed),
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Text { start, end: at, escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    // What is escaped may lie behind the end.
                    at = (at + 2).min(self.json.len());
                }
                Some(control) if *control < 0x20 => return Err(Malformed),
                Some(_) => at += 1,
            }
        }
    }

    #[cold]
    fn check_escapes(&mut self, text: Text) -> Result<(), Malformed> {
        let mut name = std::mem::take(&mut self.name);
        name.clear();
        let done = unescape(&self.json[text.start..text.end], &mut name);
        self.name = name;
        done
    }

    fn rewrite(&mut self, text: Text) -> Result<What, Malformed> {
        let room = self.sink.room();
        let start = room.len();
        unescape(&self.json[text.start..text.end], room)?;
        Ok(What::Rewritten { start, len: room.len() - start })
    }
}

/// Appends `text` without its escapes.
fn unescape(text: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut rest = text;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        let plain = match rest.get(at + 1).ok_or(Malformed)? {
            b'"' => b'"',
            b'\\' => b'\\',
            b'/' => b'/',
            b'b' => 8,
            b'f' => 12,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'u' => {
                let (c, len) = unicode(&rest[at..])?;
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[at + len..];
                continue;
            }
            _ => return Err(Malformed),
        };
        out.push(plain);
        rest = &rest[at + 2..];
    }
    out.extend_from_slice(rest);
    Ok(())
}

/// `\u` with four digits, or a pair of them for a character beyond the first plane: the character and the bytes that it took.
fn unicode(text: &[u8]) -> Result<(char, usize), Malformed> {
    let first = hex(text.get(2..6))?;
    if let Some(c) = char::from_u32(first) {
        return Ok((c, 6));
    }
    if first >= 0xdc00 || text.get(6..8) != Some(b"\\u") {
        return Err(Malformed);
    }
    let second = hex(text.get(8..12))?;
    if !(0xdc00..0xe000).contains(&second) {
        return Err(Malformed);
    }
    let c = char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00)).ok_or(Malformed)?;
    Ok((c, 12))
}

fn hex(digits: Option<&[u8]>) -> Result<u32, Malformed> {
    digits
        .ok_or(Malformed)?
        .iter()
        .try_fold(0, |value, digit| Ok(value << 4 | (*digit as char).to_digit(16).ok_or(Malformed)?))
}
