//! What the steps measure, by name. All metrics are per table.

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
    /// How far the committed watermark is behind the clock; time columns only.
    WatermarkLagSeconds(u64),
    /// Full loads of a tracked table whose version had expired.
    Reinitializations(u64),
}

/// The metrics of one table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableMetrics {
    /// The table's name.
    pub table: String,
    /// What was measured.
    pub metrics: Vec<Metric>,
}
