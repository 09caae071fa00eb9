//! The stand-in as a library, to be started in a test, used, and dropped.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::clock::Clock;
use crate::engine::Engine;
use crate::error::SqlError;
use crate::fault::Fault;
use crate::locks::locked;
use crate::server::{self, Service};
use crate::sql::connection;
use crate::sql::exec::{Collected, ResultSet, Session};
use crate::tls;

/// The options of a stand-in. The default is a private server on a free port of 127.0.0.1, whose data is gone when it
/// is dropped.
#[derive(Clone, Debug)]
pub struct Options {
    /// The address at which it listens. Port 0 takes a free one.
    pub listen: SocketAddr,
    /// The login name.
    pub username: String,
    /// Its password.
    pub password: String,
    /// Its default database, which is created if it does not exist.
    pub database: String,
    /// The directory into which `ca.pem` is written, or `None` for a temporary one.
    pub tls_dir: Option<PathBuf>,
    /// The scripts that run before the first connection. Their batches are separated by `GO`.
    pub init: Vec<String>,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            username: "sa".to_owned(),
            password: "Tidemark-1".to_owned(),
            database: "tidemark".to_owned(),
            tls_dir: None,
            init: Vec::new(),
        }
    }
}

/// The reason why a stand-in did not start or a script failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The address, the directory or the threads failed.
    #[error("the stand-in could not start: {0}")]
    Io(#[from] std::io::Error),
    /// The storage or an init script failed.
    #[error("{0}")]
    Sql(#[from] SqlError),
}

/// How long a stand-in that is dropped waits for its sessions.
const LAST_SESSION: Duration = Duration::from_secs(1);

/// A running stand-in. Dropping it cuts its connections and stops it.
pub struct Sandbox {
    addr: SocketAddr,
    engine: Arc<Engine>,
    ca_pem: String,
    ca_path: PathBuf,
    cut: watch::Sender<u64>,
    runtime: Option<tokio::runtime::Runtime>,
    _directory: Option<tempfile::TempDir>,
}

impl Sandbox {
    /// Starts a stand-in. When this returns, it accepts connections.
    ///
    /// Fails when it cannot listen or write its files, or an init script fails.
    pub fn start(options: Options) -> Result<Sandbox, Error> {
        let engine = connection::serve(&options.username, &options.password, &options.database)?;
        let identity = tls::identity()?;
        let ca_pem = identity.ca_pem.clone();
        let (directory, tls_dir) = match &options.tls_dir {
            Some(path) => {
                std::fs::create_dir_all(path)?;
                (None, path.clone())
            }
            None => {
                let directory = tempfile::Builder::new().prefix("tidemark-sandbox-tls-").tempdir()?;
                let path = directory.path().to_owned();
                (Some(directory), path)
            }
        };
        let ca_path = tls_dir.join("ca.pem");
        std::fs::write(&ca_path, &ca_pem)?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .thread_name("sandbox")
            .enable_all()
            .build()?;
        let listener = std::net::TcpListener::bind(options.listen)?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let (cut, watcher) = watch::channel(0);
        let service = Arc::new(Service {
            engine: Arc::clone(&engine),
            identity,
            cut: watcher,
        });
        let mut sandbox = Sandbox {
            addr,
            engine,
            ca_pem,
            ca_path,
            cut,
            runtime: None,
            _directory: directory,
        };
        for script in &options.init {
            sandbox.execute(script)?;
        }
        let guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        drop(guard);
        runtime.spawn(server::accept(listener, service));
        sandbox.runtime = Some(runtime);
        Ok(sandbox)
    }

    /// Returns the address at which it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the port at which it listens.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Returns the certificate of its authority in PEM.
    pub fn ca_pem(&self) -> &str {
        &self.ca_pem
    }

    /// Returns the file that holds [`Sandbox::ca_pem`].
    pub fn ca_path(&self) -> &Path {
        &self.ca_path
    }

    /// Returns the login name.
    pub fn username(&self) -> &str {
        &self.engine.username
    }

    /// Returns the login's password.
    pub fn password(&self) -> &str {
        &self.engine.password
    }

    /// Returns the login's default database.
    pub fn database(&self) -> &str {
        &self.engine.database
    }

    /// Takes logins by this access token from now on, and by no other token.
    pub fn take_token(&self, token: &str) {
        *locked(&self.engine.token) = Some(token.to_owned());
    }

    /// Runs a script in a session of its own, without the network. Its batches are separated by lines with `GO`.
    ///
    /// Fails with the first error of the script. What ran before it stays.
    pub fn execute(&self, script: &str) -> Result<Vec<ResultSet>, SqlError> {
        let Collected { errors, sets, .. } = self.run(script)?;
        errors.into_iter().next().map_or(Ok(sets), Err)
    }

    /// Runs a script like [`Sandbox::execute`], and returns everything that it gave: results, counts, messages and
    /// errors.
    ///
    /// Fails when the storage cannot be opened.
    pub fn run(&self, script: &str) -> Result<Collected, SqlError> {
        let mut session = Session::new(&self.engine)?;
        let mut collected = Collected::default();
        session.script(script, &mut collected);
        session.rollback_quietly();
        Ok(collected)
    }

    /// Opens a session without the network, for a transaction that stays open while others go on.
    ///
    /// Fails when the storage cannot be opened.
    pub fn session(&self) -> Result<OpenSession, SqlError> {
        Ok(OpenSession(Session::new(&self.engine)?))
    }

    /// Opens a session as a login that was created, with its rights.
    ///
    /// Fails with 18456 when there is no such login.
    pub fn session_of(&self, username: &str, password: &str) -> Result<OpenSession, SqlError> {
        let mut session = Session::new(&self.engine)?;
        session.log_in(username, password)?;
        Ok(OpenSession(session))
    }

    /// Sets the last used rowversion, `@@DBTS`, of the first database. The next row gets the one after it.
    pub fn set_rowversion(&self, last: u64) {
        self.engine.set_rowversion(&self.engine.database, last);
    }

    /// Lets the server say that it has this engine and this major version.
    pub fn become_product(&self, engine: i64, major: Option<i64>) {
        *locked(&self.engine.product) = (engine, major);
    }

    /// Lets every database answer as that of a secondary replica does.
    pub fn become_replica(&self) {
        self.engine.replica.store(true, std::sync::atomic::Ordering::Relaxed);
    }

    /// Makes a snapshot of every database, in the sense that it says of itself to be one of another database.
    ///
    /// Fails with the error of the storage.
    pub fn become_snapshot(&self) -> Result<(), SqlError> {
        let session = Session::new(&self.engine)?;
        session.conn().execute("UPDATE main._database SET read_only = 2", [])?;
        Ok(())
    }

    /// Lets all changes that change tracking has until now expire: the cleanup removes them, and the lowest valid
    /// version of each tracked table becomes the current one.
    ///
    /// Fails with the error of the storage.
    pub fn expire_change_tracking(&self) -> Result<(), SqlError> {
        Session::new(&self.engine)?.expire_tracking(&mut Collected::default())
    }

    /// Stops the clock at a moment, which is text that means UTC, and gives the server this time zone, which is one of
    /// `ZONES` in `clock.rs`.
    ///
    /// Fails with 241 when the text is no moment, and with 9820 when there is no such zone.
    pub fn set_clock(&self, utc: &str, zone: &str) -> Result<(), SqlError> {
        *locked(&self.engine.clock) = Clock::standing(utc, zone)?;
        Ok(())
    }

    /// Orders a fault for a request to come.
    pub fn inject(&self, fault: Fault) {
        self.engine.faults.order(fault);
    }

    /// Takes back all faults that have not happened.
    pub fn clear_faults(&self) {
        self.engine.faults.clear();
    }

    /// Returns what clients have asked for since the last call: the statements of a batch, the name and the texts of a
    /// procedure's call, each on a line, and `LOGIN` for a login, and whether it asks for a language and lacks the settings
    /// of ODBC. The first call returns nothing and begins to note them.
    pub fn statements(&self) -> Vec<String> {
        self.engine.faults.noted()
    }

    /// Returns the number of requests of clients that are being run.
    pub fn running(&self) -> usize {
        Arc::strong_count(&self.engine.running) - 1
    }

    /// Cuts all connections that are open now.
    pub fn disconnect_all(&self) {
        self.cut.send_modify(|n| *n += 1);
    }
}

/// A session that stays open between scripts, on the caller's thread. Dropping it rolls its transaction back.
///
/// A script that needs what another session holds waits for it. Where that session is on the same thread, set
/// `LOCK_TIMEOUT` first.
pub struct OpenSession(Session);

impl OpenSession {
    /// Runs a script like [`Sandbox::execute`], in this session.
    ///
    /// Fails with the first error of the script.
    pub fn execute(&mut self, script: &str) -> Result<Vec<ResultSet>, SqlError> {
        let Collected { errors, sets, .. } = self.run(script);
        errors.into_iter().next().map_or(Ok(sets), Err)
    }

    /// Runs a script in this session, and returns everything that it gave.
    pub fn run(&mut self, script: &str) -> Collected {
        let mut collected = Collected::default();
        self.0.script(script, &mut collected);
        collected
    }
}

impl Drop for OpenSession {
    fn drop(&mut self) {
        self.0.rollback_quietly();
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let Some(runtime) = self.runtime.take() else {
            return;
        };
        // The files of its databases are removed with its last session, for which a runtime cannot wait within another.
        match tokio::runtime::Handle::try_current() {
            Ok(_) => runtime.shutdown_background(),
            Err(_) => runtime.shutdown_timeout(LAST_SESSION),
        }
    }
}
