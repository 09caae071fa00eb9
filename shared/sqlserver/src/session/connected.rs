//! A session of a SQL Server database: it opens its connection when it is first needed, and again after a failure.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tidemark::error::{Answer, Error, ErrorCode, Failure, Fault};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::driver::{CANCEL_TIMEOUT, Driver, Silence, Timeouts, unlogged, within};
use super::kept_connection::{KeptConnection, Opened};
use crate::errors;
use crate::login::{Credential, Login, Proof};
use crate::masks::MaskSecret;

/// The time after a failed connection during which an unreachable server is not tried again.
const RECONNECT_AFTER: Duration = Duration::from_secs(1);
/// The time after which a login whose database cannot be opened is tried once more. In Azure this may pass, and
/// Microsoft recommends this wait; a wrong name has the same number and never passes
/// (<https://learn.microsoft.com/en-us/azure/azure-sql/database/troubleshoot-common-errors-issues>).
pub const OPEN_AGAIN_AFTER: Duration = Duration::from_secs(5);
/// The time within which a kept connection must answer. A server within reach answers in milliseconds; a lost packet is
/// sent again twice in this time; and if nothing comes back, no more time than this is lost.
const PROBE_TIMEOUT: Duration = Duration::from_secs(3);
/// A session of a SQL Server database. Statements run one after another on one connection. When the session is dropped,
/// its connection stays for the next session that [keeps](Self::keeping) connections in the same place.
pub struct Session<D: Driver> {
    driver: D,
    credential: Credential,
    timeouts: Timeouts,
    kept: KeptConnection<D>,
    state: Mutex<State<D>>,
    clock_goes_back: Mutex<Option<bool>>,
    has_told_of_policies: AtomicBool,
}

#[derive(Default)]
enum State<D: Driver> {
    /// No connection is open.
    #[default]
    Closed,
    Open(Box<Opened<D>>),
    /// Connecting failed. A refused login or an untrusted certificate is not tried again for the next table, because
    /// repeated attempts could lock the login. A server that is not there is tried again after [`RECONNECT_AFTER`].
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
    /// Makes a session for the database of a login. Nothing is sent yet.
    #[must_use]
    pub fn new(login: impl Into<Credential>) -> Self {
        Self::with_driver(D::default(), login)
    }

    /// Makes a session with a driver that is not in its default state.
    pub(crate) fn with_driver(driver: D, login: impl Into<Credential>) -> Self {
        Self {
            driver,
            credential: login.into(),
            timeouts: Timeouts::LOOKUP,
            kept: KeptConnection::default(),
            state: Mutex::default(),
            clock_goes_back: Mutex::default(),
            has_told_of_policies: AtomicBool::default(),
        }
    }

    /// Sets other timeouts than [`Timeouts::LOOKUP`].
    #[must_use]
    pub fn with_timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Uses the connection that an earlier session left in `kept`, if it still answers, and leaves its own there when
    /// dropped. All sessions that share a place must have the same timeouts.
    #[must_use]
    pub fn keeping(mut self, kept: &KeptConnection<D>) -> Self {
        self.kept = kept.clone();
        self
    }

