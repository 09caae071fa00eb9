//! The catalog views that tell how large tables are: `sys.partitions` and `sys.allocation_units`.
//!
//! Like SQL Server's, the figures are approximate: rows as they are when the view is read, pages by the declared widths.

use super::catalog::{self, Place};
use super::exec::Session;
use super::sysviews::View;
use crate::error::SqlResult;
use crate::value::Ty;

/// Bytes of a page that rows can use
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/pages-and-extents-architecture-guide>).
const PAGE: i64 = 8_060;
/// Bytes a `(max)` value is taken to have.
const MAX_VALUE: i64 = 100;

/// A table's size.
struct Size {
    id: i64,
    rows: i64,
    pages: i64,
    clustered: bool,
}

/// The view of this name over the tables of `db`, if it is one of this module's.
///
/// # Errors
/// When the storage fails.
pub fn find(session: &Session, view: &str, db: &str) -> SqlResult<Option<View>> {
    let columns = match view {
        "partitions" => vec![
            ("partition_id", Ty::BigInt, false),
            ("object_id", Ty::Int, false),
            ("index_id", Ty::Int, false),
            ("partition_number", Ty::Int, false),
            ("hobt_id", Ty::BigInt, false),
            ("rows", Ty::BigInt, true),
        ],
        "allocation_units" => vec![
            ("allocation_unit_id", Ty::BigInt, false),
            ("type", Ty::TinyInt, false),
            ("type_desc", Ty::NVarChar(60), true),
            ("container_id", Ty::BigInt, false),
            ("total_pages", Ty::BigInt, false),
            ("used_pages", Ty::BigInt, false),
            ("data_pages", Ty::BigInt, false),
        ],
        _ => return Ok(None),
    };
    let rows: Vec<String> = sizes(session, db)?
        .iter()
        .map(|size| {
            // The numbers of partitions and of heaps or B-trees are of no meaning but to be joined.
            let container = 72_057_594_037_927_936 + size.id;
            let Size {
                id,
                rows,
                pages,
                clustered,
            } = size;
            if view == "partitions" {
                format!("({container}, {id}, {}, 1, {container}, {rows})", i64::from(*clustered))
            } else {
                format!(
                    "({container}, 1, 'IN_ROW_DATA', {container}, {}, {}, {pages})",
                    pages + 2,
                    pages + 1
                )
            }
        })
        .collect();
    let names: Vec<String> = (0..columns.len())
        .map(|at| format!("column{} AS c{at}", at + 1))
        .collect();
    let sql = if rows.is_empty() {
        let nulls: Vec<String> = (0..columns.len()).map(|at| format!("NULL AS c{at}")).collect();
        format!("SELECT {} WHERE 0", nulls.join(", "))
    } else {
        format!("SELECT {} FROM (VALUES {})", names.join(", "), rows.join(", "))
    };
    Ok(Some(View { columns, sql }))
}

fn sizes(session: &Session, db: &str) -> SqlResult<Vec<Size>> {
    let conn = session.conn();
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
    let mut sizes = Vec::new();
    for place in places {
        let Some(table) = catalog::table(conn, &place)? else {
            continue;
        };
        let rows = conn.query_row(&format!("SELECT count(*) FROM {}", place.physical()), [], |row| {
            row.get(0)
        })?;
        let width = |ty: Ty| match ty.max_length() {
            -1 => MAX_VALUE,
            length => length,
        };
        let row_bytes: i64 = table.stored().map(|column| width(column.ty)).sum::<i64>() + 9;
        sizes.push(Size {
            id: table.id,
            rows,
            pages: rows * row_bytes / PAGE,
            clustered: catalog::indexes(conn, &table)?.iter().any(|index| index.primary),
        });
    }
    Ok(sizes)
}
