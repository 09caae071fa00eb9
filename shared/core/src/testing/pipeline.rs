//! A whole run in one process: the four steps in the order of the state machine, one after another, over any ports. It does not wait
//! for open transactions.

use crate::error::{ErrorCode, Result};
use crate::ledger::Place;
use crate::model::budget::StoppedTable;
use crate::model::left_alone::TablesLeftAlone;
use crate::model::lookup::{EmptyWindow, Split};
use crate::model::names::ObjectName;
use crate::model::slice_id::SliceId;
use crate::model::table::TableSpec;
use crate::ports::changes::ProbeChanges;
use crate::ports::files::EncodeFiles;
use crate::ports::objects::{AskBucket, CompleteObjects, CreateObjects, ReadObjects, ReplaceObjects, UploadObjects};
use crate::ports::rows::{ExplainRows, ReadRows};
use crate::ports::sink_table::MergeRows;
use crate::ports::source::{CutSource, ProbeSource};
use crate::ports::watermarks::MoveWatermarks;
use crate::steps::context::RunContext;
use crate::steps::copy::{CopyAnswer, CopyPorts, copy};
use crate::steps::lookup_new::{LookupNewRequest, NewWatermarks, lookup_new};
use crate::steps::lookup_old::{LookupOldRequest, lookup_old};
use crate::steps::split::split;
use crate::steps::tables::FailedTable;
use crate::steps::update::{Committed, UpdateAnswer, UpdatePorts, update};
use crate::steps::update_all::{UpdateAllRequest, UpdatedAll, update_all};
use crate::steps::window::{CopyWindowWork, WindowOutcome, copy_window};
use crate::steps::window_of_run::WindowOfRun;

/// Everything that the steps are given.
#[derive(Debug)]
pub struct Pipeline<'a, P, R, W, S, E, M> {
    /// The source, to probe it and to count its rows.
    pub source: &'a P,
    /// The source, to read its rows.
    pub reader: R,
    /// The pointer.
    pub watermarks: &'a W,
    /// Where the table's files and its ledger are.
    pub place: Place<'a, S>,
    /// The maker of files of the rows.
    pub files: E,
    /// The databases that tables are merged into, or [`NoSinks`](crate::ports::sink_table::NoSinks).
    pub sinks: M,
    /// The size of an upload's pieces in bytes.
    pub part_bytes: usize,
    /// When the steps run, whether they take leases, and what else they know of the invocation.
    pub context: RunContext,
}

/// The size of an upload's pieces: the smallest that S3 takes.
const PART_BYTES: usize = 5 << 20;

impl<'a, P, R, W, S, E, M> Pipeline<'a, P, R, W, S, E, M> {
    /// Makes the steps over these ports. They take no leases, and upload pieces of 5 MiB.
    pub fn new(source: &'a P, reader: R, watermarks: &'a W, place: Place<'a, S>, files: E, sinks: M) -> Self {
        Self {
            source,
            reader,
            watermarks,
            place,
            files,
            sinks,
            part_bytes: PART_BYTES,
            context: RunContext::without_leases(),
        }
    }
}

/// What a run did.
#[derive(Debug, Default)]
pub struct RunOutcome {
    /// The committed windows.
    pub committed: Vec<Committed>,
    /// The tables without changes.
    pub unchanged: Vec<ObjectName>,
    /// The tables that failed in a step over all tables.
    pub failed: Vec<FailedTable>,
    /// The tables that were left alone.
    pub left_alone: TablesLeftAlone,
    /// The tables that are left because the run's budget is spent.
    pub stopped: Vec<StoppedTable>,
}

/// One window, which a pipeline copies.
struct OneWindow<'a, T> {
    pipeline: &'a mut T,
    run_id: &'a str,
    window: &'a WindowOfRun,
}

