//! What a warm process keeps from one invocation to the next: for each role of a server at most one connection.
//!
//! Lambda gives a process one event at a time and freezes it in between. Nothing here relies on the first: a connection
//! is taken out while it is used, so whoever finds none opens another, and of two that are put back one is kept. Because
//! of the second, a kept connection may have died without a word: its adapter asks it something first, for at most
//! `PROBE_TIMEOUT`, and replaces it by one new connection unless the answer is in order. Only then is anything done on it,
//! so that no statement of a step is ever repeated for the sake of a kept connection.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use crate::login::Login;

/// Ten seconds less than AWS lets a connection be idle: NAT gateways and Network Load Balancers forget it after 350 s
/// (<https://docs.aws.amazon.com/vpc/latest/userguide/nat-gateway-troubleshooting.html#nat-gateway-troubleshooting-timeout>,
/// <https://docs.aws.amazon.com/elasticloadbalancing/latest/network/update-idle-timeout.html>), gateways of Azure SQL
/// Database after 30 minutes. A schedule of every five minutes still finds its connection, and a process that is frozen
/// cannot keep one alive.
const IDLE_LIMIT: Duration = Duration::from_secs(340);
/// After this a host name is looked up again and permissions are read anew, however busy the process is.
const AGE_LIMIT: Duration = Duration::from_secs(30 * 60);
/// How long a kept connection has to answer. A server in reach takes milliseconds; a lost packet is sent again twice in this
/// time; and where nothing comes back it is all that is lost.
pub(super) const PROBE_TIMEOUT: Duration = Duration::from_secs(3);

/// A moment on both clocks of a process: in a freeze one may stand still, and the other may be set back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Moment {
    monotonic: Instant,
    wall: SystemTime,
}

impl Moment {
    pub(super) fn now() -> Self {
        Self {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    /// The time since then by the clock that saw more of it.
    pub(super) fn elapsed(self) -> Duration {
        self.monotonic.elapsed().max(self.wall.elapsed().unwrap_or_default())
    }
}

/// A connection, for whom it was opened, and when.
pub struct Opened<C> {
    connection: C,
    login: Login,
    at: Moment,
}

impl<C> Opened<C> {
    pub(super) fn now(connection: C, login: &Login) -> Self {
        Self {
            connection,
            login: login.clone(),
            at: Moment::now(),
        }
    }
}

impl<C> fmt::Debug for Opened<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened")
            .field("login", &self.login)
            .field("at", &self.at)
            .finish_non_exhaustive()
    }
}

impl<C> Deref for Opened<C> {
    type Target = C;

    fn deref(&self) -> &C {
        &self.connection
    }
}

impl<C> DerefMut for Opened<C> {
    fn deref_mut(&mut self) -> &mut C {
        &mut self.connection
    }
}

/// The place of one kept connection. Dropping it closes the connection, as TDS ends sessions.
pub struct Kept<C> {
    idle: Mutex<Option<(Opened<C>, Moment)>>,
}

impl<C> Default for Kept<C> {
    fn default() -> Self {
        Self { idle: Mutex::new(None) }
    }
}

impl<C> fmt::Debug for Kept<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Kept").field(&*self.idle()).finish()
    }
}

impl<C> Kept<C> {
    /// The kept connection, if it was opened for exactly this login and is neither too old nor idle for too long; else it is
    /// closed.
    pub(super) fn take(&self, login: &Login) -> Option<Opened<C>> {
        let (opened, since) = self.idle().take()?;
        let is_of_use = opened.login == *login && opened.at.elapsed() < AGE_LIMIT && since.elapsed() < IDLE_LIMIT;
        is_of_use.then_some(opened)
    }

    /// Keeps a connection with nothing under way, no transaction open and nothing of a session's left behind.
    pub(super) fn put(&self, opened: Opened<C>) {
        *self.idle() = Some((opened, Moment::now()));
    }

    fn idle(&self) -> MutexGuard<'_, Option<(Opened<C>, Moment)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;
    use crate::config::Tls;

    fn login(password: &str) -> Login {
        Login {
            host: "db".into(),
            port: 1433,
            username: "u".into(),
            password: password.into(),
            database: "d".into(),
            tls: Tls::Verify,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn one_connection_is_kept_for_its_login_and_taken_once() {
        let kept = Kept::default();
        kept.put(Opened::now("first", &login("old")));
        kept.put(Opened::now("second", &login("old")));
        assert_eq!(kept.take(&login("old")).as_deref(), Some(&"second"));
        assert!(kept.take(&login("old")).is_none());
        kept.put(Opened::now("third", &login("old")));
        assert!(kept.take(&login("new")).is_none());
        assert!(kept.take(&login("old")).is_none(), "it is closed");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_idle_for_too_long_or_too_old_is_not_used() {
        let kept = Kept::default();
        let login = login("p");
        kept.put(Opened::now((), &login));
        advance(Duration::from_secs(300)).await;
        let opened = kept.take(&login).expect("found by a schedule of every five minutes");
        kept.put(opened);
        advance(IDLE_LIMIT).await;
        assert!(kept.take(&login).is_none());

        kept.put(Opened::now((), &login));
        for _ in 0..6 {
            let opened = kept.take(&login).unwrap();
            advance(Duration::from_secs(299)).await;
            kept.put(opened);
        }
        advance(Duration::from_secs(6)).await;
        assert!(kept.take(&login).is_none(), "busy, but half an hour old");
    }

    #[tokio::test(start_paused = true)]
    async fn either_clock_may_stand_still_in_a_freeze() {
        let now = Moment::now();
        let earlier = Moment {
            wall: now.wall - Duration::from_secs(400),
            ..now
        };
        assert!(earlier.elapsed() >= Duration::from_secs(400));
        let set_back = Moment {
            wall: now.wall + Duration::from_secs(400),
            ..now
        };
        advance(Duration::from_secs(7)).await;
        assert_eq!(set_back.elapsed(), Duration::from_secs(7));
    }
}
