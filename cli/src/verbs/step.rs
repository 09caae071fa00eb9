//! `step`, which runs one step by hand, with an event. What one step writes, the next one reads.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::lookup::CopyWindow;
use tidemark::model::pieces::PIECE_BYTES;
use tidemark::model::slice_id::SliceId;
use tidemark::steps::context::RunContext;
use tidemark::steps::copy::{CopyAnswer, CopyPorts, CopyRequest, copy};
use tidemark::steps::lookup_new::lookup_new;
use tidemark::steps::lookup_old::{LookupOldRequest, lookup_old};
use tidemark::steps::update::{UpdateAnswer, UpdatePorts, UpdateRequest, update};
use tidemark::steps::update_all::update_all;
use tidemark_files::encoder::Files;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;

use crate::copying::reach_and_tell;
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::tables_file;
use crate::terminal::Terminal;
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::{Source, SourceArgs};

/// The run id for an event that has none.
const BY_HAND: &str = "by-hand";

/// The arguments of `step`.
#[derive(Debug, Args)]
pub(crate) struct StepArgs {
    /// The step
    step: Step,
    /// The file with the event, or - for standard input: tables.json for the first step, what the step before wrote for the others
    #[arg(default_value = "-")]
    event: PathBuf,
    /// Copies windows at once, without the wait for transactions that are open: their rows may be in no window then
    #[arg(long)]
    no_wait: bool,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
}

/// The steps in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Step {
    /// Finds where the next window of each table starts.
    LookupOldWatermark,
    /// Finds how far each table has grown, and freezes its next window.
    LookupNewWatermark,
    /// Copies a slice, or every slice of the windows that were looked up.
    CopyDelta,
    /// Commits a window, or every window that was copied.
    UpdateWatermark,
}

impl Step {
    /// Returns what to do about an event that is empty.
    const fn when_empty(self) -> &'static str {
        match self {
            Self::LookupOldWatermark => "Give tables.json, which `tidemark init` proposes",
            Self::LookupNewWatermark | Self::CopyDelta | Self::UpdateWatermark => {
                "The step before wrote nothing, because it failed: its message says why"
            }
        }
    }
}

/// What the steps are given.
struct World<'a> {
    source: &'a Source,
    server: Server,
    sink: &'a Sink,
    watermarks: Watermarks<'a>,
}

/// Runs a step.
pub(crate) async fn step(arguments: &StepArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let event = tables_file::document(&arguments.event, arguments.step.when_empty())?;
    if !event.is_object() {
        let message =
            "the event is no object: give tables.json to the first step, and to the others what the step before wrote";
        return Err(Error::new(ErrorCode::InvalidInput, message).into());
    }
    let source = arguments.source.open().await?;
    let sink = arguments.sink.open()?;
    let world = World {
        server: source.server(),
        watermarks: arguments.sink.watermarks(&sink, source.writer())?,
        sink: &sink,
        source: &source,
    };
    reach_and_tell(&source, &world.server, terminal).await?;
    let answer = match arguments.step {
        Step::LookupOldWatermark => world.lookup_old(first_event(event, &arguments.event)?).await?,
        Step::LookupNewWatermark => world.lookup_new(event).await?,
        Step::CopyDelta => {
            if !arguments.no_wait {
                settle(&event, terminal).await?;
            }
            world.copy(event).await?
        }
        Step::UpdateWatermark => world.update(event).await?,
    };
    terminal.document(&answer);
    let failed = answer
        .get("failed")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        .unwrap_or_default();
    let classes = failed.iter().filter_map(|failed| failed["error"].as_str());
    Ok(classes.fold(ExitClass::Done, |class, name| {
        class.worse(ExitClass::of(name.parse().unwrap_or(ErrorCode::Internal)))
    }))
}

