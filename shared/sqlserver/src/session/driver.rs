//! What a driver of SQL Server does for a session, and how long it may take.

use std::fmt;
use std::time::Duration;

use tidemark::error::{Answer, Failure};
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

use crate::login::{Login, Proof};

/// The packet size that is requested: the largest that SQL Server accepts over an encrypted connection
/// (<https://learn.microsoft.com/en-us/sql/database-engine/configure-windows/configure-the-network-packet-size-server-configuration-option>).
pub(super) const PACKET_BYTES: u16 = 16_383;
/// The time within which a server must confirm that a statement is cancelled.
pub(super) const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// The limits for waiting on a SQL Server that sends nothing. The total duration of an answer has no limit here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// The limit for connecting, and again for TLS and the login together.
    pub connect: Duration,
    /// The limit for the next piece of an answer.
    pub silence: Duration,
}

impl Timeouts {
    /// The timeouts of statements with a short answer. Within the time that a lookup gives to one table, there is time
    /// after the silence to find out whether the server is there.
    pub const LOOKUP: Self = Self {
        connect: Duration::from_secs(15),
        silence: Duration::from_secs(60),
    };
    /// The timeouts of the rows of a slice. The first row may need a search through the whole table, or wait for a
    /// lock, so the silence may be longer.
    pub const ROWS: Self = Self {
        silence: Duration::from_secs(300),
        ..Self::LOOKUP
    };
    /// The timeouts of a merge into a sink table, which takes long, as does waiting for another merge. The invocation's
    /// deadline comes first.
    pub const MERGE: Self = Self {
        silence: Duration::from_secs(890),
        ..Self::LOOKUP
    };
}

/// The error of a driver, as far as a session tells one from another.
pub trait Silence: Sized {
    /// Makes the error that the server sent nothing for this long.
    fn of(limit: Duration) -> Self;
    /// Returns whether the error is that the server sent nothing for too long.
    fn is_silence(&self) -> bool;
}

/// The operations that a session needs from a driver.
#[expect(async_fn_in_trait, reason = "the drivers are those of this crate")]
pub trait Driver: Default + fmt::Debug {
    /// A connection that is logged in.
    type Connection;
    /// An error of the driver.
    type Error: Silence;

    /// Connects and logs in.
    async fn log_in(&self, login: &Login, proof: Proof<'_>, timeouts: Timeouts) -> Answer<Self::Connection>;
    /// Returns whether the server answers on a connection that was idle, and its session has no open transaction.
    async fn is_clean(connection: &mut Self::Connection) -> bool;
    /// Returns whether the connection is known to be broken.
    fn is_broken(connection: &Self::Connection) -> bool;
    /// Tells the server that the answer to the statement is no longer wanted; otherwise the statement may run on for
    /// minutes. The connection cannot be used afterwards.
    async fn cancel(connection: &mut Self::Connection);
    /// Closes a connection. If it is used, its statement may still be running and is [cancelled](Self::cancel) first,
    /// in a task of its own, because whoever drops a connection cannot wait.
    fn abandon(connection: Self::Connection, is_used: bool);
    /// Maps an error of the driver to a failure.
    fn failure(error: Self::Error) -> Failure;
}

/// Waits for work of a driver, at most for `limit`.
///
/// # Errors
///
/// [Silence] after that time.
pub(crate) async fn within<T, E: Silence>(limit: Duration, work: impl Future<Output = Result<T, E>>) -> Result<T, E> {
    tokio::time::timeout(limit, work)
        .await
        .unwrap_or_else(|_| Err(E::of(limit)))
}

/// Runs work of a driver without a subscriber. The work is boxed: the drivers' futures are large, and would make every
/// future that awaits them as large and, for the compiler, too deep.
pub(crate) fn unlogged<F: Future>(work: F) -> impl Future<Output = F::Output> {
    Box::pin(work).with_subscriber(NoSubscriber::new())
}
