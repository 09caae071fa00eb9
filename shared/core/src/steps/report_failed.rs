//! The end of a run in which tables failed: their leases are given back, and the tables are counted.

use serde::{Deserialize, Serialize};

use crate::ledger::Place;
use crate::model::metric::{Measurement, Metric};
use crate::model::names::ObjectName;
use crate::ports::objects::{CreateObjects, ReadObjects, ReplaceObjects};
use crate::steps::context::{Measured, RunContext};
use crate::steps::leases::give_back;

/// The tables that failed.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReportFailedRequest {
    /// The run, which is the execution's name.
    pub run_id: String,
    /// The tables.
    pub failed: Vec<ObjectName>,
    /// Tables of a run that has ended, of which nobody knows whether they failed. Their leases are given back as those of
    /// the failed ones are, and they are not counted.
    #[serde(default)]
    pub leases: Vec<ObjectName>,
}

impl ReportFailedRequest {
    /// Returns the span with the fields that every line logged for this request has.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::info_span!("report_failed", run_id = %self.run_id, failed = self.failed.len())
    }
}

/// The answer that they are reported.
#[derive(Debug, Serialize)]
pub struct ReportedFailed {
    /// The number of tables.
    pub reported: usize,
    /// The tables.
    #[serde(skip)]
    tables: Vec<ObjectName>,
}

impl Measured for ReportedFailed {
    fn metrics(&self) -> Vec<Measurement> {
        let of_table = |table: &ObjectName| Measurement {
            table: Some(table.clone()),
            metrics: vec![Metric::TablesFailed(1)],
        };
        self.tables.iter().map(of_table).collect()
    }
}

/// Counts the tables that failed, and gives this run's leases of them back, so that the next run need not wait until
/// they expire. A lease that cannot be given back expires. Those of `leases` are given back as well.
pub async fn report_failed<S>(place: Place<'_, S>, request: ReportFailedRequest, context: RunContext) -> ReportedFailed
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    let tables = request.failed.iter().chain(&request.leases);
    give_back(place, &request.run_id, context.leases, tables).await;
    ReportedFailed {
        reported: request.failed.len(),
        tables: request.failed,
    }
}
