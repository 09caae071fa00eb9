//! The board, which says how far every table of a run is. The work writes it, and the screen reads it.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidemark::error::Error;
use tidemark::model::names::ObjectName;
use tidemark::steps::context::{Progress, RunContext};
use tidemark::steps::tables::FailedTable;

use crate::terminal::{Terminal, Working, count};

/// For how many tables the step that all tables are at has been done. A step reports it to a function without a place
/// of its own, so it is one number for the process, which does one run at a time.
static LOOKED_UP: AtomicUsize = AtomicUsize::new(0);

/// Returns what a lookup knows of this run.
pub(crate) fn of_lookup() -> RunContext {
    RunContext {
        progress: note,
        ..RunContext::unbounded()
    }
}

/// Shows how far the lookups of so many tables are, for a verb that is no run.
pub(crate) fn looking_up(terminal: &Terminal, tables: usize) -> Working<'_> {
    LOOKED_UP.store(0, Relaxed);
    let all = count(tables as u64, "table");
    terminal.working(move || format!("Looking up watermarks: {} of {all}", LOOKED_UP.load(Relaxed)))
}

/// Takes what a step reports while it works.
pub(super) fn note(progress: Progress) {
    if let Progress::TablesLookedUp(tables) = progress {
        LOOKED_UP.store(tables, Relaxed);
    }
}

/// How long a trouble that was shown is not shown again.
const SILENCE: Duration = Duration::from_secs(60);

/// An attempt that failed, and is followed by another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Failed {
    /// The number of the attempt, counted from 1.
    pub(super) attempt: u32,
    /// The number of attempts in all.
    pub(super) most: u32,
    /// The wait before the next one.
    pub(super) wait: Duration,
}

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempt, most, wait } = self;
        write!(
            f,
            "Attempt {attempt} of {most} failed; the next is in {} s.",
            wait.as_secs()
        )
    }
}

/// Where a table stands.
#[derive(Debug, Clone)]
pub(crate) enum Phase {
    /// Its window is frozen. Open transactions have until this moment to commit.
    Settling(Instant),
    /// Its slices are being copied.
    Copying,
    /// Its window is being committed.
    Committing,
    /// Its window is committed.
    Committed,
    /// It is left to another run, or it is paused, or the run's budget is spent.
    Left,
    /// It failed.
    Failed,
}

/// How far a table is.
#[derive(Debug, Clone)]
pub(crate) struct TableState {
    /// Where the table stands.
    pub(crate) phase: Phase,
    /// How many slices are copied, and how many there are in all.
    pub(crate) slices: (usize, usize),
    /// The number of rows read so far.
    pub(crate) rows: u64,
    /// The number of rows of the window, where that is known.
    pub(crate) rows_expected: Option<u64>,
    /// The number of bytes uploaded so far.
    pub(crate) bytes: u64,
    /// When its copy began.
    pub(crate) began: Instant,
    /// How many of its slices are being copied now. The others wait for their turns.
    pub(crate) turns: usize,
    /// When rows or bytes of it were counted last, or a slice was begun.
    pub(crate) heard: Instant,
    /// How long the copy took.
    pub(crate) took: Duration,
    /// How many of its slices that have a turn wait for another attempt.
    pub(crate) waiting: usize,
    /// The attempt that is waited for, of the slice that had trouble last.
    pub(crate) trouble: Option<Trouble>,
}

/// Another attempt that is waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Trouble {
    /// The number of the attempt.
    pub(crate) attempt: u32,
    /// The number of attempts in all.
    pub(crate) most: u32,
    /// When it is made.
    pub(crate) next: Instant,
}

impl TableState {
    /// Returns the attempt that is waited for, if nothing else is done for the table meanwhile.
    pub(crate) fn awaited(&self) -> Option<Trouble> {
        let is_still = |trouble: &Trouble| trouble.next > Instant::now() && self.waiting >= self.turns;
        self.trouble.filter(is_still)
    }

