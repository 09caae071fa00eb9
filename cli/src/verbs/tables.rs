//! `tables`, which writes `tables.json` as the state machines take it.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;

use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::tables_file;
use crate::terminal::Terminal;

/// The arguments of `tables`.
#[derive(Debug, Args)]
pub(crate) struct TablesArgs {
    /// The file with the tables, or - for standard input
    #[arg(default_value = "tables.json")]
    tables: PathBuf,
    /// Writes the list for a bucket, which TableListKey names: an array, with one table a line
    #[arg(long)]
    list: bool,
}

/// Writes the tables without comments, and with the fields of `defaults` in each of them.
pub(crate) fn tables(arguments: &TablesArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let tables = tables_file::expanded(&arguments.tables)?;
    if arguments.list && terminal.is_json() {
        terminal.document(&tables);
    } else if arguments.list {
        let lines: Vec<String> = tables.iter().map(ToString::to_string).collect();
        terminal.text(&format!("[\n{}\n]", lines.join(",\n")));
    } else {
        terminal.document(&json!({"tables": tables}));
    }
    Ok(ExitClass::Done)
}
