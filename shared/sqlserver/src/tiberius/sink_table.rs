//! What the sink's database says of a table and of a table type.

use tiberius::Row;

use super::Server;
use crate::error::{Error, ErrorCode, Result};
use crate::identifier::ObjectName;
use crate::merging::{SinkColumn, SinkTables};
use crate::query::Query;
use crate::query::merge::{sink_columns, table_type_columns};
use crate::sink::SqlServerSink;
use crate::types::SqlType;

/// The columns of the table that `source` is merged into, and of the procedure's table type.
pub(super) async fn describe(server: &Server, source: &ObjectName, sink: &SqlServerSink) -> Result<SinkTables> {
    let table = sink.table(source);
    let mut tables = SinkTables {
        table: columns(server, &sink_columns(table), &format!("table {table}")).await?,
        table_type: Vec::new(),
    };
    if let Some(table_type) = &sink.table_type {
        let what = format!("table type {table_type}");
        tables.table_type = columns(server, &table_type_columns(table_type), &what).await?;
    }
    Ok(tables)
}

async fn columns(server: &Server, query: &Query, what: &str) -> Result<Vec<SinkColumn>> {
    let rows = server.rows(query).await?;
    if rows.is_empty() {
        let message =
            format!("the sink's database has no {what}, or the login may not see it: create it, or grant the rights");
        return Err(Error::new(ErrorCode::SourceRejected, message));
    }
    rows.iter().map(column).collect()
}

fn column(row: &Row) -> Result<SinkColumn> {
    let not_understood = |_| {
        let message = "the server's description of the sink table does not have the form that was asked for";
        Error::new(ErrorCode::SourceRejected, message)
    };
    let text = |at: usize| row.try_get::<&str, _>(at).map_err(not_understood);
    let number = |at: usize| {
        row.try_get::<i32, _>(at)
            .map(Option::unwrap_or_default)
            .map_err(not_understood)
    };
    let flag = |at: usize| {
        row.try_get::<bool, _>(at)
            .map(Option::unwrap_or_default)
            .map_err(not_understood)
    };
    let type_name = text(1)?.unwrap_or("a type of its own");
    Ok(SinkColumn {
        name: text(0)?.unwrap_or_default().to_owned(),
        sql_type: sql_type(type_name, number(2)?, number(3)?, number(4)?).ok_or_else(|| type_name.to_owned()),
        nullable: flag(5)?,
        identity: flag(6)?,
        computed: flag(7)?,
        defaulted: flag(8)?,
        collation: text(9)?.map(str::parse).transpose()?,
        primary_key: flag(10)?,
    })
}

/// A type from its name and `max_length` (in bytes, -1 for `(max)`), `precision` and `scale` in `sys.columns`.
fn sql_type(name: &str, length: i32, precision: i32, scale: i32) -> Option<SqlType> {
    let text = match name {
        "timestamp" => "rowversion".to_owned(),
        "sysname" => "nvarchar(128)".to_owned(),
        "decimal" | "numeric" => format!("decimal({precision},{scale})"),
        "time" | "datetime2" | "datetimeoffset" => format!("{name}({scale})"),
        "char" | "varchar" | "binary" | "varbinary" | "nchar" | "nvarchar" if length == -1 => format!("{name}(max)"),
        "char" | "varchar" | "binary" | "varbinary" => format!("{name}({length})"),
        "nchar" | "nvarchar" => format!("{name}({})", length / 2),
        other => other.to_owned(),
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_catalogs_lengths_become_declared_types() {
        for (name, length, precision, scale, expected) in [
            ("int", 4, 10, 0, Some("int")),
            ("numeric", 9, 12, 4, Some("decimal(12,4)")),
            ("nvarchar", 40, 0, 0, Some("nvarchar(20)")),
            ("varbinary", -1, 0, 0, Some("varbinary(max)")),
            ("datetime2", 8, 27, 7, Some("datetime2(7)")),
            ("timestamp", 8, 0, 0, Some("rowversion")),
            ("text", 16, 0, 0, Some("text")),
            ("hierarchyid", 892, 0, 0, Some("hierarchyid")),
            ("sql_variant", 8016, 0, 0, None),
        ] {
            let found = sql_type(name, length, precision, scale).map(|sql_type| sql_type.to_string());
            assert_eq!(found.as_deref(), expected, "{name}");
        }
    }
}
