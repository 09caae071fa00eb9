//! Asking the source about a table: everything but its rows.

use crate::error::Result;
use crate::identifier::Identifier;
use crate::identifier::ObjectName;
use crate::query::Query;
use crate::table::Clock;
use crate::types::Column;
use crate::watermark::Watermark;

/// How far the source has grown.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Growth {
    /// The greatest watermark, not above the server's clock for time columns; `None` for an empty table or only NULLs.
    /// For a rowversion the lowest one still in use, `Greater` only if the table has rows below it.
    pub maximum: Option<Maximum>,
    /// Rows stamped later than the server's clock; 0 for columns that are no time.
    pub future_rows: u64,
    /// Rows whose watermark is NULL.
    pub null_rows: u64,
    /// Whether a transaction that is still open holds the bound back; always false where the server does not know.
    pub held_back: bool,
}

/// The greatest watermark and how it compares, on the server, with the old one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Maximum {
    /// The value.
    pub watermark: Watermark,
    /// Greater: the table has grown. Less: the source was restored, reseeded or replaced.
    pub ordering: std::cmp::Ordering,
}

/// The watermark column of a table, as the lookup asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WatermarkColumn<'a> {
    /// The table.
    pub table: &'a ObjectName,
    /// The column's name.
    pub name: &'a Identifier,
    /// The column's declaration.
    pub column: &'a Column,
    /// The clock that bounds it.
    pub clock: Clock,
}

/// Probing a table before its window is planned.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ProbeSource {
    /// The columns of the table in its order, or only those named. Fails with `SourceRejected` when there is no such table and with
    /// `UnsupportedType` when a column, named, has a type Tidemark does not know.
    async fn columns(&self, table: &ObjectName, only: Option<&[&Identifier]>) -> Result<Vec<DeclaredColumn>>;
    /// How far the table has grown since `old`.
    async fn growth(&self, column: &WatermarkColumn<'_>, old: Option<&Watermark>) -> Result<Growth>;
}

/// A column as the server describes it, of a type Tidemark knows or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredColumn {
    /// The name as the server spells it.
    pub name: String,
    /// The type, or the server's name of a type that has no exact form in a file.
    pub sql_type: std::result::Result<crate::types::SqlType, String>,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// Counting a window again when it commits.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CountSource {
    /// The number a counting query answers.
    async fn count(&self, query: &Query) -> Result<u64>;
}
