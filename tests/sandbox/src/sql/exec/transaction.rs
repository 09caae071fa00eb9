//! Transactions. SQLite's begins at the first write (or first read under SNAPSHOT), so that until then every statement
//! sees what is committed, as under READ COMMITTED SNAPSHOT.

use std::time::{Duration, Instant};

use super::{Session, Sink, Transition};
use crate::error::{SqlError, SqlResult};

/// A request of the transaction manager, as drivers send instead of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Begin, with an isolation level: 0 for no change, 5 for SNAPSHOT.
    Begin(u8),
    /// Commit; true to begin another one at once.
    Commit(bool),
    /// Roll back, to a savepoint if named; true to begin another one at once.
    Rollback(Option<String>, bool),
    /// Set a savepoint.
    Save(String),
}

impl Session {
    /// Does what a driver asks of the transaction manager. Errors go to the sink.
    pub fn manage(&mut self, request: Manager, sink: &mut dyn Sink) {
        let result = match request {
            Manager::Begin(level) => {
                if level != 0 {
                    self.options.snapshot = level == 5;
                    self.options.keeps_locks = matches!(level, 3 | 4);
                }
                self.begin(sink);
                Ok(())
            }
            Manager::Commit(again) => self.commit(sink).map(|()| {
                if again {
                    self.begin(sink);
                }
            }),
            Manager::Rollback(name, again) => self.rollback(name.as_deref(), sink).map(|()| {
                if again {
                    self.begin(sink);
                }
            }),
            Manager::Save(name) => self.save(&name, sink),
        };
        if let Err(e) = result {
            self.report(&e.at(1), sink);
        }
    }

    /// `BEGIN TRAN`
    pub(super) fn begin(&mut self, sink: &mut dyn Sink) {
        self.trancount += 1;
        if self.trancount == 1 {
            self.descriptor = u64::from(self.spid) << 32 | (self.descriptor.wrapping_add(1) & 0xFFFF_FFFF).max(1);
            sink.transaction(Transition::Begun(self.descriptor));
        }
    }

    /// `COMMIT`
    pub(super) fn commit(&mut self, sink: &mut dyn Sink) -> SqlResult<()> {
        if self.trancount == 0 {
            return Err(SqlError::new(
                3902,
                "The COMMIT TRANSACTION request has no corresponding BEGIN TRANSACTION.",
            ));
        }
        if self.doomed {
            return Err(doomed());
        }
        if self.trancount == 1 {
            if self.open {
                self.conn().execute_batch("COMMIT")?;
                self.open = false;
            }
            sink.transaction(Transition::Committed(self.descriptor));
        }
        self.trancount -= 1;
        Ok(())
    }

    /// `ROLLBACK`, to a savepoint if named.
    pub(super) fn rollback(&mut self, savepoint: Option<&str>, sink: &mut dyn Sink) -> SqlResult<()> {
        if self.trancount == 0 {
            return Err(SqlError::new(
                3903,
                "The ROLLBACK TRANSACTION request has no corresponding BEGIN TRANSACTION.",
            ));
        }
        if let Some(name) = savepoint {
            let name = crate::sql::catalog::quote(&format!("save {}", name.to_lowercase()));
            if self.open && self.conn().execute_batch(&format!("ROLLBACK TO {name}")).is_ok() {
                return Ok(());
            }
        }
        self.rollback_all(sink);
        Ok(())
    }

    /// Rolls the whole transaction back.
    pub(super) fn rollback_all(&mut self, sink: &mut dyn Sink) {
        self.rollback_quietly();
        if self.trancount > 0 {
            sink.transaction(Transition::RolledBack(self.descriptor));
        }
        self.trancount = 0;
        self.doomed = false;
    }

    /// Rolls the storage back without telling anyone: the end of a session.
    pub fn rollback_quietly(&mut self) {
        if self.open {
            // A failed ROLLBACK means that SQLite has rolled back by itself.
            let _ = self.conn().execute_batch("ROLLBACK");
            self.open = false;
        }
    }

