//! Keeps a connection of a warm process from one invocation to the next: at most one for each role of a server.
//!
//! Lambda gives a process one event at a time, and freezes the process in between. This module does not rely on the
//! first: a connection is taken out while it is used, so whoever finds none opens another, and of two that are put back
//! one is kept. Because of the second, a kept connection may have died unnoticed, so its session first probes it, and
//! replaces it by one new connection unless the answer is as expected. Nothing else is done on the connection before,
//! so no statement of a step is ever repeated because of a kept connection.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::driver::Driver;
use crate::login::Login;
use crate::since::Since;

/// The longest time that a connection may have been idle, ten seconds less than AWS allows. NAT gateways and Network
/// Load Balancers drop a connection after 350 s
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout>,
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html>), gateways of Azure SQL
/// Database after 30 minutes. A schedule of every five minutes still finds its connection. A frozen process cannot keep
/// a connection alive.
const IDLE_LIMIT: Duration = Duration::from_secs(340);
/// The longest age of a connection, however busy it is. A new one looks the host name up and reads permissions again.
const AGE_LIMIT: Duration = Duration::from_secs(30 * 60);

/// A connection, the login it was opened for, and the moment. When it is dropped while it is used, as happens at the
/// deadline of a step, the server is told that the answer is no longer wanted.
pub struct Opened<D: Driver> {
    /// The connection, present until this is dropped.
    connection: Option<D::Connection>,
    login: Login,
    at: Since,
    is_used: bool,
}

impl<D: Driver> Opened<D> {
    pub(super) fn now(connection: D::Connection, login: &Login) -> Self {
        Self {
            connection: Some(connection),
            login: login.clone(),
            at: Since::now(),
            is_used: false,
        }
    }

    /// Returns whether somebody uses the connection.
    pub(super) const fn is_used(&self) -> bool {
        self.is_used
    }

    /// Sets whether somebody uses the connection, so that a statement may be running on it.
    pub(super) const fn set_used(&mut self, is_used: bool) {
        self.is_used = is_used;
    }
}

impl<D: Driver> fmt::Debug for Opened<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("login", &self.login)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl<D: Driver> Deref for Opened<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        match &self.connection {
            Some(connection) => connection,
            None => unreachable!("a connection is there until it is dropped"),
        }
    }
}

impl<D: Driver> DerefMut for Opened<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        match &mut self.connection {
            Some(connection) => connection,
            None => unreachable!("a connection is there until it is dropped"),
        }
    }
}

impl<D: Driver> Drop for Opened<D> {
    fn drop(&mut self) {
        if let Some(connection) = self.connection.take() {
            D::abandon(connection, self.is_used);
        }
    }
}

/// The place of one kept connection. Clones share the place. Dropping the last clone closes the connection, which ends
/// its session on the server.
pub struct KeptConnection<D: Driver> {
    idle: Arc<Mutex<Option<Idle<D>>>>,
}

/// A connection that nobody uses, and the moment since when.
struct Idle<D: Driver> {
    opened: Opened<D>,
    since: Since,
}

impl<D: Driver> Default for KeptConnection<D> {
    fn default() -> Self {
        Self {
            idle: Arc::new(Mutex::new(None)),
        }
    }
}

impl<D: Driver> Clone for KeptConnection<D> {
    fn clone(&self) -> Self {
        Self {
            idle: Arc::clone(&self.idle),
        }
    }
}

impl<D: Driver> fmt::Debug for KeptConnection<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let idle = self.idle();
        let opened = idle.as_ref().map(|idle| &idle.opened);
        f.debug_tuple("KeptConnection").field(&opened).finish()
    }
}

impl<D: Driver> KeptConnection<D> {
    /// Takes the kept connection, if it was opened for exactly this login and is neither too old nor idle for too long.
    /// Otherwise the connection is closed.
    pub(super) fn take(&self, login: &Login) -> Option<Opened<D>> {
        let Idle { opened, since } = self.idle().take()?;
        let is_of_use = opened.login == *login && opened.at.elapsed() < AGE_LIMIT && since.elapsed() < IDLE_LIMIT;
        is_of_use.then_some(opened)
    }

