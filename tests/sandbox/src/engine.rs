//! The state that all sessions of one server share: the storage, the counters, the identity of the server.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU16, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::clock::Clock;
use crate::error::{SqlError, SqlResult};
use crate::fault::Faults;
use crate::locks::{AppLocks, Locks, locked};

/// The version that the server says it is: SQL Server 2022.
pub const VERSION: &str = "Microsoft SQL Server 2022 (RTM) - 16.0.1000.6 (X64) \n\tTidemark stand-in over SQLite";

/// The state that all sessions share.
#[derive(Debug)]
pub struct Engine {
    path: PathBuf,
    /// The directory of the storage's file, which is deleted with it after the last session.
    _directory: tempfile::TempDir,
    /// The login name.
    pub username: String,
    /// The login's password.
    pub password: String,
    /// The access token that is accepted beside the password. By default there is none.
    pub token: Mutex<Option<String>>,
    /// The login's default database.
    pub database: String,
    rowversions: Mutex<HashMap<String, Rowversions>>,
    /// The numbers of the engine and of the major version that the server says it has.
    pub product: Mutex<(i64, Option<i64>)>,
    /// Whether the databases are those of a secondary replica.
    pub replica: AtomicBool,
    /// The last identity value of each table.
    identities: Mutex<HashMap<i64, i64>>,
    /// Locks, and the numbers of transactions.
    pub locks: Locks,
    /// The lock that whoever writes to the storage holds, during a statement or the end of a transaction.
    writing: Mutex<()>,
    changes: AtomicI64,
    history: Mutex<History>,
    next_session: AtomicU16,
    /// The number of logins tried since the start, `@@CONNECTIONS`.
    pub connections: AtomicI64,
    /// What each request of a client has a share of while it is being run.
    pub running: Arc<()>,
    /// The faults that tests have ordered.
    pub faults: Faults,
    /// The application locks.
    pub app_locks: AppLocks,
    /// The clock.
    pub clock: Mutex<Clock>,
}

/// The rowversion counter of a database.
#[derive(Debug)]
struct Rowversions {
    last: u64,
    /// The first value that each open transaction has used.
    open: HashMap<u64, u64>,
}

impl Default for Rowversions {
    fn default() -> Self {
        Rowversions {
            last: 2000,
            open: HashMap::new(),
        }
    }
}

/// The order of commits, and the snapshots that still look at the past.
#[derive(Debug, Default)]
struct History {
    /// The number of the last commit.
    last: i64,
    /// The commit that each SNAPSHOT transaction sees last.
    snapshots: HashMap<u64, i64>,
    /// The commit that last defined each table anew.
    defined: HashMap<i64, i64>,
    /// The highest row number that each table has ever had while versions of its rows were kept.
    rows: HashMap<i64, i64>,
}

/// The part of a session's state that the SQLite functions of its connection use.
#[derive(Debug)]
pub struct Local {
    /// The session's transaction, 0 for none.
    pub tx: AtomicU64,
    /// Whether changes are recorded, which they are not while they are being undone.
    pub recording: AtomicBool,
    /// The last row number given to an inserted row.
    pub row: AtomicI64,
    /// The number of the statement that changes a tracked table.
    pub statement: AtomicI64,
    /// Whether an `UPDATE` sets columns of the key.
    pub keyed: AtomicBool,
}

impl Default for Local {
    fn default() -> Self {
        Local {
            tx: AtomicU64::new(0),
            recording: AtomicBool::new(true),
            row: AtomicI64::new(0),
            statement: AtomicI64::new(0),
            keyed: AtomicBool::new(false),
        }
    }
}

/// The counters that a statement moves, kept so that they can be set back when it was only tried.
#[derive(Debug)]
pub struct Counters {
    rowversions: HashMap<String, u64>,
    identities: HashMap<i64, i64>,
}

impl Engine {
    /// Makes a server without data.
    ///
    /// Fails with 5120 when its file cannot be made.
    pub fn new(username: &str, password: &str, database: &str) -> SqlResult<Engine> {
        let directory = tempfile::Builder::new()
            .prefix("tidemark-sandbox-")
            .tempdir()
            .map_err(|e| SqlError::of(5120, &[&e]))?;
        Ok(Engine {
            path: directory.path().join("data.sqlite"),
            _directory: directory,
            username: username.to_owned(),
            password: password.to_owned(),
            token: Mutex::default(),
            database: database.to_owned(),
            rowversions: Mutex::default(),
            product: Mutex::new((3, Some(16))),
            replica: AtomicBool::new(false),
            identities: Mutex::default(),
            locks: Locks::default(),
            writing: Mutex::default(),
            changes: AtomicI64::new(0),
            history: Mutex::default(),
            next_session: AtomicU16::new(51),
            connections: AtomicI64::new(0),
            running: Arc::default(),
            faults: Faults::default(),
            app_locks: AppLocks::default(),
            clock: Mutex::default(),
        })
    }

