//! The four steps in the order of the state machine, over any ports.

use copy_delta::Response as Copied;
use lookup_new_watermark::{Response as Planned, SliceToSplit, SplitRequest};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::ledger::{SliceId, WindowName};
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::merge::MergeRows;
use tidemark::ports::objects::{CompleteObjects, CreateObjects, ReadObjects, StageObjects};
use tidemark::ports::rows::RowSource;
use tidemark::ports::source::{ProbeSource, SliceSource};
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::runner::RunContext;
use tidemark::steps::{EmptyWindow, FailedTable, Split};
use tidemark::table::TableSpec;
use update_watermark::{Advanced, AllRequest, Committed, Response as Updated};

/// How often the slices of a window are copied again before the table fails, as in the state machine.
const ROUNDS: usize = 3;

/// Everything the steps are given.
#[derive(Debug)]
pub struct Pipeline<'a, P, R, W, S, M = ()> {
    /// Probes and counts.
    pub source: &'a P,
    /// Rows.
    pub rows: R,
    /// The pointer.
    pub watermarks: &'a W,
    /// The bucket.
    pub store: &'a S,
    /// The prefix in the bucket.
    pub prefix: &'a str,
    /// The databases that tables are merged into; `()` without any.
    pub sinks: M,
}

/// What a run did.
#[derive(Debug, Default)]
pub struct Outcome {
    /// The windows committed.
    pub committed: Vec<Committed>,
    /// The tables without changes.
    pub unchanged: Vec<String>,
    /// The tables that failed in a lookup.
    pub failed: Vec<FailedTable>,
}

impl<P, R, W, S, M> Pipeline<'_, P, R, W, S, M>
where
    P: ProbeSource + SliceSource + ProbeChanges,
    R: RowSource,
    M: MergeRows,
    W: MoveWatermarks,
    S: ReadObjects + CreateObjects + StageObjects + CompleteObjects,
{
    /// One execution, as the state machine drives it. The first error of a window ends the run.
    pub async fn run(&mut self, run_id: &str, tables: &[TableSpec]) -> Result<Outcome> {
        let planned = self.plan(run_id, tables).await?;
        let mut outcome = Outcome {
            failed: planned.failed,
            ..Outcome::default()
        };
        outcome.unchanged = planned.unchanged.iter().map(ToString::to_string).collect();
        if !planned.empty.is_empty() {
            let advanced = self.update_all(run_id, planned.empty).await?;
            outcome
                .unchanged
                .extend(advanced.advanced.iter().map(ToString::to_string));
            outcome.failed.extend(advanced.failed);
        }
        for window in planned.windows {
            outcome.committed.push(
                self.copy_window(run_id, &window.table.to_string(), &window.window, window.slices)
                    .await?,
            );
        }
        Ok(outcome)
    }

    /// Both lookups.
    pub async fn plan(&self, run_id: &str, tables: &[TableSpec]) -> Result<Planned> {
        let context = RunContext::unbounded();
        let request = lookup_old_watermark::Request {
            run_id: run_id.into(),
            tables: tables.to_vec(),
            dry_run: false,
        };
        let looked_up =
            lookup_old_watermark::handle(self.watermarks, self.store, self.prefix, request, context).await?;
        let request = lookup_new_watermark::Request {
            run_id: run_id.into(),
            tables: looked_up.tables,
            dry_run: false,
        };
        let mut planned = lookup_new_watermark::handle(self.source, self.store, self.prefix, request, context).await?;
        planned.failed.extend(looked_up.failed);
        Ok(planned)
    }

    /// The slices of a window, then its commit.
    pub async fn copy_window(
        &mut self,
        run_id: &str,
        table: &str,
        window: &WindowName,
        slices: usize,
    ) -> Result<Committed> {
        let mut slices: Vec<SliceId> = (0_u32..).take(slices).map(SliceId::planned).collect();
        let mut rounds = 0;
        while rounds < ROUNDS {
            for slice in slices {
                match self.copy_slice(run_id, table, window, slice.clone()).await {
                    Err(error) if error.code() == ErrorCode::DeadlineExceeded => {
                        self.split(run_id, table, window, slice).await?;
                    }
                    copied => drop(copied?),
                }
            }
            match self.update(run_id, table, window).await? {
                Updated::Committed(committed) => return Ok(committed),
                Updated::Split(again) => slices = again.slices,
                Updated::Recopy(again) => {
                    slices = again.slices;
                    rounds += 1;
                }
            }
        }
        Err(Error::new(
            ErrorCode::Internal,
            "the uploads of the window keep expiring",
        ))
    }

    /// `lookup-new-watermark` for a slice that did not fit into its invocation.
    pub async fn split(&self, run_id: &str, table: &str, window: &WindowName, slice: SliceId) -> Result<Split> {
        let request = SplitRequest {
            run_id: run_id.into(),
            split: SliceToSplit {
                table: table.parse()?,
                window: window.clone(),
                slice,
            },
        };
        let context = RunContext::unbounded();
        let split = lookup_new_watermark::handle_split(self.source, self.store, self.prefix, request, context);
        Box::pin(split).await
    }

    /// `copy-delta` for one slice.
    pub async fn copy_slice(
        &mut self,
        run_id: &str,
        table: &str,
        window: &WindowName,
        slice: impl Into<SliceId>,
    ) -> Result<Copied> {
        let request = copy_delta::Request {
            run_id: run_id.into(),
            table: table.parse()?,
            window: window.clone(),
            slice: slice.into(),
            dry_run: false,
        };
        let context = RunContext::unbounded();
        let (rows, sinks) = (&mut self.rows, &self.sinks);
        copy_delta::handle(rows, sinks, self.store, self.prefix, 5 << 20, request, context).await
    }

    /// `update-watermark`.
    pub async fn update(&self, run_id: &str, table: &str, window: &WindowName) -> Result<Updated> {
        let request = update_watermark::Request {
            run_id: run_id.into(),
            table: table.parse()?,
            window: window.clone(),
        };
        let context = RunContext::unbounded();
        update_watermark::handle(self.source, self.watermarks, self.store, self.prefix, request, context).await
    }

    /// `update-watermark` for the windows in which nothing changed.
    pub async fn update_all(&self, run_id: &str, windows: Vec<EmptyWindow>) -> Result<Advanced> {
        let request = AllRequest {
            run_id: run_id.into(),
            windows,
        };
        let context = RunContext::unbounded();
        update_watermark::handle_all(self.source, self.watermarks, self.store, self.prefix, request, context).await
    }
}
