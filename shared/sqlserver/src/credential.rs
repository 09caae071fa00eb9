//! A login that may have been changed since it was read.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::sync::OnceCell;

use crate::error::Result;
use crate::login::Login;

/// Where a login is read again.
pub trait ReadLogin: fmt::Debug + Send + Sync {
    /// The login as it is now.
    fn read(&self) -> BoxFuture<'_, Result<Login>>;
}

/// A login for the connections of one invocation. Where it was read in an earlier one it is read again, once, when a
/// server does not let it in or is not where it says: passwords are rotated, and databases move.
#[derive(Debug, Clone)]
pub struct Credential {
    login: Login,
    origin: Option<Arc<dyn ReadLogin>>,
    changed: Arc<OnceCell<Option<Login>>>,
}

impl From<Login> for Credential {
    fn from(login: Login) -> Self {
        Self {
            login,
            origin: None,
            changed: Arc::default(),
        }
    }
}

impl Credential {
    /// A login that was read from `origin` some time ago.
    #[must_use]
    pub fn remembered(login: Login, origin: Arc<dyn ReadLogin>) -> Self {
        Self {
            origin: Some(origin),
            ..Self::from(login)
        }
    }

    /// The login as far as it is known.
    #[must_use]
    pub fn login(&self) -> &Login {
        let changed = self.changed.get().and_then(Option::as_ref);
        changed.unwrap_or(&self.login)
    }

    /// Logs in by `log_in` and, where that fails and the login has changed since it was read, once more.
    pub(super) async fn log_in<C>(&self, log_in: impl AsyncFn(&Login) -> Result<C>) -> Result<C> {
        match log_in(self.login()).await {
            Ok(connection) => Ok(connection),
            Err(error) => match self.changed().await {
                Some(login) => log_in(login).await,
                None => Err(error),
            },
        }
    }

    /// Reads the login again, the first time only. `None` when there is no other than the one known before: what was
    /// refused is not tried again, which would only lock the login.
    async fn changed(&self) -> Option<&Login> {
        let origin = self.origin.as_ref()?;
        if self.changed.initialized() {
            return None;
        }
        let changed = self.changed.get_or_init(|| async {
            // What failed before this is what the caller has to hear of.
            let login = origin.read().await.ok();
            login.filter(|login| *login != self.login)
        });
        changed.await.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::config::Tls;
    use crate::error::{Error, ErrorCode};

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

    #[derive(Debug)]
    struct Origin(Option<&'static str>, AtomicU32);

    impl ReadLogin for Origin {
        fn read(&self) -> BoxFuture<'_, Result<Login>> {
            self.1.fetch_add(1, Ordering::Relaxed);
            let answer = self.0.map(login);
            Box::pin(async { answer.ok_or_else(|| Error::new(ErrorCode::SourceUnavailable, "throttled")) })
        }
    }

    #[tokio::test]
    async fn a_login_is_read_again_once_and_tried_again_only_if_it_changed() {
        for (now, expected) in [(Some("new"), Some("new")), (Some("old"), None), (None, None)] {
            let origin = Arc::new(Origin(now, AtomicU32::new(0)));
            let credential = Credential::remembered(login("old"), origin.clone());
            let changed = credential.changed().await.map(|login| login.password.as_str());
            assert_eq!(changed, expected);
            assert_eq!(credential.login().password, expected.unwrap_or("old"));
            assert!(credential.clone().changed().await.is_none(), "once for all its clones");
            assert_eq!(origin.1.load(Ordering::Relaxed), 1);
        }
        let fixed = Credential::from(login("old"));
        assert!(fixed.changed().await.is_none());
    }
}
