//! Merging the rows of a slice into a table of another SQL Server database.

use arrow_array::RecordBatch;

use crate::error::Result;
use crate::identifier::ObjectName;
use crate::merging::Newest;
use crate::shape::Shape;
use crate::sink::SqlServerSink;

/// A slice on its way into a table.
#[derive(Debug, Clone, Copy)]
pub struct SliceToMerge<'a> {
    /// The source table.
    pub source: &'a ObjectName,
    /// The database and the table.
    pub sink: &'a SqlServerSink,
    /// The columns and how their values are held; every digit is ([`Shape::exact`]).
    pub shape: &'a Shape,
    /// Which of two rows with the same keys is the newer one.
    pub newest: Newest<'a>,
}

/// Opens a place for the rows of a slice beside the table they are merged into.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait MergeRows {
    /// The place.
    type Staged: StagedRows;

    /// Checks that the rows can be merged, and makes a place for them. Nothing of the table is changed.
    ///
    /// Fails with `SchemaMismatch`, naming column and types, when a value could not arrive as it is, and with `InvalidInput`
    /// when nothing says by which keys a row is found again.
    async fn stage(&self, slice: &SliceToMerge<'_>) -> Result<Self::Staged>;
}

/// Rows of a slice beside their table. Released or dropped, they are gone, and the lock with them.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait StagedRows {
    /// Takes rows.
    async fn load(&mut self, batch: &RecordBatch) -> Result<()>;

    /// Waits until no other slice is being merged into the table, and keeps others from it until this is released or
    /// dropped.
    async fn lock(&mut self) -> Result<()>;

    /// Merges all rows, or none. What the table has with a greater watermark stays, and repeating it changes nothing.
    async fn merge(&mut self) -> Result<Merged>;

    /// Ends what went well, so that the next slice can use what this one needed.
    async fn release(self);
}

/// What a merge did to the table. A procedure does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// Rows updated, those that were equal included.
    pub updated: u64,
    /// Rows inserted.
    pub inserted: u64,
    /// Rows deleted.
    pub deleted: u64,
}
