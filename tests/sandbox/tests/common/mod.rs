//! What the tests of the stand-in share.
#![allow(dead_code, clippy::panic, clippy::unwrap_used)]

use mssql_tds::connection::client_context::ClientContext;
use mssql_tds::connection::tds_client::TdsClient;
use mssql_tds::connection_provider::tds_connection_provider::TdsConnectionProvider;
use mssql_tds::core::{EncryptionOptions, EncryptionSetting};
use tiberius::{AuthMethod, Client, Config, EncryptionLevel};
use tidemark_sandbox::{OpenSession, Options, ResultSet, Sandbox};
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// A tiberius client.
pub type Tiberius = Client<Compat<TcpStream>>;

/// The scripts of the first tutorial, as printed: the source table, the watermark table and the procedure.
pub const TUTORIAL: &str = include_str!("../../../tutorials/one_table.sql");

/// The source of the second tutorial, as printed.
pub const MANY_TABLES_SOURCE: &str = include_str!("../../../tutorials/many_tables_source.sql");
/// Its changes before the second run.
pub const MANY_TABLES_CHANGES: &str = include_str!("../../../tutorials/many_tables_changes.sql");
/// Its destination, with its table types and procedures.
pub const MANY_TABLES_DESTINATION: &str = include_str!("../../../tutorials/many_tables_destination.sql");

/// Starts a stand-in with default options.
pub fn sandbox() -> Sandbox {
    Sandbox::start(Options::default()).unwrap()
}

/// Makes a tiberius configuration that trusts the stand-in's authority.
pub fn config(sandbox: &Sandbox) -> Config {
    let mut config = Config::new();
    config.host("localhost");
    config.port(sandbox.port());
    config.database(sandbox.database());
    config.authentication(AuthMethod::sql_server(sandbox.username(), sandbox.password()));
    config.encryption(EncryptionLevel::Required);
    config.trust_cert_ca(sandbox.ca_path().to_str().unwrap());
    config
}

/// Connects with a configuration.
pub async fn connect_with(config: Config, port: u16) -> tiberius::Result<Tiberius> {
    let tcp = TcpStream::connect(("127.0.0.1", port)).await?;
    tcp.set_nodelay(true)?;
    Client::connect(config, tcp.compat_write()).await
}

/// Connects with the configuration of [`config`].
pub async fn connect(sandbox: &Sandbox) -> Tiberius {
    connect_with(config(sandbox), sandbox.port()).await.unwrap()
}

/// Connects with Microsoft's own driver.
pub async fn connect_mssql(sandbox: &Sandbox, database: &str, packet_bytes: u16) -> TdsClient {
    let mut context = ClientContext::default();
    context.user_name = sandbox.username().to_owned();
    context.password = sandbox.password().to_owned();
    context.database = database.to_owned();
    context.packet_size = packet_bytes;
    // The tests of protocol.rs check the certificate. This driver pins it or trusts the system's roots.
    context.encryption_options = EncryptionOptions {
        mode: EncryptionSetting::Required,
        trust_server_certificate: true,
        ..EncryptionOptions::default()
    };
    let source = format!("tcp:127.0.0.1,{}", sandbox.port());
    TdsConnectionProvider {}
        .create_client(context, &source, None)
        .await
        .unwrap()
}

/// Returns the number of a server error.
pub fn number(error: &tiberius::error::Error) -> u32 {
    match error {
        tiberius::error::Error::Server(e) => e.code(),
        other => panic!("not a server error: {other}"),
    }
}

/// Returns the rows of a script's last result as text, with the columns separated by `|`, or the number of its first
/// error.
pub fn ask(sandbox: &Sandbox, sql: &str) -> Result<String, i32> {
    sandbox.execute(sql).map(|sets| lines(&sets)).map_err(|e| e.number)
}

/// Returns the same in a session that stays open.
pub fn ask_in(session: &mut OpenSession, sql: &str) -> Result<String, i32> {
    session.execute(sql).map(|sets| lines(&sets)).map_err(|e| e.number)
}

/// Returns the rows of the last result as text.
pub fn lines(sets: &[ResultSet]) -> String {
    let rows = sets.last().map(|s| s.rows.clone()).unwrap_or_default();
    let line = |r: &Vec<Option<String>>| {
        r.iter()
            .map(|v| v.clone().unwrap_or("NULL".into()))
            .collect::<Vec<_>>()
            .join("|")
    };
    rows.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// Runs each statement as this login and compares.
pub fn all_as(session: &mut OpenSession, cases: &[(&str, Result<&str, i32>)]) {
    for (sql, want) in cases {
        let got = session.run(sql);
        let why = got.errors.first().map(ToString::to_string).unwrap_or_default();
        let got = match got.errors.first() {
            Some(error) => Err(error.number),
            None => Ok(lines(&got.sets)),
        };
        assert_eq!(got, want.map(str::to_owned), "{sql} {why}");
    }
}

/// A statement, and its last result or the number of its error.
pub type Case = (&'static str, Result<&'static str, i32>);

/// Runs each statement and compares. A number is an expected error.
pub fn all(sandbox: &Sandbox, cases: &[(&str, Result<&str, i32>)]) {
    let mut wrong = Vec::new();
    for (sql, want) in cases {
        let got = ask(sandbox, sql);
        if got != want.map(str::to_owned) {
            let why = sandbox.execute(sql).err().map(|e| e.to_string()).unwrap_or_default();
            wrong.push(format!("{sql}\n  want {want:?}\n  got  {got:?} {why}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
