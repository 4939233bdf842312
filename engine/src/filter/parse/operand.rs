//! Operands: literals, references with their paths, calls, prefix operators and parentheses.

use super::super::Dialect;
use super::super::syntax::{Name, Node, NodeKind, Sigil, Step};
use super::super::token::{Keyword, Symbol, Token};
use super::{Diagnostic, Parser, Span, operator};

impl Parser<'_, '_> {
    pub(super) fn operand(&mut self) -> Node {
        let span = self.peek_span();
        let start = span.start;
        let kind = match self.peek() {
            Token::String(text) => NodeKind::String(text.clone()),
            Token::Number(value) => NodeKind::Number(*value),
            Token::Keyword(Keyword::True) => NodeKind::Bool(true),
            Token::Keyword(Keyword::False) => NodeKind::Bool(false),
            Token::Keyword(Keyword::Null) => NodeKind::Null,
            Token::Keyword(Keyword::Undefined) => NodeKind::Undefined,
            Token::Word(name) => return self.word(name, span),
            Token::Quoted(name) => return self.reference(Sigil::Quoted, name, span),
            Token::System(name) => return self.reference(Sigil::Dollar, name, span),
            Token::Symbol(Symbol::OpenBrace) => return self.braced(span),
            Token::Symbol(Symbol::Open) => {
                self.bump();
                let inner = self.expression(0);
                self.close(span);
                return inner;
            }
            Token::Symbol(Symbol::Minus) => {
                self.bump();
                let operand = self.expression(operator::NEGATE);
                if let (NodeKind::Number(value), true) = (&operand.kind, self.dialect != Dialect::IotHub) {
                    return self.node(start, NodeKind::Number(-value), 0);
                }
                let below = operand.height;
                return self.node(start, NodeKind::Negate(Box::new(operand)), below);
            }
            Token::Keyword(Keyword::Not) => {
                self.bump();
                let operand = self.expression(operator::not_power(self.dialect));
                let below = operand.height;
                return self.node(start, NodeKind::Not(Box::new(operand)), below);
            }
            Token::Keyword(Keyword::Exists) if *self.peek_second() == Token::Symbol(Symbol::Open) => {
                self.bump();
                let open = self.peek_span();
                self.bump();
                let inner = self.expression(0);
                self.close(open);
                let below = inner.height;
                return self.node(start, NodeKind::Exists(Box::new(inner)), below);
            }
            _ => return self.no_operand(span),
        };
        self.bump();
        self.node(start, kind, 0)
    }

    /// Nothing that can be an operand stands here.
    fn no_operand(&mut self, span: Span) -> Node {
        if *self.peek() == Token::Invalid {
            self.bump();
            // Operands behind it would only be reported as unexpected.
            if !operator::starts(self.peek()) {
                self.recover();
            }
            return self.error_node(span);
        }
        let before = self.at.checked_sub(1).map(|at| &self.tokens[at].token);
        let detail = match before {
            Some(Token::Keyword(_)) | Some(Token::Symbol(_)) => {
                let at = self.at;
                self.at -= 1;
                let before = self.found();
                self.at = at;
                format!("a value was expected after {before}, not {}", self.found())
            }
            _ => format!("a value was expected here, not {}", self.found()),
        };
        let mut problem = self.dialect.syntax_error(span.clone(), &detail);
        problem = match self.peek() {
            Token::Keyword(Keyword::Reserved) => {
                problem.help("`select`, `from`, `where` and `into` are reserved: they cannot be property names")
            }
            Token::Keyword(Keyword::Exists) => problem.help("write `EXISTS(path)`"),
            Token::Keyword(_) if self.dialect == Dialect::Anabranch => {
                let word = self.found();
                let word = word.trim_matches('`').to_lowercase();
                problem.help(format!("a member of the data with that name is written `$body.{word}`"))
            }
            Token::Symbol(Symbol::OpenBracket) => problem.help("a list is written in parentheses: `x IN ('a', 'b')`"),
            Token::Symbol(Symbol::Equal) if before == Some(&Token::Symbol(Symbol::Equal)) => {
                let equals = self.last_span().start..span.end;
                problem.help("equality is written `=`").suggest(equals, "=")
            }
            _ => problem,
        };
        self.problems.push(problem);
        self.recover();
        self.error_node(span)
    }

    /// A bare name: a call if `(` follows.
    fn word(&mut self, name: &str, span: Span) -> Node {
        if *self.peek_second() != Token::Symbol(Symbol::Open) {
            return self.reference(Sigil::Bare, name, span);
        }
        self.bump();
        let open = self.peek_span();
        self.bump();
        let mut args = Vec::new();
        if *self.peek() != Token::Symbol(Symbol::Close) {
            self.list(&mut args);
        }
        self.close(open);
        let below = args.iter().map(|arg| arg.height).max().unwrap_or(0);
        self.node(span.start, NodeKind::Call { name: name.to_owned(), name_span: span, args }, below)
    }

