//! Showing how far a run is: by lines that change on a terminal, and by lines with the time elsewhere.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemark::model::names::ObjectName;

use super::board::{Board, Phase, TableState, Trouble};
use crate::terminal::{Terminal, bytes, count, duration, one_line, short, shortened};

/// How often the lines on a terminal are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a line reports how far a table is where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(10);
/// How long nothing may come of a slice before that is said.
const QUIET: Duration = Duration::from_secs(10);
/// The most tables that are shown at once.
const TABLES_SHOWN: usize = 12;

/// Shows the tables of a board.
#[derive(Debug)]
pub(crate) struct Screen<'a> {
    board: &'a Board,
    terminal: &'a Terminal,
    all: usize,
    began: Instant,
}

impl<'a> Screen<'a> {
    /// Makes the screen of a run of so many tables.
    pub(crate) fn new(board: &'a Board, terminal: &'a Terminal, all: usize) -> Self {
        Self {
            board,
            terminal,
            all,
            began: Instant::now(),
        }
    }

    /// Shows the board until the future is dropped.
    pub(crate) async fn show(&self) {
        if self.terminal.is_watched() {
            self.draw().await;
        } else {
            self.say().await;
        }
    }

    /// Shows the lines that have not been shown yet.
    pub(crate) fn tell_news(&self) {
        for line in self.board.news() {
            self.terminal.progress(&line);
        }
    }

    async fn draw(&self) {
        let lines = Lines::new();
        let mut ticks = tokio::time::interval(DRAW_EVERY);
        loop {
            ticks.tick().await;
            let news = self.board.news();
            if !news.is_empty() {
                lines
                    .all
                    .suspend(|| news.iter().for_each(|line| self.terminal.progress(line)));
            }
            let (step, tables) = self.board.seen();
            lines.show(&self.drawn(&step, &tables));
        }
    }

    async fn say(&self) {
        let mut ticks = tokio::time::interval(DRAW_EVERY);
        let (mut said_at, mut said_step) = (Instant::now(), Cow::default());
        loop {
            ticks.tick().await;
            let (step, tables) = self.board.seen();
            if step != said_step {
                let tables = count(self.all as u64, "table");
                self.terminal.progress(&format!("{step}: {tables}."));
                said_step = step.clone();
            }
            self.tell_news();
            if said_at.elapsed() >= SAY_EVERY {
                for line in self.at_work(&step, &tables) {
                    self.terminal.progress(&line);
                }
                said_at = Instant::now();
            }
        }
    }

    /// Returns the lines for where there is no terminal: one for each table that has a turn, and one for all where others
    /// wait for theirs.
    fn at_work(&self, step: &str, tables: &BTreeMap<ObjectName, TableState>) -> Vec<String> {
        let copying: Vec<_> = tables
            .iter()
            .filter(|(_, state)| matches!(state.phase, Phase::Copying))
            .collect();
        let with_turn = copying.iter().filter(|(_, state)| state.turns > 0);
        let mut lines: Vec<String> = with_turn
            .take(TABLES_SHOWN)
            .map(|(table, state)| format!("{table}: {}", said(state)))
            .collect();
        if lines.len() < copying.len() || tables.is_empty() {
            lines.push(format!("{}.", self.summed(step, tables)));
        }
        lines
    }

    /// Returns how far all tables together are.
    fn summed(&self, step: &str, tables: &BTreeMap<ObjectName, TableState>) -> String {
        let done = tables.values().filter(is_done).count();
        let rows: u64 = tables.values().map(|state| state.rows).sum();
        let failed = match self.board.failures().len() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let elapsed = duration(self.began.elapsed().as_secs());
        let windows = match tables.len() {
            0 => match (self.board.looked_up(), count(self.all as u64, "table")) {
                (0, all) => all,
                (looked_up, all) => format!("{looked_up} of {all}"),
            },
            windows => format!(
                "{done} of {} done{failed}, {}",
                count(windows as u64, "window"),
                short_rows(rows)
            ),
        };
        format!("{step}: {windows}, {elapsed}")
    }

    /// Returns the lines to draw: one for each table that is at work, and one for all. Tables that wait for their turns
    /// come after the others.
    fn drawn(&self, step: &str, tables: &BTreeMap<ObjectName, TableState>) -> Vec<String> {
        let mut lines = Vec::new();
        let width = tables
            .keys()
            .map(|table| table.to_string().chars().count())
            .max()
            .unwrap_or(0)
            .min(32);
        let mut at_work: Vec<_> = tables.iter().filter(|(_, state)| !is_done(state)).collect();
        at_work.sort_by_key(|(_, state)| matches!(state.phase, Phase::Copying) && state.turns == 0);
        for (table, state) in at_work.iter().take(TABLES_SHOWN) {
            lines.push(format!(
                "{:width$}  {}",
                shortened(&table.to_string(), width),
                said(state)
            ));
        }
        if at_work.len() > TABLES_SHOWN {
            lines.push(format!("and {} more", at_work.len() - TABLES_SHOWN));
        }
        lines.push(self.summed(step, tables));
        lines
    }
}

fn is_done(state: &&TableState) -> bool {
    matches!(state.phase, Phase::Committed | Phase::Left | Phase::Failed)
}

