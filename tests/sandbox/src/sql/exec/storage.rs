//! The places in which rows are kept: partitions, and the history of a temporal table.

use rusqlite::{params, params_from_iter};

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Name, Partition, Period, Storage};
use crate::sql::bind::Binder;
use crate::sql::bind::types::implicit;
use crate::sql::catalog::{self, Column, Table, literal, quote};
use crate::sql::parser;

impl Session {
    /// Runs `CREATE PARTITION`, inside [`Session::write`].
    pub(super) fn partition(&self, partition: &Partition) -> SqlResult<()> {
        let (name, ty, is_right, values) = match partition {
            Partition::Function(name, ty, is_right, values) => (name, *ty, i64::from(*is_right), values),
            Partition::Scheme(name, function) => {
                let sql = "INSERT INTO main._boundary SELECT db, ?1, is_right, value FROM main._boundary WHERE db = ?2 AND name = ?3";
                self.conn().execute(sql, params![name, self.db, function])?;
                return Ok(());
            }
        };
        let (db, name) = (literal(&self.db), literal(name));
        for value in values {
            let mut binder = Binder::new(self);
            let value = implicit(binder.expr(value)?, ty)?.sql;
            let sql = format!("INSERT INTO main._boundary VALUES({db}, {name}, {is_right}, {value})");
            self.conn().execute(&sql, params_from_iter(binder.params))?;
        }
        Ok(())
    }

    /// Applies what `CREATE TABLE` says after the columns.
    pub(super) fn store(&mut self, name: &Name, storage: &Storage) -> SqlResult<()> {
        if *storage == Storage::default() {
            return Ok(());
        }
        let table = self.table_named(name)?;
        let history = storage.history.as_ref();
        let history = history.map(|name| self.history_table(&table, name)).transpose()?;
        let (scheme, part) = storage.partitioned.clone().unzip();
        let sql = "INSERT INTO main._storage(object_id, scheme, part, history, memory, external) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
        let (in_memory, external) = (storage.memory_optimized, storage.external);
        self.conn()
            .execute(sql, params![table.id, scheme, part, history, in_memory, external])?;
        Ok(())
    }

    fn history_table(&mut self, table: &Table, name: &Name) -> SqlResult<i64> {
        if !table.columns.iter().any(|column| column.period.is_some()) {
            return Err(SqlError::of(13510, &[]));
        }
        let place = self.new_place(name)?;
        let id = catalog::add_object(self.conn(), &place, "U", None)?;
        let columns: Vec<Column> = table.stored().map(kept_column).collect();
        let parts: Vec<String> = columns.iter().map(super::ddl::physical_column).collect();
        let sql = format!("CREATE TABLE {}({})", place.physical(), parts.join(", "));
        self.conn().execute_batch(&sql)?;
        for column in &columns {
            catalog::add_column(self.conn(), place.store(), id, column)?;
        }
        Ok(id)
    }

    /// Puts rows that a change will replace into the history, with the present as the end of their time. `rows` are
    /// their numbers.
    pub(super) fn keep_history(&self, mut binder: Binder<'_>, table: &Table, rows: &str) -> SqlResult<()> {
        let Some(history) = catalog::history(self.conn(), table.id)? else {
            return Ok(());
        };
        let now = binder.expr(&parser::expression(Period::Start.value())?)?;
        let (mut names, mut values) = (Vec::new(), Vec::new());
        for column in table.stored() {
            names.push(quote(&column.name));
            values.push(match column.period {
                Some(Period::End) => Session::stored(now.clone(), column, table)?,
                _ => quote(&column.name),
            });
        }
        self.open_log(&history)?;
        let (from, to) = (table.place().physical(), history.place().physical());
        let (names, values) = (names.join(", "), values.join(", "));
        let sql = format!("INSERT INTO {to}({names}) SELECT {values} FROM {from} WHERE _rowid_ IN ({rows})");
        self.conn().execute(&sql, params_from_iter(binder.params))?;
        Ok(())
    }
}

/// Returns a column as the history has it, which takes whatever values there were.
fn kept_column(column: &Column) -> Column {
    Column {
        identity: None,
        default: None,
        period: None,
        hidden: false,
        ..column.clone()
    }
}
