//! Versions of rows. A table holds the newest version of each row. While a transaction is open, a log beside the table
//! holds what each of its changes replaced. A statement that must not see a transaction's changes reads the table
//! without the rows in that log, and the logged rows in their place. Undoing a transaction puts the logged rows back.
//!
//! Logs are written by triggers that exist for as long as they are needed: in transactions of several statements, and
//! while a SNAPSHOT transaction looks at the past. A statement without a log runs on the table alone.

use std::sync::atomic::Ordering::Relaxed;

use rusqlite::{Connection, OptionalExtension, params};

use super::{Session, tracking};
use crate::error::{SqlError, SqlResult};
use crate::locks::Wanted;
use crate::sql::catalog::{self, Table, quote};

/// A transaction that has versions of a table's rows in the log, and its commit.
#[derive(Clone, Copy, Debug)]
pub(super) struct Writer {
    table: i64,
    tx: u64,
    committed: Option<i64>,
}

/// Returns the name of the log of a table, quoted and qualified.
fn log(store: &str, table: i64) -> String {
    format!("{store}.{}", quote(&plain_log(store, table)))
}

fn plain_log(store: &str, table: i64) -> String {
    let kind = if store == "temp" { "_tlog" } else { "_log" };
    format!("{kind}:{table}")
}

fn list(numbers: &[u64]) -> String {
    numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
}

/// Returns the table's stored columns, and the columns of its log that hold their old values.
fn columns(table: &Table) -> (String, String) {
    let own: Vec<String> = table.stored().map(|c| quote(&c.name)).collect();
    let logged: Vec<String> = table.stored().map(|c| format!("c{}", c.id)).collect();
    (own.join(", "), logged.join(", "))
}

