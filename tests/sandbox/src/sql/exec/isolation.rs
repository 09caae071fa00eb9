//! The rows of a table that a statement sees, and its locks: READ COMMITTED, SNAPSHOT, and the levels and hints that
//! lock.

use super::Session;
use super::statement::Need;
use crate::error::{SqlError, SqlResult};
use crate::locks::{Mode, Wanted};
use crate::sql::catalog::{self, Table};

impl Session {
    /// Returns the error that makes a statement wait for a lock and then run again.
    pub(super) fn wait_for_lock(&self, wanted: Wanted) -> SqlError {
        self.need.set(Some(Need::Lock(wanted)));
        SqlError::again()
    }

    /// Takes a lock. If it must wait for it, the statement runs again.
    pub(super) fn want(&self, wanted: Wanted) -> SqlResult<()> {
        if self.engine.locks.try_take(self.transaction(), wanted) {
            Ok(())
        } else {
            Err(self.wait_for_lock(wanted))
        }
    }

    /// Locks a table. If it must wait for it, the statement runs again. Temporary tables need no lock, because only
    /// their session has them.
    pub(super) fn lock_table(&self, table: &Table, mode: Mode) -> SqlResult<()> {
        if table.place().is_temp() {
            return Ok(());
        }
        if self.options.snapshot {
            self.check_snapshot_table(table)?;
        }
        self.want(Wanted::Table(table.id, mode))
    }

    /// Locks a table whose rows the statement changes. Rows that foreign keys of this table or of others refer to must
    /// not be inserted or deleted meanwhile.
    pub(super) fn lock_for_change(&self, table: &Table) -> SqlResult<()> {
        if !table.place().is_temp() && catalog::is_read_only(self.conn(), &table.db)? {
            return Err(SqlError::of(3906, &[&table.db]));
        }
        self.lock_table(table, Mode::Change)?;
        if let Some(mode) = self.lock.get() {
            self.lock_table(table, mode)?;
        }
        Ok(())
    }

    /// Returns what a statement reads instead of a table: the table itself, or its versions as the transaction sees
    /// them. It takes the locks of reads and checks the rules of SNAPSHOT.
    ///
    /// Fails with 3951, 3952 and 3961 as SNAPSHOT has them, and with the sign to run again after a wait.
    pub(crate) fn source_of(&self, table: &Table) -> SqlResult<String> {
        let physical = table.place().physical();
        if table.place().is_temp() {
            return Ok(physical);
        }
        if self.options.snapshot {
            self.check_snapshot_table(table)?;
        } else if let Some(mode) = self.lock.get()
            && !self.engine.locks.has(self.tx(), table.id, mode)
        {
            self.want(Wanted::Table(table.id, mode))?;
            // What is read must not be older than the lock.
            return Err(SqlError::again());
        }
        let hidden = self.hidden(table.id);
        if hidden.is_empty() || self.options.dirty {
            return Ok(physical);
        }
        if !self.options.snapshot && !catalog::versioning(self.conn(), &table.db)?.read_committed {
            return Err(self.wait_for_lock(Wanted::End(hidden[0])));
        }
        Ok(self.versions_sql(table, &hidden))
    }

    fn check_snapshot_table(&self, table: &Table) -> SqlResult<()> {
        let db = &table.db;
        self.check_snapshot(db)?;
        if self
            .snapshot
            .get()
            .is_some_and(|seen| self.engine.defined(table.id) > seen)
        {
            return Err(SqlError::of(3961, &[&db]));
        }
        Ok(())
    }

    /// Checks a database before a SNAPSHOT transaction reads anything of it. The first read fixes what the transaction
    /// sees.
    pub(crate) fn check_snapshot(&self, db: &str) -> SqlResult<()> {
        if self.trancount > 0 && !self.began_snapshot {
            return Err(SqlError::of(3951, &[&db]));
        }
        if !catalog::versioning(self.conn(), db)?.snapshot {
            return Err(SqlError::of(3952, &[&db]));
        }
        if self.trancount > 0 && self.snapshot.get().is_none() {
            self.need.set(Some(Need::Snapshot));
            return Err(SqlError::again());
        }
        Ok(())
    }
}
