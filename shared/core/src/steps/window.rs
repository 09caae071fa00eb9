//! The way of one window through a run: its slices are copied, and it is committed. Where the commit finds slices that
//! were split, or whose uploads are gone, these are copied, and it is committed again.
//!
//! The state machine takes the same way on AWS (`infra/incremental-copy.asl.json`).

use crate::error::{Error, ErrorCode, Result};
use crate::model::budget::StoppedTable;
use crate::model::left_alone::TableLeftAlone;
use crate::model::slice_id::SliceId;
use crate::steps::update::{Committed, UpdateAnswer};

/// How often the uploads of a window may be gone at commit before the table fails, as in the state machine.
const ROUNDS: usize = 3;

/// What became of a window of a run.
#[derive(Debug)]
pub enum WindowOutcome {
    /// The window is committed.
    Committed(Committed),
    /// The window is left to another run, or until its table is resumed.
    LeftAlone(TableLeftAlone),
    /// The budget of the run is spent.
    Stopped(StoppedTable),
}

impl WindowOutcome {
    /// Returns the committed window, if it is one.
    #[must_use]
    pub fn committed(self) -> Option<Committed> {
        match self {
            Self::Committed(committed) => Some(committed),
            Self::LeftAlone(_) | Self::Stopped(_) => None,
        }
    }
}

/// Does the steps of one window.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CopyWindowWork {
    /// Copies these slices, and splits a slice that takes too long.
    async fn slices(&mut self, slices: Vec<SliceId>) -> Result<()>;
    /// Commits the window, as far as it can be committed.
    async fn commit(&mut self) -> Result<UpdateAnswer>;
}

/// Copies a window that was planned with so many slices, and commits it.
///
/// # Errors
///
/// `SinkRejected` when its uploads are gone at the third commit, and the errors of the steps.
pub async fn copy_window(work: &mut impl CopyWindowWork, slices: usize) -> Result<WindowOutcome> {
    let mut slices: Vec<SliceId> = (0_u32..).take(slices).map(SliceId::planned).collect();
    let mut rounds = 0;
    loop {
        work.slices(slices).await?;
        match work.commit().await? {
            UpdateAnswer::Committed(committed) => return Ok(WindowOutcome::Committed(committed)),
            UpdateAnswer::Stopped(stopped) => return Ok(WindowOutcome::Stopped(stopped)),
            UpdateAnswer::Busy(busy) => return Ok(WindowOutcome::LeftAlone(TableLeftAlone::Busy(busy))),
            UpdateAnswer::Paused(paused) => return Ok(WindowOutcome::LeftAlone(TableLeftAlone::Paused(paused))),
            UpdateAnswer::Split(again) => slices = again.slices,
            UpdateAnswer::Recopy(again) => {
                rounds += 1;
                if rounds == ROUNDS {
                    let message = "the uploads of the window keep expiring: the bucket's lifecycle rule is too short, or something aborts \
                                   uploads";
                    return Err(Error::new(ErrorCode::SinkRejected, message));
                }
                slices = again.slices;
            }
        }
    }
}