    /// Returns the rows that are read in a second.
    #[expect(clippy::cast_precision_loss, reason = "it is shown with three digits")]
    pub(crate) fn rate(&self) -> f64 {
        self.rows as f64 / self.began.elapsed().as_secs_f64().max(0.001)
    }

    /// Returns the estimated seconds that are left, by the rows or, where their number is not known, by the slices.
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "it is an estimate, and a large one is cut off"
    )]
    pub(crate) fn seconds_left(&self) -> Option<u64> {
        let elapsed = self.began.elapsed().as_secs_f64();
        let done = match (self.rows_expected, self.slices) {
            (Some(expected), _) if expected > 0 => self.rows as f64 / expected as f64,
            (_, (done, all)) if all > 1 => done as f64 / all as f64,
            _ => return None,
        };
        (done > 0.0 && elapsed > 0.5).then(|| (elapsed * (1.0 / done.min(1.0) - 1.0)).ceil() as u64)
    }
}

/// The tables of a run.
#[derive(Debug, Default)]
pub(crate) struct Board {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    step: Cow<'static, str>,
    tables: BTreeMap<ObjectName, TableState>,
    /// Lines that are not shown yet.
    news: Vec<String>,
    /// Trouble that is not shown yet: by its cause, what happens next, and the tables that have it.
    troubles: BTreeMap<String, (String, BTreeSet<ObjectName>)>,
    /// When the trouble with each cause was shown.
    shown: BTreeMap<String, Instant>,
    /// Why tables failed, where that is not shown yet.
    failures: BTreeMap<String, BTreeSet<ObjectName>>,
    /// The tables that wait for open transactions and of which that is not shown yet, by the seconds that they wait.
    settling: BTreeMap<u64, BTreeSet<ObjectName>>,
    failed: Vec<FailedTable>,
}

