//! `CREATE`, `ALTER`, `DROP`.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Kind, Name, Param, Rule};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    pub(super) fn create(&mut self) -> SqlResult<Kind> {
        let from = self.start();
        self.bump();
        let or_alter = self.is("or") && self.is_at(1, "alter");
        if or_alter {
            self.bump();
            self.bump();
        }
        if self.is("procedure") || self.is("proc") {
            return self.procedure(from, true, or_alter);
        }
        if or_alter {
            return self.unexpected();
        }
        if self.eat("table") {
            let name = self.name()?;
            let (columns, constraints) = self.table_body()?;
            self.storage_options()?;
            return Ok(Kind::CreateTable(name, columns, constraints));
        }
        if self.eat("schema") {
            let name = self.ident()?;
            if self.eat("authorization") {
                self.ident()?;
            }
            return Ok(Kind::CreateSchema(name));
        }
        if self.eat("database") {
            let name = self.ident()?;
            if !(self.is_end() || self.is_sym(";")) {
                return self.unexpected();
            }
            return Ok(Kind::CreateDatabase(name));
        }
        let unique = self.eat("unique");
        if self.eat("clustered") || self.eat("nonclustered") || self.is("index") {
            self.expect("index")?;
            return self.create_index(unique);
        }
        if unique {
            return self.unexpected();
        }
        self.known_or_syntax(
            "CREATE",
            &[
                "view",
                "function",
                "trigger",
                "type",
                "user",
                "login",
                "role",
                "sequence",
                "synonym",
                "statistics",
            ],
        )
    }

    /// 40510 for what SQL Server knows and the stand-in does not offer, 102 for the rest.
    fn known_or_syntax<T>(&self, verb: &str, known: &[&str]) -> SqlResult<T> {
        match self.tok() {
            Tok::Word(w) if known.contains(&w.to_ascii_lowercase().as_str()) => {
                Err(SqlError::unsupported(format!("{verb} {}", w.to_ascii_uppercase())).at(self.line()))
            }
            _ => self.unexpected(),
        }
    }

    fn create_index(&mut self, unique: bool) -> SqlResult<Kind> {
        let name = self.ident()?;
        self.expect("on")?;
        let table = self.name()?;
        let columns = self.key_columns()?;
        if self.eat("include") {
            self.ident_list()?;
        }
        if self.is("where") {
            return Err(SqlError::unsupported("CREATE INDEX … WHERE").at(self.line()));
        }
        self.storage_options()?;
        Ok(Kind::CreateIndex(name, table, columns, unique))
    }

    fn key_columns(&mut self) -> SqlResult<Vec<(String, bool)>> {
        self.expect_sym("(")?;
        let mut out = Vec::new();
        loop {
            let column = self.ident()?;
            let desc = self.eat("desc");
            if !desc {
                self.eat("asc");
            }
            out.push((column, desc));
            if !self.eat_sym(",") {
                break;
            }
        }
        self.expect_sym(")")?;
        Ok(out)
    }

    /// `WITH (option = value, …)`, `ON filegroup`, `TEXTIMAGE_ON filegroup`: no effect in the stand-in.
    fn storage_options(&mut self) -> SqlResult<()> {
        if self.is("with") && matches!(self.peek(1), Tok::Sym("(")) {
            self.bump();
            self.bump();
            loop {
                let option = self.ident()?.to_ascii_lowercase();
                const KNOWN: [&str; 11] = [
                    "pad_index",
                    "statistics_norecompute",
                    "ignore_dup_key",
                    "allow_row_locks",
                    "allow_page_locks",
                    "optimize_for_sequential_key",
                    "sort_in_tempdb",
                    "drop_existing",
                    "online",
                    "data_compression",
                    "maxdop",
                ];
                if !KNOWN.contains(&option.as_str()) {
                    return Err(SqlError::syntax(&option).at(self.line()));
                }
                self.expect_sym("=")?;
                let value = self.bump().text().to_ascii_lowercase();
                if matches!(option.as_str(), "ignore_dup_key" | "drop_existing") && value != "off" {
                    return Err(SqlError::unsupported(format!("{option} = {value}")).at(self.line()));
                }
                if !self.eat_sym(",") {
                    break;
                }
            }
            self.expect_sym(")")?;
        }
        while self.is("on") || self.is("textimage_on") {
            self.bump();
            let group = match self.bump() {
                Tok::Quoted(s) | Tok::Word(s) => s,
                _ => return self.unexpected(),
            };
            if !group.eq_ignore_ascii_case("primary") && !group.eq_ignore_ascii_case("default") {
                return Err(SqlError::new(1911, format!("Invalid filegroup '{group}' specified.")).at(self.line()));
            }
        }
        Ok(())
    }

    /// The columns and constraints of a table. A comma may be missing before a constraint, and one may follow the last.
    fn table_body(&mut self) -> SqlResult<(Vec<ColumnDef>, Vec<Constraint>)> {
        self.expect_sym("(")?;
        let (mut columns, mut constraints) = (Vec::new(), Vec::new());
        loop {
            if let Some(constraint) = self.table_constraint()? {
                constraints.push(constraint);
            } else {
                let column = self.column_def()?;
                columns.push(column);
            }
            if self.eat_sym(",") {
                if self.eat_sym(")") {
                    return Ok((columns, constraints));
                }
            } else if self.eat_sym(")") {
                return Ok((columns, constraints));
            }
        }
    }

    fn constraint_name(&mut self) -> SqlResult<Option<String>> {
        if self.eat("constraint") {
            Ok(Some(self.ident()?))
        } else {
            Ok(None)
        }
    }

    fn clustering(&mut self) {
        let _ = self.eat_any(&["clustered", "nonclustered"]);
    }

    fn table_constraint(&mut self) -> SqlResult<Option<Constraint>> {
        let from = self.at;
        let name = self.constraint_name()?;
        if self.eat("primary") {
            self.expect("key")?;
            self.clustering();
            if !self.is_sym("(") {
                self.at = from;
                return Ok(None);
            }
            let columns = self.key_columns()?.into_iter().map(|(c, _)| c).collect();
            self.storage_options()?;
            return Ok(Some(Constraint {
                name,
                rule: Rule::PrimaryKey(columns),
            }));
        }
        if self.eat("unique") {
            self.clustering();
            if !self.is_sym("(") {
                self.at = from;
                return Ok(None);
            }
            let columns = self.key_columns()?.into_iter().map(|(c, _)| c).collect();
            self.storage_options()?;
            return Ok(Some(Constraint {
                name,
                rule: Rule::Unique(columns),
            }));
        }
        if self.eat("check") {
            return Ok(Some(Constraint {
                name,
                rule: Rule::Check(self.parenthesised()?),
            }));
        }
        if self.eat("foreign") {
            self.expect("key")?;
            let columns = self.ident_list()?;
            let (table, targets) = self.references()?;
            return Ok(Some(Constraint {
                name,
                rule: Rule::Foreign(columns, table, targets),
            }));
        }
        if self.eat("default") {
            let value = self.default_text()?;
            self.expect("for")?;
            let column = self.ident()?;
            return Ok(Some(Constraint {
                name,
                rule: Rule::Default(value, column),
            }));
        }
        if name.is_some() {
            return self.unexpected();
        }
        self.at = from;
        Ok(None)
    }

    fn references(&mut self) -> SqlResult<(Name, Vec<String>)> {
        self.expect("references")?;
        let table = self.name()?;
        let columns = if self.is_sym("(") {
            self.ident_list()?
        } else {
            Vec::new()
        };
        while self.eat("on") {
            if self.eat_any(&["delete", "update"]).is_none() {
                return self.unexpected();
            }
            if self.eat("no") {
                self.expect("action")?;
            } else {
                return Err(SqlError::unsupported("REFERENCES … ON DELETE, ON UPDATE").at(self.line()));
            }
        }
        Ok((table, columns))
    }

    /// An expression in parentheses, as text without them.
    fn parenthesised(&mut self) -> SqlResult<String> {
        self.expect_sym("(")?;
        let from = self.start();
        self.condition()?;
        let text = self.source(from);
        self.expect_sym(")")?;
        Ok(text)
    }

    fn default_text(&mut self) -> SqlResult<String> {
        let from = self.start();
        self.expr()?;
        Ok(self.source(from))
    }

    fn column_def(&mut self) -> SqlResult<ColumnDef> {
        // `timestamp` alone is a column of that name and type.
        let lone = self.is("timestamp") && matches!(self.peek(1), Tok::Sym("," | ")"));
        let name = self.ident()?;
        let mut column = ColumnDef {
            name,
            ty: None,
            type_name: String::new(),
            nullable: None,
            identity: None,
            default: None,
            computed: None,
            constraints: Vec::new(),
        };
        if lone {
            column.ty = Some(crate::value::Ty::RowVersion);
            "timestamp".clone_into(&mut column.type_name);
            return Ok(column);
        }
        if self.eat("as") {
            let from = self.start();
            self.expr()?;
            column.computed = Some(self.source(from));
            self.eat("persisted");
        } else {
            let (ty, type_name) = self.data_type()?;
            column.ty = Some(ty);
            column.type_name = type_name;
        }
        self.column_options(&mut column)?;
        Ok(column)
    }

    fn column_options(&mut self, column: &mut ColumnDef) -> SqlResult<()> {
        loop {
            let from = self.at;
            let name = self.constraint_name()?;
            if self.eat("not") {
                self.expect("null")?;
                column.nullable = Some(false);
            } else if self.eat("null") {
                column.nullable = Some(true);
            } else if self.eat("identity") {
                let mut seed = (1, 1);
                if self.eat_sym("(") {
                    seed.0 = self.signed_int()?;
                    self.expect_sym(",")?;
                    seed.1 = self.signed_int()?;
                    self.expect_sym(")")?;
                }
                column.identity = Some(seed);
            } else if self.eat("default") {
                column.default = Some(self.default_text()?);
            } else if self.eat("collate") {
                self.ident()?;
            } else if self.eat("rowguidcol") {
            } else if self.is("primary") || self.is("unique") {
                let primary = self.eat("primary");
                self.expect(if primary { "key" } else { "unique" })?;
                self.clustering();
                if self.is_sym("(") {
                    // A table constraint after a column without a comma between.
                    self.at = from;
                    return Ok(());
                }
                self.storage_options()?;
                let columns = vec![column.name.clone()];
                let rule = if primary {
                    Rule::PrimaryKey(columns)
                } else {
                    Rule::Unique(columns)
                };
                column.constraints.push(Constraint { name, rule });
            } else if self.eat("check") {
                let rule = Rule::Check(self.parenthesised()?);
                column.constraints.push(Constraint { name, rule });
            } else if self.is("references") {
                let (table, targets) = self.references()?;
                let rule = Rule::Foreign(vec![column.name.clone()], table, targets);
                column.constraints.push(Constraint { name, rule });
            } else {
                if name.is_some() {
                    self.at = from;
                }
                return Ok(());
            }
        }
    }

    pub(super) fn alter(&mut self) -> SqlResult<Kind> {
        let from = self.start();
        self.bump();
        if self.is("procedure") || self.is("proc") {
            return self.procedure(from, false, true);
        }
        if self.is("database") {
            return Err(SqlError::unsupported("ALTER DATABASE").at(self.line()));
        }
        if !self.eat("table") {
            return self.known_or_syntax(
                "ALTER",
                &[
                    "view", "function", "trigger", "user", "login", "role", "index", "schema",
                ],
            );
        }
        let table = self.name()?;
        if self.eat("with") && self.eat_any(&["check", "nocheck"]).is_none() {
            return self.unexpected();
        }
        if self.eat("add") {
            let (mut columns, mut constraints) = (Vec::new(), Vec::new());
            loop {
                if let Some(constraint) = self.table_constraint()? {
                    constraints.push(constraint);
                } else {
                    columns.push(self.column_def()?);
                }
                if !self.eat_sym(",") {
                    return Ok(Kind::AddColumns(table, columns, constraints));
                }
            }
        }
        if self.eat("drop") {
            if self.eat("column") {
                let missing_ok = self.if_exists()?;
                let mut columns = vec![self.ident()?];
                while self.eat_sym(",") {
                    columns.push(self.ident()?);
                }
                return Ok(Kind::DropColumns(table, columns, missing_ok));
            }
            self.eat("constraint");
            let missing_ok = self.if_exists()?;
            return Ok(Kind::DropConstraint(table, self.ident()?, missing_ok));
        }
        self.known_or_syntax(
            "ALTER TABLE",
            &[
                "alter", "enable", "disable", "set", "rebuild", "switch", "check", "nocheck",
            ],
        )
    }

    fn if_exists(&mut self) -> SqlResult<bool> {
        let found = self.eat("if");
        if found {
            self.expect("exists")?;
        }
        Ok(found)
    }

    pub(super) fn drop(&mut self) -> SqlResult<Kind> {
        self.bump();
        if self.eat("index") {
            let missing_ok = self.if_exists()?;
            let name = self.ident()?;
            self.expect("on")?;
            return Ok(Kind::DropIndex(name, self.name()?, missing_ok));
        }
        let what = match self.eat_any(&["table", "procedure", "proc", "schema", "database"]) {
            Some("proc") => "procedure",
            Some(what) => what,
            None => {
                return self.known_or_syntax(
                    "DROP",
                    &["view", "function", "trigger", "type", "user", "login", "role"],
                );
            }
        };
        let missing_ok = self.if_exists()?;
        let mut names = vec![self.name()?];
        while self.eat_sym(",") {
            names.push(self.name()?);
        }
        Ok(Kind::Drop(what, names, missing_ok))
    }

    /// `CREATE PROCEDURE name parameters AS`, up to the body.
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
            self.expect_sym(")")?;
        }
        if self.eat("with") {
            loop {
                if self.eat("recompile") {
                } else if self.is("execute") || self.is("exec") {
                    self.bump();
                    self.expect("as")?;
                    if self.eat_any(&["caller", "owner", "self"]).is_none() {
                        return self.unexpected();
                    }
                } else {
                    return self.unexpected();
                }
                if !self.eat_sym(",") {
                    break;
                }
            }
        }
        self.expect("as")?;
        Ok((name, params))
    }

    fn procedure(&mut self, from: usize, create: bool, alter: bool) -> SqlResult<Kind> {
        if self.at > 0 && from > self.tokens[0].start {
            let verb = if create {
                "CREATE/ALTER PROCEDURE"
            } else {
                "ALTER PROCEDURE"
            };
            return Err(
                SqlError::new(111, format!("'{verb}' must be the first statement in a query batch."))
                    .class(15)
                    .at(self.line()),
            );
        }
        let (name, params) = self.procedure_head()?;
        // The rest of the batch is the body; it must parse.
        while self.skip_semicolons() {
            self.statement()?;
        }
        Ok(Kind::CreateProcedure(name, params, self.source(from), create, alter))
    }

    /// `@a int = 1 OUTPUT, @b varchar(10)`.
    pub(super) fn params(&mut self) -> SqlResult<Vec<Param>> {
        let mut out = Vec::new();
        loop {
            let name = self.variable()?;
            self.eat("as");
            if self.is_ident() && matches!(self.peek(1), Tok::Word(w) if w.eq_ignore_ascii_case("readonly")) {
                return Err(SqlError::unsupported("table-valued parameters").at(self.line()));
            }
            let (ty, _) = self.data_type()?;
            if self.is("null") {
                self.bump();
            }
            let default = if self.eat_sym("=") { Some(self.expr()?) } else { None };
            let output = self.eat("output") || self.eat("out");
            out.push(Param {
                name,
                ty,
                default,
                output,
            });
            if !self.eat_sym(",") {
                return Ok(out);
            }
        }
    }
}
