//! What a step knows of its invocation, and what it reports of its work.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::model::budget::Budget;
use crate::model::lease::Leases;
use crate::model::metric::Measurement;
use crate::model::moment::Moment;

/// The time that is kept back from an invocation for its answer.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(20);

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The number of bytes of the part that are uploaded so far.
    BytesUploaded(u64),
    /// The number of rows that are loaded beside the sink table so far.
    RowsLoaded(u64),
    /// The number of the tables of the run that the step is done with so far.
    TablesLookedUp(usize),
}

/// What a step knows of its invocation.
#[derive(Debug, Clone, Copy)]
pub struct RunContext {
    /// When the invocation began.
    pub now: OffsetDateTime,
    /// When the invocation will be ended by force. `None` when it is run by hand, and so never ended.
    pub deadline: Option<Instant>,
    /// A function that is told how far the step is.
    pub progress: fn(Progress),
    /// Whether the run takes the leases of its tables.
    pub leases: Leases,
    /// How much the run may copy.
    pub budget: Budget,
}

impl RunContext {
    /// Makes the context of an invocation that begins now, may take as long as it needs, and reports its progress to
    /// nobody.
    #[must_use]
    pub fn unbounded() -> Self {
        Self {
            now: OffsetDateTime::now_utc(),
            deadline: None,
            progress: |_| {},
            leases: Leases::Taken,
            budget: Budget::default(),
        }
    }

    /// Makes the same context without leases. The outcome is the same, whichever runs meet.
    #[must_use]
    pub fn without_leases() -> Self {
        Self {
            leases: Leases::Ignored,
            ..Self::unbounded()
        }
    }

    /// Returns `now` as the ledger's documents have it.
    #[must_use]
    pub fn moment(&self) -> Moment {
        Moment::of(self.now)
    }

    /// Returns the deadline less [`ANSWER_MARGIN`], or `None` without a deadline.
    #[must_use]
    pub fn time_to_answer(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        Some(deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline))
    }
}

/// The answer of a step.
pub trait Measured: Serialize {
    /// Returns what the step measured. By default that is nothing.
    fn metrics(&self) -> Vec<Measurement> {
        Vec::new()
    }
}