    /// Expressions with commas between them.
    pub(super) fn list(&mut self, into: &mut Vec<Node>) {
        loop {
            into.push(self.expression(0));
            if !self.eat(Symbol::Comma) {
                return;
            }
        }
    }

    /// `{$name}`
    fn braced(&mut self, open: Span) -> Node {
        self.bump();
        let name_span = self.peek_span();
        if let Token::System(name) = self.peek() {
            self.bump();
            if self.eat(Symbol::CloseBrace) {
                let name = Name { sigil: Sigil::Braced, head: name.clone(), head_span: name_span, rest: Vec::new() };
                return self.node(open.start, NodeKind::Name(name), 0);
            }
        }
        let span = open.start..self.last_span().end;
        let problem = self.dialect.syntax_error(open, "only `$name` can stand in braces").help(
            "for example `{$messageId}`: the system property, even if an application property is called `$messageId`",
        );
        self.problems.push(problem);
        self.recover();
        self.error_node(span)
    }

    /// A name and the path behind it.
    fn reference(&mut self, sigil: Sigil, head: &str, head_span: Span) -> Node {
        self.bump();
        let mut rest = Vec::new();
        let mut whole = true;
        if self.dialect != Dialect::IotHub {
            while whole {
                let from = self.peek_span().start;
                if self.eat(Symbol::Dot) {
                    whole = self.member(from, &mut rest);
                } else if self.eat(Symbol::OpenBracket) {
                    whole = self.element(from, &mut rest);
                } else {
                    break;
                }
            }
        }
        if !whole {
            return self.error_node(head_span);
        }
        let start = head_span.start;
        self.node(start, NodeKind::Name(Name { sigil, head: head.to_owned(), head_span, rest }), 0)
    }

    fn member(&mut self, from: usize, rest: &mut Vec<(Step, Span)>) -> bool {
        let span = self.peek_span();
        let name = match self.peek() {
            Token::Word(name) | Token::Quoted(name) => name.clone(),
            Token::System(name) => format!("${name}"),
            // A keyword is a name here; its own spelling counts.
            Token::Keyword(_) => self.text[span.clone()].to_owned(),
            Token::Invalid => {
                self.bump();
                return false;
            }
            Token::Number(index) if self.dialect == Dialect::Anabranch && index.fract() == 0.0 => {
                let problem = self
                    .dialect
                    .syntax_error(from..span.end, "an element of an array is written in brackets")
                    .suggest(from..span.end, format!("[{index}]"));
                self.problems.push(problem);
                self.bump();
                return false;
            }
            _ => {
                let detail = format!("a name must follow the dot, not {}", self.found());
                let mut problem = self.dialect.syntax_error(from..span.end.max(from + 1), &detail);
                if self.dialect == Dialect::Anabranch {
                    problem = problem.help("an element of an array is written `[0]`; odd names go into backticks");
                }
                self.problems.push(problem);
                self.recover();
                return false;
            }
        };
        self.bump();
        rest.push((Step::Member(name.into()), from..span.end));
        true
    }

    fn element(&mut self, from: usize, rest: &mut Vec<(Step, Span)>) -> bool {
        let index = match self.peek() {
            Token::Number(value) if value.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(value) => {
                Some(*value as u32)
            }
            _ => None,
        };
        if let Some(index) = index
            && *self.peek_second() == Token::Symbol(Symbol::CloseBracket)
        {
            self.bump();
            self.bump();
            rest.push((Step::Element(index), from..self.last_span().end));
            return true;
        }
        let problem = match self.peek() {
            Token::String(name) if *self.peek_second() == Token::Symbol(Symbol::CloseBracket) => {
                let end = self.tokens[self.at + 1].span.end;
                let member = format!(".`{}`", name.replace('`', "``"));
                self.dialect
                    .syntax_error(from..end, "an index is a number")
                    .help("a member with an odd name goes into backticks")
                    .suggest(from..end, member)
            }
            _ => {
                let span: Span = from..self.peek_span().end.max(from + 1);
                self.dialect
                    .syntax_error(span, "an index is a whole number in brackets")
                    .help("for example `readings[0].value`; the first element is 0")
            }
        };
        self.problems.push(problem);
        // Past the bracket, so that what follows is read normally.
        while !matches!(self.peek(), Token::End | Token::Symbol(Symbol::CloseBracket | Symbol::Close | Symbol::Comma))
            && !matches!(self.peek(), Token::Keyword(Keyword::And | Keyword::Or))
        {
            self.bump();
        }
        self.eat(Symbol::CloseBracket);
        false
    }

    /// Reports `problem` about `span` and gives the node that stands for it.
    pub(super) fn report(&mut self, problem: Diagnostic, span: Span) -> Node {
        self.problems.push(problem);
        self.error_node(span)
    }
}
