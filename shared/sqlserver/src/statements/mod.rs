//! The only SQL text of Tidemark. It is built of data at the moment it runs, whichever driver runs it.
//!
//! Values are always parameters; identifiers are always in brackets; a type's name in a statement is that of a
//! [`SqlType`], never a text that was read somewhere. Bounds are cast to the column's own type (`[c] > CAST(@P1 AS datetime)`),
//! because a comparison in a wider type re-sends or loses the boundary row
//! (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/datetime-transact-sql>, compatibility level 130).

pub(crate) mod change_tracking;
pub(crate) mod control_table;
pub(crate) mod cut;
pub(crate) mod inventory;
pub(crate) mod watermark;

use tidemark::error::Result;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::predicate::Predicate;
use tidemark::model::rows::Rows;
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::Column;
use tidemark::model::watermark::Watermark;

use crate::types::SqlType;

/// A statement and its parameters.
///
/// Parameters are text, bound as `nvarchar` to `@P1`, `@P2`, … in order; the statement casts each to the type it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The statement.
    pub(crate) sql: String,
    /// The values of `@P1`, `@P2`, ….
    pub(crate) parameters: Vec<String>,
}

impl Statement {
    /// A statement without parameters.
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
        }
    }

    /// A statement with these parameters.
    pub(crate) fn with(sql: impl Into<String>, parameters: &[&str]) -> Self {
        Self {
            sql: sql.into(),
            parameters: parameters.iter().map(|&value| value.to_owned()).collect(),
        }
    }
}

/// A name in brackets, safe in any statement: `]` is doubled.
pub(crate) trait Quoted {
    /// The name in brackets.
    fn quoted(&self) -> String;
}

impl Quoted for str {
    fn quoted(&self) -> String {
        format!("[{}]", self.replace(']', "]]"))
    }
}

impl Quoted for Identifier {
    fn quoted(&self) -> String {
        self.as_str().quoted()
    }
}

impl Quoted for ObjectName {
    fn quoted(&self) -> String {
        format!("{}.{}", self.schema().quoted(), self.name().quoted())
    }
}

/// One row: 1 if the session has no transaction open, else 0. Asked of a connection before it is used again.
pub(crate) const NO_TRANSACTION: &str = "SELECT CASE WHEN @@TRANCOUNT = 0 THEN 1 ELSE 0 END AS [answer]";

/// Selects rows with these columns.
///
/// Errors: `UnsupportedType` when a column, or a bound, names a type that is none of SQL Server's.
pub(crate) fn rows(rows: &Rows<'_>, columns: &[Column]) -> Result<Statement> {
    match rows {
        Rows::Interval(interval) => watermark::rows(interval, columns),
        Rows::Load(load) => change_tracking::load(load, columns),
        Rows::Changes(changes) => change_tracking::rows(changes, columns),
    }
}

/// One row: how many rows there are.
pub(crate) fn count(rows: &Rows<'_>) -> Result<Statement> {
    select(rows, "COUNT_BIG(*) AS [rows]")
}

/// Selects `what` of rows.
fn select(rows: &Rows<'_>, what: &str) -> Result<Statement> {
    match rows {
        Rows::Interval(interval) => watermark::select(interval, what),
        Rows::Load(load) => {
            let mut parameters = Vec::new();
            let filter = where_key(load.key, &mut parameters)?;
            let sql = format!("SELECT {what} FROM {}{filter}", load.table.quoted());
            Ok(Statement { sql, parameters })
        }
        Rows::Changes(changes) => change_tracking::select(changes, what),
    }
}

/// The value of parameter `number` in the type of `value`.
fn typed(number: usize, value: &Watermark) -> Result<String> {
    Ok(SqlType::of(value.sql_type())?.of_parameter(&format!("@P{number}")))
}

/// The user's condition as a further one.
fn and(filter: Option<&Predicate>) -> String {
    filter.map_or_else(String::new, |filter| format!(" AND {}", filter.in_parentheses()))
}

/// The bounds of a range of a key as conditions on `column`, with the numbers of their parameters counted on from
/// `parameters`.
fn key_conditions(column: &str, range: &KeyBounds, parameters: &mut Vec<String>) -> Result<Vec<String>> {
    let mut conditions = Vec::new();
    for (operator, bound) in [(">", &range.above), ("<=", &range.up_to)] {
        if let Some(value) = bound {
            parameters.push(value.value().to_owned());
            conditions.push(format!("{column} {operator} {}", typed(parameters.len(), value)?));
        }
    }
    Ok(conditions)
}

/// The bounds of a range of a key as a ` WHERE` of their own; nothing when it is open on both sides.
fn where_key(range: Option<&KeyBounds>, parameters: &mut Vec<String>) -> Result<String> {
    let Some(range) = range else {
        return Ok(String::new());
    };
    let conditions = key_conditions(&range.column.quoted(), range, parameters)?;
    if conditions.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(" WHERE {}", conditions.join(" AND ")))
}

/// A column of `alias`, or of the one table there is, as it is selected.
fn selected(alias: Option<&str>, column: &Column) -> Result<String> {
    let name = column.name.quoted();
    let value = alias.map_or_else(|| name.clone(), |alias| format!("[{alias}].{name}"));
    let cast = SqlType::of(&column.sql_type)?.selected(&value);
    Ok(cast.map_or(value, |cast| format!("{cast} AS {name}")))
}
