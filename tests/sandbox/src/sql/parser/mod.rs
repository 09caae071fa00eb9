//! The parser, which turns tokens into statements. Everything that it does not know is error 102, or 156 at a keyword.

mod control;
mod database;
mod ddl;
mod dml;
mod exec;
mod expr;
mod merge;
mod query;
mod rights;
mod set;
mod source;
mod table;
mod tracking;
pub(crate) mod types;

use crate::error::{SqlError, SqlResult};
use crate::locks::Mode;
use crate::sql::ast::{ColumnDef, Constraint, Expr, Kind, Name, Param, Query, Stmt};
use crate::sql::lexer::{self, Tok, Token};
use crate::value::Ty;

/// The words that cannot be a name unless quoted.
const RESERVED: &str = " add all alter and any as asc authorization backup begin between break browse bulk by cascade case check checkpoint close clustered coalesce collate column commit compute constraint contains containstable continue convert create cross current current_date current_time current_timestamp current_user cursor database dbcc deallocate declare default delete deny desc disk distinct distributed double drop dump else end errlvl escape except exec execute exists exit external fetch file fillfactor for foreign freetext freetexttable from full function goto grant group having holdlock identity identity_insert identitycol if in index inner insert intersect into is join key kill left like lineno load merge national nocheck nonclustered not null nullif of off offsets on open opendatasource openquery openrowset openxml option or order outer over percent pivot plan precision primary print proc procedure public raiserror read readtext reconfigure references replication restore restrict return revert revoke right rollback rowcount rowguidcol rule save schema select session_user set setuser shutdown some statistics system_user table tablesample textsize then to top tran transaction trigger truncate try_convert tsequal union unique unpivot update updatetext use user values varying view waitfor when where while with writetext ";

/// Returns whether a word needs quotes to be a name.
pub fn is_reserved(word: &str) -> bool {
    RESERVED.contains(&format!(" {} ", word.to_ascii_lowercase()))
}

/// The parser of one batch.
pub struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Token>,
    at: usize,
    /// The strongest of the statement's table hints that keep locks.
    locks: Option<Mode>,
}

/// Parses a batch.
pub fn batch(text: &str) -> SqlResult<Vec<Stmt>> {
    let mut parser = Parser::new(text)?;
    let mut out = Vec::new();
    while parser.skip_semicolons() {
        // A bare procedure name is an EXEC only as the first statement of a batch.
        if out.is_empty()
            && let Some(stmt) = parser.bare_exec()?
        {
            out.push(stmt);
            continue;
        }
        out.push(parser.statement()?);
    }
    Ok(out)
}

/// Parses a text to its end.
fn whole<'a, T>(text: &'a str, parse: impl FnOnce(&mut Parser<'a>) -> SqlResult<T>) -> SqlResult<T> {
    let mut parser = Parser::new(text)?;
    let out = parse(&mut parser)?;
    if parser.is_end() { Ok(out) } else { parser.unexpected() }
}

/// Parses the parameter list of sp_executesql: `@a int, @b nvarchar(10) output`.
pub fn parameters(text: &str) -> SqlResult<Vec<Param>> {
    whole(text, |p| if p.is_end() { Ok(Vec::new()) } else { p.params() })
}

/// Parses the body of a procedure from its full text.
pub fn procedure_body(text: &str) -> SqlResult<(Vec<Param>, Vec<Stmt>)> {
    let mut parser = Parser::new(text)?;
    let (_, params) = parser.procedure_head()?;
    let mut body = Vec::new();
    while parser.skip_semicolons() {
        body.push(parser.statement()?);
    }
    Ok((params, body))
}

/// Parses one expression, as stored for defaults, checks and computed columns.
pub fn expression(text: &str) -> SqlResult<Expr> {
    whole(text, Parser::condition)
}

/// Parses the query of a view.
pub fn view(text: &str) -> SqlResult<Query> {
    whole(text, Parser::query)
}

/// Returns the names that follow `FROM` and `JOIN` in the text of a view or a function, and the functions of two parts that
/// are called in it.
pub fn sources(text: &str) -> SqlResult<Vec<Name>> {
    let tokens = lexer::tokens(text)?;
    let is_source =
        |tok: &Tok| matches!(tok, Tok::Word(word) if ["from", "join"].contains(&word.to_lowercase().as_str()));
    let after_source = (0..tokens.len())
        .filter(|at| is_source(&tokens[*at].tok))
        .map(|at| at + 1);
    let is_call = |at: &usize| [1, 3].map(|on| &tokens[at + on].tok) == [&Tok::Sym("."), &Tok::Sym("(")];
    let calls = (0..tokens.len().saturating_sub(3)).filter(is_call);
    let names = after_source.chain(calls).map(|at| {
        let mut rest = tokens[at..].iter().map(|token| &token.tok);
        let mut name = Name::new();
        while let Some(Tok::Word(part) | Tok::Quoted(part)) = rest.next() {
            name.push(part.clone());
            if rest.next() != Some(&Tok::Sym(".")) {
                break;
            }
        }
        name
    });
    // What a query to another server reads is in no catalog.
    let is_known = |name: &Name| {
        name.first()
            .is_some_and(|first| !first.eq_ignore_ascii_case("openquery"))
    };
    Ok(names.filter(is_known).collect())
}

