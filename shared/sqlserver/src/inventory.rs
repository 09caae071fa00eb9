//! What a server says of itself and of what it has.

use tiberius::Row;
use tidemark::error::{Answer, Error};
use tidemark::model::names::ObjectName;

use crate::answers::{single, unexpected_answer};
use crate::session::Server;
use crate::statements::{Quoted, inventory};

/// This is a table of a database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryTable {
    /// This is its name.
    pub name: ObjectName,
    /// These are its rows, roughly, as the server keeps count of them.
    pub rows: Option<u64>,
    /// This says whether its changes are tracked.
    pub is_tracked: bool,
    /// These are its columns in its order.
    pub columns: Vec<InventoryColumn>,
}

/// This is a column of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InventoryColumn {
    /// This is its name.
    pub name: String,
    /// This is the name of its type, without length or precision. A rowversion is called `timestamp`.
    pub type_name: String,
    /// This says whether it may be NULL.
    pub is_nullable: bool,
    /// This says whether the server counts it up.
    pub is_identity: bool,
    /// This says whether it is of the primary key.
    pub is_key: bool,
    /// This says whether an index begins with it.
    pub leads_an_index: bool,
    /// This is the expression of its default, if it has one.
    pub default: Option<String>,
}

impl Server {
    /// Logs in and asks the server for its version and edition.
    ///
    /// # Errors
    ///
    /// `Unreachable` when nobody answers, and `Refused` when the login, the database or the certificate is not accepted.
    pub async fn greet(&self) -> Answer<String> {
        let rows = self.rows(&inventory::version()).await?;
        let version = text(single(&rows)?, 0)?.unwrap_or_default();
        Ok(version.lines().next().unwrap_or_default().trim().to_owned())
    }

    /// Returns every table of the database that the login may see, by one question; by a second one where the server
    /// does not tell of defaults.
    ///
    /// # Errors
    ///
    /// As [`greet`](Self::greet).
    pub async fn inventory(&self) -> Answer<Vec<InventoryTable>> {
        let mut tables: Vec<InventoryTable> = Vec::new();
        let rows = match self.catalog_rows(&inventory::columns_of_all_tables(true)).await? {
            Some(rows) => rows,
            None => self.rows(&inventory::columns_of_all_tables(false)).await?,
        };
        for row in rows {
            let (Some(schema), Some(table)) = (text(&row, 0)?, text(&row, 1)?) else {
                return Err(unexpected_answer());
            };
            let name: Result<ObjectName, Error> = format!("{}.{}", schema.quoted(), table.quoted()).parse();
            let name = name?;
            let column = column(&row)?;
            match tables.last_mut().filter(|table| table.name == name) {
                Some(table) => table.columns.push(column),
                None => tables.push(InventoryTable {
                    name,
                    rows: row
                        .try_get::<i64, _>(9)
                        .map_err(|_| unexpected_answer())?
                        .and_then(|rows| u64::try_from(rows).ok()),
                    is_tracked: flag(&row, 8)?,
                    columns: vec![column],
                }),
            }
        }
        Ok(tables)
    }
}

fn column(row: &Row) -> Answer<InventoryColumn> {
    Ok(InventoryColumn {
        name: text(row, 2)?.unwrap_or_default().to_owned(),
        type_name: text(row, 3)?.unwrap_or_default().to_owned(),
        is_nullable: flag(row, 4)?,
        is_identity: flag(row, 5)?,
        is_key: flag(row, 6)?,
        leads_an_index: flag(row, 7)?,
        default: text(row, 10)?.map(str::to_owned),
    })
}

fn text(row: &Row, column: usize) -> Answer<Option<&str>> {
    row.try_get(column).map_err(|_| unexpected_answer())
}

/// Returns whether there is a number that is not 0.
fn flag(row: &Row, column: usize) -> Answer<bool> {
    let number: Option<i32> = row.try_get(column).map_err(|_| unexpected_answer())?;
    Ok(number.is_some_and(|number| number != 0))
}
