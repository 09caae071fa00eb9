//! What a step knows of the invocation it runs in, and what it tells of its work.

use std::time::Duration;

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use tokio::time::Instant;

use crate::error::{Error, ErrorCode, Result};
use crate::model::budget::Budget;
use crate::model::lease::Leases;
use crate::model::metric::Measurement;

/// This says what is kept back from an invocation's time to answer.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(20);

/// This says how far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// This counts the bytes of the part uploaded so far.
    BytesUploaded(u64),
    /// This counts the rows loaded beside the sink table so far.
    RowsLoaded(u64),
}

/// This says what a step knows of the invocation it runs in.
#[derive(Debug, Clone, Copy)]
pub struct RunContext {
    /// This says when the invocation began.
    pub now: OffsetDateTime,
    /// This says when the invocation will be ended by force; never, by hand.
    pub deadline: Option<Instant>,
    /// This is told how far the step is.
    pub progress: fn(Progress),
    /// This says whether the run takes the leases of its tables.
    pub leases: Leases,
    /// This says how much the run may copy of a table.
    pub budget: Budget,
}

impl RunContext {
    /// Returns an invocation that begins now and may take as long as it needs, and whose progress nobody watches.
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

    /// Returns the same for who does without leases. Whatever meets, the outcome is the same.
    #[must_use]
    pub fn without_leases() -> Self {
        Self {
            leases: Leases::Ignored,
            ..Self::unbounded()
        }
    }

    /// Returns `now` as the ledger's documents carry it, RFC 3339.
    ///
    /// # Errors
    ///
    /// `Internal` when the clock cannot be written so.
    pub fn timestamp(&self) -> Result<String> {
        self.now
            .replace_nanosecond(0)
            .ok()
            .and_then(|now| now.format(&Rfc3339).ok())
            .ok_or_else(|| Error::new(ErrorCode::Internal, "the clock cannot be written as RFC 3339"))
    }

    /// Returns the deadline less the time that is needed to answer.
    #[must_use]
    pub fn time_to_answer(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        Some(deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline))
    }
}

/// The answer of a step.
pub trait Measured: Serialize {
    /// Returns what the step measured.
    fn metrics(&self) -> Vec<Measurement> {
        Vec::new()
    }
}
