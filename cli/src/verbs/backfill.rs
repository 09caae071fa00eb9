//! `backfill`, which copies an interval of a table again, in windows of its own beside the chain.

use std::path::PathBuf;

use clap::Args;
use tidemark::error::Result;
use tidemark::model::budget::Budget;
use tidemark::model::lookup::CopyWindow;
use tidemark::model::names::ObjectName;
use tidemark::model::table::TableSpec;
use tidemark::steps::backfill::{Backfill, BackfillPorts, BackfillRequest, Range, plan_backfill};
use tidemark::steps::context::RunContext;
use tidemark_sqlserver::with_values;

use super::copy_run::{Work, World, run_id};
use crate::copying::reach_and_tell;
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::tables_file;
use crate::terminal::{Terminal, count};
use crate::wiring::sink::SinkArgs;
use crate::wiring::source::SourceArgs;

/// The arguments of `backfill`.
#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("range").required(true).args(["from", "since"]))]
pub(crate) struct BackfillArgs {
    /// The table
    table: ObjectName,
    /// The file with the tables, or - for standard input
    #[arg(long, default_value = "tables.json", value_name = "FILE")]
    file: PathBuf,
    /// The least watermark that is copied again
    #[arg(long, value_name = "VALUE")]
    from: Option<String>,
    /// The greatest watermark that is copied again [default: that of the last window]
    #[arg(long, value_name = "VALUE", requires = "from")]
    to: Option<String>,
    /// For a table with change tracking: the version since which changes are copied again
    #[arg(long, value_name = "VERSION")]
    since: Option<String>,
    /// Shows the statement of every slice, with its values
    #[arg(long)]
    sql: bool,
    /// Copies the interval; without it, the backfill is only shown
    #[arg(long, short)]
    yes: bool,
    /// Slices that are copied at once
    #[arg(long, value_name = "SLICES", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=64))]
    parallel: u16,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
}

impl BackfillArgs {
    fn range(&self) -> Range {
        match (&self.from, &self.since) {
            (_, Some(version)) => Range::Since(version.clone()),
            (from, None) => Range::Between {
                from: from.clone().unwrap_or_default(),
                includes_from: true,
                to: self.to.clone(),
            },
        }
    }

    fn spec(&self) -> Outcome<TableSpec> {
        let tables = tables_file::read(&self.file)?;
        let spec = tables.iter().find(|spec| spec.table == self.table).cloned();
        spec.ok_or_else(|| tables_file::unknown(&self.file, &self.table, &tables).into())
    }
}

/// Shows the backfill, or copies it.
pub(crate) async fn backfill(arguments: &BackfillArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let spec = arguments.spec()?;
    let source = arguments.source.open().await?;
    let sink = arguments.sink.open()?;
    let server = source.server();
    let watermarks = arguments.sink.watermarks(&sink, source.writer())?;
    reach_and_tell(&source, &server, terminal).await?;
    let sinks = source.sinks(spec.sink.iter());
    let world = World {
        source: &source,
        sink: &sink,
        sinks: &sinks,
        watermarks: &watermarks,
        parallel: arguments.parallel.into(),
        budget: Budget::default(),
    };
    let planned = async |range: &Range, dry_run: bool| -> Result<Backfill> {
        let request = BackfillRequest {
            run_id: run_id()?,
            spec: spec.clone(),
            range: range.clone(),
            dry_run,
        };
        let ports = BackfillPorts {
            source: &server,
            watermarks: &watermarks,
            place: sink.place(),
        };
        Box::pin(plan_backfill(ports, request, RunContext::unbounded())).await
    };
    let mut range = arguments.range();
    let shown = planned(&range, true).await?;
    show(&shown, arguments.sql, terminal);
    if shown.rows == 0 {
        terminal.note("There are no rows to copy.");
        return Ok(ExitClass::Done);
    }
    if !arguments.yes {
        terminal.note("Nothing is copied. Give --yes to copy it.");
        return Ok(ExitClass::Done);
    }
    loop {
        let backfill = planned(&range, false).await?;
        let window = CopyWindow::of(&backfill.plan, backfill.adopted, spec.run_settings());
        let class = world.once(Work::Windows(&[window]), terminal).await?;
        // A backfill that would have needed too many slices ends earlier, and the next one begins at its end.
        match &range {
            Range::Between { to, .. } if class == ExitClass::Done && backfill.goes_on => {
                range = Range::Between {
                    from: backfill.new_watermark.value().to_owned(),
                    includes_from: false,
                    to: to.clone(),
                };
            }
            _ if class == ExitClass::TryAgain => {
                terminal.note(&format!(
                    "Window {} is not committed: the same command goes on with it.",
                    backfill.window
                ));
                return Ok(class);
            }
            _ => return Ok(class),
        }
    }
}

fn show(backfill: &Backfill, shows_sql: bool, terminal: &Terminal) {
    terminal.named_event("to_backfill", backfill);
    let Backfill {
        table,
        window,
        new_watermark,
        through,
        rows,
        slices,
        ..
    } = backfill;
    let from = backfill
        .old_watermark
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    terminal.sentence(&format!(
        "{table}: {} from {from} to {new_watermark}, in {}, as window {window}.",
        count(*rows, "row"),
        count(slices.len() as u64, "slice")
    ));
    terminal.sentence(&format!(
        "They replace the rows of this interval in windows up to {through}. Files that are there stay as they are, and no \
         watermark moves."
    ));
    if backfill.goes_on {
        terminal.line("The interval is too large for one window: further ones follow it.");
    }
    if backfill.adopted {
        terminal.line("It was begun before, and is gone on with.");
    }
    if shows_sql {
        for (number, slice) in slices.iter().enumerate() {
            terminal.line(&format!(
                "\n-- {table}, window {window}, slice {number}\n{};",
                with_values(slice)
            ));
        }
    }
}
