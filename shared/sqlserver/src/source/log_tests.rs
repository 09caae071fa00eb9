//! What the log says of a source, once for all tables of a lookup.

use std::fmt;
use std::sync::{Arc, Mutex};

use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::table::Clock;
use tidemark::model::types::TypeName;
use tidemark::ports::source::{ProbeSource, WatermarkColumn};
use tidemark_sandbox::{Action, Fault, Options, Sandbox, SqlError};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::login::Login;
use crate::session::Server;

/// Collects the lines of the log, each with its level.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<String>>>);

/// The message of a line.
struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0.push_str(&format!("{value:?}"));
        }
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _metadata: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _span: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _span: &Id, _values: &Record<'_>) {}

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut message = Message(format!("{} ", event.metadata().level()));
        event.record(&mut message);
        self.0.lock().unwrap().push(message.0);
    }

    fn enter(&self, _span: &Id) {}

    fn exit(&self, _span: &Id) {}
}

/// Returns how many lines that begin so `work` logs.
async fn logged(begin: &str, work: impl Future<Output = ()>) -> usize {
    let lines = Lines::default();
    let guard = tracing::subscriber::set_default(lines.clone());
    work.await;
    drop(guard);
    let lines = lines.0.lock().unwrap();
    lines.iter().filter(|line| line.starts_with(begin)).count()
}

fn sandbox(statements: &str) -> Sandbox {
    let sandbox = Sandbox::start(Options::default()).unwrap();
    sandbox.execute(statements).unwrap();
    sandbox
}

/// A server before SQL Server 2016 has no `sys.time_zone_info`.
#[tokio::test]
async fn a_server_that_does_not_know_time_zones_is_warned_about_once_in_a_lookup() {
    let sandbox = sandbox("CREATE TABLE t (at datetime2(3) NOT NULL); CREATE TABLE u (at datetime2(3) NOT NULL)");
    sandbox.inject(Fault {
        text: "sys.time_zone_info".to_owned(),
        after_rows: None,
        action: Action::Error(SqlError::no_object("sys.time_zone_info")),
        times: 9,
    });
    let server = Server::new(Login::of_stand_in(&sandbox));
    let tables: [ObjectName; 2] = ["t", "u"].map(|name| name.parse().unwrap());
    let (name, sql_type) = (Identifier::new("at").unwrap(), TypeName::new("datetime2(3)").unwrap());
    for _lookup in 0..2 {
        let said = "WARN The server does not say whether its clock goes back";
        let warned = logged(said, async {
            server.catalogs(&tables.each_ref()).await.unwrap();
            for table in &tables {
                let column = WatermarkColumn {
                    table,
                    name: &name,
                    sql_type: &sql_type,
                    nullable: false,
                    clock: Clock::Utc,
                    filter: None,
                };
                server.growth(&column, None).await.unwrap();
            }
        });
        assert_eq!(warned.await, 1);
    }
}

#[tokio::test]
async fn a_login_that_does_not_see_policies_is_told_so_once() {
    let sandbox = sandbox(
        "CREATE TABLE t (id int); CREATE TABLE u (id int); CREATE LOGIN reader WITH PASSWORD = 'Reader-1'; CREATE USER reader FOR LOGIN reader; \
         GRANT SELECT ON t TO reader; GRANT SELECT ON u TO reader",
    );
    let tables: [ObjectName; 2] = ["t", "u"].map(|name| name.parse().unwrap());
    let owner = Login::of_stand_in(&sandbox);
    let reader = Login::new("127.0.0.1", sandbox.port(), "reader", "Reader-1", &owner.database).with_tls(owner.tls);
    for (login, times) in [(owner, 0), (reader, 1)] {
        let server = Server::new(login);
        let said = "INFO Whether security policies hide rows from the login is not known";
        let told = logged(said, async {
            server.catalogs(&tables.each_ref()).await.unwrap();
            server.catalogs(&[&tables[0]]).await.unwrap();
        });
        assert_eq!(told.await, times);
    }
}
