//! `reconcile`, which compares the manifests with the source, by count and by key. It changes nothing.

mod differences;

use std::path::PathBuf;

use clap::Args;
use serde::Serialize;
use tidemark::error::{Error, OfRole, Result, Role};
use tidemark::model::manifest::Manifest;
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;
use tidemark::ports::source::CountRows;
use tidemark::steps::tables::FailedTable;
use tidemark_sqlserver::session::Server;

use self::differences::Differences;
use super::plan::{look_ahead, rows_of};
use crate::copying::reach_and_tell;
use crate::exit::ExitClass;
use crate::failure::{Outcome, failed_event, tell_failed};
use crate::keys::{Compared, Comparison, Difference, KEYS_AT_ONCE, NotCompared};
use crate::lake;
use crate::tables_file;
use crate::terminal::{Done, Heading, Terminal, count, number};
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::{Source, SourceArgs};

/// The columns that the other cells of a row take.
const OTHER_CELLS: usize = 60;

/// The arguments of `reconcile`.
#[derive(Debug, Args)]
pub(crate) struct ReconcileArgs {
    /// The tables [default: all of the file]
    tables: Vec<ObjectName>,
    /// The file with the tables, or - for standard input
    #[arg(long, default_value = "tables.json", value_name = "FILE")]
    file: PathBuf,
    /// The columns by which a row is found again [default: the table's primary key]
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    key: Vec<String>,
    /// Counts only, and compares no keys
    #[arg(long)]
    counts: bool,
    /// Where the keys that differ are written to
    #[arg(long, default_value = "differences.jsonl", value_name = "FILE")]
    differences: PathBuf,
    /// The approximate number of keys that are in memory at once
    #[arg(long, default_value_t = KEYS_AT_ONCE, value_name = "KEYS", hide = true)]
    keys_at_once: u64,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
}

impl ReconcileArgs {
    /// Returns the tables to compare, in order.
    fn specs(&self) -> Outcome<Vec<TableSpec>> {
        let mut specs = tables_file::read(&self.file)?;
        let is_named = |table: &ObjectName| specs.iter().any(|spec| spec.table == *table);
        if let Some(unknown) = self.tables.iter().find(|table| !is_named(table)) {
            return Err(tables_file::unknown(&self.file, unknown, &specs).into());
        }
        specs.retain(|spec| self.tables.is_empty() || self.tables.contains(&spec.table));
        Ok(specs)
    }
}

/// The rows of a window on both sides.
#[derive(Debug, Serialize)]
struct Counted {
    window: String,
    rows: u64,
    on_source: u64,
}

/// The rows of a table that was never copied.
#[derive(Debug, Serialize)]
struct Waiting {
    /// The number of rows, or `None` where it cannot be counted.
    on_source: Option<u64>,
}

/// The result of a table's comparison.
#[derive(Debug, Serialize)]
struct Reconciled {
    table: ObjectName,
    windows: Vec<Counted>,
    rows: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    keys: Option<Compared>,
    /// For a table without a committed window: how many rows its first one would have, where that can be counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    never_copied: Option<Waiting>,
    /// Why no keys were compared.
    #[serde(skip_serializing_if = "Option::is_none")]
    without_keys: Option<String>,
}

impl Reconciled {
    /// Returns the number of rows of the windows on the source beyond those in the files.
    fn missing_rows(&self) -> u64 {
        let missing = |window: &Counted| window.on_source.saturating_sub(window.rows);
        self.windows.iter().map(missing).sum()
    }

    fn differs(&self) -> bool {
        match (&self.never_copied, &self.keys) {
            (Some(waiting), _) => waiting.on_source != Some(0),
            // A backfill may have brought what a window lacks, so the keys decide where they were compared.
            (None, Some(keys)) => keys.missing + keys.surplus > 0,
            (None, None) => self.missing_rows() > 0,
        }
    }

    /// Returns the cells beside the table's name.
    fn cells(&self) -> [String; 4] {
        // The windows of a tracked table are not intervals of the source, so none of them is counted there.
        let of_windows = |count: String| {
            if self.windows.is_empty() { "-".to_owned() } else { count }
        };
        if let Some(Waiting { on_source }) = self.never_copied {
            let rows = on_source.map_or_else(|| "?".to_owned(), number);
            return ["0".to_owned(), "0".to_owned(), rows, "never copied".to_owned()];
        }
        [
            of_windows(self.windows.len().to_string()),
            number(self.rows),
            of_windows(number(self.missing_rows())),
            self.said(),
        ]
    }

    fn said(&self) -> String {
        match (&self.keys, &self.without_keys) {
            (Some(keys), _) if keys.missing + keys.surplus == 0 => "equal".to_owned(),
            (Some(keys), _) => format!("{} missing, {} too many", number(keys.missing), number(keys.surplus)),
            (None, Some(why)) => format!("not compared: {why}"),
            (None, None) => "not compared".to_owned(),
        }
    }
}

