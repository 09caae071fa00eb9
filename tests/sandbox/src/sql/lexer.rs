//! The lexer, which turns T-SQL text into tokens.

use crate::error::{SqlError, SqlResult};

/// One token.
#[derive(Clone, Debug, PartialEq)]
pub enum Tok {
    /// A plain word, which is a keyword or an identifier.
    Word(String),
    /// `[name]` or `"name"`.
    Quoted(String),
    /// `@name`
    Var(String),
    /// `@@name`
    Global(String),
    /// An integer literal.
    Int(String),
    /// A literal with a decimal point.
    Dec(String),
    /// A literal with an exponent.
    Float(String),
    /// `$1.5`
    Money(String),
    /// `'text'`, or `N'text'` when true.
    Str(String, bool),
    /// `0xFF`
    Bin(Vec<u8>),
    /// Punctuation and operators.
    Sym(&'static str),
    /// The end of the text.
    End,
}

/// A token, its line counted from 1, and its place in the text.
#[derive(Clone, Debug)]
pub struct Token {
    /// The token.
    pub tok: Tok,
    /// Its line.
    pub line: u32,
    /// The place of its first byte.
    pub start: usize,
    /// The place after its last byte.
    pub end: usize,
}

const SYMBOLS: [&str; 35] = [
    "<>", "<=", ">=", "!=", "!<", "!>", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", "::", "(", ")", ",", ";", ".",
    "=", "<", ">", "+", "-", "*", "/", "%", "&", "|", "^", "~", ":", "{", "}",
];

impl Tok {
    /// Returns the token as an error message quotes it.
    pub fn text(&self) -> String {
        match self {
            Tok::Word(s) | Tok::Quoted(s) | Tok::Int(s) | Tok::Dec(s) | Tok::Float(s) | Tok::Str(s, _) => s.clone(),
            Tok::Var(s) => format!("@{s}"),
            Tok::Global(s) => format!("@@{s}"),
            Tok::Money(s) => format!("${s}"),
            Tok::Bin(_) => "0x".to_owned(),
            Tok::Sym(s) => (*s).to_owned(),
            Tok::End => String::new(),
        }
    }
}

fn is_word_start(c: char) -> bool {
    c.is_alphabetic() || c == '_' || c == '#'
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '#' | '$' | '@')
}

/// Splits a text into tokens, of which the last is [`Tok::End`].
pub fn tokens(text: &str) -> SqlResult<Vec<Token>> {
    let mut out = Vec::new();
    let mut line = 1;
    let mut at = 0;
    loop {
        skip_blank(text, &mut at, &mut line)?;
        let start = at;
        let tok = next(text, &mut at).map_err(|e| e.at(line))?;
        let ended = tok == Tok::End;
        out.push(Token {
            tok,
            line,
            start,
            end: at,
        });
        line += count_lines(&text[start..at]);
        if ended {
            return Ok(out);
        }
    }
}

fn count_lines(text: &str) -> u32 {
    u32::try_from(text.bytes().filter(|b| *b == b'\n').count()).unwrap_or(0)
}

fn skip_blank(text: &str, at: &mut usize, line: &mut u32) -> SqlResult<()> {
    loop {
        let rest = &text[*at..];
        let trimmed = rest.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}' || c == '\0');
        *line += count_lines(&rest[..rest.len() - trimmed.len()]);
        *at += rest.len() - trimmed.len();
        if trimmed.starts_with("--") {
            *at += trimmed.find('\n').unwrap_or(trimmed.len());
        } else if trimmed.starts_with("/*") {
            let length = comment_length(trimmed).ok_or_else(|| SqlError::of(113, &[]).at(*line))?;
            *line += count_lines(&trimmed[..length]);
            *at += length;
        } else {
            return Ok(());
        }
    }
}

/// Returns the length of a comment with the comments nested in it.
fn comment_length(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let (mut depth, mut at) = (0_u32, 0);
    while at + 1 < bytes.len() {
        match &bytes[at..at + 2] {
            b"/*" => {
                depth += 1;
                at += 2;
            }
            b"*/" => {
                depth -= 1;
                at += 2;
                if depth == 0 {
                    return Some(at);
                }
            }
            _ => at += 1,
        }
    }
    None
}

