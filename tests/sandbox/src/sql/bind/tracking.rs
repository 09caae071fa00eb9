//! Change tracking in queries: `CHANGETABLE`, and the functions about versions and masks.

use rusqlite::types::Value;

use super::functions::arguments;
use super::{Binder, Bound, OutColumn};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Call, ChangeTable, Expr};
use crate::sql::catalog::{Column, Table, literal};
use crate::sql::exec::tracking::{self, Tracked};
use crate::sql::sysviews;
use crate::value::Ty;

impl Binder<'_> {
    pub(super) fn current_version(&mut self, call: &Call) -> SqlResult<Bound> {
        arguments("CHANGE_TRACKING_CURRENT_VERSION", call, 0, 0)?;
        let version = self.session.tracking_version(&self.session.db)?;
        Ok(Self::maybe_int(version, Ty::BigInt).nullable(true))
    }

    pub(super) fn min_valid_version(&mut self, call: &Call) -> SqlResult<Bound> {
        let (session, name) = (self.session, "CHANGE_TRACKING_MIN_VALID_VERSION");
        arguments(name, call, 1, 1)?;
        let on = session.tracking_version(&session.db)?.is_some();
        let table = self.expr(&call.args[0])?;
        if table.null || !table.ty.is_int() {
            let given = if table.null { "NULL" } else { table.ty.name() };
            return Err(SqlError::of(8116, &[&given, &1, &name.to_lowercase()]));
        }
        let sql = format!(
            "(SELECT v.min_valid FROM main._ct_valid v JOIN main._ct_table t ON t.table_id = v.table_id
              JOIN main._object o ON o.id = v.table_id WHERE {} AND {} AND o.db = {} AND v.table_id = {}
              AND (v.number IS NULL OR v.number <= {}) ORDER BY v.id DESC LIMIT 1)",
            i64::from(on),
            session.has_right("VIEW CHANGE TRACKING", &table.sql),
            literal(&session.db),
            table.sql,
            session.seen()
        );
        Ok(Bound::new(sql, Ty::BigInt))
    }

    /// Binds `CHANGETABLE` as a source.
    pub(super) fn change_table(&mut self, source: &ChangeTable) -> SqlResult<String> {
        let Some(alias) = &source.alias else {
            return Err(SqlError::of(22104, &[]));
        };
        let (table, tracked) = self.tracked_table(&source.table)?;
        let key = tracking::key(self.session.conn(), &table)?;
        let (sql, mut columns) = self.changes_since(&table, &key, tracked, &source.since)?;
        columns.extend(key.iter().map(|c| OutColumn {
            label: c.label(),
            ..OutColumn::new(&c.name, c.ty, true)
        }));
        self.derived(&sql, &columns, alias, &source.columns)
    }

    fn tracked_table(&self, name: &[String]) -> SqlResult<(Table, Tracked)> {
        let session = self.session;
        let written = name.join(".");
        let place = session.place(name)?;
        if place.is_temp() || sysviews::find(session, name)?.is_some() {
            return Err(SqlError::of(22107, &[&written]));
        }
        let table = session.table(&place, &written)?;
        session.check_right("VIEW CHANGE TRACKING", table.id, &table.name, &table.schema)?;
        let on = session.tracking_version(&table.db)?.is_some();
        let tracked = session.tracked(table.id)?.filter(|_| on);
        let tracked = tracked.ok_or_else(|| SqlError::of(22105, &[&written]))?;
        Ok((table, tracked))
    }

    /// Returns the SQL of `CHANGES`: for each key, the net change after a version. A key that did not exist at first is
    /// inserted, one that does not exist at last is deleted, and any other is updated.
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
            // Nothing comes after a version that was never reached.
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
               NULL AS c3, NULL AS c4, {}
             FROM (SELECT *, row_number() OVER (PARTITION BY {by} ORDER BY version, stmt, op <> 'D', seq) AS a,
                     row_number() OVER (PARTITION BY {by} ORDER BY version DESC, stmt DESC, op = 'D', seq DESC) AS z
                   FROM main.{changes} WHERE version > {since} AND version <= {now})
             GROUP BY {by})",
            keys.join(", ")
        );
        let columns = vec![
            OutColumn::new("SYS_CHANGE_VERSION", Ty::BigInt, true),
            OutColumn::new("SYS_CHANGE_CREATION_VERSION", Ty::BigInt, true),
            OutColumn::new("SYS_CHANGE_OPERATION", Ty::NChar(1), true),
            OutColumn::new("SYS_CHANGE_COLUMNS", Ty::VarBinary(4100), true),
            OutColumn::new("SYS_CHANGE_CONTEXT", Ty::VarBinary(128), true),
        ];
        Ok((sql, columns))
    }
}

/// Returns the key columns of the changes, as they are compared.
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
