//! Builds a query with values: its parameters, and the variables that hold its bounds.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::printable;
use tidemark::model::predicate::Predicate;
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::Column;
use tidemark::model::watermark::Watermark;

use super::conversions::{self, of_text};
use super::statement::{Quoted, Statement};
use crate::types::SqlType;

/// A query under construction: its text so far, and the values that it names.
#[derive(Debug)]
pub(super) struct Query {
    pub(super) sql: String,
    pub(super) values: Values,
}

impl Query {
    /// Returns the complete statement.
    pub(super) fn finished(self) -> Statement {
        self.values.statement(&self.sql)
    }
}

/// The values that a statement names: its parameters, and the variables that hold its bounds.
#[derive(Debug, Default)]
pub(super) struct Values {
    parameters: Vec<String>,
    declarations: Vec<String>,
}

impl Values {
    /// Declares a variable that is not a bound.
    pub(super) fn declare(&mut self, declaration: &str) {
        self.declarations.push(declaration.to_owned());
    }

    /// Adds a text as a parameter. Returns the name of the parameter.
    pub(super) fn text(&mut self, value: &str) -> String {
        self.parameters.push(value.to_owned());
        format!("@P{}", self.parameters.len())
    }

    /// Adds a bound in its own type. Returns the name of its variable.
    ///
    /// # Errors
    ///
    /// `LedgerInvalid` when the text of the bound, which may come from the bucket, is not one that this crate writes
    /// for it.
    pub(super) fn bound(&mut self, value: &Watermark) -> Result<String> {
        self.bound_of(SqlType::of(value.sql_type())?, value)
    }

    /// Adds a bound in the given type, with the errors of [`Values::bound`]. Returns the name of its variable.
    pub(super) fn bound_of(&mut self, sql_type: SqlType, value: &Watermark) -> Result<String> {
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
    pub(super) fn statement(self, sql: &str) -> Statement {
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

/// Returns the user's condition after an ` AND `, or nothing.
pub(super) fn and(filter: Option<&Predicate>) -> String {
    filter.map_or_else(String::new, |filter| format!(" AND {}", filter.in_parentheses()))
}

/// Returns the bounds of a range of a key as conditions on `column`.
pub(super) fn key_conditions(column: &str, range: &KeyBounds, values: &mut Values) -> Result<Vec<String>> {
    let mut conditions = Vec::new();
    for (operator, bound) in [(">", &range.above), ("<=", &range.up_to)] {
        if let Some(value) = bound {
            conditions.push(format!("{column} {operator} {}", values.bound(value)?));
        }
    }
    Ok(conditions)
}

/// Returns the bounds of a range of a key as a ` WHERE` clause, or nothing when the range is open on both sides.
pub(super) fn where_key(range: Option<&KeyBounds>, values: &mut Values) -> Result<String> {
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
pub(super) fn selected(alias: Option<&str>, column: &Column) -> Result<String> {
    let name = column.name.quoted();
    let value = alias.map_or_else(|| name.clone(), |alias| format!("[{alias}].{name}"));
    let cast = conversions::selected(&value, SqlType::of(&column.sql_type)?);
    Ok(cast.map_or(value, |cast| format!("{cast} AS {name}")))
}