fn next(text: &str, at: &mut usize) -> SqlResult<Tok> {
    let rest = &text[*at..];
    let Some(c) = rest.chars().next() else {
        return Ok(Tok::End);
    };
    if (c == 'N' || c == 'n') && rest[1..].starts_with('\'') {
        *at += 1;
        return Ok(Tok::Str(quoted(text, at, '\'')?, true));
    }
    match c {
        '\'' => return Ok(Tok::Str(quoted(text, at, '\'')?, false)),
        '[' => return Ok(Tok::Quoted(quoted(text, at, ']')?)),
        '"' => return Ok(Tok::Quoted(quoted(text, at, '"')?)),
        '@' => return variable(text, at),
        '$' if rest[1..].starts_with(|c: char| c.is_ascii_digit() || c == '.') => {
            *at += 1;
            return Ok(Tok::Money(digits(text, at, false)));
        }
        _ => {}
    }
    if rest.starts_with("0x") || rest.starts_with("0X") {
        let end = rest[2..]
            .find(|c: char| !c.is_ascii_hexdigit())
            .map_or(rest.len(), |n| n + 2);
        *at += end;
        let hex = &rest[2..end];
        let even = if hex.len() % 2 == 1 {
            format!("0{hex}")
        } else {
            hex.to_owned()
        };
        return crate::value::convert::hex_bytes(&even)
            .map(Tok::Bin)
            .ok_or_else(|| SqlError::syntax(hex));
    }
    let second_is_digit = rest[c.len_utf8()..].starts_with(|c: char| c.is_ascii_digit());
    if c.is_ascii_digit() || c == '.' && second_is_digit {
        let number = digits(text, at, true);
        return Ok(if number.contains(['e', 'E']) {
            Tok::Float(number)
        } else if number.contains('.') {
            Tok::Dec(number)
        } else {
            Tok::Int(number)
        });
    }
    if is_word_start(c) {
        let end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        *at += end;
        return Ok(Tok::Word(rest[..end].to_owned()));
    }
    for symbol in SYMBOLS {
        if rest.starts_with(symbol) {
            *at += symbol.len();
            return Ok(Tok::Sym(symbol));
        }
    }
    Err(SqlError::syntax(&c.to_string()))
}

fn variable(text: &str, at: &mut usize) -> SqlResult<Tok> {
    let rest = &text[*at..];
    let global = rest.starts_with("@@");
    let name = &rest[if global { 2 } else { 1 }..];
    let end = name.find(|c| !is_word(c)).unwrap_or(name.len());
    if end == 0 {
        return Err(SqlError::syntax("@"));
    }
    *at += rest.len() - name.len() + end;
    let name = name[..end].to_owned();
    Ok(if global { Tok::Global(name) } else { Tok::Var(name) })
}

fn digits(text: &str, at: &mut usize, exponent: bool) -> String {
    let bytes = text.as_bytes();
    let start = *at;
    let mut point = false;
    while let Some(b) = bytes.get(*at) {
        match b {
            b'0'..=b'9' => *at += 1,
            b'.' if !point => {
                point = true;
                *at += 1;
            }
            b'e' | b'E' if exponent => {
                let sign = matches!(bytes.get(*at + 1), Some(b'+' | b'-'));
                let first = *at + 1 + usize::from(sign);
                *at = first;
                while bytes.get(*at).is_some_and(u8::is_ascii_digit) {
                    *at += 1;
                }
                break;
            }
            _ => break,
        }
    }
    text[start..*at].to_owned()
}

fn quoted(text: &str, at: &mut usize, close: char) -> SqlResult<String> {
    let mut out = String::new();
    let mut chars = text[*at..].char_indices().skip(1).peekable();
    while let Some((offset, c)) = chars.next() {
        if c != close {
            out.push(c);
        } else if chars.peek().is_some_and(|(_, next)| *next == close) {
            chars.next();
            out.push(close);
        } else {
            *at += offset + close.len_utf8();
            return Ok(out);
        }
    }
    Err(SqlError::of(105, &[&out]))
}

/// Splits a script at lines with `GO`, as the command line tools do.
pub fn batches(script: &str) -> Vec<String> {
    let mut out = vec![String::new()];
    for line in script.lines() {
        if line.trim().trim_end_matches(';').eq_ignore_ascii_case("go") {
            out.push(String::new());
        } else if let Some(batch) = out.last_mut() {
            batch.push_str(line);
            batch.push('\n');
        }
    }
    out.retain(|batch| !batch.trim().is_empty());
    out
}
