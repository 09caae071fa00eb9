//! How each engine is told of columns: their names, their types, and expressions whose order is that of their values.

use tidemark::model::format::{Format, Quote};
use tidemark::model::types::{Column, Form};

use super::Described;
use super::engine::Engine;

impl Described<'_> {
    /// Returns a line for each column that a table of files has.
    pub(super) fn described_columns(&self) -> String {
        let columns = self.columns.iter().map(|column| {
            let sql_type = if self.is_all_text() {
                self.text_type().to_owned()
            } else {
                self.type_of(column)
            };
            format!("  {} {sql_type}", self.quoted_in_ddl(&column.name))
        });
        columns.collect::<Vec<_>>().join(",\n")
    }

    /// Returns the columns of a Snowflake table. Those of CSV are numbered, and those of other files are named.
    pub(super) fn snowflake_columns(&self) -> String {
        let is_csv = matches!(self.format, Format::Csv(_));
        let columns = self.columns.iter().zip(1..).map(|(column, number)| {
            let (name, sql_type) = (self.quoted(&column.name), self.type_of(column));
            let value = if is_csv { format!("c{number}") } else { name.clone() };
            format!("  {name} {sql_type} AS (value:{value}::{sql_type})")
        });
        let partitions = self.partitions.iter().map(|key| {
            format!(
                "  {} VARCHAR AS (SPLIT_PART(SPLIT_PART(METADATA$FILENAME, '{key}=', 2), '/', 1))",
                self.quoted(key)
            )
        });
        columns.chain(partitions).collect::<Vec<_>>().join(",\n")
    }

    /// Returns whether the engine's table of the files has texts only, because its reader of CSV with quotes knows no
    /// other type.
    fn is_all_text(&self) -> bool {
        let has_quotes = matches!(self.format, Format::Csv(csv) if csv.quote == Quote::Minimal);
        has_quotes && matches!(self.engine, Engine::Athena | Engine::Redshift)
    }

    /// Returns the expression for a column of the table of the files, in its own type.
    pub(super) fn selected(&self, column: &Column) -> String {
        let name = self.quoted(&column.name);
        match self.cast_of_text(column) {
            Some(cast) => format!("{cast} AS {name}"),
            None => name,
        }
    }

    /// Returns the expression that casts a column that the table of the files has as a text, or `None` when it needs no
    /// cast.
    fn cast_of_text(&self, column: &Column) -> Option<String> {
        let Format::Csv(options) = self.format else {
            return None;
        };
        if !self.is_all_text() {
            return None;
        }
        let text = format!(
            "NULLIF({}, {})",
            self.quoted(&column.name),
            self.queried_literal(&options.null)
        );
        Some(match (column.form, self.type_of(column)) {
            (Form::Bool, _) => format!("({text} = '1')"),
            // Athena calls the type `float` in a table, and `real` in a query.
            (Form::Float32, _) => format!("CAST({text} AS real)"),
            (_, sql_type) if sql_type == self.text_type() => text,
            (_, sql_type) => format!("CAST({text} AS {sql_type})"),
        })
    }

    /// Returns the expression for a column whose order is that of its values, whatever its text is.
    pub(super) fn ordered(&self, name: &str) -> String {
        let quoted = self.quoted(name);
        let Some(column) = self.columns.iter().find(|column| column.name == name) else {
            return quoted;
        };
        match column.form {
            Form::TicksAndOffset(_) => self.instant(&quoted),
            _ => self.cast_of_text(column).unwrap_or(quoted),
        }
    }

    /// Returns the expression for the point in time that a text with an offset stands for.
    fn instant(&self, text: &str) -> String {
        match self.engine {
            Engine::Athena => format!("from_iso8601_timestamp_nanos(REPLACE({text}, ' ', 'T'))"),
            Engine::Spark => format!("CAST({text} AS TIMESTAMP)"),
            Engine::Duckdb | Engine::Redshift => format!("CAST({text} AS TIMESTAMPTZ)"),
            Engine::Snowflake => format!("CAST({text} AS TIMESTAMP_TZ)"),
        }
    }

    /// Quotes a name in a statement that describes a table. Athena takes such statements as Hive does, and all others
    /// as Trino does.
    pub(super) fn quoted_in_ddl(&self, name: &str) -> String {
        match self.engine {
            Engine::Athena => format!("`{}`", name.replace('`', "``")),
            _ => self.quoted(name),
        }
    }

    /// Quotes a name in any other statement.
    pub(super) fn quoted(&self, name: &str) -> String {
        match self.engine {
            Engine::Spark => format!("`{}`", name.replace('`', "``")),
            Engine::Athena | Engine::Duckdb | Engine::Snowflake | Engine::Redshift => {
                format!("\"{}\"", name.replace('"', "\"\""))
            }
        }
    }

    /// Quotes a text in a statement that describes a table, where all engines but DuckDB take a backslash for an
    /// escape.
    pub(super) fn literal(&self, text: &str) -> String {
        let text = match self.engine {
            Engine::Duckdb => text.replace('\'', "''"),
            Engine::Spark | Engine::Athena => text.replace('\\', "\\\\").replace('\'', "\\'"),
            Engine::Snowflake | Engine::Redshift => text.replace('\\', "\\\\").replace('\'', "''"),
        };
        format!("'{text}'")
    }

    /// Quotes a text in a query, where Athena takes a backslash for an ordinary character.
    fn queried_literal(&self, text: &str) -> String {
        match self.engine {
            Engine::Athena => format!("'{}'", text.replace('\'', "''")),
            Engine::Duckdb | Engine::Spark | Engine::Snowflake | Engine::Redshift => self.literal(text),
        }
    }

    const fn text_type(&self) -> &'static str {
        match self.engine {
            Engine::Redshift => "varchar(65535)",
            Engine::Snowflake | Engine::Duckdb => "VARCHAR",
            Engine::Athena | Engine::Spark => "string",
        }
    }

    /// Returns the type of a column in files of this format. Readers of CSV other than those of DuckDB and Snowflake do
    /// not read 1 as true.
    pub(super) fn type_of(&self, column: &Column) -> String {
        let is_parquet = matches!(self.format, Format::Parquet(_));
        let is_csv = matches!(self.format, Format::Csv(_));
        let is_lenient = matches!(self.engine, Engine::Duckdb | Engine::Snowflake);
        match column.form {
            Form::Bool if is_csv && !is_lenient => "int".to_owned(),
            Form::Bool => "boolean".to_owned(),
            // Older files of the table may hold values of an int.
            Form::Int16 | Form::Int32 => "int".to_owned(),
            Form::Int64 => "bigint".to_owned(),
            Form::Float32 if self.engine == Engine::Redshift => "real".to_owned(),
            Form::Float32 => "float".to_owned(),
            Form::Float64 if self.engine == Engine::Redshift => "double precision".to_owned(),
            Form::Float64 => "double".to_owned(),
            Form::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Form::Date => "date".to_owned(),
            Form::Timestamp(_) if self.engine == Engine::Spark => "timestamp_ntz".to_owned(),
            Form::Timestamp(_) | Form::Instant(_) => "timestamp".to_owned(),
            Form::Binary | Form::RowVersion | Form::Uuid if is_parquet && self.engine == Engine::Redshift => {
                "varbyte".to_owned()
            }
            Form::Binary | Form::RowVersion | Form::Uuid if is_parquet => "binary".to_owned(),
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
