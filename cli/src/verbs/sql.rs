//! `sql`: the statements by which an engine reads the files, and sees the present rows of a table.

use clap::{Args, ValueEnum};
use tidemark::error::{Error, ErrorCode};
use tidemark::ledger::keys::{Keys, WINDOW_KEY, partition_keys};
use tidemark::model::format::Format;
use tidemark::model::manifest::Manifest;
use tidemark::model::names::ObjectName;
use tidemark::model::plan::{Content, Plan};
use tidemark::model::table::Tracking;
use tidemark::model::types::{Column, Form};

use crate::exit::ExitClass;
use crate::failure::Outcome;
use crate::lake;
use crate::terminal::Terminal;
use crate::wiring::sink::{Sink, SinkArgs};
use crate::wiring::store::Store;

/// The columns that follow those of a tracked table.
const VERSION: &str = "SYS_CHANGE_VERSION";
const OPERATION: &str = "SYS_CHANGE_OPERATION";

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

/// Engines that read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Amazon Athena.
    Athena,
    /// Apache Spark.
    Spark,
    /// DuckDB.
    Duckdb,
    /// Snowflake.
    Snowflake,
    /// Amazon Redshift.
    Redshift,
}

/// A table as an engine is told of it.
struct Described<'a> {
    engine: Engine,
    name: String,
    columns: &'a [Column],
    partitions: &'static [&'static str],
    format: &'a Format,
    location: String,
    key: Vec<String>,
    order: Option<String>,
    is_tracked: bool,
}

/// Writes the statements.
pub(crate) async fn sql(arguments: &SqlArgs, terminal: &Terminal) -> Outcome<ExitClass> {
    let sink = arguments.sink.open()?;
    for table in lake::chosen(&sink, &arguments.tables).await? {
        let manifests = lake::manifests(&sink, &table).await?;
        let Some(manifest) = manifests.iter().rev().find(|manifest| !manifest.columns.is_empty()) else {
            terminal.note(&format!("{table} has no committed window with columns yet."));
            continue;
        };
        let plan = lake::ledger(&sink, &table).existing_plan(&manifest.window).await?;
        let key = key_of(&sink, &plan, &arguments.key, &manifests).await?;
        let described = Described::of(arguments.engine, &sink, manifest, &plan, key);
        let (table_sql, view_sql) = (described.table(), described.view());
        terminal.event(
            &serde_json::json!({"table": table, "engine": described.engine_name(), "ddl": table_sql, "view": view_sql}),
        );
        terminal.line(&format!("-- {table}\n{table_sql}\n"));
        match view_sql {
            Some(view) => terminal.line(&format!("{view}\n")),
            None => terminal.line(
                "-- Give --key with the columns by which a row is found again, for a view of the present rows.\n",
            ),
        }
    }
    Ok(ExitClass::Done)
}

/// The key of a table: that which is given, or that of its changes.
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
        if let Some(Plan {
            content: Content::Changes { key_columns },
            ..
        }) = plan
        {
            return Ok(key_columns);
        }
    }
    Ok(Vec::new())
}

