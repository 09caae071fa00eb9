//! Variables, flow, transactions, options, `EXEC`.

use super::Parser;
use super::query::compound;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Argument, Expr, Kind, Stmt};
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
    pub(super) fn control(&mut self) -> SqlResult<Kind> {
        let Tok::Word(word) = self.tok().clone() else {
            return self.unexpected();
        };
        match word.to_ascii_lowercase().as_str() {
            "declare" => self.declare(),
            "set" => self.set(),
            "if" => self.if_statement(),
            "while" => {
                self.bump();
                let condition = self.condition()?;
                Ok(Kind::While(condition, Box::new(self.statement()?)))
            }
            "break" => self.only(Kind::Break),
            "continue" => self.only(Kind::Continue),
            "begin" => self.begin(),
            "commit" => {
                self.bump();
                self.transaction_word();
                Ok(Kind::Commit)
            }
            "rollback" => {
                self.bump();
                let named = self.transaction_word();
                Ok(Kind::Rollback(named))
            }
            "save" => {
                self.bump();
                match self.transaction_word() {
                    Some(name) => Ok(Kind::Save(name)),
                    None => self.unexpected(),
                }
            }
            "print" => {
                self.bump();
                Ok(Kind::Print(self.expr()?))
            }
            "raiserror" => self.raiserror(),
            "throw" => self.throw(),
            "return" => {
                self.bump();
                let value = if self.starts_expression() {
                    Some(self.expr()?)
                } else {
                    None
                };
                Ok(Kind::Return(value))
            }
            "exec" | "execute" => {
                self.bump();
                self.exec()
            }
            "use" => {
                self.bump();
                Ok(Kind::Use(self.ident()?))
            }
            "waitfor" => {
                self.bump();
                if self.is("time") {
                    return Err(SqlError::unsupported("WAITFOR TIME").at(self.line()));
                }
                self.expect("delay")?;
                Ok(Kind::WaitFor(self.expr()?))
            }
            known @ ("merge" | "grant" | "deny" | "revoke" | "dbcc" | "backup" | "restore" | "kill" | "open"
            | "fetch" | "deallocate" | "checkpoint" | "goto" | "readtext" | "writetext" | "updatetext"
            | "bulk") => Err(SqlError::unsupported(known.to_ascii_uppercase()).at(self.line())),
            _ => self.unexpected(),
        }
    }

    fn only(&mut self, kind: Kind) -> SqlResult<Kind> {
        self.bump();
        Ok(kind)
    }

    fn starts_expression(&self) -> bool {
        matches!(
            self.tok(),
            Tok::Int(_) | Tok::Var(_) | Tok::Global(_) | Tok::Sym("(" | "-") | Tok::Dec(_)
        ) || self.is("null")
    }

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
        Ok(Some(Stmt { line, kind }))
    }

    fn declare(&mut self) -> SqlResult<Kind> {
        self.bump();
        let mut out = Vec::new();
        loop {
            if matches!(self.peek(1), Tok::Word(w) if w.eq_ignore_ascii_case("cursor")) {
                return Err(SqlError::unsupported("DECLARE CURSOR").at(self.line()));
            }
            let name = self.variable()?;
            self.eat("as");
            if self.is("table") {
                return Err(SqlError::unsupported("table variables").at(self.line()));
            }
            let (ty, _) = self.data_type()?;
            let value = if self.eat_sym("=") { Some(self.expr()?) } else { None };
            out.push((name, ty, value));
            if !self.eat_sym(",") {
                return Ok(Kind::Declare(out));
            }
        }
    }

    fn set(&mut self) -> SqlResult<Kind> {
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

    fn isolation(&mut self) -> SqlResult<Kind> {
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

    fn on_off(&mut self) -> SqlResult<bool> {
        match self.eat_any(&["on", "off"]) {
            Some(word) => Ok(word == "on"),
            None => self.unexpected(),
        }
    }

    fn set_options(&mut self) -> SqlResult<Kind> {
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

    fn if_statement(&mut self) -> SqlResult<Kind> {
        self.bump();
        let condition = self.condition()?;
        let then = Box::new(self.statement()?);
        self.eat_sym(";");
        let otherwise = if self.eat("else") {
            Some(Box::new(self.statement()?))
        } else {
            None
        };
        Ok(Kind::If(condition, then, otherwise))
    }

    fn begin(&mut self) -> SqlResult<Kind> {
        self.bump();
        if self.is("tran") || self.is("transaction") {
            self.transaction_word();
            return Ok(Kind::Begin);
        }
        if self.eat("distributed") {
            return Err(SqlError::unsupported("BEGIN DISTRIBUTED TRANSACTION").at(self.line()));
        }
        if self.eat("try") {
            let body = self.block_until("try")?;
            self.skip_semicolons();
            self.expect("begin")?;
            self.expect("catch")?;
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

    fn statements(&mut self) -> SqlResult<Vec<Stmt>> {
        let mut out = Vec::new();
        while self.skip_semicolons() && !self.is("end") {
            out.push(self.statement()?);
        }
        Ok(out)
    }

    fn block_until(&mut self, word: &str) -> SqlResult<Vec<Stmt>> {
        let body = self.statements()?;
        self.expect("end")?;
        self.expect(word)?;
        Ok(body)
    }

    /// `TRAN name`, `TRANSACTION @name`, `WORK`.
    fn transaction_word(&mut self) -> Option<String> {
        self.eat_any(&["tran", "transaction", "work"])?;
        if let Tok::Var(v) = self.tok().clone() {
            self.bump();
            return Some(format!("@{v}"));
        }
        if self.is_ident() && !self.is("throw") {
            self.ident().ok()
        } else {
            None
        }
    }

    fn raiserror(&mut self) -> SqlResult<Kind> {
        self.bump();
        self.expect_sym("(")?;
        let args = self.expr_list()?;
        self.expect_sym(")")?;
        if args.len() < 3 {
            return self.unexpected();
        }
        if self.eat("with") {
            loop {
                if self.eat_any(&["nowait", "log", "seterror"]).is_none() {
                    return self.unexpected();
                }
                if !self.eat_sym(",") {
                    break;
                }
            }
        }
        Ok(Kind::RaiseError(args))
    }

    fn throw(&mut self) -> SqlResult<Kind> {
        self.bump();
        if !matches!(self.tok(), Tok::Int(_) | Tok::Var(_)) {
            return Ok(Kind::Throw(None));
        }
        let number = self.expr()?;
        self.expect_sym(",")?;
        let message = self.expr()?;
        self.expect_sym(",")?;
        let state = self.expr()?;
        Ok(Kind::Throw(Some((number, message, state))))
    }

    fn exec(&mut self) -> SqlResult<Kind> {
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

    fn starts_argument(&self) -> bool {
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

    fn argument(&mut self) -> SqlResult<Argument> {
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

    fn constant(&mut self) -> SqlResult<Expr> {
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
