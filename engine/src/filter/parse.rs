//! From tokens to a tree: a Pratt parser with one table of binding powers per dialect.
//!
//! It never gives up: what it cannot read it reports once, skips to the next place where an expression may start or end,
//! and goes on, so that one compilation names all problems. Its recursion is bounded by
//! [`limits::FILTER_DEPTH_MAX`](crate::limits::FILTER_DEPTH_MAX).

mod operand;
mod operator;

use super::diagnostic::Diagnostic;
use super::syntax::{Node, NodeKind};
use super::token::{Keyword, Spanned, Symbol, Token};
use super::{Dialect, Span};
use crate::limits;

/// Parses all of `tokens`. `None` if there is nothing but the end.
pub(super) fn parse(text: &str, tokens: &[Spanned], dialect: Dialect, problems: &mut Vec<Diagnostic>) -> Option<Node> {
    if tokens.first().is_none_or(|first| first.token == Token::End) {
        return None;
    }
    let mut parser = Parser { text, tokens, at: 0, dialect, problems, depth: 0, too_deep: false };
    let mut node = parser.expression(0);
    while *parser.peek() != Token::End {
        if parser.eat(Symbol::Close) {
            let span = parser.last_span();
            let problem = match dialect {
                Dialect::IotHub => Diagnostic::error(span, "Syntax error: unmatched closing ')'"),
                _ => Diagnostic::error(span, "this `)` closes nothing"),
            };
            parser.problems.push(problem.help("remove it, or open it with `(` further left"));
            node = parser.operators(node, 0);
        } else {
            parser.unexpected_after_operand();
            node = parser.operators(node, 0);
        }
    }
    Some(node)
}

struct Parser<'t, 'p> {
    text: &'t str,
    tokens: &'t [Spanned],
    at: usize,
    dialect: Dialect,
    problems: &'p mut Vec<Diagnostic>,
    depth: usize,
    too_deep: bool,
}

