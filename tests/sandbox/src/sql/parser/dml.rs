//! `INSERT`, `UPDATE`, `DELETE`, `INSERT BULK`.

use super::Parser;
use super::query::compound;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Assignment, Item, Kind, Query, Rows};
use crate::sql::lexer::Tok;

impl Parser<'_> {
    pub(super) fn insert(&mut self, ctes: Vec<(String, Vec<String>, Query)>) -> SqlResult<Kind> {
        self.expect("insert")?;
        if self.is("bulk") {
            return self.insert_bulk();
        }
        if self.is("top") {
            return Err(SqlError::unsupported("INSERT TOP").at(self.line()));
        }
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
        let output = self.output()?;
        let rows = if self.eat("default") {
            self.expect("values")?;
            Rows::Default
        } else if self.eat("values") {
            Rows::Values(self.value_rows()?)
        } else if self.is("select") || self.is("with") || self.is_sym("(") {
            Rows::Query(Box::new(self.query()?))
        } else if self.is("exec") || self.is("execute") {
            return Err(SqlError::unsupported("INSERT EXEC").at(self.line()));
        } else {
            return self.unexpected();
        };
        Ok(Kind::Insert {
            table,
            columns,
            output,
            rows,
            ctes,
        })
    }

    fn output(&mut self) -> SqlResult<Vec<Item>> {
        let mut out = Vec::new();
        if !self.eat("output") {
            return Ok(out);
        }
        loop {
            out.push(self.item()?);
            if !self.eat_sym(",") {
                break;
            }
        }
        if self.is("into") {
            return Err(SqlError::unsupported("OUTPUT INTO").at(self.line()));
        }
        Ok(out)
    }

    fn insert_bulk(&mut self) -> SqlResult<Kind> {
        self.expect("bulk")?;
        let table = self.name()?;
        let mut columns = Vec::new();
        let mut keep_nulls = false;
        if self.eat_sym("(") {
            loop {
                let name = self.ident()?;
                columns.push((name, self.data_type()?.0));
                if self.eat("collate") {
                    self.ident()?;
                }
                if !self.eat_sym(",") {
                    break;
                }
            }
            self.expect_sym(")")?;
        }
        if self.eat("with") {
            self.expect_sym("(")?;
            loop {
                let option = self.bump().text().to_ascii_lowercase();
                match option.as_str() {
                    "keep_nulls" => keep_nulls = true,
                    "tablock" | "check_constraints" | "fire_triggers" => {}
                    "rows_per_batch" | "kilobytes_per_batch" => {
                        self.expect_sym("=")?;
                        self.signed_int()?;
                    }
                    "order" => {
                        self.expect_sym("(")?;
                        while !self.eat_sym(")") {
                            if self.is_end() {
                                return self.unexpected();
                            }
                            self.bump();
                        }
                    }
                    other => return Err(SqlError::syntax(other).at(self.line())),
                }
                if !self.eat_sym(",") {
                    break;
                }
            }
            self.expect_sym(")")?;
        }
        Ok(Kind::InsertBulk {
            table,
            columns,
            keep_nulls,
        })
    }

    pub(super) fn update(&mut self) -> SqlResult<Kind> {
        self.expect("update")?;
        if self.eat("statistics") {
            return self.update_statistics();
        }
        let top = self.top()?;
        let table = self.table_name()?;
        self.hints()?;
        let sets = self.sets()?;
        let output = self.output()?;
        let from = if self.eat("from") { self.sources()? } else { Vec::new() };
        let filter = self.filter()?;
        Ok(Kind::Update {
            table,
            sets,
            output,
            from,
            filter,
            top,
        })
    }

    /// `UPDATE STATISTICS table [index] [WITH FULLSCAN]`
    fn update_statistics(&mut self) -> SqlResult<Kind> {
        let table = self.name()?;
        let one = match self.tok() {
            Tok::Quoted(_) => Some(self.ident()?),
            Tok::Word(word) if !super::is_reserved(word) => Some(self.ident()?),
            _ => None,
        };
        if self.eat("with") {
            self.expect("fullscan")?;
        }
        Ok(Kind::UpdateStatistics(table, one))
    }

    /// `SET column = value, …`
    pub(super) fn sets(&mut self) -> SqlResult<Vec<Assignment>> {
        self.expect("set")?;
        let mut sets = Vec::new();
        loop {
            let variable = if let Tok::Var(v) = self.tok().clone() {
                self.bump();
                Some(v)
            } else {
                None
            };
            let mut column = None;
            if variable.is_none() {
                column = Some(self.name()?);
            } else if self.is_sym("=") && matches!(self.peek(2), Tok::Sym("=")) {
                // `@v = column = expression`
                self.bump();
                column = Some(self.name()?);
            }
            let Tok::Sym(op) = *self.tok() else {
                return self.unexpected();
            };
            let operator = compound(op);
            if operator.is_none() && op != "=" {
                return self.unexpected();
            }
            self.bump();
            sets.push((column, variable, operator, self.expr()?));
            if !self.eat_sym(",") {
                return Ok(sets);
            }
        }
    }

    pub(super) fn delete(&mut self) -> SqlResult<Kind> {
        self.expect("delete")?;
        let top = self.top()?;
        self.eat("from");
        let table = self.table_name()?;
        self.hints()?;
        let output = self.output()?;
        let from = if self.eat("from") { self.sources()? } else { Vec::new() };
        let filter = self.filter()?;
        Ok(Kind::Delete {
            table,
            output,
            from,
            filter,
            top,
        })
    }
}
