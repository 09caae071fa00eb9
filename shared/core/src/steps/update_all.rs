//! Committing the windows in which nothing changed, all those of a run in one invocation, so that the cost of an idle
//! run does not grow with the number of unchanged tables.

use std::fmt::Display;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode, Result};
use crate::model::lookup::EmptyWindow;
use crate::model::names::ObjectName;
use crate::model::table::RunSettings;
use crate::ports::objects::{CompleteObjects, CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::source::CountRows;
use crate::ports::watermarks::MoveWatermarks;
use crate::steps::context::{Measured, RunContext};
use crate::steps::tables::{FailedTable, Work, Worked, for_each_table};
use crate::steps::update::{ToCopy, UpdateAnswer, UpdatePorts, UpdateRequest, update};

/// The request to commit windows.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpdateAllRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// The windows, whose plans have no slices, as `lookup-new-watermark` named them.
    pub windows: Vec<EmptyWindow>,
}

impl UpdateAllRequest {
    /// Returns the span with the fields that every line logged for this request has.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("commit_empty", run_id = %self.run_id, windows = self.windows.len())
    }
}

/// All tables of the request: their watermarks moved, or failed.
#[derive(Debug, Serialize)]
pub struct UpdatedAll {
    /// The tables whose windows are committed.
    pub advanced: Vec<ObjectName>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

impl Measured for UpdatedAll {}

/// Commits every window of the request, each as [`update`] does.
///
/// # Errors
///
/// A retryable code when no window could be committed for now. The failure of a single table is in the answer.
pub async fn update_all<C, W, S>(
    ports: UpdatePorts<'_, C, W, S>,
    request: UpdateAllRequest,
    context: RunContext,
) -> Result<UpdatedAll>
where
    C: CountRows,
    W: MoveWatermarks,
    S: ReadObjects + CreateObjects + ReplaceObjects + CompleteObjects,
{
    let UpdateAllRequest { run_id, windows } = request;
    let Worked { done: advanced, failed } = for_each_table(
        Work::Commit,
        windows,
        context,
        |window| &window.table,
        async |EmptyWindow { table, window }: &EmptyWindow| {
            let request = UpdateRequest {
                run_id: run_id.clone(),
                table: table.clone(),
                window: window.clone(),
                settings: RunSettings::default(),
            };
            match update(ports, request, context).await? {
                UpdateAnswer::Committed(committed) => Ok(committed.table),
                UpdateAnswer::Recopy(ToCopy { slices, .. }) | UpdateAnswer::Split(ToCopy { slices, .. }) => {
                    let message = format!(
                        "window {window} of {table} has {} slices that have to be copied first",
                        slices.len()
                    );
                    Err(Error::new(ErrorCode::InvalidInput, message))
                }
                UpdateAnswer::Busy(busy) => {
                    let message = format!(
                        "window {window} of {table} is left to run {}, which copies the table",
                        busy.run_id
                    );
                    Err(Error::new(ErrorCode::InvalidInput, message))
                }
                UpdateAnswer::Paused(_) => {
                    let paused = |name: &dyn Display| {
                        format!("{name} is paused, and window {window} waits: `tidemark resume {table}`")
                    };
                    Err(Error::about(ErrorCode::InvalidInput, table, paused))
                }
                UpdateAnswer::Stopped(_) => {
                    let message = format!(
                        "the budget of {table} stopped the copy of window {window}: the next run goes on with it"
                    );
                    Err(Error::new(ErrorCode::InvalidInput, message))
                }
            }
        },
    )
    .await?;
    tracing::info!(
        run_id,
        advanced = advanced.len(),
        failed = failed.len(),
        "Windows without changes committed."
    );
    Ok(UpdatedAll { advanced, failed })
}
