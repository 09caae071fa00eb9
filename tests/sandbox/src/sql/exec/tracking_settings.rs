//! The settings of change tracking for databases and tables, and the expiry of changes.

use rusqlite::{Connection, params};

use super::tracking::{Tracked, changes, key, set_valid, tracked_tables, trigger, version};
use super::{Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Name, TrackingOptions};
use crate::sql::catalog::{self, Column, Table, quote};
use crate::value::Ty;

/// Removes everything that tracking has of a table.
fn remove(conn: &Connection, table: i64) -> SqlResult<()> {
    for event in ["insert", "update", "delete"] {
        conn.execute_batch(&format!("DROP TRIGGER IF EXISTS main.{}", trigger(table, event)))?;
    }
    conn.execute_batch(&format!("DROP TABLE IF EXISTS main.{}", changes(table)))?;
    conn.execute("DELETE FROM main._ct_table WHERE table_id = ?1", [table])?;
    conn.execute("DELETE FROM main._ct_valid WHERE table_id = ?1", [table])?;
    Ok(())
}

fn create(conn: &Connection, table: &Table, key: &[Column]) -> SqlResult<()> {
    let declared: Vec<String> = (0..)
        .zip(key)
        .map(|(at, c): (usize, _)| format!("k{at} {}", c.sqlite_decl()))
        .collect();
    let names: Vec<String> = (0..key.len()).map(|at| format!("k{at}")).collect();
    let values = |row: &str| -> String {
        let all: Vec<String> = key.iter().map(|c| format!("{row}.{}", quote(&c.name))).collect();
        all.join(", ")
    };
    let changes = changes(table.id);
    let insert = |op: &str, row: &str, when: &str| {
        format!(
            "INSERT INTO {changes}(seq, tx, stmt, op, {}) SELECT t_change(), t_tx(), t_statement(), '{op}', {} {when};",
            names.join(", "),
            values(row)
        )
    };
    let on = quote(&table.place().stored_name());
    let trigger = |event: &str, body: &str| {
        format!(
            "CREATE TRIGGER main.{} AFTER {} ON {on} WHEN t_recording() BEGIN {body} END;",
            trigger(table.id, event),
            event.to_uppercase()
        )
    };
    let update = [
        insert("D", "old", "WHERE t_keyed()"),
        insert("I", "new", "WHERE t_keyed()"),
        insert("U", "new", "WHERE NOT t_keyed()"),
    ];
    conn.execute_batch(&format!(
        "CREATE TABLE main.{changes}(seq INTEGER PRIMARY KEY, tx INT, stmt INT, version INT, op TEXT, {});
         CREATE INDEX main.{} ON {changes}(version, tx); {} {} {}",
        declared.join(", "),
        quote(&format!("_ct:{}:version", table.id)),
        trigger("insert", &insert("I", "new", "")),
        trigger("delete", &insert("D", "old", "")),
        trigger("update", &update.concat()),
    ))?;
    Ok(())
}

impl Session {
    /// Runs `ALTER TABLE … ENABLE CHANGE_TRACKING`.
    pub(super) fn enable_tracking(&self, name: &Name, columns: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        let temp = table.place().is_temp();
        let db = if temp { "tempdb" } else { &table.db };
        let Some(now) = version(self.conn(), db)?.filter(|_| !temp) else {
            return Err(SqlError::of(1718, &[&db, &table.name]));
        };
        if self.tracked(table.id)?.is_some() {
            return Err(SqlError::of(4996, &[&table.name]));
        }
        let key = key(self.conn(), &table)?;
        if key.is_empty() {
            return Err(SqlError::of(4997, &[&table.name]));
        }
        if key.iter().any(|c| c.ty == Ty::RowVersion) {
            return Err(SqlError::of(4999, &[&table.name]));
        }
        create(self.conn(), &table, &key)?;
        self.conn().execute(
            "INSERT INTO main._ct_table(table_id, columns) VALUES(?1, ?2)",
            params![table.id, columns],
        )?;
        set_valid(self.conn(), table.id, Tracked::since(now))
    }

