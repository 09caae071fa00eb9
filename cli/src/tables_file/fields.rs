//! The form of `tables.json` as data. The check goes by it, and its JSON Schema is made from it. A test compares it
//! with the code that reads the fields.

/// What a value may be.
#[derive(Debug)]
pub(crate) enum Allowed {
    /// Any text.
    Text,
    /// The name of a table.
    Table,
    /// The name of a column.
    Column,
    /// Names of columns.
    Columns,
    /// True or false.
    Truth,
    /// A whole number in this range.
    Number(u64, u64),
    /// A whole number in this range, or null.
    NumberOrNull(u64, u64),
    /// One of these texts.
    OneOf(&'static [&'static str]),
    /// A list of these texts.
    Several(&'static [&'static str]),
    /// An object whose fields are names of columns, and whose values are one of these texts.
    OneOfForColumns(&'static [&'static str]),
    /// An object with these fields.
    Object(&'static [Field]),
    /// An object with exactly one of these fields.
    Choice(&'static [Field]),
    /// The name of one of these fields, or an object with exactly one of them.
    NameOrChoice(&'static [Field]),
}

/// A field of an object.
#[derive(Debug)]
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it holds.
    pub(crate) allowed: Allowed,
    /// Whether it is required.
    pub(crate) is_required: bool,
    /// What it is for.
    pub(crate) about: &'static str,
}

const fn field(name: &'static str, allowed: Allowed, about: &'static str) -> Field {
    Field {
        name,
        allowed,
        is_required: false,
        about,
    }
}

const fn required(name: &'static str, allowed: Allowed, about: &'static str) -> Field {
    Field {
        is_required: true,
        ..field(name, allowed, about)
    }
}

const COMPRESSION: Allowed = Allowed::OneOf(&["none", "gzip", "zstd"]);

const FILE_TYPES: &[&str] = &["portable", "native"];

const PARQUET: &[Field] = &[
    field(
        "compression",
        Allowed::OneOf(&["zstd", "snappy", "gzip", "none"]),
        "How a file is compressed. Default zstd.",
    ),
    field(
        "compression_level",
        Allowed::Number(1, 22),
        "The level of compression: up to 22 for zstd, up to 9 for gzip. Default 1 for zstd.",
    ),
    field(
        "decimals",
        Allowed::OneOf(&["integer", "fixed"]),
        "How decimals of up to 18 digits are written: as integers, or as bytes of a fixed length, which Hive's reader needs. Default \
         integer.",
    ),
];

const CSV: &[Field] = &[
    field(
        "header",
        Allowed::Truth,
        "Whether the first line holds the column names. Default true.",
    ),
    field(
        "delimiter",
        Allowed::Text,
        "The ASCII character between two fields. Default a comma.",
    ),
    field("null", Allowed::Text, "The text that stands for NULL. Default empty."),
    field(
        "quote",
        Allowed::OneOf(&["minimal", "none"]),
        "When a field is put in quotes: where it needs them, or never. Default minimal.",
    ),
    field(
        "fraction_digits",
        Allowed::NumberOrNull(0, 7),
        "How many digits of a fraction of a second are written. Default as many as the column has.",
    ),
    field(
        "line_end",
        Allowed::OneOf(&["\n", "\r\n"]),
        "How a line ends. Default \\n.",
    ),
    field(
        "line_breaks",
        Allowed::OneOf(&["keep", "escape", "space", "fail"]),
        "What is written in place of a line break inside a text. Default keep.",
    ),
    field("compression", COMPRESSION, "How a file is compressed. Default none."),
];

const JSONL: &[Field] = &[
    field("compression", COMPRESSION, "How a file is compressed. Default none."),
    field(
        "bigint",
        Allowed::OneOf(&["number", "string"]),
        "How a bigint is written. Default number.",
    ),
];

const FORMATS: &[Field] = &[
    field("parquet", Allowed::Object(PARQUET), "The options of Parquet files."),
    field("csv", Allowed::Object(CSV), "The options of CSV files."),
    field(
        "jsonl",
        Allowed::Object(JSONL),
        "The options of JSON lines: one JSON object a line, for each row.",
    ),
];

const WATERMARK: &[Field] = &[
    required(
        "column",
        Allowed::Column,
        "The column that grows with every insert and update.",
    ),
    field(
        "settle_seconds",
        Allowed::Number(0, 86_400),
        "How long a run waits for open transactions before it copies. Default 30, and 0 for a rowversion.",
    ),
    field(
        "clock",
        Allowed::OneOf(&["utc", "local"]),
        "The clock that the writers of a time column use. Default utc.",
    ),
    field(
        "null_watermark",
        Allowed::OneOf(&["skip", "first_load"]),
        "Whether rows whose watermark is NULL are left out, or copied once by the first load. Default skip.",
    ),
];

const CHANGE_TRACKING: &[Field] = &[field(
    "on_expired",
    Allowed::OneOf(&["reinitialize", "fail"]),
    "What a run does when SQL Server no longer has all changes of the table: it loads the table in full again, or it fails. Default reinitialize.",
)];

const TRACKINGS: &[Field] = &[
    field(
        "watermark",
        Allowed::Object(WATERMARK),
        "Changes are found by a column that grows.",
    ),
    field(
        "change_tracking",
        Allowed::Object(CHANGE_TRACKING),
        "Changes are found by SQL Server's change tracking.",
    ),
];

const SQL_SERVER: &[Field] = &[
    required("secret_arn", Allowed::Text, "The ARN of the secret of the database."),
    field(
        "table",
        Allowed::Table,
        "The table that rows are merged into. Default the source's name.",
    ),
    field(
        "keys",
        Allowed::Columns,
        "The columns by which a row is found again. Default the primary key.",
    ),
    field(
        "procedure",
        Allowed::Table,
        "A procedure of yours that does the merge. Default none.",
    ),
    field(
        "table_type",
        Allowed::Table,
        "The table type of that procedure's parameter. It goes with procedure only. Default none.",
    ),
];

const SINKS: &[Field] = &[field(
    "sqlserver",
    Allowed::Object(SQL_SERVER),
    "Rows are merged into a table of a SQL Server database.",
)];

/// The fields of a table.
pub(crate) const TABLE: &[Field] = &[
    required("table", Allowed::Table, "The source table or view."),
    required("tracking", Allowed::Choice(TRACKINGS), "How changes are found."),
    field(
        "columns",
        Allowed::Columns,
        "The columns to copy, in this order. Default all.",
    ),
    field("exclude", Allowed::Columns, "Columns not to copy. Default none."),
    field(
        "where",
        Allowed::Text,
        "The rows to copy, as a T-SQL condition, with dates as yyyymmdd. Default all.",
    ),
    field(
        "on_schema_change",
        Allowed::OneOf(&["continue", "fail", "reload"]),
        "What happens when the columns of the table, or the form of its files, change: every change is taken, or \
         none is, or the table is loaded in full into a new folder. Default a change that readers can go on with \
         is taken and anything else fails the table.",
    ),
    field(
        "slice_rows",
        Allowed::Number(1, u64::MAX),
        "The most rows that a file may have. Default as many as take 1 GiB on the server.",
    ),
    field(
        "format",
        Allowed::NameOrChoice(FORMATS),
        "The form of the files. Default parquet.",
    ),
    field(
        "timestamps",
        Allowed::OneOf(&["us", "ns", "text"]),
        "How Parquet holds fractions of a second: as microseconds, as nanoseconds, or as text. Default us.",
    ),
    field(
        "types",
        Allowed::OneOf(FILE_TYPES),
        "How Parquet holds uniqueidentifier and time: as text, which every engine reads, or in its own types. \
         Default portable.",
    ),
    field(
        "column_types",
        Allowed::OneOfForColumns(FILE_TYPES),
        "How Parquet holds single columns, for which `types` does not decide. Default none.",
    ),
    field(
        "mask",
        Allowed::OneOfForColumns(&["hash", "null", "last4"]),
        "Which columns are masked, and what files have in place of their values: a hash (HMAC-SHA-256 with \
         the deployment's key), NULL, or the last four characters. Default none.",
    ),
    field(
        "audit",
        Allowed::Truth,
        "Whether three columns are added: the window with which a row came, the time at which that was \
         frozen, and the operation on the row. Default false.",
    ),
    field(
        "masked_columns",
        Allowed::OneOf(&["refuse", "copy"]),
        "What is done with columns whose real values SQL Server hides from the login: the table fails, or what the login sees is copied. Default refuse.",
    ),
    field(
        "variant_columns",
        Allowed::OneOf(&["text", "refuse"]),
        "What is done with columns whose values may have several types: each is copied as text, or the table fails. Default text.",
    ),
    field(
        "layout",
        Allowed::OneOf(&["window", "load_date"]),
        "The folders below that of the table: one for each window, or one for each day of loading. Default window.",
    ),
    field(
        "loader_manifests",
        Allowed::Several(&["redshift", "symlink"]),
        "The loaders of other systems for which each window has a manifest. Default none.",
    ),
    field(
        "watermark_name",
        Allowed::Text,
        "The name of the table's row in the control table. Default the table's name.",
    ),
    field(
        "sink",
        Allowed::Choice(SINKS),
        "The database that rows are merged into, in place of files. Default none.",
    ),
];

/// The fields of the file beside the tables.
pub(crate) const FILE: &[&str] = &["$schema", "defaults", "tables"];

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use tidemark::model::table::TableSpec;

    use super::*;

    /// Returns the names that serde lists when a field, or a variant, is unknown.
    fn known(table: Value) -> Vec<String> {
        let error = serde_json::from_value::<TableSpec>(table).unwrap_err().to_string();
        let (_, list) = error.split_once("expected ").unwrap_or_else(|| panic!("{error}"));
        let mut names: Vec<String> = list.split('`').skip(1).step_by(2).map(str::to_owned).collect();
        names.sort();
        names
    }

    fn names(fields: &[Field]) -> Vec<String> {
        let mut names: Vec<String> = fields.iter().map(|field| field.name.to_owned()).collect();
        names.sort();
        names
    }

    fn table_with(field: &str, value: Value) -> Value {
        let mut table = json!({"table": "t", "tracking": {"change_tracking": {}}});
        table[field] = value;
        table
    }

    #[test]
    fn every_field_that_is_read_is_known_and_no_other() {
        let x = json!({"zz": 1});
        for (table, fields) in [
            (table_with("zz", json!(1)), TABLE),
            (table_with("tracking", x.clone()), TRACKINGS),
            (table_with("tracking", json!({"watermark": x})), WATERMARK),
            (table_with("tracking", json!({"change_tracking": x})), CHANGE_TRACKING),
            (table_with("format", x.clone()), FORMATS),
            (table_with("format", json!({"parquet": x})), PARQUET),
            (table_with("format", json!({"csv": x})), CSV),
            (table_with("format", json!({"jsonl": x})), JSONL),
            (table_with("sink", x.clone()), SINKS),
            (table_with("sink", json!({"sqlserver": x})), SQL_SERVER),
        ] {
            assert_eq!(known(table), names(fields));
        }
    }

    #[test]
    fn every_choice_that_is_read_is_known_and_no_other() {
        let choices = |fields: &[Field], name: &str| {
            let field = fields.iter().find(|field| field.name == name).unwrap();
            let Allowed::OneOf(choices) = field.allowed else {
                panic!("{name}")
            };
            let mut choices: Vec<String> = choices
                .iter()
                .map(|choice| choice.escape_default().to_string())
                .collect();
            choices.sort();
            choices
        };
        for name in [
            "on_schema_change",
            "timestamps",
            "types",
            "masked_columns",
            "variant_columns",
            "layout",
        ] {
            assert_eq!(known(table_with(name, json!("zz"))), choices(TABLE, name));
        }
        for name in ["column_types", "mask"] {
            let field = TABLE.iter().find(|field| field.name == name).unwrap();
            let Allowed::OneOfForColumns(choices) = field.allowed else {
                panic!("{name}")
            };
            let mut choices: Vec<String> = choices.iter().map(|choice| (*choice).to_owned()).collect();
            choices.sort();
            assert_eq!(known(table_with(name, json!({"c": "zz"}))), choices);
        }
        let field = TABLE.iter().find(|field| field.name == "loader_manifests").unwrap();
        let Allowed::Several(loaders) = field.allowed else {
            panic!("loader_manifests")
        };
        assert_eq!(known(table_with("loader_manifests", json!(["zz"]))), loaders);
        for name in ["clock", "null_watermark"] {
            let tracking = json!({"watermark": {"column": "c", name: "zz"}});
            assert_eq!(known(table_with("tracking", tracking)), choices(WATERMARK, name));
        }
        for name in ["quote", "line_breaks", "compression"] {
            assert_eq!(
                known(table_with("format", json!({"csv": {name: "zz"}}))),
                choices(CSV, name)
            );
        }
        for name in ["compression", "decimals"] {
            assert_eq!(
                known(table_with("format", json!({"parquet": {name: "zz"}}))),
                choices(PARQUET, name)
            );
        }
        let tracking = json!({"change_tracking": {"on_expired": "zz"}});
        assert_eq!(
            known(table_with("tracking", tracking)),
            choices(CHANGE_TRACKING, "on_expired")
        );
    }
}
