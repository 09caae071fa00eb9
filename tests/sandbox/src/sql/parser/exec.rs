//! The grammar of `EXEC` and its arguments.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Argument, Expr, Kind, Stmt};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    /// Parses the call of a procedure without `EXEC`, by the first word of a batch that is no keyword.
    pub(super) fn bare_exec(&mut self) -> SqlResult<Option<Stmt>> {
        match self.tok() {
            Tok::Quoted(_) => {}
            Tok::Word(w)
                if !super::is_reserved(w)
                    && !w.eq_ignore_ascii_case("throw")
                    && !matches!(self.peek(1), Tok::Sym("=" | "(")) => {}
            _ => return Ok(None),
        }
        let line = self.line();
        // A word with a continuation that nothing executable has is a syntax error, as in `foo bar baz`.
        let kind = self.exec()?;
        self.eat_sym(";");
        Ok(Some(Stmt {
            line,
            locks: None,
            kind,
        }))
    }

    pub(super) fn exec(&mut self) -> SqlResult<Kind> {
        if self.is_sym("(") {
            return self.enclosed(Self::expr).map(Kind::ExecText);
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
        let args = if self.starts_argument() {
            self.list(Self::argument)?
        } else {
            Vec::new()
        };
        if self.eat("with") {
            self.expect("recompile")?;
        }
        Ok(Kind::Exec(result, name, args))
    }

    fn starts_argument(&self) -> bool {
        match self.tok() {
            Tok::Sym(s) => *s == "-",
            Tok::Word(w) => {
                let w = w.to_ascii_lowercase();
                w == "null" || w == "default" || !super::is_reserved(&w) && w != "throw"
            }
            Tok::End => false,
            _ => true,
        }
    }

    pub(super) fn argument(&mut self) -> SqlResult<Argument> {
        let mut name = None;
        if matches!(self.tok(), Tok::Var(_)) && matches!(self.peek(1), Tok::Sym("=")) {
            name = Some(self.variable()?);
            self.bump();
        }
        // An argument is a constant or a variable, or a bare word that is taken as text.
        let value = match self.tok() {
            _ if self.is_ident() => Expr::Str(self.ident()?, true),
            Tok::Sym("-") => {
                self.bump();
                Expr::Unary("-", Box::new(self.constant()?))
            }
            _ => self.constant()?,
        };
        let output = self.eat_any(&["output", "out"]).is_some();
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
