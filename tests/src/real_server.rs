//! A real SQL Server, at the address in `SQLSERVER_URL`.

#![allow(clippy::unwrap_used, reason = "only tests use it, and they fail by panicking")]

use tiberius::error::Error;
use tiberius::{AuthMethod, Client, Config};
pub use tiberius::{FromSql, Row};
use tidemark_sqlserver::login::{Login, Tls};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// Returns the login in `SQLSERVER_URL`, where it is set:
/// `sqlserver://user:password@host:port/database?tls=verify|trust`, as `make help` says.
#[must_use]
pub fn login_from_environment() -> Option<Login> {
    let url = std::env::var("SQLSERVER_URL").ok().filter(|url| !url.is_empty())?;
    let rest = url.strip_prefix("sqlserver://").unwrap();
    let (user, rest) = rest.rsplit_once('@').unwrap();
    let (username, password) = user.split_once(':').unwrap();
    let (address, rest) = rest.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap_or((address, "1433"));
    let (database, options) = rest.split_once('?').unwrap_or((rest, ""));
    Some(
        Login::new(
            host.to_owned(),
            port.parse().unwrap(),
            username.to_owned(),
            password.to_owned(),
            database.to_owned(),
        )
        .with_tls(if options.contains("tls=trust") {
            Tls::Trust
        } else {
            Tls::Verify
        }),
    )
}

/// A connection for scripts and checks.
pub type Connection = Client<Compat<TcpStream>>;

/// Opens a connection for scripts and checks.
pub async fn connect(login: &Login) -> Connection {
    let mut config = Config::new();
    config.host(&login.host);
    config.port(login.port);
    config.database(&login.database);
    config.authentication(AuthMethod::sql_server(login.username(), login.password()));
    if login.tls == Tls::Trust {
        config.trust_cert();
    }
    let tcp = TcpStream::connect((login.host.as_str(), login.port)).await.unwrap();
    Client::connect(config, tcp.compat_write()).await.unwrap()
}

/// Returns the rows of one SELECT.
///
/// # Errors
///
/// Fails with the server's own words when it refuses the statement.
pub async fn rows(connection: &mut Connection, sql: &str) -> Result<Vec<Row>, String> {
    let said = |error| match error {
        Error::Server(told) => format!("{} (error {})", told.message(), told.code()),
        other => other.to_string(),
    };
    let answer = connection.simple_query(sql).await.map_err(said)?;
    answer.into_first_result().await.map_err(said)
}

/// Runs the batches of a script, which are separated by lines with `GO`.
pub async fn execute(login: &Login, script: &str) {
    let mut client = connect(login).await;
    for batch in script.split("\nGO\n") {
        client.simple_query(batch).await.unwrap().into_results().await.unwrap();
    }
}
