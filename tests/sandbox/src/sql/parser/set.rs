//! The grammar of `SET`.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Kind;
use crate::sql::lexer::Tok;

/// The `SET` options that take `ON` or `OFF`.
const SWITCHES: &str = " nocount xact_abort ansi_nulls ansi_padding ansi_warnings arithabort concat_null_yields_null quoted_identifier ansi_null_dflt_on ansi_null_dflt_off cursor_close_on_commit implicit_transactions fmtonly no_browsetable ";

/// The `SET` options that take a value.
const VALUES: &str = " textsize lock_timeout dateformat datefirst language rowcount deadlock_priority ";

impl Parser<'_> {
    pub(super) fn set(&mut self) -> SqlResult<Kind> {
        if let Tok::Var(name) = self.tok().clone() {
            self.bump();
            let operator = self.assignment()?;
            return Ok(Kind::SetVar(name, operator, self.expr()?));
        }
        if self.eat("identity_insert") {
            let table = self.name()?;
            return Ok(Kind::IdentityInsert(table, self.on_off()?));
        }
        if self.eat("transaction") {
            return self.isolation();
        }
        self.set_options()
    }

    pub(super) fn isolation(&mut self) -> SqlResult<Kind> {
        self.expect("isolation level")?;
        let level = if self.eat("read") {
            format!("read {}", self.expect_any(&["committed", "uncommitted"])?)
        } else if self.eat("repeatable") {
            self.expect("read")?;
            "repeatable read".to_owned()
        } else {
            self.expect_any(&["snapshot", "serializable"])?.to_owned()
        };
        Ok(Kind::SetOption("isolation".to_owned(), level))
    }

    pub(super) fn on_off(&mut self) -> SqlResult<bool> {
        Ok(self.expect_any(&["on", "off"])? == "on")
    }

    /// Parses an option that is on or off.
    fn switch(&mut self) -> SqlResult<String> {
        match self.tok().clone() {
            Tok::Word(word) if SWITCHES.contains(&format!(" {} ", word.to_ascii_lowercase())) => {
                self.bump();
                Ok(word.to_ascii_lowercase())
            }
            Tok::Word(word) if !super::is_reserved(&word) => {
                Err(SqlError::of(195, &[&word, &"SET option"]).at(self.line()))
            }
            _ => self.unexpected(),
        }
    }

    pub(super) fn set_options(&mut self) -> SqlResult<Kind> {
        let Tok::Word(first) = self.tok().clone() else {
            return self.unexpected();
        };
        let option = first.to_ascii_lowercase();
        if VALUES.contains(&format!(" {option} ")) {
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
        let options = self.list(Self::switch)?;
        let value = if self.on_off()? { "on" } else { "off" };
        Ok(Kind::SetOption(options.join(","), value.to_owned()))
    }
}
