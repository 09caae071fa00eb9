//! The locks of transactions: one per table, and one for definitions. They also know who waits for whom, and so find
//! deadlocks.
//!
//! Rows have no locks of their own: a row that an open transaction has changed is found in its log
//! (`sql/exec/versions.rs`), and whoever needs the row waits for the end of that transaction.

use std::collections::{HashMap, HashSet};
use std::sync::{Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use crate::error::{SqlError, SqlResult};

/// How a table is locked. The modes are in the order of their hints: of several hints in one statement, the last in
/// this order counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// The lock of `INSERT`, `UPDATE` and `DELETE`, which change rows.
    Change,
    /// The lock of `HOLDLOCK`, `REPEATABLE READ` and `SERIALIZABLE`: what was read stays.
    Shared,
    /// The lock of `UPDLOCK`, which is shared and taken by one transaction at a time.
    Update,
    /// The lock of `XLOCK`, `TABLOCKX` and definitions.
    Exclusive,
}

impl Mode {
    fn goes_with(self, other: Mode) -> bool {
        use Mode::*;
        matches!(
            (self, other),
            (Change, Change) | (Shared, Shared | Update) | (Update, Shared)
        )
    }

    fn covers(self, other: Mode) -> bool {
        self == other || self == Mode::Exclusive || (self, other) == (Mode::Update, Mode::Shared)
    }
}

/// What a transaction waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// A lock on a table, by its `object_id`.
    Table(i64, Mode),
    /// The end of another transaction.
    End(u64),
    /// The lock for definitions, kept until the transaction ends.
    Definitions,
    /// A moment in which no other transaction has the lock for definitions.
    Turn,
}

/// All locks of a server.
#[derive(Debug, Default)]
pub struct Locks {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    last: u64,
    live: HashSet<u64>,
    tables: HashMap<i64, Vec<(u64, Mode)>>,
    definitions: Option<u64>,
    waits: HashMap<u64, Vec<u64>>,
    victims: HashSet<u64>,
}

impl State {
    fn blockers(&self, tx: u64, wanted: Wanted) -> Vec<u64> {
        match wanted {
            Wanted::Table(id, mode) => self
                .tables
                .get(&id)
                .into_iter()
                .flatten()
                .filter(|(owner, held)| *owner != tx && !mode.goes_with(*held))
                .map(|(owner, _)| *owner)
                .collect(),
            Wanted::End(other) => self.live.get(&other).copied().into_iter().collect(),
            Wanted::Definitions | Wanted::Turn => self.definitions.into_iter().filter(|owner| *owner != tx).collect(),
        }
    }

    fn grant(&mut self, tx: u64, wanted: Wanted) {
        self.waits.remove(&tx);
        match wanted {
            Wanted::Table(id, mode) => {
                let held = self.tables.entry(id).or_default();
                if !held.contains(&(tx, mode)) {
                    held.push((tx, mode));
                }
            }
            Wanted::Definitions => self.definitions = Some(tx),
            Wanted::End(_) | Wanted::Turn => {}
        }
    }

    /// Returns whether one of these transactions waits for `tx`, directly or not.
    fn leads_to(&self, from: &[u64], tx: u64) -> bool {
        let mut seen = HashSet::new();
        let mut next: Vec<u64> = from.to_vec();
        while let Some(one) = next.pop() {
            if one == tx {
                return true;
            }
            if seen.insert(one) {
                next.extend(self.waits.get(&one).into_iter().flatten());
            }
        }
        false
    }
}

/// The session that asks for a lock, and how long it waits.
pub struct Patience<'a> {
    /// `@@SPID`, for messages.
    pub spid: u16,
    /// The time of `LOCK_TIMEOUT`, or `None` to wait for ever.
    pub limit: Option<Duration>,
    /// Whether the client has asked to stop.
    pub cancelled: &'a dyn Fn() -> bool,
}

impl Locks {
    /// Begins a new transaction, and returns its number.
    pub fn begin(&self) -> u64 {
        let mut state = locked(&self.state);
        state.last += 1;
        let tx = state.last;
        state.live.insert(tx);
        tx
    }

