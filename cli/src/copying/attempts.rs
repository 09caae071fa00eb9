//! Trying again what may succeed later, and reporting that.

use std::time::Duration;

use tidemark::error::{Error, ErrorCode, OfRole, Result, Role};
use tidemark_sqlserver::session::Server;

use crate::terminal::Terminal;
use crate::wiring::source::Source;

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
    pub(super) async fn run<T>(self, tell: impl Fn(&Error, &str), work: impl AsyncFn() -> Result<T>) -> Result<T> {
        let mut wait = self.first_wait;
        let mut attempt = 1;
        loop {
            match work().await {
                Err(error) if error.code().is_retryable() && attempt < self.most => {
                    let next = format!(
                        "Attempt {attempt} of {} failed; the next is in {} s.",
                        self.most,
                        wait.as_secs()
                    );
                    tell(&error, &next);
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
pub(crate) async fn reach(source: &Source, server: &Server, tell: impl Fn(&Error, &str)) -> Result<()> {
    has_address(source).await?;
    let greet = async || server.greet().await.of(Role::Source);
    Attempts::TO_CONNECT.run(tell, greet).await.map(drop)
}

/// Connects as [`reach`] does, and writes every failure that is followed by another attempt.
pub(crate) async fn reach_and_tell(source: &Source, server: &Server, terminal: &Terminal) -> Result<()> {
    let tell = |error: &Error, next: &str| terminal.progress(&format!("{}. {next}", error.report()));
    reach(source, server, tell).await
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
            let tell = |_: &Error, next: &str| told.borrow_mut().push(next.to_owned());
            assert_eq!(attempts.run(tell, work).await.unwrap_err().code(), code);
            assert_eq!((tries.get(), told.borrow().len()), (expected, expected - 1));
        }
    }
}
