//! Trying again what may succeed later, and reporting that.

use std::pin::pin;
use std::sync::OnceLock;
use std::time::Duration;

use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};
use tidemark_sqlserver::session::{OPEN_AGAIN_AFTER, Server, Timeouts};

use super::board::{Board, Failed};
use crate::terminal::Terminal;
use crate::wiring::source::Source;

/// How long connecting may take before somebody is told of it.
const QUIETLY: Duration = Duration::from_secs(2);

/// How often something is tried, and how long the waits in between are.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempts {
    /// The number of attempts in all.
    most: u32,
    /// The wait before the second attempt. It doubles, up to a minute.
    first_wait: Duration,
}

impl Attempts {
    /// The attempts to reach the server when the command begins. They are few, because the person who waits wants to
    /// know soon.
    const TO_CONNECT: Self = Self {
        most: 4,
        first_wait: Duration::from_secs(1),
    };
    /// The attempts in the middle of a run, as the state machine makes them.
    pub(super) const OF_A_STEP: Self = Self {
        most: 6,
        first_wait: Duration::from_secs(5),
    };

    const LONGEST_WAIT: Duration = Duration::from_secs(60);

    /// Runs `work` until it succeeds, fails with an error that no retry helps, or has been tried often enough. `tell`
    /// is called with every failure that is followed by another attempt.
    pub(super) async fn run<T>(self, tell: impl Fn(&Error, Failed), work: impl AsyncFn() -> Result<T>) -> Result<T> {
        self.run_until(&OnceLock::new(), tell, work).await
    }

    /// Runs `work` in the same way, as long as nobody has found out that it is in vain: then the reason for that is the
    /// error, and nothing is waited for.
    pub(super) async fn run_until<T>(
        self,
        in_vain: &OnceLock<Error>,
        tell: impl Fn(&Error, Failed),
        work: impl AsyncFn() -> Result<T>,
    ) -> Result<T> {
        let mut wait = self.first_wait;
        let mut attempt = 1;
        loop {
            match work().await {
                Err(error) if error.code().is_retryable() && attempt < self.most => {
                    if let Some(reason) = in_vain.get() {
                        return Err(reason.clone());
                    }
                    let failed = Failed {
                        attempt,
                        most: self.most,
                        wait,
                    };
                    tell(&error, failed);
                    tokio::time::sleep(wait).await;
                    attempt += 1;
                    wait = (wait * 2).min(Self::LONGEST_WAIT);
                }
                answer => return answer,
            }
        }
    }
}

/// Connects before anything else, so that a wrong address is reported once and soon. `tell` is called with every
/// failure that is followed by another attempt. There is no other attempt when a name has no address, or when a login
/// or a certificate is refused.
pub(super) async fn reach_at_all(source: &Source, server: &Server, tell: impl Fn(&Error, Failed)) -> Result<()> {
    has_address(source).await?;
    let greet = async || server.greet().await.of(Role::Source);
    Attempts::TO_CONNECT.run(tell, greet).await.map(drop)
}

/// Connects as [`reach_at_all`] does, and notes on the board every failure that is followed by another attempt.
pub(crate) async fn reach(source: &Source, server: &Server, board: &Board) -> Result<()> {
    board.step(format!("Connecting to {}", source.name));
    let tell = |error: &Error, failed: Failed| board.tell(format!("{}. {failed}", error.report()));
    reach_at_all(source, server, tell).await
}

/// Connects as [`reach_at_all`] does, and writes every failure that is followed by another attempt, and that it takes
/// long.
pub(crate) async fn reach_and_tell(source: &Source, server: &Server, terminal: &Terminal) -> Result<()> {
    let tell = |error: &Error, failed: Failed| terminal.progress(&format!("{}. {failed}", error.report()));
    connecting(source, terminal, reach_at_all(source, server, tell)).await
}

/// Does what connects to a source, and says so when it takes long.
pub(crate) async fn connecting<T>(source: &Source, terminal: &Terminal, work: impl Future<Output = T>) -> T {
    let mut work = pin!(work);
    if let Ok(done) = tokio::time::timeout(QUIETLY, &mut work).await {
        return done;
    }
    terminal.progress(&format!(
        "Connecting to {}. A server that does not answer is given up after {} s; a database that cannot be opened is tried once \
         more after {} s.",
        source.name,
        Timeouts::LOOKUP.connect.as_secs(),
        OPEN_AGAIN_AFTER.as_secs()
    ));
    work.await
}

/// Checks that the host of the source has an address.
///
/// Errors: `InvalidInput`, because a name that has none is most often a wrong one.
pub(crate) async fn has_address(source: &Source) -> Result<()> {
    let (host, port) = (source.host.as_str(), source.port);
    if let Err(error) = tokio::net::lookup_host((host, port)).await {
        let message = format!("the host {host} has no address: check its name, and the DNS of this machine");
        return Err(Error::with_source(ErrorCode::InvalidInput, message, error));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use tidemark::error::ErrorCode;

    use super::*;

    #[tokio::test]
    async fn what_will_not_pass_is_not_tried_again() {
        let attempts = Attempts {
            most: 3,
            first_wait: Duration::ZERO,
        };
        for (code, expected) in [(ErrorCode::SourceUnavailable, 3), (ErrorCode::SourceRejected, 1)] {
            let (tries, told) = (Cell::new(0), RefCell::new(Vec::new()));
            let work = async || {
                tries.set(tries.get() + 1);
                Err::<(), _>(Error::new(code, "no"))
            };
            let tell = |_: &Error, failed: Failed| told.borrow_mut().push(failed);
            assert_eq!(attempts.run(tell, work).await.unwrap_err().code(), code);
            assert_eq!((tries.get(), told.borrow().len()), (expected, expected - 1));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_known_to_be_in_vain_is_not_waited_for() {
        let in_vain = OnceLock::new();
        let tries = Cell::new(0);
        let work = async || {
            tries.set(tries.get() + 1);
            if tries.get() == 2 {
                drop(in_vain.set(Error::new(ErrorCode::SourceUnavailable, "gone")));
            }
            Err::<(), _>(Error::new(ErrorCode::SourceUnavailable, "no"))
        };
        let began = tokio::time::Instant::now();
        let ended = Attempts::OF_A_STEP.run_until(&in_vain, |_, _| {}, work).await;
        assert_eq!((ended.unwrap_err().report().as_str(), tries.get()), ("gone", 2));
        assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
    }
}
