//! The board, which says how far every table of a run is. The work writes it, and the screen reads it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tidemark::model::names::ObjectName;
use tidemark::steps::tables::FailedTable;

use crate::failure::without_table;
use crate::terminal::count;

/// How long a trouble that was shown is not shown again.
const SILENCE: Duration = Duration::from_secs(60);

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
    /// Why it is tried again, and when.
    pub(crate) trouble: Option<String>,
}

impl TableState {
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
    step: &'static str,
    tables: BTreeMap<ObjectName, TableState>,
    /// Lines that are not shown yet.
    news: Vec<String>,
    /// Trouble that is not shown yet: its cause and what happens next, and the tables that have it.
    troubles: BTreeMap<(String, String), BTreeSet<ObjectName>>,
    /// When each trouble was shown.
    shown: BTreeMap<(String, String), Instant>,
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
    pub(crate) fn step(&self, step: &'static str) {
        self.state().step = step;
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
            trouble: None,
        };
        self.state().tables.insert(table.clone(), state);
    }

    /// Notes where a table stands now.
    pub(crate) fn phase(&self, table: &ObjectName, phase: Phase) {
        self.change(table, |state| {
            match phase {
                Phase::Copying => state.began = Instant::now(),
                Phase::Committing => state.took = state.began.elapsed(),
                _ => {}
            }
            state.phase = phase;
            state.trouble = None;
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
            state.trouble = None;
        });
    }

    /// Adds so many slices to those of a table.
    pub(crate) fn more_slices(&self, table: &ObjectName, slices: usize) {
        self.change(table, |state| state.slices.1 += slices);
    }

    /// Notes that a table has trouble that may pass, and what happens next.
    pub(crate) fn trouble(&self, table: &ObjectName, why: &str, next: &str) {
        self.change(table, |state| state.trouble = Some(next.to_owned()));
        let trouble = (without_table(table, why), next.to_owned());
        self.state().troubles.entry(trouble).or_default().insert(table.clone());
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
        state.failed.push(failed);
    }

    /// Returns the step that all tables are at, and the tables.
    pub(crate) fn seen(&self) -> (&'static str, BTreeMap<ObjectName, TableState>) {
        let state = self.state();
        (state.step, state.tables.clone())
    }

    /// Returns how long the copy of a table took.
    pub(crate) fn took(&self, table: &ObjectName) -> Duration {
        self.state()
            .tables
            .get(table)
            .map_or(Duration::ZERO, |state| state.took)
    }

    /// Returns the lines that were added since the last call. A trouble that many slices and tables have is one line, and
    /// is no line again so soon.
    pub(crate) fn news(&self) -> Vec<String> {
        let mut state = self.state();
        let mut news = std::mem::take(&mut state.news);
        for (trouble, tables) in std::mem::take(&mut state.troubles) {
            let is_shown = |at: &Instant| at.elapsed() < SILENCE;
            if state.shown.get(&trouble).is_some_and(is_shown) {
                continue;
            }
            let (why, next) = &trouble;
            let who = match (tables.first(), tables.len()) {
                (Some(table), 1) => table.to_string(),
                (_, several) => count(several as u64, "table"),
            };
            news.push(format!("{who}: {why}. {next}"));
            state.shown.insert(trouble, Instant::now());
        }
        news
    }

    /// Returns the tables that failed so far.
    pub(crate) fn failures(&self) -> Vec<FailedTable> {
        self.state().failed.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trouble_that_many_have_is_told_once() {
        let board = Board::default();
        let tables: [ObjectName; 2] = ["dbo.a", "dbo.b"].map(|name| name.parse().unwrap());
        for table in tables.iter().cycle().take(8) {
            board.trouble(table, "the server ended the connection", "Attempt 1 of 6 failed.");
        }
        board.trouble(&tables[0], "dbo.a is locked", "Attempt 1 of 6 failed.");
        let told = [
            "2 tables: the server ended the connection. Attempt 1 of 6 failed.",
            "dbo.a: the table is locked. Attempt 1 of 6 failed.",
        ];
        let mut news = board.news();
        news.sort();
        assert_eq!(news, told);
        board.trouble(&tables[0], "the server ended the connection", "Attempt 1 of 6 failed.");
        assert_eq!(board.news(), [""; 0]);
        board.trouble(&tables[0], "the server ended the connection", "Attempt 2 of 6 failed.");
        assert_eq!(board.news().len(), 1);
    }
}
