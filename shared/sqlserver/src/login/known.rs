//! Keeps logins and tokens for a limited time, and reads them again when needed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tidemark::error::{Answer, Error, ErrorCode};
use tidemark::ports::secrets::{ReadSecrets, Secret};
use tidemark::ports::tokens::{Identity, IssueTokens, Token};

use super::{Login, Proof, ServerSettings, SignIn};
use crate::masks::MaskSecret;
use crate::since::Since;

/// The time for which a login is used without reading its secret again. A changed secret, which may name another
/// server, takes effect within it.
const AGE_LIMIT: Duration = Duration::from_secs(5 * 60);
/// The time before a token's end from which the token is no longer used, because a login takes time and clocks differ.
const TOKEN_RESERVE: Duration = Duration::from_secs(5 * 60);

/// The logins of a process, which are read when they are needed. Clones share them.
#[derive(Clone)]
pub struct Logins {
    shared: Arc<Shared>,
}

struct Shared {
    secrets: Arc<dyn ReadSecrets>,
    tokens: Option<Arc<dyn IssueTokens>>,
    logins: Mutex<HashMap<ServerSettings, Known<Login>>>,
    issued: Mutex<HashMap<Identity, Known<Token>>>,
}

/// Something that was read, and the time since which it is known.
#[derive(Clone)]
struct Known<T> {
    value: T,
    since: Since,
}

impl<T> Known<T> {
    fn now(value: T) -> Self {
        let since = Since::now();
        Self { value, since }
    }
}

/// A token, and whether it was issued just now.
struct Issued {
    token: Secret,
    is_new: bool,
}

/// Where a login comes from.
#[derive(Clone)]
struct Origin {
    logins: Logins,
    server: ServerSettings,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins")
            .field("secrets", &self.shared.secrets)
            .finish_non_exhaustive()
    }
}

impl Logins {
    /// Makes logins from a store of secrets. Nothing is read yet. Logins with a token are not possible with these.
    #[must_use]
    pub fn new(secrets: Arc<dyn ReadSecrets>) -> Self {
        Self::of(secrets, None)
    }

    /// Makes logins from a store of secrets and an issuer of tokens. Nothing is read yet.
    #[must_use]
    pub fn with_tokens(secrets: Arc<dyn ReadSecrets>, tokens: Arc<dyn IssueTokens>) -> Self {
        Self::of(secrets, Some(tokens))
    }

    fn of(secrets: Arc<dyn ReadSecrets>, tokens: Option<Arc<dyn IssueTokens>>) -> Self {
        let shared = Shared {
            secrets,
            tokens,
            logins: Mutex::default(),
            issued: Mutex::default(),
        };
        Self {
            shared: Arc::new(shared),
        }
    }

    /// Returns the login of `server`, read at most five minutes ago.
    ///
    /// # Errors
    ///
    /// Those of [`ReadSecrets::secret`], and `InvalidConfig` when the secret lacks something that a login needs.
    pub async fn credential(&self, server: &ServerSettings) -> Answer<Credential> {
        let known = locked(&self.shared.logins).get(server).cloned();
        let known = known.filter(|known| known.since.elapsed() < AGE_LIMIT);
        let is_new = known.is_none();
        let login = match known {
            Some(known) => known.value,
            None => self.read(server).await?,
        };
        let origin = Origin {
            logins: self.clone(),
            server: server.clone(),
        };
        Ok(Credential {
            origin: Some(origin),
            masks: None,
            state: Arc::new(Mutex::new(State {
                login: Arc::new(login),
                is_new,
                is_token_new: false,
            })),
        })
    }

    async fn read(&self, server: &ServerSettings) -> Answer<Login> {
        let secret = self.shared.secrets.secret(&server.secret).await?;
        let login = Login::from_secret(server, &secret)?;
        locked(&self.shared.logins).insert(server.clone(), Known::now(login.clone()));
        Ok(login)
    }