impl<P, R, W, S, E, M> Pipeline<'_, P, R, W, S, E, M>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    R: ReadRows + ExplainRows,
    W: MoveWatermarks,
    S: ReadObjects + AskBucket + CreateObjects + ReplaceObjects + UploadObjects + CompleteObjects,
    E: EncodeFiles<Batch = R::Batch>,
    M: MergeRows<Batch = R::Batch>,
{
    /// Runs one execution, as the state machine does. The first error of a window ends the run.
    ///
    /// # Errors
    ///
    /// Those of the steps.
    pub async fn run(&mut self, run_id: &str, tables: &[TableSpec]) -> Result<RunOutcome> {
        let planned = self.plan(run_id, tables).await?;
        let mut outcome = RunOutcome {
            failed: planned.failed,
            unchanged: planned.unchanged,
            left_alone: planned.left_alone,
            ..RunOutcome::default()
        };
        if !planned.empty.is_empty() {
            let updated = self.update_all(run_id, planned.empty).await?;
            outcome.unchanged.extend(updated.advanced);
            outcome.failed.extend(updated.failed);
        }
        for window in planned.windows {
            let of_run = WindowOfRun::from(&window);
            match self.copy_window(run_id, &of_run, window.slices).await? {
                WindowOutcome::Committed(committed) => outcome.committed.push(committed),
                WindowOutcome::Stopped(stopped) => outcome.stopped.push(stopped),
                WindowOutcome::LeftAlone(left_alone) => outcome.left_alone.push(left_alone),
            }
        }
        Ok(outcome)
    }

    /// Does both lookups.
    ///
    /// # Errors
    ///
    /// Those of the steps.
    pub async fn plan(&self, run_id: &str, tables: &[TableSpec]) -> Result<NewWatermarks> {
        let context = self.context;
        let request = LookupOldRequest {
            run_id: run_id.into(),
            tables: tables.to_vec(),
            dry_run: false,
        };
        let old = lookup_old(self.watermarks, self.place, request, context).await?;
        let request = LookupNewRequest {
            run_id: run_id.into(),
            tables: old.tables,
            dry_run: false,
        };
        let mut new = lookup_new(self.source, self.place, request, context).await?;
        new.failed.extend(old.failed);
        new.left_alone.paused.extend(old.paused);
        Ok(new)
    }

    /// Copies the slices of a window, then commits it.
    ///
    /// # Errors
    ///
    /// Those of the steps.
    pub async fn copy_window(&mut self, run_id: &str, window: &WindowOfRun, slices: usize) -> Result<WindowOutcome> {
        let pipeline = self;
        copy_window(
            &mut OneWindow {
                pipeline,
                run_id,
                window,
            },
            slices,
        )
        .await
    }

    /// Does what `lookup-new-watermark` does for a slice that did not fit into its invocation.
    ///
    /// # Errors
    ///
    /// Those of the step.
    pub async fn split(&self, run_id: &str, window: &WindowOfRun, slice: SliceId) -> Result<Split> {
        let (request, context) = (window.to_split(run_id, slice), self.context);
        Box::pin(split(self.source, self.place, request, context)).await
    }

    /// Does what `copy-delta` does for one slice.
    ///
    /// # Errors
    ///
    /// Those of the step.
    pub async fn copy_slice(
        &mut self,
        run_id: &str,
        window: &WindowOfRun,
        slice: impl Into<SliceId>,
    ) -> Result<CopyAnswer> {
        let ports = CopyPorts {
            reader: &mut self.reader,
            files: &self.files,
            sinks: &self.sinks,
            place: self.place,
            part_bytes: self.part_bytes,
        };
        Box::pin(copy(ports, window.to_copy(run_id, slice.into()), self.context)).await
    }

    /// Does what `update-watermark` does for one window.
    ///
    /// # Errors
    ///
    /// Those of the step.
    pub async fn update(&self, run_id: &str, window: &WindowOfRun) -> Result<UpdateAnswer> {
        update(self.update_ports(), window.to_update(run_id), self.context).await
    }

    /// Does what `update-watermark` does for the windows in which nothing changed.
    ///
    /// # Errors
    ///
    /// Those of the step.
    pub async fn update_all(&self, run_id: &str, windows: Vec<EmptyWindow>) -> Result<UpdatedAll> {
        let request = UpdateAllRequest {
            run_id: run_id.into(),
            windows,
        };
        update_all(self.update_ports(), request, self.context).await
    }

    const fn update_ports(&self) -> UpdatePorts<'_, P, W, S> {
        UpdatePorts {
            source: self.source,
            watermarks: self.watermarks,
            place: self.place,
        }
    }
}

impl<P, R, W, S, E, M> CopyWindowWork for OneWindow<'_, Pipeline<'_, P, R, W, S, E, M>>
where
    P: ProbeSource + CutSource + ProbeChanges + ExplainRows,
    R: ReadRows + ExplainRows,
    W: MoveWatermarks,
    S: ReadObjects + AskBucket + CreateObjects + ReplaceObjects + UploadObjects + CompleteObjects,
    E: EncodeFiles<Batch = R::Batch>,
    M: MergeRows<Batch = R::Batch>,
{
    async fn slices(&mut self, slices: Vec<SliceId>) -> Result<()> {
        let Self { run_id, window, .. } = *self;
        for slice in slices {
            match self.pipeline.copy_slice(run_id, window, slice.clone()).await {
                Err(error) if error.code() == ErrorCode::DeadlineExceeded => {
                    self.pipeline.split(run_id, window, slice).await?;
                }
                copied => drop(copied?),
            }
        }
        Ok(())
    }

    async fn commit(&mut self) -> Result<UpdateAnswer> {
        self.pipeline.update(self.run_id, self.window).await
    }
}
