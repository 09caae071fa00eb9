//! How much a run may copy.

use serde::{Deserialize, Serialize};

use crate::model::cost::{CopyMemory, Usd};
use crate::model::names::ObjectName;
use crate::model::window::WindowName;

/// How much a run may copy, of all its tables together. A field that is `None` sets no limit.
///
/// Before a slice is begun, what the run has copied so far is compared with the budget. A run therefore copies at least
/// one slice, and slices that are under way are finished. Slices whose uploads expired are copied again all the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Budget {
    /// The most rows.
    pub rows: Option<u64>,
    /// The most bytes of files.
    pub bytes: Option<u64>,
    /// The most US dollars, as they are [estimated](Usd::of_files) from what is copied.
    pub usd: Option<Usd>,
    /// The memory of copy-delta, for the estimate.
    pub memory: CopyMemory,
}

impl Budget {
    /// Returns whether there is no limit.
    #[must_use]
    pub const fn is_unlimited(&self) -> bool {
        self.rows.is_none() && self.bytes.is_none() && self.usd.is_none()
    }

    /// Returns whether `spent` has reached one of the limits.
    #[must_use]
    pub fn is_spent(&self, spent: Spent) -> bool {
        self.rows.is_some_and(|rows| spent.rows >= rows)
            || self.bytes.is_some_and(|bytes| spent.bytes >= bytes)
            || self
                .usd
                .is_some_and(|usd| spent.slices > 0 && spent.usd(self.memory) >= usd)
    }
}

/// What a run has copied.
///
/// The run counts it in its own lease, slice by slice, so that one read tells it. A slice that is under way is not
/// counted yet, and a slice whose invocation dies before it has counted never is: by so much a run may exceed its
/// budget.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spent {
    /// The number of rows.
    pub rows: u64,
    /// The number of bytes of files.
    pub bytes: u64,
    /// The number of slices.
    pub slices: u64,
}

impl Spent {
    /// Returns the estimated cost of it.
    #[must_use]
    pub fn usd(&self, memory: CopyMemory) -> Usd {
        Usd::of_files(self.bytes, self.slices, memory)
    }

    /// Returns whether nothing was copied. Serde takes it by reference.
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

/// A table that is left because the run's budget is spent. The next run goes on with the slices that are left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StoppedTable {
    /// The table.
    pub table: ObjectName,
    /// The window, of which readers see nothing yet.
    pub window: WindowName,
    /// The number of rows that this run had copied by then, of all its tables.
    pub rows: u64,
    /// The number of bytes of their files.
    pub bytes: u64,
    /// The estimated cost of them.
    pub usd: Usd,
    /// The number of slices of the window that are left.
    pub slices_left: usize,
}
