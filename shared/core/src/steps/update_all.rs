//! Committing the windows in which nothing changed, all of a run's in one invocation: what an idle run costs must not
//! grow with the number of tables that have not changed.

use serde::{Deserialize, Serialize};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::ObjectName;
use tidemark::ports::objects::{CompleteObjects, CreateObjects, ReadObjects};
use tidemark::ports::source::CountSource;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::runner::{Answer, RunContext};
use tidemark::steps::{EmptyWindow, FailedTable, Turns, for_each_table};

use crate::{Request, Response, ToCopy, handle};

/// The windows to commit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AllRequest {
    /// The run, the execution's name.
    pub run_id: String,
    /// Windows whose plans have no slices, as `lookup-new-watermark` named them.
    pub windows: Vec<EmptyWindow>,
}

impl AllRequest {
    /// What every line logged for this request says.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("commit_empty", run_id = %self.run_id, windows = self.windows.len())
    }
}

/// All tables: their watermarks moved, or failed.
#[derive(Debug, Serialize)]
pub struct Advanced {
    /// The tables whose windows are committed.
    pub advanced: Vec<ObjectName>,
    /// The tables that failed.
    pub failed: Vec<FailedTable>,
}

impl Answer for Advanced {}

/// Commits every window of the request, each as [`handle`] does.
///
/// Errors: retryable codes when no window could be committed for now. What fails for one table is in the answer.
pub async fn handle_all<C, W, S>(
    source: &C,
    watermarks: &W,
    store: &S,
    prefix: &str,
    request: AllRequest,
    context: RunContext,
) -> Result<Advanced>
where
    C: CountSource,
    W: MoveWatermarks,
    S: ReadObjects + CreateObjects + CompleteObjects,
{
    let AllRequest { run_id, windows } = request;
    let (advanced, failed) = for_each_table(
        windows,
        context.deadline,
        |window| &window.table,
        async |EmptyWindow { table, window }: &EmptyWindow, _: &Turns| {
            let request = Request {
                run_id: run_id.clone(),
                table: table.clone(),
                window: window.clone(),
            };
            match handle(source, watermarks, store, prefix, request, context).await? {
                Response::Committed(committed) => Ok(committed.table),
                Response::Recopy(ToCopy { slices, .. }) | Response::Split(ToCopy { slices, .. }) => {
                    let message = format!("window {window} of {table} has {} slices to copy first", slices.len());
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
    Ok(Advanced { advanced, failed })
}
