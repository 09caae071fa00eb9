//! `doctor`: everything that a run needs, each as it was found, and what to do about what is missing.

use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use tidemark::error::{Answer, Error, ErrorCode, OfRole, Result, Role};
use tidemark::model::table::{TableSpec, Tracking};
use tidemark::model::types::Form;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::objects::{ReadObjects, UploadObjects};
use tidemark::ports::source::{CutSource, DeclaredColumn, ProbeSource};
use tidemark::ports::watermarks::ReadWatermarks;
use tidemark_sqlserver::session::Server;

use crate::exit::{ExitClass, advice};
use crate::failure::Outcome;
use crate::tables_file;
use crate::terminal::Terminal;
use crate::wiring::sink::{Sink, SinkArgs, Watermarks};
use crate::wiring::source::SourceArgs;

/// The arguments of `doctor`.
#[derive(Debug, Args)]
pub(crate) struct DoctorArgs {
    /// The file with the tables, or - for standard input
    #[arg(default_value = "tables.json")]
    tables: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
    #[command(flatten)]
    sink: SinkArgs,
}

/// Tells what is found, and keeps the worst of it.
struct Findings<'a> {
    terminal: &'a Terminal,
    class: ExitClass,
}

impl Findings<'_> {
    /// What was looked for is there, or is not. Returns it if it is there.
    fn found<T>(&mut self, subject: &str, result: Result<T>, said: impl FnOnce(&T) -> String) -> Option<T> {
        match result {
            Ok(found) => {
                let said = said(&found);
                self.terminal
                    .event(&json!({"event": "check", "subject": subject, "ok": true, "message": said}));
                self.terminal
                    .line(&format!("{} {subject}: {said}", self.terminal.mark(true)));
                Some(found)
            }
            Err(error) => {
                self.class = self.class.worse(ExitClass::of(error.code()));
                let advice = advice(error.code());
                self.terminal.event(&json!({
                    "event": "check", "subject": subject, "ok": false, "error": error.code().name(),
                    "message": error.report(), "advice": advice,
                }));
                self.terminal
                    .line(&format!("{} {subject}: {}", self.terminal.mark(false), error.report()));
                self.terminal.line(&format!("  {advice}"));
                None
            }
        }
    }
}

/// Looks at everything.
pub(crate) async fn doctor(arguments: &DoctorArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let tables = tables_file::read(&arguments.tables)?;
    let mut findings = Findings {
        terminal,
        class: ExitClass::Done,
    };
    let said = |count: &usize| format!("{count} named, and every field is known");
    findings.found("tables", Ok(tables.len()), said);
    let source = arguments.source.open().await;
    let source = findings.found("login", source, |source| format!("{} is known", source.name));
    let mut server = None;
    if let Some(source) = &source {
        let reached = source.server();
        let version = reached.greet().await.of(Role::Source);
        let is_reached = findings.found("server", version, |version| format!("{version} answers"));
        server = is_reached.map(|_| reached);
    }
    let sink = findings.found("sink", arguments.sink.open(), |sink| {
        format!("{} is a place", sink.name)
    });
    if let Some(sink) = &sink {
        findings.found("sink rights", can_write(sink).await, |()| {
            "the ledger can be read and a file written".to_owned()
        });
        if let Some(source) = source
            .as_ref()
            .filter(|_| server.is_some() || arguments.sink.watermark_table.is_none())
        {
            let watermarks = arguments.sink.watermarks(sink, Some(source.server()))?;
            let stored = stored(&watermarks, &tables).await;
            findings.found("watermarks", stored, |count| format!("{count} of the tables have one"));
        }
    }
    if let Some(server) = &server {
        for spec in &tables {
            let subject = spec.table.to_string();
            let looked = table(server, spec).await;
            findings.found(&subject, looked, Clone::clone);
        }
    }
    Ok(findings.class)
}

/// Begins an upload and gives it up, which leaves nothing.
async fn can_write(sink: &Sink) -> Result<()> {
    let separator = if sink.prefix.is_empty() { "" } else { "/" };
    let key = |name: &str| format!("{}{separator}{name}", sink.prefix);
    sink.store.folders(&key("_ledger/")).await?;
    let upload = sink.store.begin(&key("_ledger/doctor"), "text/plain").await?;
    sink.store.abort(&upload).await
}

async fn stored(watermarks: &Watermarks<'_>, tables: &[TableSpec]) -> Result<usize> {
    let mut count = 0;
    for spec in tables {
        let stored = watermarks
            .stored(&spec.watermark_key())
            .await
            .of(Role::WatermarkStore)?;
        count += usize::from(stored.value.is_some());
    }
    Ok(count)
}

/// Looks at a table: what is copied of it, and whether its tracking works.
async fn table(server: &Server, spec: &TableSpec) -> Result<String> {
    let all = server
        .columns(&spec.table, None, None, spec.wanted_forms())
        .await
        .of(Role::Source)?;
    let copied: Vec<&DeclaredColumn> = all.iter().filter(|column| is_copied(spec, column)).collect();
    for column in &copied {
        let form: &std::result::Result<Form, String> = &column.form;
        if let Err(why) = form {
            let message = format!("column {} {why}", column.name);
            return Err(Error::new(ErrorCode::UnsupportedType, message));
        }
    }
    let (count, tracking) = match &spec.tracking {
        Tracking::Watermark(tracking) => {
            let column = all
                .iter()
                .find(|column| column.name.eq_ignore_ascii_case(tracking.column.as_str()));
            let Some(column) = column else {
                let message = format!("there is no column {} to track it by", tracking.column.as_str());
                return Err(Error::new(ErrorCode::SourceRejected, message));
            };
            (copied.len(), by_watermark(server, spec, column).await?)
        }
        Tracking::ChangeTracking(_) => (copied.len(), by_changes(server, spec).await.of(Role::Source)?),
    };
    Ok(format!("{count} columns are copied; {tracking}"))
}

fn is_copied(spec: &TableSpec, column: &DeclaredColumn) -> bool {
    let is_named = |names: &[tidemark::model::names::Identifier]| {
        names
            .iter()
            .any(|name| name.as_str().eq_ignore_ascii_case(&column.name))
    };
    match &spec.columns {
        Some(columns) => is_named(columns),
        None => !is_named(&spec.exclude),
    }
}

async fn by_watermark(server: &Server, spec: &TableSpec, column: &DeclaredColumn) -> Result<String> {
    let (name, sql_type) = (&column.name, &column.sql_type);
    if column.watermark.is_none() {
        let message = format!("column {name} is a {sql_type}, which cannot be a watermark");
        return Err(Error::new(ErrorCode::UnsupportedType, message));
    }
    let leading = server.leading_columns(&spec.table).await.of(Role::Source)?;
    let is_indexed = leading.iter().any(|leading| leading.name == *name);
    let mut said = format!("{name} {sql_type} tracks it");
    if !is_indexed {
        said.push_str("; no index begins with it, so every run reads the whole table");
    }
    if column.nullable {
        said.push_str("; it may be NULL, and such rows are not copied");
    }
    Ok(said)
}

async fn by_changes(server: &Server, spec: &TableSpec) -> Answer<String> {
    let versions = server.versions(&spec.table).await?;
    let key = server.primary_key(&spec.table).await?;
    Ok(format!(
        "changes since version {} are there, by the key {}",
        versions.min_valid,
        key.join(", ")
    ))
}
