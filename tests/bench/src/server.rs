//! The same measurements with a server that keeps a table and answers statements: a real one with `SQLSERVER_URL`,
//! otherwise the stand-in.

use std::path::{Path, PathBuf};

use serde_json::json;
use tidemark::model::rows::Rows;
use tidemark_bench::report::{Amount, Report};
use tidemark_bench::source_side;
use tidemark_bench::whole::{KEY, Whole};
use tidemark_replay::tables;
use tidemark_sandbox::{Options, Sandbox};
use tidemark_sqlserver::login::Login;
use tidemark_tests::real_server;
use tidemark_tests::stand_in::login_of;

use crate::{Failure, copies, layers};

/// The scratch table, and the one that it is merged into. Both are dropped before and after.
const SCRATCH: &str = "dbo.tidemark_bench_rows";
const COPY: &str = "dbo.tidemark_bench_copy";

const DRAIN: &str = "drain/mixed/server";
const PARQUET: &str = "copy/mixed/parquet/server";
const MERGE: &str = "copy/mixed/sqlserver";
const SOURCE: &str = "source/mixed/server";

/// The slices whose reads are compared with those of one slice.
const SLICES: u64 = 4;

const DROP: &str = "DROP TABLE IF EXISTS dbo.tidemark_bench_rows\nGO\nDROP TABLE IF EXISTS dbo.tidemark_bench_copy";

/// Returns the script that makes the table, with the columns of the replayed table and values as varied as T-SQL makes
/// them (SQL Server 2022 and Azure SQL).
fn script(rows: u64) -> String {
    let columns: Vec<_> = tables::mixed()
        .columns
        .iter()
        .map(|column| {
            let key = if column.name == KEY {
                " NOT NULL PRIMARY KEY"
            } else {
                ""
            };
            format!("{} {}{key}", column.name, column.sql_type)
        })
        .collect();
    let columns = columns.join(", ");
    format!(
        "CREATE TABLE {SCRATCH} ({columns})
GO
CREATE TABLE {COPY} ({columns})
GO
INSERT INTO {SCRATCH}
SELECT value, value * CAST(7919 AS bigint) % 100000,
    CASE value % 4 WHEN 0 THEN 'new' WHEN 1 THEN 'paid' WHEN 2 THEN 'shipped' ELSE 'returned' END,
    CAST(value * CAST(31 AS bigint) % 10000000 AS decimal(18,4)) / 10,
    CONCAT(N'Customer name ', value * CAST(104729 AS bigint) % 1000003),
    DATEADD(second, value * 97 % 86400000, CAST('2019-01-01' AS datetime2(7))),
    DATEADD(second, value, CAST('2020-01-01' AS datetime)), CAST(value AS float) / 3, NEWID(), CAST(value % 2 AS bit)
FROM GENERATE_SERIES(1, {rows})"
    )
}

/// Measures the lines of a server.
pub async fn measure(report: &mut Report, copy_delta: &Path, rows: u64) -> Result<(), Failure> {
    if !report.wants_any([DRAIN, PARQUET, MERGE, SOURCE].into_iter()) {
        return Ok(());
    }
    let given = real_server::login_from_environment();
    let what = if given.is_some() {
        "the server of SQLSERVER_URL"
    } else {
        "the stand-in server"
    };
    eprintln!("Filling {SCRATCH} on {what} with {rows} rows");
    let (login, authority, _sandbox) = match given {
        Some(login) => (login, None, None),
        None => {
            let sandbox = tokio::task::spawn_blocking(|| Sandbox::start(Options::default())).await??;
            let login = login_of(&sandbox);
            (login, Some(sandbox.ca_path().to_owned()), Some(sandbox))
        }
    };
    real_server::execute(&login, DROP).await;
    real_server::execute(&login, &script(rows)).await;
    report.section(&format!("From {what}, whose speed it is"));
    let measured = lines(report, copy_delta, &login, authority.as_ref(), rows).await;
    real_server::execute(&login, DROP).await;
    measured
}

async fn lines(
    report: &mut Report,
    copy_delta: &Path,
    login: &Login,
    authority: Option<&PathBuf>,
    rows: u64,
) -> Result<(), Failure> {
    let table = tables::mixed();
    let (spec, whole) = (copies::spec(SCRATCH, &json!({}))?, Whole::of(SCRATCH)?);
    let columns = layers::columns(&table, spec.wanted_forms())?;
    let batch = source_side::batch_of(&Rows::Interval(whole.interval()), &columns, login)?;
    let drained = {
        let login = login.clone();
        tokio::task::spawn_blocking(move || layers::drain(&batch, &login)).await??
    };
    let wire_bytes = drained.answer["bytes"].as_u64().unwrap_or_default() as f64;
    let mut amount = Amount {
        rows,
        wire_bytes,
        file_bytes: None,
    };
    report.line(DRAIN, DRAIN, amount, &drained);
    if report.wants(SOURCE) {
        let slices = whole.slices(rows, SLICES)?;
        let told = source_side::measure(login, &whole.interval(), &columns, &slices).await?;
        print!("{}", told.text(slices.len()));
        report.note(told.line(SOURCE, slices.len()));
    }
    for (name, how) in [
        (PARQUET, json!({})),
        (
            MERGE,
            json!({ "sink": { "sqlserver": { "secret_arn": copies::SINK_SECRET, "table": COPY, "keys": [KEY] } } }),
        ),
    ] {
        if !report.wants(name) {
            continue;
        }
        let spec = copies::spec(SCRATCH, &how)?;
        let plan = copies::plan(&spec, &table)?;
        let measured = copies::copy(copy_delta, authority.cloned(), login, &spec, plan).await?;
        if measured.answer["rows"] != rows {
            return Err(format!("{name}: not {rows} rows: {}", measured.answer).into());
        }
        amount.file_bytes = measured.answer["bytes"].as_u64().filter(|bytes| *bytes > 0);
        report.line(name, DRAIN, amount, &measured);
    }
    Ok(())
}
