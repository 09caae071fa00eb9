//! How large tables are, for `sys.partitions` and `sys.allocation_units`.
//!
//! Like SQL Server's, the figures are approximate: rows as they are when the view is read, pages by the declared widths.

use rusqlite::Connection;

use super::catalog::{self, Place};
use crate::error::SqlResult;

/// Bytes of a page that rows can use
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/pages-and-extents-architecture-guide>).
const PAGE: i64 = 8_060;
/// Bytes a `(max)` value is taken to have.
const MAX_VALUE: i64 = 100;

/// The tables of a database as a query: `container`, `id`, `rows`, `pages`, `clustered`.
pub fn sizes(conn: &Connection, db: &str) -> SqlResult<String> {
    let places: Vec<Place> = conn
        .prepare("SELECT schema, name FROM main._object WHERE type = 'U' AND db = ?1")?
        .query_map([db], |row| {
            Ok(Place {
                db: db.to_owned(),
                schema: row.get(0)?,
                name: row.get(1)?,
            })
        })?
        .collect::<Result<_, _>>()?;
    let mut sizes = Vec::with_capacity(places.len());
    for place in places {
        let Some(table) = catalog::table(conn, &place)? else {
            continue;
        };
        let sql = format!("SELECT count(*) FROM {}", place.physical());
        let rows: i64 = conn.query_row(&sql, [], |row| row.get(0))?;
        let widths = table.stored().map(|column| match column.ty.max_length() {
            -1 => MAX_VALUE,
            length => length,
        });
        let pages = rows * (widths.sum::<i64>() + 9) / PAGE;
        let clustered = catalog::indexes(conn, &table)?.iter().any(|index| index.primary);
        let (id, clustered) = (table.id, i64::from(clustered));
        let container = 72_057_594_037_927_936 + id;
        sizes.push(format!("({container}, {id}, {rows}, {pages}, {clustered})"));
    }
    if sizes.is_empty() {
        let none = "(SELECT 0 AS container, 0 AS id, 0 AS rows, 0 AS pages, 0 AS clustered WHERE 0)";
        return Ok(none.to_owned());
    }
    // As values, of which SQLite takes any number; of the parts of a UNION it takes 500.
    Ok(format!(
        "(SELECT column1 AS container, column2 AS id, column3 AS rows, column4 AS pages, column5 AS clustered \
         FROM (VALUES {}))",
        sizes.join(", ")
    ))
}
