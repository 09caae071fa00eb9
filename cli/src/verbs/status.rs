//! `status`, which shows how every table is.

use std::path::PathBuf;

use clap::Args;
use futures::stream::{self, StreamExt};
use serde::Serialize;
use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};
use tidemark::ledger::{AT_ONCE, Decided, Ledger, Reached};
use tidemark::model::hold::Begun;
use tidemark::model::lease::Keeper;
use tidemark::model::malformed::MalformedTexts;
use tidemark::model::moment::Moment;
use tidemark::model::names::ObjectName;
use tidemark::model::plan::Plan;
use tidemark::model::window::WindowName;
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark::steps::tables::FailedTable;
use time::OffsetDateTime;

use super::history::malformed;
use crate::exit::ExitClass;
use crate::failure::{Failure, Outcome, failed_event, tell_failed};
use crate::lake;
use crate::tables_file;
use crate::terminal::{Done, Side, Terminal, count, counted, duration, number};
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::SourceArgs;
use crate::wiring::store::Store;

/// The columns that the cells of a table beside its name take.
const OTHER_CELLS: usize = 62;

/// The arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// The tables [default: all that the sink has]
    tables: Vec<ObjectName>,
    /// A file with tables, or - for standard input: those that were never copied are shown as well
    #[arg(long, value_name = "FILE", conflicts_with = "tables")]
    file: Option<PathBuf>,
    #[command(flatten)]
    sink: SinkArgs,
    #[command(flatten)]
    source: SourceArgs,
}

impl StatusArgs {
    /// Returns the tables of the given file that are not among those with a ledger.
    fn never_copied(&self, with_ledger: &[ObjectName]) -> Outcome<Vec<ObjectName>> {
        let Some(path) = &self.file else {
            return Ok(Vec::new());
        };
        let specs = tables_file::read(path)?;
        let tables = specs.into_iter().map(|spec| spec.table);
        let mut never: Vec<ObjectName> = tables.filter(|table| !with_ledger.contains(table)).collect();
        never.sort();
        Ok(never)
    }
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
    committed_at: Option<Moment>,
    pending: Option<Pending>,
    /// A backfill that is frozen and not committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    backfill: Option<Pending>,
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
    since: Moment,
    run_id: String,
}

/// Shows how every table is.
pub(crate) async fn status(arguments: &StatusArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let watermarks = arguments.sink.watermarks_alone(&sink, &arguments.source).await?;
    let read = Done::default();
    let working = terminal.working({
        let read = read.clone();
        move || format!("Reading the ledger: {}", count(read.get(), "table"))
    });
    let (tables, unread) = if arguments.tables.is_empty() {
        lake::found(&sink).await?
    } else {
        (lake::chosen(&sink, &arguments.tables).await?, Vec::new())
    };
    let never_copied = arguments.never_copied(&tables)?;
    if tables.is_empty() && unread.is_empty() && never_copied.is_empty() {
        if arguments.file.is_none() {
            return Err(Error::new(ErrorCode::InvalidInput, lake::no_ledger(&sink)).into());
        }
        terminal.note(&format!("{}.", lake::no_ledger(&sink)));
        return Ok(ExitClass::Done);
    }
    let (sink, watermarks) = (&sink, &watermarks);
    let mut reads = stream::iter(tables)
        .map(|table| async move { (table.clone(), status_of(sink, watermarks, table).await) })
        .buffered(AT_ONCE);
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    while let Some((table, status)) = reads.next().await {
        read.add(1);
        match status {
            Ok(status) => found.push(status),
            // The other tables are shown all the same.
            Err(error) if error.code() == ErrorCode::LedgerInvalid => failed.push(FailedTable::of(table, &error)),
            Err(error) => return Err(error.into()),
        }
    }
    drop(working);
    found.iter().for_each(|status| terminal.named_event("status", status));
    failed.iter().for_each(|failed| terminal.event(&failed_event(failed)));
    let unreadable = failed.iter().map(|failed| failed.table.to_string());
    let unreadable = unreadable.chain(unread.iter().map(|(folder, _)| folder.clone()));
    let never = never_copied.iter().map(ToString::to_string);
    let mut rows: Vec<Vec<String>> = found.iter().map(|status| status.cells(terminal)).collect();
    rows.extend(unreadable.map(|name| cells_without(&name, "ledger unreadable", terminal)));
    rows.extend(never.map(|name| cells_without(&name, "never copied", terminal)));
    for table in &never_copied {
        terminal.event(&serde_json::json!({"event": "never_copied", "table": table}));
    }
    let columns = [
        ("table", Side::Left),
        ("watermark", Side::Left),
        ("committed", Side::Right),
        ("rows", Side::Right),
        ("pending", Side::Left),
    ];
    terminal.table(&columns, rows);
    found.iter().for_each(|status| status.tell(terminal));
    tell_failed(terminal, &failed);
    let mut class = if failed.is_empty() {
        ExitClass::Done
    } else {
        ExitClass::Data
    };
    for (_, error) in unread {
        class = class.worse(Failure::from(error).tell(terminal));
    }
    Ok(class)
}

async fn status_of(sink: &Sink, watermarks: &Watermarks<'_>, table: ObjectName) -> Result<Status> {
    let ledger = lake::ledger(sink, &table);
    let key = ledger.watermark_key().await?;
    let stored = watermarks.stored(&key).await.of(Role::WatermarkStore)?;
    let begun = ledger.hold().await?.map(|hold| hold.begun);
    let keeper = lake::keeper(sink, &table).await?;
    let Reached { last, pending } = ledger.reached(stored.value.as_deref()).await?;
    let pending = match pending {
        None => None,
        Some(plan) => Some(Pending::of(&ledger, plan).await?),
    };
    let backfill = match lake::open_backfill(&ledger).await? {
        None => None,
        Some(plan) => Some(Pending::of(&ledger, plan).await?),
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
        backfill,
        keeper,
        begun,
        table,
    })
}

