//! The summary of a run: every table of the run, sorted, and then a line for each failure with what to do.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::json;
use tidemark::model::budget::StoppedTable;
use tidemark::model::left_alone::{BusyTable, PausedTable, TablesLeftAlone};
use tidemark::model::lookup::Note;
use tidemark::model::names::ObjectName;
use tidemark::model::window::WindowName;
use tidemark::steps::lookup_old::BucketNote;
use tidemark::steps::update::Committed;

use crate::copying::{Board, Report};
use crate::exit::ExitClass;
use crate::failure::{failed_event, sorted, tell_failed};
use crate::terminal::{Heading, Terminal, bytes, count, counted, duration, number};

/// The columns that the other cells of a row take.
const OTHER_CELLS: usize = 50;
/// The least width at which the watermark has a column.
const WIDE: usize = 120;

/// Reports what a run did, and returns how it ended.
pub(super) fn tell(terminal: &Terminal, run_id: &str, report: &Report, board: &Board, elapsed: Duration) -> ExitClass {
    if terminal.is_json() {
        tell_machines(terminal, run_id, report, board, elapsed);
    } else {
        tell_people(terminal, report, board, elapsed);
    }
    let classes = report.failed.iter().map(|failed| ExitClass::of(failed.error));
    classes.fold(ExitClass::Done, ExitClass::worse)
}

