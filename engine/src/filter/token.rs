//! Tokens of all dialects; the lexers make them, the parser reads them.

use super::Span;

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Spanned {
    pub token: Token,
    pub span: Span,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// String literal, decoded.
    String(String),
    /// Number literal; NaN where the form is a number's and the value is undefined.
    Number(f64),
    /// A bare name.
    Word(String),
    /// A name in backticks, decoded.
    Quoted(String),
    /// A name after `$`; in the IoT Hub dialect the whole path.
    System(String),
    Keyword(Keyword),
    Symbol(Symbol),
    /// Not a token; the lexer has reported it.
    Invalid,
    /// End of the text.
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Keyword {
    True,
    False,
    Null,
    Undefined,
    And,
    Or,
    Not,
    In,
    Between,
    Like,
    Escape,
    Is,
    Exists,
    /// `select`, `from`, `where`, `into` of the IoT Hub dialect: no use, no name.
    Reserved,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Symbol {
    Open,
    Close,
    OpenBracket,
    CloseBracket,
    OpenBrace,
    CloseBrace,
    Comma,
    Dot,
    Plus,
    Minus,
    Star,
    Slash,
    Percent,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    /// `||`
    Bars,
    /// `??`
    Coalesce,
}

/// Symbols that mean the same in every dialect, longest first.
pub(super) const SYMBOLS: [(&str, Symbol); 17] = [
    ("!=", Symbol::NotEqual),
    ("<>", Symbol::NotEqual),
    ("<=", Symbol::LessEqual),
    (">=", Symbol::GreaterEqual),
    ("||", Symbol::Bars),
    ("??", Symbol::Coalesce),
    ("(", Symbol::Open),
    (")", Symbol::Close),
    (",", Symbol::Comma),
    ("+", Symbol::Plus),
    ("-", Symbol::Minus),
    ("*", Symbol::Star),
    ("/", Symbol::Slash),
    ("%", Symbol::Percent),
    ("=", Symbol::Equal),
    ("<", Symbol::Less),
    (">", Symbol::Greater),
];
