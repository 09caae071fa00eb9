//! Transactions. Each statement is a short transaction of SQLite. What a longer one has changed is in the log of row
//! versions, so that others can go on. A transaction that changes definitions is one of SQLite from then on, and the
//! only one that writes.

use std::sync::Arc;
use std::sync::MutexGuard;
use std::sync::atomic::Ordering::Relaxed;

use super::{Session, TakeResults, Transition, tracking, versions};
use crate::engine::Engine;
use crate::error::{SqlError, SqlResult};
use crate::locks::{Mode, Wanted};
use crate::sql::ast::Name;
use crate::sql::catalog::{Place, quote};

/// A request of the transaction manager, which drivers send instead of statements.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Manager {
    /// Begins, with an isolation level: 0 for no change, 5 for SNAPSHOT.
    Begin(u8),
    /// Commits. With `true`, another one begins at once.
    Commit(bool),
    /// Rolls back, to a savepoint if named. With `true`, another one begins at once.
    Rollback(Option<String>, bool),
    /// Sets a savepoint.
    Save(String),
}

/// A savepoint: one of SQLite once definitions have changed, and a place in the log of changes before.
#[derive(Debug)]
pub(super) struct Savepoint {
    name: String,
    mark: i64,
    held: bool,
}

impl Session {
    /// Does what a driver asks of the transaction manager. Errors go to the results.
    pub fn manage(&mut self, request: Manager, results: &mut dyn TakeResults) {
        // Whether a transaction begins.
        let result = match request {
            Manager::Begin(level) => {
                if level != 0 {
                    self.options.snapshot = level == 5;
                    self.options.keeps_locks = matches!(level, 3 | 4);
                    self.options.dirty = level == 1;
                }
                Ok(true)
            }
            Manager::Commit(again) => self.commit(results).map(|()| again),
            Manager::Rollback(name, again) => self.rollback(name.as_deref(), results).map(|()| again),
            Manager::Save(name) => self.save(&name).map(|()| false),
        };
        match result {
            Ok(true) => self.begin(results),
            Ok(false) => {}
            Err(e) => {
                self.report(&e.at(1), false, results);
            }
        }
    }

    /// Runs `BEGIN TRAN`.
    pub(super) fn begin(&mut self, results: &mut dyn TakeResults) {
        self.trancount += 1;
        if self.trancount == 1 {
            self.began_snapshot = self.options.snapshot;
            self.descriptor = u64::from(self.spid) << 32 | (self.descriptor.wrapping_add(1) & 0xFFFF_FFFF).max(1);
            results.transaction(Transition::Begun(self.descriptor));
        }
    }

    /// Runs `COMMIT`.
    pub(super) fn commit(&mut self, results: &mut dyn TakeResults) -> SqlResult<()> {
        if self.trancount == 0 {
            return Err(SqlError::of(3902, &[]));
        }
        if self.doomed {
            return Err(doomed());
        }
        if self.trancount == 1 {
            self.commit_storage()?;
            results.transaction(Transition::Committed(self.descriptor));
        }
        self.trancount -= 1;
        Ok(())
    }

    fn commit_storage(&mut self) -> SqlResult<()> {
        if self.held || self.touched.get() {
            let engine = Arc::clone(&self.engine);
            let writing = if self.held {
                engine.writing()
            } else {
                self.begin_ending(&engine)?
            };
            let result = self.finish().and_then(|()| Ok(self.conn().execute_batch("COMMIT")?));
            if result.is_err() {
                // A failed ROLLBACK means that SQLite has rolled back by itself.
                let _ = self.conn().execute_batch("ROLLBACK");
            }
            drop(writing);
            self.held = false;
            result?;
        }
        self.end();
        Ok(())
    }

