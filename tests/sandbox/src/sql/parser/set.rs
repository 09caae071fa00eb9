//! `SET`.

use super::Parser;
use super::query::compound;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Kind;
use crate::sql::lexer::Tok;

/// `SET` options that take `ON` or `OFF`.
const SWITCHES: [&str; 20] = [
    "nocount",
    "xact_abort",
    "ansi_nulls",
    "ansi_padding",
    "ansi_warnings",
    "arithabort",
    "arithignore",
    "concat_null_yields_null",
    "quoted_identifier",
    "numeric_roundabort",
    "ansi_null_dflt_on",
    "ansi_null_dflt_off",
    "ansi_defaults",
    "cursor_close_on_commit",
    "implicit_transactions",
    "fmtonly",
    "noexec",
    "parseonly",
    "no_browsetable",
    "forceplan",
];

/// `SET` options that take a value.
const VALUES: [&str; 7] = [
    "textsize",
    "lock_timeout",
    "dateformat",
    "datefirst",
    "language",
    "rowcount",
    "deadlock_priority",
];

impl Parser<'_> {
    pub(super) fn set(&mut self) -> SqlResult<Kind> {
        self.bump();
        if let Tok::Var(name) = self.tok().clone() {
            self.bump();
            let Tok::Sym(op) = *self.tok() else {
                return self.unexpected();
            };
            let operator = compound(op);
            if operator.is_none() && op != "=" {
                return self.unexpected();
            }
            self.bump();
            return Ok(Kind::SetVar(name, operator, self.expr()?));
        }
        if self.eat("identity_insert") {
            let table = self.name()?;
            return Ok(Kind::IdentityInsert(table, self.on_off()?));
        }
        if self.eat("transaction") {
            return self.isolation();
        }
        if self.eat("statistics") {
            if self.eat_any(&["io", "time", "xml", "profile"]).is_none() {
                return self.unexpected();
            }
            let on = self.on_off()?;
            return if on {
                Err(SqlError::unsupported("SET STATISTICS").at(self.line()))
            } else {
                Ok(Kind::SetOption("statistics".into(), "off".into()))
            };
        }
        self.set_options()
    }

    pub(super) fn isolation(&mut self) -> SqlResult<Kind> {
        self.expect("isolation")?;
        self.expect("level")?;
        let level = if self.eat("read") {
            match self.eat_any(&["committed", "uncommitted"]) {
                Some(word) => format!("read {word}"),
                None => return self.unexpected(),
            }
        } else if self.eat("repeatable") {
            self.expect("read")?;
            "repeatable read".to_owned()
        } else {
            match self.eat_any(&["snapshot", "serializable"]) {
                Some(word) => word.to_owned(),
                None => return self.unexpected(),
            }
        };
        Ok(Kind::SetOption("isolation".to_owned(), level))
    }

    pub(super) fn on_off(&mut self) -> SqlResult<bool> {
        match self.eat_any(&["on", "off"]) {
            Some(word) => Ok(word == "on"),
            None => self.unexpected(),
        }
    }

    pub(super) fn set_options(&mut self) -> SqlResult<Kind> {
        let Tok::Word(first) = self.tok().clone() else {
            return self.unexpected();
        };
        let option = first.to_ascii_lowercase();
        if VALUES.contains(&option.as_str()) {
            self.bump();
            let value = match self.tok().clone() {
                Tok::Int(_) | Tok::Sym("-") => self.signed_int()?.to_string(),
                Tok::Word(w) | Tok::Str(w, _) | Tok::Quoted(w) => {
                    self.bump();
                    w
                }
                _ => return self.unexpected(),
            };
            return Ok(Kind::SetOption(option, value));
        }
        let mut options = Vec::new();
        loop {
            let Tok::Word(word) = self.tok().clone() else {
                return self.unexpected();
            };
            let word = word.to_ascii_lowercase();
            if !SWITCHES.contains(&word.as_str()) {
                return match self.bump() {
                    Tok::Word(w) if super::is_reserved(&w) => {
                        self.at -= 1;
                        self.unexpected()
                    }
                    tok => Err(
                        SqlError::new(195, format!("'{}' is not a recognized SET option.", tok.text()))
                            .class(15)
                            .at(self.line()),
                    ),
                };
            }
            self.bump();
            options.push(word);
            if !self.eat_sym(",") {
                break;
            }
        }
        let value = if self.on_off()? { "on" } else { "off" };
        Ok(Kind::SetOption(options.join(","), value.to_owned()))
    }
}