fn tell_people(terminal: &Terminal, report: &Report, board: &Board, elapsed: Duration) {
    let is_wide = terminal.width() >= WIDE;
    let mut columns = vec![
        Heading::left("table"),
        Heading::left("result"),
        Heading::right("rows"),
        Heading::right("files"),
        Heading::right("size"),
        Heading::right("time"),
    ];
    if is_wide {
        columns.push(Heading::left("watermark"));
    }
    let others = OTHER_CELLS + if is_wide { 40 } else { 0 };
    let mut rows: Vec<(ObjectName, Vec<String>)> = Vec::new();
    for committed in &report.committed {
        let took = board.took(&committed.table);
        rows.push((committed.table.clone(), committed_cells(committed, took)));
    }
    let empty = |result: &str| {
        vec![
            result.to_owned(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
            "-".into(),
        ]
    };
    rows.extend(not_committed(report).map(|(table, result)| (table.clone(), empty(result))));
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let rows = rows.into_iter().map(|(table, cells)| {
        let mut row = vec![terminal.fitted(&table.to_string(), others)];
        row.extend(cells.into_iter().take(columns.len() - 1));
        row
    });
    terminal.table(&columns, rows.collect());
    terminal.line("");
    tell_notes(terminal, report);
    tell_left_alone(terminal, &report.left_alone);
    tell_stopped(terminal, &report.stopped);
    tell_failed(terminal, &report.failed);
    let rows: u64 = report.committed.iter().map(|committed| committed.rows).sum();
    terminal.sentence(&format!(
        "{} copied, {} unchanged, {} failed{}: {} in {}.",
        report.committed.len(),
        report.unchanged.len(),
        report.failed.len(),
        match report.left() {
            0 => String::new(),
            left => format!(", {left} left alone"),
        },
        count(rows, "row"),
        duration(elapsed.as_secs())
    ));
    if !report.failed.is_empty() {
        terminal.sentence("What is committed stays; the next run goes on with the tables that failed.");
    }
}

/// Says to people how the files of tables are read that had none before, by a command that works as it is written.
pub(super) fn tell_how_to_read(terminal: &Terminal, sink: &str, report: &Report) {
    let is_first = |committed: &Committed| committed.objects > 0 && committed.window == WindowName::initial();
    if terminal.is_json() || !report.committed.iter().any(is_first) {
        return;
    }
    let program = std::env::args().next().unwrap_or_else(|| "tidemark".to_owned());
    let command = format!("{} sql duckdb --sink {}", for_a_shell(&program), for_a_shell(sink));
    if terminal.is_watched() {
        terminal.note("This command writes the statements that read the files, those of each table by itself:");
        // It is never broken, so that it can be copied.
        terminal.say(&format!("  {command}"));
    } else {
        terminal.progress(&format!("The statements that read the files are written by: {command}"));
    }
}

/// Returns a word as a shell takes it for one word.
fn for_a_shell(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '/' | '.' | ':' | '-' | '_' | '+' | '@' | '%');
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

/// Returns the tables without a committed window, and what became of each.
fn not_committed(report: &Report) -> impl Iterator<Item = (&ObjectName, &'static str)> {
    let unchanged = report.unchanged.iter().map(|table| (table, "unchanged"));
    let busy = report.left_alone.busy.iter().map(|busy| (&busy.table, "busy"));
    let paused = report.left_alone.paused.iter().map(|paused| (&paused.table, "paused"));
    let stopped = report.stopped.iter().map(|stopped| (&stopped.table, "stopped"));
    let failed = report.failed.iter().map(|failed| (&failed.table, "failed"));
    unchanged.chain(busy).chain(paused).chain(stopped).chain(failed)
}

fn committed_cells(committed: &Committed, took: Duration) -> Vec<String> {
    vec![
        "copied".to_owned(),
        number(committed.rows),
        committed.objects.to_string(),
        bytes(committed.bytes),
        duration(took.as_secs()),
        committed.watermark.value().to_owned(),
    ]
}

/// Reports what the bucket lacks, and rows that are in no file, which a reader has to know of.
fn tell_notes(terminal: &Terminal, report: &Report) {
    for BucketNote { bucket, note } in &report.bucket_notes {
        terminal.sentence(&format!("{bucket}: {note}."));
    }
    for committed in &report.committed {
        match committed.late_rows {
            Some(0) => {}
            Some(late) => terminal.sentence(&format!(
                "{}: {} committed after the copy, and in no file. Raise settle_seconds; `tidemark backfill` fetches what is missing.",
                committed.table,
                counted(late, "row", ["was", "were"])
            )),
            None => terminal.sentence(&format!(
                "{}: rows that came late could not be counted.",
                committed.table
            )),
        }
    }
    for note in &report.notes {
        let table = &note.table;
        if note.null_rows > 0 {
            terminal.sentence(&format!(
                "{table}: {}.",
                counted(
                    note.null_rows,
                    "row",
                    [
                        "has no watermark and is not copied",
                        "have no watermark and are not copied"
                    ]
                )
            ));
        }
        if note.future_rows > 0 {
            terminal.sentence(&format!(
                "{table}: {} stamped in the future, and left to a later run.",
                counted(note.future_rows, "row", ["is", "are"])
            ));
        }
        if note.held_back {
            terminal.sentence(&format!("{table}: an open transaction holds the window back."));
        }
        if let Some(said) = changes(note) {
            terminal.sentence(&format!("{table}: {said}."));
        }
        if note.veiled {
            terminal.sentence(&format!(
                "{table}: it could not be looked whether this login, which lacks UNMASK, reads masks in place of values."
            ));
        }
        if note.unseen_sources {
            terminal.sentence(&format!(
                "{table}: this login does not see everything that the view reads; rows of another database would be left out."
            ));
        }
        if note.filtered {
            terminal.sentence(&format!(
                "{table}: a security policy filters its rows; what it hides from this login is not copied."
            ));
        }
    }
}

/// Returns what changed in a table since its last window, and what becomes of it, if anything changed.
pub(super) fn changes(note: &Note) -> Option<String> {
    let changes: Vec<String> = note
        .schema_changes
        .iter()
        .map(|change| format!("column {change}"))
        .collect();
    let changes = changes.join(", ");
    match (changes.is_empty(), note.generation) {
        (true, _) => None,
        (false, None) => Some(format!("since the last window, {changes}")),
        (false, Some(generation)) => Some(format!(
            "since the last window, {changes}, so the table is loaded in full into the new folder of generation {generation}"
        )),
    }
}

/// Reports the tables that this run left alone, and why.
pub(super) fn tell_left_alone(terminal: &Terminal, left_alone: &TablesLeftAlone) {
    let mut runs: BTreeMap<(&str, String), Vec<&ObjectName>> = BTreeMap::new();
    for BusyTable { table, run_id, until } in &left_alone.busy {
        runs.entry((run_id, until.to_string())).or_default().push(table);
    }
    for ((run_id, until), tables) in runs {
        match tables.as_slice() {
            [table] => terminal.sentence(&format!(
                "{table}: run {run_id} is copying it. If that run has died, the table is free after {until}."
            )),
            tables => terminal.sentence(&format!(
                "{} are left to run {run_id}, which is copying them. If that run has died, they are free after {until}.",
                count(tables.len() as u64, "table")
            )),
        }
    }
    for PausedTable {
        table,
        by,
        since,
        reason,
    } in &left_alone.paused
    {
        let reason = reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
        terminal.sentence(&format!("{table}: paused by {by} since {since}{reason}."));
    }
}

/// Reports the tables that are left because the run has copied as much as it may.
fn tell_stopped(terminal: &Terminal, stopped: &[StoppedTable]) {
    for StoppedTable {
        table,
        window,
        rows,
        bytes: size,
        usd,
        slices_left,
    } in stopped
    {
        terminal.sentence(&format!(
            "{table}: the run's budget is spent after {}, {} and about ${usd}. {} of window {window} for the next run.",
            count(*rows, "row"),
            bytes(*size),
            counted(*slices_left as u64, "slice", ["is left", "are left"])
        ));
    }
}

fn tell_machines(terminal: &Terminal, run_id: &str, report: &Report, board: &Board, elapsed: Duration) {
    for committed in &report.committed {
        let mut event = json!(committed);
        event["event"] = "committed".into();
        event["seconds"] = board.took(&committed.table).as_secs_f64().into();
        terminal.event(&event);
    }
    for table in &report.unchanged {
        terminal.event(&json!({"event": "unchanged", "table": table}));
    }
    for busy in &report.left_alone.busy {
        terminal.event(&json!({"event": "busy", "table": busy.table, "run_id": busy.run_id, "until": busy.until}));
    }
    for paused in &report.left_alone.paused {
        terminal.named_event("paused", paused);
    }
    for stopped in &report.stopped {
        terminal.named_event("stopped", stopped);
    }
    for note in &report.bucket_notes {
        terminal.named_event("note", note);
    }
    for note in &report.notes {
        terminal.named_event("note", note);
    }
    for failed in sorted(&report.failed) {
        terminal.event(&failed_event(failed));
    }
    terminal.event(&json!({
        "event": "summary", "run_id": run_id, "committed": report.committed.len(), "unchanged": report.unchanged.len(),
        "failed": report.failed.len(), "busy": report.left_alone.busy.len(), "paused": report.left_alone.paused.len(), "stopped": report.stopped.len(),
        "rows": report.committed.iter().map(|committed| committed.rows).sum::<u64>(),
        "bytes": report.committed.iter().map(|committed| committed.bytes).sum::<u64>(), "seconds": elapsed.as_secs_f64(),
    }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_one_word_for_a_shell() {
        for (word, expected) in [
            ("./lake", "./lake"),
            ("s3://bucket/prefix", "s3://bucket/prefix"),
            ("my lake", "'my lake'"),
            ("it's $HOME", r"'it'\''s $HOME'"),
            ("", "''"),
        ] {
            assert_eq!(for_a_shell(word), expected);
        }
    }
}
