//! A statement, the names in it, and what several statements ask.

use tidemark::model::names::{Identifier, ObjectName};
use tidemark::ports::rows::Explained;

/// A statement and its parameters.
///
/// Parameters are text and are bound as `nvarchar` to `@P1`, `@P2`, … in order. The statement converts each to the type
/// that it needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// The SQL text.
    pub(crate) sql: String,
    /// The values of `@P1`, `@P2`, ….
    pub(crate) parameters: Vec<String>,
}

impl Statement {
    /// Makes a statement without parameters.
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self {
            sql: sql.into(),
            parameters: Vec::new(),
        }
    }

    /// Makes a statement with these parameters.
    pub(crate) fn with(sql: impl Into<String>, parameters: &[&str]) -> Self {
        Self {
            sql: sql.into(),
            parameters: parameters.iter().map(|&value| value.to_owned()).collect(),
        }
    }
}

/// A name that can be written in brackets. `]` is doubled, so the result is safe in any statement.
pub trait Quoted {
    /// Returns the name in brackets.
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

/// The statement that a connection answers before it is used again, with one row: 1 if its session has no open
/// transaction, else 0.
pub(crate) const NO_TRANSACTION: &str = "SELECT CASE WHEN @@TRANCOUNT = 0 THEN 1 ELSE 0 END AS [answer]";

/// The expression that is 1 when the database is the copy of another one that goes on: a secondary replica, however it is
/// reached, one to which logs are shipped, or a snapshot. A database that somebody has set to read-only is not one.
///
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/databasepropertyex-transact-sql>, `Updateability`, and
/// <https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-databases-transact-sql>)
///
/// `sys.databases` is asked by name: in Azure SQL Database its numbers are those of the logical server, which `DB_ID()` need not
/// return; the numbers of other views are those of `DB_ID()`
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/db-id-transact-sql>).
pub(super) const IS_REPLICA: &str = "CASE WHEN CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) = N'READ_ONLY' \
     AND NOT EXISTS (SELECT 1 FROM sys.databases WHERE [name] = DB_NAME() AND [is_read_only] = 1 AND [is_in_standby] = 0 \
     AND [source_database_id] IS NULL) THEN 1 ELSE 0 END";

/// Returns the statement with its values in place of its parameters, for people to read. It is never run.
#[must_use]
pub fn with_values(explained: &Explained) -> String {
    let mut sql = explained.sql.clone();
    // The replacement goes from the last to the first, because @P1 would be found in @P10.
    for (index, value) in explained.parameters.iter().enumerate().rev() {
        sql = sql.replace(
            &format!("@P{}", index + 1),
            &format!("N'{}'", value.replace('\'', "''")),
        );
    }
    sql
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_shown_with_its_values() {
        let explained = Explained {
            sql: "SELECT 1 WHERE a > CAST(@P1 AS int) AND b <= @P10".to_owned(),
            parameters: (1..=10).map(|number| format!("v'{number}")).collect(),
        };
        assert_eq!(
            with_values(&explained),
            "SELECT 1 WHERE a > CAST(N'v''1' AS int) AND b <= N'v''10'"
        );
    }
}
