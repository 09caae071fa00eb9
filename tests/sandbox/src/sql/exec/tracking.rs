//! Change tracking. Triggers write every change of a tracked table's rows to a table beside it, under its transaction.
//! The commit gives them the database's next version. Nothing is removed at once: a cleanup, like `TRUNCATE TABLE`,
//! sets the version up to which changes are gone, so that SNAPSHOT transactions go on with what they had.
//!
//! <https://learn.microsoft.com/en-us/sql/relational-databases/track-changes/about-change-tracking-sql-server>

use std::sync::atomic::Ordering::Relaxed;

use rusqlite::{Connection, OptionalExtension, params};

use super::Session;
use crate::error::SqlResult;
use crate::sql::ast::Assignment;
use crate::sql::catalog::{self, Column, Table, quote};

/// The state of a tracked table.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tracked {
    /// The lowest version from which its changes can be told.
    pub min_valid: i64,
    /// The version at which tracking began.
    pub begin: i64,
    /// The version up to which its changes are gone.
    pub cleanup: i64,
}

impl Tracked {
    /// Makes the state of a table whose tracking begins.
    pub(super) fn since(begin: i64) -> Self {
        let (min_valid, cleanup) = (begin, begin);
        Tracked {
            min_valid,
            begin,
            cleanup,
        }
    }
}

/// Returns the name of the table that holds a table's changes, quoted.
pub(crate) fn changes(table: i64) -> String {
    quote(&format!("_ct:{table}"))
}

pub(super) fn trigger(table: i64, event: &str) -> String {
    quote(&format!("_ct:{table}:{event}"))
}

/// Returns the columns of a table's primary key, in its order.
pub(crate) fn key(conn: &Connection, table: &Table) -> SqlResult<Vec<Column>> {
    let primary = catalog::indexes(conn, table)?.into_iter().find(|i| i.primary);
    let names = primary.map(|i| i.columns).unwrap_or_default();
    Ok(names.iter().filter_map(|name| table.column(name)).cloned().collect())
}

/// Returns the version of a database, or `None` where change tracking is off.
pub(super) fn version(conn: &Connection, db: &str) -> SqlResult<Option<i64>> {
    Ok(conn
        .prepare_cached("SELECT version FROM main._ct_database WHERE db = ?1 AND enabled = 1")?
        .query_row([db], |r| r.get(0))
        .optional()?)
}

