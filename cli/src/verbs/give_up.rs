//! `give-up`, which gives up a window that is frozen and cannot be copied, so that the next run plans it anew.

use clap::Args;
use tidemark::model::names::ObjectName;
use tidemark::model::window::WindowName;
use tidemark::steps::archive::ArchivePorts;
use tidemark::steps::context::RunContext;
use tidemark::steps::give_up as step;

use super::status;
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::{Terminal, counted};
use crate::wiring::sink::SinkArgs;
use crate::wiring::source::SourceArgs;

/// The arguments of `give-up`.
#[derive(Debug, Args)]
pub(crate) struct GiveUpArgs {
    /// The table
    table: ObjectName,
    /// The window, as for a backfill that is not committed [default: the one after the last committed window]
    #[arg(long, value_name = "WINDOW", value_parser = window)]
    window: Option<WindowName>,
    /// Goes ahead without asking for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    sink: SinkArgs,
    #[command(flatten)]
    source: SourceArgs,
}

/// Reads the name of a window.
pub(super) fn window(text: &str) -> Result<WindowName, String> {
    WindowName::try_from(text.to_owned()).map_err(|error| error.to_string())
}

/// Gives the window up.
pub(crate) async fn give_up(arguments: &GiveUpArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let table = &arguments.table;
    lake::chosen(&sink, std::slice::from_ref(table)).await?;
    let watermarks = arguments.sink.watermarks_alone(&sink, &arguments.source).await?;
    let pending = status::pending_window(&sink, &watermarks, table, arguments.window.as_ref()).await?;
    terminal.event(
        &serde_json::json!({"event": "to_give_up", "table": table, "window": arguments.window, "what": pending}),
    );
    terminal.proposal(&format!("{table}: {pending} would be given up."));
    terminal.proposal(
        "Its uploads are aborted, its documents go into the archive, and the next run plans it anew. No row is lost.",
    );
    if !terminal.is_confirmed("Give it up?", arguments.yes) {
        return Ok(ExitClass::Decision);
    }
    let ports = ArchivePorts {
        watermarks: &watermarks,
        place: sink.place(),
    };
    let window = arguments.window.clone();
    let given_up = Box::pin(step::give_up(ports, table, window, RunContext::unbounded())).await?;
    terminal.named_event("given_up", &given_up);
    terminal.sentence(&format!(
        "{table}: window {} is given up. {} in {}.",
        given_up.window,
        counted(given_up.documents as u64, "document", ["is", "are"]),
        lake::archive(&sink, table, &given_up.archive)
    ));
    Ok(ExitClass::Done)
}