    /// Returns the file of the data.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Takes the number of a new session.
    pub fn session_id(&self) -> u16 {
        self.next_session.fetch_add(1, Ordering::Relaxed)
    }

    fn rowversions<T>(&self, db: &str, work: impl FnOnce(&mut Rowversions) -> T) -> T {
        work(locked(&self.rowversions).entry(db.to_lowercase()).or_default())
    }

    /// Takes the next rowversion of a database for a transaction.
    pub fn next_rowversion(&self, db: &str, tx: u64) -> u64 {
        self.rowversions(db, |all| {
            all.last = all.last.wrapping_add(1);
            all.open.entry(tx).or_insert(all.last);
            all.last
        })
    }

    /// Returns the last used rowversion of a database, `@@DBTS`.
    pub fn rowversion(&self, db: &str) -> u64 {
        self.rowversions(db, |all| all.last)
    }

    /// Returns the lowest rowversion of the transactions that are open in a database, or the one that comes next when
    /// there is none, which is `MIN_ACTIVE_ROWVERSION()`
    /// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/min-active-rowversion-transact-sql>).
    pub fn min_active_rowversion(&self, db: &str) -> u64 {
        self.rowversions(db, |all| {
            let lowest = all.open.values().min().copied();
            lowest.unwrap_or_else(|| all.last.wrapping_add(1))
        })
    }

    /// Sets the last used rowversion of a database.
    pub fn set_rowversion(&self, db: &str, last: u64) {
        self.rowversions(db, |all| all.last = last);
    }

    /// Returns the counters as they are now. The caller must hold the lock of [`Engine::writing`].
    pub fn counters(&self) -> Counters {
        let all = locked(&self.rowversions);
        Counters {
            rowversions: all.iter().map(|(db, all)| (db.clone(), all.last)).collect(),
            identities: locked(&self.identities).clone(),
        }
    }

    /// Sets the counters back.
    pub fn restore(&self, counters: Counters) {
        for (db, last) in counters.rowversions {
            self.set_rowversion(&db, last);
        }
        *locked(&self.identities) = counters.identities;
    }

    /// Takes the lock for writing to the storage. Its holder must not wait for anything.
    pub fn writing(&self) -> MutexGuard<'_, ()> {
        locked(&self.writing)
    }

    /// Takes the next number of a logged change.
    pub fn next_change(&self) -> i64 {
        self.changes.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Takes the number of a new commit. The committer must hold the lock of [`Engine::writing`].
    pub fn next_commit(&self) -> i64 {
        let mut history = locked(&self.history);
        history.last += 1;
        history.last
    }

    /// Fixes what a SNAPSHOT transaction sees: everything that is committed until now. The caller must hold the lock of
    /// [`Engine::writing`], so that no commit has its number and is not visible yet.
    pub fn begin_snapshot(&self, tx: u64) -> i64 {
        let mut history = locked(&self.history);
        let last = history.last;
        history.snapshots.insert(tx, last);
        last
    }

    /// Ends a SNAPSHOT transaction's view.
    pub fn end_snapshot(&self, tx: u64) {
        locked(&self.history).snapshots.remove(&tx);
    }

    /// Returns the last commit whose versions nobody needs, which is what the oldest snapshot sees, or `None` when
    /// there is no snapshot.
    pub fn horizon(&self) -> Option<i64> {
        locked(&self.history).snapshots.values().min().copied()
    }

    /// Notes that a commit defined a table anew.
    pub fn note_definition(&self, table: i64, commit: i64) {
        locked(&self.history).defined.insert(table, commit);
    }

    /// Returns the commit that last defined a table anew, or 0 if none did since the start.
    pub fn defined(&self, table: i64) -> i64 {
        locked(&self.history).defined.get(&table).copied().unwrap_or(0)
    }

    /// Raises the highest row number of a table to what it has now, and returns it. Numbers are not used again while
    /// versions of a row are kept.
    pub fn highest_row(&self, table: i64, now: i64) -> i64 {
        let mut history = locked(&self.history);
        let highest = history.rows.entry(table).or_insert(now);
        *highest = now.max(*highest);
        *highest
    }

    /// Ends a transaction for everyone who waits for it or depends on it.
    pub fn end_transaction(&self, tx: u64) {
        for all in locked(&self.rowversions).values_mut() {
            all.open.remove(&tx);
        }
        self.end_snapshot(tx);
        self.locks.end(tx);
    }

    /// Takes the next identity value of a table. As in the server, a rollback does not give it back.
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
}
