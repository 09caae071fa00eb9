//! `ALTER TABLE`.

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Name, Rule};
use crate::sql::bind::Binder;
use crate::sql::catalog::{self, Column, Table, quote};
use crate::sql::parser;
use crate::value::{Ty, text};
use rusqlite::params;

impl Session {
    /// `ALTER TABLE … ADD`
    pub(super) fn add_columns(&mut self, name: &Name, defs: &[ColumnDef], constraints: &[Constraint]) -> SqlResult<()> {
        let mut table = self.altered(name)?;
        let place = table.place();
        for def in defs {
            if table.column(&def.name).is_some() {
                return Err(SqlError::new(2705, format!("Column names in each table must be unique. Column name '{}' in table '{}' is specified more than once.", def.name, table.name)).state(4));
            }
            if def.period.is_some() {
                return Err(SqlError::unsupported("ALTER TABLE ADD … GENERATED ALWAYS"));
            }
            let column = self.column(def, &table, false)?;
            self.add_one_column(&table, &column)?;
            catalog::add_column(self.conn(), place.store(), table.id, &column)?;
            table.columns.push(column);
        }
        self.check_columns(&table)?;
        let own: Vec<&Constraint> = constraints
            .iter()
            .chain(defs.iter().flat_map(|d| &d.constraints))
            .collect();
        for constraint in own {
            match &constraint.rule {
                Rule::PrimaryKey(columns) => {
                    if let Some(c) = columns.iter().filter_map(|c| table.column(c)).find(|c| c.nullable) {
                        return Err(SqlError::new(
                            8111,
                            format!(
                                "Cannot define PRIMARY KEY constraint on nullable column in table '{}' (column '{}').",
                                table.name, c.name
                            ),
                        ));
                    }
                    self.add_key(&table, constraint.name.clone(), columns, true)?;
                }
                Rule::Unique(columns) => self.add_key(&table, constraint.name.clone(), columns, false)?,
                Rule::Default(value, column) => self.add_default(&table, column, value, constraint.name.as_deref())?,
                Rule::Check(_) => return Err(SqlError::unsupported("ALTER TABLE ADD CHECK")),
                Rule::Foreign(..) => return Err(SqlError::unsupported("ALTER TABLE ADD FOREIGN KEY")),
                Rule::Period(_) => return Err(SqlError::unsupported("ALTER TABLE ADD PERIOD")),
            }
        }
        Ok(())
    }

    pub(super) fn add_one_column(&self, table: &Table, column: &Column) -> SqlResult<()> {
        if column.computed.is_some() {
            return Ok(());
        }
        let physical = table.place().physical();
        let filled = column.identity.is_some() || column.ty == Ty::RowVersion;
        if !column.nullable && column.default.is_none() && !filled {
            let rows: bool = self
                .conn()
                .query_row(&format!("SELECT EXISTS(SELECT 1 FROM {physical})"), [], |r| r.get(0))?;
            if rows {
                return Err(SqlError::new(
                    4901,
                    format!(
                        "ALTER TABLE only allows columns to be added that can contain nulls, or have a DEFAULT definition specified, or the column being added is an identity or timestamp column, or alternatively if none of the previous conditions are satisfied the table must be empty to allow addition of this column. Column '{}' cannot be added to non-empty table '{}' because it does not satisfy these conditions.",
                        column.name, table.name
                    ),
                ));
            }
        }
        // SQLite adds a required column only with a constant default; the catalog keeps the rule, a check enforces it.
        let required = if column.nullable {
            String::new()
        } else {
            " NOT NULL DEFAULT 0".to_owned()
        };
        let sql = format!(
            "ALTER TABLE {physical} ADD COLUMN {} {}{required}",
            quote(&column.name),
            column.sqlite_decl()
        );
        self.conn()
            .execute_batch(&sql)
            .map_err(|e| self.storage_error(&e, &sql))?;
        let value = if let Some((seed, increment)) = column.identity {
            format!("t_identity({}, {seed}, {increment})", table.id)
        } else if column.ty == Ty::RowVersion {
            "t_rowversion()".to_owned()
        } else if let (Some(text), false) = (&column.default, column.nullable) {
            let mut binder = Binder::new(self);
            let bound = binder.expr(&parser::expression(text)?)?;
            let sql = Session::stored(bound, column, table)?;
            let params = std::mem::take(&mut binder.params);
            let update = format!("UPDATE {physical} SET {} = {sql}", quote(&column.name));
            self.conn()
                .prepare(&update)?
                .execute(rusqlite::params_from_iter(params))?;
            return Ok(());
        } else {
            return Ok(());
        };
        self.conn()
            .execute_batch(&format!("UPDATE {physical} SET {} = {value}", quote(&column.name)))?;
        Ok(())
    }

