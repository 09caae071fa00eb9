//! `status`, which shows how every table is, and `history`, which shows the windows of one table.

use clap::Args;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tidemark::error::{OfRole, Result, Role};
use tidemark::ledger::{AT_ONCE, Decided, Lease, Reached};
use tidemark::model::hold::Begun;
use tidemark::model::lease::{Keeper, Leases};
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::manifest::Manifest;
use tidemark::model::names::ObjectName;
use tidemark::model::watermark::WatermarkKey;
use tidemark::model::window::WindowName;
use tidemark::ports::watermarks::ReadWatermarks;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::copying::shortened;
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::{Side, Terminal, bytes, counted, duration, number};
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::SourceArgs;

/// The least width at which the start of a window has a column.
const WIDE: usize = 110;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The tables [default: all that the sink has]
    tables: Vec<ObjectName>,
    #[command(flatten)]
    sink: SinkArgs,
    #[command(flatten)]
    source: SourceArgs,
}

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

/// How a table is.
#[derive(Debug, Serialize)]
struct Status {
    table: ObjectName,
    watermark: Option<String>,
    window: Option<WindowName>,
    rows: Option<u64>,
    late_rows: Option<u64>,
    #[serde(skip_serializing_if = "MalformedTexts::is_empty")]
    malformed_texts: MalformedTexts,
    committed_at: Option<String>,
    pending: Option<Pending>,
    #[serde(skip_serializing_if = "Option::is_none")]
    keeper: Option<Keeper>,
    #[serde(skip_serializing_if = "Option::is_none")]
    begun: Option<Begun>,
}

/// A window that is frozen and not committed.
#[derive(Debug, Serialize)]
struct Pending {
    window: WindowName,
    slices_copied: usize,
    slices: usize,
    since: String,
    run_id: String,
}

/// Shows how every table is.
pub(crate) async fn status(arguments: &StatusArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let watermarks = arguments.sink.watermarks_alone(&sink, &arguments.source).await?;
    let tables = lake::chosen(&sink, &arguments.tables).await?;
    let (sink, watermarks) = (&sink, &watermarks);
    let mut reads = stream::iter(tables)
        .map(|table| status_of(sink, watermarks, table))
        .buffered(AT_ONCE);
    let mut found = Vec::new();
    while let Some(status) = reads.next().await {
        found.push(status?);
    }
    found.iter().for_each(|status| terminal.event(status));
    let name_width = terminal.width().saturating_sub(62).max(16);
    let rows = found.iter().map(|status| status.cells(name_width)).collect();
    let columns = [
        ("table", Side::Left),
        ("watermark", Side::Left),
        ("committed", Side::Right),
        ("rows", Side::Right),
        ("pending", Side::Left),
    ];
    terminal.table(&columns, rows);
    for status in &found {
        if let Some(late) = status.late_rows.filter(|late| *late > 0) {
            terminal.sentence(&format!(
                "{}: {} too late for its last window. Raise settle_seconds; `tidemark backfill` fetches what is missing.",
                status.table,
                counted(late, "row", ["came", "came"])
            ));
        }
        if let Some(mark) = malformed(&status.malformed_texts) {
            terminal.sentence(&format!("{}: its last window has {mark}.", status.table));
        }
    }
    Ok(ExitClass::Done)
}

async fn status_of(sink: &Sink, watermarks: &Watermarks<'_>, table: ObjectName) -> Result<Status> {
    let key = WatermarkKey {
        table: table.clone(),
        name: None,
    };
    let stored = watermarks.stored(&key).await.of(Role::WatermarkStore)?;
    let ledger = lake::ledger(sink, &table);
    let begun = ledger.hold().await?.map(|hold| hold.begun);
    let lease = Lease::new(&ledger, "status", Leases::Taken);
    let keeper = lease.keeper(OffsetDateTime::now_utc()).await?;
    let Reached { last, pending } = ledger.reached(stored.value.as_deref()).await?;
    let pending = match pending {
        None => None,
        Some(plan) => {
            let slices = ledger.slices(&plan).await?;
            let copied = slices
                .iter()
                .filter(|slice| matches!(slice.decided, Decided::Record(_)))
                .count();
            Some(Pending {
                window: plan.window,
                slices_copied: copied,
                slices: slices.len(),
                since: plan.created_at,
                run_id: plan.run_id,
            })
        }
    };
    Ok(Status {
        watermark: stored.value,
        window: last.as_ref().map(|last| last.window.clone()),
        rows: last.as_ref().map(|last| last.rows),
        late_rows: last.as_ref().and_then(|last| last.late_rows),
        malformed_texts: last
            .as_ref()
            .map(|last| last.malformed_texts.clone())
            .unwrap_or_default(),
        committed_at: last.map(|last| last.committed_at),
        pending,
        keeper,
        begun,
        table,
    })
}

