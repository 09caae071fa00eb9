//! The whole: the release binary of `copy-delta`, run by hand exactly as Lambda runs it, into an S3 server on disk.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tidemark::ledger::{Ledger, Plan, SliceId, WindowName};
use tidemark::login::Login;
use tidemark::ports::objects::{CompleteObjects, Completed};
use tidemark::query::Query;
use tidemark_tests::s3_server::{BUCKET, S3Server};

use crate::Failure;
use crate::process::{Measured, measure};

/// The table's name in the plan; the replaying server does not look at it.
pub const TABLE: &str = "dbo.tidemark_bench";

/// A plan of one slice.
pub fn plan(columns: &Value, how: &Value, query: &Query) -> Result<Plan, Failure> {
    let mut plan = json!({
        "version": 1, "table": TABLE, "window": WindowName::initial().as_str(), "run_id": "bench",
        "tracking": { "watermark": { "column": "id" } }, "timestamps": "us", "format": "parquet",
        "new_watermark": { "type": "bigint", "value": "9223372036854775807" },
        "created_at": "2026-11-22T00:00:00Z", "columns": columns,
        "slices": [{ "query": query }],
    });
    if let (Some(plan), Value::Object(how)) = (plan.as_object_mut(), how.clone()) {
        plan.extend(how);
    }
    Ok(serde_json::from_value(plan)?)
}

/// Copies the slice of `plan` with the process of `copy-delta`, and completes what it staged, which S3 compares with its
/// checksum.
pub async fn copy(
    copy_delta: &Path,
    authority: Option<PathBuf>,
    login: &Login,
    plan: Plan,
) -> Result<Measured, Failure> {
    let s3 = S3Server::start().await?;
    s3.keep_secret(
        json!({ "host": login.host, "port": login.port, "username": login.username, "password": login.password,
                "dbname": login.database })
        .to_string(),
    );
    let store = s3.store();
    let table = TABLE.parse()?;
    let ledger = Ledger::new(&store, "bench", &table);
    let window = plan.window.clone();
    let has_file = plan.sink.is_none();
    ledger.freeze(plan).await?;
    let mut command = Command::new(copy_delta);
    command.envs(s3.environment()).envs([
        ("SINK_BUCKET", BUCKET),
        ("SINK_PREFIX", "bench"),
        ("SOURCE_SECRET_ARN", "source"),
        ("RUST_LOG", "warn"),
    ]);
    match authority {
        Some(authority) => command.env("SSL_CERT_FILE", authority),
        None => command.env(
            "SOURCE_TLS",
            if login.tls == tidemark::config::Tls::Trust {
                "trust"
            } else {
                "verify"
            },
        ),
    };
    let event = json!({ "run_id": "bench", "table": TABLE, "window": window.as_str(), "slice": 0 });
    let measured = tokio::task::spawn_blocking(move || measure(command, &event)).await??;
    if has_file {
        let (_, decided) = ledger.decision(&window, &SliceId::planned(0)).await?;
        let staged = decided.and_then(|record| record.staged).ok_or("nothing was staged")?;
        if !matches!(store.complete(&staged).await?, Completed::Visible(_)) {
            return Err("the upload was not the one that was staged".into());
        }
    }
    Ok(measured)
}
