//! The execution of `ALTER TABLE`.

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{ColumnDef, Constraint, Name, Rule};
use crate::sql::bind::Binder;
use crate::sql::bind::mask;
use crate::sql::catalog::{self, Column, Table, quote};
use crate::sql::parser;
use crate::value::Ty;
use rusqlite::params;

impl Session {
    /// Runs `ALTER TABLE … ADD`.
    pub(super) fn add_columns(&mut self, name: &Name, defs: &[ColumnDef], constraints: &[Constraint]) -> SqlResult<()> {
        let mut table = self.altered(name)?;
        let place = table.place();
        for def in defs {
            if table.column(&def.name).is_some() {
                return Err(SqlError::of(2705, &[&def.name, &table.name]));
            }
            if def.period.is_some() {
                return Err(SqlError::unsupported("ALTER TABLE ADD … GENERATED ALWAYS"));
            }
            let column = self.column(def, &[], &table, false)?;
            self.add_one_column(&table, &column)?;
            catalog::add_column(self.conn(), place.store(), table.id, &column)?;
            table.columns.push(column);
        }
        self.check_columns(&table)?;
        if let Some(history) = catalog::history(self.conn(), table.id)? {
            let place = history.place();
            self.add_columns(&vec![place.db, place.schema, place.name], defs, &[])?;
        }
        let own: Vec<&Constraint> = constraints
            .iter()
            .chain(defs.iter().flat_map(|d| &d.constraints))
            .collect();
        for constraint in own {
            match &constraint.rule {
                Rule::PrimaryKey(columns) => {
                    if columns.iter().filter_map(|c| table.column(c)).any(|c| c.nullable) {
                        return Err(SqlError::of(8111, &[&table.name]));
                    }
                    self.add_key(&table, constraint.name.clone(), columns, true)?;
                }
                Rule::Unique(columns) => self.add_key(&table, constraint.name.clone(), columns, false)?,
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
                return Err(SqlError::of(4901, &[&column.name, &table.name]));
            }
        }
        // SQLite adds a required column only with a constant default. The catalog keeps the rule, and a check enforces
        // it.
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
            table.next_rowversion()
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

    pub(super) fn altered(&self, name: &Name) -> SqlResult<Table> {
        let table = self
            .table_named(name)
            .map_err(|_| SqlError::of(4902, &[&name.join(".")]))?;
        self.redefine(&table)?;
        Ok(table)
    }

    /// Runs `ALTER TABLE … ALTER COLUMN … ADD MASKED` or `DROP MASKED`.
    pub(super) fn set_mask(&self, name: &Name, column: &str, mask: Option<&str>) -> SqlResult<()> {
        let table = self.altered(name)?;
        mask.map_or(Ok(()), mask::check)?;
        let id = table.column(column).ok_or_else(|| SqlError::no_column(column))?.id;
        let sql = "UPDATE main._column SET mask = ?1 WHERE object_id = ?2 AND id = ?3";
        self.conn().execute(sql, params![mask, table.id, id])?;
        Ok(())
    }

    /// Runs `ALTER TABLE … DROP COLUMN`.
    pub(super) fn drop_columns(&self, name: &Name, columns: &[String], missing_ok: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        let place = table.place();
        for column in columns {
            let Some(column) = table.column(column) else {
                if missing_ok {
                    continue;
                }
                return Err(SqlError::of(4924, &[&column, &table.name]));
            };
            let keyed = catalog::indexes(self.conn(), &table)?
                .into_iter()
                .find(|i| i.columns.contains(&column.name));
            if let Some(index) = keyed {
                return Err(SqlError::of(5074, &[&index.name, &column.name]));
            }
            if column.default.is_some() {
                return Err(SqlError::of(5074, &[&format!("DF__{}", column.name), &column.name]));
            }
            if column.computed.is_none() {
                let sql = format!("ALTER TABLE {} DROP COLUMN {}", place.physical(), quote(&column.name));
                self.conn()
                    .execute_batch(&sql)
                    .map_err(|_| SqlError::of(4922, &[&column.name]))?;
            }
            self.conn().execute(
                &format!("DELETE FROM {}._column WHERE object_id = ?1 AND id = ?2", place.store()),
                params![table.id, column.id],
            )?;
        }
        Ok(())
    }
}
