//! `pause` and `resume`, which decide whether runs work on a table without touching the schedule.

use clap::Args;
use serde_json::json;
use tidemark::model::names::ObjectName;
use tidemark::steps::context::RunContext;
use tidemark::steps::pause::{self as step, Pause, PauseState};

use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::Terminal;
use crate::wiring::sink::SinkArgs;

/// The arguments of `pause`.
#[derive(Debug, Args)]
pub(crate) struct PauseArgs {
    /// The tables
    #[arg(required = true)]
    tables: Vec<ObjectName>,
    /// The reason, for whoever looks at the status
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Goes ahead without asking for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    sink: SinkArgs,
}

/// The arguments of `resume`.
#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The tables
    #[arg(required = true)]
    tables: Vec<ObjectName>,
    /// Goes ahead without asking for confirmation
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    sink: SinkArgs,
}

/// Pauses tables.
pub(crate) async fn pause(arguments: &PauseArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let tables = lake::chosen(&sink, &arguments.tables).await?;
    for table in &tables {
        terminal.event(&json!({"event": "to_pause", "table": table, "reason": arguments.reason}));
        terminal.proposal(&format!(
            "{table}: no run copies it until you resume it. A run that is copying it now may finish its slice."
        ));
    }
    if !terminal.is_confirmed("Pause?", arguments.yes) {
        return Ok(ExitClass::Decision);
    }
    for table in &tables {
        let pause = Pause {
            by: std::env::var("USER").unwrap_or_else(|_| "operator".to_owned()),
            reason: arguments.reason.clone(),
        };
        let state = step::pause(sink.place(), table, pause, RunContext::unbounded()).await?;
        tell(terminal, "paused", &state);
    }
    Ok(ExitClass::Done)
}

/// Resumes tables.
pub(crate) async fn resume(arguments: &ResumeArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let tables = lake::chosen(&sink, &arguments.tables).await?;
    for table in &tables {
        terminal.event(&json!({"event": "to_resume", "table": table}));
        terminal.proposal(&format!(
            "{table}: runs work on it again, and the next one goes on where the last one ended."
        ));
    }
    if !terminal.is_confirmed("Resume?", arguments.yes) {
        return Ok(ExitClass::Decision);
    }
    for table in &tables {
        let state = step::resume(sink.place(), table).await?;
        tell(terminal, "resumed", &state);
    }
    Ok(ExitClass::Done)
}

fn tell(terminal: &Terminal, event: &str, state: &PauseState) {
    terminal.named_event(event, state);
    let now = match (state.was_paused, state.paused) {
        (false, true) => "is paused now",
        (true, true) => "was paused already, and still is. Its reason is the one that was given last",
        (true, false) => "is resumed",
        (false, false) => "was not paused, and nothing is changed",
    };
    terminal.sentence(&format!("{} {now}.", state.table));
}
