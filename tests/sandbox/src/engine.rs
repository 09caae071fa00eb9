//! What all sessions of one server share: the storage, the counters, the identity of the server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use rusqlite::Connection;
use rusqlite::config::DbConfig;

use crate::error::{SqlError, SqlResult};
use crate::fault::Faults;
use crate::sql::catalog;
use crate::sql::exec::AppLocks;
use crate::sql::functions;
use crate::value::text;

/// The version the server says it is: SQL Server 2022.
pub const VERSION: &str = "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64) \n\tTidemark stand-in over SQLite";

/// State shared by all sessions.
#[derive(Debug)]
pub struct Engine {
    path: PathBuf,
    /// Keeps the directory of in-memory data until the last session is gone.
    _directory: Option<tempfile::TempDir>,
    /// The login name.
    pub username: String,
    /// The login's password.
    pub password: String,
    /// The login's default database.
    pub database: String,
    /// The last used rowversion, `@@DBTS`.
    pub rowversion: AtomicI64,
    /// The last identity value of each table.
    identities: Mutex<HashMap<i64, i64>>,
    next_session: AtomicU16,
    /// Logins tried since the start, `@@CONNECTIONS`.
    pub connections: AtomicI64,
    /// Faults that tests have asked for.
    pub faults: Faults,
    /// The application locks.
    pub app_locks: AppLocks,
}

/// A lock that a panicked session has not poisoned for the others.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

impl Engine {
    /// Opens or creates the storage.
    ///
    /// # Errors
    /// When the directory or file cannot be written.
    pub fn open(data: Option<&Path>, username: &str, password: &str, database: &str) -> SqlResult<Arc<Engine>> {
        let fault = |e: std::io::Error| SqlError::new(5120, format!("Unable to open the data file: {e}."));
        let (path, directory) = match data {
            Some(path) => (path.to_owned(), None),
            None => {
                let directory = tempfile::Builder::new()
                    .prefix("tidemark-sandbox-")
                    .tempdir()
                    .map_err(fault)?;
                (directory.path().join("data.sqlite"), Some(directory))
            }
        };
        let engine = Arc::new(Engine {
            path,
            _directory: directory,
            username: username.to_owned(),
            password: password.to_owned(),
            database: database.to_owned(),
            rowversion: AtomicI64::new(2000),
            identities: Mutex::new(HashMap::new()),
            next_session: AtomicU16::new(51),
            connections: AtomicI64::new(0),
            faults: Faults::default(),
            app_locks: AppLocks::default(),
        });
        let conn = engine.connect()?;
        catalog::create(&conn, "main")?;
        for name in ["master", "tempdb", "model", "msdb", database] {
            catalog::create_database(&conn, name)?;
        }
        engine.restore_counters(&conn)?;
        Ok(engine)
    }

    /// A connection to the storage with the server's functions and collation.
    ///
    /// # Errors
    /// When SQLite cannot open the file.
    pub fn connect(self: &Arc<Self>) -> SqlResult<Connection> {
        let conn = Connection::open(&self.path)?;
        conn.busy_timeout(std::time::Duration::from_millis(50))?;
        conn.execute_batch(
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF; PRAGMA temp_store=MEMORY; PRAGMA foreign_keys=ON;
             PRAGMA cache_size=-16384;",
        )?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DML, false)?;
        conn.set_db_config(DbConfig::SQLITE_DBCONFIG_DQS_DDL, false)?;
        conn.set_prepared_statement_cache_capacity(64);
        conn.create_collation("TSQL", text::compare)?;
        functions::register(&conn, self)?;
        catalog::create(&conn, "temp")?;
        Ok(conn)
    }

    /// The number of a new session.
    pub fn session_id(&self) -> u16 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    /// The next rowversion.
    pub fn next_rowversion(&self) -> i64 {
        self.rowversion.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// The next identity value of a table; like the server's, it is not given back by a rollback.
    pub fn next_identity(&self, table: i64, seed: i64, increment: i64) -> i64 {
        let mut all = locked(&self.identities);
        let value = all.get(&table).map_or(seed, |last| last + increment);
        all.insert(table, value);
        value
    }

    /// Notes an identity value that was inserted explicitly.
    pub fn note_identity(&self, table: i64, value: i64, increment: i64) {
        let mut all = locked(&self.identities);
        let last = all.entry(table).or_insert(value);
        if (increment > 0 && value > *last) || (increment < 0 && value < *last) {
            *last = value;
        }
    }

    /// Starts the identity of a table anew.
    pub fn reset_identity(&self, table: i64) {
        locked(&self.identities).remove(&table);
    }

    /// The last identity value of a table.
    pub fn identity(&self, table: i64) -> Option<i64> {
        locked(&self.identities).get(&table).copied()
    }

    /// Counters of data that an earlier process left.
    fn restore_counters(&self, conn: &Connection) -> SqlResult<()> {
        let mut statement = conn.prepare(
            "SELECT o.id, o.db || '.' || o.schema || '.' || o.name, c.name, c.ty = ?1, c.identity
             FROM main._object o JOIN main._column c ON c.object_id = o.id WHERE c.ty = ?1 OR c.identity = 1",
        )?;
        let rows: Vec<(i64, String, String, bool, bool)> = statement
            .query_map([crate::value::Ty::RowVersion.code()], |r| {
                Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?, r.get(4)?))
            })?
            .collect::<Result<_, _>>()?;
        for (id, table, column, is_rowversion, is_identity) in rows {
            let sql = format!(
                "SELECT max({}) FROM {}",
                catalog::quote(&column),
                catalog::quote(&table)
            );
            if is_rowversion {
                let last: Option<Vec<u8>> = conn.query_row(&sql, [], |r| r.get(0))?;
                if let Some(bytes) = last.and_then(|b| <[u8; 8]>::try_from(b).ok()) {
                    self.rowversion.fetch_max(i64::from_be_bytes(bytes), Ordering::SeqCst);
                }
            } else if is_identity && let Ok(Some(last)) = conn.query_row(&sql, [], |r| r.get::<_, Option<i64>>(0)) {
                locked(&self.identities).insert(id, last);
            }
        }
        Ok(())
    }
}
