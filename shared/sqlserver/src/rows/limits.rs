//! How large a batch of rows becomes.

/// The limits at which a record batch is full; the first one that is reached counts. A single row may exceed the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchLimits {
    /// The largest number of rows in a batch.
    pub rows: usize,
    /// The bytes of values after which a batch is passed on.
    pub bytes: usize,
}

impl Default for BatchLimits {
    /// Gives the limits that were measured with ten mixed columns: 2 MiB take no more time than 8 MiB, and 20 MB less
    /// memory, because several batches are in memory at once.
    fn default() -> Self {
        Self {
            rows: 65_536,
            bytes: 2 * 1024 * 1024,
        }
    }
}