impl Pending {
    async fn of(ledger: &Ledger<'_, Store>, plan: Plan) -> Result<Self> {
        let slices = ledger.slices(&plan).await?;
        let copied = slices
            .iter()
            .filter(|slice| matches!(slice.decided, Decided::Record(_)));
        Ok(Self {
            slices_copied: copied.count(),
            slices: slices.len(),
            window: plan.window,
            since: plan.created_at,
            run_id: plan.run_id,
        })
    }

    /// Describes the window for people.
    fn said(&self) -> String {
        format!(
            "window {}, frozen {} by {}, with {} of {} slices copied,",
            self.window,
            ago(self.since),
            self.run_id,
            self.slices_copied,
            self.slices
        )
    }
}

/// Describes this window of a table, or the one after the last committed window, if it is frozen and not committed, for
/// people.
pub(super) async fn pending_window(
    sink: &Sink,
    watermarks: &Watermarks<'_>,
    table: &ObjectName,
    window: Option<&WindowName>,
) -> Result<String> {
    let nothing = |why: &str| {
        let message = format!("{table}: {why}: there is nothing to give up");
        Error::new(ErrorCode::InvalidInput, message)
    };
    let ledger = lake::ledger(sink, table);
    if let Some(window) = window {
        let plan = ledger.plan(window).await?;
        let plan = plan.ok_or_else(|| nothing(&format!("no window {window} of it is frozen")))?;
        if ledger.manifest(window).await?.is_some() {
            return Err(nothing(&format!("window {window} is committed")));
        }
        return Ok(Pending::of(&ledger, plan).await?.said());
    }
    match pending(sink, watermarks, table).await? {
        Some(pending) => Ok(pending),
        None => Err(match lake::open_backfill(&ledger).await? {
            Some(plan) => {
                let message = format!(
                    "{table}: of its windows only {}, a backfill, is frozen and not committed: give --window {} to give it up",
                    plan.window, plan.window
                );
                Error::new(ErrorCode::InvalidInput, message)
            }
            None => nothing("no window of it is frozen and not committed"),
        }),
    }
}

/// Describes the window of a table that is frozen and not committed, for people.
async fn pending(sink: &Sink, watermarks: &Watermarks<'_>, table: &ObjectName) -> Result<Option<String>> {
    let status = status_of(sink, watermarks, table.clone()).await?;
    if let Some(Begun::GiveUp { window }) = status.begun {
        return Ok(Some(format!("window {window}, which was begun to be given up,")));
    }
    Ok(status.pending.map(|pending| pending.said()))
}

impl Status {
    /// Writes what a person should know of the table.
    fn tell(&self, terminal: &Terminal) {
        if let Some(late) = self.late_rows.filter(|late| *late > 0) {
            terminal.sentence(&format!(
                "{}: {} too late for its last window. Raise settle_seconds; `tidemark backfill` fetches what is missing.",
                self.table,
                counted(late, "row", ["came", "came"])
            ));
        }
        if let Some(mark) = malformed(&self.malformed_texts) {
            terminal.sentence(&format!("{}: its last window has {mark}.", self.table));
        }
        if let Some(backfill) = &self.backfill {
            terminal.sentence(&format!(
                "{table}: {} and not committed. The same `tidemark backfill` goes on with it, and `tidemark give-up {table} --window {}` \
                 gives it up.",
                backfill.said(),
                backfill.window,
                table = self.table
            ));
        }
    }

    fn cells(&self, terminal: &Terminal) -> Vec<String> {
        let pending = self.pending.as_ref().map_or_else(
            || "-".to_owned(),
            |pending| {
                format!(
                    "{} of {} slices, frozen {}",
                    pending.slices_copied,
                    pending.slices,
                    ago(pending.since)
                )
            },
        );
        let paused = match &self.keeper {
            Some(Keeper::Paused { by, reason, .. }) => {
                let why = reason
                    .as_deref()
                    .map_or_else(String::new, |reason| format!(": {reason}"));
                Some(format!("paused by {by}{why}"))
            }
            _ => None,
        };
        let pending = match (&self.begun, &self.keeper, paused) {
            (Some(begun), _, _) => format!("`{}` was begun and is not done", begun.verb()),
            (None, _, Some(paused)) if self.pending.is_some() => format!("{pending}; {paused}"),
            (None, _, Some(paused)) => paused,
            (None, Some(Keeper::Run { run_id, .. }), None) if self.pending.is_some() => {
                format!("{pending}, by {run_id}")
            }
            (None, _, None) => pending,
        };
        vec![
            terminal.fitted(&self.table.to_string(), OTHER_CELLS),
            self.watermark.clone().unwrap_or_else(|| "-".into()),
            self.committed_at.map_or_else(|| "-".to_owned(), ago),
            self.rows.map_or_else(|| "-".to_owned(), number),
            pending,
        ]
    }
}

/// Returns the row of a table of which the ledger tells nothing.
fn cells_without(name: &str, why: &str, terminal: &Terminal) -> Vec<String> {
    let nothing = ["-"; 3].map(str::to_owned);
    let cells = [terminal.fitted(name, OTHER_CELLS)].into_iter().chain(nothing);
    cells.chain([why.to_owned()]).collect()
}

/// Returns how long ago a time of the ledger is.
fn ago(moment: Moment) -> String {
    let seconds = (OffsetDateTime::now_utc() - moment.time()).whole_seconds();
    format!("{} ago", duration(u64::try_from(seconds).unwrap_or(0)))
}
