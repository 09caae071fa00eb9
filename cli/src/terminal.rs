//! The only place that writes. Results go to standard output, and everything else to standard error.

mod layout;
mod numbers;
mod working;

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use console::{Style, Term};
use indicatif::ProgressBar;
use serde::Serialize;
use time::OffsetDateTime;

use self::layout::{INDENT, folded, laid_out, printable};
pub(crate) use self::layout::{one_line, shortened};
pub(crate) use self::numbers::{bytes, count, counted, duration, number, short};
pub(crate) use self::working::{Done, Working};
use crate::exit::ExitClass;

/// The width where there is no terminal: that of a usual terminal, which also fits a log.
const WIDTH: usize = 80;

/// The terminal, or what stands in its place, that a verb writes to.
#[derive(Debug, Clone)]
pub(crate) struct Terminal {
    /// Whether results are lines of JSON.
    json: bool,
    /// Whether somebody watches standard error.
    is_watched: bool,
    /// The columns of the terminal.
    width: usize,
    /// The styles of standard output, where results go.
    of_output: Styles,
    /// The styles of standard error.
    of_error: Styles,
    /// The line that shows how far a verb is, while there is one.
    bar: Arc<Mutex<Option<ProgressBar>>>,
    /// Why a result could not be written.
    unwritten: Arc<OnceLock<io::Error>>,
}

/// How words are marked on one of the two outputs. They are plain where that output is no terminal.
#[derive(Debug, Clone)]
struct Styles {
    bad: Style,
    good: Style,
    doubtful: Style,
    faint: Style,
}

impl Styles {
    fn new(is_coloured: bool) -> Self {
        let style = |style: Style| style.force_styling(is_coloured);
        Self {
            bad: style(Style::new().red()),
            good: style(Style::new().green()),
            doubtful: style(Style::new().yellow()),
            faint: style(Style::new().dim()),
        }
    }
}

/// The side on which the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The left, for text.
    Left,
    /// The right, for numbers.
    Right,
}

/// The mark of a line in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mark {
    /// As it should be.
    Good,
    /// Working, with something that a person should know.
    Doubtful,
    /// To be mended.
    Bad,
}

impl Mark {
    /// Returns the mark as machines read it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Doubtful => "doubtful",
            Self::Bad => "bad",
        }
    }
}

impl Terminal {
    /// Makes the terminal of this process.
    pub(crate) fn new(json: bool) -> Self {
        let error = Term::stderr();
        let width = Term::stdout().size_checked().or_else(|| error.size_checked());
        // Colours are off when `NO_COLOR` is set to anything but the empty text (https://no-color.org).
        let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
            || std::env::var_os("TERM").is_some_and(|term| term == "dumb");
        let is_watched = io::stderr().is_terminal();
        Self {
            json,
            is_watched,
            width: width.map_or(WIDTH, |(_, columns)| usize::from(columns).max(40)),
            of_output: Styles::new(io::stdout().is_terminal() && !is_plain),
            of_error: Styles::new(is_watched && !is_plain),
            bar: Arc::default(),
            unwritten: Arc::default(),
        }
    }

    /// Returns why a result could not be written to standard output, if one could not. A reader that went away early,
    /// as `head` does, wanted no more.
    pub(crate) fn unwritten(&self) -> Option<&io::Error> {
        self.unwritten.get()
    }

    /// Returns whether somebody watches standard error.
    pub(crate) const fn is_watched(&self) -> bool {
        self.is_watched
    }

    /// Returns whether results are lines of JSON.
    pub(crate) const fn is_json(&self) -> bool {
        self.json
    }

    /// Returns the columns of the terminal.
    pub(crate) const fn width(&self) -> usize {
        self.width
    }

    /// Returns whether a row of so many columns fits a line, which it always does where standard output is no terminal.
    pub(crate) fn is_wide(&self, columns: usize) -> bool {
        self.width >= columns || !io::stdout().is_terminal()
    }

    /// Returns a name in a length that leaves room for the other cells of its row. Where standard output is no terminal,
    /// a name is never shortened, because a program may read it.
    pub(crate) fn fitted(&self, name: &str, others: usize) -> String {
        if io::stdout().is_terminal() {
            shortened(name, self.width.saturating_sub(others).max(16))
        } else {
            name.to_owned()
        }
    }

    /// Writes an error.
    pub(crate) fn error(&self, text: &str) {
        let label = "error:";
        let text = self.folded(&format!("{label} {}", printable(text)), self.is_watched);
        self.say(&text.replacen(label, &self.of_error.bad.apply_to(label).to_string(), 1));
    }

    /// Writes what a person can do about the error before it.
    pub(crate) fn advice(&self, text: &str) {
        let text = self.folded(&format!("{INDENT}{}", printable(text)), self.is_watched);
        self.say(&self.of_error.faint.apply_to(text).to_string());
    }

    /// Writes what a person should know besides the result.
    pub(crate) fn note(&self, text: &str) {
        let text = self.folded(&printable(text), self.is_watched);
        self.say(&self.of_error.faint.apply_to(text).to_string());
    }

    /// Breaks a text into lines of the terminal's width. Where there is no terminal, returns the text as it is.
    fn folded(&self, text: &str, is_terminal: bool) -> String {
        if is_terminal {
            folded(text, self.width)
        } else {
            text.to_owned()
        }
    }

