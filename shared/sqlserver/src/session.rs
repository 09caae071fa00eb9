//! The one way to a SQL Server: connect, keep, probe, time out, cancel, map errors; for every use and both drivers.
//!
//! A [`Session`] opens its connection when it is first needed, and again after a failure. What it does with the wire, a
//! [`Driver`] does for it. A warm process [keeps](KeptConnection) the connection for the next invocation.
//!
//! Both drivers write what servers say into logs, values of rows included, so everything a driver does runs without a
//! subscriber.

mod kept_connection;
mod mssql_driver;
#[cfg(test)]
mod sign_in_tests;
mod tiberius_driver;
#[cfg(test)]
mod tls_tests;

use std::fmt;
use std::time::Duration;

use tidemark::error::{Answer, Error, ErrorCode, Failure, Fault};
use tokio::sync::Mutex;
use tokio::time::Instant;
use tracing::instrument::WithSubscriber;
use tracing::subscriber::NoSubscriber;

pub use self::kept_connection::{KeptConnection, Opened};
pub use self::mssql_driver::{Mssql, MssqlClient};
pub(crate) use self::mssql_driver::{parameters, within};
pub use self::tiberius_driver::{Tiberius, TiberiusClient};
use crate::errors;
use crate::login::{Credential, Login, Proof};
use crate::masks::MaskSecret;

/// The packets asked for: the most that SQL Server takes over an encrypted connection
/// (<https://learn.microsoft.com/en-us/sql/database-engine/configure-windows/configure-the-network-packet-size-server-configuration-option>).
const PACKET_BYTES: u16 = 16_383;
/// How long a server that could not be reached is left alone.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// How long a kept connection has to answer. A server in reach takes milliseconds; a lost packet is sent again twice in this
/// time; and where nothing comes back it is all that is lost.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// How long a server has to hear that nobody waits for a statement any more.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long a SQL Server that says nothing is waited for. How long it takes to say much does not matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect, and again to agree on TLS and log in.
    pub connect: Duration,
    /// For the next piece of an answer.
    pub silence: Duration,
}

impl Timeouts {
    /// Of statements with a short answer. After the silence it is seen whether the server is there, within a table's turn
    /// of a lookup.
    pub const LOOKUP: Self = Self {
        connect: Duration::from_secs(15),
        silence: Duration::from_secs(60),
    };
    /// Of the rows of a slice: a row that is looked for in a whole table, or waits for a lock, is worth more patience.
    pub const ROWS: Self = Self {
        silence: Duration::from_secs(300),
        ..Self::LOOKUP
    };
    /// Of a merge into a sink table, which takes its time, and so does the wait for another one. The invocation's deadline
    /// comes first.
    pub const MERGE: Self = Self {
        silence: Duration::from_secs(890),
        ..Self::LOOKUP
    };
}

/// What a driver does for a session.
#[expect(async_fn_in_trait, reason = "the drivers are those of this crate")]
pub trait Driver: Default + fmt::Debug {
    /// A connection that is logged in.
    type Connection;
    /// What goes wrong on it.
    type Error;

    /// Connects and logs in.
    async fn log_in(&self, login: &Login, proof: Proof<'_>, timeouts: Timeouts) -> Answer<Self::Connection>;
    /// Whether the server answers on a connection that was idle, with a session that has no transaction open.
    async fn is_clean(connection: &mut Self::Connection) -> bool;
    /// Whether the connection is known to be broken.
    fn is_broken(connection: &Self::Connection) -> bool;
    /// Tells the server that nobody waits for the statement any more, without which it may run on for minutes. The
    /// connection is of no use afterwards.
    async fn cancel(connection: &mut Self::Connection);
    /// Closes a connection. Where it is used, the statement that may be under way is [cancelled](Self::cancel) first, in a task
    /// of its own: whoever drops a connection cannot wait.
    fn abandon(connection: Self::Connection, is_used: bool);
    /// Whether the server has said nothing for too long.
    fn is_silence(error: &Self::Error) -> bool;
    /// What an error means.
    fn failure(error: Self::Error) -> Failure;
}

/// The session of statements with short answers.
pub type Server = Session<Tiberius>;

/// A session of a SQL Server database. Statements run one after another on one connection. Dropping it leaves the
/// connection to the next one that [keeps](Self::keeping) in the same place.
pub struct Session<D: Driver> {
    driver: D,
    credential: Credential,
    timeouts: Timeouts,
    kept: KeptConnection<D>,
    state: Mutex<State<D>>,
}

#[derive(Default)]
enum State<D: Driver> {
    /// Nothing is open.
    #[default]
    Closed,
    Open(Box<Opened<D>>),
    /// Connecting failed. A refused login or an untrusted certificate is not tried again for the next table, which
    /// would only lock the login; a server that is not there, only after [`RECONNECT_AFTER`].
    Failed {
        failure: Failure,
        at: Instant,
    },
}

impl<D: Driver> fmt::Debug for Session<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("driver", &self.driver)
            .field("login", &self.credential.login())
            .finish_non_exhaustive()
    }
}