/// Compares the tables.
pub(crate) async fn reconcile(arguments: &ReconcileArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let specs = arguments.specs()?;
    let mut differences = Differences::new(&arguments.differences)?;
    let sink = arguments.sink.open()?;
    // A sink without any ledger is most often a wrong place.
    lake::chosen(&sink, &[]).await?;
    let source = arguments.source.open().await?;
    let server = source.server();
    let watermarks = arguments.sink.watermarks(&sink, source.writer())?;
    reach_and_tell(&source, &server, terminal).await?;
    let (mut rows, mut failures) = (Vec::new(), Vec::new());
    let mut class = ExitClass::Done;
    for spec in &specs {
        terminal.progress(&format!("{}: comparing.", spec.table));
        let reconciled = match table(
            arguments,
            (&source, &server),
            (&sink, &watermarks),
            spec,
            (&mut differences, terminal),
        )
        .await
        {
            // The other tables are compared all the same.
            Err(error) => {
                let failed = FailedTable::of(spec.table.clone(), &error);
                terminal.event(&failed_event(&failed));
                class = class.worse(ExitClass::of(error.code()));
                rows.push(cells(
                    terminal,
                    &spec.table,
                    ["-", "-", "-", "not compared"].map(str::to_owned),
                ));
                failures.push(failed);
                continue;
            }
            Ok(reconciled) => reconciled,
        };
        terminal.named_event("reconciled", &reconciled);
        if reconciled.differs() {
            class = class.worse(ExitClass::Data);
        }
        rows.push(cells(terminal, &spec.table, reconciled.cells()));
    }
    let columns = [
        Heading::left("table"),
        Heading::right("windows"),
        Heading::right("rows in files"),
        Heading::right("more on source"),
        Heading::left("keys are"),
    ];
    terminal.table(&columns, rows);
    tell_failed(terminal, &failures);
    if differences.finish()? {
        terminal.note(&format!(
            "The keys that differ are in {}. `tidemark backfill` copies an interval again.",
            arguments.differences.display()
        ));
    }
    Ok(class)
}

fn cells(terminal: &Terminal, table: &ObjectName, others: [String; 4]) -> Vec<String> {
    let name = terminal.fitted(&table.to_string(), OTHER_CELLS);
    [name].into_iter().chain(others).collect()
}

async fn table(
    arguments: &ReconcileArgs,
    (source, server): (&Source, &Server),
    (sink, watermarks): (&Sink, &Watermarks<'_>),
    spec: &TableSpec,
    (differences, terminal): (&mut Differences<'_>, &Terminal),
) -> Result<Reconciled> {
    let manifests = lake::manifests(sink, &spec.table).await?;
    let never_copied = match manifests.as_slice() {
        [] => Some(waiting(server, (sink, watermarks), spec, terminal).await?),
        _ => None,
    };
    let mut reconciled = Reconciled {
        table: spec.table.clone(),
        windows: counted(server, sink, spec, &manifests).await?,
        rows: manifests.iter().map(|manifest| manifest.rows).sum(),
        keys: None,
        never_copied,
        without_keys: None,
    };
    if arguments.counts || reconciled.never_copied.is_some() {
        return Ok(reconciled);
    }
    let read = Done::default();
    let _working = terminal.working({
        let (read, table) = (read.clone(), spec.table.clone());
        move || format!("{table}: comparing keys, {} read", count(read.get(), "key"))
    });
    let comparison = Comparison {
        read: &read,
        source,
        server,
        sink,
        spec,
        manifests: &manifests,
        key: &arguments.key,
        keys_at_once: arguments.keys_at_once,
    };
    let write = |difference: &Difference| differences.write(&spec.table, difference);
    match comparison.compare(write).await {
        Ok(compared) => {
            reconciled.keys = Some(compared);
            differences.compared(&spec.table)?;
        }
        Err(not_compared) => {
            differences.not_compared()?;
            match not_compared {
                NotCompared::Because(why) => reconciled.without_keys = Some(why),
                NotCompared::Failed(error) => return Err(error),
            }
        }
    }
    Ok(reconciled)
}

/// Counts the rows that the first window of a table would have, or has where it is frozen.
async fn waiting(
    server: &Server,
    (sink, watermarks): (&Sink, &Watermarks<'_>),
    spec: &TableSpec,
    terminal: &Terminal,
) -> Result<Waiting> {
    let ahead = look_ahead(server, watermarks, sink, std::slice::from_ref(spec), terminal).await?;
    if let Some(failed) = ahead.failed.into_iter().next() {
        let error = Error::new(failed.error, failed.cause);
        return Err(match failed.advice {
            Some(advice) => error.advised(advice),
            None => error,
        });
    }
    let on_source = match ahead.dry_run.first() {
        Some(dry_run) => rows_of(server, spec, &dry_run.plan).await,
        None if ahead.unchanged.is_empty() && ahead.empty.is_empty() => None,
        None => Some(0),
    };
    Ok(Waiting { on_source })
}

/// Counts the windows of the chain on both sides. A row that was updated since has left its window on the source, and
/// is in a later one, so only a greater number on the source means that files lack rows.
async fn counted(server: &Server, sink: &Sink, spec: &TableSpec, manifests: &[Manifest]) -> Result<Vec<Counted>> {
    let ledger = lake::ledger(sink, &spec.table);
    let settings = spec.run_settings();
    let mut counted = Vec::new();
    for manifest in manifests.iter().filter(|manifest| manifest.replaces.is_none()) {
        let plan = ledger.existing_plan(&manifest.window).await?;
        let is_counted = plan.filter == settings.filter;
        let rows = plan
            .rows(&settings)
            .filter(|rows| is_counted && matches!(rows, tidemark::model::rows::Rows::Interval(_)));
        if let Some(rows) = rows {
            counted.push(Counted {
                window: manifest.window.to_string(),
                rows: manifest.rows,
                on_source: server.count(&rows).await.of(Role::Source)?,
            });
        }
    }
    Ok(counted)
}
