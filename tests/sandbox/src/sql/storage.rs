//! The sizes of tables, for `sys.partitions` and `sys.allocation_units`.
//!
//! As in SQL Server, the figures are approximate: the rows are those when the view is read, and the pages are computed
//! from the declared widths.

use rusqlite::{Connection, OptionalExtension};

use super::catalog::{self, Place, Table, quote};
use crate::error::SqlResult;

/// The bytes of a page that rows can use
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/pages-and-extents-architecture-guide>).
const PAGE: i64 = 8_060;
/// The bytes that a `(max)` value is assumed to have.
const MAX_VALUE: i64 = 100;

/// Returns the partitions of the tables of a database as a query: `container`, `id`, `rows`, `pages`, `index_id` of the index
/// that holds the rows, `number`.
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
        let widths = table.stored().map(|column| match column.ty.max_length() {
            -1 => MAX_VALUE,
            length => length,
        });
        let width = widths.sum::<i64>() + 9;
        let clustered = catalog::indexes(conn, &table)?.iter().any(|index| index.primary);
        let in_memory = "SELECT ifnull(max(memory), 0) FROM main._storage WHERE object_id = ?1";
        let in_memory: bool = conn.query_row(in_memory, [table.id], |row| row.get(0))?;
        let (id, index) = (table.id, if in_memory { 2 } else { i64::from(clustered) });
        for (number, rows) in (1..).zip(partitions(conn, &table)?) {
            let container = 72_057_594_037_927_936 + id * 1_000 + number;
            let pages = rows * width / PAGE;
            sizes.push(format!("({container}, {id}, {rows}, {pages}, {index}, {number})"));
        }
    }
    if sizes.is_empty() {
        let none = "(SELECT 0 AS container, 0 AS id, 0 AS rows, 0 AS pages, 0 AS index_id, 0 AS number WHERE 0)";
        return Ok(none.to_owned());
    }
    // They are values, of which SQLite takes any number. Of the parts of a UNION it takes 500.
    Ok(format!(
        "(SELECT column1 AS container, column2 AS id, column3 AS rows, column4 AS pages, column5 AS index_id, \
         column6 AS number FROM (VALUES {}))",
        sizes.join(", ")
    ))
}

/// Returns the rows of each partition of a table. Most tables have one partition. NULL is in the first.
fn partitions(conn: &Connection, table: &Table) -> SqlResult<Vec<i64>> {
    let physical = table.place().physical();
    let sql = "SELECT scheme, part FROM main._storage WHERE object_id = ?1 AND scheme IS NOT NULL";
    let found: Option<(String, String)> = conn
        .query_row(sql, [table.id], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let Some((scheme, column)) = found else {
        return Ok(vec![conn.query_row(
            &format!("SELECT count(*) FROM {physical}"),
            [],
            |row| row.get(0),
        )?]);
    };
    let boundaries = "FROM main._boundary b WHERE b.db = ?1 AND b.name = ?2";
    let count: i64 = conn.query_row(&format!("SELECT count(*) {boundaries}"), [&table.db, &scheme], |row| {
        row.get(0)
    })?;
    let column = quote(&column);
    let sql = format!(
        "SELECT (SELECT count(*) {boundaries} AND CASE b.is_right WHEN 1 THEN t.{column} >= b.value ELSE t.{column} > b.value END)
         AS n, count(*) FROM {physical} t GROUP BY n"
    );
    let mut statement = conn.prepare(&sql)?;
    let counted = statement.query_map([&table.db, &scheme], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let mut rows = vec![0; usize::try_from(count + 1).unwrap_or(1)];
    for pair in counted {
        let (number, count): (i64, i64) = pair?;
        rows[usize::try_from(number).unwrap_or(0)] = count;
    }
    Ok(rows)
}
