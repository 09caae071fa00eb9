//! `sql`, which writes the statements by which an engine reads the files and sees the present rows of a table.
//!
//! `files` has how an engine is told of files, and `columns` how it is told of their columns.

mod columns;
mod engine;
mod files;
mod names;

use clap::Args;
use tidemark::error::{Error, ErrorCode};
use tidemark::ledger::keys::{Keys, WINDOW_KEY, partition_keys};
use tidemark::model::format::Format;
use tidemark::model::manifest::Manifest;
use tidemark::model::names::{ObjectName, is_alike};
use tidemark::model::plan::Plan;
use tidemark::model::table::Tracking;
use tidemark::model::types::Column;

use tidemark_sqlserver::source::{OPERATION_COLUMN, VERSION_COLUMN};

use self::engine::Engine;
use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::{Terminal, one_line};
use crate::wiring::sink::{Sink, SinkArgs};
use crate::wiring::store::Store;

/// The arguments of `sql`.
#[derive(Debug, Args)]
pub(crate) struct SqlArgs {
    /// The engine
    engine: Engine,
    /// The tables [default: all that the sink has]
    tables: Vec<ObjectName>,
    /// The columns by which a row is found again, for tables tracked by a watermark
    #[arg(long, value_delimiter = ',', value_name = "COLUMNS")]
    key: Vec<String>,
    #[command(flatten)]
    sink: SinkArgs,
}

/// A table as an engine is told of it.
struct Described<'a> {
    engine: Engine,
    name: String,
    columns: &'a [Column],
    partitions: &'static [&'static str],
    format: &'a Format,
    location: String,
    /// The first day that has files, where they lie by day.
    first_day: String,
    key: Vec<String>,
    order: Option<String>,
    is_tracked: bool,
}

/// Writes the statements.
pub(crate) async fn sql(arguments: &SqlArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    let is_elsewhere = matches!(
        arguments.engine,
        Engine::Athena | Engine::Redshift | Engine::Snowflake | Engine::Spark
    );
    if is_elsewhere && matches!(sink.store, Store::Folder(_)) {
        terminal.note(
            "The sink is a folder of this machine, and the place in these statements is its path: an engine that does not run on this \
             machine cannot read it. Give --sink s3://bucket/prefix for files in a bucket.",
        );
    }
    let _working = terminal.working(|| "Reading the ledger".to_owned());
    let chosen = lake::chosen(&sink, &arguments.tables).await?;
    // The names are those of all tables, so that a table has the same name however many are chosen.
    let names = names::of(arguments.engine, &lake::tables(&sink).await?);
    for table in chosen {
        let manifests = lake::manifests(&sink, &table).await?;
        let Some(manifest) = lake::described(&manifests) else {
            terminal.note(&format!("{table} has no committed window with columns yet."));
            continue;
        };
        let plan = lake::ledger(&sink, &table).existing_plan(&manifest.window).await?;
        let key = key_of(&sink, &plan, &arguments.key, &manifests).await?;
        let first_day = first_day(&manifests);
        let name = names.get(&table).cloned().unwrap_or_default();
        let described = Described::of((arguments.engine, name), &sink, manifest, &plan, key, first_day);
        let (table_sql, view_sql) = (described.table(), described.view());
        terminal.event(
            &serde_json::json!({"event": "sql", "table": table, "engine": described.engine_name(), "ddl": table_sql, "view": view_sql}),
        );
        terminal.statement(&format!("-- {}\n{table_sql}\n", one_line(&table.to_string())));
        match view_sql {
            Some(view) => terminal.statement(&format!("{view}\n")),
            None => terminal.line(
                "-- Give --key with the columns by which a row is found again, for a view of the present rows.\n",
            ),
        }
    }
    Ok(ExitClass::Done)
}

/// Returns the day before the first commit, because a window is frozen before it is committed.
fn first_day(manifests: &[Manifest]) -> String {
    let first = manifests.iter().map(|manifest| manifest.committed_at).min();
    let day = first.and_then(|first| first.time().date().previous_day());
    day.map_or_else(|| "2020-01-01".to_owned(), |day| day.to_string())
}

/// Returns the key of a table: the given one, or that of its changes.
async fn key_of(sink: &Sink, plan: &Plan, given: &[String], manifests: &[Manifest]) -> Outcome<Vec<String>> {
    if !given.is_empty() {
        let is_known = |name: &&String| plan.columns.iter().any(|column| column.name == **name);
        if let Some(unknown) = given.iter().find(|name| !is_known(name)) {
            let message = format!("--key names {unknown}, which is no column of {}", plan.table);
            return Err(Error::new(ErrorCode::InvalidInput, message).into());
        }
        return Ok(given.to_vec());
    }
    for manifest in manifests.iter().rev() {
        let plan = lake::ledger(sink, &plan.table).plan(&manifest.window).await?;
        if let Some(key_columns) = plan.as_ref().and_then(Plan::key_columns) {
            return Ok(key_columns.to_vec());
        }
    }
    Ok(Vec::new())
}

