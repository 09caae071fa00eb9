//! The tutorials against a real SQL Server, in databases of their own: `make test-live SQLSERVER_URL=…`.
//!
//! The login must be allowed to create a database.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use tiberius::Row;
use tidemark::ledger::{Place, Pointers};
use tidemark::model::table::TableSpec;
use tidemark::planner::examine::examine;
use tidemark::ports::watermarks::MoveWatermarks;
use tidemark::testing::pipeline::{Pipeline, RunOutcome};
use tidemark_files::encoder::Files;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::rows::RowReader;
use tidemark_sqlserver::session::Server;
use tidemark_sqlserver::sink::SinkServer;
use tidemark_tests::every_type;
use tidemark_tests::real_server::{self, connect, execute};
use tidemark_tests::s3_server::S3Server;
use tidemark_tests::stand_in::{CONTROL_TABLE, control_table};
use tidemark_tests::tutorial::{self, many_tables};

/// The tutorials' control table and its procedure.
const CONTROL: (&str, &str) = ("dbo.watermarktable", "dbo.usp_write_watermark");

fn login() -> Login {
    real_server::login_from_environment().unwrap_or_else(|| panic!("SQLSERVER_URL is not set: use make test-live"))
}

/// Creates a database on the server by a script in which `$database` is its name.
async fn create(server: &Login, name: &str, script: &str) -> Login {
    let login = Login {
        database: format!("tidemark_{name}_{}", std::process::id()),
        ..server.clone()
    };
    execute(server, &format!("CREATE DATABASE {}", login.database)).await;
    execute(&login, &script.replace("$database", &login.database)).await;
    login
}

async fn run(login: &Login, s3: &S3Server, run_id: &str, control: (&str, &str), spec: &TableSpec) -> RunOutcome {
    run_into((login, login), s3, run_id, control, std::slice::from_ref(spec)).await
}

/// Runs the steps once from one database. What is merged goes into the other, where the control table is.
async fn run_into(
    (login, sink): (&Login, &Login),
    s3: &S3Server,
    run_id: &str,
    control: (&str, &str),
    specs: &[TableSpec],
) -> RunOutcome {
    let watermarks = control_table(Server::new(sink.clone()), control.0, control.1);
    run_with((login, sink), s3, run_id, &watermarks, specs).await
}