    /// Returns the timeouts of the session.
    pub(crate) const fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// Runs `work` on the connection. After a failure the connection is not used again.
    ///
    /// When the server is silent for too long, a new connection shows whether it is there. The failure is `TimedOut`
    /// when the server answers, because the statement would take too long again, and `Unreachable` when it does not.
    pub(crate) async fn with_connection<T>(
        &self,
        work: impl AsyncFnOnce(&mut D::Connection) -> Result<T, D::Error>,
    ) -> Answer<T> {
        let mut state = self.state.lock().await;
        // The connection is taken out while it is used, so that none is left behind if its use fails or is dropped.
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
        let outcome = unlogged(work(&mut connection)).await;
        match outcome {
            Ok(answer) => {
                connection.set_used(false);
                *state = State::Open(connection);
                Ok(answer)
            }
            Err(error) if error.is_silence() => {
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

    /// Opens a connection on which nothing has been done yet. If that fails, `state` becomes [`State::Failed`].
    async fn open(&self, state: &mut State<D>) -> Answer<Box<Opened<D>>> {
        Box::pin(self.connect()).await.inspect_err(|failure| {
            *state = State::Failed {
                failure: failure.clone(),
                at: Instant::now(),
            };
        })
    }

    /// Builds the failure for a server that answers a new connection but does not answer the statement in time.
    fn too_slow(&self) -> Failure {
        let (login, seconds) = (self.credential.login(), self.timeouts.silence.as_secs());
        Failure::new(
            Fault::TimedOut,
            format!("{login}: no answer to a statement within {seconds} s: it may wait for a lock"),
        )
    }

    /// Runs work on a connection that was taken out of the session. The work ends when the server is silent for too long.
    pub(crate) fn ask<T>(&self, work: impl Future<Output = Result<T, D::Error>>) -> impl Future<Output = Answer<T>> {
        self.watch(within(self.timeouts.silence, work))
    }

    /// Runs work on a connection like [`ask`](Self::ask). When the server is silent for too long, the statement is
    /// cancelled.
    pub(crate) async fn ask_or_cancel<T>(
        &self,
        connection: &mut Opened<D>,
        work: impl AsyncFnOnce(&mut D::Connection) -> Result<T, D::Error>,
    ) -> Answer<T> {
        let outcome = unlogged(within(self.timeouts.silence, work(connection))).await;
        if outcome.as_ref().is_err_and(Silence::is_silence) {
            self.cancel(connection).await;
        }
        outcome.map_err(|error| self.failure(error))
    }

    /// Runs work on a connection that was taken out of the session, and that ends by itself when the server is silent.
    pub(crate) fn watch<T>(&self, work: impl Future<Output = Result<T, D::Error>>) -> impl Future<Output = Answer<T>> {
        let work = unlogged(work);
        async move { work.await.map_err(|error| self.failure(error)) }
    }

    /// Takes the open connection out of the session, unless it is known to be broken. The caller has it alone until it
    /// [gives it back](Self::give_back).
    pub(crate) async fn take_open(&self) -> Option<Box<Opened<D>>> {
        match std::mem::take(&mut *self.state.lock().await) {
            State::Open(mut connection) => {
                connection.set_used(true);
                (!D::is_broken(&connection)).then_some(connection)
            }
            State::Closed | State::Failed { .. } => None,
        }
    }

    /// Takes a connection that has just answered. One that is open is probed first, like a kept one.
    pub(crate) async fn take_clean(&self) -> Answer<Box<Opened<D>>> {
        if let Some(connection) = self.take_open().await {
            self.kept.put(*connection);
        }
        Box::pin(self.connect()).await
    }

    /// Takes a connection back. Nothing may be under way on it, and nothing of its use may remain in its session.
    pub(crate) async fn give_back(&self, mut connection: Box<Opened<D>>) {
        connection.set_used(false);
        *self.state.lock().await = State::Open(connection);
    }

    /// Tells the server that the answer to the statement on a connection is no longer wanted. The connection cannot be
    /// used afterwards.
    async fn cancel(&self, connection: &mut Opened<D>) {
        let cancel = unlogged(D::cancel(connection));
        if tokio::time::timeout(CANCEL_TIMEOUT, cancel).await.is_err() {
            tracing::debug!("The server did not say that it gave a statement up.");
        }
        connection.set_used(false);
    }

    /// Cancels the statement that may still be running on a connection, unless that was done, and closes it.
    pub(crate) async fn give_up(&self, mut connection: Box<Opened<D>>) {
        if connection.is_used() {
            self.cancel(&mut connection).await;
        }
    }

    /// Gives a connection back after success, and gives it up after a failure.
    pub(crate) async fn settle<T>(&self, connection: Box<Opened<D>>, outcome: Answer<T>) -> Answer<T> {
        match outcome {
            Ok(_) => self.give_back(connection).await,
            Err(_) => self.give_up(connection).await,
        }
        outcome
    }

    /// Returns the kept connection if it answers, else a new one.
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
            let mut connection = unlogged(self.driver.log_in(login, proof, self.timeouts)).await;
            if let Err(failure) = &connection
                && failure.number() == Some(errors::CANNOT_OPEN_DATABASE)
            {
                tracing::warn!(
                    "{login}: the database cannot be opened, which may pass. It is tried once more in {} s.",
                    OPEN_AGAIN_AFTER.as_secs()
                );
                tokio::time::sleep(OPEN_AGAIN_AFTER).await;
                connection = unlogged(self.driver.log_in(login, proof, self.timeouts)).await;
            }
            let connection = connection.map_err(|failure| failure.context(login))?;
            let mut opened = Opened::<D>::now(connection, login);
            opened.set_used(true);
            Ok(Box::new(opened))
        };
        self.credential.log_in(log_in).await
    }

    /// Returns the place for what the server said last about its wall clock: whether that goes back.
    pub(crate) const fn clock_goes_back(&self) -> &Mutex<Option<bool>> {
        &self.clock_goes_back
    }

    /// Returns true once: to the first who tells that the login does not see every security policy.
    pub(crate) fn is_first_to_tell_of_policies(&self) -> bool {
        !self.has_told_of_policies.swap(true, Ordering::Relaxed)
    }

    /// Returns the secret with the key for hashes, if there is one.
    pub(crate) const fn masks(&self) -> Option<&MaskSecret> {
        self.credential.masks()
    }

    /// Fails with `InvalidConfig` if the login asks for a replica, which cannot answer what only the primary knows.
    /// `why` begins the message.
    pub(crate) fn refuse_replica(&self, why: &str) -> Answer<()> {
        if !self.credential.login().read_intent {
            return Ok(());
        }
        Err(self.is_replica(why))
    }

    /// Builds the failure for a replica, which cannot answer what only the primary knows. `why` begins the message.
    pub(crate) fn is_replica(&self, why: &str) -> Failure {
        let message = format!(
            "{why}: take read_intent away for this source, or give it the address and the name of the primary database, or track by \
             another column"
        );
        self.named(Error::new(ErrorCode::InvalidConfig, message).into())
    }

    /// Maps an error on a connection of this session to a failure that names the database.
    pub(crate) fn failure(&self, error: D::Error) -> Failure {
        self.named(D::failure(error))
    }

    /// Hides the server's text in the failure of a statement in which triggers and procedures of others run, because it
    /// may hold values of rows.
    pub(crate) fn withheld(&self, failure: Failure) -> Failure {
        errors::withheld(&failure).map_or(failure, |failure| self.named(failure))
    }

    /// Adds the database to a failure.
    pub(crate) fn named(&self, failure: Failure) -> Failure {
        failure.context(self.credential.login())
    }
}

impl<D: Driver> Drop for Session<D> {
    /// Keeps the connection for the next session. It has answered its last statement, because a connection whose
    /// statement failed, or was not waited for, is no longer here.
    fn drop(&mut self) {
        if let State::Open(connection) = std::mem::take(self.state.get_mut()) {
            self.kept.put(*connection);
        }
    }
}