/// Returns the tables whose rows a transaction has changed.
fn changed_tables(conn: &Connection, store: &str, tx: u64) -> SqlResult<Vec<i64>> {
    let mut statement = conn.prepare_cached(&format!("SELECT table_id FROM {store}._versioned WHERE tx = ?1"))?;
    let rows = statement.query_map([tx as i64], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Puts back what a transaction's changes of a table after a mark have replaced.
fn undo_table(conn: &Connection, store: &str, id: i64, tx: u64, mark: i64) -> SqlResult<()> {
    let Some(table) = catalog::table_by_id(conn, store, id)? else {
        return Ok(());
    };
    let (physical, log) = (table.place().physical(), log(store, id));
    let (own, logged) = columns(&table);
    let after = format!("tx = {tx} AND seq > {mark}");
    conn.execute_batch(&format!(
        "DELETE FROM {physical} WHERE _rowid_ IN (SELECT r FROM {log} WHERE {after});
         INSERT INTO {physical}(_rowid_, {own}) SELECT r, {logged} FROM {log}
           WHERE kind <> 0 AND seq IN (SELECT min(seq) FROM {log} WHERE {after} GROUP BY r);
         DELETE FROM {log} WHERE {after};"
    ))?;
    Ok(())
}

/// Puts back what a transaction has changed after a mark, or all of it for mark 0.
pub(super) fn undo(conn: &Connection, tx: u64, mark: i64) -> SqlResult<()> {
    // A row may be put back before the row that its foreign key refers to.
    for store in ["main", "temp"] {
        for table in changed_tables(conn, store, tx)? {
            undo_table(conn, store, table, tx, mark)?;
        }
        if mark == 0 {
            conn.execute(&format!("DELETE FROM {store}._versioned WHERE tx = ?1"), [tx as i64])?;
            conn.execute(&format!("DELETE FROM {store}._tx WHERE id = ?1"), [tx as i64])?;
        }
    }
    if mark == 0 {
        drop_triggers(conn, "%")?;
    }
    tracking::undo(conn, tx, mark)
}

/// Makes a transaction's changes the state that others see, as a commit of this number.
pub(super) fn commit(conn: &Connection, tx: u64, number: i64) -> SqlResult<()> {
    conn.execute(
        "UPDATE main._tx SET committed = ?1 WHERE id = ?2",
        params![number, tx as i64],
    )?;
    for table in changed_tables(conn, "temp", tx)? {
        conn.execute_batch(&format!("DELETE FROM {}", log("temp", table)))?;
    }
    conn.execute_batch("DELETE FROM temp._versioned; DELETE FROM temp._tx")?;
    drop_triggers(conn, "%")
}

/// Forgets the versions that no snapshot needs: those of commits up to the horizon, or of all commits when there is
/// none.
pub(super) fn prune(conn: &Connection, horizon: Option<i64>) -> SqlResult<()> {
    let horizon = horizon.unwrap_or(i64::MAX);
    let mut statement = conn.prepare_cached(
        "SELECT v.table_id, count(*) = sum(ifnull(t.committed <= ?1, 0)) FROM main._versioned v
         JOIN main._tx t ON t.id = v.tx GROUP BY v.table_id HAVING sum(ifnull(t.committed <= ?1, 0)) > 0",
    )?;
    let tables: Vec<(i64, bool)> = statement
        .query_map([horizon], |r| Ok((r.get(0)?, r.get(1)?)))?
        .collect::<Result<_, _>>()?;
    for (table, whole) in tables {
        let log = log("main", table);
        conn.execute_batch(&if whole {
            format!("DELETE FROM {log}")
        } else {
            format!("DELETE FROM {log} WHERE tx IN (SELECT id FROM main._tx WHERE committed <= {horizon})")
        })?;
    }
    conn.prepare_cached("DELETE FROM main._versioned WHERE tx IN (SELECT id FROM main._tx WHERE committed <= ?1)")?
        .execute([horizon])?;
    conn.prepare_cached("DELETE FROM main._tx WHERE committed <= ?1")?
        .execute([horizon])?;
    Ok(())
}

fn drop_triggers(conn: &Connection, like: &str) -> SqlResult<()> {
    let names: Vec<String> = conn
        .prepare_cached("SELECT name FROM temp.sqlite_master WHERE type = 'trigger' AND name LIKE ?1")?
        .query_map([like], |r| r.get(0))?
        .collect::<Result<_, _>>()?;
    for name in names {
        conn.execute_batch(&format!("DROP TRIGGER temp.{}", quote(&name)))?;
    }
    Ok(())
}

/// Creates the log of a table and the triggers that write it, unless they exist.
fn create_log(conn: &Connection, store: &str, table: &Table) -> SqlResult<()> {
    let name = plain_log(store, table.id);
    let ready = conn
        .prepare_cached("SELECT 1 FROM temp.sqlite_master WHERE type = 'trigger' AND name = ?1")?
        .query_row([format!("{name}:0")], |_| Ok(()))
        .optional()?
        .is_some();
    if ready {
        return Ok(());
    }
    let declared: Vec<String> = table
        .stored()
        .map(|c| format!("c{} {}", c.id, c.sqlite_decl()))
        .collect();
    let (_, logged) = columns(table);
    let old: Vec<String> = table.stored().map(|c| format!("old.{}", quote(&c.name))).collect();
    let (log, plain, physical) = (log(store, table.id), quote(&name), table.place().physical());
    let old = old.join(", ");
    let mut sql = format!(
        "CREATE TABLE IF NOT EXISTS {log}(seq INTEGER PRIMARY KEY, tx INT, r INT, kind INT, {});",
        declared.join(", ")
    );
    for (kind, event, row) in [(0, "INSERT", "new"), (1, "UPDATE", "old"), (2, "DELETE", "old")] {
        let (extra, values) = if kind == 0 {
            (String::new(), String::new())
        } else {
            (format!(", {logged}"), format!(", {old}"))
        };
        sql += &format!(
            "CREATE TEMP TRIGGER {} AFTER {event} ON {physical} WHEN t_recording() BEGIN
               INSERT INTO {plain}(seq, tx, r, kind{extra}) VALUES(t_change(), t_tx(), {row}._rowid_, {kind}{values}); END;",
            quote(&format!("{name}:{kind}"))
        );
    }
    conn.execute_batch(&sql)?;
    Ok(())
}

impl Session {
    /// Notes the transactions that have versions of rows, as the statement that begins sees them.
    pub(super) fn look(&self) -> SqlResult<()> {
        let mut statement = self.conn().prepare_cached(
            "SELECT v.table_id, v.tx, t.committed FROM main._versioned v JOIN main._tx t ON t.id = v.tx ORDER BY v.tx",
        )?;
        let rows = statement.query_map([], |r| {
            Ok(Writer {
                table: r.get(0)?,
                tx: r.get::<_, i64>(1)? as u64,
                committed: r.get(2)?,
            })
        })?;
        *self.writers.borrow_mut() = rows.collect::<Result<_, _>>()?;
        Ok(())
    }

    /// Returns the transactions whose changes of a table the statement must not see.
    pub(super) fn hidden(&self, table: i64) -> Vec<u64> {
        let (own, snapshot) = (self.tx(), self.snapshot.get());
        self.writers
            .borrow()
            .iter()
            .filter(|w| w.table == table && w.tx != own)
            .filter(|w| w.committed.is_none_or(|c| snapshot.is_some_and(|s| c > s)))
            .map(|w| w.tx)
            .collect()
    }

    /// Returns the open transactions of others that have changed a table.
    pub(super) fn open_writers(&self, table: i64) -> Vec<u64> {
        let own = self.tx();
        self.writers
            .borrow()
            .iter()
            .filter(|w| w.table == table && w.tx != own && w.committed.is_none())
            .map(|w| w.tx)
            .collect()
    }

    /// Returns whether a statement must not take a table's rows as they are, because others have changed some.
    pub(super) fn is_versioned(&self, table: &Table) -> bool {
        !table.place().is_temp() && !self.hidden(table.id).is_empty()
    }

    fn is_committed(&self, tx: u64) -> bool {
        let writers = self.writers.borrow();
        writers.iter().any(|w| w.tx == tx && w.committed.is_some())
    }

    /// Returns the rows of a table without the changes of some transactions, as a source with `_rowid_`.
    pub(super) fn versions_sql(&self, table: &Table, hidden: &[u64]) -> String {
        let (physical, log) = (table.place().physical(), log("main", table.id));
        let (_, logged) = columns(table);
        let named: Vec<String> = table.stored().map(|c| format!("{0} AS {0}", quote(&c.name))).collect();
        let of = format!("tx IN ({})", list(hidden));
        format!(
            "(SELECT _rowid_ AS _rowid_, {} FROM {physical} WHERE _rowid_ NOT IN (SELECT r FROM {log} WHERE {of})
             UNION ALL SELECT r, {logged} FROM {log} WHERE kind <> 0
             AND seq IN (SELECT min(seq) FROM {log} WHERE {of} GROUP BY r))",
            named.join(", ")
        )
    }

    /// Prepares a table before a statement changes it: its log if one is needed, and change tracking. Returns whether
    /// the rows that the statement inserts must have numbers that were never used, by `t_row()`.
    pub(super) fn open_log(&self, table: &Table) -> SqlResult<bool> {
        self.begin_tracking(table)?;
        let place = table.place();
        let store = place.store();
        let needed = if place.is_temp() {
            self.trancount > 0 && !place.is_variable() && !self.goes_with_rollback(&table.name)
        } else {
            self.trancount > 0 || self.engine.horizon().is_some()
        };
        if needed {
            create_log(self.conn(), store, table)?;
            let tx = self.tx() as i64;
            self.conn()
                .prepare_cached(&format!("INSERT OR IGNORE INTO {store}._tx(id) VALUES(?1)"))?
                .execute([tx])?;
            self.conn()
                .prepare_cached(&format!(
                    "INSERT OR IGNORE INTO {store}._versioned(table_id, tx) VALUES(?1, ?2)"
                ))?
                .execute([table.id, tx])?;
            self.touched.set(true);
        }
        let versioned = !place.is_temp() && self.writers.borrow().iter().any(|w| w.table == table.id);
        if !needed && !versioned {
            return Ok(false);
        }
        let sql = format!("SELECT ifnull(max(_rowid_), 0) FROM {}", place.physical());
        let now = self.conn().query_row(&sql, [], |r| r.get(0))?;
        self.local
            .row
            .store(self.engine.highest_row(row_key(table), now), Relaxed);
        Ok(true)
    }

    /// Notes the numbers of rows that were inserted with numbers of their own.
    pub(super) fn note_rows(&self, table: &Table) {
        self.engine.highest_row(row_key(table), self.local.row.load(Relaxed));
    }

    /// Checks the rows of a change that others may have changed. It waits for open transactions that have one of them,
    /// and under SNAPSHOT refuses what was committed since. `rows` are queries for row numbers.
    pub(super) fn meet(&self, table: &Table, rows: &[(String, Vec<rusqlite::types::Value>)]) -> SqlResult<()> {
        let hidden = list(&self.hidden(table.id));
        for (rows, params) in rows {
            let sql = format!(
                "SELECT DISTINCT tx FROM {} WHERE tx IN ({hidden}) AND r IN ({rows})",
                log("main", table.id)
            );
            let mut statement = self.conn().prepare(&sql).map_err(|e| self.storage_error(&e, &sql))?;
            let met: Vec<u64> = statement
                .query_map(rusqlite::params_from_iter(params), |r| {
                    r.get::<_, i64>(0).map(|tx| tx as u64)
                })?
                .collect::<Result<_, _>>()?;
            if met.iter().any(|tx| self.is_committed(*tx)) {
                return Err(SqlError::of(3960, &[&table.schema, &table.name, &table.db]));
            }
            if let Some(tx) = met.first() {
                return Err(self.wait_for_lock(Wanted::End(*tx)));
            }
        }
        Ok(())
    }

    /// Runs a change of a table with unique keys. If whether a key is unique depends on how another transaction ends,
    /// it waits for that end.
    pub(super) fn unique_in_any_case<T>(&self, table: &Table, mut run: impl FnMut() -> SqlResult<T>) -> SqlResult<T> {
        let open = self.open_writers(table.id);
        if open.is_empty() || !catalog::indexes(self.conn(), table)?.iter().any(|i| i.unique) {
            return run();
        }
        let without_all = self.succeeds(table, &open, &mut run)?;
        if without_all == self.succeeds(table, &[], &mut run)? {
            return run();
        }
        for tx in &open {
            if self.succeeds(table, &[*tx], &mut run)? == without_all {
                return Err(self.wait_for_lock(Wanted::End(*tx)));
            }
        }
        Err(self.wait_for_lock(Wanted::End(open[0])))
    }

    /// Returns whether a change would keep keys unique if some transactions rolled back.
    fn succeeds<T>(&self, table: &Table, undone: &[u64], run: &mut impl FnMut() -> SqlResult<T>) -> SqlResult<bool> {
        let counters = self.engine.counters();
        let row = self.local.row.load(Relaxed);
        self.conn().execute_batch("SAVEPOINT trial")?;
        self.local.recording.store(false, Relaxed);
        let undone = undone
            .iter()
            .try_for_each(|tx| undo_table(self.conn(), "main", table.id, *tx, 0));
        self.local.recording.store(true, Relaxed);
        let result = undone.and_then(|()| run().map(|_| ()));
        self.conn().execute_batch("ROLLBACK TO trial; RELEASE trial")?;
        self.local.row.store(row, Relaxed);
        self.engine.restore(counters);
        match result {
            Err(e) if e.number == 2627 => Ok(false),
            // Any other error is the statement's own, whoever commits.
            _ => Ok(true),
        }
    }

    /// Prepares a change of a table's definition: waits until nobody uses the table, and forgets its versions.
    pub(super) fn redefine(&self, table: &Table) -> SqlResult<()> {
        let place = table.place();
        if !place.is_temp() {
            self.want(Wanted::Table(table.id, crate::locks::Mode::Exclusive))?;
        }
        let name = plain_log(place.store(), table.id);
        drop_triggers(self.conn(), &format!("{name}:%"))?;
        self.conn()
            .execute_batch(&format!("DROP TABLE IF EXISTS {}", log(place.store(), table.id)))?;
        self.conn().execute(
            &format!("DELETE FROM {}._versioned WHERE table_id = ?1", place.store()),
            [table.id],
        )?;
        if !place.is_temp() {
            self.defined.borrow_mut().push(table.id);
        }
        Ok(())
    }
}

/// Returns the key of a table for [`crate::engine::Engine::highest_row`].
fn row_key(table: &Table) -> i64 {
    if table.place().is_temp() { -table.id } else { table.id }
}