async fn run_with<W: MoveWatermarks>(
    (login, sink): (&Login, &Login),
    s3: &S3Server,
    run_id: &str,
    watermarks: &W,
    specs: &[TableSpec],
) -> RunOutcome {
    let (source, store) = (Server::new(login.clone()), s3.store());
    let mut pipeline = Pipeline::new(
        &source,
        RowReader::new(login.clone()),
        watermarks,
        Place::new(&store, "tidemark"),
        Files,
        SinkServer::new(sink.clone()),
    );
    let outcome = Box::pin(pipeline.run(run_id, specs)).await.unwrap();
    assert!(outcome.failed.is_empty(), "{:?}", outcome.failed);
    outcome
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn the_tutorial_comes_out_to_the_letter_on_a_real_server() {
    let server = login();
    let login = create(&server, "watermark", tutorial::SCRIPT).await;
    let s3 = S3Server::start().await.unwrap();
    let spec = tutorial::spec("data_source_table", "LastModifytime").unwrap();
    let run = async |run_id| run(&login, &s3, run_id, CONTROL, &spec).await;

    run("r1").await;
    assert_eq!(
        tutorial::lines(&s3, "dbo.data_source_table").unwrap(),
        tutorial::FIRST_RUN
    );
    execute(&login, &tutorial::CHANGES.join("\nGO\n")).await;
    run("r2").await;
    let both = [&tutorial::FIRST_RUN[..], &tutorial::SECOND_RUN].concat();
    assert_eq!(tutorial::lines(&s3, "dbo.data_source_table").unwrap(), both);
    assert_eq!(run("r3").await.unchanged, ["dbo.data_source_table".parse().unwrap()]);
    execute(&server, &format!("DROP DATABASE {}", login.database)).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn the_tutorial_on_change_tracking_comes_out_on_a_real_server() {
    const TABLE: &str = "dbo.data_source_table";
    let server = login();
    let script = include_str!("../tutorials/change_tracking.sql");
    let script = script.replace("ALTER DATABASE tidemark", "ALTER DATABASE $database");
    let login = create(&server, "change_tracking", &script).await;
    let s3 = S3Server::start().await.unwrap();
    let mut spec = tutorial::spec("data_source_table", "PersonID").unwrap();
    spec.tracking = serde_json::from_value(serde_json::json!({ "change_tracking": {} })).unwrap();
    let run = async |run_id| {
        let control = (
            "dbo.table_store_ChangeTracking_version",
            "dbo.Update_ChangeTracking_Version",
        );
        run(&login, &s3, run_id, control, &spec).await
    };

    run("r1").await;
    let mut expected = vec![
        "1,aaaa,21,0,I",
        "2,bbbb,24,0,I",
        "3,cccc,20,0,I",
        "4,dddd,26,0,I",
        "5,eeee,22,0,I",
    ];
    assert_eq!(tutorial::lines(&s3, TABLE).unwrap(), expected);
    execute(
        &login,
        "INSERT INTO data_source_table (PersonID, Name, Age) VALUES (6, 'new','50')\nGO\n\
         UPDATE data_source_table SET [Age] = '10', [name]='update' where [PersonID] = 1",
    )
    .await;
    run("r2").await;
    execute(&login, "DELETE FROM data_source_table WHERE PersonID = 3").await;
    run("r3").await;
    assert_eq!(run("r4").await.unchanged, [TABLE.parse().unwrap()]);
    expected.extend(["1,update,10,2,U", "6,new,50,1,I", "3,\\N,\\N,3,D"]);
    expected.sort_unstable();
    assert_eq!(tutorial::lines(&s3, TABLE).unwrap(), expected);

    // The table is truncated at the very version that is stored.
    execute(
        &login,
        "TRUNCATE TABLE data_source_table\nGO\nINSERT INTO data_source_table VALUES (7, 'alone', 1)",
    )
    .await;
    let loaded = run("r5").await;
    assert_eq!(
        (loaded.committed[0].window.as_str(), loaded.committed[0].rows),
        ("reinit-from-3", 1)
    );
    execute(&server, &format!("DROP DATABASE {}", login.database)).await;
}

/// Returns the rows of a query, each value as the server writes it.
async fn rows(login: &Login, columns: &[&str], from: &str) -> Vec<String> {
    let texts: Vec<_> = columns
        .iter()
        .map(|column| format!("CONVERT(nvarchar(100), {column}, 121)"))
        .collect();
    let sql = format!("SELECT CONCAT_WS('|', {}) FROM {from}", texts.join(", "));
    let mut client = connect(login).await;
    let answer = client
        .simple_query(sql)
        .await
        .unwrap()
        .into_first_result()
        .await
        .unwrap();
    answer
        .iter()
        .map(|row| row.get::<&str, _>(0).unwrap().to_owned())
        .collect()
}

async fn both_tables(kind: &str, sink: impl Fn(&str, &str, &str) -> serde_json::Value) {
    let server = login();
    let from = create(
        &server,
        &format!("{kind}_source"),
        many_tables::SOURCE.trim_end_matches("GO\n"),
    )
    .await;
    let to = create(
        &server,
        &format!("{kind}_sink"),
        many_tables::DESTINATION.trim_end_matches("GO\n"),
    )
    .await;
    let spec = |table: &str, column: &str, key: &str, kind: &str| {
        serde_json::from_value::<TableSpec>(serde_json::json!({
            "table": table,
            "tracking": { "watermark": { "column": column, "settle_seconds": 0 } },
            "sink": { "sqlserver": sink(table, key, kind) },
        }))
        .unwrap()
    };
    let specs = [
        spec("customer_table", "LastModifytime", "PersonID", "Customer"),
        spec("project_table", "Creationtime", "Project", "Project"),
    ];
    let s3 = S3Server::start().await.unwrap();
    let customers = async || {
        rows(
            &to,
            &["PersonID", "Name", "LastModifytime"],
            "customer_table ORDER BY PersonID",
        )
        .await
    };
    let projects = async || rows(&to, &["Project", "Creationtime"], "project_table ORDER BY Creationtime").await;

    run_into((&from, &to), &s3, "r1", CONTROL, &specs).await;
    assert_eq!(customers().await, many_tables::CUSTOMERS);
    assert_eq!(projects().await, many_tables::PROJECTS);
    execute(&from, many_tables::CHANGES.trim_end_matches("GO\n")).await;
    run_into((&from, &to), &s3, "r2", CONTROL, &specs).await;
    assert_eq!(customers().await, many_tables::CUSTOMERS_AFTER);
    assert_eq!(projects().await, many_tables::PROJECTS_AFTER);
    for database in [from, to] {
        execute(&server, &format!("DROP DATABASE {}", database.database)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn the_tutorial_of_many_tables_comes_out_to_the_letter_on_a_real_server() {
    both_tables(
        "keys",
        |_, key, _| serde_json::json!({ "secret_arn": "sink", "keys": [key] }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn the_tutorials_procedures_are_handed_the_rows_on_a_real_server() {
    let sink = |table: &str, _: &str, kind: &str| {
        serde_json::json!({
            "secret_arn": "sink",
            "procedure": format!("usp_upsert_{table}"),
            "table_type": format!("DataTypefor{kind}Table"),
        })
    };
    both_tables("procedures", sink).await;
}

/// Returns the rows of the table of every type, each value as its bytes.
async fn every_value(login: &Login) -> Vec<Vec<Option<Vec<u8>>>> {
    let mut client = connect(login).await;
    let answer = client.simple_query(every_type::select_bytes()).await.unwrap();
    let rows = answer.into_first_result().await.unwrap();
    let value = |row: &Row, at: usize| row.get::<&[u8], _>(at).map(<[u8]>::to_vec);
    let values = |row: &Row| (0..every_type::COLUMNS.len()).map(|at| value(row, at)).collect();
    rows.iter().map(values).collect()
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn every_type_arrives_as_it_was_on_a_real_server() {
    let server = login();
    let from = create(&server, "every_source", &every_type::create()).await;
    let to = create(&server, "every_sink", &every_type::create()).await;
    execute(&from, every_type::EDGES).await;
    let spec: TableSpec = serde_json::from_value(serde_json::json!({
        "table": "every",
        "tracking": { "watermark": { "column": "at", "settle_seconds": 0 } },
        "sink": { "sqlserver": { "secret_arn": "sink" } },
    }))
    .unwrap();
    let s3 = S3Server::start().await.unwrap();
    let store = s3.store();
    let pointers = Pointers::new(Place::new(&store, "tidemark"));
    for (run_id, changes) in [("r1", "SELECT 1"), ("r2", every_type::CHANGES)] {
        execute(&from, changes).await;
        run_with((&from, &to), &s3, run_id, &pointers, std::slice::from_ref(&spec)).await;
        let (sent, arrived) = (every_value(&from).await, every_value(&to).await);
        assert_eq!(sent.len(), 4);
        for (sent, arrived) in sent.iter().zip(&arrived) {
            for (at, (sent, arrived)) in sent.iter().zip(arrived).enumerate() {
                assert_eq!(sent, arrived, "{:?}", every_type::COLUMNS[at]);
            }
        }
        assert_eq!(sent.len(), arrived.len());
    }
    for database in [from, to] {
        execute(&server, &format!("DROP DATABASE {}", database.database)).await;
    }
}

/// Tables that are tracked in every way, and a view. Names in the catalog are compared by the database's own rules.
const EVERY_QUESTION: &str = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS)\nGO
    ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON\nGO
    CREATE TABLE dbo.Orders (Id int IDENTITY NOT NULL PRIMARY KEY, Name nvarchar(20) NULL, Stamp rowversion, At datetime2(3) NOT NULL DEFAULT SYSUTCDATETIME())\nGO
    CREATE INDEX i ON dbo.Orders (Stamp)\nGO
    ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING\nGO
    INSERT INTO dbo.Orders (Name) SELECT TOP 500 N'x' FROM sys.all_columns\nGO
    CREATE FUNCTION dbo.Twice (@n int) RETURNS int AS BEGIN RETURN @n * 2 END\nGO
    CREATE VIEW dbo.Shown AS SELECT Id, dbo.Twice(Id) AS Double, At FROM dbo.Orders\nGO
    CREATE SYNONYM dbo.Near FOR dbo.Orders";

/// A name that is spelled otherwise than in the catalog, and a statement that an older version does not know, fail here and
/// nowhere else.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs a real SQL Server: make test-live"]
async fn the_catalog_answers_every_question_on_a_real_server() {
    let server = login();
    let collations = [
        "SQL_Latin1_General_CP1_CI_AS",
        "Latin1_General_100_CS_AS_SC",
        "Latin1_General_BIN2",
        "Turkish_100_CI_AS",
    ];
    for (place, collation) in collations.into_iter().enumerate() {
        for level in [100, 120, 130, 160] {
            let login = Login {
                database: format!("tidemark_questions_{place}_{level}_{}", std::process::id()),
                ..server.clone()
            };
            let name = &login.database;
            // A server does not know the levels of later versions.
            let script = format!(
                "CREATE DATABASE {name} COLLATE {collation}\nGO\n\
                 IF CAST(SERVERPROPERTY('ProductMajorVersion') AS int) * 10 >= {level} \
                 EXEC ('ALTER DATABASE {name} SET COMPATIBILITY_LEVEL = {level}')"
            );
            execute(&server, &script).await;
            execute(&login, EVERY_QUESTION).await;
            execute(&login, &CONTROL_TABLE.replace("\r\n", "\n")).await;
            ask_everything(&login).await;
            execute(&server, &format!("DROP DATABASE {name}")).await;
        }
    }
}

/// Runs every tracking twice, and asks what a person asks.
async fn ask_everything(login: &Login) {
    let source = Server::new(login.clone());
    source.greet().await.unwrap();
    source.sees_policies().await.unwrap();
    let inventory = source.inventory().await.unwrap();
    assert!(
        inventory
            .iter()
            .any(|table| table.name.to_string() == "dbo.Orders" && table.rows == Some(500))
    );
    let control = ("dbo.tidemark_watermark", "dbo.tidemark_write_watermark");
    for (table, tracking) in [
        ("dbo.Orders", serde_json::json!({ "watermark": { "column": "Stamp" } })),
        (
            "dbo.Orders",
            serde_json::json!({ "watermark": { "column": "At", "settle_seconds": 0 } }),
        ),
        ("dbo.Orders", serde_json::json!({ "change_tracking": {} })),
        (
            "dbo.Shown",
            serde_json::json!({ "watermark": { "column": "At", "settle_seconds": 0 } }),
        ),
        ("dbo.Near", serde_json::json!({ "watermark": { "column": "Stamp" } })),
    ] {
        let name = format!("{table} {tracking}");
        let spec: TableSpec = serde_json::from_value(serde_json::json!({
            "table": table, "tracking": tracking, "watermark_name": name, "slice_rows": 100,
        }))
        .unwrap();
        examine(&source, &spec).await.unwrap();
        let s3 = S3Server::start().await.unwrap();
        let first = run(login, &s3, "r1", control, &spec).await;
        assert_eq!(first.committed[0].rows, 500, "{name}");
        execute(
            login,
            "UPDATE dbo.Orders SET Name = N'y', At = DATEADD(second, 1, At) WHERE Id = 500",
        )
        .await;
        run(login, &s3, "r2", control, &spec).await;
        execute(
            login,
            "UPDATE dbo.Orders SET Name = N'x', At = DATEADD(second, -1, At) WHERE Id = 500",
        )
        .await;
    }
}
