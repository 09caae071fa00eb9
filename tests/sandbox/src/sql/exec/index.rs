//! The stand-in adds keys and indexes to a table here.

use super::{Session, statistics};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::catalog::{self, Table, quote};
use crate::value::{Ty, text};
use rusqlite::params;

impl Session {
    /// Adds a primary key or a unique constraint.
    pub(super) fn add_key(
        &self,
        table: &Table,
        name: Option<String>,
        columns: &[String],
        primary: bool,
    ) -> SqlResult<()> {
        let prefix = if primary { "PK" } else { "UQ" };
        let name = name.unwrap_or_else(|| format!("{prefix}__{}__{:X}", table.name, table.id + catalog::now() % 4096));
        self.add_index(table, &name, columns, &vec![false; columns.len()], true, primary, true)
    }

    #[expect(clippy::too_many_arguments, reason = "each says one thing of the index")]
    pub(super) fn add_index(
        &self,
        table: &Table,
        name: &str,
        columns: &[String],
        descending: &[bool],
        unique: bool,
        primary: bool,
        constraint: bool,
    ) -> SqlResult<()> {
        let existing = catalog::indexes(self.conn(), table)?;
        if existing.iter().any(|i| text::same(&i.name, name)) {
            return Err(SqlError::of(1913, &[&name, &table.schema, &table.name]));
        }
        let place = table.place();
        let mut parts = Vec::new();
        let mut spelled = Vec::new();
        for (column, desc) in columns.iter().zip(descending) {
            let column = table.column(column).ok_or_else(|| SqlError::of(1911, &[&column]))?;
            if column.ty.is_incomparable() || column.ty.length() == Some(crate::value::MAX) {
                return Err(SqlError::of(1919, &[&column.name, &table.schema, &table.name]));
            }
            if column.computed.is_some() {
                return Err(SqlError::unsupported("indexes on computed columns"));
            }
            let mut part = quote(&column.name);
            if unique && column.nullable {
                // In the server, NULL is a value that may occur only once.
                part = format!("ifnull({part}, x'004E554C4C')");
                if column.ty.is_string() {
                    part += &format!(" COLLATE {}", column.collation.in_sqlite(column.ty));
                }
            } else if matches!(column.ty, Ty::DateTimeOffset(_)) && unique {
                part = format!("t_utc({part})");
            }
            parts.push(if *desc { format!("{part} DESC") } else { part });
            spelled.push(column.name.clone());
        }
        let sql = format!(
            "CREATE {}INDEX {}.{} ON {}({})",
            if unique { "UNIQUE " } else { "" },
            place.store(),
            quote(&format!("{}.{name}", place.stored_name())),
            quote(&place.stored_name()),
            parts.join(", ")
        );
        self.conn().execute_batch(&sql).map_err(|e| match SqlError::from(e) {
            e if e.number == 2627 => SqlError::of(1505, &[&table.schema, &table.name, &name]),
            e => e,
        })?;
        self.conn().execute(
            &format!("INSERT INTO {}._index(object_id, id, name, columns, uniq, prim, cons) SELECT ?1, max(coalesce(max(id), 0) + 1, ?2), ?3, ?4, ?5, ?6, ?7 FROM {0}._index WHERE object_id = ?1", place.store()),
            params![table.id, if primary { 1 } else { 2 }, name, spelled.join("\n"), unique, primary, constraint],
        )?;
        let made = catalog::indexes(self.conn(), table)?;
        let made = made.iter().find(|index| text::same(&index.name, name));
        made.map_or(Ok(()), |index| statistics::build(self.conn(), table, index))
    }

    /// Runs `CREATE INDEX`.
    pub(super) fn create_index(
        &self,
        name: &str,
        table: &Name,
        columns: &[(String, bool)],
        unique: bool,
    ) -> SqlResult<()> {
        let table = self
            .table_named(table)
            .map_err(|_| SqlError::of(1088, &[&table.join(".")]))?;
        self.redefine(&table)?;
        let names: Vec<String> = columns.iter().map(|(c, _)| c.clone()).collect();
        let descending: Vec<bool> = columns.iter().map(|(_, d)| *d).collect();
        self.add_index(&table, name, &names, &descending, unique, false, false)
    }
}
