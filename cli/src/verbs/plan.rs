//! `plan`, which shows what the next run would copy. It writes nothing.

use std::path::PathBuf;

use clap::Args;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tidemark::error::Result;
use tidemark::ledger::AT_ONCE;
use tidemark::model::lease::Keeper;
use tidemark::model::left_alone::{TableLeftAlone, TablesLeftAlone};
use tidemark::model::names::ObjectName;
use tidemark::model::plan::Plan;
use tidemark::model::table::TableSpec;
use tidemark::ports::source::{CountRows, CutSource};
use tidemark::steps::lookup_new::{DryRun, LookupNewRequest, NewWatermarks, lookup_new};
use tidemark::steps::lookup_old::{LookupOldRequest, lookup_old};
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::with_values;

use super::summary::{changes, tell_left_alone};
use crate::copying::{looking_up, of_lookup, reach_and_tell};
use crate::estimate::Estimate;
use crate::exit::ExitClass;
use crate::failure::{Outcome, failed_event, tell_failed};
use crate::lake;
use crate::tables_file;
use crate::terminal::{Done, Heading, Terminal, count, number};
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::SourceArgs;

/// The columns that the other cells of a row take.
const OTHER_CELLS: usize = 58;

/// The arguments of `plan`.
#[derive(Debug, Args)]
pub(crate) struct PlanArgs {
    /// The file with the tables, or - for standard input
    #[arg(default_value = "tables.json")]
    tables: PathBuf,
    /// Shows the statement of every slice, with its values
    #[arg(long)]
    sql: bool,
    /// Does not count the rows
    #[arg(long)]
    no_rows: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
}

/// A window that the next run would copy.
#[derive(Debug, Serialize)]
struct Planned {
    table: ObjectName,
    window: String,
    old_watermark: Option<String>,
    new_watermark: String,
    adopted: bool,
    rows: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<Estimate>,
    slices: Vec<String>,
}

/// Shows what the next run would copy.
pub(crate) async fn plan(arguments: &PlanArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let tables = tables_file::read(&arguments.tables)?;
    let source = arguments.source.open().await?;
    let sink = arguments.sink.open()?;
    let watermarks = arguments.sink.watermarks(&sink, source.writer())?;
    let server = source.server();
    reach_and_tell(&source, &server, terminal).await?;
    let found = look_ahead(&server, &watermarks, &sink, &tables, terminal).await?;
    let mut planned = Vec::new();
    let counted = Done::default();
    let working = terminal.working({
        let (counted, all) = (counted.clone(), count(found.dry_run.len() as u64, "table"));
        move || format!("Counting rows: {} of {all}", counted.get())
    });
    for dry_run in &found.dry_run {
        counted.add(1);
        let spec = tables.iter().find(|spec| spec.table == dry_run.table);
        let rows = match spec.filter(|_| !arguments.no_rows) {
            Some(spec) => rows_of(&server, spec, &dry_run.plan).await,
            None => None,
        };
        let row_bytes = match rows {
            Some(_) => row_bytes(&server, &dry_run.table).await,
            None => None,
        };
        let estimate = rows.zip(row_bytes);
        let estimate = estimate.map(|(rows, row_bytes)| Estimate::of(rows, row_bytes, dry_run.slices.len()));
        planned.push(Planned::of(dry_run, rows, estimate));
    }
    drop(working);
    Ok(tell_all(terminal, &planned, &found, arguments.sql))
}

/// Does both lookups as the next run would, and writes nothing. Tables that somebody has paused are left out, as the
/// run leaves them out.
pub(super) async fn look_ahead(
    server: &Server,
    watermarks: &Watermarks<'_>,
    sink: &Sink,
    tables: &[TableSpec],
    terminal: &Terminal,
) -> Result<NewWatermarks> {
    let _working = looking_up(terminal, tables.len());
    let mut left_alone = TablesLeftAlone::default();
    let mut asked = Vec::new();
    let looked = tables
        .iter()
        .map(async |spec| (spec, lake::keeper(sink, &spec.table).await));
    let mut looked = stream::iter(looked).buffered(AT_ONCE);
    while let Some((spec, keeper)) = looked.next().await {
        match keeper? {
            Some(paused @ Keeper::Paused { .. }) => left_alone.push(TableLeftAlone::new(spec.table.clone(), paused)),
            _ => asked.push(spec.clone()),
        }
    }
    if asked.is_empty() {
        return Ok(NewWatermarks {
            left_alone,
            ..NewWatermarks::default()
        });
    }
    let place = sink.place();
    let request = LookupOldRequest {
        run_id: "plan".to_owned(),
        tables: asked,
        dry_run: true,
    };
    let old = Box::pin(lookup_old(watermarks, place, request, of_lookup())).await?;
    let request = LookupNewRequest {
        run_id: "plan".to_owned(),
        tables: old.tables,
        dry_run: true,
    };
    let mut new = Box::pin(lookup_new(server, place, request, of_lookup())).await?;
    new.failed.extend(old.failed);
    new.left_alone.paused.extend(old.paused);
    new.left_alone.extend(left_alone);
    Ok(new)
}

