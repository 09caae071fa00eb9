//! `reset`, which starts tables over. What was there goes into the archive, and the next run loads the tables in full.

use clap::Args;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::ObjectName;
use tidemark::model::window::WindowName;
use tidemark::steps::archive::ArchivePorts;
use tidemark::steps::context::RunContext;
use tidemark::steps::set_watermark::{set_watermark, watermark_to_set};
use tidemark::steps::start_over::{StartedOver, start_over};

use super::give_up::window;
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::{Terminal, bytes, count};
use crate::wiring::sink::{Sink, SinkArgs};
use crate::wiring::source::SourceArgs;

/// The arguments of `reset`.
#[derive(Debug, Args)]
pub(crate) struct ResetArgs {
    /// The tables
    #[arg(required = true)]
    tables: Vec<ObjectName>,
    /// Starts no table over, and only sets the stored watermark of one to the end of this committed window
    #[arg(long, value_name = "WINDOW", value_parser = window)]
    to: Option<WindowName>,
    /// Goes ahead without asking for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    sink: SinkArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// Starts the tables over.
pub(crate) async fn reset(arguments: &ResetArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let tables = lake::chosen(&sink, &arguments.tables).await?;
    if let Some(window) = &arguments.to {
        return set(arguments, &sink, &tables, window, terminal).await;
    }
    for table in &tables {
        show(&sink, table, terminal).await?;
    }
    if !terminal.is_confirmed("Start over?", arguments.yes) {
        return Ok(ExitClass::Decision);
    }
    let watermarks = arguments.sink.watermarks_alone(&sink, &arguments.source).await?;
    for table in &tables {
        let ports = ArchivePorts {
            watermarks: &watermarks,
            place: sink.place(),
        };
        let working = terminal.working({
            let table = table.clone();
            move || format!("{table}: moving everything into the archive")
        });
        let started = Box::pin(start_over(ports, table, RunContext::unbounded())).await?;
        drop(working);
        tell(&sink, &started, terminal);
    }
    Ok(ExitClass::Done)
}

/// Sets the stored watermark of a table to the end of a window.
async fn set(
    arguments: &ResetArgs,
    sink: &Sink,
    tables: &[ObjectName],
    window: &WindowName,
    terminal: &Terminal,
) -> Outcome<ExitClass> {
    let [table] = tables else {
        let message = "--to names a window of one table: give that table and no other";
        return Err(Error::new(ErrorCode::InvalidInput, message).into());
    };
    let watermarks = arguments.sink.watermarks_alone(sink, &arguments.source).await?;
    let to_set = watermark_to_set(&watermarks, sink.place(), table, window).await?;
    if to_set.is_set() {
        terminal.named_event("watermark_set", &to_set);
        terminal.sentence(&format!(
            "{table}: {} is stored already, and nothing is changed.",
            to_set.to
        ));
        return Ok(ExitClass::Done);
    }
    let from = to_set.from.as_deref().unwrap_or("nothing");
    terminal.named_event("to_set_watermark", &to_set);
    terminal.proposal(&format!(
        "{table}: {from} is stored, and {} would be, where window {window} ends. Files and ledger stay as they are.",
        to_set.to
    ));
    if !terminal.is_confirmed("Set it?", arguments.yes) {
        return Ok(ExitClass::Decision);
    }
    set_watermark(&watermarks, &to_set).await?;
    terminal.named_event("watermark_set", &to_set);
    terminal.sentence(&format!("{table}: the stored watermark is {}.", to_set.to));
    Ok(ExitClass::Done)
}

/// Shows what would be moved.
async fn show(sink: &Sink, table: &ObjectName, terminal: &Terminal) -> Result<()> {
    let manifests = match lake::manifests(sink, table).await {
        // A damaged ledger is a reason to start over, not an obstacle. A sink that does not answer is one.
        Err(error) if error.code() == ErrorCode::LedgerInvalid => {
            terminal.proposal(&format!(
                "{table}: its ledger is damaged ({}). All of it goes into the archive, and its files.",
                error.report()
            ));
            return Ok(());
        }
        manifests => manifests?,
    };
    let parts = manifests.iter().flat_map(|manifest| &manifest.parts);
    let (files, size) = parts.fold((0_u64, 0_u64), |(files, size), part| (files + 1, size + part.bytes));
    let rows: u64 = manifests.iter().map(|manifest| manifest.rows).sum();
    terminal.event(&serde_json::json!({
        "event": "to_reset", "table": table, "windows": manifests.len(), "files": files, "rows": rows, "bytes": size,
    }));
    terminal.proposal(&format!(
        "{table}: {}, {}, {}, {}. All of it goes into the archive, its watermark is taken away, and the next run loads the table in \
         full.",
        count(manifests.len() as u64, "window"),
        count(files, "file"),
        count(rows, "row"),
        bytes(size)
    ));
    Ok(())
}

fn tell(sink: &Sink, started: &StartedOver, terminal: &Terminal) {
    terminal.named_event("reset", started);
    let StartedOver {
        table,
        documents,
        objects,
        ..
    } = started;
    if *documents + *objects == 0 {
        terminal.sentence(&format!("{table}: there was nothing to start over."));
        return;
    }
    terminal.sentence(&format!(
        "{table} is started over: {} and {} are in {}.",
        count(*objects as u64, "file"),
        count(*documents as u64, "document"),
        lake::archive(sink, table, &started.archive)
    ));
}
