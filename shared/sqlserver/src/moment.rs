//! Measures time across the freezes of a process between two Lambda invocations.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A moment on both clocks of a process: during a freeze one may stand still, and the other may be set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    /// Returns the present moment.
    pub(crate) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Returns the time since this moment, by the clock that shows more of it.
    pub(crate) fn elapsed(self) -> Duration {
        self.monotonic.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn either_clock_may_stand_still_in_a_freeze() {
        let now = Moment::now();
        let earlier = Moment {
            wall: now.wall - Duration::from_secs(400),
            ..now
        };
        assert!(earlier.elapsed() >= Duration::from_secs(400));
        let set_back = Moment {
            wall: now.wall + Duration::from_secs(400),
            ..now
        };
        advance(Duration::from_secs(7)).await;
        assert_eq!(set_back.elapsed(), Duration::from_secs(7));
    }
}
