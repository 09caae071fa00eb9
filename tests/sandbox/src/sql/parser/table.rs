//! The columns and constraints of tables.

use super::Parser;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Name, Period, Rule};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    /// `WITH (option = value, …)`, `ON filegroup`, `TEXTIMAGE_ON filegroup`: no effect in the stand-in.
    pub(super) fn storage_options(&mut self) -> SqlResult<()> {
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
    pub(super) fn table_body(&mut self) -> SqlResult<(Vec<ColumnDef>, Vec<Constraint>)> {
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

    pub(super) fn constraint_name(&mut self) -> SqlResult<Option<String>> {
        if self.eat("constraint") {
            Ok(Some(self.ident()?))
        } else {
            Ok(None)
        }
    }

    pub(super) fn clustering(&mut self) {
        let _ = self.eat_any(&["clustered", "nonclustered"]);
    }

    pub(super) fn table_constraint(&mut self) -> SqlResult<Option<Constraint>> {
        let from = self.at;
        let name = self.constraint_name()?;
        let keyed: Option<fn(Vec<String>) -> Rule> = if self.eat("primary") {
            self.expect("key")?;
            Some(Rule::PrimaryKey)
        } else if self.eat("unique") {
            Some(Rule::Unique)
        } else {
            None
        };
        if let Some(rule) = keyed {
            self.clustering();
            if !self.is_sym("(") {
                self.at = from;
                return Ok(None);
            }
            let columns = self.key_columns()?.into_iter().map(|(c, _)| c).collect();
            self.storage_options()?;
            return Ok(Some(Constraint {
                name,
                rule: rule(columns),
            }));
        }
        if name.is_none() && self.is("period") && matches!(self.peek(1), Tok::Word(w) if w.eq_ignore_ascii_case("for"))
        {
            self.bump();
            self.expect("for")?;
            self.expect("system_time")?;
            let rule = Rule::Period(self.ident_list()?);
            return Ok(Some(Constraint { name, rule }));
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

    pub(super) fn references(&mut self) -> SqlResult<(Name, Vec<String>)> {
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
    pub(super) fn parenthesised(&mut self) -> SqlResult<String> {
        self.expect_sym("(")?;
        let from = self.start();
        self.condition()?;
        let text = self.source(from);
        self.expect_sym(")")?;
        Ok(text)
    }

    pub(super) fn default_text(&mut self) -> SqlResult<String> {
        let from = self.start();
        self.expr()?;
        Ok(self.source(from))
    }

    pub(super) fn column_def(&mut self) -> SqlResult<ColumnDef> {
        // `timestamp` alone is a column of that name and type.
        let lone = self.is("timestamp") && matches!(self.peek(1), Tok::Sym("," | ")"));
        let name = self.ident()?;
        let mut column = ColumnDef {
            name,
            ty: None,
            type_name: String::new(),
            collation: None,
            nullable: None,
            identity: None,
            default: None,
            computed: None,
            period: None,
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

    pub(super) fn column_options(&mut self, column: &mut ColumnDef) -> SqlResult<()> {
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
                column.collation = Some(self.ident()?);
            } else if self.eat("generated") {
                for word in ["always", "as", "row"] {
                    self.expect(word)?;
                }
                column.period = Some(if self.eat("start") {
                    Period::Start
                } else {
                    self.expect("end")?;
                    Period::End
                });
                if self.is("hidden") {
                    return Err(SqlError::unsupported("HIDDEN").at(self.line()));
                }
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
}