impl<'a> Described<'a> {
    fn of(
        (engine, name): (Engine, String),
        sink: &Sink,
        manifest: &'a Manifest,
        plan: &Plan,
        key: Vec<String>,
        first_day: String,
    ) -> Self {
        // The last folder has every row, because it begins with a full load.
        let keys = Keys::new("", &manifest.table);
        let segment = keys.folder(manifest.generation);
        let location = match &sink.store {
            Store::Folder(folder) => {
                let path = std::path::absolute(folder.path()).unwrap_or_else(|_| folder.path().to_owned());
                format!("{}/{segment}/", path.display())
            }
            Store::S3(_) => format!("{}/{segment}/", sink.name.trim_end_matches('/')),
        };
        let (order, is_tracked) = match &plan.tracking {
            Tracking::ChangeTracking(_) => (Some(VERSION_COLUMN.to_owned()), true),
            Tracking::Watermark(tracking) => (plan_column(plan, tracking.column.as_str()), false),
        };
        Self {
            engine,
            name,
            columns: &manifest.columns,
            partitions: partition_keys(plan.layout),
            format: &manifest.format,
            location,
            first_day,
            key,
            order,
            is_tracked,
        }
    }

    const fn engine_name(&self) -> &'static str {
        match self.engine {
            Engine::Athena => "athena",
            Engine::Spark => "spark",
            Engine::Duckdb => "duckdb",
            Engine::Snowflake => "snowflake",
            Engine::Redshift => "redshift",
        }
    }

    /// Returns the expression for the name of a row's window, in the engine's language.
    fn window(&self) -> String {
        match self.engine {
            Engine::Athena | Engine::Redshift => {
                format!("SPLIT_PART(SPLIT_PART(\"$path\", '{WINDOW_KEY}=', 2), '/', 1)")
            }
            Engine::Spark | Engine::Duckdb | Engine::Snowflake => self.quoted(WINDOW_KEY),
        }
    }

    /// Returns the expression that prefers the later backfill among rows with equal keys and watermarks.
    fn backfill(&self) -> String {
        let window = self.window();
        format!(
            "CASE WHEN {window} LIKE 'backfill-%' THEN CAST(SUBSTRING({window}, {}) AS INT) ELSE 0 END",
            "backfill-".len() + 1
        )
    }

    /// Returns the view of the present rows: the newest row of each key and, for a tracked table, none that is deleted.
    /// Returns `None` without a key or an order.
    fn view(&self) -> Option<String> {
        let order = self.order.as_ref().filter(|_| !self.key.is_empty())?;
        let key: Vec<String> = self.key.iter().map(|name| self.quoted(name)).collect();
        let columns: Vec<String> = self.columns.iter().map(|column| self.selected(column)).collect();
        let schema = if self.engine == Engine::Redshift {
            "tidemark."
        } else {
            ""
        };
        let (name, view) = (self.quoted(&self.name), self.quoted(&names::of_view(&self.name)));
        let present = if self.is_tracked {
            let (version, window) = (self.ordered(VERSION_COLUMN), self.window());
            // A row that is older than the last full load, and not in it, was deleted when no change told of it.
            format!(
                "\n  AND {} <> 'D'\n  AND {version} >= (SELECT MAX({version}) FROM {schema}{name} WHERE {window} = 'initial' OR \
                 {window} LIKE 'reinit-%')",
                self.quoted(OPERATION_COLUMN)
            )
        } else {
            String::new()
        };
        let ending = if self.engine == Engine::Redshift {
            " WITH NO SCHEMA BINDING"
        } else {
            ""
        };
        Some(format!(
            "CREATE OR REPLACE VIEW {view} AS\nSELECT {columns}\nFROM (\n  SELECT *, ROW_NUMBER() OVER (PARTITION BY {key} \
             ORDER BY {order} DESC, {backfill} DESC) AS tidemark_newest\n  FROM {schema}{name}\n) AS newest\nWHERE tidemark_newest = 1{present}{ending};",
            columns = columns.join(", "),
            key = key.join(", "),
            order = self.ordered(order),
            backfill = self.backfill(),
        ))
    }
}

/// Returns the column of a plan as it is spelled there.
fn plan_column(plan: &Plan, name: &str) -> Option<String> {
    let column = plan.columns.iter().find(|column| is_alike(&column.name, name));
    column.map(|column| column.name.clone())
}