    /// Ends a transaction: its locks are free, and those who waited for it go on.
    pub fn end(&self, tx: u64) {
        let mut state = locked(&self.state);
        state.live.remove(&tx);
        state.victims.remove(&tx);
        state.waits.remove(&tx);
        for held in state.tables.values_mut() {
            held.retain(|(owner, _)| *owner != tx);
        }
        state.tables.retain(|_, held| !held.is_empty());
        if state.definitions == Some(tx) {
            state.definitions = None;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Gives up the lock for definitions before the transaction ends: its definitions are rolled back.
    pub fn free_definitions(&self, tx: u64) {
        let mut state = locked(&self.state);
        if state.definitions == Some(tx) {
            state.definitions = None;
        }
        drop(state);
        self.changed.notify_all();
    }

    /// Returns whether a transaction has a lock on a table that is at least as strong as the mode.
    pub fn has(&self, tx: u64, table: i64, mode: Mode) -> bool {
        locked(&self.state)
            .tables
            .get(&table)
            .is_some_and(|held| held.iter().any(|(owner, m)| *owner == tx && m.covers(mode)))
    }

    /// Takes what is wanted if nobody is in the way, and returns whether it did.
    pub fn try_take(&self, tx: u64, wanted: Wanted) -> bool {
        let mut state = locked(&self.state);
        let free = state.blockers(tx, wanted).is_empty();
        if free {
            state.grant(tx, wanted);
        }
        free
    }

    /// Takes what is wanted, and waits for those in the way.
    ///
    /// Fails with 1222 when patience ends, with 1205 when those in the way wait for this transaction, and with number 0
    /// when the client has cancelled.
    pub fn take(&self, tx: u64, wanted: Wanted, patience: &Patience<'_>) -> SqlResult<()> {
        let since = Instant::now();
        let mut state = locked(&self.state);
        loop {
            let blockers = state.blockers(tx, wanted);
            if blockers.is_empty() {
                state.grant(tx, wanted);
                return Ok(());
            }
            let refused = if state.victims.remove(&tx) || state.leads_to(&blockers, tx) {
                Some(deadlock(patience.spid))
            } else if patience.limit.is_some_and(|limit| since.elapsed() >= limit) {
                Some(SqlError::of(1222, &[]))
            } else if (patience.cancelled)() {
                Some(SqlError::cancelled())
            } else {
                None
            };
            if let Some(error) = refused {
                state.waits.remove(&tx);
                return Err(error);
            }
            state.waits.insert(tx, blockers);
            state = self.wait(state);
        }
    }

    /// Waits until no other transaction has the lock for definitions. It cannot fail, because a commit or a rollback
    /// asks. If the holder of the lock waits for this transaction, it is the victim of the deadlock.
    pub fn turn(&self, tx: u64) {
        let mut state = locked(&self.state);
        loop {
            let blockers = state.blockers(tx, Wanted::Turn);
            if blockers.is_empty() {
                return;
            }
            if state.leads_to(&blockers, tx) {
                state.victims.extend(blockers);
                self.changed.notify_all();
            }
            state = self.wait(state);
        }
    }

    fn wait<'s>(&self, state: MutexGuard<'s, State>) -> MutexGuard<'s, State> {
        // Waking up regularly lets the client cancel.
        self.changed
            .wait_timeout(state, Duration::from_millis(10))
            .map_or_else(|poisoned| poisoned.into_inner().0, |(state, _)| state)
    }
}

fn deadlock(spid: u16) -> SqlError {
    SqlError::of(1205, &[&spid])
}

/// The owner of each resource, and how many times it is taken. A lock is released after as many releases.
#[derive(Debug, Default)]
pub struct AppLocks(Mutex<HashMap<String, (u16, u32)>>);

impl AppLocks {
    /// Takes a lock, once more if the session has it. Returns `false` while another session has it.
    pub fn take(&self, resource: &str, session: u16) -> bool {
        let mut all = locked(&self.0);
        let (owner, count) = all.entry(resource.to_owned()).or_insert((session, 0));
        let taken = *owner == session;
        if taken {
            *count += 1;
        }
        taken
    }

    /// Releases a lock once. Returns `false` if the session does not have it.
    pub fn release(&self, resource: &str, session: u16) -> bool {
        let mut all = locked(&self.0);
        match all.get_mut(resource) {
            Some((owner, count)) if *owner == session => {
                *count -= 1;
                if *count == 0 {
                    all.remove(resource);
                }
                true
            }
            _ => false,
        }
    }

    /// Releases all locks of a session.
    pub fn release_all(&self, session: u16) {
        locked(&self.0).retain(|_, (owner, _)| *owner != session);
    }
}

/// Takes a mutex, also after a session has panicked with it.
pub fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patience(ms: u64) -> Patience<'static> {
        Patience {
            spid: 51,
            limit: Some(Duration::from_millis(ms)),
            cancelled: &|| false,
        }
    }

    fn number(result: SqlResult<()>) -> i32 {
        result.err().map_or(0, |e| e.number)
    }

    #[test]
    fn modes_exclude_each_other_as_documented() {
        let locks = Locks::default();
        let (a, b) = (locks.begin(), locks.begin());
        let cases = [
            (Mode::Change, Mode::Change, true),
            (Mode::Change, Mode::Shared, false),
            (Mode::Shared, Mode::Shared, true),
            (Mode::Shared, Mode::Update, true),
            (Mode::Update, Mode::Update, false),
            (Mode::Update, Mode::Change, false),
            (Mode::Exclusive, Mode::Change, false),
        ];
        for (table, (held, wanted, goes)) in (1..).zip(cases) {
            assert!(locks.try_take(a, Wanted::Table(table, held)));
            assert_eq!(
                locks.try_take(b, Wanted::Table(table, wanted)),
                goes,
                "{held:?} {wanted:?}"
            );
        }
    }

    #[test]
    fn patience_ends_and_an_end_frees() {
        let locks = Locks::default();
        let (a, b) = (locks.begin(), locks.begin());
        locks.take(a, Wanted::Table(1, Mode::Update), &patience(0)).unwrap();
        let wanted = Wanted::Table(1, Mode::Change);
        assert_eq!(number(locks.take(b, wanted, &patience(0))), 1222);
        assert_eq!(number(locks.take(b, Wanted::End(a), &patience(0))), 1222);
        locks.end(a);
        assert_eq!(number(locks.take(b, wanted, &patience(0))), 0);
        assert_eq!(number(locks.take(b, Wanted::End(a), &patience(0))), 0);
    }

    #[test]
    fn the_one_that_closes_a_circle_is_the_victim() {
        let locks = Locks::default();
        let (a, b) = (locks.begin(), locks.begin());
        locks.take(a, Wanted::Table(1, Mode::Update), &patience(0)).unwrap();
        locks.take(b, Wanted::Table(2, Mode::Update), &patience(0)).unwrap();
        std::thread::scope(|s| {
            let first = s.spawn(|| number(locks.take(a, Wanted::Table(2, Mode::Update), &patience(5000))));
            while !locked(&locks.state).waits.contains_key(&a) {
                std::thread::yield_now();
            }
            assert_eq!(
                number(locks.take(b, Wanted::Table(1, Mode::Update), &patience(5000))),
                1205
            );
            locks.end(b);
            assert_eq!(first.join().unwrap(), 0);
        });
    }
}
