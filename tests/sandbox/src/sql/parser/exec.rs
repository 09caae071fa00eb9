//! `EXEC` and its arguments.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Argument, Expr, Kind, Stmt};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    /// The first word of a batch that is no keyword is a procedure to execute.
    pub(super) fn bare_exec(&mut self) -> SqlResult<Option<Stmt>> {
        let known = ["throw"];
        match self.tok() {
            Tok::Quoted(_) => {}
            Tok::Word(w)
                if !super::is_reserved(w)
                    && !known.contains(&w.to_ascii_lowercase().as_str())
                    && !matches!(self.peek(1), Tok::Sym("=" | "(")) => {}
            _ => return Ok(None),
        }
        let line = self.line();
        // A word that goes on like nothing executable is a syntax error, as in `foo bar baz`.
        let kind = self.exec()?;
        self.eat_sym(";");
        Ok(Some(Stmt {
            line,
            locks: None,
            kind,
        }))
    }

    pub(super) fn exec(&mut self) -> SqlResult<Kind> {
        if self.eat_sym("(") {
            let text = self.expr()?;
            self.expect_sym(")")?;
            return Ok(Kind::ExecText(text));
        }
        let mut result = None;
        if matches!(self.tok(), Tok::Var(_)) {
            if !matches!(self.peek(1), Tok::Sym("=")) {
                return Err(SqlError::unsupported("EXEC @procedure_name").at(self.line()));
            }
            result = Some(self.variable()?);
            self.bump();
        }
        let name = self.name()?;
        let mut args = Vec::new();
        if self.starts_argument() {
            loop {
                args.push(self.argument()?);
                if !self.eat_sym(",") {
                    break;
                }
            }
        }
        if self.eat("with") {
            self.expect("recompile")?;
        }
        Ok(Kind::Exec(result, name, args))
    }

    pub(super) fn starts_argument(&self) -> bool {
        match self.tok() {
            Tok::Int(_) | Tok::Dec(_) | Tok::Float(_) | Tok::Money(_) | Tok::Str(..) | Tok::Bin(_) => true,
            Tok::Var(_) | Tok::Global(_) | Tok::Quoted(_) => true,
            Tok::Sym(s) => *s == "-",
            Tok::Word(w) => {
                let w = w.to_ascii_lowercase();
                w == "null" || w == "default" || !super::is_reserved(&w) && !matches!(w.as_str(), "throw")
            }
            Tok::End => false,
        }
    }

    pub(super) fn argument(&mut self) -> SqlResult<Argument> {
        let mut name = None;
        if matches!(self.tok(), Tok::Var(_)) && matches!(self.peek(1), Tok::Sym("=")) {
            name = Some(self.variable()?);
            self.bump();
        }
        // An argument is a constant or a variable, or a bare word taken as text.
        let value = match self.tok().clone() {
            Tok::Word(w) if !super::is_reserved(&w) => {
                self.bump();
                Expr::Str(w, true)
            }
            Tok::Quoted(w) => {
                self.bump();
                Expr::Str(w, true)
            }
            Tok::Sym("-") => {
                self.bump();
                Expr::Unary("-", Box::new(self.constant()?))
            }
            _ => self.constant()?,
        };
        let output = self.eat("output") || self.eat("out");
        Ok(Argument { name, value, output })
    }

    pub(super) fn constant(&mut self) -> SqlResult<Expr> {
        let out = match self.tok().clone() {
            Tok::Int(s) => Expr::Int(s),
            Tok::Dec(s) => Expr::Dec(s),
            Tok::Float(s) => Expr::Float(s),
            Tok::Money(s) => Expr::Money(s),
            Tok::Str(s, n) => Expr::Str(s, n),
            Tok::Bin(b) => Expr::Bin(b),
            Tok::Var(v) => Expr::Var(v),
            Tok::Global(g) => Expr::Global(g.to_ascii_uppercase()),
            Tok::Word(w) if w.eq_ignore_ascii_case("null") => Expr::Null,
            Tok::Word(w) if w.eq_ignore_ascii_case("default") => Expr::Default,
            _ => return self.unexpected(),
        };
        self.bump();
        Ok(out)
    }
}
