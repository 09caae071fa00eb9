//! Checks that a result has the columns of the plan.

use mssql_tds::query::metadata::ColumnMetadata;
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::types::Column;

use crate::types::SqlType;
use crate::types::wire;

/// The end of an error message about rows that do not have the columns of the plan: the cause, and what to do.
pub(super) const CHANGED_SINCE: &str = "the table was changed after the window was frozen: change it back until the window is \
                                        committed, or give the window up with `tidemark give-up` (docs/how-to/repair.md)";

/// Compares the result's columns with the plan's: number, names, and types as far as they show on the wire.
///
/// # Errors
///
/// `SchemaMismatch`, naming the column and both types.
pub fn check(expected: &[Column], result: &[ColumnMetadata]) -> Result<()> {
    if expected.len() != result.len() {
        return Err(Error::new(
            ErrorCode::SchemaMismatch,
            format!(
                "the plan has {} columns, and the result {}; {CHANGED_SINCE}",
                expected.len(),
                result.len()
            ),
        ));
    }
    for (column, sent) in expected.iter().zip(result) {
        if column.name != sent.column_name {
            return Err(Error::new(
                ErrorCode::SchemaMismatch,
                format!(
                    "the plan has a column '{}' where the result has '{}'; {CHANGED_SINCE}",
                    column.name, sent.column_name
                ),
            ));
        }
        if sent.is_encrypted() || !SqlType::of(&column.sql_type)?.is_carried_by(sent) {
            return Err(Error::new(
                ErrorCode::SchemaMismatch,
                format!(
                    "column '{}' is {} in the plan but arrives as {}; {CHANGED_SINCE}",
                    column.name,
                    column.sql_type,
                    wire::described(sent)
                ),
            ));
        }
    }
    Ok(())
}
