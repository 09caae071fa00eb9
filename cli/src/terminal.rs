//! The only place that writes. Results go to standard output, and everything else to standard error.

mod working;

use std::borrow::Cow;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, ColumnConstraint, ContentArrangement, Table, Width};
use console::{Style, Term};
use indicatif::ProgressBar;
use serde::Serialize;
use tidemark::model::names::steers;
use time::OffsetDateTime;

pub(crate) use self::working::{Done, Working};
use crate::exit::ExitClass;

/// The width where there is no terminal: that of a usual terminal, which also fits a log.
const WIDTH: usize = 80;

/// The beginning of the lines that continue a text.
const INDENT: &str = "  ";

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

/// Lays a table out within so many columns, without a blank at the end of a line.
fn laid_out(columns: &[(&str, Side)], rows: Vec<Vec<String>>, width: usize) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING);
    table.set_content_arrangement(ContentArrangement::Dynamic);
    table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
    table.set_header(columns.iter().map(|(name, _)| *name));
    let shown = |row: Vec<String>| {
        row.into_iter()
            .map(|cell| one_line(&cell).into_owned())
            .collect::<Vec<_>>()
    };
    table.add_rows(rows.into_iter().map(shown));
    for (index, (_, side)) in columns.iter().enumerate() {
        if let Some(column) = table.column_mut(index) {
            column.set_padding((0, 2));
            // A heading is never broken.
            let heading = columns.get(index).map_or(0, |(name, _)| name.len() + 2);
            let least = Width::Fixed(u16::try_from(heading).unwrap_or_default());
            column.set_constraint(ColumnConstraint::LowerBoundary(least));
            if *side == Side::Right {
                column.set_cell_alignment(CellAlignment::Right);
            }
        }
    }
    let mut text = String::new();
    for line in table.lines() {
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text.truncate(text.trim_end().len());
    text
}

/// Breaks a text between words into lines of at most so many characters. All lines but the first are indented.
fn folded(text: &str, width: usize) -> String {
    let mut folded = String::new();
    let mut column = 0;
    for word in text.split_inclusive(' ') {
        let characters = word.trim_end().chars().count();
        if column > INDENT.len() && column + characters > width {
            folded.truncate(folded.trim_end().len());
            folded.push('\n');
            folded.push_str(INDENT);
            column = INDENT.len();
        }
        folded.push_str(word);
        column += word.chars().count();
    }
    folded
}

/// Returns a name in at most so many characters. A name that is too long loses its middle, because names often differ
/// at their ends.
pub(crate) fn shortened(name: &str, width: usize) -> String {
    let characters: Vec<char> = name.chars().collect();
    if characters.len() <= width || width < 5 {
        return name.to_owned();
    }
    let tail = (width - 1) / 2;
    let head = width - 1 - tail;
    let begin: String = characters.iter().take(head).collect();
    let end: String = characters.iter().skip(characters.len() - tail).collect();
    format!("{begin}…{end}")
}

/// Returns a text in which no character steers a terminal, because a name in a database may hold any character.
fn printable(text: &str) -> Cow<'_, str> {
    without(text, |c| steers(c) && !matches!(c, '\n' | '\t'))
}

/// Returns a text in which no character steers a terminal or begins another line or column.
pub(crate) fn one_line(text: &str) -> Cow<'_, str> {
    without(text, steers)
}

/// Returns a text with an escape in place of every such character.
fn without(text: &str, is_escaped: impl Fn(char) -> bool) -> Cow<'_, str> {
    if !text.contains(&is_escaped) {
        return Cow::Borrowed(text);
    }
    let shown = text.chars().map(|c| {
        if is_escaped(c) {
            c.escape_default().to_string()
        } else {
            c.to_string()
        }
    });
    Cow::Owned(shown.collect())
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

/// Returns a number with its noun: `1 row`, `2,000 rows`.
pub(crate) fn count(value: u64, what: &str) -> String {
    let plural = if value == 1 { "" } else { "s" };
    format!("{} {what}{plural}", number(value))
}

/// Returns a number with its noun and its verb, in the form for one or in that for several: `1 row has`, `2,000 rows
/// have`.
pub(crate) fn counted(value: u64, what: &str, [one, several]: [&str; 2]) -> String {
    let verb = if value == 1 { one } else { several };
    format!("{} {verb}", count(value, what))
}

