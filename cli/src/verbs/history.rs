//! `history`, which shows the windows of one table.

use clap::Args;
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::manifest::Manifest;
use tidemark::model::names::ObjectName;
use tidemark::model::values::Values;

use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::{Heading, Terminal, bytes, number};
use crate::wiring::sink::SinkArgs;

/// The least width at which the start of a window has a column.
const WIDE: usize = 140;
/// The columns that the cells of a window beside its name take.
const CELLS_OF_A_WINDOW: usize = 58;

/// The arguments of `history`.
#[derive(Debug, Args)]
pub(crate) struct HistoryArgs {
    /// The table
    table: ObjectName,
    /// How many of the last windows to show
    #[arg(long, default_value_t = 20, value_name = "WINDOWS")]
    last: usize,
    #[command(flatten)]
    sink: SinkArgs,
}

/// Shows the windows of a table, the last one at the end.
pub(crate) async fn history(arguments: &HistoryArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let tables = lake::chosen(&sink, std::slice::from_ref(&arguments.table)).await?;
    let is_wide = terminal.is_wide(WIDE);
    let (mut rows, mut marks) = (Vec::new(), Vec::new());
    for table in &tables {
        let manifests = lake::manifests(&sink, table).await?;
        let first = manifests.len().saturating_sub(arguments.last);
        for manifest in manifests.iter().skip(first) {
            terminal.named_event("window", manifest);
            rows.push(cells_of(manifest, terminal, is_wide));
            if let Some(mark) = malformed(&manifest.malformed_texts) {
                marks.push(format!("{table}, window {}: {mark}.", manifest.window));
            }
            marks.extend(not_seen(manifest).map(|mark| format!("{table}, window {}: {mark}.", manifest.window)));
        }
    }
    let bounds = [Heading::left("from"), Heading::left("to")];
    let columns: Vec<Heading> = [Heading::left("committed"), Heading::left("window")]
        .into_iter()
        .chain(bounds.into_iter().filter(|_| is_wide))
        .chain([
            Heading::right("rows"),
            Heading::right("late"),
            Heading::right("files"),
            Heading::right("size"),
        ])
        .collect();
    terminal.table(&columns, rows);
    for mark in marks {
        terminal.sentence(&mark);
    }
    Ok(ExitClass::Done)
}

/// Returns what to say of texts that could not be decoded, if there are any.
pub(super) fn malformed(texts: &MalformedTexts) -> Option<String> {
    if texts.is_empty() {
        return None;
    }
    let columns: Vec<String> = texts
        .columns()
        .map(|(column, values)| format!("{} in {column}", number(values)))
        .collect();
    Some(format!(
        "texts that could not be decoded, with U+FFFD in place of what was malformed: {}",
        columns.join(", ")
    ))
}

/// Returns what to say of a window whose login did not see everything, or saw masks in place of values.
fn not_seen(manifest: &Manifest) -> Option<String> {
    let masked = manifest
        .columns
        .iter()
        .filter(|column| column.values == Values::ServerMask);
    let masked: Vec<&str> = masked.map(|column| column.name.as_str()).collect();
    let said = [
        manifest
            .unseen
            .filtered
            .then(|| "a security policy may have hidden rows from the login".to_owned()),
        manifest
            .unseen
            .veiled
            .then(|| "there may be masks in place of values".to_owned()),
        manifest
            .unseen
            .sources
            .then(|| "rows of another database may be left out".to_owned()),
        (!masked.is_empty()).then(|| format!("masks of SQL Server in place of the values of {}", masked.join(", "))),
    ];
    let said: Vec<String> = said.into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join("; "))
}

/// Returns the cells of a window. Its name has its start, so both bounds have cells only if there is room.
fn cells_of(manifest: &Manifest, terminal: &Terminal, is_wide: bool) -> Vec<String> {
    let mut window = manifest.window.to_string();
    if let Some(load) = &manifest.superseded_by {
        window.push_str(&format!(", superseded by {load}"));
    }
    let committed = manifest
        .committed_at
        .to_string()
        .replace('T', " ")
        .trim_end_matches('Z')
        .to_owned();
    let mut cells = vec![committed, terminal.fitted(&window, CELLS_OF_A_WINDOW)];
    let start = manifest.old_watermark.as_ref();
    let bounds = [
        start.map_or_else(|| "-".to_owned(), ToString::to_string),
        manifest.new_watermark.to_string(),
    ];
    cells.extend(bounds.into_iter().filter(|_| is_wide));
    cells.extend([
        number(manifest.rows),
        manifest
            .late_rows
            .map_or_else(|| "?".to_owned(), |late| late.to_string()),
        manifest.parts.len().to_string(),
        bytes(manifest.bytes),
    ]);
    cells
}