    /// Returns a token for an identity.
    async fn token(&self, identity: &Identity) -> Answer<Issued> {
        let known = locked(&self.shared.issued).get(identity).cloned();
        let is_good = |known: &Known<Token>| known.since.elapsed() + TOKEN_RESERVE < known.value.lifetime;
        if let Some(known) = known.filter(is_good) {
            return Ok(Issued {
                token: known.value.value,
                is_new: false,
            });
        }
        let Some(tokens) = &self.shared.tokens else {
            return Err(Error::new(ErrorCode::InvalidConfig, "this process cannot ask for tokens").into());
        };
        let token = tokens.token(identity).await?;
        let issued = Issued {
            token: token.value.clone(),
            is_new: true,
        };
        locked(&self.shared.issued).insert(identity.clone(), Known::now(token));
        Ok(issued)
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A login for the connections of one invocation. When a server no longer accepts it, or is not at its address, the
/// secret is read again, because passwords are rotated and databases move. It is not read again before the new login
/// has been accepted.
#[derive(Clone)]
pub struct Credential {
    origin: Option<Origin>,
    masks: Option<MaskSecret>,
    state: Arc<Mutex<State>>,
}

struct State {
    login: Arc<Login>,
    /// Whether the login was just read and no server has accepted it yet. Reading it again would give the same.
    is_new: bool,
    /// Whether the token that was last used was just issued.
    is_token_new: bool,
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Credential").field(&self.login()).finish()
    }
}

impl From<Login> for Credential {
    fn from(login: Login) -> Self {
        Self {
            origin: None,
            masks: None,
            state: Arc::new(Mutex::new(State {
                login: Arc::new(login),
                is_new: true,
                is_token_new: true,
            })),
        }
    }
}

impl Credential {
    /// Returns the login that is known at present.
    #[must_use]
    pub fn login(&self) -> Arc<Login> {
        locked(&self.state).login.clone()
    }

    /// Adds the secret whose key hashes the values of masked columns, if there is one.
    #[must_use]
    pub fn masking(self, masks: Option<MaskSecret>) -> Self {
        Self { masks, ..self }
    }

    /// Returns the secret with the key for hashes.
    pub(crate) const fn masks(&self) -> Option<&MaskSecret> {
        self.masks.as_ref()
    }

