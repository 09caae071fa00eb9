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

/// What is kept back from an invocation's time to answer.
pub const ANSWER_MARGIN: Duration = Duration::from_secs(20);

/// How far a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Bytes of the part uploaded so far.
    BytesUploaded(u64),
    /// Rows loaded beside the sink table so far.
    RowsLoaded(u64),
}

/// What a step knows of the invocation it runs in.
#[derive(Debug, Clone, Copy)]
pub struct RunContext {
    /// When the invocation began.
    pub now: OffsetDateTime,
    /// When the invocation will be ended by force; never, by hand.
    pub deadline: Option<Instant>,
    /// Is told how far the step is.
    pub progress: fn(Progress),
    /// Whether the run takes the leases of its tables.
    pub leases: Leases,
    /// How much the run may copy of a table.
    pub budget: Budget,
}

impl RunContext {
    /// An invocation that begins now and may take as long as it needs, and whose progress nobody watches.
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

    /// The same for who does without leases. Whatever meets, the outcome is the same.
    #[must_use]
    pub fn without_leases() -> Self {
        Self {
            leases: Leases::Ignored,
            ..Self::unbounded()
        }
    }

    /// `now` as the ledger's documents carry it, RFC 3339.
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

    /// The deadline less the time that is needed to answer.
    #[must_use]
    pub fn time_to_answer(&self) -> Option<Instant> {
        let deadline = self.deadline?;
        Some(deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline))
    }
}

/// The answer of a step.
pub trait Measured: Serialize {
    /// What the step measured.
    fn metrics(&self) -> Vec<Measurement> {
        Vec::new()
    }
}