/// Describes the window of a table that is frozen and not committed, for people.
pub(super) async fn pending(sink: &Sink, watermarks: &Watermarks<'_>, table: &ObjectName) -> Result<Option<String>> {
    let status = status_of(sink, watermarks, table.clone()).await?;
    if let Some(Begun::GiveUp { window }) = status.begun {
        return Ok(Some(format!("window {window}, which was begun to be given up,")));
    }
    Ok(status.pending.map(|pending| {
        format!(
            "window {}, frozen {} by {}, with {} of {} slices copied,",
            pending.window,
            ago(&pending.since),
            pending.run_id,
            pending.slices_copied,
            pending.slices
        )
    }))
}

impl Status {
    fn cells(&self, name_width: usize) -> Vec<String> {
        let pending = self.pending.as_ref().map_or_else(
            || "-".to_owned(),
            |pending| {
                format!(
                    "{} of {} slices, frozen {}",
                    pending.slices_copied,
                    pending.slices,
                    ago(&pending.since)
                )
            },
        );
        let pending = match (&self.begun, &self.keeper) {
            (Some(begun), _) => format!("`{}` was begun and is not done", begun.verb()),
            (None, Some(Keeper::Paused { by, reason, .. })) => {
                let why = reason
                    .as_deref()
                    .map_or_else(String::new, |reason| format!(": {reason}"));
                format!("paused by {by}{why}")
            }
            (None, Some(Keeper::Run { run_id, .. })) if self.pending.is_some() => format!("{pending}, by {run_id}"),
            (None, _) => pending,
        };
        vec![
            shortened(&self.table.to_string(), name_width),
            self.watermark.clone().unwrap_or_else(|| "-".into()),
            self.committed_at.as_deref().map_or_else(|| "-".to_owned(), ago),
            self.rows.map_or_else(|| "-".to_owned(), number),
            pending,
        ]
    }
}

/// Returns how long ago a time of the ledger is.
fn ago(text: &str) -> String {
    let Ok(time) = OffsetDateTime::parse(text, &Rfc3339) else {
        return text.to_owned();
    };
    let seconds = (OffsetDateTime::now_utc() - time).whole_seconds();
    format!("{} ago", duration(u64::try_from(seconds).unwrap_or(0)))
}

/// Shows the windows of a table, the last one at the end.
pub(crate) async fn history(arguments: &HistoryArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let tables = lake::chosen(&sink, std::slice::from_ref(&arguments.table)).await?;
    let is_wide = terminal.width() >= WIDE;
    let (mut rows, mut marks) = (Vec::new(), Vec::new());
    for table in &tables {
        let manifests = lake::manifests(&sink, table).await?;
        let first = manifests.len().saturating_sub(arguments.last);
        for manifest in manifests.iter().skip(first) {
            terminal.event(manifest);
            rows.push(cells_of(manifest, is_wide));
            if let Some(mark) = malformed(&manifest.malformed_texts) {
                marks.push(format!("{table}, window {}: {mark}.", manifest.window));
            }
        }
    }
    let from = is_wide.then_some(("from", Side::Left));
    let columns: Vec<(&str, Side)> = [("committed", Side::Left)]
        .into_iter()
        .chain(from)
        .chain([
            ("to", Side::Left),
            ("rows", Side::Right),
            ("late", Side::Right),
            ("files", Side::Right),
            ("size", Side::Right),
        ])
        .collect();
    terminal.table(&columns, rows);
    for mark in marks {
        terminal.line(&mark);
    }
    Ok(ExitClass::Done)
}

/// Returns what to say of texts that could not be decoded, if there are any.
fn malformed(texts: &MalformedTexts) -> Option<String> {
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

/// Returns the cells of a window. It starts where the one before ends, so its start has a cell only if there is room.
fn cells_of(manifest: &Manifest, is_wide: bool) -> Vec<String> {
    let end = match &manifest.superseded_by {
        Some(load) => format!("superseded by {load}"),
        None => manifest.new_watermark.to_string(),
    };
    let start = manifest.old_watermark.as_ref();
    let mut cells = vec![manifest.committed_at.replace('T', " ").trim_end_matches('Z').to_owned()];
    cells.extend(is_wide.then(|| start.map_or_else(|| "-".to_owned(), ToString::to_string)));
    cells.extend([
        end,
        number(manifest.rows),
        manifest
            .late_rows
            .map_or_else(|| "?".to_owned(), |late| late.to_string()),
        manifest.parts.len().to_string(),
        bytes(manifest.bytes),
    ]);
    cells
}
