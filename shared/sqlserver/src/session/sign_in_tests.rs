//! Tests which logins each driver accepts and what it requests from the server.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tidemark::error::{Answer, ErrorCode, Failure, Fault};
use tidemark::model::names::Identifier;
use tidemark::model::table::Clock;
use tidemark::model::types::TypeName;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::secrets::{ReadSecrets, Secret};
use tidemark::ports::source::{ProbeSource, WatermarkColumn};
use tidemark::ports::tokens::{Identity, IssueTokens, Token};
use tidemark_replay::server::{self, Replay};
use tidemark_sandbox::{Options, Sandbox};

use super::{Driver, Mssql, Session, Tiberius, Timeouts};
use crate::login::{Credential, Login, Logins, ServerSettings, Tls};
use crate::statements::Statement;

/// A store with this one secret, and an issuer of this one token.
#[derive(Debug)]
struct Known(String, &'static str);

impl ReadSecrets for Known {
    fn secret<'a>(&'a self, _: &'a str) -> BoxFuture<'a, Answer<Secret>> {
        Box::pin(async { Ok(Secret::new(self.0.clone())) })
    }
}

impl IssueTokens for Known {
    fn token<'a>(&'a self, _: &'a Identity) -> BoxFuture<'a, Answer<Token>> {
        let value = Secret::new(self.1.to_owned());
        let lifetime = Duration::from_secs(3600);
        Box::pin(async move { Ok(Token { value, lifetime }) })
    }
}

async fn application(sandbox: &Sandbox, token: &'static str) -> Credential {
    let (port, database) = (sandbox.port(), sandbox.database());
    let secret = serde_json::json!({
        "host": "127.0.0.1", "port": port, "dbname": database, "tls": "trust",
        "authentication": "web_identity", "tenant_id": "t", "client_id": "c",
    });
    let known = Arc::new(Known(secret.to_string(), token));
    let logins = Logins::with_tokens(known.clone(), known);
    logins.credential(&ServerSettings::of_secret("s")).await.unwrap()
}

/// Connects. Returns the fault, its number and the text of a failure.
async fn connect<D: Driver>(credential: impl Into<Credential>) -> Option<(Fault, Option<u32>, String)> {
    let session = Session::<D>::new(credential);
    let failure = session.connect().await.err()?;
    Some((failure.fault(), failure.number(), format!("{failure:?} {session:?}")))
}

#[tokio::test(flavor = "multi_thread")]
async fn an_application_is_let_in_by_its_token() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox.take_token("t0ken");
    assert_eq!(connect::<Mssql>(application(&sandbox, "t0ken").await).await, None);
    assert_eq!(connect::<Tiberius>(application(&sandbox, "t0ken").await).await, None);
    for refused in [
        connect::<Mssql>(application(&sandbox, "0ther").await).await,
        connect::<Tiberius>(application(&sandbox, "0ther").await).await,
    ] {
        let (fault, number, shown) = refused.unwrap();
        assert_eq!((fault, number), (Fault::Refused, Some(18456)));
        assert!(!shown.contains("0ther"), "{shown}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_login_that_only_reads_says_so() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox.statements();
    for read_intent in [false, true] {
        let login = Login {
            read_intent,
            ..Login::of_stand_in(&sandbox)
        };
        assert_eq!(connect::<Mssql>(login.clone()).await, None);
        assert_eq!(connect::<Tiberius>(login).await, None);
        let expected = if read_intent { "LOGIN ReadOnly" } else { "LOGIN" };
        assert_eq!(sandbox.statements(), [expected, expected]);
    }
}

/// `'2024-02-01'` is a day in January to a `datetime` in some languages and one in February in others, so the lookups and
/// the copy must have one language, which is the login's own. Nor may the settings of their sessions differ, such as what NULL is
/// equal to.
#[tokio::test(flavor = "multi_thread")]
async fn neither_driver_chooses_a_language_or_leaves_the_settings_of_odbc_out() {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox.statements();
    assert_eq!(connect::<Mssql>(Login::of_stand_in(&sandbox)).await, None);
    let of_mssql = sandbox.statements();
    assert_eq!(connect::<Tiberius>(Login::of_stand_in(&sandbox)).await, None);
    assert_eq!(
        (of_mssql, sandbox.statements()),
        (vec!["LOGIN".to_owned()], vec!["LOGIN".to_owned()])
    );
}

#[tokio::test]
async fn what_only_the_primary_knows_is_not_asked_of_a_replica() {
    let login = Login {
        read_intent: true,
        ..Login::new("nowhere", 1, "u", "p", "d")
    };
    let (source, table) = (Session::<Tiberius>::new(login), "dbo.t".parse().unwrap());
    let column = WatermarkColumn {
        table: &table,
        name: &Identifier::new("v").unwrap(),
        sql_type: &TypeName::new("rowversion").unwrap(),
        nullable: false,
        clock: Clock::Utc,
        filter: None,
    };
    for failure in [
        source.versions(&table).await.unwrap_err(),
        source.growth(&column, None).await.unwrap_err(),
    ] {
        assert_eq!(
            failure.fault(),
            Fault::Known(ErrorCode::InvalidConfig),
            "nothing was opened"
        );
        assert!(failure.to_string().contains("read_intent"), "{failure}");
    }
}

/// Starts a server that accepts any login and never answers a statement.
fn silent() -> (Replay, Login) {
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let server = Replay::start_with_tls(
        server::Answer::Silence(Vec::new()),
        &certificate.pem(),
        &key.serialize_pem(),
    );
    let login = Login::new("127.0.0.1", server.port(), "u", "p", "d").with_tls(Tls::Trust);
    (server, login)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirection_is_followed_to_the_port_of_an_instance_and_ten_times() {
    let here = "127.0.0.1\\instance";
    let key = rcgen::KeyPair::generate().unwrap();
    let params = rcgen::CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let start = |answer| Replay::start_with_tls(answer, &certificate.pem(), &key.serialize_pem());
    let mut servers = vec![start(server::Answer::Silence(Vec::new()))];
    for _ in 0..11 {
        let port = servers.last().unwrap().port();
        servers.push(start(server::Answer::Redirect(here.to_owned(), port)));
    }
    let at = |hops: usize| Login::new("127.0.0.1", servers[hops].port(), "u", "p", "d").with_tls(Tls::Trust);
    for hops in [1, 10] {
        assert_eq!(connect::<Mssql>(at(hops)).await, None, "{hops}");
        assert_eq!(connect::<Tiberius>(at(hops)).await, None, "{hops}");
    }
    assert!(connect::<Mssql>(at(11)).await.is_some());
    let (fault, _, shown) = connect::<Tiberius>(at(11)).await.unwrap();
    assert!(
        fault == Fault::Unreachable && shown.contains("redirected too often"),
        "{shown}"
    );
}

/// The most bytes of an attention: mssql-tds sends an empty header length along, and tiberius nothing.
const ATTENTION_BYTES: usize = 4;

/// Returns whether the server received a statement and after it an attention, which has no content.
async fn is_cancelled(server: &Replay) -> bool {
    for _ in 0..100 {
        let requests = server.requests();
        if let [.., statement, attention] = &requests[..]
            && statement.len() > ATTENTION_BYTES
            && attention.len() <= ATTENTION_BYTES
        {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    false
}

/// A session that can be asked something. `ask` returns whether the statement was given up because of the server's
/// silence.
trait Ask {
    fn is_answered(&self) -> impl Future<Output = bool>;
}

fn statement() -> Statement {
    Statement {
        sql: "SELECT 1".to_owned(),
        parameters: Vec::new(),
    }
}

impl Ask for Session<Tiberius> {
    async fn is_answered(&self) -> bool {
        let failure = self.rows(&statement()).await.err().unwrap();
        failure.fault() == Fault::TimedOut
    }
}

impl Ask for Session<Mssql> {
    async fn is_answered(&self) -> bool {
        let silence = self.timeouts().silence;
        let asked = self.with_connection(async |client| {
            let executing = client.execute(statement().sql, ());
            super::within(silence, executing).await
        });
        asked.await.err().unwrap().fault() == Fault::TimedOut
    }
}

/// Starts a server that takes connections and says this, whatever it is told, and returns its login.
fn stranger(says: &'static [u8]) -> Login {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        let mut taken = Vec::new();
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            drop(std::io::Write::write_all(&mut stream, says));
            taken.push(stream);
        }
    });
    Login::new("127.0.0.1", port, "u", "p", "d").with_tls(Tls::Trust)
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_no_sql_server_or_says_nothing_is_told_so_by_both_drivers() {
    async fn failure_of<D: Driver>(login: Login) -> Failure {
        let timeouts = Timeouts {
            connect: Duration::from_secs(1),
            ..IMPATIENT
        };
        let session = Session::<D>::new(login).with_timeouts(timeouts);
        session.connect().await.err().unwrap()
    }
    for (says, fault, said) in [
        (
            &b"SSH-2.0-OpenSSH_9.2\r\n"[..],
            Fault::Refused,
            "does not speak SQL Server's protocol: check host and port",
        ),
        (
            b"",
            Fault::Unreachable,
            "did not finish the login within 1 s: is this SQL Server's port?",
        ),
    ] {
        let failures = [
            failure_of::<Mssql>(stranger(says)).await,
            failure_of::<Tiberius>(stranger(says)).await,
        ];
        for failure in failures {
            assert!(
                failure.fault() == fault && failure.to_string().ends_with(said),
                "{failure}"
            );
            assert!(std::error::Error::source(&failure).is_none(), "{failure:?}");
        }
    }
}

const IMPATIENT: Timeouts = Timeouts {
    connect: Duration::from_secs(10),
    silence: Duration::from_millis(300),
};

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_takes_too_long_is_cancelled_before_its_connection_is_closed() {
    let (server, login) = silent();
    let session = Session::<Tiberius>::new(login).with_timeouts(IMPATIENT);
    assert!(session.is_answered().await, "the server is there");
    assert!(is_cancelled(&server).await, "{:?}", server.requests());
    let (server, login) = silent();
    let session = Session::<Mssql>::new(login).with_timeouts(IMPATIENT);
    assert!(session.is_answered().await, "the server is there");
    assert!(is_cancelled(&server).await, "{:?}", server.requests());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_that_nobody_waits_for_any_more_is_cancelled() {
    let deadline = Duration::from_millis(500);
    let (server, login) = silent();
    let session = Session::<Tiberius>::new(login);
    assert!(tokio::time::timeout(deadline, session.is_answered()).await.is_err());
    assert!(is_cancelled(&server).await, "{:?}", server.requests());
    let (server, login) = silent();
    let session = Session::<Mssql>::new(login);
    assert!(tokio::time::timeout(deadline, session.is_answered()).await.is_err());
    assert!(is_cancelled(&server).await, "{:?}", server.requests());
}
