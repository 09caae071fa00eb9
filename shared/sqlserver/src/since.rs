//! Measures time across the freezes of a process between two Lambda invocations.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// The time since which something is so, on both clocks of a process: during a freeze one may stand still, and the
/// other may be set back.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Since {
    monotonic: Instant,
    wall: SystemTime,
}

impl Since {
    /// Returns the present time.
    pub(crate) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// Returns the time since then, by the clock that shows more of it.
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
        let now = Since::now();
        let earlier = Since {
            wall: now.wall - Duration::from_secs(400),
            ..now
        };
        assert!(earlier.elapsed() >= Duration::from_secs(400));
        let set_back = Since {
            wall: now.wall + Duration::from_secs(400),
            ..now
        };
        advance(Duration::from_secs(7)).await;
        assert_eq!(set_back.elapsed(), Duration::from_secs(7));
    }
}