/// Parses an inline function from its parameters on.
pub fn inline_function(text: &str) -> SqlResult<(Vec<Param>, Query)> {
    Parser::new(text)?.inline_function()
}

/// Parses a scalar function from its parameters on.
pub fn scalar_function(text: &str) -> SqlResult<(Vec<Param>, Ty, Expr)> {
    Parser::new(text)?.scalar_function()
}

/// Parses the columns and constraints of a table, as stored for table types.
pub fn table_body(text: &str) -> SqlResult<(Vec<ColumnDef>, Vec<Constraint>)> {
    whole(text, Parser::table_body)
}

/// Splits a possibly quoted name of several parts.
pub fn name(text: &str) -> SqlResult<Name> {
    whole(text, Parser::name)
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> SqlResult<Self> {
        Ok(Parser {
            text,
            tokens: lexer::tokens(text)?,
            at: 0,
            locks: None,
        })
    }

    fn tok(&self) -> &Tok {
        &self.tokens[self.at.min(self.tokens.len() - 1)].tok
    }

    fn peek(&self, ahead: usize) -> &Tok {
        &self.tokens[(self.at + ahead).min(self.tokens.len() - 1)].tok
    }

    fn line(&self) -> u32 {
        self.tokens[self.at.min(self.tokens.len() - 1)].line
    }

    fn start(&self) -> usize {
        self.tokens[self.at.min(self.tokens.len() - 1)].start
    }

    /// Returns the text from a place to the end of the last token taken.
    fn source(&self, from: usize) -> String {
        let end = self.at.checked_sub(1).map_or(from, |last| self.tokens[last].end);
        self.text[from..end].to_owned()
    }

    fn bump(&mut self) -> Tok {
        let tok = self.tok().clone();
        if self.at < self.tokens.len() - 1 {
            self.at += 1;
        }
        tok
    }

    fn is_end(&self) -> bool {
        *self.tok() == Tok::End
    }

    /// Returns the error for a token that does not fit here.
    fn unexpected<T>(&self) -> SqlResult<T> {
        Err(self.syntax_error())
    }

    fn syntax_error(&self) -> SqlError {
        match self.tok() {
            Tok::End if self.at > 0 => SqlError::syntax(&self.tokens[self.at - 1].tok.text()).at(self.line()),
            Tok::Word(word) if is_reserved(word) => SqlError::of(156, &[&word]).at(self.line()),
            tok => SqlError::syntax(&tok.text()).at(self.line()),
        }
    }

    fn is(&self, word: &str) -> bool {
        self.is_at(0, word)
    }

    fn is_at(&self, ahead: usize, word: &str) -> bool {
        matches!(self.peek(ahead), Tok::Word(w) if w.eq_ignore_ascii_case(word))
    }

    fn eat(&mut self, word: &str) -> bool {
        let found = self.is(word);
        if found {
            self.bump();
        }
        found
    }

    /// Takes these words and symbols, which must come one after another.
    fn expect(&mut self, phrase: &str) -> SqlResult<()> {
        for part in phrase.split(' ') {
            if !self.eat(part) && !self.eat_sym(part) {
                return self.unexpected();
            }
        }
        Ok(())
    }

    /// Parses what follows a word, if the word comes.
    fn after<T>(&mut self, word: &str, parse: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<Option<T>> {
        self.eat(word).then(|| parse(self)).transpose()
    }

    /// Fails with 40510 at one of these words. Each begins what is valid in SQL Server and not offered by the stand-in.
    fn refuse(&self, words: &[&str], what: &str) -> SqlResult<()> {
        if words.iter().any(|word| self.is(word)) {
            return Err(SqlError::unsupported(what).at(self.line()));
        }
        Ok(())
    }

    fn eat_any(&mut self, words: &[&'static str]) -> Option<&'static str> {
        words.iter().copied().find(|word| self.eat(word))
    }

    /// Takes one of these words, which must come.
    fn expect_any(&mut self, words: &[&'static str]) -> SqlResult<&'static str> {
        self.eat_any(words).map_or_else(|| self.unexpected(), Ok)
    }

    fn is_sym(&self, symbol: &str) -> bool {
        matches!(self.tok(), Tok::Sym(s) if *s == symbol)
    }

    fn eat_sym(&mut self, symbol: &str) -> bool {
        let found = self.is_sym(symbol);
        if found {
            self.bump();
        }
        found
    }

    fn skip_semicolons(&mut self) -> bool {
        while self.eat_sym(";") {}
        !self.is_end()
    }

    /// Parses a name of one part.
    fn ident(&mut self) -> SqlResult<String> {
        match self.tok().clone() {
            Tok::Quoted(name) | Tok::Word(name) if self.is_ident() && !name.is_empty() => {
                self.bump();
                Ok(name)
            }
            _ => self.unexpected(),
        }
    }

    fn is_ident(&self) -> bool {
        match self.tok() {
            Tok::Quoted(_) => true,
            Tok::Word(w) => !is_reserved(w),
            _ => false,
        }
    }

    /// Parses a name of one to four parts. An omitted part, as in `db..t`, is empty.
    fn name(&mut self) -> SqlResult<Name> {
        let mut parts = vec![self.ident()?];
        while self.eat_sym(".") {
            let omitted = self.is_sym(".");
            parts.push(if omitted {
                String::new()
            } else {
                self.ident_after_dot()?
            });
        }
        Ok(parts)
    }

    /// Parses a part of a name after a dot, where even a keyword is a name.
    fn ident_after_dot(&mut self) -> SqlResult<String> {
        if matches!(self.tok(), Tok::Word(_)) {
            return Ok(self.bump().text());
        }
        self.ident()
    }

    /// Parses one or more, separated by commas.
    fn list<T>(&mut self, mut one: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        let mut out = vec![one(self)?];
        while self.eat_sym(",") {
            out.push(one(self)?);
        }
        Ok(out)
    }

    /// Parses one or more in parentheses, separated by commas.
    fn in_parentheses<T>(&mut self, one: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        self.enclosed(|p| p.list(one))
    }

    /// Parses what is in parentheses.
    fn enclosed<T>(&mut self, parse: impl FnOnce(&mut Self) -> SqlResult<T>) -> SqlResult<T> {
        self.expect("(")?;
        let out = parse(self)?;
        self.expect(")")?;
        Ok(out)
    }

    /// Parses a list in parentheses, if there is one.
    fn optional_list<T>(&mut self, one: impl FnMut(&mut Self) -> SqlResult<T>) -> SqlResult<Vec<T>> {
        if self.is_sym("(") {
            self.in_parentheses(one)
        } else {
            Ok(Vec::new())
        }
    }

    /// Parses column names in parentheses, if there are any.
    fn optional_idents(&mut self) -> SqlResult<Vec<String>> {
        self.optional_list(Self::ident)
    }

    /// Parses column names in parentheses.
    fn ident_list(&mut self) -> SqlResult<Vec<String>> {
        self.in_parentheses(Self::ident)
    }

    fn variable(&mut self) -> SqlResult<String> {
        match self.bump() {
            Tok::Var(v) => Ok(v),
            _ => {
                self.at = self.at.saturating_sub(1);
                self.unexpected()
            }
        }
    }

    fn signed_int(&mut self) -> SqlResult<i64> {
        let negative = self.eat_sym("-");
        match self.tok().clone() {
            Tok::Int(text) => {
                self.bump();
                let value: i64 = text.parse().map_err(|_| SqlError::syntax(&text))?;
                Ok(if negative { -value } else { value })
            }
            _ => self.unexpected(),
        }
    }

    /// Parses a statement, of any [`Kind`].
    fn statement(&mut self) -> SqlResult<Stmt> {
        let (line, outer) = (self.line(), self.locks.take());
        let kind = self.kind()?;
        self.eat_sym(";");
        let locks = self.locks;
        self.locks = locks.max(outer);
        Ok(Stmt { line, locks, kind })
    }

    fn kind(&mut self) -> SqlResult<Kind> {
        let Tok::Word(word) = self.tok() else {
            if self.is_sym("(") {
                return Ok(Kind::Select(Box::new(self.query()?)));
            }
            return self.unexpected();
        };
        match word.to_ascii_lowercase().as_str() {
            "select" => Ok(Kind::Select(Box::new(self.query()?))),
            "with" => self.with_statement(),
            "insert" => self.insert(Vec::new()),
            "update" => self.update(),
            "delete" => self.delete(),
            "merge" => self.merge(),
            "truncate" => {
                self.bump();
                self.expect("table")?;
                Ok(Kind::Truncate(self.name()?))
            }
            "create" => self.create(),
            "alter" => self.alter(),
            "drop" => self.drop(),
            _ => self.control(),
        }
    }
}
