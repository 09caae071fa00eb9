//! What the steps measure, by name.

use crate::model::names::ObjectName;

/// A measured value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Metric {
    /// Rows of a committed window.
    RowsCopied(u64),
    /// Bytes of a committed window's objects.
    BytesWritten(u64),
    /// Objects of a committed window.
    PartsWritten(u64),
    /// Rows committed on the source after their window was copied.
    LateRows(u64),
    /// Windows of which nobody knows whether they have late rows.
    LateRowsUnknown(u64),
    /// How far the committed watermark is behind the clock; time columns only.
    WatermarkLagSeconds(u64),
    /// Full loads of a tracked table whose version had expired.
    Reinitializations(u64),
    /// Tables of a run that failed.
    TablesFailed(u64),
}

/// What was measured of a table or, without one, of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measurement {
    /// The table.
    pub table: Option<ObjectName>,
    /// What was measured.
    pub metrics: Vec<Metric>,
}
