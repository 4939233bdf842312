//! The numbers of a body as they were written, digit by digit: a tape holds them as numbers of the machine, which round.
//!
//! A number is found by its rank: the n-th number on the tape is the n-th number in the text. Asked for in the order of the body, all of
//! them together cost one scan of its text; nothing is scanned before the first one is asked for.

use simd_json::{Node, StaticNode};

use super::value::Value;

/// See the module.
#[derive(Debug)]
pub struct NumberTexts<'j> {
    nodes: &'j [Node<'j>],
    text: &'j [u8],
    /// Nodes passed, and where in the text the numbers among them end.
    node: usize,
    at: usize,
}

impl<'j> NumberTexts<'j> {
    /// Of a body and the text that it was parsed from.
    pub fn new(root: Value<'j>, text: &'j [u8]) -> Self {
        Self { nodes: root.nodes(), text, node: 0, at: 0 }
    }

    /// The text of `number`, which is a number of this body; `None` for anything else.
    pub fn of(&mut self, number: Value<'_>) -> Option<&'j [u8]> {
        let node = self.nodes.len().checked_sub(number.nodes().len())?;
        if !is_number(&self.nodes[node]) {
            return None;
        }
        if node < self.node {
            (self.node, self.at) = (0, 0);
        }
        let before = self.nodes[self.node..node].iter().filter(|node| is_number(node)).count();
        let mut found = &self.text[..0];
        for _ in 0..=before {
            let start = number_start(self.text, self.at)?;
            self.at = number_end(self.text, start);
            found = &self.text[start..self.at];
        }
        self.node = node + 1;
        Some(found)
    }
}

fn is_number(node: &Node<'_>) -> bool {
    matches!(node, Node::Static(StaticNode::I64(_) | StaticNode::U64(_) | StaticNode::F64(_)))
}

/// Where the next number begins, strings passed over.
fn number_start(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        match *text.get(at)? {
            b'-' | b'0'..=b'9' => return Some(at),
            b'"' => at = string_end(text, at + 1)?,
            _ => at += 1,
        }
    }
}

/// Behind the quote that ends the string whose content begins at `at`.
fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at + 1);
        }
        at += 2;
    }
}

fn number_end(text: &[u8], start: usize) -> usize {
    let is_part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
    text[start..].iter().position(|byte| !is_part(byte)).map_or(text.len(), |len| start + len)
}

#[cfg(test)]
mod tests;
