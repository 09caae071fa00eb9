//! The values that the steps measure, by name.

use crate::model::names::ObjectName;

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// The number of rows of a committed window.
    RowsCopied(u64),
    /// The number of bytes of a committed window's objects.
    BytesWritten(u64),
    /// The number of objects of a committed window.
    PartsWritten(u64),
    /// The number of rows committed on the source after their window was copied.
    LateRows(u64),
    /// The number of windows of which nobody knows whether they have late rows.
    LateRowsUnknown(u64),
    /// The seconds that the committed watermark is behind the clock; for time columns only.
    WatermarkLagSeconds(u64),
    /// The number of full loads of tracked tables whose version had expired.
    Reinitializations(u64),
    /// 1 for a table that failed in a run.
    TablesFailed(u64),
    /// 1 for a table of which a run has copied no more than its budget allowed.
    TablesStopped(u64),
    /// The number of tables that a run left alone because somebody has paused them.
    TablesPaused(u64),
    /// The number of tables that a run left alone because another run was copying them.
    TablesBusy(u64),
    /// The number of tables with a frozen window that wait for the next run, because a run can hold no more.
    TablesWaiting(u64),
    /// The number of tables of which a run saw that rows are in no window: those without a watermark, those that a
    /// security policy hides, and those that a view reads from another database.
    TablesIncomplete(u64),
}

/// The metric of a number of tables.
pub type OfTables = fn(u64) -> Metric;

/// What was measured of a table or, without one, of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// The table, or `None` for a run.
    pub table: Option<ObjectName>,
    /// The measured values.
    pub metrics: Vec<Metric>,
}

impl Measurement {
    /// Returns what a run measured of its tables, by the metric that counts them. Those of which there are none are left
    /// out.
    #[must_use]
    pub fn of_tables(tables: &[(OfTables, usize)]) -> Vec<Self> {
        let counted = tables.iter().filter(|(_, tables)| *tables > 0);
        let metrics: Vec<Metric> = counted.map(|(metric, tables)| metric(*tables as u64)).collect();
        if metrics.is_empty() {
            return Vec::new();
        }
        vec![Self { table: None, metrics }]
    }
}
