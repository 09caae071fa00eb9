//! The staging table: as what a value travels.
//!
//! Its types are those of the source where a bulk load takes them as they are. Text is always `n` text, because a bulk load
//! does not say in which code page its bytes are. The legacy types and XML travel as the `(max)` type of their values, a
//! CLR type as its bytes, a row version as the eight bytes that it is; the merge converts them.

use super::sink_columns::Collation;
use crate::types::SqlType;

/// Returns the name of a column in the staging table.
pub(crate) fn staged_name(index: usize) -> String {
    format!("c{index}")
}

/// This is a column of the staging table, in the order of the slice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedColumn {
    /// This is the type in the staging table.
    pub sql_type: SqlType,
    /// This is the collation in the staging table, of text.
    pub collation: Option<Collation>,
}

impl StagedColumn {
    /// Makes a column for values of the source's type on their way into the sink's.
    pub(super) fn new(source: SqlType, sink: SqlType, collation: Option<Collation>) -> Self {
        let sql_type = source.staged_for(sink);
        Self {
            collation: collation.filter(|_| sql_type.is_text()),
            sql_type,
        }
    }
}
