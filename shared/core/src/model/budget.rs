//! How much a run may copy of one table.

use serde::{Deserialize, Serialize};

use crate::model::cost::Usd;
use crate::model::names::ObjectName;
use crate::model::window::WindowName;

/// This says how much a run may copy of one table; nothing limits it where nothing is said. Before a slice is begun,
/// what the run has copied of the window is held against it, so a run copies at least one slice, and what is under way
/// is finished. Slices whose uploads expired are copied again all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// No more rows than this.
    pub rows: Option<u64>,
    /// No more bytes of files than this.
    pub bytes: Option<u64>,
    /// No more US dollars than this, as they are [estimated](Usd::of_files) from what is copied.
    pub usd: Option<Usd>,
}

impl Budget {
    /// Returns whether there is no limit.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.rows.is_none() && self.bytes.is_none() && self.usd.is_none()
    }

    /// Returns whether so much is all there was.
    #[must_use]
    pub fn is_spent(&self, spent: Spent) -> bool {
        self.rows.is_some_and(|rows| spent.rows >= rows)
            || self.bytes.is_some_and(|bytes| spent.bytes >= bytes)
            || self.usd.is_some_and(|usd| spent.slices > 0 && spent.usd() >= usd)
    }
}

/// This says what a run has copied of a window.
///
/// The run counts it in the lease of the table, slice by slice, so that to know it costs one read. What is under way is not counted
/// yet, and a slice whose invocation dies before it has counted never is: a run may copy so much more than its budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// This counts the rows.
    pub rows: u64,
    /// This counts the bytes of files.
    pub bytes: u64,
    /// This counts the slices.
    pub slices: u64,
}

impl Spent {
    /// Returns about what it cost.
    #[must_use]
    pub fn usd(&self) -> Usd {
        Usd::of_files(self.bytes, self.slices)
    }

    /// Returns whether it is nothing.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.rows == 0 && self.bytes == 0 && self.slices == 0
    }
}

impl std::ops::Add for Spent {
    type Output = Self;

    fn add(self, more: Self) -> Self {
        Self {
            rows: self.rows.saturating_add(more.rows),
            bytes: self.bytes.saturating_add(more.bytes),
            slices: self.slices.saturating_add(more.slices),
        }
    }
}

/// This is a table whose budget is spent. The next run goes on with the slices that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoppedTable {
    /// This is the table.
    pub table: ObjectName,
    /// This is the window, of which readers see nothing yet.
    pub window: WindowName,
    /// This counts the rows that this run has copied of it.
    pub rows: u64,
    /// This counts the bytes of their files.
    pub bytes: u64,
    /// This is about what they cost.
    pub usd: Usd,
    /// This counts the slices that are left.
    pub slices_left: usize,
}
