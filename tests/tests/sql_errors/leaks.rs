//! What a server says of the values of rows is in no log and no error, at whatever level and whoever asks for it.
//!
//! Logs are set up once in a process, so each setting runs in a process of its own, which is this test binary again
//! with the environment of the setting.

use std::fmt::Write;
use std::process::Command;

use serde_json::json;
use tidemark::error::{Answer, Failure, Role};
use tidemark::model::sink::SqlServerSink;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::{Watermark, WatermarkKey};
use tidemark::planner::examine::examine;
use tidemark::ports::objects::ReadObjects;
use tidemark::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks};
use tidemark::steps::update::UpdateAnswer;
use tidemark::steps::window_of_run::WindowOfRun;
use tidemark_lambda::logs;
use tidemark_tests::stand_in::control_table;

use super::{Server, Sources};

const SETTING: &str = "TIDEMARK_LOG_SETTING";
const MARK: &str = "m4rk3d";

/// What procedures do: errors whose texts quote a value, and what their authors raise, print and build statements of.
const DOES: [(&str, &str); 8] = [
    ("converts", "SELECT CAST('m4rk3d' AS int)"),
    ("repeats", "INSERT INTO dbo.known VALUES ('m4rk3d')"),
    ("cuts", "INSERT INTO dbo.short VALUES ('m4rk3d')"),
    ("overflows", "SELECT CAST(CAST('99999999999' AS bigint) AS int)"),
    ("throws", "THROW 50001, 'm4rk3d', 1"),
    ("raises", "RAISERROR('m4rk3d', 16, 1)"),
    ("prints", "PRINT 'm4rk3d'"),
    ("builds", "EXEC sp_executesql N'SELECT * FROM m4rk3d'"),
];

/// Errors of the server itself, at any statement.
const SAID: [(u32, &str); 6] = [
    (
        245,
        "Conversion failed when converting the varchar value 'm4rk3d' to data type int.",
    ),
    (
        2627,
        "Violation of PRIMARY KEY constraint. The duplicate key value is (m4rk3d).",
    ),
    (
        2628,
        "String or binary data would be truncated. Truncated value: 'm4rk3d'.",
    ),
    (8115, "Arithmetic overflow error converting m4rk3d."),
    (50000, "m4rk3d"),
    (50001, "m4rk3d"),
];

/// Errors whose texts name what was not found or not allowed. Procedures and triggers that execute a value as a
/// statement, or build statements of values, meet them with the value as the name, and the server names no procedure
/// then.
const NAMED: [(u32, &str); 9] = [
    (102, "Incorrect syntax near 'm4rk3d'."),
    (208, "Invalid object name 'm4rk3d'."),
    (
        229,
        "The SELECT permission was denied on the object 'm4rk3d', database 'd', schema 'dbo'.",
    ),
    (
        547,
        "The INSERT statement conflicted with the CHECK constraint \"m4rk3d\".",
    ),
    (
        916,
        "The server principal \"u\" is not able to access the database \"m4rk3d\" under the current security context.",
    ),
    (2812, "Could not find stored procedure 'm4rk3d'."),
    (
        3960,
        "You cannot use snapshot isolation to access table 'm4rk3d' directly or indirectly.",
    ),
    (8144, "Procedure or function m4rk3d has too many arguments specified."),
    (
        8178,
        "The parameterized query '(@v int)m4rk3d' expects the parameter '@v', which was not supplied.",
    ),
];

#[test]
fn no_value_is_in_a_log_or_an_error_at_any_level() {
    for (variable, setting) in [
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_LAMBDA_LOG_LEVEL", "DEBUG"),
        ("AWS_LAMBDA_LOG_LEVEL", "ERROR"),
        ("RUST_LOG", "trace"),
        ("RUST_LOG", "tiberius=trace,mssql_tds=trace"),
        (
            "RUST_LOG",
            "error,tiberius::tds=trace,mssql_tds::io=trace,mssql_tds::token=trace",
        ),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
    ] {
        let output = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "leaks::one_setting", "--ignored", "--nocapture"])
            .env_remove("RUST_LOG")
            .env(variable, setting)
            .env(SETTING, "1")
            .output()
            .unwrap();
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        assert!(
            said.contains("not repeated") && said.contains("50001"),
            "{variable}={setting}: {said}"
        );
        let at = said.find(MARK).map(|at| &said[at.saturating_sub(300)..at + MARK.len()]);
        assert_eq!(at, None, "{variable}={setting}");
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "one setting of the test above, in a process of its own"]
async fn one_setting() {
    if std::env::var_os(SETTING).is_none() {
        return;
    }
    logs::start(std::io::stdout);
    let sources = Sources::new().await;
    println!("{}", server_says(&sources).await);
    println!("{}", procedures_do(&sources).await);
    println!("{}", procedures_build(&sources).await);
    println!("{}", commits_and_questions(&sources).await);
    println!("{}", documents(&sources).await);
}

