//! The one connection that the tables of an invocation share: they take turns on it, or one question is asked about all
//! of them.

use std::time::Duration;

use tokio::sync::Mutex;

use crate::error::{Answer, Failure, Fault, Result, Role};

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

/// Asks one question about `expected` tables at once, in the time of one turn. Returns `None` when it is not answered for
/// all of them, and logs why. Each table is asked about by itself then, so that the failure is that of a single table.
pub(crate) async fn jointly<T>(
    what: &str,
    expected: usize,
    role: Role,
    asked: impl Future<Output = Answer<Vec<T>>>,
) -> Option<Vec<T>> {
    let cause = match tokio::time::timeout(TURN_TIMEOUT, asked).await {
        Ok(Ok(found)) if found.len() == expected => return Some(found),
        Ok(Ok(found)) => format!("the answer is about {} tables, not {expected}", found.len()),
        Ok(Err(failure)) => failure.of(role).report(),
        Err(_) => format!("there was no answer in {} s", TURN_TIMEOUT.as_secs()),
    };
    tracing::warn!(
        tables = expected,
        "{what} of all tables could not be asked for at once, and each is asked for alone: {cause}."
    );
    None
}
