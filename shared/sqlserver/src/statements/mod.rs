//! The SQL text of Tidemark. A statement is built from data at the moment when it runs, for either driver.
//!
//! Values are always parameters, identifiers are always in brackets, and the name of a type is always that of a
//! [`SqlType`](crate::types::SqlType), never a text that was read somewhere. A bound is a variable of the column's own type, for two reasons:
//! a comparison in a wider type reads the boundary row again or loses it
//! (<https://learn.microsoft.com/en-us/sql/t-sql/data-types/datetime-transact-sql>, compatibility level 130), and not
//! every optimizer seeks by an expression (`[c] > CAST(@P1 AS datetime)`). A statement with bounds is compiled anew for
//! each run, so that the server's plan is made for their values
//! (<https://learn.microsoft.com/en-us/sql/t-sql/queries/hints-transact-sql-query>, `RECOMPILE`).

pub(crate) mod catalog;
pub(crate) mod change_tracking;
pub(crate) mod control_table;
mod conversions;
pub(crate) mod cut;
pub(crate) mod inventory;
mod query;
pub(crate) mod sink_table;
pub(crate) mod staging;
mod statement;
pub(crate) mod watermark;

use tidemark::error::Result;
use tidemark::model::names::ObjectName;
use tidemark::model::predicate::Predicate;
use tidemark::model::rows::Rows;
use tidemark::model::types::{Column, of_source};

use self::query::{Query, Values, where_key};
pub(crate) use self::statement::{NO_TRANSACTION, Statement};
pub use self::statement::{Quoted, with_values};

/// Selects rows with these columns, without the audit columns, which the source does not have.
///
/// # Errors
///
/// `LedgerInvalid` when a column or a bound has a type that is not one of SQL Server's, or a bound is not a value of
/// its type.
pub(crate) fn rows(rows: &Rows<'_>, columns: &[Column]) -> Result<Statement> {
    let columns = of_source(columns);
    match rows {
        Rows::Interval(interval) => watermark::rows(interval, columns),
        Rows::Load(load) => change_tracking::load(load, columns),
        Rows::Changes(changes) => change_tracking::rows(changes, columns),
    }
}

/// Asks for one row: the number of rows.
pub(crate) fn count(rows: &Rows<'_>) -> Result<Statement> {
    select(rows, "COUNT_BIG(*) AS [rows]").map(Query::finished)
}

/// Asks for no row of a table under a condition, so that the server only says whether it understands the condition.
pub(crate) fn no_row_of(table: &ObjectName, filter: &Predicate) -> Statement {
    let (table, condition) = (table.quoted(), filter.in_parentheses());
    Statement::new(format!("SELECT TOP (0) 1 AS [is_there] FROM {table} WHERE {condition}"))
}

/// Selects `what` from rows.
fn select(rows: &Rows<'_>, what: &str) -> Result<Query> {
    match rows {
        Rows::Interval(interval) => watermark::select(interval, what),
        Rows::Load(load) => {
            let mut values = Values::default();
            let filter = where_key(load.key, &mut values)?;
            let sql = format!("SELECT {what} FROM {}{filter}", load.table.quoted());
            Ok(Query { sql, values })
        }
        Rows::Changes(changes) => change_tracking::select(changes, what),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    /// Returns the sources of this module's statements, without their tests.
    fn sources() -> Vec<(&'static str, &'static str)> {
        let all = [
            ("mod.rs", include_str!("mod.rs")),
            ("catalog.rs", include_str!("catalog.rs")),
            ("change_tracking.rs", include_str!("change_tracking.rs")),
            ("control_table.rs", include_str!("control_table.rs")),
            ("cut.rs", include_str!("cut.rs")),
            ("inventory.rs", include_str!("inventory.rs")),
            ("query.rs", include_str!("query.rs")),
            ("sink_table.rs", include_str!("sink_table.rs")),
            ("staging.rs", include_str!("staging.rs")),
            ("statement.rs", include_str!("statement.rs")),
            ("watermark.rs", include_str!("watermark.rs")),
        ];
        let before_tests = |text: &'static str| text.split("#[cfg(test)]").next().unwrap_or_default();
        all.map(|(name, text)| (name, before_tests(text))).to_vec()
    }

    /// Returns the words that follow `sign` in the statements of a source. Comments are no statements.
    fn after(source: &str, sign: &str) -> BTreeSet<String> {
        let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
        let mut words = BTreeSet::new();
        for line in code {
            for rest in line.split(sign).skip(1) {
                let word = rest
                    .chars()
                    .take_while(|letter| letter.is_ascii_alphanumeric() || *letter == '_');
                words.insert(word.collect());
            }
        }
        words
    }

    /// In a database whose collation minds case, `@new` is not `@New`, and the catalog has no `sys.Columns`
    /// (<https://learn.microsoft.com/en-us/sql/relational-databases/databases/database-identifiers>).
    #[test]
    fn names_are_spelled_as_a_database_that_minds_case_wants_them() {
        for (name, source) in sources() {
            let variables = after(source, "@");
            let without_case: BTreeSet<String> = variables.iter().map(|it| it.to_lowercase()).collect();
            assert_eq!(variables.len(), without_case.len(), "{name}: {variables:?}");
            for view in after(source, "sys.") {
                assert_eq!(
                    view,
                    view.to_lowercase(),
                    "{name}: the catalog's names are in lower case"
                );
            }
        }
    }

    /// Each column of the catalog is spelled as the stand-in has it, which has it from the documentation. A database that does not
    /// mind case would not tell.
    #[test]
    fn columns_of_the_catalog_are_spelled_as_the_catalog_has_them() {
        let views = include_str!("../../../../tests/sandbox/src/sql/sysviews.rs");
        let is_letter = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
        let known: BTreeSet<&str> = views.split(|letter| !is_letter(letter)).collect();
        for (name, source) in sources() {
            let used = after(source, "].[");
            for column in used.iter().filter(|column| !column.is_empty()) {
                let alike = known.iter().find(|known| known.eq_ignore_ascii_case(column));
                assert!(
                    alike.is_none_or(|known| known == column),
                    "{name}: {column} is {alike:?}"
                );
            }
        }
    }
}