impl Board {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, table: &ObjectName, change: impl FnOnce(&mut TableState)) {
        if let Some(table) = self.state().tables.get_mut(table) {
            change(table);
        }
    }

    /// Sets the step that all tables together are at.
    pub(crate) fn step(&self, step: impl Into<Cow<'static, str>>) {
        LOOKED_UP.store(0, Relaxed);
        self.state().step = step.into();
    }

    /// Returns for how many tables the step has been done.
    pub(crate) fn looked_up(&self) -> usize {
        LOOKED_UP.load(Relaxed)
    }

    /// Adds a table with so many slices to copy.
    pub(crate) fn enter(&self, table: &ObjectName, slices: usize) {
        let state = TableState {
            phase: Phase::Copying,
            slices: (0, slices),
            rows: 0,
            rows_expected: None,
            bytes: 0,
            began: Instant::now(),
            turns: 0,
            heard: Instant::now(),
            took: Duration::ZERO,
            waiting: 0,
            trouble: None,
        };
        self.state().tables.insert(table.clone(), state);
    }

    /// Notes where a table stands now.
    pub(crate) fn phase(&self, table: &ObjectName, phase: Phase) {
        if let Phase::Settling(until) = phase {
            let seconds = until.saturating_duration_since(Instant::now()).as_secs_f64().ceil() as u64;
            self.state().settling.entry(seconds).or_default().insert(table.clone());
        }
        self.change(table, |state| {
            match phase {
                Phase::Copying => state.began = Instant::now(),
                Phase::Committing => state.took = state.began.elapsed(),
                _ => {}
            }
            state.phase = phase;
            (state.trouble, state.waiting) = (None, 0);
            state.turns = 0;
        });
    }

    /// Notes that a slice of a table has its turn.
    pub(crate) fn begin_turn(&self, table: &ObjectName) {
        self.change(table, |state| {
            state.turns += 1;
            state.heard = Instant::now();
        });
    }

    /// Notes that the turn of a slice is over.
    pub(crate) fn end_turn(&self, table: &ObjectName) {
        self.change(table, |state| state.turns = state.turns.saturating_sub(1));
    }

    /// Notes how many rows the window has.
    pub(crate) fn expects(&self, table: &ObjectName, rows: u64) {
        self.change(table, |state| state.rows_expected = Some(rows));
    }

    /// Adds so many rows and bytes. They are negative when an attempt at a slice is given up.
    pub(crate) fn count(&self, table: &ObjectName, rows: i64, bytes: i64) {
        self.change(table, |state| {
            state.rows = state.rows.saturating_add_signed(rows);
            state.bytes = state.bytes.saturating_add_signed(bytes);
            state.heard = Instant::now();
        });
    }

    /// Notes that a slice is copied.
    pub(crate) fn slice_done(&self, table: &ObjectName) {
        self.change(table, |state| {
            state.slices.0 += 1;
        });
    }

    /// Adds so many slices to those of a table.
    pub(crate) fn more_slices(&self, table: &ObjectName, slices: usize) {
        self.change(table, |state| state.slices.1 += slices);
    }

    /// Notes that a table has trouble that may pass, and waits for another attempt.
    pub(super) fn trouble(&self, table: &ObjectName, error: &Error, failed: Failed) {
        self.change(table, |state| {
            state.waiting += 1;
            state.trouble = Some(Trouble {
                attempt: failed.attempt + 1,
                most: failed.most,
                next: Instant::now() + failed.wait,
            });
        });
        let mut state = self.state();
        let why = error.told_of_any();
        let why = match error.advice() {
            Some(advice) => format!("{why}. {advice}"),
            None => format!("{why}."),
        };
        let news = state.troubles.entry(why).or_default();
        news.0 = failed.to_string();
        news.1.insert(table.clone());
    }

    /// Notes that the attempt that a table waited for is made.
    pub(super) fn try_again(&self, table: &ObjectName) {
        self.change(table, |state| {
            state.waiting = state.waiting.saturating_sub(1);
            state.trouble = None;
            state.heard = Instant::now();
        });
    }

    /// Adds a line that is to be shown once.
    pub(crate) fn tell(&self, line: String) {
        self.state().news.push(line);
    }

    /// Notes that a table failed.
    pub(crate) fn failed(&self, failed: FailedTable) {
        let mut state = self.state();
        if let Some(table) = state.tables.get_mut(&failed.table) {
            table.phase = Phase::Failed;
        }
        let why = failed.shared_cause().to_owned();
        state.failures.entry(why).or_default().insert(failed.table.clone());
        state.failed.push(failed);
    }

    /// Returns the step that all tables are at, and the tables.
    pub(crate) fn seen(&self) -> (Cow<'static, str>, BTreeMap<ObjectName, TableState>) {
        let state = self.state();
        (state.step.clone(), state.tables.clone())
    }

    /// Returns how long the copy of a table took.
    pub(crate) fn took(&self, table: &ObjectName) -> Duration {
        self.state()
            .tables
            .get(table)
            .map_or(Duration::ZERO, |state| state.took)
    }

    /// Returns the lines that were added since the last call. What many slices and tables have in common is one line, and a
    /// trouble is no line again so soon.
    pub(crate) fn news(&self) -> Vec<String> {
        let mut state = self.state();
        let mut news = std::mem::take(&mut state.news);
        for (seconds, tables) in std::mem::take(&mut state.settling) {
            let (who, wait) = of_all(&tables, ["waits", "wait"]);
            let separator = if tables.len() == 1 { ":" } else { "" };
            news.push(format!(
                "{who}{separator} {wait} {seconds} s for open transactions to commit."
            ));
        }
        for (why, (next, tables)) in std::mem::take(&mut state.troubles) {
            let is_shown = |at: &Instant| at.elapsed() < SILENCE;
            if state.shown.get(&why).is_some_and(is_shown) {
                continue;
            }
            news.push(format!("{}: {why} {next}", of_all(&tables, ["", ""]).0));
            state.shown.insert(why, Instant::now());
        }
        for (why, tables) in std::mem::take(&mut state.failures) {
            let (who, failed) = of_all(&tables, ["failed", "failed"]);
            news.push(format!("{who} {failed}: {}.", first_sentence(&why)));
        }
        news
    }

    /// Returns the tables that failed so far.
    pub(crate) fn failures(&self) -> Vec<FailedTable> {
        self.state().failed.clone()
    }
}