/// Commits windows whose rows cannot be counted, and asks what a person asks before there is a run. Returns what can be seen of
/// both.
async fn commits_and_questions(sources: &Sources) -> String {
    let mut met = String::new();
    for (value, (number, text)) in (10..).zip(SAID) {
        sources.world.sandbox.clear_faults();
        sources.world.execute(&format!("insert into t values ({value}, 1)"));
        let planned = sources
            .with(async |pipeline| pipeline.plan("r", &[super::spec()]).await)
            .await
            .unwrap();
        let window = WindowOfRun::from(&planned.windows[0]);
        sources
            .with(async |pipeline| pipeline.copy_slice("r", &window, 0).await)
            .await
            .unwrap();
        sources.raise("COUNT_BIG(*)", number, text, None);
        let updated = sources.with(async |pipeline| pipeline.update("r", &window).await).await;
        assert!(
            matches!(&updated, Ok(UpdateAnswer::Committed(committed)) if committed.late_rows.is_none()),
            "{updated:?}"
        );
        writeln!(met, "{updated:?}").unwrap();
        for request in ["SELECT TOP 0", "sys.indexes"] {
            sources.raise(request, number, text, None);
            let examined = examine(&Server::new(sources.world.login()), &super::spec()).await;
            writeln!(met, "{:?}", examined.unwrap_err().report()).unwrap();
        }
    }
    sources.world.sandbox.clear_faults();
    met
}

/// Returns every document that the runs have written.
async fn documents(sources: &Sources) -> String {
    let mut written = String::new();
    for key in sources.store.keys() {
        let object = sources.store.get(&key).await.unwrap().unwrap();
        writeln!(written, "{key} {}", String::from_utf8_lossy(&object.body)).unwrap();
    }
    assert!(
        written.contains("manifest.json") && written.contains("record-00000.json"),
        "{written}"
    );
    written
}

/// Takes every step at statements that meet an error of the server. Returns what can be seen of them.
async fn server_says(sources: &Sources) -> String {
    let mut met = String::new();
    for (number, text) in SAID {
        for request in ["SELECT TOP 0", "MAX(", "[TableName]"] {
            sources.raise(request, number, text, None);
            let planned = sources
                .with(async |pipeline| pipeline.plan("r", &[super::spec()]).await)
                .await;
            writeln!(met, "{planned:?}").unwrap();
        }
    }
    sources.world.sandbox.clear_faults();
    sources.plan().await;
    for (number, text) in SAID {
        for after_rows in [None, Some(2)] {
            sources.raise("FROM [dbo].[t]", number, text, after_rows);
            let copied = sources
                .with(async |pipeline| pipeline.copy_slice("r", &super::window(), 0).await)
                .await;
            writeln!(met, "{:?}", copied.map_err(|error| error.report())).unwrap();
        }
        for request in ["INSERT BULK", "UPDATE [t]", "INSERT INTO [dbo].[copied]"] {
            sources.raise(request, number, text, None);
            writeln!(met, "{}", shown(sources.merge().await.unwrap_err())).unwrap();
        }
    }
    sources.world.sandbox.clear_faults();
    met
}

/// Runs the procedures of a control table and of a sink. Returns what can be seen of their failures.
async fn procedures_do(sources: &Sources) -> String {
    let tables = "CREATE TABLE dbo.known (v varchar(20) NOT NULL PRIMARY KEY); INSERT INTO dbo.known VALUES ('m4rk3d');
                  CREATE TABLE dbo.short (v varchar(3));
                  CREATE TABLE dbo.control (TableName varchar(255), WatermarkValue datetime);
                  INSERT INTO dbo.control VALUES ('t', '2017-01-01');
                  CREATE TYPE dbo.row_type AS TABLE (v int, n int);";
    sources.world.execute(tables);
    let mut met = String::new();
    for (name, does) in DOES {
        sources.world.execute(&format!(
            "CREATE PROCEDURE dbo.move_{name} @value datetime, @name varchar(50) AS BEGIN {does} END\nGO\n\
             CREATE PROCEDURE dbo.merge_{name} @rows dbo.row_type READONLY AS BEGIN {does} END"
        ));
        match advance(sources, &format!("dbo.move_{name}")).await {
            Ok(moved) => writeln!(met, "{name}: {moved:?}").unwrap(),
            Err(failure) => writeln!(met, "{name}: {}", shown(failure)).unwrap(),
        }
        let sink: SqlServerSink = serde_json::from_value(json!({
            "secret_arn": "sink", "table": "copied", "procedure": format!("dbo.merge_{name}"), "table_type": "dbo.row_type",
        }))
        .unwrap();
        match sources.merge_into(&sink).await {
            Ok(merged) => writeln!(met, "{name}: {merged:?}").unwrap(),
            Err(failure) => writeln!(met, "{name}: {}", shown(failure)).unwrap(),
        }
    }
    met
}

/// Moves a watermark with a procedure.
async fn advance(sources: &Sources, procedure: &str) -> Answer<Moved> {
    let table = control_table(Server::new(sources.world.login()), "dbo.control", procedure);
    let key = WatermarkKey {
        table: "t".parse().unwrap(),
        name: None,
    };
    let expected = table.stored(&key).await.unwrap();
    let new = Watermark::new(TypeName::new("datetime").unwrap(), "2017-01-02T00:00:00.000").unwrap();
    table.advance(&key, &expected, &new).await
}

/// Lets the procedures and triggers that run in statements of Tidemark meet errors of statements of their own. Returns
/// what can be seen of these.
async fn procedures_build(sources: &Sources) -> String {
    let mut met = String::new();
    for (number, text) in NAMED {
        sources.raise("EXEC [dbo].[move_prints]", number, text, None);
        writeln!(met, "{}", shown(advance(sources, "dbo.move_prints").await.unwrap_err())).unwrap();
        for request in ["UPDATE [t]", "INSERT INTO [dbo].[copied]"] {
            sources.raise(request, number, text, None);
            writeln!(met, "{}", shown(sources.merge().await.unwrap_err())).unwrap();
        }
    }
    sources.world.sandbox.clear_faults();
    met
}

/// Returns everything that can be seen of a failure.
fn shown(failure: Failure) -> String {
    let debugged = format!("{failure:?}");
    format!("{debugged} {}", failure.of(Role::Sink).report())
}
