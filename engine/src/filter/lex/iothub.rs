//! The IoT Hub lexer: longest match wins, and names may contain nearly everything (sheet `iothub-and-twins.md` 1.7.1).
//!
//! Order among equals: literals, keywords, `$` names, operators, names.

use super::super::diagnostic::Diagnostic;
use super::super::token::{Keyword, SYMBOLS, Symbol, Token};
use super::literal::{self, Found};
use super::{Lexer, literal::run_len};

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

/// A character of a `$` name.
fn is_system(c: char) -> bool {
    !is_space(c) && !"()<>@,;:\\\"/?={}".contains(c)
}

/// A character of a property name.
fn is_name(c: char) -> bool {
    is_system(c) && c != '[' && c != ']'
}

pub(super) fn run(lexer: &mut Lexer<'_, '_>) {
    while let Some(first) = lexer.rest().chars().next() {
        if is_space(first) {
            lexer.at += 1;
        } else if !lexer.comment() {
            token(lexer, first);
        }
    }
}

fn token(lexer: &mut Lexer<'_, '_>, first: char) {
    let rest = lexer.rest();
    let name = run_len(rest, is_name);
    if first == '\'' || first == '"' {
        return string(lexer, name);
    }
    let digits = rest.strip_prefix('-').unwrap_or(rest);
    let sign = rest.len() - digits.len();
    let number = [literal::integer_len(digits), literal::real_len(digits)].into_iter().max().unwrap_or(0);
    let number = if number == 0 { literal::hex_len(rest) } else { (number + sign).max(literal::hex_len(rest)) };
    if number > 0 && number >= name {
        return lexer.push(number, Token::Number(literal::number(&rest[..number])));
    }
    if first == '$' {
        let system = 1 + run_len(&rest[1..], is_system);
        if system > 1 {
            return lexer.push(system, Token::System(rest[1..system].to_owned()));
        }
    }
    let symbol = SYMBOLS
        .into_iter()
        .chain([("{", Symbol::OpenBrace), ("}", Symbol::CloseBrace)])
        .find(|(text, _)| rest.starts_with(text));
    if let Some((text, symbol)) = symbol
        && text.len() >= name
    {
        return lexer.push(text.len(), Token::Symbol(symbol));
    }
    if name > 0 {
        let text = &rest[..name];
        return lexer.push(name, keyword(text).map_or_else(|| Token::Word(text.to_owned()), Token::Keyword));
    }
    let problem = Diagnostic::error(lexer.ahead(first.len_utf8()), format!("Syntax error: invalid symbol '{first}'"));
    let problem = match first {
        '[' | ']' => problem.help("only paths after `$body` have indexes, and no property name can contain `[` or `]`"),
        '?' => problem.help("the operator that takes the right side when the left one is undefined is `??`"),
        _ => problem.help(format!("`{first}` can stand in a string only")),
    };
    lexer.refuse(first.len_utf8(), problem);
}

fn string(lexer: &mut Lexer<'_, '_>, name: usize) {
    match literal::string(lexer.rest(), false) {
        // The quote ' is a name character too: what goes on behind the closing one is a name as a whole.
        Found::String { len, .. } if name > len => {
            let text = lexer.rest()[..name].to_owned();
            lexer.push(name, Token::Word(text));
        }
        Found::String { len, value, bad } => {
            for range in &bad {
                let span = lexer.at + range.start..lexer.at + range.end;
                let escape = &lexer.text[span.clone()];
                let problem = Diagnostic::error(span.clone(), "Syntax error.")
                    .label(format!("`{escape}` is no escape"))
                    .help("the escapes are `\\'`, `\\\"`, `\\\\` and `\\uHHHH`; a backslash is written `\\\\`")
                    .suggest(span.start..span.start, "\\");
                lexer.problems.push(problem);
            }
            lexer.push(len, Token::String(value));
        }
        Found::Open => {
            let end = lexer.text.len();
            let quote = &lexer.rest()[..1];
            let problem = Diagnostic::error(lexer.ahead(1), "Syntax error: unterminated string")
                .label("this quote has no partner")
                .help("close the string with the quote it starts with")
                .suggest(end..end, quote);
            lexer.refuse(end - lexer.at, problem);
        }
    }
}

fn keyword(text: &str) -> Option<Keyword> {
    Some(match text {
        "true" => Keyword::True,
        "false" => Keyword::False,
        "null" => Keyword::Null,
        "undefined" => Keyword::Undefined,
        _ if text.eq_ignore_ascii_case("and") => Keyword::And,
        _ if text.eq_ignore_ascii_case("or") => Keyword::Or,
        _ if text.eq_ignore_ascii_case("not") => Keyword::Not,
        _ if ["select", "from", "where", "into"].iter().any(|word| text.eq_ignore_ascii_case(word)) => {
            Keyword::Reserved
        }
        _ => return None,
    })
}
