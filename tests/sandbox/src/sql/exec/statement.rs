//! One statement as a transaction of SQLite: a moment that it reads, or a change that is made whole or not at all. A
//! statement that needs what others hold is undone, waits, and runs again.

use std::sync::{Arc, MutexGuard};
use std::time::Duration;

use super::transaction::doomed;
use super::{Session, TakeResults, tracking};
use crate::engine::Engine;
use crate::error::SqlResult;
use crate::locks::{Patience, Wanted};

/// What a statement needs before it can run again.
#[derive(Clone, Copy, Debug)]
pub(super) enum Need {
    Lock(Wanted),
    Snapshot,
}

/// An open read of the storage, which ends with its scope.
struct Reading<'s>(&'s Session);

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        // Nothing is lost in a transaction that has only read.
        let _ = self.0.conn().execute_batch("COMMIT");
    }
}

impl Session {
    /// Waits for what a statement needs before it runs again.
    fn satisfy(&self, cancelled: &dyn Fn() -> bool) -> SqlResult<()> {
        match self.need.take() {
            Some(Need::Lock(wanted)) => self
                .engine
                .locks
                .take(self.transaction(), wanted, &self.patience(cancelled)),
            Some(Need::Snapshot) => {
                let tx = self.transaction();
                let _writing = self.engine.writing();
                self.snapshot.set(Some(self.engine.begin_snapshot(tx)));
                *self.snapshot_versions.borrow_mut() = tracking::versions(self.conn())?;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(super) fn patience<'p>(&self, cancelled: &'p dyn Fn() -> bool) -> Patience<'p> {
        Patience {
            spid: self.spid,
            limit: self.options.lock_timeout.map(Duration::from_millis),
            cancelled,
        }
    }

    fn begin_read(&self) -> SqlResult<Reading<'_>> {
        self.conn().execute_batch("BEGIN")?;
        let reading = Reading(self);
        self.look()?;
        Ok(reading)
    }

    /// Runs something that reads, all of it at one moment. It runs again when it had to wait.
    pub(super) fn read<T>(&self, mut work: impl FnMut() -> SqlResult<T>) -> SqlResult<T> {
        if self.inside.get() {
            // It is part of a statement that reads or writes.
            return work();
        }
        let result = loop {
            let reading = if self.held { None } else { Some(self.begin_read()?) };
            if self.held {
                self.look()?;
            }
            self.inside.set(true);
            let result = work();
            self.inside.set(false);
            drop(reading);
            match result {
                Err(e) if e.is_again() => {
                    if let Err(e) = self.satisfy(&|| self.attention.waiting()) {
                        break Err(e);
                    }
                }
                result => break result,
            }
        };
        self.end_statement();
        result
    }

    /// Ends a statement. One outside of any transaction has been a transaction of its own.
    fn end_statement(&self) {
        if self.trancount == 0 {
            self.snapshot.set(None);
            self.end_locks();
        }
    }

    /// Runs something that writes, all of it or nothing. It runs again when it had to wait, so it must be able to
    /// repeat what it does to the session.
    pub(super) fn write<T>(
        &mut self,
        results: &mut dyn TakeResults,
        mut work: impl FnMut(&mut Session, &mut dyn TakeResults) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.doomed {
            return Err(doomed());
        }
        if self.options.implicit_transactions && self.trancount == 0 {
            self.begin(results);
        }
        let result = loop {
            match self.attempt(results, &mut work) {
                Err(e) if e.is_again() => {
                    if let Err(e) = self.satisfy(&|| results.cancelled()) {
                        break Err(e);
                    }
                }
                result => break result,
            }
        };
        if self.trancount == 0 {
            self.touched.set(false);
            self.tracked.borrow_mut().clear();
        }
        self.end_statement();
        result
    }

    fn attempt<T>(
        &mut self,
        results: &mut dyn TakeResults,
        work: &mut impl FnMut(&mut Session, &mut dyn TakeResults) -> SqlResult<T>,
    ) -> SqlResult<T> {
        if self.held {
            self.conn().execute_batch("SAVEPOINT statement")?;
            self.inside.set(true);
            let result = self.look().and_then(|()| work(self, results));
            self.inside.set(false);
            self.conn().execute_batch(if result.is_ok() {
                "RELEASE statement"
            } else {
                "ROLLBACK TO statement; RELEASE statement"
            })?;
            return result;
        }
        let engine = Arc::clone(&self.engine);
        let _writing = self.begin_writing(&engine, &|| results.cancelled())?;
        self.inside.set(true);
        let result = self.look().and_then(|()| work(self, results));
        self.inside.set(false);
        let result = result.and_then(|out| {
            if self.trancount == 0 {
                self.finish()?;
            }
            self.conn().execute_batch("COMMIT")?;
            Ok(out)
        });
        if result.is_err() {
            // A failed ROLLBACK means that SQLite has rolled back by itself.
            let _ = self.conn().execute_batch("ROLLBACK");
            self.defined.borrow_mut().clear();
        }
        result
    }

    /// Begins a transaction of SQLite for a statement.
    fn begin_writing<'e>(&self, engine: &'e Engine, cancelled: &dyn Fn() -> bool) -> SqlResult<MutexGuard<'e, ()>> {
        loop {
            engine
                .locks
                .take(self.transaction(), Wanted::Turn, &self.patience(cancelled))?;
            if let Some(writing) = self.begin_immediate(engine)? {
                return Ok(writing);
            }
        }
    }
}
