//! Statistics, which are the histograms of indexes and become stale.
//!
//! As in SQL Server, they are built when an index or key is made over rows that exist, and by `UPDATE STATISTICS`. Rows
//! that come later are not in them
//! (<https://learn.microsoft.com/en-us/sql/relational-databases/statistics/statistics>). The server would also renew
//! some by itself when a query needs them and enough has changed, but the stand-in never does.

use rusqlite::types::Value;
use rusqlite::{Connection, params};

use super::Session;
use crate::error::{SqlError, SqlResult};
use crate::sql::ast::Name;
use crate::sql::catalog::{self, Index, Table, quote};
use crate::value::{Ty, text};

/// The largest number of steps in a histogram
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-dynamic-management-views/sys-dm-db-stats-histogram-transact-sql>).
const STEPS: usize = 200;

/// A step of a histogram: the rows and values between the key before and this one, and the rows that have it.
struct Step {
    key: Value,
    range_rows: i64,
    range_values: i64,
    equal_rows: i64,
}

impl Session {
    /// Runs `UPDATE STATISTICS`, of one index or of all.
    pub(super) fn update_statistics(&self, table: &Name, name: Option<&str>) -> SqlResult<()> {
        let table = self.table_named(table)?;
        let mut indexes = catalog::indexes(self.conn(), &table)?;
        if let Some(name) = name {
            indexes.retain(|index| text::same(&index.name, name));
            if indexes.is_empty() {
                return Err(SqlError::of(2767, &[&name]));
            }
        }
        indexes.iter().try_for_each(|index| build(self.conn(), &table, index))
    }
}

/// Builds the statistics of an index anew.
pub(super) fn build(conn: &Connection, table: &Table, index: &Index) -> SqlResult<()> {
    let place = table.place();
    let (store, id) = (place.store(), index.id);
    let Some(column) = index.columns.first().and_then(|name| table.column(name)) else {
        return Ok(());
    };
    let name = quote(&column.name);
    let order = match column.ty {
        Ty::DateTimeOffset(_) => format!("t_utc({name})"),
        _ => name.clone(),
    };
    let values: Vec<(Value, i64)> = conn
        .prepare(&format!(
            "SELECT {name}, count(*) FROM {} GROUP BY {order} ORDER BY {order}",
            place.physical()
        ))?
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?
        .collect::<Result<_, _>>()?;
    conn.execute(
        &format!("DELETE FROM {store}._histogram WHERE object_id = ?1 AND stats_id = ?2"),
        params![table.id, id],
    )?;
    let mut insert = conn.prepare(&format!(
        "INSERT INTO {store}._histogram VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"
    ))?;
    for (number, step) in (1_i64..).zip(steps(values)) {
        let Step {
            key,
            range_rows,
            range_values,
            equal_rows,
        } = step;
        insert.execute(params![table.id, id, number, key, range_rows, equal_rows, range_values])?;
    }
    Ok(())
}

/// Returns the steps of these values. NULL, the least value and the greatest have steps of their own. Between them,
/// each step takes as many values as make its share of the rows.
fn steps(values: Vec<(Value, i64)>) -> Vec<Step> {
    let rows: i64 = values.iter().map(|(_, rows)| rows).sum();
    let share = rows / (STEPS as i64 - 3) + 1;
    let (count, is_small) = (values.len(), values.len() <= STEPS);
    let mut steps: Vec<Step> = Vec::new();
    let (mut range_rows, mut range_values) = (0, 0);
    for (at, (key, equal_rows)) in values.into_iter().enumerate() {
        let is_edge = steps.last().is_none_or(|step| step.key == Value::Null) || at + 1 == count;
        if is_small || is_edge || range_rows + equal_rows >= share {
            steps.push(Step {
                key,
                range_rows: std::mem::take(&mut range_rows),
                range_values: std::mem::take(&mut range_values),
                equal_rows,
            });
        } else {
            range_rows += equal_rows;
            range_values += 1;
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_histogram_has_few_steps_and_every_row() {
        for count in [0, 1, 2, 200, 201, 5_000] {
            let values = (0..count).map(|value| (Value::Integer(value), 1 + value % 7));
            let rows: i64 = values.clone().map(|(_, rows)| rows).sum();
            let made = steps(std::iter::once((Value::Null, 3)).chain(values).collect());
            assert!(made.len() <= STEPS, "{count}: {}", made.len());
            let counted: i64 = made.iter().map(|step| step.range_rows + step.equal_rows).sum();
            assert_eq!(counted, rows + 3, "{count}");
            if count > 1 {
                assert_eq!(made[1].key, Value::Integer(0));
                assert_eq!(made[made.len() - 1].key, Value::Integer(count - 1));
            }
        }
    }
}
