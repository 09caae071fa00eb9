//! The SQL text of Tidemark. A statement is built from data at the moment when it runs, for either driver.
//!
//! Values are always parameters, identifiers are always in brackets, and the name of a type is always that of a
//! [`SqlType`], never a text that was read somewhere. A bound is a variable of the column's own type, for two reasons:
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
pub(crate) mod sink_table;
pub(crate) mod staging;
pub(crate) mod watermark;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::{Identifier, ObjectName, printable};
use tidemark::model::predicate::Predicate;
use tidemark::model::rows::Rows;
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::{Column, of_source};
use tidemark::model::watermark::Watermark;

use self::conversions::of_text;
use crate::types::SqlType;

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
/// reached, or one to which logs are shipped. A database that somebody has set to read-only is not one.
///
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/databasepropertyex-transact-sql>, `Updateability`, and
/// <https://learn.microsoft.com/en-us/sql/relational-databases/system-catalog-views/sys-databases-transact-sql>)
///
/// `sys.databases` is asked by name: in Azure SQL Database its numbers are those of the logical server, which `DB_ID()` need not
/// return; the numbers of other views are those of `DB_ID()`
/// (<https://learn.microsoft.com/en-us/sql/t-sql/functions/db-id-transact-sql>).
const IS_REPLICA: &str = "CASE WHEN CAST(DATABASEPROPERTYEX(DB_NAME(), N'Updateability') AS nvarchar(128)) = N'READ_ONLY' \
     AND NOT EXISTS (SELECT 1 FROM sys.databases WHERE [name] = DB_NAME() AND [is_read_only] = 1 AND [is_in_standby] = 0) \
     THEN 1 ELSE 0 END";

/// A query under construction: its text so far, and the values that it names.
#[derive(Debug)]
struct Query {
    sql: String,
    values: Values,
}

impl Query {
    /// Returns the complete statement.
    fn finished(self) -> Statement {
        self.values.statement(&self.sql)
    }
}

/// The values that a statement names: its parameters, and the variables that hold its bounds.
#[derive(Debug, Default)]
struct Values {
    parameters: Vec<String>,
    declarations: Vec<String>,
}

impl Values {
    /// Declares a variable that is not a bound.
    fn declare(&mut self, declaration: &str) {
        self.declarations.push(declaration.to_owned());
    }

    /// Adds a text as a parameter. Returns the name of the parameter.
    fn text(&mut self, value: &str) -> String {
        self.parameters.push(value.to_owned());
        format!("@P{}", self.parameters.len())
    }

    /// Adds a bound in its own type. Returns the name of its variable.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when the text of the bound, which may come from the bucket, is not one that this crate writes
    /// for it.
    fn bound(&mut self, value: &Watermark) -> Result<String> {
        self.bound_of(SqlType::of(value.sql_type())?, value)
    }

    /// Adds a bound in the given type, with the errors of [`Values::bound`]. Returns the name of its variable.
    fn bound_of(&mut self, sql_type: SqlType, value: &Watermark) -> Result<String> {
        let read = sql_type.watermark(value.value());
        if !read.is_ok_and(|read| read.value() == value.value()) {
            let message = format!("the bound '{}' is no value of {sql_type}", printable(value.value()));
            return Err(Error::new(ErrorCode::LedgerInvalid, message));
        }
        let parameter = self.text(value.value());
        let name = format!("@B{}", self.declarations.len() + 1);
        let declaration = format!("{name} {} = {}", sql_type.of_variable(), of_text(&parameter, sql_type));
        self.declarations.push(declaration);
        Ok(name)
    }

    /// Makes the statement of `sql` and these values.
    fn statement(self, sql: &str) -> Statement {
        let sql = match self.declarations[..] {
            [] => sql.to_owned(),
            _ => format!("DECLARE {}; {sql} OPTION (RECOMPILE)", self.declarations.join(", ")),
        };
        Statement {
            sql,
            parameters: self.parameters,
        }
    }
}

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

/// Returns the user's condition after an ` AND `, or nothing.
fn and(filter: Option<&Predicate>) -> String {
    filter.map_or_else(String::new, |filter| format!(" AND {}", filter.in_parentheses()))
}

/// Returns the bounds of a range of a key as conditions on `column`.
fn key_conditions(column: &str, range: &KeyBounds, values: &mut Values) -> Result<Vec<String>> {
    let mut conditions = Vec::new();
    for (operator, bound) in [(">", &range.above), ("<=", &range.up_to)] {
        if let Some(value) = bound {
            conditions.push(format!("{column} {operator} {}", values.bound(value)?));
        }
    }
    Ok(conditions)
}

/// Returns the bounds of a range of a key as a ` WHERE` clause, or nothing when the range is open on both sides.
fn where_key(range: Option<&KeyBounds>, values: &mut Values) -> Result<String> {
    let Some(range) = range else {
        return Ok(String::new());
    };
    let conditions = key_conditions(&range.column.quoted(), range, values)?;
    if conditions.is_empty() {
        return Ok(String::new());
    }
    Ok(format!(" WHERE {}", conditions.join(" AND ")))
}

/// Returns a column of `alias`, or of the only table, as it is selected.
fn selected(alias: Option<&str>, column: &Column) -> Result<String> {
    let name = column.name.quoted();
    let value = alias.map_or_else(|| name.clone(), |alias| format!("[{alias}].{name}"));
    let cast = conversions::selected(&value, SqlType::of(&column.sql_type)?);
    Ok(cast.map_or(value, |cast| format!("{cast} AS {name}")))
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
            ("merge.rs", include_str!("merge.rs")),
            ("sink_table.rs", include_str!("sink_table.rs")),
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
