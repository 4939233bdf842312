//! The ordinary lexer of the default and the Digital Twins dialect: a name ends where letters, digits and `_` end.

use super::super::Dialect;
use super::super::token::{Keyword, SYMBOLS, Symbol, Token};
use super::literal::{self, Found, run_len};
use super::{Diagnostic, Lexer};

fn starts_name(c: char) -> bool {
    c.is_alphabetic() || c == '_'
}

fn is_name(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

pub(super) fn run(lexer: &mut Lexer<'_, '_>) {
    while let Some(first) = lexer.rest().chars().next() {
        if first.is_whitespace() {
            lexer.at += first.len_utf8();
        } else if !lexer.comment() {
            token(lexer, first);
        }
    }
}

fn token(lexer: &mut Lexer<'_, '_>, first: char) {
    let rest = lexer.rest();
    if starts_name(first) {
        let text = &rest[..run_len(rest, is_name)];
        return lexer.push(text.len(), keyword(text).map_or_else(|| Token::Word(text.to_owned()), Token::Keyword));
    }
    match first {
        '\'' | '"' => string(lexer, first),
        '`' => quoted(lexer, 0),
        '$' => match run_len(&rest[1..], is_name) {
            0 if rest[1..].starts_with('`') => quoted(lexer, 1),
            0 => {
                let problem =
                    lexer.problem(lexer.ahead(1), "a name must follow `$`").help("for example `$body.temperature`");
                lexer.refuse(1, problem);
            }
            len => lexer.push(1 + len, Token::System(rest[1..=len].to_owned())),
        },
        '0'..='9' => number(lexer),
        '.' if rest[1..].starts_with(|c: char| c.is_ascii_digit()) && !follows_path(lexer) => number(lexer),
        _ => symbol(lexer, first),
    }
}

/// A dot right behind a name belongs to a path, whatever follows it.
fn follows_path(lexer: &Lexer<'_, '_>) -> bool {
    lexer.tokens.last().is_some_and(|last| {
        last.span.end == lexer.at
            && matches!(
                last.token,
                Token::Word(_) | Token::Quoted(_) | Token::System(_) | Token::Symbol(Symbol::CloseBracket)
            )
    })
}

fn number(lexer: &mut Lexer<'_, '_>) {
    let rest = lexer.rest();
    let len = literal::integer_len(rest).max(literal::real_len(rest)).max(literal::hex_len(rest));
    let tail = run_len(&rest[len..], is_name);
    if tail > 0 {
        let text = &rest[..len + tail];
        let problem = lexer
            .problem(lexer.ahead(len + tail), &format!("`{text}` is neither a number nor a name"))
            .help("a name that starts with a digit goes into backticks")
            .suggest(lexer.ahead(len + tail), format!("`{text}`"));
        return lexer.refuse(len + tail, problem);
    }
    let value = literal::number(&rest[..len]);
    if value.is_nan() {
        let problem = lexer
            .problem(lexer.ahead(len), &format!("`{}` is no number", &rest[..len]))
            .help("a hexadecimal number has at most 16 digits");
        return lexer.refuse(len, problem);
    }
    if value.abs() >= 2f64.powi(53) && rest[..len].bytes().all(|byte| byte.is_ascii_digit()) {
        let text = &rest[..len];
        let warning = Diagnostic::warning(lexer.ahead(len), format!("{text} is compared as {value}"))
            .help("numbers are double precision: whole numbers are exact up to 9007199254740992 only");
        if format!("{value}") != text {
            lexer.problems.push(warning);
        }
    }
    lexer.push(len, Token::Number(value));
}

fn string(lexer: &mut Lexer<'_, '_>, quote: char) {
    match literal::string(lexer.rest(), true) {
        Found::String { len, value, bad } => {
            for range in &bad {
                let span = lexer.at + range.start..lexer.at + range.end;
                let escape = &lexer.text[span.clone()];
                let problem = lexer
                    .problem(span.clone(), &format!("`{escape}` is no escape"))
                    .help("the escapes are `\\'`, `\\\"`, `\\\\`, `\\n`, `\\r`, `\\t` and `\\uHHHH`; a backslash is written `\\\\`")
                    .suggest(span.start..span.start, "\\");
                lexer.problems.push(problem);
            }
            if lexer.dialect == Dialect::DigitalTwins && quote == '"' {
                let problem = lexer
                    .problem(lexer.ahead(len), "strings stand in single quotes")
                    .suggest(lexer.ahead(len), format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'")));
                lexer.problems.push(problem);
            }
            lexer.push(len, Token::String(value));
        }
        Found::Open => {
            let end = lexer.text.len();
            let problem = lexer
                .problem(lexer.ahead(1), "this string has no end")
                .help("close it with the quote it starts with")
                .suggest(end..end, quote);
            lexer.refuse(end - lexer.at, problem);
        }
    }
}

/// A name in backticks; a backtick in it is doubled. `sigil` is 1 where `$` stands before it.
fn quoted(lexer: &mut Lexer<'_, '_>, sigil: usize) {
    let rest = lexer.rest();
    let mut value = String::new();
    let mut chars = rest.char_indices().skip(sigil + 1).peekable();
    while let Some((at, c)) = chars.next() {
        if c != '`' {
            value.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == '`') {
            chars.next();
            value.push('`');
        } else if value.is_empty() {
            let problem = lexer.problem(lexer.ahead(at + 1), "a name in backticks cannot be empty");
            return lexer.refuse(at + 1, problem);
        } else if lexer.dialect == Dialect::DigitalTwins {
            let problem = lexer.problem(lexer.ahead(at + 1), "this dialect has no names in backticks");
            return lexer.refuse(at + 1, problem);
        } else {
            let token = if sigil == 1 { Token::System(value) } else { Token::Quoted(value) };
            return lexer.push(at + 1, token);
        }
    }
    let end = lexer.text.len();
    let problem =
        lexer.problem(lexer.ahead(1), "the name in backticks that starts here has no end").suggest(end..end, "`");
    lexer.refuse(end - lexer.at, problem);
}

fn symbol(lexer: &mut Lexer<'_, '_>, first: char) {
    let rest = lexer.rest();
    // Spellings of other languages: say ours.
    let foreign = [
        ("===", "=", Token::Symbol(Symbol::Equal)),
        ("==", "=", Token::Symbol(Symbol::Equal)),
        ("!==", "!=", Token::Symbol(Symbol::NotEqual)),
        ("=~", "LIKE", Token::Keyword(Keyword::Like)),
        ("~=", "LIKE", Token::Keyword(Keyword::Like)),
        ("&&", "AND", Token::Keyword(Keyword::And)),
        ("&", "AND", Token::Keyword(Keyword::And)),
        ("|", "OR", Token::Keyword(Keyword::Or)),
        ("!", "NOT", Token::Keyword(Keyword::Not)),
    ];
    let ordinary = SYMBOLS
        .into_iter()
        .chain([("[", Symbol::OpenBracket), ("]", Symbol::CloseBracket), (".", Symbol::Dot)])
        .find(|(text, _)| rest.starts_with(text));
    let foreign = foreign
        .into_iter()
        .filter(|(text, ..)| ordinary.is_none_or(|(ordinary, _)| text.len() > ordinary.len()))
        .find(|(text, ..)| rest.starts_with(text));
    if let Some((text, ours, meant)) = foreign {
        let problem = lexer
            .problem(lexer.ahead(text.len()), &format!("`{text}` is not an operator here"))
            .help(format!("write `{ours}`"))
            .suggest(lexer.ahead(text.len()), spaced(ours, rest[text.len()..].starts_with(char::is_whitespace)));
        lexer.problems.push(problem);
        // Go on with what was meant, so that the rest is read rightly.
        return lexer.push(text.len(), meant);
    }
    if rest.starts_with("--") || rest.starts_with("//") {
        let problem = lexer
            .problem(lexer.ahead(2), &format!("`{}` is not an operator and starts no comment", &rest[..2]))
            .help("a comment is written `/* … */`");
        let line = rest.find('\n').unwrap_or(rest.len());
        lexer.problems.push(problem);
        lexer.at += line;
        return;
    }
    if let Some((text, symbol)) = ordinary {
        return lexer.push(text.len(), Token::Symbol(symbol));
    }
    if let Some(close) = closing_quote(first)
        && let Some(len) = rest[first.len_utf8()..].find(close)
    {
        let inside = &rest[first.len_utf8()..first.len_utf8() + len];
        let whole = first.len_utf8() + len + close.len_utf8();
        let plain = format!("'{}'", inside.replace('\\', "\\\\").replace('\'', "\\'"));
        let problem = lexer
            .problem(lexer.ahead(whole), "these are not the quotes of a string")
            .help("strings stand in `'` or `\"`")
            .suggest(lexer.ahead(whole), plain);
        lexer.problems.push(problem);
        return lexer.push(whole, Token::String(inside.to_owned()));
    }
    let len = first.len_utf8();
    let problem = lexer
        .problem(lexer.ahead(len), &format!("`{}` means nothing here", first.escape_debug()))
        .help("it can stand in a string only");
    lexer.refuse(len, problem);
}

/// A word in place of a sign needs white space behind it.
fn spaced(word: &str, has_space: bool) -> String {
    if word.starts_with(|c: char| c.is_alphabetic()) && !has_space { format!("{word} ") } else { word.to_owned() }
}

/// Quotes that word processors write.
fn closing_quote(open: char) -> Option<char> {
    Some(match open {
        '“' | '„' | '”' => '”',
        '‘' | '‚' | '’' => '’',
        '«' => '»',
        _ => return None,
    })
}

fn keyword(text: &str) -> Option<Keyword> {
    let known = [
        ("true", Keyword::True),
        ("false", Keyword::False),
        ("null", Keyword::Null),
        ("and", Keyword::And),
        ("or", Keyword::Or),
        ("not", Keyword::Not),
        ("in", Keyword::In),
        ("between", Keyword::Between),
        ("like", Keyword::Like),
        ("escape", Keyword::Escape),
        ("is", Keyword::Is),
        ("exists", Keyword::Exists),
    ];
    let (_, keyword) = known.into_iter().find(|(word, _)| text.eq_ignore_ascii_case(word))?;
    Some(keyword)
}