/// Returns how far a table is, in one line.
fn said(state: &TableState) -> String {
    if let Some(Trouble { attempt, most, next }) = state.awaited() {
        return format!("attempt {attempt} of {most} in {}", duration(seconds_until(next)));
    }
    let (done, all) = state.slices;
    match state.phase {
        Phase::Settling(until) => {
            format!("waits {} for open transactions", duration(seconds_until(until)))
        }
        Phase::Copying if state.turns == 0 && all > 0 => "waits for its turn".to_owned(),
        Phase::Copying => {
            let slice = (done + 1).min(all);
            let (rows, bytes) = (short_rows(state.rows), bytes(state.bytes));
            let quiet = state.heard.elapsed();
            if quiet >= QUIET {
                let quiet = duration(quiet.as_secs());
                return format!("slice {slice}/{all}  no answer for {quiet}  {rows}  {bytes}");
            }
            let left = state
                .seconds_left()
                .map(|left| format!("  {} left", duration(left)))
                .unwrap_or_default();
            format!("slice {slice}/{all}  {rows}  {}/s  {bytes}{left}", short(state.rate()))
        }
        Phase::Committing => format!("commits {}", short_rows(state.rows)),
        Phase::Committed => "committed".to_owned(),
        Phase::Left => "left alone".to_owned(),
        Phase::Failed => "failed".to_owned(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit after the point")]
fn short_rows(rows: u64) -> String {
    let noun = if rows == 1 { "row" } else { "rows" };
    format!("{} {noun}", short(rows as f64))
}

fn seconds_until(until: Instant) -> u64 {
    until.saturating_duration_since(Instant::now()).as_secs_f64().ceil() as u64
}

/// Lines on the terminal that are drawn again and again.
struct Lines {
    all: MultiProgress,
    bars: std::cell::RefCell<Vec<ProgressBar>>,
    style: ProgressStyle,
}

impl Lines {
    fn new() -> Self {
        let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_bar());
        Self {
            all: MultiProgress::with_draw_target(ProgressDrawTarget::term(Term::stderr(), 10)),
            bars: std::cell::RefCell::default(),
            style,
        }
    }

    fn show(&self, lines: &[String]) {
        let mut bars = self.bars.borrow_mut();
        while bars.len() > lines.len() {
            if let Some(bar) = bars.pop() {
                bar.finish_and_clear();
                self.all.remove(&bar);
            }
        }
        while bars.len() < lines.len() {
            let bar = self.all.add(ProgressBar::new_spinner());
            bar.set_style(self.style.clone());
            bars.push(bar);
        }
        for (bar, line) in bars.iter().zip(lines) {
            bar.set_message(one_line(line).into_owned());
            bar.tick();
        }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        for bar in self.bars.get_mut().drain(..) {
            bar.finish_and_clear();
        }
        drop(self.all.clear());
    }
}

#[cfg(test)]
mod tests {
    use tidemark::steps::context::Progress;

    use super::super::board;
    use super::*;

    #[test]
    fn only_tables_with_a_turn_have_a_line_and_the_others_are_summed_up() {
        let board = Board::default();
        let tables: Vec<ObjectName> = (0..300)
            .map(|number| format!("dbo.t{number}").parse().unwrap())
            .collect();
        tables.iter().for_each(|table| board.enter(table, 1));
        board.begin_turn(&tables[7]);
        board.begin_turn(&tables[9]);
        let terminal = Terminal::new(false);
        let screen = Screen::new(&board, &terminal, tables.len());
        let (_, seen) = board.seen();
        let lines = screen.at_work("Copying", &seen);
        assert_eq!(lines.len(), 3, "{lines:?}");
        assert!(lines[0].starts_with("dbo.t7: slice 1/1"), "{lines:?}");
        assert!(lines[2].starts_with("Copying: 0 of 300 windows done"), "{lines:?}");
        // On a terminal, those with a turn come first.
        let drawn = screen.drawn("Copying", &seen);
        assert!(
            drawn[1].starts_with("dbo.t9") && drawn[2].ends_with("waits for its turn"),
            "{drawn:?}"
        );
        board.end_turn(&tables[7]);
        assert_eq!(screen.at_work("Copying", &board.seen().1).len(), 2);
    }

    #[test]
    fn a_slice_of_which_nothing_comes_says_so() {
        let board = Board::default();
        let table: ObjectName = "dbo.t".parse().unwrap();
        board.enter(&table, 1);
        board.begin_turn(&table);
        let mut state = board.seen().1.remove(&table).unwrap();
        assert!(!said(&state).contains("no answer"), "{}", said(&state));
        state.heard = Instant::now().checked_sub(Duration::from_secs(40)).unwrap();
        assert!(said(&state).contains("no answer for 40s"), "{}", said(&state));
    }

    #[test]
    fn a_slice_has_its_rate_and_the_time_that_is_left_and_a_lookup_its_tables() {
        let board = Board::default();
        let table: ObjectName = "dbo.t".parse().unwrap();
        let terminal = Terminal::new(false);
        let screen = Screen::new(&board, &terminal, 41);
        board.step("Looking up new watermarks");
        board::note(Progress::TablesLookedUp(12));
        let said_of_all = screen.summed("Looking up new watermarks", &board.seen().1);
        assert_eq!(said_of_all, "Looking up new watermarks: 12 of 41 tables, 0s");
        board.enter(&table, 4);
        board.begin_turn(&table);
        board.expects(&table, 4_000);
        board.count(&table, 1_000, 2_000_000);
        let mut state = board.seen().1.remove(&table).unwrap();
        state.began = Instant::now().checked_sub(Duration::from_secs(10)).unwrap();
        // The estimate is rounded up, and some microseconds have passed.
        assert_eq!(said(&state), "slice 1/4  1.0k rows  100/s  2.0MB  31s left");
        state.trouble = Some(Trouble {
            attempt: 3,
            most: 6,
            next: Instant::now() + Duration::from_secs(12),
        });
        state.waiting = 1;
        assert_eq!(said(&state), "attempt 3 of 6 in 12s");
    }
}
