//! The grammar of variables, flow, transactions and errors.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Declared, Expr, Kind, Stmt};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    pub(super) fn control(&mut self) -> SqlResult<Kind> {
        let Tok::Word(word) = self.tok().clone() else {
            return self.unexpected();
        };
        let line = self.line();
        self.bump();
        match word.to_ascii_lowercase().as_str() {
            "declare" => self.declare(),
            "set" => self.set(),
            "if" => self.if_statement(),
            "while" => {
                let condition = self.condition()?;
                Ok(Kind::While(condition, Box::new(self.statement()?)))
            }
            "begin" => self.begin(),
            "commit" => {
                self.transaction_word();
                Ok(Kind::Commit)
            }
            "rollback" => Ok(Kind::Rollback(self.transaction_word())),
            "save" => match self.transaction_word() {
                Some(name) => Ok(Kind::Save(name)),
                None => self.unexpected(),
            },
            "print" => Ok(Kind::Print(self.expr()?)),
            "throw" => self.throw(),
            "raiserror" => self.raise_error(),
            "return" => {
                let has_value = self.starts_expression();
                Ok(Kind::Return(has_value.then(|| self.expr()).transpose()?))
            }
            "exec" | "execute" => self.exec(),
            "use" => Ok(Kind::Use(self.ident()?)),
            verb @ ("grant" | "deny" | "revoke") => self.permission(verb),
            known @ ("waitfor" | "dbcc" | "backup" | "restore" | "kill" | "open" | "fetch" | "deallocate"
            | "checkpoint" | "goto" | "readtext" | "writetext" | "updatetext" | "bulk") => {
                Err(SqlError::unsupported(known.to_ascii_uppercase()).at(line))
            }
            _ => {
                self.at -= 1;
                self.unexpected()
            }
        }
    }

    pub(super) fn starts_expression(&self) -> bool {
        matches!(
            self.tok(),
            Tok::Int(_) | Tok::Var(_) | Tok::Global(_) | Tok::Sym("(" | "-") | Tok::Dec(_)
        ) || self.is("null")
    }

    pub(super) fn declare(&mut self) -> SqlResult<Kind> {
        let mut out = Vec::new();
        loop {
            if matches!(self.peek(1), Tok::Word(w) if w.eq_ignore_ascii_case("cursor")) {
                return Err(SqlError::unsupported("DECLARE CURSOR").at(self.line()));
            }
            let name = self.variable()?;
            self.eat("as");
            if self.eat("table") {
                let (columns, constraints) = self.table_body()?;
                out.push(Declared::Table(name, columns, constraints));
            } else if let Some(ty) = self.table_type()? {
                out.push(Declared::Typed(name, ty));
            } else {
                let (ty, _) = self.data_type()?;
                let value = if self.eat_sym("=") { Some(self.expr()?) } else { None };
                out.push(Declared::Scalar(name, ty, value));
            }
            if !self.eat_sym(",") {
                return Ok(Kind::Declare(out));
            }
        }
    }

    pub(super) fn if_statement(&mut self) -> SqlResult<Kind> {
        let condition = self.condition()?;
        let then = Box::new(self.statement()?);
        self.eat_sym(";");
        let otherwise = self.after("else", |p| p.statement().map(Box::new))?;
        Ok(Kind::If(condition, then, otherwise))
    }

    pub(super) fn begin(&mut self) -> SqlResult<Kind> {
        if self.is("tran") || self.is("transaction") {
            self.transaction_word();
            return Ok(Kind::Begin);
        }
        self.refuse(&["distributed"], "BEGIN DISTRIBUTED TRANSACTION")?;
        if self.eat("try") {
            let body = self.block_until("try")?;
            self.skip_semicolons();
            self.expect("begin catch")?;
            let handler = self.block_until("catch")?;
            return Ok(Kind::Try(body, handler));
        }
        let body = self.statements()?;
        self.expect("end")?;
        if body.is_empty() {
            self.at -= 1;
            return self.unexpected();
        }
        Ok(Kind::Block(body))
    }

    pub(super) fn statements(&mut self) -> SqlResult<Vec<Stmt>> {
        let mut out = Vec::new();
        while self.skip_semicolons() && !self.is("end") {
            out.push(self.statement()?);
        }
        Ok(out)
    }

    pub(super) fn block_until(&mut self, word: &str) -> SqlResult<Vec<Stmt>> {
        let body = self.statements()?;
        self.expect("end")?;
        self.expect(word).map(|()| body)
    }

    /// Parses `TRAN name`, `TRANSACTION @name` or `WORK`.
    pub(super) fn transaction_word(&mut self) -> Option<String> {
        self.eat_any(&["tran", "transaction", "work"])?;
        if let Tok::Var(v) = self.tok().clone() {
            self.bump();
            return Some(format!("@{v}"));
        }
        let named = self.is_ident() && !self.is("throw");
        named.then(|| self.ident().ok()).flatten()
    }

    /// Parses a message, its severity and its state. Values to be put into the message are not offered.
    fn raise_error(&mut self) -> SqlResult<Kind> {
        let (message, severity, state) = self.enclosed(Self::three)?;
        Ok(Kind::RaiseError(message, severity, state))
    }

    /// Parses the three values of an error.
    fn three(&mut self) -> SqlResult<(Expr, Expr, Expr)> {
        let first = self.expr()?;
        self.expect(",")?;
        let second = self.expr()?;
        self.expect(",")?;
        Ok((first, second, self.expr()?))
    }

    pub(super) fn throw(&mut self) -> SqlResult<Kind> {
        if !matches!(self.tok(), Tok::Int(_) | Tok::Var(_)) {
            return Ok(Kind::Throw(None));
        }
        Ok(Kind::Throw(Some(self.three()?)))
    }
}