impl World<'_> {
    async fn lookup_old(&self, request: LookupOldRequest) -> Result<Value> {
        let run_id = request.run_id.clone();
        let place = self.sink.place();
        let answer = Box::pin(lookup_old(&self.watermarks, place, request, RunContext::unbounded())).await?;
        written(&answer, &run_id)
    }

    async fn lookup_new(&self, event: Value) -> Result<Value> {
        let run_id = run_of(&event);
        let failed = event.get("failed").cloned();
        let request = decoded(with(event, &run_id, &["failed", "paused", "notes"]))?;
        let place = self.sink.place();
        let answer = Box::pin(lookup_new(&self.server, place, request, RunContext::unbounded())).await?;
        Ok(joined(written(&answer, &run_id)?, failed))
    }

    /// Copies one slice, or all slices of the windows in an answer of the step before.
    async fn copy(&self, event: Value) -> Result<Value> {
        let run_id = run_of(&event);
        if event.get("windows").is_none() {
            let request = decoded(with(event, &run_id, &[]))?;
            return written(&self.copy_one(request).await?, &run_id);
        }
        let windows: Vec<CopyWindow> = decoded(event["windows"].clone())?;
        let (mut copied, mut failed) = (Vec::new(), Vec::new());
        for window in &windows {
            match self.copy_window(&run_id, window).await {
                Ok(slices) => copied.extend(slices),
                Err(error) => failed.push(failure(window, &error)),
            }
        }
        let is_copied = |window: &&CopyWindow| {
            failed
                .iter()
                .all(|failed: &Value| failed["table"] != json!(window.table))
        };
        let windows: Vec<&CopyWindow> = windows.iter().filter(is_copied).collect();
        let answer = json!({
            "run_id": run_id, "windows": windows, "empty": event["empty"], "copied": copied, "failed": failed,
        });
        Ok(joined(answer, event.get("failed").cloned()))
    }

    async fn copy_window(&self, run_id: &str, window: &CopyWindow) -> Result<Vec<CopyAnswer>> {
        let mut copied = Vec::new();
        for slice in (0_u32..).take(window.slices) {
            let request = CopyRequest {
                run_id: run_id.to_owned(),
                table: window.table.clone(),
                window: window.window.clone(),
                slice: SliceId::planned(slice),
                settings: window.settings.clone(),
                dry_run: false,
            };
            copied.push(self.copy_one(request).await?);
        }
        Ok(copied)
    }

    async fn copy_one(&self, request: CopyRequest) -> Result<CopyAnswer> {
        let sinks = self.source.sinks(request.settings.sink.iter());
        let ports = CopyPorts {
            reader: &mut RowReader::new(self.source.credential.clone()),
            files: &Files,
            sinks: &sinks,
            place: self.sink.place(),
            part_bytes: PIECE_BYTES,
        };
        Box::pin(copy(ports, request, RunContext::unbounded())).await
    }

    /// Commits one window, all empty windows, or all windows in an answer of the step before.
    async fn update(&self, event: Value) -> Result<Value> {
        let run_id = run_of(&event);
        if event.get("copied").is_none() {
            if event.get("windows").is_some() {
                let request = decoded(with(event, &run_id, &[]))?;
                let answer = Box::pin(update_all(self.ports(), request, RunContext::unbounded())).await?;
                return written(&answer, &run_id);
            }
            let request = decoded(with(event, &run_id, &[]))?;
            return written(&self.update_one(request).await?, &run_id);
        }
        let windows: Vec<CopyWindow> = decoded(event["windows"].clone())?;
        let (mut committed, mut failed) = (Vec::new(), Vec::new());
        for window in &windows {
            let request = UpdateRequest {
                run_id: run_id.clone(),
                table: window.table.clone(),
                window: window.window.clone(),
                settings: window.settings.clone(),
            };
            match self.update_one(request).await {
                Ok(answer) => committed.push(answer),
                Err(error) => failed.push(failure(window, &error)),
            }
        }
        let mut answer = json!({"run_id": run_id, "committed": committed, "failed": failed});
        if event["empty"].as_array().is_some_and(|empty| !empty.is_empty()) {
            let request = decoded(json!({"run_id": run_id, "windows": event["empty"]}))?;
            let empty = Box::pin(update_all(self.ports(), request, RunContext::unbounded())).await?;
            answer["advanced"] = json!(empty.advanced);
            answer = joined(answer, Some(json!(empty.failed)));
        }
        Ok(joined(answer, event.get("failed").cloned()))
    }

    async fn update_one(&self, request: UpdateRequest) -> Result<UpdateAnswer> {
        Box::pin(update(self.ports(), request, RunContext::unbounded())).await
    }

    const fn ports(&self) -> UpdatePorts<'_, Server, Watermarks<'_>, crate::wiring::store::Store> {
        UpdatePorts {
            source: &self.server,
            watermarks: &self.watermarks,
            place: self.sink.place(),
        }
    }
}

/// Reads the event of the first step: `tables.json`, with `defaults` and all, and beside it what any event has.
fn first_event(event: Value, path: &Path) -> Outcome<LookupOldRequest> {
    let run_id = run_of(&event);
    let dry_run = event.get("dry_run").cloned();
    let tables = tables_file::tables_in(&without(event, &["run_id", "dry_run"]), path)?;
    let dry_run = dry_run.map_or(Ok(false), decoded)?;
    Ok(LookupOldRequest {
        run_id,
        tables,
        dry_run,
    })
}

/// Waits as a run does, so that transactions that were open when the windows were frozen can commit: once, for the
/// longest wait of all windows.
async fn settle(event: &Value, terminal: &Terminal) -> Result<()> {
    let windows: Vec<CopyWindow> = match event.get("windows") {
        Some(windows) => decoded(windows.clone())?,
        None => return Ok(()),
    };
    let waits = windows.iter().filter(|window| window.slices > 0);
    let seconds = waits.map(|window| window.settle_seconds).max().unwrap_or_default();
    if seconds > 0 {
        terminal.progress(&format!(
            "Waiting {seconds} s, so that open transactions can commit, as a run does. --no-wait goes on at once."
        ));
        tokio::time::sleep(Duration::from_secs(seconds.into())).await;
    }
    Ok(())
}

fn run_of(event: &Value) -> String {
    event["run_id"].as_str().unwrap_or(BY_HAND).to_owned()
}

/// Returns the event without these fields.
fn without(mut event: Value, names: &[&str]) -> Value {
    if let Value::Object(fields) = &mut event {
        names.iter().for_each(|name| drop(fields.remove(*name)));
    }
    event
}

/// Returns the event with its run id, and without these fields.
fn with(event: Value, run_id: &str, names: &[&str]) -> Value {
    let mut event = without(event, names);
    if let Value::Object(fields) = &mut event {
        fields.insert("run_id".to_owned(), run_id.into());
    }
    event
}

fn decoded<T: DeserializeOwned>(event: Value) -> Result<T> {
    tidemark_lambda::runner::decode(event)
}

fn written(answer: &impl Serialize, run_id: &str) -> Result<Value> {
    let answer = serde_json::to_value(answer)
        .map_err(|error| Error::with_source(ErrorCode::Internal, "the answer cannot be written as JSON", error))?;
    Ok(with(answer, run_id, &[]))
}

/// Returns the answer with these failures beside its own.
fn joined(mut answer: Value, failed: Option<Value>) -> Value {
    if let (Some(Value::Array(own)), Some(Value::Array(more))) = (answer.get_mut("failed"), failed) {
        own.extend(more);
    }
    answer
}

fn failure(window: &CopyWindow, error: &Error) -> Value {
    json!({"table": window.table, "error": error.code().name(), "cause": error.report()})
}