/// Returns who a line is about, and the form of its verb for one or for several.
fn of_all<'a>(tables: &BTreeSet<ObjectName>, [one, several]: [&'a str; 2]) -> (String, &'a str) {
    match (tables.first(), tables.len()) {
        (Some(table), 1) => (table.to_string(), one),
        (_, many) => (count(many as u64, "table"), several),
    }
}

/// Returns what a cause begins with. The report of the run has all of it.
fn first_sentence(cause: &str) -> &str {
    let end = cause.find(". ").unwrap_or(cause.len());
    cause.get(..end).unwrap_or(cause).trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use tidemark::error::ErrorCode;

    use super::*;

    fn failed(attempt: u32, wait: u64) -> Failed {
        Failed {
            attempt,
            most: 6,
            wait: Duration::from_secs(wait),
        }
    }

    fn unavailable(why: &str) -> Error {
        Error::new(ErrorCode::SourceUnavailable, why)
    }

    fn two_tables() -> [ObjectName; 2] {
        ["dbo.a", "dbo.b"].map(|name| name.parse().unwrap())
    }

    #[test]
    fn trouble_that_many_have_is_told_once() {
        let (board, tables) = (Board::default(), two_tables());
        for table in tables.iter().cycle().take(8) {
            board.trouble(table, &unavailable("the server ended the connection"), failed(1, 5));
        }
        let say = |table: &dyn fmt::Display| format!("{table} is locked");
        let locked = Error::about(ErrorCode::SourceUnavailable, &tables[0], say).advised("Wait.");
        board.trouble(&tables[0], &locked, failed(1, 5));
        let told = [
            "2 tables: the server ended the connection. Attempt 1 of 6 failed; the next is in 5 s.",
            "dbo.a: the table is locked. Wait. Attempt 1 of 6 failed; the next is in 5 s.",
        ];
        let mut news = board.news();
        news.sort();
        assert_eq!(news, told);
        board.trouble(
            &tables[0],
            &unavailable("the server ended the connection"),
            failed(2, 10),
        );
        assert_eq!(board.news(), [""; 0]);
        board.trouble(&tables[0], &unavailable("another cause"), failed(2, 10));
        assert_eq!(board.news().len(), 1);
    }

    #[test]
    fn a_wait_and_a_failure_that_many_have_are_a_line_each() {
        let (board, tables) = (Board::default(), two_tables());
        for table in &tables {
            board.enter(table, 1);
            board.phase(table, Phase::Settling(Instant::now() + Duration::from_secs(4)));
        }
        assert_eq!(board.news(), ["2 tables wait 4 s for open transactions to commit."]);
        board.phase(&tables[0], Phase::Settling(Instant::now() + Duration::from_secs(1)));
        assert_eq!(board.news(), ["dbo.a: waits 1 s for open transactions to commit."]);
        for table in &tables {
            let say = |table: &dyn fmt::Display| format!("{table} has no column v. Put it back");
            let error = Error::about(ErrorCode::SourceRejected, table, say);
            board.failed(FailedTable::of(table.clone(), &error));
        }
        assert_eq!(board.news(), ["2 tables failed: the table has no column v."]);
    }

    #[test]
    fn another_attempt_is_awaited_only_while_nothing_else_is_done() {
        let (board, [table, _]) = (Board::default(), two_tables());
        board.enter(&table, 2);
        let awaited = || board.seen().1[&table].awaited();
        board.begin_turn(&table);
        board.begin_turn(&table);
        board.trouble(&table, &unavailable("no"), failed(2, 10));
        assert!(awaited().is_none(), "the other slice is copied");
        board.trouble(&table, &unavailable("no"), failed(2, 10));
        assert_eq!(awaited().map(|trouble| (trouble.attempt, trouble.most)), Some((3, 6)));
        board.try_again(&table);
        assert!(awaited().is_none());
        board.end_turn(&table);
        board.trouble(&table, &unavailable("no"), failed(2, 0));
        assert!(awaited().is_none(), "the wait is over");
    }
}
