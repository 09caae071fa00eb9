//! Splitting a slice that did not fit into one invocation, instead of failing its table.
//!
//! The slice's own record decides that other slices are copied in its place (W2). A copy of the slice that is still
//! under way finds that record and gives its upload up, and a split that comes after a finished copy is dropped.

use serde::Deserialize;

use crate::error::Result;
use crate::ledger::{Decided, Lease, Ledger, Place};
use crate::model::lookup::Split;
use crate::model::names::ObjectName;
use crate::model::record::{Decision, Record};
use crate::model::slice_id::SliceId;
use crate::model::table::RunSettings;
use crate::model::window::WindowName;
use crate::planner::split::Splitter;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::ports::source::{CutSource, ProbeSource};
use crate::steps::context::{Measured, RunContext};
use crate::steps::tables::before;

/// The request to split a slice.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// The slice.
    pub split: SliceToSplit,
    /// The settings of the table that name what is run for it.
    #[serde(default)]
    pub settings: RunSettings,
}

/// The slice that did not fit.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceToSplit {
    /// The table.
    pub table: ObjectName,
    /// The window.
    pub window: WindowName,
    /// The slice.
    pub slice: SliceId,
}

impl SplitRequest {
    /// Returns the span with the fields that every line logged for this request has.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        let SliceToSplit { table, window, slice } = &self.split;
        tracing::info_span!("split", run_id = %self.run_id, %table, %window, %slice)
    }
}

impl Measured for Split {}

/// Splits the slice of the request, or finds what was decided of it meanwhile. There are no sub-slices when it was
/// copied after all.
///
/// # Errors
///
/// `LedgerInvalid` when the window has no plan, `InvalidInput` when there is no such slice, `DeadlineExceeded` when it
/// cannot be split, and the errors of the ports.
pub async fn split<P, S>(source: &P, place: Place<'_, S>, request: SplitRequest, context: RunContext) -> Result<Split>
where
    P: ProbeSource + CutSource,
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let SplitRequest {
        run_id,
        split: SliceToSplit { table, window, slice },
        settings,
    } = request;
    let ledger = Ledger::new(place, &table);
    let plan = ledger.frozen_plan(&window, &settings).await?;
    let bounds = ledger.slice(&plan, &slice).await?;
    let record = match ledger.decided(&plan, &slice).await? {
        Decided::Record(record) => record,
        Decided::NotYet(attempt) => {
            let splitter = Splitter::new(source, &plan, &settings, &attempt);
            // Boxed, because it is much larger than the rest.
            let slices = match before(context.time_to_answer(), Box::pin(splitter.split(&bounds))).await {
                Ok(slices) => slices,
                Err(error) => {
                    if !error.code().is_retryable() {
                        Lease::new(&ledger, &run_id, context.leases).try_to_give_back().await;
                    }
                    return Err(error);
                }
            };
            let decision = Decision::Split { slices };
            ledger.decide(Record::new(attempt, decision, run_id)).await?
        }
    };
    let slices: Vec<_> = record.sub_slices()?.into_iter().map(|sub_slice| sub_slice.id).collect();
    tracing::info!(%table, %window, %slice, sub_slices = slices.len(), "Slice split.");
    Ok(Split {
        table,
        window,
        slice,
        slices,
    })
}
