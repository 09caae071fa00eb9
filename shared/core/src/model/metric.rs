//! What the steps measure, by name.

use crate::model::names::ObjectName;

/// This is a measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// This counts the rows of a committed window.
    RowsCopied(u64),
    /// This counts the bytes of a committed window's objects.
    BytesWritten(u64),
    /// This counts the objects of a committed window.
    PartsWritten(u64),
    /// This counts the rows committed on the source after their window was copied.
    LateRows(u64),
    /// This counts the windows of which nobody knows whether they have late rows.
    LateRowsUnknown(u64),
    /// This says how far the committed watermark is behind the clock; time columns only.
    WatermarkLagSeconds(u64),
    /// This counts the full loads of a tracked table whose version had expired.
    Reinitializations(u64),
    /// Tables of a run that failed.
    TablesFailed(u64),
}

/// This says what was measured of a table or, without one, of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// This is the table.
    pub table: Option<ObjectName>,
    /// This says what was measured.
    pub metrics: Vec<Metric>,
}