    pub(super) fn add_default(&self, table: &Table, column: &str, value: &str, name: Option<&str>) -> SqlResult<()> {
        let column = table.column(column).ok_or_else(|| SqlError::no_column(column))?;
        if column.default.is_some() {
            return Err(SqlError::new(1781, "Column already has a DEFAULT bound to it."));
        }
        Binder::new(self).expr(&parser::expression(value)?)?;
        let name = name.map_or_else(|| format!("DF__{}__{}", table.name, column.name), str::to_owned);
        self.conn().execute(
            &format!(
                "UPDATE {}._column SET dflt = ?1, dflt_name = ?2 WHERE object_id = ?3 AND id = ?4",
                table.place().store()
            ),
            params![value, name, table.id, column.id],
        )?;
        Ok(())
    }

    pub(super) fn altered(&self, name: &Name) -> SqlResult<Table> {
        let table = self.table_named(name).map_err(|_| {
            SqlError::new(
                4902,
                format!(
                    "Cannot find the object \"{}\" because it does not exist or you do not have permissions.",
                    name.join(".")
                ),
            )
        })?;
        self.redefine(&table)?;
        Ok(table)
    }

    /// `ALTER TABLE … DROP COLUMN`
    pub(super) fn drop_columns(&self, name: &Name, columns: &[String], missing_ok: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        let place = table.place();
        for column in columns {
            let Some(column) = table.column(column) else {
                if missing_ok {
                    continue;
                }
                return Err(SqlError::new(
                    4924,
                    format!(
                        "ALTER TABLE DROP COLUMN failed because column '{column}' does not exist in table '{}'.",
                        table.name
                    ),
                ));
            };
            let keyed = catalog::indexes(self.conn(), &table)?
                .into_iter()
                .find(|i| i.columns.contains(&column.name));
            if let Some(index) = keyed {
                return Err(SqlError::new(
                    5074,
                    format!("The object '{}' is dependent on column '{}'.", index.name, column.name),
                ));
            }
            if column.default.is_some() {
                return Err(SqlError::new(
                    5074,
                    format!(
                        "The object 'DF__{}' is dependent on column '{}'.",
                        column.name, column.name
                    ),
                ));
            }
            if column.computed.is_none() {
                let sql = format!("ALTER TABLE {} DROP COLUMN {}", place.physical(), quote(&column.name));
                self.conn().execute_batch(&sql).map_err(|_| {
                    SqlError::new(
                        4922,
                        format!(
                            "ALTER TABLE DROP COLUMN {} failed because one or more objects access this column.",
                            column.name
                        ),
                    )
                })?;
            }
            self.conn().execute(
                &format!("DELETE FROM {}._column WHERE object_id = ?1 AND id = ?2", place.store()),
                params![table.id, column.id],
            )?;
        }
        Ok(())
    }

    /// `ALTER TABLE … DROP CONSTRAINT`
    pub(super) fn drop_constraint(&self, name: &Name, constraint: &str, missing_ok: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        if let Some(index) = catalog::indexes(self.conn(), &table)?
            .into_iter()
            .find(|i| i.constraint && text::same(&i.name, constraint))
        {
            if index.primary && self.tracked(table.id)?.is_some() {
                return Err(SqlError::new(
                    3735,
                    format!(
                        "The primary key constraint '{}' on table '{}' cannot be dropped because change tracking is enabled on the table. Change tracking requires a primary key constraint on the table. Disable change tracking before dropping the constraint.",
                        index.name, table.name
                    ),
                ));
            }
            return self.remove_index(&table, &index.name);
        }
        let dropped = self.conn().execute(
            &format!(
                "UPDATE {}._column SET dflt = NULL, dflt_name = NULL WHERE object_id = ?1 AND dflt_name = ?2",
                table.place().store()
            ),
            params![table.id, constraint],
        )?;
        if dropped == 0 && !missing_ok {
            return Err(SqlError::new(3728, format!("'{constraint}' is not a constraint.")));
        }
        Ok(())
    }
}
