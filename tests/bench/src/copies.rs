//! The whole way: the release binary of `copy-delta`, run as Lambda runs it, into an S3 server on disk behind TLS.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tidemark::ledger::{Decided, Ledger, Place};
use tidemark::model::names::Identifier;
use tidemark::model::plan::{Author, Content, Plan, WindowBounds};
use tidemark::model::record::Decision;
use tidemark::model::slice::SliceBounds;
use tidemark::model::slice_id::SliceId;
use tidemark::model::table::TableSpec;
use tidemark::model::window::WindowName;
use tidemark::ports::objects::{CompleteObjects, Completed};
use tidemark::steps::context::RunContext;
use tidemark_bench::process::{Measured, measure};
use tidemark_bench::tls_front::TlsFront;
use tidemark_bench::whole::{KEY, end};
use tidemark_replay::tables::Table;
use tidemark_sqlserver::login::{Login, Tls};
use tidemark_tests::s3_server::{BUCKET, S3Server};

use crate::Failure;
use crate::layers::columns;

/// The table's name where the replaying server, which does not look at it, is asked for its rows.
pub const TABLE: &str = "dbo.tidemark_bench";
/// The name of the secret with the login of the server, as a sink has it.
pub const SINK_SECRET: &str = "sink";
/// Makes the settings of a table of this name, with others.
pub fn spec(name: &str, how: &Value) -> Result<TableSpec, Failure> {
    let mut spec = json!({ "table": name, "tracking": { "watermark": { "column": KEY } } });
    if let (Some(spec), Value::Object(how)) = (spec.as_object_mut(), how.clone()) {
        spec.extend(how);
    }
    Ok(serde_json::from_value(spec)?)
}

/// Makes a plan of one slice with all rows of the table.
pub fn plan(spec: &TableSpec, table: &Table) -> Result<Plan, Failure> {
    let bounds = WindowBounds {
        window: WindowName::initial(),
        old: None,
        new: end()?,
    };
    let content = Content::Interval {
        column: Identifier::new(KEY)?,
        with_nulls: false,
        in_place_of: None,
    };
    let author = Author {
        run_id: "bench",
        created_at: RunContext::unbounded().moment(),
    };
    let columns = columns(table, spec.wanted_forms())?;
    Ok(Plan::new(spec, bounds, content, author).copying(columns, vec![SliceBounds::default()]))
}

/// Copies the slice of `plan` with the process of `copy-delta`, and completes its upload, which S3 compares with its
/// checksum.
pub async fn copy(
    copy_delta: &Path,
    authority: Option<PathBuf>,
    login: &Login,
    spec: &TableSpec,
    plan: Plan,
) -> Result<Measured, Failure> {
    let s3 = S3Server::start().await?;
    let front = TlsFront::start(s3.address()).await?;
    let files = tempfile::tempdir()?;
    s3.keep_secret(
        json!({ "host": login.host, "port": login.port, "username": login.username(), "password": login.password(),
                "dbname": login.database })
        .to_string(),
    );
    let store = s3.store();
    let ledger = Ledger::new(Place::new(&store, "bench"), &spec.table);
    let window = plan.window.clone();
    ledger.freeze(plan).await?;
    let mut command = Command::new(copy_delta);
    command
        .envs(s3.environment())
        .envs(front.environment(files.path(), authority.as_deref())?);
    command.envs([
        ("SINK_BUCKET", BUCKET),
        ("SINK_PREFIX", "bench"),
        ("SOURCE_SECRET_ARN", "source"),
        ("SINK_SECRET_ARNS", SINK_SECRET),
        ("RUST_LOG", "warn"),
    ]);
    if authority.is_none() {
        command.env("SOURCE_TLS", if login.tls == Tls::Trust { "trust" } else { "verify" });
    }
    let event = json!({
        "run_id": "bench", "table": spec.table, "window": window, "slice": 0, "settings": spec.run_settings(),
    });
    let measured = tokio::task::spawn_blocking(move || measure(command, &event)).await??;
    if spec.sink.is_none() {
        let plan = ledger.existing_plan(&window).await?;
        let Decided::Record(record) = ledger.decided(&plan, &SliceId::planned(0)).await? else {
            return Err("nothing was decided".into());
        };
        let Decision::Uploaded { upload, .. } = record.decision else {
            return Err("nothing was uploaded".into());
        };
        if !matches!(store.complete(&upload).await?, Completed::Visible(_)) {
            return Err("the upload was not the one that was decided".into());
        }
    }
    Ok(measured)
}