/// Returns a number with commas between its thousands.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Returns a number in few characters: `950`, `12.3k`, `4.1M`.
pub(crate) fn short(value: f64) -> String {
    let units = [(1e9, "G"), (1e6, "M"), (1e3, "k")];
    let unit = units.into_iter().find(|(size, _)| value >= *size);
    unit.map_or_else(
        || format!("{value:.0}"),
        |(size, name)| format!("{:.1}{name}", value / size),
    )
}

/// Returns a number of bytes in few characters: `12.3KB`.
#[expect(clippy::cast_precision_loss, reason = "it is shown with one digit after the point")]
pub(crate) fn bytes(value: u64) -> String {
    format!("{}B", short(value as f64).replace('k', "K"))
}

/// Returns a duration in few characters: `8s`, `2m 05s`, `3h 10m`.
pub(crate) fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => format!("{}m {:02}s", seconds / 60, seconds % 60),
        _ => format!("{}h {:02}m", seconds / 3600, seconds / 60 % 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_as_people_read_them() {
        assert_eq!((number(0), number(1_234_567)), ("0".into(), "1,234,567".into()));
        assert_eq!(
            (short(950.0), short(12_345.0), short(4.1e6)),
            ("950".into(), "12.3k".into(), "4.1M".into())
        );
        assert_eq!((bytes(999), bytes(120_400_000)), ("999B".into(), "120.4MB".into()));
        let texts = [8, 125, 11_400].map(duration);
        assert_eq!(texts, ["8s", "2m 05s", "3h 10m"]);
    }

    #[test]
    fn a_text_is_broken_between_words_and_a_word_that_is_too_long_is_left_whole() {
        assert_eq!(folded("error: one two three four", 14), "error: one two\n  three four");
        let path = "/a/path/that/is/longer/than/a/line";
        assert_eq!(folded(&format!("in {path} or"), 10), format!("in\n  {path}\n  or"));
        assert_eq!(folded("  fits", 80), "  fits");
    }

    #[test]
    fn no_character_of_a_name_steers_a_terminal_or_begins_a_line() {
        let name = "a\x1b[31mb\nc\td\u{202e}e";
        let shown = r"a\u{1b}[31mb\nc\td\u{202e}e";
        assert_eq!(one_line(name), shown);
        assert_eq!(printable(name), "a\\u{1b}[31mb\nc\td\\u{202e}e");
        assert_eq!(printable("Größe 表"), "Größe 表");
        let text = laid_out(&[("table", Side::Left)], vec![vec![name.to_owned()]], 80);
        assert_eq!(text.lines().nth(1), Some(shown), "{text}");
    }

    #[test]
    fn a_yes_is_one_in_any_case() {
        for answer in ["y", "Y\n", "Yes\n", " YES\r\n"] {
            assert!(is_yes(answer), "{answer:?}");
        }
        for answer in ["", "\n", "n", "yes please", "ye"] {
            assert!(!is_yes(answer), "{answer:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_both_ends() {
        assert_eq!(shortened("dbo.orders", 20), "dbo.orders");
        assert_eq!(shortened("sales.order_lines_of_2024", 15), "sales.o…of_2024");
    }

    #[test]
    fn a_heading_is_never_broken() {
        let columns = [
            ("table", Side::Left),
            ("watermark", Side::Left),
            ("committed", Side::Right),
        ];
        let row = vec![
            "dbo.a_table_with_a_long_name".to_owned(),
            "2020-01-03T00:00:00.000".to_owned(),
            "1m 05s ago".to_owned(),
        ];
        let text = laid_out(&columns, vec![row], 40);
        let heading = text.lines().next().unwrap();
        assert!(columns.iter().all(|(name, _)| heading.contains(name)), "{text}");
    }

    #[test]
    fn a_table_fits_the_width() {
        let columns = [("table", Side::Left), ("what", Side::Left), ("rows", Side::Right)];
        let row = vec![
            "sales.a_table_with_a_name_that_is_rather_long_for_a_name".to_owned(),
            "w ".repeat(60),
            "1".into(),
        ];
        for width in [80, 200] {
            let text = laid_out(&columns, vec![row.clone(), row.clone()], width);
            let widest = text.lines().map(|line| line.chars().count()).max();
            assert!(widest.is_some_and(|widest| widest <= width), "{text}");
        }
    }
}
