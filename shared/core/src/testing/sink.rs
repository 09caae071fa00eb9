//! A table that slices are merged into, in memory.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::OwnedMutexGuard;

use super::files::{MemoryBatch, MemoryValue};
use crate::error::{Answer, Error, ErrorCode};
use crate::ports::sink_table::{MergeRows, Merged, SliceToMerge, StagedRows};

/// A table into which the rows of a [`MemoryTable`](super::MemoryTable) are merged. `v / 10` is the key of a row, and
/// the row of a key is the one that was merged last or, where the sink compares, the greatest.
#[derive(Debug, Clone, Default)]
pub struct MemorySink {
    rows: Arc<Mutex<BTreeMap<i64, i64>>>,
    lock: Arc<tokio::sync::Mutex<()>>,
    compares: bool,
}

impl MemorySink {
    /// Makes an empty table. One that does not compare stands for a procedure that is not told the keys.
    #[must_use]
    pub fn new(compares: bool) -> Self {
        Self {
            compares,
            ..Self::default()
        }
    }

    /// Returns a table of its own with the present content of this one.
    #[must_use]
    pub fn copied(&self) -> Self {
        Self {
            rows: Arc::new(Mutex::new(self.rows())),
            ..Self::new(self.compares)
        }
    }

    /// Returns the rows by key.
    pub fn rows(&self) -> BTreeMap<i64, i64> {
        self.locked().clone()
    }

    fn locked(&self) -> MutexGuard<'_, BTreeMap<i64, i64>> {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl MergeRows for MemorySink {
    type Batch = MemoryBatch;
    type Staged = MemoryStaged;

    async fn stage(&self, _slice: &SliceToMerge<'_>) -> Answer<MemoryStaged> {
        Ok(MemoryStaged {
            sink: self.clone(),
            rows: Vec::new(),
            lock: None,
        })
    }
}

/// Rows beside a [`MemorySink`].
#[derive(Debug)]
pub struct MemoryStaged {
    sink: MemorySink,
    rows: Vec<i64>,
    lock: Option<OwnedMutexGuard<()>>,
}

impl StagedRows<MemoryBatch> for MemoryStaged {
    async fn load(&mut self, batch: MemoryBatch) -> Answer<u64> {
        let numbers = batch.0.iter().filter_map(|row| match row.first() {
            Some(MemoryValue::Number(number)) => Some(*number),
            _ => None,
        });
        self.rows.extend(numbers);
        Ok(batch.0.len() as u64)
    }

    async fn lock(&mut self) -> Answer<()> {
        self.lock = Some(Arc::clone(&self.sink.lock).lock_owned().await);
        Ok(())
    }

    async fn merge(&mut self) -> Answer<Merged> {
        if self.lock.is_none() {
            return Err(Error::new(ErrorCode::Internal, "merged without the lock").into());
        }
        let mut merged = Merged::default();
        let mut rows = self.sink.locked();
        for &row in &self.rows {
            match rows.insert(row / 10, row) {
                Some(there) if self.sink.compares && there > row => {
                    rows.insert(row / 10, there);
                }
                Some(_) => merged.updated += 1,
                None => merged.inserted += 1,
            }
        }
        Ok(merged)
    }

    async fn release(self) {}
}
