//! Asking the source about a table: everything but its rows.

use crate::error::Result;
use crate::identifier::Identifier;
use crate::identifier::ObjectName;
use crate::predicate::Predicate;
use crate::query::slices::{KeyRange, KeyedRows};
use crate::query::{Interval, Query};
use crate::table::Clock;
use crate::types::{Column, SqlType};
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
    /// Which rows are copied; only these are counted.
    pub filter: Option<&'a Predicate>,
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
    pub sql_type: std::result::Result<SqlType, String>,
    /// Whether NULL is allowed.
    pub nullable: bool,
}

/// How large a table is, roughly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Its rows.
    pub rows: u64,
    /// The bytes it takes on the server.
    pub bytes: u64,
}

/// A column with which an index begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeadingColumn {
    /// Its name as the server spells it.
    pub name: String,
    /// Whether the index is the clustered one or the primary key, which every row is in.
    pub is_key: bool,
}

/// The values of a column as the server's statistics have them, roughly, perhaps of long ago, or not at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Histogram {
    /// The rows the statistics were made of.
    pub rows: u64,
    /// The steps, in the order of the column's values.
    pub steps: Vec<Step>,
}

/// A step of a histogram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// The value it ends with.
    pub up_to: Watermark,
    /// The rows from the step before up to that value.
    pub rows: u64,
}

/// Cutting a large window into slices.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait SliceSource: CountSource {
    /// How large the table is. `None` when the server keeps no count, as of a view.
    async fn extent(&self, table: &ObjectName) -> Result<Option<Extent>>;
    /// The columns with which an index of the table begins, keys first.
    async fn leading_columns(&self, table: &ObjectName) -> Result<Vec<LeadingColumn>>;
    /// What the server knows of the values of `column`, of type `sql_type`, below a value if one is given. Empty when it
    /// knows nothing, or does not tell.
    async fn histogram(
        &self,
        table: &ObjectName,
        column: &Identifier,
        sql_type: SqlType,
        below: Option<&Watermark>,
    ) -> Result<Histogram>;
    /// The watermark of the `number`th row of the interval, from 1, in the watermark's order. `None` when it has fewer.
    async fn nth_watermark(&self, interval: &Interval<'_>, number: u64) -> Result<Option<Watermark>>;
    /// The key, a column of type `sql_type`, of the `number`th of `rows` in the range, from 1, in the key's order. `None`
    /// when there are fewer.
    async fn nth_key(
        &self,
        rows: &KeyedRows<'_>,
        range: &KeyRange<'_>,
        sql_type: SqlType,
        number: u64,
    ) -> Result<Option<Watermark>>;
}

/// Counting a window again when it commits.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait CountSource {
    /// The number a counting query answers.
    async fn count(&self, query: &Query) -> Result<u64>;
}