    /// Keeps a connection. Nothing may be under way on it, no transaction may be open, and nothing of its use may
    /// remain in its session.
    pub(super) fn put(&self, mut opened: Opened<D>) {
        opened.set_used(false);
        let since = Since::now();
        *self.idle() = Some(Idle { opened, since });
    }

    fn idle(&self) -> MutexGuard<'_, Option<Idle<D>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tidemark::error::{Answer, Failure, Fault};
    use tokio::time::advance;

    use super::*;
    use crate::login::Proof;
    use crate::session::{Silence, Timeouts};

    fn login(password: &str) -> Login {
        Login::new("db", 1433, "u", password, "d")
    }

    /// A driver whose connections are words.
    #[derive(Debug, Default)]
    struct Words;

    impl Silence for &'static str {
        fn of(_: Duration) -> Self {
            "silence"
        }

        fn is_silence(&self) -> bool {
            *self == "silence"
        }
    }

    impl Driver for Words {
        type Connection = &'static str;
        type Error = &'static str;

        async fn log_in(&self, _: &Login, _: Proof<'_>, _: Timeouts) -> Answer<&'static str> {
            Ok("new")
        }

        async fn is_clean(connection: &mut &'static str) -> bool {
            *connection != "dead"
        }

        fn is_broken(_: &&'static str) -> bool {
            false
        }

        async fn cancel(_: &mut &'static str) {}

        fn abandon(_: &'static str, _: bool) {}

        fn failure(error: &'static str) -> Failure {
            Failure::new(Fault::Refused, error)
        }
    }

    fn opened(connection: &'static str, password: &str) -> Opened<Words> {
        Opened::now(connection, &login(password))
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_kept_for_its_login_and_taken_once() {
        let kept = KeptConnection::default();
        kept.put(opened("first", "old"));
        kept.put(opened("second", "old"));
        assert_eq!(kept.take(&login("old")).as_deref(), Some(&"second"));
        assert!(kept.take(&login("old")).is_none());
        kept.put(opened("third", "old"));
        assert!(kept.take(&login("new")).is_none());
        assert!(kept.take(&login("old")).is_none(), "it is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_for_too_long_or_too_old_is_not_used() {
        let kept = KeptConnection::default();
        let login = login("p");
        kept.put(opened("c", "p"));
        advance(Duration::from_secs(300)).await;
        let found = kept.take(&login).expect("found by a schedule of every five minutes");
        kept.put(found);
        advance(IDLE_LIMIT).await;
        assert!(kept.take(&login).is_none());

        kept.put(opened("c", "p"));
        for _ in 0..6 {
            let found = kept.take(&login).unwrap();
            advance(Duration::from_secs(299)).await;
            kept.put(found);
        }
        advance(Duration::from_secs(6)).await;
        assert!(kept.take(&login).is_none(), "busy, but half an hour old");
    }

    #[tokio::test(start_paused = true)]
    async fn a_session_uses_what_is_kept_if_it_answers_and_leaves_what_it_used() {
        let kept = KeptConnection::default();
        let used = async |fails: Option<&'static str>| {
            let session = crate::session::Session::<Words>::new(login("p")).keeping(&kept);
            session
                .with_connection(async |connection| fails.map_or(Ok(*connection), Err))
                .await
        };
        kept.put(opened("kept", "p"));
        assert_eq!(used(None).await.unwrap(), "kept");
        assert_eq!(used(None).await.unwrap(), "kept");
        let refused = used(Some("refused")).await.unwrap_err();
        assert_eq!(
            (refused.fault(), refused.to_string()),
            (Fault::Refused, "db:1433/d: refused".to_owned())
        );
        assert!(kept.take(&login("p")).is_none(), "what failed is not kept");
        kept.put(opened("dead", "p"));
        assert_eq!(used(None).await.unwrap(), "new");
        let slow = used(Some("silence")).await.unwrap_err();
        assert_eq!(slow.fault(), Fault::TimedOut, "the server is there: {slow}");
        assert_eq!(used(None).await.unwrap(), "new");
    }
}
