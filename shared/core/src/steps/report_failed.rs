//! The end of a run in which tables failed: their leases are given back, and the tables are counted.

use serde::{Deserialize, Serialize};

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
/// they expire. A lease that cannot be given back expires.
pub async fn report_failed<S>(
    store: &S,
    prefix: &str,
    request: ReportFailedRequest,
    context: RunContext,
) -> ReportedFailed
where
    S: ReadObjects + CreateObjects + ReplaceObjects,
{
    give_back(store, prefix, &request.run_id, context.leases, &request.failed).await;
    ReportedFailed {
        reported: request.failed.len(),
        tables: request.failed,
    }
}