impl<'a> Described<'a> {
    fn of(engine: Engine, sink: &Sink, manifest: &'a Manifest, plan: &Plan, key: Vec<String>) -> Self {
        // The last folder has every row: it begins with a full load.
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
            Tracking::ChangeTracking(_) => (Some(VERSION.to_owned()), true),
            Tracking::Watermark(tracking) => (plan_column(plan, tracking.column.as_str()), false),
        };
        Self {
            engine,
            name: format!(
                "{}_{}",
                manifest.table.schema().as_str(),
                manifest.table.name().as_str()
            ),
            columns: &manifest.columns,
            partitions: partition_keys(plan.layout),
            format: &manifest.format,
            location,
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

    /// The statement that makes the files a table.
    fn table(&self) -> String {
        let name = self.quoted(&self.name);
        let location = self.location.replace('\'', "''");
        match self.engine {
            Engine::Duckdb => {
                let reader = match self.format {
                    Format::Parquet(_) => "read_parquet",
                    Format::Csv(_) => "read_csv",
                    Format::Jsonl(_) => "read_json",
                };
                let extension = self.format.extension();
                format!(
                    "CREATE OR REPLACE VIEW {name} AS\nSELECT * FROM {reader}('{location}**/*.{extension}', \
                     hive_partitioning = true, hive_types_autocast = false, union_by_name = true);"
                )
            }
            Engine::Spark => format!(
                "CREATE TABLE {name}\nUSING {}\nOPTIONS (path '{location}');\nMSCK REPAIR TABLE {name};",
                self.format_word().to_lowercase()
            ),
            Engine::Snowflake => format!(
                "CREATE OR REPLACE EXTERNAL TABLE {name} (\n{}\n)\nPARTITION BY ({})\nLOCATION = @tidemark/{}\n\
                 FILE_FORMAT = (TYPE = {})\nAUTO_REFRESH = FALSE;",
                self.snowflake_columns(),
                self.partitions
                    .iter()
                    .map(|key| self.quoted(key))
                    .collect::<Vec<_>>()
                    .join(", "),
                self.location.rsplit('/').nth(1).unwrap_or_default(),
                self.format_word()
            ),
            Engine::Athena | Engine::Redshift => self.hive_table(&name, &location),
        }
    }

    fn hive_table(&self, name: &str, location: &str) -> String {
        let columns: Vec<String> = self
            .columns
            .iter()
            .map(|column| format!("  {} {}", self.quoted(&column.name), self.type_of(column)))
            .collect();
        let partitions: Vec<String> = self
            .partitions
            .iter()
            .map(|key| format!("{} {}", self.quoted(key), self.text_type()))
            .collect();
        let stored = match self.format {
            Format::Parquet(_) => "STORED AS PARQUET".to_owned(),
            Format::Jsonl(_) => "ROW FORMAT SERDE 'org.openx.data.jsonserde.JsonSerDe'".to_owned(),
            Format::Csv(options) => format!("ROW FORMAT DELIMITED FIELDS TERMINATED BY '{}'", options.delimiter),
        };
        let schema = if self.engine == Engine::Redshift {
            "tidemark."
        } else {
            ""
        };
        let add = match self.engine {
            Engine::Athena => format!("\nMSCK REPAIR TABLE {name};"),
            _ => String::new(),
        };
        format!(
            "CREATE EXTERNAL TABLE {schema}{name} (\n{}\n)\nPARTITIONED BY ({})\n{stored}\nLOCATION '{location}';{add}",
            columns.join(",\n"),
            partitions.join(", ")
        )
    }

    fn snowflake_columns(&self) -> String {
        let columns = self.columns.iter().map(|column| {
            let (name, sql_type) = (self.quoted(&column.name), self.type_of(column));
            format!(
                "  {name} {sql_type} AS (value:\"{}\"::{sql_type})",
                column.name.replace('"', "\"\"")
            )
        });
        let partitions = self.partitions.iter().map(|key| {
            format!(
                "  {} VARCHAR AS (SPLIT_PART(SPLIT_PART(METADATA$FILENAME, '{key}=', 2), '/', 1))",
                self.quoted(key)
            )
        });
        columns.chain(partitions).collect::<Vec<_>>().join(",\n")
    }

    /// The view of the present rows: of each key the newest, and of a tracked table none that is deleted.
    fn view(&self) -> Option<String> {
        let order = self.order.as_ref().filter(|_| !self.key.is_empty())?;
        let key: Vec<String> = self.key.iter().map(|name| self.quoted(name)).collect();
        let columns: Vec<String> = self.columns.iter().map(|column| self.quoted(&column.name)).collect();
        let schema = if self.engine == Engine::Redshift {
            "tidemark."
        } else {
            ""
        };
        let (name, view) = (self.quoted(&self.name), self.quoted(&format!("{}_current", self.name)));
        let present = if self.is_tracked {
            let (version, window) = (self.quoted(VERSION), self.quoted(WINDOW_KEY));
            // Whatever is older than the last full load, and not in it, was deleted when nobody could see it.
            format!(
                "\n  AND {} <> 'D'\n  AND {version} >= (SELECT MAX({version}) FROM {schema}{name} WHERE {window} = 'initial' OR \
                 {window} LIKE 'reinit-%')",
                self.quoted(OPERATION)
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
             ORDER BY {order} DESC) AS tidemark_newest\n  FROM {schema}{name}\n) AS newest\nWHERE tidemark_newest = 1{present}{ending};",
            columns = columns.join(", "),
            key = key.join(", "),
            order = self.quoted(order),
        ))
    }

    fn quoted(&self, name: &str) -> String {
        match self.engine {
            Engine::Athena | Engine::Spark => format!("`{}`", name.replace('`', "``")),
            Engine::Duckdb | Engine::Snowflake | Engine::Redshift => format!("\"{}\"", name.replace('"', "\"\"")),
        }
    }

    const fn format_word(&self) -> &'static str {
        match self.format {
            Format::Parquet(_) => "PARQUET",
            Format::Csv(_) => "CSV",
            Format::Jsonl(_) => "JSON",
        }
    }

    const fn text_type(&self) -> &'static str {
        match self.engine {
            Engine::Redshift => "varchar(65535)",
            Engine::Snowflake => "VARCHAR",
            _ => "string",
        }
    }

    fn type_of(&self, column: &Column) -> String {
        match column.form {
            Form::Bool => "boolean".to_owned(),
            Form::Int16 => "smallint".to_owned(),
            Form::Int32 => "int".to_owned(),
            Form::Int64 => "bigint".to_owned(),
            Form::Float32 if self.engine == Engine::Redshift => "real".to_owned(),
            Form::Float32 => "float".to_owned(),
            Form::Float64 if self.engine == Engine::Redshift => "double precision".to_owned(),
            Form::Float64 => "double".to_owned(),
            Form::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Form::Date => "date".to_owned(),
            Form::Timestamp(_) | Form::Instant(_) => "timestamp".to_owned(),
            Form::Binary | Form::RowVersion | Form::Uuid if matches!(self.format, Format::Parquet(_)) => {
                match self.engine {
                    Engine::Redshift => "varbyte".to_owned(),
                    _ => "binary".to_owned(),
                }
            }
            Form::Binary
            | Form::RowVersion
            | Form::Uuid
            | Form::Text
            | Form::Time(_)
            | Form::Iso(_)
            | Form::TimeTicks(_)
            | Form::Ticks(_)
            | Form::TicksAndOffset(_) => self.text_type().to_owned(),
        }
    }
}

/// The column of a plan as it is spelled there.
fn plan_column(plan: &Plan, name: &str) -> Option<String> {
    let column = plan
        .columns
        .iter()
        .find(|column| column.name.eq_ignore_ascii_case(name));
    column.map(|column| column.name.clone())
}