    /// `SAVE TRAN`
    pub(super) fn save(&mut self, name: &str, sink: &dyn Sink) -> SqlResult<()> {
        if self.trancount == 0 {
            return Err(SqlError::new(
                628,
                "Cannot issue SAVE TRANSACTION when there is no active transaction.",
            ));
        }
        self.open_for_writing(sink)?;
        let name = crate::sql::catalog::quote(&format!("save {}", name.to_lowercase()));
        self.conn().execute_batch(&format!("SAVEPOINT {name}"))?;
        Ok(())
    }

    /// Before a read: under SNAPSHOT the transaction's view begins here.
    pub(super) fn before_read(&mut self) -> SqlResult<()> {
        if self.options.snapshot && self.trancount > 0 && !self.open {
            self.conn().execute_batch("BEGIN")?;
            self.open = true;
        }
        Ok(())
    }

    /// Before a statement whose reads keep locks: the stand-in has one lock for all.
    pub(super) fn before_locking_read(&mut self, sink: &dyn Sink) -> SqlResult<()> {
        if self.trancount > 0 {
            self.open_for_writing(sink)
        } else {
            Ok(())
        }
    }

    /// Takes the write lock, waiting as `LOCK_TIMEOUT` says.
    fn open_for_writing(&mut self, sink: &dyn Sink) -> SqlResult<()> {
        if self.open {
            return Ok(());
        }
        let since = Instant::now();
        loop {
            match self.conn().execute_batch("BEGIN IMMEDIATE").map_err(SqlError::from) {
                Ok(()) => {
                    self.open = true;
                    return Ok(());
                }
                Err(e) if e.is_busy() => {
                    if sink.cancelled() {
                        return Err(SqlError::new(0, "The request was cancelled."));
                    }
                    let limit = u64::try_from(self.options.lock_timeout).ok().map(Duration::from_millis);
                    if limit.is_some_and(|limit| since.elapsed() >= limit) {
                        return Err(e);
                    }
                }
                Err(e) => return Err(e),
            }
        }
    }

    /// Runs something that writes, all of it or nothing.
    pub(super) fn write<T>(
        &mut self,
        sink: &mut dyn Sink,
        work: impl FnOnce(&mut Session, &mut dyn Sink) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.doomed {
            return Err(doomed());
        }
        if self.options.implicit_transactions && self.trancount == 0 {
            self.begin(sink);
        }
        let snapshot = self.open && self.options.snapshot;
        self.open_for_writing(sink)?;
        let explicit = self.trancount > 0;
        if explicit {
            self.conn().execute_batch("SAVEPOINT statement")?;
        }
        let result = work(self, sink);
        match (&result, explicit) {
            (Ok(_), true) => self.conn().execute_batch("RELEASE statement")?,
            (Err(_), true) => self.conn().execute_batch("ROLLBACK TO statement; RELEASE statement")?,
            (Ok(_), false) => {
                let committed = self.conn().execute_batch("COMMIT");
                if committed.is_err() {
                    self.rollback_quietly();
                }
                self.open = false;
                committed?;
            }
            (Err(_), false) => self.rollback_quietly(),
        }
        if let Err(e) = &result
            && e.is_busy()
            && snapshot
        {
            return Err(SqlError::new(
                3960,
                "Snapshot isolation transaction aborted due to update conflict. Retry the transaction or change the isolation level for the update/delete statement.",
            )
            .state(2));
        }
        result
    }

    /// The end of a batch: a transaction that cannot be committed is rolled back.
    pub(super) fn end_of_batch(&mut self, sink: &mut dyn Sink) {
        if self.doomed && self.trancount > 0 {
            sink.error(&SqlError::new(
                3998,
                "Uncommittable transaction is detected at the end of the batch. The transaction is rolled back.",
            ));
            self.rollback_all(sink);
        }
    }
}

fn doomed() -> SqlError {
    SqlError::new(
        3930,
        "The current transaction cannot be committed and cannot support operations that write to the log file. Roll back the transaction.",
    )
}
