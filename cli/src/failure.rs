//! What goes wrong in the command: an error of the core, or all mistakes of a file.

use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tidemark::error::{Error, ErrorCode};
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

/// Why a table failed, as it is said of any table, and what is advised in particular.
type Cause<'a> = (ErrorCode, &'a str, Option<&'a str>);

/// Reports the tables that failed. A cause that several of them share is told once, with what to do about it.
pub(crate) fn tell_failed(terminal: &Terminal, failed: &[FailedTable]) {
    for ((error, cause, advice), tables) in by_cause(failed) {
        if let [table] = tables.as_slice() {
            terminal.error(&format!("{} ({error})", table.named_cause()));
        } else {
            let names: Vec<String> = tables.iter().map(|failed| failed.table.to_string()).collect();
            terminal.error(&format!("{}: {cause} ({error})", count(names.len() as u64, "table")));
            terminal.advice(&format!("The tables are {}.", names.join(", ")));
        }
        if let Some(advice) = advised(error, advice) {
            terminal.advice(&advice);
            terminal.advice(&format!("See {}.", page(error)));
        }
    }
}

/// Returns every cause with the tables that failed by it, in the order of their names.
fn by_cause(failed: &[FailedTable]) -> Vec<(Cause<'_>, Vec<&FailedTable>)> {
    let mut causes: Vec<(Cause<'_>, Vec<&FailedTable>)> = Vec::new();
    for table in sorted(failed) {
        let cause = (table.error, table.shared_cause(), table.advice.as_deref());
        match causes.iter_mut().find(|(known, _)| *known == cause) {
            Some((_, tables)) => tables.push(table),
            None => causes.push((cause, vec![table])),
        }
    }
    causes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(name: &str, error: &Error) -> FailedTable {
        FailedTable::of(name.parse().unwrap(), error)
    }

    #[test]
    fn a_cause_that_tables_share_is_one_and_any_other_name_stays_in_it() {
        let of = |name: &str| {
            let say = |table: &dyn fmt::Display| format!("{table} has no column m, and dbo.a1 has one");
            failed(name, &Error::about(ErrorCode::SourceRejected, &name, say))
        };
        let without = failed(
            "dbo.c",
            &Error::new(ErrorCode::SourceRejected, "dbo.c is in the words of a server"),
        );
        let all = [of("dbo.b"), without, of("dbo.a")];
        let causes = by_cause(&all);
        let said: Vec<(&str, usize)> = causes
            .iter()
            .map(|((_, cause, _), tables)| (*cause, tables.len()))
            .collect();
        let expected = [
            ("the table has no column m, and dbo.a1 has one", 2),
            ("dbo.c is in the words of a server", 1),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_table_is_named_once() {
        let say = |table: &dyn fmt::Display| format!("column a of {table} is gone");
        let named = failed("dbo.t", &Error::about(ErrorCode::SourceRejected, &"dbo.t", say));
        assert_eq!(named.named_cause(), "column a of dbo.t is gone");
        let other = failed("dbo.t", &Error::new(ErrorCode::SourceRejected, "dbo.t2 is gone"));
        assert_eq!(other.named_cause(), "dbo.t: dbo.t2 is gone");
    }
}