    /// Runs `ALTER TABLE … DISABLE CHANGE_TRACKING`.
    pub(super) fn disable_tracking(&self, name: &Name) -> SqlResult<()> {
        let table = self.altered(name)?;
        if self.tracked(table.id)?.is_none() {
            return Err(SqlError::of(4998, &[&table.name]));
        }
        remove(self.conn(), table.id)
    }

    /// Removes everything that tracking has of a table that is dropped.
    pub(super) fn drop_tracking(&self, table: &Table) -> SqlResult<()> {
        if table.place().is_temp() {
            return Ok(());
        }
        remove(self.conn(), table.id)
    }

    /// Runs `ALTER DATABASE … SET CHANGE_TRACKING`.
    pub(super) fn set_tracking(&self, db: &str, on: Option<bool>, options: &TrackingOptions) -> SqlResult<()> {
        if ["master", "tempdb", "model", "msdb"].contains(&db) {
            return Err(SqlError::of(5090, &[&db]));
        }
        let enabled = version(self.conn(), db)?.is_some();
        match (on, enabled) {
            (Some(true), true) => {
                return Err(SqlError::of(5088, &[&db]));
            }
            (Some(false) | None, false) => {
                return Err(SqlError::of(5089, &[&db]));
            }
            (Some(false), true) => {
                let tables =
                    "SELECT count(*) FROM main._ct_table t JOIN main._object o ON o.id = t.table_id WHERE o.db = ?1";
                if self.lookup_id(tables, db)?.is_some_and(|n| n > 0) {
                    return Err(SqlError::of(22115, &[&db]));
                }
                // The version goes on where it was when tracking is enabled again.
                self.conn()
                    .execute("UPDATE main._ct_database SET enabled = 0 WHERE db = ?1", [db])?;
                return Ok(());
            }
            (Some(true), false) => {
                self.conn().execute(
                    "INSERT INTO main._ct_database(db, enabled, auto_cleanup, period, unit, version) VALUES(?1, 1, 1, 2, 3, 0)
                     ON CONFLICT(db) DO UPDATE SET enabled = 1, auto_cleanup = 1, period = 2, unit = 3",
                    [db],
                )?;
            }
            (None, true) => {}
        }
        self.conn().execute(
            "UPDATE main._ct_database SET auto_cleanup = ifnull(?2, auto_cleanup), period = ifnull(?3, period), unit = ifnull(?4, unit) WHERE db = ?1",
            params![db, options.auto_cleanup, options.retention.map(|r| r.period), options.retention.map(|r| r.unit.code())],
        )?;
        Ok(())
    }

    /// Lets all changes until now expire, as the cleanup does when their retention ends.
    pub fn expire_tracking(&mut self, results: &mut dyn TakeResults) -> SqlResult<()> {
        self.write(results, |session, _| {
            for id in tracked_tables(session.conn())? {
                session.expire_table(id)?;
            }
            Ok(())
        })
    }

    fn expire_table(&self, id: i64) -> SqlResult<()> {
        let Some((table, tracked)) = catalog::table_by_id(self.conn(), "main", id)?.zip(self.tracked(id)?) else {
            return Ok(());
        };
        let Some(until) = version(self.conn(), &table.db)?.filter(|v| *v > tracked.cleanup) else {
            return Ok(());
        };
        let valid = Tracked {
            min_valid: until,
            cleanup: until,
            ..tracked
        };
        set_valid(self.conn(), id, valid)?;
        // A snapshot may still read them.
        if self.engine.horizon().is_none() {
            self.conn().execute(
                &format!("DELETE FROM main.{} WHERE version <= ?1", changes(id)),
                [until],
            )?;
        }
        self.tracked.borrow_mut().push(id);
        Ok(())
    }
}
