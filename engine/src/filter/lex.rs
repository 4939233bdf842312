//! From text to tokens. The two lexers differ in one thing only, and it is everything: where a name ends.
//!
//! Both always end with [`Token::End`], cover the text from left to right, and report what is no token and go on behind it.

mod iothub;
mod literal;
mod ordinary;

use super::diagnostic::Diagnostic;
use super::token::{Spanned, Token};
use super::{Dialect, Span};

/// Tokens of `text`, ending with [`Token::End`].
pub(super) fn lex(text: &str, dialect: Dialect, problems: &mut Vec<Diagnostic>) -> Vec<Spanned> {
    let mut lexer = Lexer { text, dialect, at: 0, tokens: Vec::new(), problems };
    match dialect {
        Dialect::IotHub => iothub::run(&mut lexer),
        // The other dialects are not written as conditions and never come here.
        Dialect::Anabranch | Dialect::DigitalTwins | Dialect::EventGrid | Dialect::Mqtt => ordinary::run(&mut lexer),
    }
    let end = text.len();
    lexer.tokens.push(Spanned { token: Token::End, span: end..end });
    lexer.tokens
}

struct Lexer<'t, 'p> {
    text: &'t str,
    dialect: Dialect,
    at: usize,
    tokens: Vec<Spanned>,
    problems: &'p mut Vec<Diagnostic>,
}

impl<'t> Lexer<'t, '_> {
    fn rest(&self) -> &'t str {
        &self.text[self.at..]
    }

    /// Emits the next `len` bytes as `token`.
    fn push(&mut self, len: usize, token: Token) {
        self.tokens.push(Spanned { token, span: self.at..self.at + len });
        self.at += len;
    }

    /// The next `len` bytes are no token.
    fn refuse(&mut self, len: usize, problem: Diagnostic) {
        self.problems.push(problem);
        self.push(len, Token::Invalid);
    }

    /// Span of the next `len` bytes.
    fn ahead(&self, len: usize) -> Span {
        self.at..self.at + len
    }

    /// Skips a comment if one starts here.
    fn comment(&mut self) -> bool {
        let Some(inside) = self.rest().strip_prefix("/*") else { return false };
        match inside.find("*/") {
            Some(end) => self.at += end + 4,
            None => {
                let span = self.ahead(2);
                let problem = self.problem(span, "the comment that starts here has no end").help("close it with `*/`");
                self.refuse(self.rest().len(), problem);
            }
        }
        true
    }

    /// A syntax error in the words of the dialect.
    fn problem(&self, span: Span, detail: &str) -> Diagnostic {
        self.dialect.syntax_error(span, detail)
    }
}
