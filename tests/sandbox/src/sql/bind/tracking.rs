//! Change tracking in queries: `CHANGETABLE` and the functions of versions and masks.

use rusqlite::types::Value;

use super::functions::arguments;
use super::{Binder, Bound, OutColumn, types};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, ChangeTable, Changes, Expr};
use crate::sql::catalog::{Column, Table};
use crate::sql::exec::tracking::{self, Tracked};
use crate::sql::sysviews;
use crate::value::{Ty, text};

impl Binder<'_> {
    /// `CHANGE_TRACKING_CURRENT_VERSION`, `CHANGE_TRACKING_MIN_VALID_VERSION`, `CHANGE_TRACKING_IS_COLUMN_IN_MASK`
    pub(super) fn tracking_function(&mut self, name: &str, call: &Call) -> SqlResult<Bound> {
        let session = self.session;
        match name {
            "CHANGE_TRACKING_CURRENT_VERSION" => {
                arguments(name, call, 0, 0)?;
                let version = session.tracking_version(&session.db)?;
                Ok(Self::maybe_int(version, Ty::BigInt).nullable(true))
            }
            "CHANGE_TRACKING_MIN_VALID_VERSION" => {
                arguments(name, call, 1, 1)?;
                // The version of the database is read for its rules of SNAPSHOT.
                let on = session.tracking_version(&session.db)?.is_some();
                let table = self.expr(&call.args[0])?;
                if table.null || !table.ty.is_int() {
                    return Err(invalid(name, 1, table.ty, table.null));
                }
                let db = crate::sql::catalog::literal(&session.db);
                let sql = format!(
                    "(SELECT v.min_valid FROM main._ct_valid v JOIN main._ct_table t ON t.table_id = v.table_id
                      JOIN main._object o ON o.id = v.table_id WHERE {} AND o.db = {db} AND v.table_id = {}
                      AND (v.number IS NULL OR v.number <= {}) ORDER BY v.id DESC LIMIT 1)",
                    i64::from(on),
                    table.sql,
                    session.seen()
                );
                Ok(Bound::new(sql, Ty::BigInt))
            }
            _ => {
                arguments(name, call, 2, 2)?;
                let column = self.expr(&call.args[0])?;
                if column.null || !matches!(column.ty, Ty::Int | Ty::SmallInt | Ty::TinyInt) {
                    return Err(invalid(name, 1, column.ty, column.null));
                }
                let mask = self.expr(&call.args[1])?;
                let mask = types::implicit(mask, Ty::VarBinary(4100))?;
                Ok(Bound::required(
                    format!("t_in_mask({}, {})", column.sql, mask.sql),
                    Ty::Bit,
                ))
            }
        }
    }

    /// `CHANGETABLE` as a source.
    pub(super) fn change_table(&mut self, source: &ChangeTable) -> SqlResult<String> {
        let Some(alias) = &source.alias else {
            return Err(SqlError::new(
                22104,
                "A table returned by the CHANGETABLE function must be aliased.",
            ));
        };
        let (table, tracked) = self.tracked_table(&source.table)?;
        let key = tracking::key(self.session.conn(), &table)?;
        let (sql, mut columns) = match &source.changes {
            Changes::Since(version) => self.changes_since(&table, &key, tracked, version)?,
            Changes::Row(names, values) => self.row_version(&table, &key, tracked, names, values)?,
        };
        columns.extend(key.iter().map(|c| out(&c.name, c.ty)));
        self.derived(&sql, &columns, alias, &source.columns)
    }

    fn tracked_table(&self, name: &[String]) -> SqlResult<(Table, Tracked)> {
        let session = self.session;
        let written = name.join(".");
        let place = session.place(name)?;
        if place.is_temp() || sysviews::find(session, name)?.is_some() {
            return Err(SqlError::new(
                22107,
                format!(
                    "Object '{written}' is of a data type that is not supported by the CHANGETABLE function. The object must be a user-defined table."
                ),
            ));
        }
        let table = session.table(&place, &written)?;
        let on = session.tracking_version(&table.db)?.is_some();
        let tracked = session.tracked(table.id)?.filter(|_| on);
        let tracked = tracked
            .ok_or_else(|| SqlError::new(22105, format!("Change tracking is not enabled on table '{written}'.")))?;
        Ok((table, tracked))
    }

    /// `CHANGES`: of each key what its changes after a version come to. A key that was not there at first is inserted, one
    /// that is not there at last is deleted, any other updated.
    fn changes_since(
        &mut self,
        table: &Table,
        key: &[Column],
        tracked: Tracked,
        since: &Expr,
    ) -> SqlResult<(String, Vec<OutColumn>)> {
        let since = match self.session.evaluate_as(since, Ty::BigInt)? {
            Value::Null => tracked.cleanup,
            Value::Integer(version) if version >= 0 => version.max(tracked.cleanup),
            // Nothing comes after a version that never was.
            _ => i64::MAX,
        };
        let now = self.session.tracking_version(&table.db)?.unwrap_or(0);
        let changes = tracking::changes(table.id);
        let by = key_list(key);
        let keys: Vec<String> = (0..key.len())
            .map(|at| format!("max(CASE WHEN a = 1 THEN k{at} END) AS c{}", at + 5))
            .collect();
        // An UPDATE that sets keys deletes its rows before it inserts others.
        let sql = format!(
            "(SELECT max(version) AS c0, max(CASE WHEN op = 'I' THEN version END) AS c1,
               CASE WHEN max(CASE WHEN z = 1 THEN op END) = 'D' THEN 'D'
                    WHEN max(CASE WHEN a = 1 THEN op END) = 'I' THEN 'I' ELSE 'U' END AS c2,
               CASE WHEN sum(op <> 'U' OR mask IS NULL) = 0 THEN t_mask(group_concat(mask, ',' ORDER BY version, stmt, seq)) END AS c3,
               max(CASE WHEN z = 1 THEN context END) AS c4, {}
             FROM (SELECT *, row_number() OVER (PARTITION BY {by} ORDER BY version, stmt, op <> 'D', seq) AS a,
                     row_number() OVER (PARTITION BY {by} ORDER BY version DESC, stmt DESC, op = 'D', seq DESC) AS z
                   FROM main.{changes} WHERE version > {since} AND version <= {now})
             GROUP BY {by})",
            keys.join(", ")
        );
        let columns = vec![
            out("SYS_CHANGE_VERSION", Ty::BigInt),
            out("SYS_CHANGE_CREATION_VERSION", Ty::BigInt),
            out("SYS_CHANGE_OPERATION", Ty::NChar(1)),
            out("SYS_CHANGE_COLUMNS", Ty::VarBinary(4100)),
            out("SYS_CHANGE_CONTEXT", Ty::VarBinary(128)),
        ];
        Ok((sql, columns))
    }

    /// `VERSION`: one row with the key that was given. A row that the transaction itself has changed has no version yet.
    fn row_version(
        &mut self,
        table: &Table,
        key: &[Column],
        tracked: Tracked,
        names: &[String],
        values: &[Expr],
    ) -> SqlResult<(String, Vec<OutColumn>)> {
        if let Some(name) = names.iter().find(|n| !key.iter().any(|c| text::same(&c.name, n))) {
            return Err(SqlError::new(
                22111,
                format!(
                    "The column '{name}' specified in the CHANGETABLE(VERSION ...) function is not part of the primary key for table '{}'.",
                    table.name
                ),
            ));
        }
        if names.len() != key.len() {
            return Err(SqlError::new(
                22110,
                format!(
                    "The number of columns specified in the CHANGETABLE(VERSION ...) function does not match the number of primary key columns for table '{}'.",
                    table.name
                ),
            ));
        }
        if values.len() != names.len() {
            return Err(SqlError::new(
                22103,
                "The arguments supplied are not valid for the VERSION option of the CHANGETABLE function.",
            ));
        }
        let mut same = Vec::new();
        let mut given = Vec::new();
        for (at, column) in key.iter().enumerate() {
            let value = names
                .iter()
                .zip(values)
                .find(|(name, _)| text::same(name, &column.name));
            let Some((_, value)) = value else {
                return Err(SqlError::no_column(&column.name));
            };
            let value = self.expr(value)?;
            let value = types::implicit(value, column.ty)?.sql;
            same.push(match column.ty {
                Ty::DateTimeOffset(_) => format!("t_utc(k{at}) = t_utc({value})"),
                _ => format!("k{at} = {value}"),
            });
            given.push(format!("{value} AS c{}", at + 2));
        }
        let now = self.session.tracking_version(&table.db)?.unwrap_or(0);
        let own = i64::try_from(self.session.tx()).unwrap_or(0);
        let last = |what: &str| {
            format!(
                "(SELECT CASE WHEN version IS NULL THEN NULL ELSE {what} END FROM main.{} WHERE {} AND (version IS NULL AND tx = {own}
                  OR version > {} AND version <= {now}) ORDER BY version IS NULL DESC, version DESC, stmt DESC, op = 'D', seq DESC LIMIT 1)",
                tracking::changes(table.id),
                same.join(" AND "),
                tracked.cleanup
            )
        };
        let sql = format!(
            "(SELECT {} AS c0, {} AS c1, {})",
            last("version"),
            last("context"),
            given.join(", ")
        );
        let columns = vec![
            out("SYS_CHANGE_VERSION", Ty::BigInt),
            out("SYS_CHANGE_CONTEXT", Ty::VarBinary(128)),
        ];
        Ok((sql, columns))
    }
}

fn out(name: &str, ty: Ty) -> OutColumn {
    OutColumn {
        name: name.to_owned(),
        ty,
        nullable: true,
        origin: None,
    }
}

/// The key columns of the changes, as they compare.
fn key_list(key: &[Column]) -> String {
    let parts: Vec<String> = key
        .iter()
        .enumerate()
        .map(|(at, column)| match column.ty {
            Ty::DateTimeOffset(_) => format!("t_utc(k{at})"),
            _ => format!("k{at}"),
        })
        .collect();
    parts.join(", ")
}

fn invalid(function: &str, argument: usize, ty: Ty, null: bool) -> SqlError {
    let ty = if null { "NULL" } else { ty.name() };
    SqlError::new(
        8116,
        format!(
            "Argument data type {ty} is invalid for argument {argument} of {} function.",
            function.to_lowercase()
        ),
    )
}
