//! The settings of change tracking: databases, tables, what expires.

use rusqlite::{Connection, params};

use super::tracking::{Tracked, changes, key, set_valid, tracked_tables, trigger, version};
use super::{Session, Sink};
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::{Name, TrackingOptions};
use crate::sql::catalog::{self, Column, Table, quote};
use crate::value::Ty;

/// The last version of a database that is older than its retention period.
fn last_expired(conn: &Connection, db: &str) -> SqlResult<Option<i64>> {
    let minutes = "d.period * CASE d.unit WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END";
    let sql = format!(
        "SELECT max(c.version) FROM main._ct_commit c JOIN main._ct_database d ON d.db = c.db
         WHERE c.db = ?1 AND c.time < ?2 - {minutes} * {}",
        crate::value::calendar::DATETIME_DAY / 1440
    );
    Ok(conn.query_row(&sql, params![db, catalog::now()], |r| r.get(0))?)
}

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
    let insert = |op: &str, mask: &str, row: &str, when: &str| {
        format!(
            "INSERT INTO {changes}(seq, tx, stmt, op, mask, context, {}) SELECT t_change(), t_tx(), t_statement(), '{op}', {mask}, t_context(), {} {when};",
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
        insert("D", "NULL", "old", "WHERE t_keyed()"),
        insert("I", "NULL", "new", "WHERE t_keyed()"),
        insert("U", "t_columns()", "new", "WHERE NOT t_keyed()"),
    ];
    conn.execute_batch(&format!(
        "CREATE TABLE main.{changes}(seq INTEGER PRIMARY KEY, tx INT, stmt INT, version INT, op TEXT, mask TEXT, context BLOB, {});
         CREATE INDEX main.{} ON {changes}(version, tx); {} {} {}",
        declared.join(", "),
        quote(&format!("_ct:{}:version", table.id)),
        trigger("insert", &insert("I", "NULL", "new", "")),
        trigger("delete", &insert("D", "NULL", "old", "")),
        trigger("update", &update.concat()),
    ))?;
    Ok(())
}

impl Session {
    /// `ALTER TABLE … ENABLE CHANGE_TRACKING`
    pub(super) fn enable_tracking(&self, name: &Name, columns: bool) -> SqlResult<()> {
        let table = self.altered(name)?;
        let temp = table.place().is_temp();
        let db = if temp { "tempdb" } else { &table.db };
        let Some(now) = version(self.conn(), db)?.filter(|_| !temp) else {
            return Err(SqlError::new(
                1718,
                format!(
                    "Change tracking must be enabled on database '{db}' before it can be enabled on table '{}'.",
                    table.name
                ),
            ));
        };
        if self.tracked(table.id)?.is_some() {
            return Err(SqlError::new(
                4996,
                format!("Change tracking is already enabled for table '{}'.", table.name),
            ));
        }
        let refuse = |number, why: &str| {
            Err(SqlError::new(
                number,
                format!("Cannot enable change tracking on table '{}'. {why}", table.name),
            ))
        };
        let key = key(self.conn(), &table)?;
        if key.is_empty() {
            return refuse(
                4997,
                "Change tracking requires a primary key on the table. Create a primary key on the table before enabling change tracking.",
            );
        }
        if key.iter().any(|c| c.ty == Ty::RowVersion) {
            return refuse(
                4999,
                "Change tracking does not support a primary key of type timestamp on a table.",
            );
        }
        create(self.conn(), &table, &key)?;
        self.conn().execute(
            "INSERT INTO main._ct_table(table_id, columns) VALUES(?1, ?2)",
            params![table.id, columns],
        )?;
        set_valid(
            self.conn(),
            table.id,
            Tracked {
                columns,
                min_valid: now,
                begin: now,
                cleanup: now,
            },
        )
    }

    /// `ALTER TABLE … DISABLE CHANGE_TRACKING`
    pub(super) fn disable_tracking(&self, name: &Name) -> SqlResult<()> {
        let table = self.altered(name)?;
        if self.tracked(table.id)?.is_none() {
            return Err(SqlError::new(
                4998,
                format!("Change tracking is not enabled on table '{}'.", table.name),
            ));
        }
        remove(self.conn(), table.id)
    }

    /// A table is dropped: what tracking has of it goes too.
    pub(super) fn drop_tracking(&self, table: &Table) -> SqlResult<()> {
        if table.place().is_temp() {
            return Ok(());
        }
        remove(self.conn(), table.id)
    }

    /// `ALTER DATABASE … SET CHANGE_TRACKING`
    pub(super) fn set_tracking(&self, db: &str, on: Option<bool>, options: &TrackingOptions) -> SqlResult<()> {
        if ["master", "tempdb", "model", "msdb"].contains(&db) {
            return Err(SqlError::new(
                5090,
                format!(
                    "Database '{db}' is a system database. Change tracking settings cannot be modified for system databases."
                ),
            ));
        }
        let enabled = version(self.conn(), db)?.is_some();
        match (on, enabled) {
            (Some(true), true) => {
                return Err(SqlError::new(
                    5088,
                    format!("Change tracking is already enabled for database '{db}'."),
                ));
            }
            (Some(false) | None, false) => {
                return Err(SqlError::new(
                    5089,
                    format!(
                        "Change tracking is disabled for database '{db}'. Change tracking must be enabled on a database to modify change tracking settings."
                    ),
                )
                .state(if on.is_some() { 1 } else { 2 }));
            }
            (Some(false), true) => {
                let tables =
                    "SELECT count(*) FROM main._ct_table t JOIN main._object o ON o.id = t.table_id WHERE o.db = ?1";
                if self.lookup_id(tables, db)?.is_some_and(|n| n > 0) {
                    return Err(SqlError::new(
                        22115,
                        format!(
                            "Change tracking is enabled for one or more tables in database '{db}'. Disable change tracking on each table before disabling it for the database. Use the sys.change_tracking_tables catalog view to obtain a list of tables for which change tracking is enabled."
                        ),
                    ));
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

    /// Forgets changes of tracked tables: those that are older than the retention period, or all that there are until now.
    ///
    /// # Errors
    /// What the storage says.
    pub fn clean_tracking(&mut self, expired: bool, only: Option<i64>, sink: &mut dyn Sink) -> SqlResult<()> {
        self.write(sink, |session, _| {
            for id in tracked_tables(session.conn())? {
                if only.is_none_or(|only| only == id) {
                    session.clean_table(id, expired)?;
                }
            }
            Ok(())
        })
    }

    fn clean_table(&self, id: i64, expired: bool) -> SqlResult<()> {
        let Some((table, tracked)) = catalog::table_by_id(self.conn(), "main", id)?.zip(self.tracked(id)?) else {
            return Ok(());
        };
        let until = if expired {
            last_expired(self.conn(), &table.db)?
        } else {
            version(self.conn(), &table.db)?
        };
        let Some(until) = until.filter(|v| *v > tracked.cleanup) else {
            return Ok(());
        };
        set_valid(
            self.conn(),
            id,
            Tracked {
                min_valid: until,
                cleanup: until,
                ..tracked
            },
        )?;
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
