//! The grammar of `CREATE`, `ALTER` and `DROP`.

use super::Parser;
use super::types::unknown_type;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Expr, Kind, Module, Name, Param, Partition, Query};
use crate::sql::lexer::Tok;
use crate::value::Ty;

/// The objects that `CREATE` makes in SQL Server and not here.
const NOT_CREATED: &str = "trigger role sequence statistics";

impl Parser<'_> {
    pub(super) fn create(&mut self) -> SqlResult<Kind> {
        let from = self.start();
        self.bump();
        let or_alter = self.is("or") && self.is_at(1, "alter");
        if or_alter {
            self.at += 2;
        }
        if self.is("procedure") || self.is("proc") {
            return self.procedure(from, true, or_alter);
        }
        if or_alter {
            return self.unexpected();
        }
        if self.eat("external") || self.is("table") {
            self.expect("table")?;
            let name = self.name()?;
            let (columns, constraints) = self.table_body()?;
            let storage = self.storage_options()?;
            return Ok(Kind::CreateTable(name, columns, constraints, storage));
        }
        if self.eat("type") {
            let name = self.name()?;
            self.refuse(&["from"], "CREATE TYPE … FROM")?;
            self.expect("as table")?;
            let body = self.start();
            self.table_body()?;
            return Ok(Kind::CreateType(name, self.source(body)));
        }
        if self.eat("schema") {
            let name = self.ident()?;
            self.after("authorization", Self::ident)?;
            return Ok(Kind::CreateSchema(name));
        }
        if self.eat("database") {
            let name = self.ident()?;
            if !(self.is_end() || self.is_sym(";")) {
                return self.unexpected();
            }
            return Ok(Kind::CreateDatabase(name));
        }
        if let Some(module) = self.module(false)? {
            return Ok(module);
        }
        if self.eat("partition") {
            return self.create_partition().map(Kind::Partition);
        }
        if self.eat("login") {
            return self.create_login();
        }
        if self.eat("user") {
            return self.create_user();
        }
        let unique = self.eat("unique");
        if self.eat("clustered") || self.eat("nonclustered") || self.is("index") {
            self.expect("index")?;
            return self.create_index(unique);
        }
        if unique {
            return self.unexpected();
        }
        self.known_or_syntax("CREATE", NOT_CREATED)
    }

    /// Parses `(parameters) RETURNS`, with which a function begins.
    fn function_params(&mut self) -> SqlResult<Vec<Param>> {
        let params = self.enclosed(|p| if p.is_sym(")") { Ok(Vec::new()) } else { p.params() })?;
        self.expect("returns")?;
        Ok(params)
    }

    /// Parses `(parameters) RETURNS type AS BEGIN RETURN expression END`, a function whose value is the expression.
    pub(super) fn scalar_function(&mut self) -> SqlResult<(Vec<Param>, Ty, Expr)> {
        let params = self.function_params()?;
        let (ty, _) = self.data_type()?;
        self.expect("as begin return")?;
        let value = self.expr()?;
        self.eat_sym(";");
        self.expect("end")?;
        Ok((params, ty, value))
    }

    /// Parses `(parameters) RETURNS TABLE [WITH SCHEMABINDING] AS RETURN query`, a function whose body is a query.
    pub(super) fn inline_function(&mut self) -> SqlResult<(Vec<Param>, Query)> {
        let params = self.function_params()?;
        self.expect("table")?;
        if self.eat("with") {
            self.expect("schemabinding")?;
        }
        self.expect("as return")?;
        Ok((params, self.query()?))
    }

    /// Parses `POLICY name ADD FILTER PREDICATE function(columns) ON table, … [WITH (STATE = ON)]`.
    fn policy(&mut self) -> SqlResult<Kind> {
        self.expect("policy")?;
        let name = self.name()?;
        let predicates = self.list(|p| {
            p.expect("add filter predicate")?;
            let text = p.expr_text()?;
            p.expect("on")?;
            Ok((text, p.name()?))
        })?;
        self.after("with", |p| p.expect("( state = on )"))?;
        Ok(Kind::CreatePolicy(name, predicates))
    }

    /// Parses `VIEW name [WITH SCHEMABINDING] AS query` or `SYNONYM name FOR name`, after `CREATE` or `ALTER`.
    fn module(&mut self, alters: bool) -> SqlResult<Option<Kind>> {
        let Some(what) = self.eat_any(&["view", "synonym", "function", "security"]) else {
            return Ok(None);
        };
        if what == "security" {
            return self.policy().map(Some);
        }
        let name = self.name()?;
        let mut prefix = "";
        let (kind, from) = if what == "function" {
            let (from, at) = (self.start(), self.at);
            self.function_params()?;
            let is_inline = self.is("table");
            self.at = at;
            if is_inline {
                self.inline_function()?;
            } else {
                self.scalar_function()?;
            }
            (if is_inline { "IF" } else { "FN" }, from)
        } else if what == "view" {
            let is_bound = self.eat("with");
            if is_bound {
                self.expect("schemabinding")?;
            }
            self.expect("as")?;
            let from = self.start();
            self.query()?;
            if is_bound {
                // Names of two parts are the objects of this database.
                let sources = super::sources(&self.source(from))?;
                if let Some(other) = sources.iter().find(|name| name.len() != 2) {
                    return Err(SqlError::of(4512, &[&name.join("."), &other.join(".")]));
                }
                prefix = "/*SCHEMABINDING*/";
            }
            ("V", from)
        } else {
            self.expect("for")?;
            let from = self.start();
            self.name()?;
            ("SN", from)
        };
        let text = format!("{prefix}{}", self.source(from));
        Ok(Some(Kind::CreateModule(name, Module { kind, text, alters })))
    }

    fn create_partition(&mut self) -> SqlResult<Partition> {
        if self.expect_any(&["function", "scheme"])? == "scheme" {
            let name = self.ident()?;
            self.expect("as partition")?;
            let function = self.ident()?;
            self.expect("all to")?;
            self.ident_list()?;
            return Ok(Partition::Scheme(name, function));
        }
        let name = self.ident()?;
        let (ty, _) = self.enclosed(Self::data_type)?;
        self.expect("as range")?;
        let is_right = self.eat_any(&["left", "right"]) == Some("right");
        self.expect("for values")?;
        let values = self.in_parentheses(Self::expr)?;
        Ok(Partition::Function(name, ty, is_right, values))
    }

    /// Returns 40510 for what is valid in SQL Server and not offered by the stand-in, and 102 for anything else.
    pub(super) fn known_or_syntax<T>(&self, verb: &str, known: &str) -> SqlResult<T> {
        match self.tok() {
            Tok::Word(w) if known.split(' ').any(|word| w.eq_ignore_ascii_case(word)) => {
                Err(SqlError::unsupported(format!("{verb} {}", w.to_ascii_uppercase())).at(self.line()))
            }
            _ => self.unexpected(),
        }
    }

    pub(super) fn create_index(&mut self, unique: bool) -> SqlResult<Kind> {
        let name = self.ident()?;
        self.expect("on")?;
        let table = self.name()?;
        let columns = self.key_columns()?;
        self.after("include", Self::ident_list)?;
        self.refuse(&["where"], "CREATE INDEX … WHERE")?;
        self.storage_options()?;
        Ok(Kind::CreateIndex(name, table, columns, unique))
    }

    pub(super) fn key_columns(&mut self) -> SqlResult<Vec<(String, bool)>> {
        self.in_parentheses(|p| {
            let column = p.ident()?;
            let order = p.eat_any(&["asc", "desc"]);
            Ok((column, order == Some("desc")))
        })
    }

    pub(super) fn alter(&mut self) -> SqlResult<Kind> {
        let from = self.start();
        self.bump();
        if self.is("procedure") || self.is("proc") {
            return self.procedure(from, false, true);
        }
        if self.is("database") {
            return self.alter_database();
        }
        if self.is("view") {
            return self.module(true)?.map_or_else(|| self.unexpected(), Ok);
        }
        if !self.eat("table") {
            return self.known_or_syntax("ALTER", "function trigger user login role index schema partition");
        }
        let table = self.name()?;
        if self.eat("with") && self.eat_any(&["check", "nocheck"]).is_none() {
            return self.unexpected();
        }
        if self.eat("add") {
            let (mut columns, mut constraints) = (Vec::new(), Vec::new());
            self.list(|p| p.table_element(&mut columns, &mut constraints))?;
            return Ok(Kind::AddColumns(table, columns, constraints));
        }
        if let Some(kind) = self.alter_tracking(&table)? {
            return Ok(kind);
        }
        if self.eat("drop") {
            if self.eat("column") {
                let missing_ok = self.if_exists()?;
                let columns = self.list(Self::ident)?;
                return Ok(Kind::DropColumns(table, columns, missing_ok));
            }
            return self.known_or_syntax("ALTER TABLE DROP", "constraint");
        }
        if self.eat("alter") {
            self.expect("column")?;
            let column = self.ident()?;
            let adds = self.eat("add");
            if !adds && !self.eat("drop") {
                return Err(SqlError::unsupported("ALTER TABLE ALTER COLUMN").at(self.line()));
            }
            self.expect("masked")?;
            let mask = if adds { Some(self.mask()?) } else { None };
            return Ok(Kind::SetMask(table, column, mask));
        }
        self.known_or_syntax("ALTER TABLE", "enable disable set rebuild switch check nocheck")
    }

    pub(super) fn if_exists(&mut self) -> SqlResult<bool> {
        Ok(self.after("if", |p| p.expect("exists"))?.is_some())
    }

    pub(super) fn drop(&mut self) -> SqlResult<Kind> {
        self.bump();
        let what = match self.eat_any(&["table", "view", "synonym", "procedure", "proc"]) {
            Some("proc") => "procedure",
            Some(what) => what,
            None => {
                return self.known_or_syntax("DROP", "type index function trigger user login role schema database");
            }
        };
        let missing_ok = self.if_exists()?;
        let names = self.list(Self::name)?;
        Ok(Kind::Drop(what, names, missing_ok))
    }

    /// Parses `CREATE PROCEDURE name parameters AS`, up to the body.
    pub(super) fn procedure_head(&mut self) -> SqlResult<(Name, Vec<Param>)> {
        while !self.eat("procedure") && !self.eat("proc") {
            if self.eat_any(&["create", "or", "alter"]).is_none() {
                return self.unexpected();
            }
        }
        let name = self.name()?;
        let parenthesised = self.eat_sym("(");
        let params = if matches!(self.tok(), Tok::Var(_)) {
            self.params()?
        } else {
            Vec::new()
        };
        if parenthesised {
            self.expect(")")?;
        }
        if self.eat("with") {
            self.list(|p| {
                if p.eat_any(&["execute", "exec"]).is_some() {
                    p.expect("as")?;
                    return p.expect_any(&["caller", "owner", "self"]);
                }
                p.expect_any(&["recompile"])
            })?;
        }
        self.expect("as")?;
        Ok((name, params))
    }

    pub(super) fn procedure(&mut self, from: usize, create: bool, alter: bool) -> SqlResult<Kind> {
        if self.at > 0 && from > self.tokens[0].start {
            let verb = if create {
                "CREATE/ALTER PROCEDURE"
            } else {
                "ALTER PROCEDURE"
            };
            return Err(SqlError::of(111, &[&verb]).at(self.line()));
        }
        let (name, params) = self.procedure_head()?;
        // The rest of the batch is the body, which must parse.
        while self.skip_semicolons() {
            self.statement()?;
        }
        Ok(Kind::CreateProcedure(name, params, self.source(from), create, alter))
    }

    pub(super) fn params(&mut self) -> SqlResult<Vec<Param>> {
        self.list(|p| {
            let name = p.variable()?;
            p.eat("as");
            let table = p.table_type()?;
            let ty = match &table {
                Some(_) if p.eat("readonly") => Ty::Int,
                Some(ty) => return Err(unknown_type(&ty.join(".")).at(p.line())),
                None => p.data_type()?.0,
            };
            p.eat("null");
            let default = if p.eat_sym("=") { Some(p.expr()?) } else { None };
            let output = p.eat_any(&["output", "out"]).is_some();
            Ok(Param {
                name,
                ty,
                table,
                default,
                output,
            })
        })
    }
}
