//! What goes wrong in the command: an error of the core, or all mistakes of a file.

use std::fmt;
use std::path::PathBuf;

use serde_json::json;
use tidemark::error::{Error, ErrorCode};
use tidemark::model::names::ObjectName;

use crate::exit::{ExitClass, advice};
use crate::terminal::Terminal;

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
    /// Reports the failure, and returns how the command ends.
    pub(crate) fn tell(&self, terminal: &Terminal) -> ExitClass {
        match self {
            Self::Error(error) => {
                let class = ExitClass::of(error.code());
                terminal.error(&format!("{} ({})", error.report(), error.code()));
                // A message about invalid input already says what to give instead.
                if error.code() != ErrorCode::InvalidInput {
                    terminal.note(advice(error.code()));
                }
                terminal.event(&json!({
                    "event": "error", "error": error.code().name(), "exit": class as u8,
                    "message": error.report(), "advice": advice(error.code()),
                }));
                class
            }
            Self::Mistakes(path, mistakes) => {
                let path = path.display();
                for mistake in mistakes {
                    terminal.error(&format!("{path}: {mistake}"));
                    terminal.event(&json!({
                        "event": "mistake", "file": path.to_string(), "path": mistake.path,
                        "table": mistake.table, "message": mistake.message,
                    }));
                }
                let count = mistakes.len();
                let noun = if count == 1 { "mistake" } else { "mistakes" };
                terminal.note(&format!("{path} has {count} {noun}. Nothing was started."));
                ExitClass::Input
            }
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_named_once() {
        let table: ObjectName = "dbo.t".parse().unwrap();
        assert_eq!(of_table(&table, "dbo.t has no column a"), "dbo.t has no column a");
        assert_eq!(of_table(&table, "dbo.t2 is gone"), "dbo.t: dbo.t2 is gone");
        assert_eq!(of_table(&table, "it is gone"), "dbo.t: it is gone");
    }
}