    /// Ends a transaction that commits, inside SQLite's.
    pub(super) fn finish(&self) -> SqlResult<()> {
        let defined = std::mem::take(&mut *self.defined.borrow_mut());
        let tracked = std::mem::take(&mut *self.tracked.borrow_mut());
        if !self.touched.get() && defined.is_empty() && tracked.is_empty() {
            return Ok(());
        }
        let (tx, number) = (self.tx(), self.engine.next_commit());
        for table in defined {
            self.engine.note_definition(table, number);
        }
        tracking::commit(self.conn(), tx, number, &tracked)?;
        if self.touched.get() {
            versions::commit(self.conn(), tx, number)?;
            self.engine.end_snapshot(tx);
            versions::prune(self.conn(), self.engine.horizon())?;
        }
        Ok(())
    }

    /// Runs `ROLLBACK`, to a savepoint if named.
    pub(super) fn rollback(&mut self, savepoint: Option<&str>, results: &mut dyn TakeResults) -> SqlResult<()> {
        if self.trancount == 0 {
            return Err(SqlError::of(3903, &[]));
        }
        if let Some(name) = savepoint
            && let Some(at) = self.savepoints.iter().rposition(|s| s.name.eq_ignore_ascii_case(name))
        {
            self.savepoints.truncate(at + 1);
            let Savepoint { mark, held, .. } = self.savepoints[at];
            if held {
                let sql = format!("ROLLBACK TO {}", savepoint_name(mark));
                self.conn().execute_batch(&sql)?;
                return Ok(());
            }
            self.let_go();
            return self.undo(mark);
        }
        self.rollback_all(results);
        Ok(())
    }

    /// Rolls the whole transaction back.
    pub(super) fn rollback_all(&mut self, results: &mut dyn TakeResults) {
        self.rollback_quietly();
        if self.trancount > 0 {
            results.transaction(Transition::RolledBack(self.descriptor));
        }
        self.trancount = 0;
        self.doomed = false;
    }

    /// Rolls the storage back at the end of a session, without telling anyone.
    pub fn rollback_quietly(&mut self) {
        self.let_go();
        let undone = self.undo(0);
        debug_assert_eq!(undone, Ok(()), "what the log holds was in the table, and fits in again");
        self.end();
    }

    /// Rolls back the part of a transaction that is one of SQLite.
    fn let_go(&mut self) {
        if self.held {
            // A failed ROLLBACK means that SQLite has rolled back by itself.
            let _ = self.conn().execute_batch("ROLLBACK");
            self.held = false;
            self.defined.borrow_mut().clear();
            self.engine.locks.free_definitions(self.tx());
        }
    }

    /// Undoes the logged changes after a mark.
    fn undo(&mut self, mark: i64) -> SqlResult<()> {
        if self.touched.get() {
            let engine = Arc::clone(&self.engine);
            let writing = self.begin_ending(&engine)?;
            self.local.recording.store(false, Relaxed);
            let result = versions::undo(self.conn(), self.tx(), mark);
            self.local.recording.store(true, Relaxed);
            let ended = self
                .conn()
                .execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
            drop(writing);
            result?;
            ended?;
        }
        while let Some((_, place)) = self.created.pop_if(|(at, _)| *at > mark) {
            self.drop_object("table", &vec![place.name], true)?;
        }
        Ok(())
    }

    /// Ends a transaction, for this session and for those who wait for it.
    fn end(&mut self) {
        self.savepoints.clear();
        self.created.clear();
        self.touched.set(false);
        self.tracked.borrow_mut().clear();
        self.end_locks();
        if self.snapshot.take().is_some() {
            self.prune();
        }
    }

    pub(super) fn end_locks(&self) {
        let tx = self.local.tx.swap(0, Relaxed);
        if tx != 0 {
            self.engine.end_transaction(tx);
        }
    }

    /// Forgets the versions that only this session's snapshot needed. If the storage is busy, the next commit does it.
    fn prune(&self) {
        let _writing = self.engine.writing();
        if self.conn().execute_batch("BEGIN IMMEDIATE").is_ok() {
            let result = versions::prune(self.conn(), self.engine.horizon());
            let _ = self
                .conn()
                .execute_batch(if result.is_ok() { "COMMIT" } else { "ROLLBACK" });
        }
    }