/// Returns the versions of all databases where change tracking is on.
pub(super) fn versions(conn: &Connection) -> SqlResult<Vec<(String, i64)>> {
    let mut statement = conn.prepare_cached("SELECT db, version FROM main._ct_database WHERE enabled = 1")?;
    let rows = statement.query_map([], |r| Ok((r.get(0)?, r.get(1)?)))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Sets from where on a table's changes can be told. A commit numbers the setting.
pub(super) fn set_valid(conn: &Connection, table: i64, to: Tracked) -> SqlResult<()> {
    conn.execute(
        "INSERT INTO main._ct_valid(table_id, min_valid, begin_version, cleanup) VALUES(?1, ?2, ?3, ?4)",
        params![table, to.min_valid, to.begin, to.cleanup],
    )?;
    Ok(())
}

/// Gives a transaction's changes their version, one for each database.
pub(super) fn commit(conn: &Connection, tx: u64, number: i64, tables: &[i64]) -> SqlResult<()> {
    let mut done: Vec<(String, i64)> = Vec::new();
    for id in tables {
        let db: Option<String> = conn
            .prepare_cached(
                "SELECT o.db FROM main._ct_table t JOIN main._object o ON o.id = t.table_id WHERE t.table_id = ?1",
            )?
            .query_row([id], |r| r.get(0))
            .optional()?;
        let Some(db) = db else { continue };
        let changes = changes(*id);
        let some: bool = conn
            .prepare_cached(&format!(
                "SELECT EXISTS(SELECT 1 FROM main.{changes} WHERE version IS NULL AND tx = ?1)"
            ))?
            .query_row([tx as i64], |r| r.get(0))?;
        if !some {
            continue;
        }
        let next = match done.iter().find(|(d, _)| *d == db) {
            Some((_, version)) => *version,
            None => {
                conn.execute(
                    "UPDATE main._ct_database SET version = version + 1 WHERE db = ?1",
                    [&db],
                )?;
                let next = version(conn, &db)?.unwrap_or(0);
                done.push((db, next));
                next
            }
        };
        conn.execute(
            &format!("UPDATE main.{changes} SET version = ?1 WHERE version IS NULL AND tx = ?2"),
            params![next, tx as i64],
        )?;
    }
    conn.prepare_cached("UPDATE main._ct_valid SET number = ?1 WHERE number IS NULL")?
        .execute([number])?;
    Ok(())
}

pub(super) fn tracked_tables(conn: &Connection) -> SqlResult<Vec<i64>> {
    let mut statement = conn.prepare_cached("SELECT table_id FROM main._ct_table")?;
    let rows = statement.query_map([], |r| r.get(0))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Takes back a transaction's changes after a mark.
pub(super) fn undo(conn: &Connection, tx: u64, mark: i64) -> SqlResult<()> {
    for table in tracked_tables(conn)? {
        conn.execute(
            &format!(
                "DELETE FROM main.{} WHERE version IS NULL AND tx = ?1 AND seq > ?2",
                changes(table)
            ),
            params![tx as i64, mark],
        )?;
    }
    Ok(())
}

impl Session {
    /// Returns the version of a database as the transaction sees it: that of its last committed transaction, or under
    /// SNAPSHOT that of the last one before its first read. It is `None` where change tracking is off.
    pub(crate) fn tracking_version(&self, db: &str) -> SqlResult<Option<i64>> {
        if self.options.snapshot && self.trancount > 0 {
            self.check_snapshot(db)?;
            let versions = self.snapshot_versions.borrow();
            return Ok(versions.iter().find(|(name, _)| name == db).map(|(_, v)| *v));
        }
        version(self.conn(), db)
    }

    /// Returns the state of a table if it is tracked, as the transaction sees it.
    pub(crate) fn tracked(&self, table: i64) -> SqlResult<Option<Tracked>> {
        Ok(self
            .conn()
            .prepare_cached(
                "SELECT v.min_valid, v.begin_version, v.cleanup FROM main._ct_table t
                 JOIN main._ct_valid v ON v.table_id = t.table_id
                 WHERE t.table_id = ?1 AND (v.number IS NULL OR v.number <= ?2) ORDER BY v.id DESC LIMIT 1",
            )?
            .query_row([table, self.seen()], |r| {
                Ok(Tracked {
                    min_valid: r.get(0)?,
                    begin: r.get(1)?,
                    cleanup: r.get(2)?,
                })
            })
            .optional()?)
    }

    /// Returns the last commit that the transaction sees.
    pub(crate) fn seen(&self) -> i64 {
        self.snapshot.get().unwrap_or(i64::MAX)
    }

    /// Prepares tracking before a statement changes a table. If the table is tracked, its changes belong to this
    /// statement.
    pub(super) fn begin_tracking(&self, table: &Table) -> SqlResult<()> {
        if table.place().is_temp() || self.tracked(table.id)?.is_none() {
            return Ok(());
        }
        self.local.statement.store(self.engine.next_change(), Relaxed);
        let mut tracked = self.tracked.borrow_mut();
        if !tracked.contains(&table.id) {
            tracked.push(table.id);
        }
        Ok(())
    }

    /// Notes whether an update sets columns of the key, because such a row is deleted and inserted.
    pub(super) fn note_update(&self, table: &Table, sets: &[Assignment]) -> SqlResult<()> {
        if self.tracked(table.id)?.is_none() {
            return Ok(());
        }
        let key = key(self.conn(), table)?;
        let set: Vec<&Column> = sets
            .iter()
            .filter_map(|(name, ..)| table.column(name.last()?))
            .collect();
        let keyed = set.iter().any(|c| key.iter().any(|k| k.id == c.id));
        self.local.keyed.store(keyed, Relaxed);
        Ok(())
    }

    /// Ends the changes of a tracked table at `TRUNCATE TABLE`: neither it nor any change before it can be told.
    pub(super) fn truncate_tracking(&self, table: &Table) -> SqlResult<()> {
        if self.tracked(table.id)?.is_none() {
            return Ok(());
        }
        self.conn().execute(
            &format!(
                "DELETE FROM main.{} WHERE version IS NULL AND tx = ?1",
                changes(table.id)
            ),
            [self.tx() as i64],
        )?;
        let now = version(self.conn(), &table.db)?.unwrap_or(0);
        set_valid(self.conn(), table.id, Tracked::since(now))
    }
}