    /// Logs in with `log_in`. If that fails, and the secret or the token is new since, it logs in once more.
    pub(crate) async fn log_in<C>(&self, log_in: impl AsyncFn(&Login, Proof<'_>) -> Answer<C>) -> Answer<C> {
        match self.attempt(&log_in).await {
            Ok(connection) => Ok(connection),
            Err(failure) if !self.is_renewed().await => Err(failure),
            Err(_) => self.attempt(&log_in).await,
        }
    }

    async fn attempt<C>(&self, log_in: &impl AsyncFn(&Login, Proof<'_>) -> Answer<C>) -> Answer<C> {
        let login = self.login();
        let outcome = match &login.sign_in {
            SignIn::Password { username, password } => log_in(&login, Proof::Password(username, password)).await,
            SignIn::Entra(identity) => {
                let token = self.token(identity).await?;
                log_in(&login, Proof::Token(&token)).await
            }
        };
        if outcome.is_ok() {
            let mut state = locked(&self.state);
            (state.is_new, state.is_token_new) = (false, false);
        }
        outcome
    }

    async fn token(&self, identity: &Identity) -> Answer<Secret> {
        let Some(origin) = &self.origin else {
            return Err(Error::new(ErrorCode::InvalidConfig, "a login without a secret has no token").into());
        };
        let issued = origin.logins.token(identity).await?;
        locked(&self.state).is_token_new = issued.is_new;
        Ok(issued.token)
    }

    /// Returns whether a new login or token is available. The one that was just refused is not tried again, because
    /// repeated attempts could lock the login.
    async fn is_renewed(&self) -> bool {
        let Some(Origin { logins, server }) = &self.origin else {
            return false;
        };
        let (login, is_new, is_token_new) = {
            let state = locked(&self.state);
            (state.login.clone(), state.is_new, state.is_token_new)
        };
        let mut is_renewed = false;
        if let SignIn::Entra(identity) = &login.sign_in
            && !is_token_new
        {
            locked(&logins.shared.issued).remove(identity);
            is_renewed = true;
        }
        if is_new {
            // It is too late for this invocation, but the next one reads the secret again.
            locked(&logins.shared.logins).remove(server);
            return is_renewed;
        }
        // The caller must see the earlier failure, so that of reading the secret is dropped.
        let Ok(now) = logins.read(server).await else {
            return is_renewed;
        };
        let has_changed = now != *login;
        let mut state = locked(&self.state);
        state.login = Arc::new(now);
        state.is_new = true;
        is_renewed || has_changed
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use futures::future::BoxFuture;
    use tidemark::error::{Failure, Fault, OfRole, Role};
    use tidemark::ports::tokens::ClientProof;
    use tokio::time::advance;

    use super::*;

    /// A store that answers with these passwords in turn.
    #[derive(Debug)]
    struct Store(Mutex<VecDeque<Option<&'static str>>>);

    impl Store {
        fn left(&self) -> usize {
            self.0.lock().unwrap().len()
        }
    }

    impl ReadSecrets for Store {
        fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
            assert_eq!(name, "arn");
            let password = self.0.lock().unwrap().pop_front().flatten();
            let secret = password.map(|password| {
                Secret::new(format!(
                    r#"{{"host":"db","username":"u","password":"{password}","dbname":"d"}}"#
                ))
            });
            Box::pin(async { secret.ok_or_else(|| Failure::new(Fault::Unreachable, "throttled")) })
        }
    }

    fn logins(passwords: &[Option<&'static str>]) -> (Arc<Store>, Logins, ServerSettings) {
        let store = Arc::new(Store(Mutex::new(passwords.iter().copied().collect())));
        (store.clone(), Logins::new(store), ServerSettings::of_secret("arn"))
    }

    fn refused() -> Failure {
        Failure::new(Fault::Refused, "refused").numbered(18456)
    }

    /// Logs in at a server that accepts only the password `known`. Returns whether it succeeded, and the number of
    /// attempts.
    async fn log_in(credential: &Credential, known: &str) -> (bool, usize) {
        let tried = Mutex::new(0);
        let log_in = async |_: &Login, proof: Proof<'_>| {
            *tried.lock().unwrap() += 1;
            match proof {
                Proof::Password(_, password) if password.reveal() == known => Ok(()),
                Proof::Token(token) if token.reveal() == known => Ok(()),
                _ => Err(refused()),
            }
        };
        let outcome = credential.log_in(log_in).await.is_ok();
        (outcome, tried.into_inner().unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_refused_is_read_again_once_and_tried_again_only_if_it_changed() {
        for (now, expected) in [(Some("new"), (true, 2)), (Some("old"), (false, 1)), (None, (false, 1))] {
            let (store, logins, server) = logins(&[Some("old"), now, Some("newest")]);
            logins.credential(&server).await.unwrap();
            let credential = logins.credential(&server).await.unwrap();
            assert_eq!(log_in(&credential, "new").await, expected, "{now:?}");
            assert_eq!(store.left(), 1);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_rotation_in_the_middle_of_an_invocation_is_survived() {
        let (store, logins, server) = logins(&[Some("first"), Some("second"), Some("third")]);
        let credential = logins.credential(&server).await.unwrap();
        assert_eq!(log_in(&credential, "first").await, (true, 1));
        assert_eq!(log_in(&credential.clone(), "second").await, (true, 2));
        assert_eq!(
            log_in(&credential, "second").await,
            (true, 1),
            "known to all its clones"
        );
        assert_eq!(log_in(&credential, "third").await, (true, 2));
        assert_eq!((store.left(), credential.login().password()), (0, "third"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_that_was_read_just_now_is_read_again_by_the_next_invocation_only() {
        let (store, logins, server) = logins(&[Some("old"), Some("new")]);
        let credential = logins.credential(&server).await.unwrap();
        assert_eq!(log_in(&credential, "new").await, (false, 1));
        assert_eq!(log_in(&credential, "new").await, (false, 1));
        assert_eq!(store.left(), 1);
        let next = logins.credential(&server).await.unwrap();
        assert_eq!(log_in(&next, "new").await, (true, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn a_secret_counts_for_five_minutes() {
        let (_, logins, server) = logins(&[Some("old"), Some("new")]);
        let known = async || logins.credential(&server).await.unwrap().login().password().to_owned();
        assert_eq!(known().await, "old");
        advance(AGE_LIMIT - Duration::from_secs(1)).await;
        assert_eq!(known().await, "old");
        advance(Duration::from_secs(1)).await;
        assert_eq!(known().await, "new");
    }

    /// A store with one application of Entra, and an issuer that counts its tokens.
    #[derive(Debug, Default)]
    struct Entra(Mutex<usize>);

    impl ReadSecrets for Entra {
        fn secret<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Answer<Secret>> {
            let content = r#"{"host": "db", "dbname": "d", "authentication": "service_principal", "tenant_id": "t",
                              "client_id": "c", "client_secret": "s"}"#;
            Box::pin(async { Ok(Secret::new(content.to_owned())) })
        }
    }

    impl IssueTokens for Entra {
        fn token<'a>(&'a self, identity: &'a Identity) -> BoxFuture<'a, Answer<Token>> {
            assert!(identity.proof == ClientProof::Secret(Secret::new("s".to_owned())));
            let mut issued = self.0.lock().unwrap();
            *issued += 1;
            let value = Secret::new(format!("token {issued}"));
            let lifetime = Duration::from_secs(60 * 60);
            Box::pin(async move { Ok(Token { value, lifetime }) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_is_kept_until_shortly_before_it_ends_or_is_refused() {
        let entra = Arc::new(Entra::default());
        let logins = Logins::with_tokens(entra.clone(), entra);
        let credential = async || logins.credential(&ServerSettings::of_secret("arn")).await.unwrap();
        assert_eq!(log_in(&credential().await, "token 1").await, (true, 1));
        advance(Duration::from_secs(54 * 60)).await;
        assert_eq!(log_in(&credential().await, "token 1").await, (true, 1));
        advance(Duration::from_secs(2 * 60)).await;
        assert_eq!(
            log_in(&credential().await, "token 2").await,
            (true, 1),
            "before it ends"
        );
        assert_eq!(
            log_in(&credential().await, "token 3").await,
            (true, 2),
            "it was revoked"
        );
        assert_eq!(log_in(&credential().await, "no token").await, (false, 2), "once");
    }

    /// A store with one application of Entra, for which there is no token for now.
    #[derive(Debug)]
    struct Throttled;

    impl ReadSecrets for Throttled {
        fn secret<'a>(&'a self, name: &'a str) -> BoxFuture<'a, Answer<Secret>> {
            Box::pin(async move { Entra::default().secret(name).await })
        }
    }

    impl IssueTokens for Throttled {
        fn token<'a>(&'a self, _: &'a Identity) -> BoxFuture<'a, Answer<Token>> {
            Box::pin(async { Err(Failure::new(Fault::Unreachable, "throttled")) })
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_token_that_is_missed_is_missed_by_the_database_that_is_logged_in_to() {
        let logins = Logins::with_tokens(Arc::new(Throttled), Arc::new(Throttled));
        let credential = logins.credential(&ServerSettings::of_secret("arn")).await.unwrap();
        for (role, code) in [
            (Role::Source, ErrorCode::SourceUnavailable),
            (Role::Sink, ErrorCode::SinkUnavailable),
            (Role::WatermarkStore, ErrorCode::WatermarkStoreUnavailable),
        ] {
            let error = credential.log_in(async |_: &Login, _: Proof<'_>| Ok(())).await.of(role);
            assert_eq!(error.unwrap_err().code(), code);
        }
    }
}
