//! What goes wrong in the command: an error of the core, or all mistakes of a file.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidemark::error::{Error, ErrorCode};
use tidemark::model::names::ObjectName;
use tidemark::steps::tables::FailedTable;

use crate::exit::{ExitClass, advice, page};
use crate::terminal::{Terminal, count};

/// A mistake in the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Mistake {
    /// The place of the mistake, for example `tables[27].tracking`.
    pub(crate) path: String,
    /// The table's name, where it has one.
    pub(crate) table: Option<String>,
    /// What was found, and what is allowed.
    pub(crate) message: String,
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        if let Some(table) = self.table.as_ref().filter(|table| !table.is_empty()) {
            write!(f, " ({table})")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// Why a verb could not do what it was asked for.
#[derive(Debug)]
pub(crate) enum Failure {
    /// An error of the core.
    Error(Error),
    /// The mistakes of the file with the tables.
    Mistakes(PathBuf, Vec<Mistake>),
}

/// The result of a verb.
pub(crate) type Outcome<T> = Result<T, Failure>;

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl Failure {
    /// Reports to machines that the arguments of the command are wrong.
    pub(crate) fn tell_usage(terminal: &Terminal, message: &str) {
        let code = ErrorCode::InvalidInput;
        terminal.event(&json!({
            "event": "error", "error": code.name(), "exit": ExitClass::of(code) as u8, "message": message,
            "advice": null, "page": page(code),
        }));
    }

    /// Reports the failure, and returns how the command ends.
    pub(crate) fn tell(&self, terminal: &Terminal) -> ExitClass {
        match self {
            Self::Error(error) => {
                let class = ExitClass::of(error.code());
                let advice = advised(error.code(), error.advice());
                terminal.error(&format!("{} ({})", error.told(), error.code()));
                if let Some(advice) = &advice {
                    terminal.advice(advice);
                    terminal.advice(&format!("See {}.", page(error.code())));
                }
                terminal.event(&json!({
                    "event": "error", "error": error.code().name(), "exit": class as u8,
                    "message": error.told(), "advice": advice, "page": page(error.code()),
                }));
                class
            }
            Self::Mistakes(path, mistakes) => {
                let path = file_name(path);
                for mistake in mistakes {
                    terminal.error(&format!("{path}: {mistake}"));
                    terminal.event(&json!({
                        "event": "mistake", "file": path, "path": mistake.path,
                        "table": mistake.table, "message": mistake.message,
                    }));
                }
                let count = mistakes.len();
                let noun = if count == 1 { "mistake" } else { "mistakes" };
                let class = ExitClass::Input;
                let message = format!("{path} has {count} {noun}");
                terminal.note(&format!("{message}. Nothing was started. {CHECKS_ALONE}"));
                let code = ErrorCode::InvalidInput;
                terminal.event(&json!({
                    "event": "error", "error": code.name(), "exit": class as u8, "message": message,
                    "advice": CHECKS_ALONE, "page": page(code),
                }));
                class
            }
        }
    }
}

/// What helps whoever corrects the file.
const CHECKS_ALONE: &str = "`tidemark tables` checks the file alone.";

/// Returns what a person can do about an error: what is known of it in particular or, without that, what can be done about
/// any with its code. A message about invalid input already says what to give instead.
fn advised(code: ErrorCode, own: Option<&str>) -> Option<String> {
    match own {
        Some(own) => Some(own.to_owned()),
        None if code == ErrorCode::InvalidInput => None,
        None => Some(advice(code).to_string()),
    }
}

/// Returns a file as messages name it, or standard input where the path is `-`.
pub(crate) fn file_name(path: &Path) -> String {
    if path == Path::new("-") {
        "standard input".to_owned()
    } else {
        path.display().to_string()
    }
}

/// Returns what happened to a table with the table's name before it, unless it begins with that name already.
pub(crate) fn of_table(table: &ObjectName, cause: &str) -> String {
    let name = table.to_string();
    match cause.strip_prefix(&name) {
        Some(rest) if rest.starts_with([' ', ':', '\'']) => cause.to_owned(),
        _ => format!("{name}: {cause}"),
    }
}

/// Returns what happened to a table without the table's name.
pub(crate) fn without_table(table: &ObjectName, cause: &str) -> String {
    let name = table.to_string();
    let goes_on =
        |rest: &str| rest.starts_with(|c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '$' | '#' | '@'));
    let mut without = String::new();
    let mut rest = cause;
    while let Some(at) = rest.find(&name) {
        let (before, found) = rest.split_at(at);
        let after = &found[name.len()..];
        // A sentence may end with the name.
        let is_name = !goes_on(after) || after.starts_with(". ") || after == ".";
        without.push_str(before);
        match (without.is_empty(), after.strip_prefix(": ")) {
            _ if !is_name => without.push_str(&name),
            (true, Some(said)) => {
                rest = said;
                continue;
            }
            _ => name_none(&mut without),
        }
        rest = after;
    }
    without + rest
}

