//! The one connection that the tables of an invocation share.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::{Failure, Fault, Result, Role};

/// How long one table may keep the connection. A table that is locked or scanned must not use up the time of the
/// others.
pub(crate) const TURN_TIMEOUT: Duration = Duration::from_secs(80);

/// Turns on the one connection that all tables of an invocation share.
#[derive(Debug, Default)]
pub struct SharedConnection {
    turn: Mutex<()>,
}

impl SharedConnection {
    /// Waits for the table's turn, then runs `work`.
    ///
    /// Errors: `DeadlineExceeded` when `work` takes more than `TURN_TIMEOUT`, and those of `work`.
    pub async fn take_turn<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let _turn = self.turn.lock().await;
        tokio::time::timeout(TURN_TIMEOUT, work).await.unwrap_or_else(|_| {
            let what = format!("its statements took more than {} s", TURN_TIMEOUT.as_secs());
            Err(Failure::new(Fault::TimedOut, what).of(Role::Source))
        })
    }
}
