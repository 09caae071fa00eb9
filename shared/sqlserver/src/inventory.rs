//! Asks a server for its version and for all tables of a database.

use tiberius::Row;
use tidemark::error::{Answer, Error, Failure, Fault};
use tidemark::model::names::ObjectName;
use tidemark::model::watermark::WatermarkKind;

use crate::answers::{single, unexpected_answer};
use crate::session::Server;
use crate::statements::{Quoted, inventory};
use crate::types::SqlType;

/// The major version of SQL Server 2016.
const OLDEST_MAJOR: i32 = 13;

/// A table of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryTable {
    /// The name of the table.
    pub name: ObjectName,
    /// The approximate number of rows, as the server keeps count of them.
    pub rows: Option<u64>,
    /// The bytes of the pages with its rows, as the server keeps count of them.
    pub bytes: Option<u64>,
    /// Whether its changes are tracked.
    pub is_tracked: bool,
    /// The columns, in the order of the table.
    pub columns: Vec<InventoryColumn>,
}

/// A column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryColumn {
    /// The name of the column.
    pub name: String,
    /// The name of the type, without length or precision. That of a rowversion is `timestamp`.
    pub type_name: String,
    /// What its values count, if it can be proposed as a watermark, which a `date` cannot.
    pub watermark: Option<WatermarkKind>,
    /// Whether the column may be NULL.
    pub is_nullable: bool,
    /// Whether it is an identity column.
    pub is_identity: bool,
    /// Whether it is part of the primary key.
    pub is_key: bool,
    /// Whether an index begins with it.
    pub leads_an_index: bool,
    /// The expression of its default, if it has one.
    pub default: Option<String>,
}

impl Server {
    /// Logs in and returns the first line of the server's version and edition.
    ///
    /// # Errors
    ///
    /// `Unreachable` when the server does not answer, and `Refused` when it does not accept the login or the database,
    /// or its certificate is not trusted, or it is of a version or a product that is not served.
    pub async fn greet(&self) -> Answer<String> {
        let rows = self.rows(&inventory::version()).await?;
        let row = single(&rows)?;
        let version = text(row, "version")?.unwrap_or_default();
        let version = version.lines().next().unwrap_or_default().trim();
        let number = |column| row.try_get::<i32, _>(column).map_err(|_| unexpected_answer());
        match not_served(number("engine")?, number("major")?) {
            None => Ok(version.to_owned()),
            Some(why) => Err(self.named(Failure::new(Fault::Refused, format!("{version} is not served: {why}")))),
        }
    }

    /// Returns whether the login sees every security policy of the database, and so which tables are filtered.
    ///
    /// # Errors
    ///
    /// Those of [`greet`](Self::greet).
    pub async fn sees_policies(&self) -> Answer<bool> {
        let rows = self.rows(&inventory::sees_policies()).await?;
        flag(single(&rows)?, "answer")
    }

    /// Returns every table of the database that the login may see. It takes one question, or a second one where the
    /// server does not tell the columns' defaults.
    ///
    /// # Errors
    ///
    /// Those of [`greet`](Self::greet).
    pub async fn inventory(&self) -> Answer<Vec<InventoryTable>> {
        let mut tables: Vec<InventoryTable> = Vec::new();
        let rows = match self.catalog_rows(&inventory::columns_of_all_tables(true)).await? {
            Some(rows) => rows,
            None => self.rows(&inventory::columns_of_all_tables(false)).await?,
        };
        for row in rows {
            let (Some(schema), Some(table)) = (text(&row, "schema_name")?, text(&row, "table_name")?) else {
                return Err(unexpected_answer());
            };
            let name: Result<ObjectName, Error> = format!("{}.{}", schema.quoted(), table.quoted()).parse();
            let name = name?;
            let column = column(&row)?;
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.columns.push(column),
                None => tables.push(InventoryTable {
                    name,
                    rows: size(&row, "all_rows")?,
                    bytes: size(&row, "all_bytes")?,
                    is_tracked: flag(&row, "tracked")?,
                    columns: vec![column],
                }),
            }
        }
        Ok(tables)
    }
}

/// Returns why a server is not served, by the number of its engine and that of its major version.
fn not_served(engine: Option<i32>, major: Option<i32>) -> Option<&'static str> {
    match engine {
        // Azure SQL Database, Azure SQL Managed Instance, Azure SQL Edge and SQL database in Fabric, whose engines are of today
        // whatever version they say.
        Some(5 | 8 | 9 | 12) => None,
        Some(6 | 11) => Some(
            "a pool of Azure Synapse or a warehouse of Fabric is another engine, with a catalog and types of its own",
        ),
        _ if major.is_none_or(|major| major < OLDEST_MAJOR) => Some(
            "SQL Server 2016 is the oldest version whose catalog tells which columns are hidden or masked. Copy from a newer server, \
             such as one to which the database is restored or replicated",
        ),
        _ => None,
    }
}

fn column(row: &Row) -> Answer<InventoryColumn> {
    let type_name = text(row, "type_name")?.unwrap_or_default();
    Ok(InventoryColumn {
        name: text(row, "column_name")?.unwrap_or_default().to_owned(),
        type_name: type_name.to_owned(),
        watermark: SqlType::proposed_kind(type_name),
        is_nullable: flag(row, "is_nullable")?,
        is_identity: flag(row, "is_identity")?,
        is_key: flag(row, "key_place")?,
        leads_an_index: flag(row, "leads")?,
        default: text(row, "definition")?.map(str::to_owned),
    })
}

fn text<'a>(row: &'a Row, column: &str) -> Answer<Option<&'a str>> {
    row.try_get(column).map_err(|_| unexpected_answer())
}

/// Returns a column of the row that is a number of things, if the server knows how many there are.
fn size(row: &Row, column: &str) -> Answer<Option<u64>> {
    let number: Option<i64> = row.try_get(column).map_err(|_| unexpected_answer())?;
    Ok(number.and_then(|number| u64::try_from(number).ok()))
}

/// Returns whether a column of the row is a number other than 0.
fn flag(row: &Row, column: &str) -> Answer<bool> {
    let number: Option<i32> = row.try_get(column).map_err(|_| unexpected_answer())?;
    Ok(number.is_some_and(|number| number != 0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_served_from_2016_on_and_where_the_engine_is_theirs() {
        for (engine, major, why) in [
            (Some(2), Some(13), None),
            (Some(3), Some(16), None),
            (Some(4), Some(17), None),
            (Some(5), Some(12), None),
            (Some(8), Some(12), None),
            (Some(9), Some(15), None),
            (Some(12), Some(12), None),
            (Some(3), Some(12), Some("2016")),
            (Some(2), Some(11), Some("2016")),
            (Some(3), None, Some("2016")),
            (Some(6), Some(10), Some("Synapse")),
            (Some(11), Some(12), Some("Fabric")),
        ] {
            let said = not_served(engine, major);
            assert_eq!(said.is_some(), why.is_some(), "{engine:?} {major:?}");
            assert!(
                said.unwrap_or_default().contains(why.unwrap_or_default()),
                "{engine:?} {major:?}"
            );
        }
    }
}
