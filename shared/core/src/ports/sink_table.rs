//! Merging the rows of a slice into a table of another database.

use crate::error::{Answer, Error, ErrorCode};
use crate::model::names::{Identifier, ObjectName};
use crate::model::sink::SqlServerSink;
use crate::model::types::Column;

/// A slice on its way into a table.
#[derive(Debug, Clone, Copy)]
pub struct SliceToMerge<'a> {
    /// The source table.
    pub source: &'a ObjectName,
    /// The database and the table, as the event names them.
    pub sink: &'a SqlServerSink,
    /// The columns. Their forms hold every digit.
    pub columns: &'a [Column],
    /// How the newer of two rows with the same keys is found.
    pub newest: Newest<'a>,
}

/// How the newer of two rows with the same keys is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest<'a> {
    /// The row with the greater watermark is the newer one. The watermark is in this column, which is among the columns
    /// of the slice.
    Watermark(&'a Identifier),
    /// The row with the greater version of change tracking is the newer one, and rows may be deletions. The last two
    /// columns are the version and the operation.
    Version,
}

/// Opens a place for the rows of a slice beside the table that they are merged into.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait MergeRows {
    /// Rows in memory.
    type Batch;
    /// The place beside the table.
    type Staged: StagedRows<Self::Batch>;

    /// Checks that the rows can be merged, and makes a place for them. Nothing in the table changes.
    ///
    /// Fails with `InvalidConfig` when the sink's secret is not one that the deployment names; with `SchemaMismatch`,
    /// naming column and types, when a value could not arrive as it is; and with `InvalidInput` when nothing says by
    /// which keys a row is found again.
    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<Self::Staged>;
}

/// Rows of a slice beside their table. When they are released or dropped, they are gone, and so is the lock.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait StagedRows<B> {
    /// Takes a batch of rows, and returns how many rows it had.
    async fn load(&mut self, batch: B) -> Answer<u64>;

    /// Waits until no other slice is being merged into the table, and keeps others from merging until this is released
    /// or dropped.
    async fn lock(&mut self) -> Answer<()>;

    /// Merges all rows, or none. A row that the table has with a greater watermark stays as it is, and repeating the
    /// merge changes nothing.
    async fn merge(&mut self) -> Answer<Merged>;

    /// Ends a merge that succeeded, so that the next slice can use its connection.
    async fn release(self);
}

/// What a merge did to the table. All counts are zero when a procedure did the merge, because it does not tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// The number of rows updated, including those that were equal.
    pub updated: u64,
    /// The number of rows inserted.
    pub inserted: u64,
    /// The number of rows deleted.
    pub deleted: u64,
}

/// The absence of databases to merge into: every table goes to files.
#[derive(Debug)]
pub struct NoSinks<B>(std::marker::PhantomData<B>);

impl<B> Default for NoSinks<B> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// Rows that are never staged: this type has no value.
#[derive(Debug)]
pub enum NeverStaged {}

impl<B> MergeRows for NoSinks<B> {
    type Batch = B;
    type Staged = NeverStaged;

    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<NeverStaged> {
        let message = format!(
            "{} has a sink, and nothing is merged here: copy it into files",
            slice.source
        );
        Err(Error::new(ErrorCode::InvalidConfig, message).into())
    }
}

impl<B> StagedRows<B> for NeverStaged {
    async fn load(&mut self, _batch: B) -> Answer<u64> {
        match *self {}
    }

    async fn lock(&mut self) -> Answer<()> {
        match *self {}
    }

    async fn merge(&mut self) -> Answer<Merged> {
        match *self {}
    }

    async fn release(self) {
        match self {}
    }
}