impl<D: Driver> Session<D> {
    /// The database behind a login; nothing is sent yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self::with_driver(D::default(), login)
    }

    /// The same with a driver that is set up otherwise.
    pub(crate) fn with_driver(driver: D, login: impl Into<Credential>) -> Self {
        Self {
            driver,
            credential: login.into(),
            timeouts: Timeouts::LOOKUP,
            kept: KeptConnection::default(),
            state: Mutex::default(),
        }
    }

    /// The same with other timeouts than [`Timeouts::LOOKUP`].
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// The same with the connection that the last one left in `kept`, if it still answers. What shares a place has the same
    /// timeouts.
    #[must_use]
    pub fn keeping(mut self, kept: &KeptConnection<D>) -> Self {
        self.kept = kept.clone();
        self
    }

    /// The timeouts of the session.
    pub(crate) const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Runs `work` on the connection. After a failure the connection is not used again.
    ///
    /// When the server is silent for too long, a new connection tells whether it is there: `TimedOut` when only the
    /// statement takes too long, which it would again, and `Unreachable` when nobody answers.
    pub(crate) async fn with_connection<T>(
        &self,
        work: impl AsyncFnOnce(&mut D::Connection) -> Result<T, D::Error>,
    ) -> Answer<T> {
        let mut state = self.state.lock().await;
        // Taken out while in use, so that a failed, or dropped, use leaves none behind.
        let mut connection = match std::mem::take(&mut *state) {
            State::Open(connection) => connection,
            State::Failed { failure, at } if !failure.is_transient() || at.elapsed() < RECONNECT_AFTER => {
                *state = State::Failed {
                    failure: failure.clone(),
                    at,
                };
                return Err(failure);
            }
            State::Closed | State::Failed { .. } => Box::pin(self.open(&mut state)).await?,
        };
        connection.set_used(true);
        // Boxed, here and below: the drivers' futures are large, and so would be all that await them.
        let outcome = unlogged(work(&mut connection)).await;
        match outcome {
            Ok(answer) => {
                connection.set_used(false);
                *state = State::Open(connection);
                Ok(answer)
            }
            Err(error) if D::is_silence(&error) => {
                self.give_up(connection).await;
                let mut connection = Box::pin(self.open(&mut state)).await?;
                connection.set_used(false);
                *state = State::Open(connection);
                Err(self.too_slow())
            }
            Err(error) => {
                connection.set_used(false);
                Err(self.failure(error))
            }
        }
    }

    /// A connection on which nothing has been done yet. When there is none, `state` says why.
    async fn open(&self, state: &mut State<D>) -> Answer<Box<Opened<D>>> {
        Box::pin(self.connect()).await.inspect_err(|failure| {
            *state = State::Failed {
                failure: failure.clone(),
                at: Instant::now(),
            };
        })
    }

    /// A server that answers a new connection is there: what it does not answer is the statement.
    fn too_slow(&self) -> Failure {
        let (login, seconds) = (self.credential.login(), self.timeouts.silence.as_secs());
        Failure::new(
            Fault::TimedOut,
            format!(
                "{login}: no answer to a statement within {seconds} s: index the watermark column, and look for locks"
            ),
        )
    }

    /// The connection that is open and as far as is known not broken, for someone who has it to themselves until they
    /// [give it back](Self::give_back).
    pub(crate) async fn take_open(&self) -> Option<Box<Opened<D>>> {
        match std::mem::take(&mut *self.state.lock().await) {
            State::Open(mut connection) => {
                connection.set_used(true);
                (!D::is_broken(&connection)).then_some(connection)
            }
            State::Closed | State::Failed { .. } => None,
        }
    }

    /// A connection that has answered just now, as [`take_open`](Self::take_open) gives it: what is open is asked first, like
    /// one that was kept.
    pub(crate) async fn take_clean(&self) -> Answer<Box<Opened<D>>> {
        if let Some(connection) = self.take_open().await {
            self.kept.put(*connection);
        }
        Box::pin(self.connect()).await
    }

    /// Takes a connection back on which nothing is under way and nothing of its session is left behind.
    pub(crate) async fn give_back(&self, mut connection: Box<Opened<D>>) {
        connection.set_used(false);
        *self.state.lock().await = State::Open(connection);
    }

    /// Tells the server that nobody waits for the statement on a connection any more, which is of no use afterwards.
    pub(crate) async fn cancel(&self, connection: &mut Opened<D>) {
        let cancel = unlogged(D::cancel(connection));
        if tokio::time::timeout(CANCEL_TIMEOUT, cancel).await.is_err() {
            tracing::debug!("The server did not say that it gave a statement up.");
        }
        connection.set_used(false);
    }

    /// Closes a connection on which a statement may still be under way.
    pub(crate) async fn give_up(&self, mut connection: Box<Opened<D>>) {
        self.cancel(&mut connection).await;
    }

    /// Gives a connection back that did what it was taken for, and up after a failure.
    pub(crate) async fn settle<T>(&self, connection: Box<Opened<D>>, outcome: Answer<T>) -> Answer<T> {
        match outcome {
            Ok(_) => self.give_back(connection).await,
            Err(_) => self.give_up(connection).await,
        }
        outcome
    }

    /// The kept connection if it answers, else a new one.
    pub(crate) async fn connect(&self) -> Answer<Box<Opened<D>>> {
        if let Some(mut kept) = self.kept.take(&self.credential.login()) {
            let probe = unlogged(D::is_clean(&mut kept));
            if matches!(tokio::time::timeout(PROBE_TIMEOUT, probe).await, Ok(true)) {
                kept.set_used(true);
                return Ok(Box::new(kept));
            }
            tracing::debug!("A kept connection is of no use any more.");
        }
        let log_in = async |login: &Login, proof: Proof<'_>| {
            let connection = unlogged(self.driver.log_in(login, proof, self.timeouts)).await;
            let connection = connection.map_err(|failure| failure.context(login))?;
            let mut opened = Opened::<D>::now(connection, login);
            opened.set_used(true);
            Ok(Box::new(opened))
        };
        self.credential.log_in(log_in).await
    }

    /// The secret with the key of hashes, where there is one.
    pub(crate) const fn masks(&self) -> Option<&MaskSecret> {
        self.credential.masks()
    }

    /// Refuses to ask a replica for what only the primary can answer.
    pub(crate) fn refuse_replica(&self, why: &str) -> Answer<()> {
        if !self.credential.login().read_intent {
            return Ok(());
        }
        let message = format!("{why}: take read_intent away for this source, or track by another column");
        Err(self.named(Error::new(ErrorCode::InvalidConfig, message).into()))
    }

    /// What an error on a connection of this session means.
    pub(crate) fn failure(&self, error: D::Error) -> Failure {
        self.named(D::failure(error))
    }

    /// A failure of a statement in which triggers and procedures of somebody else run.
    pub(crate) fn withheld(&self, failure: Failure) -> Failure {
        errors::withheld(&failure).map_or(failure, |failure| self.named(failure))
    }

    /// A failure with the database it happened at.
    pub(crate) fn named(&self, failure: Failure) -> Failure {
        failure.context(self.credential.login())
    }
}

impl<D: Driver> Drop for Session<D> {
    /// What is open here has answered its last statement: one that failed, or was not waited for, is gone.
    fn drop(&mut self) {
        if let State::Open(connection) = std::mem::take(self.state.get_mut()) {
            self.kept.put(*connection);
        }
    }
}

/// Runs something of a driver without a subscriber, out of the way of the futures that await it.
pub(crate) fn unlogged<F: Future>(work: F) -> impl Future<Output = F::Output> {
    Box::pin(work).with_subscriber(NoSubscriber::new())
}