impl Planned {
    fn of(dry_run: &DryRun, rows: Option<u64>, estimate: Option<Estimate>) -> Self {
        Self {
            table: dry_run.table.clone(),
            window: dry_run.window.to_string(),
            old_watermark: dry_run.old_watermark.as_ref().map(ToString::to_string),
            new_watermark: dry_run.new_watermark.to_string(),
            adopted: dry_run.adopted,
            rows,
            estimate,
            slices: dry_run.slices.iter().map(with_values).collect(),
        }
    }
}

/// Returns the bytes of a row on the server, or `None` where the server keeps no count, as of a view.
async fn row_bytes(server: &Server, table: &ObjectName) -> Option<u64> {
    let extent = server.extent(table).await.ok()??;
    extent.bytes.checked_div(extent.rows)
}

/// Returns how many rows a window has, or `None` where they cannot be counted.
pub(super) async fn rows_of(server: &Server, spec: &TableSpec, plan: &Plan) -> Option<u64> {
    match plan.rows(&spec.run_settings()) {
        Some(rows) => server.count(&rows).await.ok(),
        None => Some(0),
    }
}

fn tell_machines(terminal: &Terminal, planned: &[Planned], found: &NewWatermarks) {
    for planned in planned {
        terminal.named_event("planned", planned);
    }
    for note in &found.notes {
        terminal.named_event("note", note);
    }
    for paused in &found.left_alone.paused {
        terminal.named_event("paused", paused);
    }
    for busy in &found.left_alone.busy {
        terminal.named_event("busy", busy);
    }
    for table in &found.unchanged {
        terminal.event(&serde_json::json!({"event": "unchanged", "table": table}));
    }
    for failed in &found.failed {
        terminal.event(&failed_event(failed));
    }
}

fn tell_all(terminal: &Terminal, planned: &[Planned], found: &NewWatermarks, shows_sql: bool) -> ExitClass {
    tell_machines(terminal, planned, found);
    tell_failed(terminal, &found.failed);
    let changed: Vec<_> = found
        .notes
        .iter()
        .filter_map(|note| Some(&note.table).zip(changes(note)))
        .collect();
    let is_changed = |planned: &Planned| changed.iter().any(|(table, _)| **table == planned.table);
    let mut rows: Vec<Vec<String>> = planned
        .iter()
        .map(|planned| planned.cells(terminal, is_changed(planned)))
        .collect();
    let left = |table: &ObjectName, why: &str| {
        let name = terminal.fitted(&table.to_string(), OTHER_CELLS);
        let none = if why == "failed" { "-" } else { "0" };
        vec![name, why.to_owned(), "-".to_owned(), none.to_owned(), none.to_owned()]
    };
    rows.extend(found.unchanged.iter().map(|table| left(table, "unchanged")));
    rows.extend(
        found
            .left_alone
            .paused
            .iter()
            .map(|paused| left(&paused.table, "paused")),
    );
    rows.extend(found.left_alone.busy.iter().map(|busy| left(&busy.table, "busy")));
    rows.extend(found.failed.iter().map(|failed| left(&failed.table, "failed")));
    rows.sort();
    let columns = [
        Heading::left("table"),
        Heading::left("from"),
        Heading::left("to"),
        Heading::right("rows"),
        Heading::right("slices"),
    ];
    if !rows.is_empty() {
        terminal.table(&columns, rows);
    }
    for (table, said) in &changed {
        terminal.sentence(&format!("* {table}: {said}."));
    }
    tell_left_alone(terminal, &found.left_alone);
    let estimates = planned.iter().filter_map(|planned| planned.estimate.zip(planned.rows));
    if let Some((estimate, rows)) = estimates.reduce(|(one, rows), (other, more)| (one.and(other), rows + more)) {
        terminal.line("");
        terminal.sentence(&estimate.said(rows));
    }
    for planned in planned.iter().filter(|planned| planned.adopted) {
        terminal.sentence(&format!(
            "{}: window {} is frozen already and would be gone on with.",
            planned.table, planned.window
        ));
    }
    if shows_sql {
        for planned in planned {
            for (slice, sql) in planned.slices.iter().enumerate() {
                terminal.line(&format!(
                    "\n-- {}, window {}, slice {slice}\n{sql};",
                    planned.table, planned.window
                ));
            }
        }
    }
    let classes = found.failed.iter().map(|failed| ExitClass::of(failed.error));
    classes.fold(ExitClass::Done, ExitClass::worse)
}

impl Planned {
    /// Returns the cells of the window. A table that changed since its last window has a mark.
    fn cells(&self, terminal: &Terminal, is_changed: bool) -> Vec<String> {
        let mark = if is_changed { " *" } else { "" };
        vec![
            terminal.fitted(&self.table.to_string(), OTHER_CELLS) + mark,
            self.old_watermark.clone().unwrap_or_else(|| "-".into()),
            self.new_watermark.clone(),
            self.rows.map_or_else(|| "?".to_owned(), number),
            self.slices.len().to_string(),
        ]
    }
}
