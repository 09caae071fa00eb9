//! The tutorial against a real SQL Server, in a database of its own: `make test-live SQLSERVER_URL=…`.
//!
//! The login must be allowed to create a database.

// The futures of the steps nest deeper than the default of 128.
#![recursion_limit = "256"]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tiberius::{AuthMethod, Client, Config};
use tidemark::adapters::mssql::MssqlRows;
use tidemark::adapters::sqlserver::{ControlTable, Server};
use tidemark::config::Tls;
use tidemark::login::Login;
use tidemark_tests::pipeline::{Outcome, Pipeline};
use tidemark_tests::s3_server::S3Server;
use tidemark_tests::tutorial;
use tokio::net::TcpStream;
use tokio_util::compat::{Compat, TokioAsyncWriteCompatExt};

/// `sqlserver://user:password@host:port/database?tls=verify|trust`, as `make help` says.
fn login() -> Login {
    let url = std::env::var("SQLSERVER_URL").unwrap_or_else(|_| panic!("SQLSERVER_URL is not set: use make test-live"));
    let rest = url.strip_prefix("sqlserver://").unwrap();
    let (user, rest) = rest.rsplit_once('@').unwrap();
    let (username, password) = user.split_once(':').unwrap();
    let (address, rest) = rest.split_once('/').unwrap();
    let (host, port) = address.split_once(':').unwrap_or((address, "1433"));
    let (database, options) = rest.split_once('?').unwrap_or((rest, ""));
    Login {
        host: host.to_owned(),
        port: port.parse().unwrap(),
        username: username.to_owned(),
        password: password.to_owned(),
        database: database.to_owned(),
        tls: if options.contains("tls=trust") {
            Tls::Trust
        } else {
            Tls::Verify
        },
    }
}

async fn connect(login: &Login) -> Client<Compat<TcpStream>> {
    let mut config = Config::new();
    config.host(&login.host);
    config.port(login.port);
    config.database(&login.database);
    config.authentication(AuthMethod::sql_server(&login.username, &login.password));
    if login.tls == Tls::Trust {
        config.trust_cert();
    }
    let tcp = TcpStream::connect((login.host.as_str(), login.port)).await.unwrap();
    Client::connect(config, tcp.compat_write()).await.unwrap()
}

async fn execute(login: &Login, script: &str) {
    let mut client = connect(login).await;
    for batch in script.split("\nGO\n") {
        client.simple_query(batch).await.unwrap().into_results().await.unwrap();
    }
}

async fn run(login: &Login, s3: &S3Server, run_id: &str) -> Outcome {
    let (source, store) = (Server::new(login.clone()), s3.store());
    let (table, procedure) = (
        "dbo.watermarktable".parse().unwrap(),
        "dbo.usp_write_watermark".parse().unwrap(),
    );
    let watermarks = ControlTable::new(Server::new(login.clone()), table, procedure);
    let rows = MssqlRows::new(login.clone());
    let mut pipeline = Pipeline {
        source: &source,
        rows,
        watermarks: &watermarks,
        store: &store,
        prefix: "tidemark",
        sinks: (),
    };
    let spec = tutorial::spec("data_source_table", "LastModifytime").unwrap();
    let outcome = Box::pin(pipeline.run(run_id, &[spec])).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn the_tutorial_comes_out_to_the_letter_on_a_real_server() {
    let server = login();
    let login = Login {
        database: format!("tidemark_{}", std::process::id()),
        ..server.clone()
    };
    execute(&server, &format!("CREATE DATABASE {}", login.database)).await;
    execute(&login, tutorial::SCRIPT).await;
    let s3 = S3Server::start().await.unwrap();

    run(&login, &s3, "r1").await;
    assert_eq!(
        tutorial::lines(&s3, "dbo.data_source_table").unwrap(),
        tutorial::FIRST_RUN
    );
    execute(&login, &tutorial::CHANGES.join("\nGO\n")).await;
    run(&login, &s3, "r2").await;
    let both = [&tutorial::FIRST_RUN[..], &tutorial::SECOND_RUN].concat();
    assert_eq!(tutorial::lines(&s3, "dbo.data_source_table").unwrap(), both);
    assert_eq!(run(&login, &s3, "r3").await.unchanged, ["dbo.data_source_table"]);
    execute(&server, &format!("DROP DATABASE {}", login.database)).await;
}
