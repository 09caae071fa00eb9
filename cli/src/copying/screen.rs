//! Showing how far a run is: by lines that change on a terminal, and by lines with the time elsewhere.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use console::Term;
use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};
use tidemark::model::names::ObjectName;

use super::board::{Board, Phase, TableState};
use crate::terminal::{Terminal, bytes, count, duration, short, shortened};

/// How often the lines on a terminal are drawn.
const DRAW_EVERY: Duration = Duration::from_millis(200);
/// How often a line reports how far a table is where there is no terminal.
const SAY_EVERY: Duration = Duration::from_secs(10);
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
            lines.show(&self.drawn(step, &tables));
        }
    }

    async fn say(&self) {
        let mut ticks = tokio::time::interval(DRAW_EVERY);
        let (mut said_at, mut said_step) = (Instant::now(), "");
        let mut settling: Vec<ObjectName> = Vec::new();
        loop {
            ticks.tick().await;
            let (step, tables) = self.board.seen();
            if step != said_step {
                let tables = count(self.all as u64, "table");
                self.terminal.progress(&format!("{step}: {tables}."));
                said_step = step;
            }
            self.tell_news();
            for (table, state) in &tables {
                if let Phase::Settling(until) = state.phase
                    && !settling.contains(table)
                {
                    let seconds = seconds_until(until);
                    self.terminal
                        .progress(&format!("{table}: waits {seconds} s for open transactions to commit."));
                    settling.push(table.clone());
                }
            }
            if said_at.elapsed() >= SAY_EVERY {
                for (table, state) in tables.iter().filter(|(_, state)| matches!(state.phase, Phase::Copying)) {
                    self.terminal.progress(&format!("{table}: {}", said(state)));
                }
                said_at = Instant::now();
            }
        }
    }

    /// Returns the lines to draw: one for each table that is at work, and one for all.
    fn drawn(&self, step: &str, tables: &BTreeMap<ObjectName, TableState>) -> Vec<String> {
        let is_done = |state: &&TableState| matches!(state.phase, Phase::Committed | Phase::Left | Phase::Failed);
        let done = tables.values().filter(is_done).count();
        let rows: u64 = tables.values().map(|state| state.rows).sum();
        let failed = match self.board.failures().len() {
            0 => String::new(),
            failed => format!(", {failed} failed"),
        };
        let elapsed = duration(self.began.elapsed().as_secs());
        let mut lines = Vec::new();
        let width = tables
            .keys()
            .map(|table| table.to_string().chars().count())
            .max()
            .unwrap_or(0)
            .min(32);
        let at_work: Vec<_> = tables.iter().filter(|(_, state)| !is_done(state)).collect();
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
        let windows = match tables.len() {
            0 => count(self.all as u64, "table"),
            windows => format!(
                "{done} of {} done{failed}, {}",
                count(windows as u64, "window"),
                short_rows(rows)
            ),
        };
        lines.push(format!("{step}: {windows}, {elapsed}"));
        lines
    }
}

/// Returns how far a table is, in one line.
fn said(state: &TableState) -> String {
    if let Some(trouble) = &state.trouble {
        return trouble.clone();
    }
    let (done, all) = state.slices;
    match state.phase {
        Phase::Settling(until) => {
            format!("waits {} for open transactions", duration(seconds_until(until)))
        }
        Phase::Copying => {
            let slice = (done + 1).min(all);
            let left = state
                .seconds_left()
                .map(|left| format!("  {} left", duration(left)))
                .unwrap_or_default();
            format!(
                "slice {slice}/{all}  {}  {}/s  {}{left}",
                short_rows(state.rows),
                short(state.rate()),
                bytes(state.bytes)
            )
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
            bar.set_message(line.clone());
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