    /// Runs `SAVE TRAN`.
    pub(super) fn save(&mut self, name: &str) -> SqlResult<()> {
        if self.trancount == 0 {
            return Err(SqlError::of(628, &[]));
        }
        let mark = self.engine.next_change();
        if self.held {
            self.conn()
                .execute_batch(&format!("SAVEPOINT {}", savepoint_name(mark)))?;
        }
        self.savepoints.push(Savepoint {
            name: name.to_owned(),
            mark,
            held: self.held,
        });
        Ok(())
    }

    /// Returns the number of the session's transaction, 0 for none.
    pub(crate) fn tx(&self) -> u64 {
        self.local.tx.load(Relaxed)
    }

    /// Returns the number of the session's transaction, and begins one if there is none.
    pub(super) fn transaction(&self) -> u64 {
        if self.tx() == 0 {
            self.local.tx.store(self.engine.locks.begin(), Relaxed);
        }
        self.tx()
    }

    /// Begins a transaction of SQLite for the end of the session's.
    fn begin_ending<'e>(&self, engine: &'e Engine) -> SqlResult<MutexGuard<'e, ()>> {
        loop {
            engine.locks.turn(self.transaction());
            if let Some(writing) = self.begin_immediate(engine)? {
                return Ok(writing);
            }
        }
    }

    /// Begins a transaction of SQLite that writes. Returns `None` when a definition has begun since it was this
    /// session's turn.
    pub(super) fn begin_immediate<'e>(&self, engine: &'e Engine) -> SqlResult<Option<MutexGuard<'e, ()>>> {
        let writing = engine.writing();
        match self.conn().execute_batch("BEGIN IMMEDIATE").map_err(SqlError::from) {
            Ok(()) => Ok(Some(writing)),
            Err(e) if e.is_busy() => Ok(None),
            Err(e) => Err(e),
        }
    }

    /// Prepares a definition in a transaction: from then on the transaction is one of SQLite, and the only one that
    /// writes. It first waits for the table that is defined anew, so that its users can end.
    pub(super) fn hold(&mut self, table: Option<&Name>, results: &dyn TakeResults) -> SqlResult<()> {
        if self.trancount == 0 || self.held || self.doomed {
            return Ok(());
        }
        let engine = Arc::clone(&self.engine);
        let tx = self.transaction();
        let cancelled = || results.cancelled();
        let patience = self.patience(&cancelled);
        if let Some(table) = table.and_then(|name| self.table_named(name).ok())
            && !table.place().is_temp()
        {
            engine
                .locks
                .take(tx, Wanted::Table(table.id, Mode::Exclusive), &patience)?;
        }
        engine.locks.take(tx, Wanted::Definitions, &patience)?;
        loop {
            if let Some(_writing) = self.begin_immediate(&engine)? {
                self.held = true;
                return Ok(());
            }
        }
    }

    /// Notes a temporary table that the transaction created, so that a rollback drops it.
    pub(super) fn note_created(&mut self, place: &Place) {
        if place.is_temp() && !place.is_variable() && self.trancount > 0 && !self.held {
            self.created.push((self.engine.next_change(), place.clone()));
        }
    }

    /// Returns whether any rollback, also to the last savepoint, drops a temporary table.
    pub(super) fn goes_with_rollback(&self, name: &str) -> bool {
        let last = self.savepoints.last().map_or(0, |s| s.mark);
        self.created.iter().any(|(at, place)| *at > last && place.name == name)
    }

    /// Ends a batch: a transaction that cannot be committed is rolled back.
    pub(super) fn end_of_batch(&mut self, results: &mut dyn TakeResults) {
        if self.doomed && self.trancount > 0 {
            results.error(&SqlError::of(3998, &[]));
            self.rollback_all(results);
        }
    }
}

fn savepoint_name(mark: i64) -> String {
    quote(&format!("save {mark}"))
}

pub(super) fn doomed() -> SqlError {
    SqlError::of(3930, &[])
}