impl<'t> Parser<'t, '_> {
    fn peek(&self) -> &'t Token {
        &self.tokens[self.at].token
    }

    fn peek_second(&self) -> &'t Token {
        &self.tokens[(self.at + 1).min(self.tokens.len() - 1)].token
    }

    fn peek_span(&self) -> Span {
        self.tokens[self.at].span.clone()
    }

    fn last_span(&self) -> Span {
        self.tokens[self.at.saturating_sub(1)].span.clone()
    }

    fn bump(&mut self) -> &'t Spanned {
        let token = &self.tokens[self.at];
        // The end stays in place, so that it can always be looked at.
        self.at = (self.at + 1).min(self.tokens.len() - 1);
        token
    }

    fn eat(&mut self, symbol: Symbol) -> bool {
        let found = *self.peek() == Token::Symbol(symbol);
        if found {
            self.bump();
        }
        found
    }

    fn eat_keyword(&mut self, keyword: Keyword) -> bool {
        let found = *self.peek() == Token::Keyword(keyword);
        if found {
            self.bump();
        }
        found
    }

    /// A node from `start` to the last token read.
    fn node(&mut self, start: usize, kind: NodeKind, below: usize) -> Node {
        let span = start..self.last_span().end.max(start);
        let height = below + 1;
        if height > limits::FILTER_DEPTH_MAX {
            self.refuse_depth(span.clone());
            return Node { kind: NodeKind::Error, span, height: 1 };
        }
        Node { kind, span, height }
    }

    fn error_node(&self, span: Span) -> Node {
        Node { kind: NodeKind::Error, span, height: 1 }
    }

    fn refuse_depth(&mut self, span: Span) {
        if !self.too_deep {
            self.too_deep = true;
            let most = limits::FILTER_DEPTH_MAX;
            let problem = Diagnostic::error(span, format!("the filter is nested deeper than {most} levels"))
                .help("split it into several routes to one endpoint: an event is delivered once however many match");
            self.problems.push(problem);
        }
    }

    fn expression(&mut self, min_power: u8) -> Node {
        if self.depth >= limits::FILTER_DEPTH_MAX {
            let span = self.peek_span();
            self.refuse_depth(span.clone());
            // Nothing behind this can be understood any more.
            self.at = self.tokens.len() - 1;
            return self.error_node(span);
        }
        self.depth += 1;
        let operand = self.operand();
        let node = self.operators(operand, min_power);
        self.depth -= 1;
        node
    }

    /// Skips to a token at which something can go on: an operator `AND`/`OR`, a comma, a closing parenthesis, the end.
    fn recover(&mut self) {
        let mut open = 0usize;
        loop {
            match self.peek() {
                Token::End => return,
                Token::Keyword(Keyword::And | Keyword::Or) if open == 0 => return,
                Token::Symbol(Symbol::Comma) if open == 0 => return,
                Token::Symbol(Symbol::Close) if open == 0 => return,
                Token::Symbol(Symbol::Open) => open += 1,
                Token::Symbol(Symbol::Close) => open -= 1,
                _ => {}
            }
            self.bump();
        }
    }

    /// Text of the token ahead for a message.
    fn found(&self) -> String {
        match self.peek() {
            Token::End => "the end".to_owned(),
            Token::String(_) => "a string".to_owned(),
            Token::Number(_) => "a number".to_owned(),
            Token::Word(_) | Token::Quoted(_) | Token::System(_) | Token::Keyword(_) | Token::Symbol(_) => {
                let text = &self.text[self.peek_span()];
                if text.contains('`') { text.to_owned() } else { format!("`{text}`") }
            }
            Token::Invalid => "what is no token".to_owned(),
        }
    }

    /// An operand stands where an operator or the end should: reports it and skips what follows.
    fn unexpected_after_operand(&mut self) {
        if *self.peek() != Token::Invalid {
            let span = self.peek_span();
            let detail = format!("an operator or the end was expected here, not {}", self.found());
            let mut problem = self.dialect.syntax_error(span.clone(), &detail);
            problem = match (self.peek(), self.dialect) {
                (Token::Word(name), Dialect::IotHub) if name.starts_with(['*', '+', '-', '%', '!', '|']) => {
                    let (operator, operand) = name.split_at(name.find(|c| !"*+-%!|".contains(c)).unwrap_or(name.len()));
                    problem
                        .help(format!(
                            "`{name}` is one name, because names may contain operator characters; put spaces around `{operator}`"
                        ))
                        .suggest(span.clone(), self.spaced(&span, format!("{operator} {operand}").trim_end()))
                }
                (Token::Number(number), _) if *number < 0.0 => problem
                    .help("`-` right before a digit belongs to the number; put spaces around the operator")
                    .suggest(span.clone(), self.spaced(&span, &format!("- {}", number.abs()))),
                (Token::Word(name), Dialect::IotHub)
                    if ["in", "like", "between", "is"].iter().any(|word| name.eq_ignore_ascii_case(word)) =>
                {
                    problem.help(format!(
                        "the IoT Hub language has no {}; use comparisons, or `dialect = \"anabranch\"`",
                        name.to_uppercase()
                    ))
                }
                (Token::Keyword(Keyword::Reserved), _) => problem.help("only the condition is written, without SELECT"),
                (Token::Keyword(Keyword::Null), Dialect::Anabranch) => problem.help("write `IS NULL` or `IS NOT NULL`"),
                (Token::String(_) | Token::Number(_), _) => {
                    problem.help("an operator is missing between these two, for example `=`")
                }
                _ => problem.help("join two conditions with AND or OR"),
            };
            self.problems.push(problem);
        }
        self.recover();
        // A comma has no meaning here and would be met again.
        if *self.peek() == Token::Symbol(Symbol::Comma) {
            self.bump();
            self.recover();
            while *self.peek() == Token::Symbol(Symbol::Comma) {
                self.bump();
                self.recover();
            }
        }
    }

    /// A replacement for `span`, apart from what stands before it.
    fn spaced(&self, span: &Span, replacement: &str) -> String {
        let touches = self.text[..span.start].ends_with(|c: char| !c.is_whitespace());
        format!("{}{replacement}", if touches { " " } else { "" })
    }

    /// Reads up to and over the `)` that closes the `(` at `open`.
    fn close(&mut self, open: Span) {
        while !self.eat(Symbol::Close) {
            if *self.peek() == Token::End {
                if self.too_deep {
                    return;
                }
                let problem = match self.dialect {
                    Dialect::IotHub => Diagnostic::error(open, "Syntax error: missing closing ')'"),
                    _ => Diagnostic::error(open, "this `(` is never closed"),
                };
                let end = self.peek_span();
                self.problems.push(problem.help("close it with `)`").suggest(end, ")"));
                return;
            }
            self.unexpected_after_operand();
            let lost = self.error_node(self.peek_span());
            self.operators(lost, 0);
        }
    }
}