/// Says "the table" at the end of a text in place of a table's name.
fn name_none(text: &mut String) {
    if let Some(before) = text.strip_suffix("no table ") {
        text.truncate(before.len());
        text.push_str("no such table");
    } else {
        text.truncate(text.strip_suffix("table ").map_or(text.len(), str::len));
        text.push_str("the table");
    }
}

/// Returns the line for machines about a table that failed.
pub(crate) fn failed_event(failed: &FailedTable) -> Value {
    let code = failed.error;
    json!({
        "event": "failed", "table": failed.table, "error": failed.error, "message": failed.cause,
        "advice": advised(code, failed.advice.as_deref()), "exit": ExitClass::of(code) as u8, "page": page(code),
    })
}

/// Returns the tables that failed in the order of their names.
pub(crate) fn sorted(failed: &[FailedTable]) -> Vec<&FailedTable> {
    let mut sorted: Vec<_> = failed.iter().collect();
    sorted.sort_by(|one, other| one.table.cmp(&other.table));
    sorted
}

/// Why a table failed, without its name, and what is advised in particular.
type Cause = (ErrorCode, String, Option<String>);

/// Reports the tables that failed. A cause that several of them share is told once, with what to do about it.
pub(crate) fn tell_failed(terminal: &Terminal, failed: &[FailedTable]) {
    let mut causes: Vec<(Cause, Vec<&FailedTable>)> = Vec::new();
    for table in sorted(failed) {
        let advice = table.advice.as_ref().map(|advice| without_table(&table.table, advice));
        let cause = (table.error, without_table(&table.table, &table.cause), advice);
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, tables)) => tables.push(table),
            None => causes.push((cause, vec![table])),
        }
    }
    for ((error, cause, mut advice), tables) in causes {
        if let [
            FailedTable {
                table,
                cause,
                advice: own,
                ..
            },
        ] = tables.as_slice()
        {
            advice.clone_from(own);
            terminal.error(&format!("{} ({error})", of_table(table, cause)));
        } else {
            let names: Vec<String> = tables.iter().map(|failed| failed.table.to_string()).collect();
            terminal.error(&format!("{}: {cause} ({error})", count(names.len() as u64, "table")));
            terminal.advice(&format!("The tables are {}.", names.join(", ")));
        }
        if let Some(advice) = advised(error, advice.as_deref()) {
            terminal.advice(&advice);
            terminal.advice(&format!("See {}.", page(error)));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_the_same_for_tables_that_share_it() {
        for (name, cause, said) in [
            ("dbo.a", "dbo.a has no column m", "the table has no column m"),
            ("dbo.a", "dbo.a: no login", "no login"),
            ("dbo.a", "cannot read dbo.a: no", "cannot read the table: no"),
            (
                "dbo.a",
                "dbo.a1 and dbo.a_b are not dbo.a.",
                "dbo.a1 and dbo.a_b are not the table.",
            ),
            ("dbo.a", "no login", "no login"),
            ("dbo.a", "there is no table dbo.a, or", "there is no such table, or"),
            ("dbo.a", "table dbo.a is called dbo.A", "the table is called dbo.A"),
        ] {
            let table: ObjectName = name.parse().unwrap();
            assert_eq!(without_table(&table, cause), said);
        }
    }

    #[test]
    fn a_table_is_named_once() {
        let table: ObjectName = "dbo.t".parse().unwrap();
        assert_eq!(of_table(&table, "dbo.t has no column a"), "dbo.t has no column a");
        assert_eq!(of_table(&table, "dbo.t2 is gone"), "dbo.t: dbo.t2 is gone");
        assert_eq!(of_table(&table, "it is gone"), "dbo.t: it is gone");
    }
}
