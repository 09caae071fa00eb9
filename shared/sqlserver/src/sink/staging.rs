//! The staging table, and the types in which values are loaded into it.
//!
//! The types are those of the source if a bulk load takes them unchanged. Text always has an `n` type, because a bulk
//! load does not say which code page its bytes are in. The legacy types and XML are loaded as the `(max)` type of their
//! values, a CLR type as its bytes, and a row version as eight bytes. The merge converts them.

use super::sink_columns::Collation;
use crate::types::SqlType;

/// Returns the name of a column in the staging table.
pub(crate) fn staged_name(index: usize) -> String {
    format!("c{index}")
}

/// A column of the staging table, which has those of the slice in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedColumn {
    /// The type in the staging table.
    pub sql_type: SqlType,
    /// The collation in the staging table, for text.
    pub collation: Option<Collation>,
}

impl StagedColumn {
    /// Makes the column for values of the type `source` that go into a column of the type `sink`.
    pub(super) fn new(source: SqlType, sink: SqlType, collation: Option<Collation>) -> Self {
        let sql_type = source.staged_for(sink);
        Self {
            collation: collation.filter(|_| sql_type.is_text()),
            sql_type,
        }
    }
}