    /// Writes something that has happened to standard error, with the time where nobody watches.
    pub(crate) fn progress(&self, text: &str) {
        let text = printable(text);
        if self.is_watched {
            self.say(&self.folded(&text, true));
        } else {
            self.say(&format!("{} {text}", timestamp()));
        }
    }

    /// Writes a line to standard error.
    pub(crate) fn say(&self, text: &str) {
        // The write fails when whoever read it has closed it, and then nobody wants to read it.
        drop(self.beside(|| writeln!(io::stderr().lock(), "{text}")));
    }

    /// Writes something while the line that shows how far a verb is, is taken away.
    fn beside<T>(&self, write: impl FnOnce() -> T) -> T {
        match &*self.bar.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(bar) => bar.suspend(write),
            None => write(),
        }
    }

    /// Returns whether what was shown is to be done: because `yes` was given, or because a person answers so now. Where
    /// nobody can be asked, it is not done.
    pub(crate) fn is_confirmed(&self, question: &str, yes: bool) -> bool {
        if yes {
            return true;
        }
        if !self.is_watched || !io::stdin().is_terminal() {
            self.say("Nothing is changed. Give --yes to do it.");
            self.not_confirmed(false);
            return false;
        }
        // One call writes it whole, so that nothing else can come between its words.
        let question = format!("{question} [y/N] ");
        drop(io::stderr().lock().write_all(question.as_bytes()));
        let mut answer = String::new();
        let is_read = io::stdin().read_line(&mut answer).is_ok();
        let is_yes = is_read && is_yes(&answer);
        if !is_yes {
            self.say("Nothing is changed.");
            self.not_confirmed(true);
        }
        is_yes
    }

    /// Writes for machines that what was shown is not done, and whether somebody was asked.
    fn not_confirmed(&self, asked: bool) {
        let exit = ExitClass::Decision as u8;
        self.event(&serde_json::json!({"event": "not_confirmed", "asked": asked, "exit": exit}));
    }

    /// Writes a sentence of what is about to be changed. Where results are lines of JSON, whoever is asked reads it on
    /// standard error.
    pub(crate) fn proposal(&self, text: &str) {
        if self.json && self.is_watched {
            self.note(text);
        } else {
            self.sentence(text);
        }
    }

    /// Writes a line of a list with its mark. With `--json` it writes nothing.
    pub(crate) fn marked(&self, mark: Mark, text: &str) {
        let (mark, style) = match mark {
            Mark::Good => ("✓", &self.of_output.good),
            Mark::Doubtful => ("!", &self.of_output.doubtful),
            Mark::Bad => ("✗", &self.of_output.bad),
        };
        let text = self.folded(&format!("{mark} {}", printable(text)), io::stdout().is_terminal());
        self.statement(&text.replacen(mark, &style.apply_to(mark).to_string(), 1));
    }

    /// Writes a line of the result for people. With `--json` it writes nothing.
    pub(crate) fn line(&self, text: &str) {
        self.statement(&printable(text));
    }

    /// Writes a part of the result for people as it is, because an engine runs it. With `--json` it writes nothing.
    pub(crate) fn statement(&self, text: &str) {
        if !self.json {
            self.print(text);
        }
    }

    /// Writes a sentence of the result for people, in lines of the terminal's width. With `--json` it writes nothing.
    pub(crate) fn sentence(&self, text: &str) {
        self.line(&self.folded(text, io::stdout().is_terminal()));
    }

    /// Writes a line of the result for machines. Without `--json` it writes nothing.
    pub(crate) fn event(&self, event: &impl Serialize) {
        if self.json {
            self.print(&serde_json::to_string(event).unwrap_or_default());
        }
    }

    /// Writes a document as a line of the result for machines, as an event of this name. Without `--json` it writes
    /// nothing.
    pub(crate) fn named_event(&self, name: &str, document: &impl Serialize) {
        let mut event = serde_json::json!(document);
        event["event"] = name.into();
        self.event(&event);
    }

    /// Writes a document as the result, with `--json` or without.
    pub(crate) fn document(&self, document: &impl Serialize) {
        let text = if self.json {
            serde_json::to_string(document)
        } else {
            serde_json::to_string_pretty(document)
        };
        self.print(&text.unwrap_or_default());
    }

    /// Writes text as the result, as it is.
    pub(crate) fn text(&self, text: &str) {
        self.print(text.trim_end_matches('\n'));
    }

    fn print(&self, text: &str) {
        if let Err(error) = self.beside(|| writeln!(io::stdout().lock(), "{text}"))
            && error.kind() != ErrorKind::BrokenPipe
        {
            // The first reason is the one to tell.
            self.unwritten.get_or_init(|| error);
        }
    }

    /// Writes a table as the result for people, within the terminal's width.
    pub(crate) fn table(&self, columns: &[(&str, Side)], rows: Vec<Vec<String>>) {
        // A row is one line where standard output is no terminal.
        let width = if io::stdout().is_terminal() {
            self.width
        } else {
            usize::MAX
        };
        self.line(&laid_out(columns, rows, width));
    }
}

/// Returns whether an answer to a question is yes.
fn is_yes(answer: &str) -> bool {
    matches!(answer.trim().to_lowercase().as_str(), "y" | "yes")
}

/// Returns the present time as logs have it.
pub(crate) fn timestamp() -> String {
    let now = OffsetDateTime::now_utc();
    let format = time::macros::format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
    now.format(format).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_yes_is_one_in_any_case() {
        for answer in ["y", "Y\n", "Yes\n", " YES\r\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n", "yes please", "ye"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }
}
