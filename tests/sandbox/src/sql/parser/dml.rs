//! The grammar of `INSERT`, `UPDATE`, `DELETE` and `INSERT BULK`.

use super::Parser;
use super::query::compound;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Assignment, BulkColumn, Kind, Name, NamedQuery, Rows, Target};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    pub(super) fn insert(&mut self, ctes: Vec<NamedQuery>) -> SqlResult<Kind> {
        self.expect("insert")?;
        if self.is("bulk") {
            return self.insert_bulk();
        }
        self.refuse(&["top"], "INSERT TOP")?;
        self.eat("into");
        let table = self.table_name()?;
        self.hints()?;
        let starts_query =
            matches!(self.peek(1), Tok::Word(w) if w.eq_ignore_ascii_case("select") || w.eq_ignore_ascii_case("with"));
        let columns = if self.is_sym("(") && !starts_query {
            self.ident_list()?
        } else {
            Vec::new()
        };
        self.refuse(&["output", "default"], "INSERT … OUTPUT, DEFAULT VALUES")?;
        let rows = if self.eat("values") {
            Rows::Values(self.value_rows()?)
        } else if self.is("select") || self.is("with") || self.is_sym("(") {
            Rows::Query(Box::new(self.query()?))
        } else {
            self.refuse(&["exec", "execute"], "INSERT EXEC")?;
            return self.unexpected();
        };
        Ok(Kind::Insert {
            table,
            columns,
            rows,
            ctes,
        })
    }

    fn insert_bulk(&mut self) -> SqlResult<Kind> {
        self.expect("bulk")?;
        let table = self.name()?;
        let columns = self.optional_list(|p| {
            let (name, ty) = (p.ident()?, p.data_type()?.0);
            p.after("collate", Self::ident)?;
            Ok(BulkColumn { name, ty })
        })?;
        let mut keep_nulls = false;
        if self.eat("with") {
            for option in self.in_parentheses(Self::bulk_option)? {
                keep_nulls |= option == "keep_nulls";
            }
        }
        Ok(Kind::InsertBulk {
            table,
            columns,
            keep_nulls,
        })
    }

    fn bulk_option(&mut self) -> SqlResult<String> {
        let option = self.bump().text().to_ascii_lowercase();
        match option.as_str() {
            "keep_nulls" | "tablock" | "check_constraints" | "fire_triggers" => {}
            "rows_per_batch" | "kilobytes_per_batch" => {
                self.expect("=")?;
                self.signed_int()?;
            }
            "order" => {
                self.key_columns()?;
            }
            other => return Err(SqlError::syntax(other).at(self.line())),
        }
        Ok(option)
    }

    pub(super) fn update(&mut self) -> SqlResult<Kind> {
        self.expect("update")?;
        if self.eat("statistics") {
            return self.update_statistics();
        }
        self.refuse(&["top"], "UPDATE TOP")?;
        let table = self.table_name()?;
        self.hints()?;
        let sets = self.sets()?;
        Ok(Kind::Update(self.target(table)?, sets))
    }

    /// Parses what follows the table of a change and its `SET`.
    fn target(&mut self, table: Name) -> SqlResult<Target> {
        self.refuse(&["output"], "OUTPUT")?;
        let from = if self.eat("from") { self.sources()? } else { Vec::new() };
        let filter = self.filter()?;
        Ok(Target { table, from, filter })
    }

    /// Parses `UPDATE STATISTICS table [index] [WITH FULLSCAN]`.
    fn update_statistics(&mut self) -> SqlResult<Kind> {
        let table = self.name()?;
        let one = self.is_ident().then(|| self.ident()).transpose()?;
        if self.eat("with") {
            self.expect("fullscan")?;
        }
        Ok(Kind::UpdateStatistics(table, one))
    }

    /// Parses the `SET` of an update: for each column, the operator of a compound assignment and the value.
    pub(super) fn sets(&mut self) -> SqlResult<Vec<Assignment>> {
        self.expect("set")?;
        if matches!(self.tok(), Tok::Var(_)) {
            return Err(SqlError::unsupported("UPDATE … SET @variable").at(self.line()));
        }
        self.list(|p| Ok((p.name()?, p.assignment()?, p.expr()?)))
    }

    /// Parses `=`, or the operator of a compound assignment.
    pub(super) fn assignment(&mut self) -> SqlResult<Option<&'static str>> {
        let operator = match self.tok() {
            Tok::Sym(symbol) => compound(symbol),
            _ => None,
        };
        if operator.is_none() && !self.is_sym("=") {
            return self.unexpected();
        }
        self.bump();
        Ok(operator)
    }

    pub(super) fn delete(&mut self) -> SqlResult<Kind> {
        self.expect("delete")?;
        self.refuse(&["top"], "DELETE TOP")?;
        self.eat("from");
        let table = self.table_name()?;
        self.hints()?;
        Ok(Kind::Delete(self.target(table)?))
    }
}
