//! The one connection that the tables of an invocation share.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::{Error, ErrorCode, Result};

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
            Err(too_slow(&format!(
                "its statements took more than {} s",
                TURN_TIMEOUT.as_secs()
            )))
        })
    }
}

/// Makes the error of work that takes more than its share of an invocation.
pub(crate) fn too_slow(what: &str) -> Error {
    let message = format!("{what}: index the watermark column, and look for locks");
    Error::new(ErrorCode::DeadlineExceeded, message)
}
