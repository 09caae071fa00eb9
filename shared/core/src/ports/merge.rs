//! Merging the rows of a slice into a table of another database.

use crate::error::{Answer, Error, ErrorCode};
use crate::model::names::{Identifier, ObjectName};
use crate::model::sink::SqlServerSink;
use crate::model::types::Column;

/// This is a slice on its way into a table.
#[derive(Debug, Clone, Copy)]
pub struct SliceToMerge<'a> {
    /// This is the source table.
    pub source: &'a ObjectName,
    /// This is the database and the table, as the event names them.
    pub sink: &'a SqlServerSink,
    /// The columns; every digit is held.
    pub columns: &'a [Column],
    /// This says which of two rows with the same keys is the newer one.
    pub newest: Newest<'a>,
}

/// This says which of two rows with the same keys is the newer one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Newest<'a> {
    /// That with the greater watermark, in this column; it is among the table's columns.
    Watermark(&'a Identifier),
    /// That with the greater version of change tracking; rows may be deletions. The last two columns are the version and the
    /// operation.
    Version,
}

/// Opens a place for the rows of a slice beside the table they are merged into.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait MergeRows {
    /// This says what rows come as.
    type Batch;
    /// This is the place.
    type Staged: StagedRows<Self::Batch>;

    /// Checks that the rows can be merged, and makes a place for them. Nothing of the table is changed.
    ///
    /// Fails with `InvalidConfig` when the sink's secret is none that the deployment names, with `SchemaMismatch`, naming column
    /// and types, when a value could not arrive as it is, and with `InvalidInput` when nothing says by which keys a row is found
    /// again.
    async fn stage(&self, slice: &SliceToMerge<'_>) -> Answer<Self::Staged>;
}

/// These are rows of a slice beside their table. Released or dropped, they are gone, and the lock with them.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait StagedRows<B> {
    /// Takes rows, and says how many.
    async fn load(&mut self, batch: B) -> Answer<u64>;

    /// Waits until no other slice is being merged into the table, and keeps others from it until this is released or
    /// dropped.
    async fn lock(&mut self) -> Answer<()>;

    /// Merges all rows, or none. What the table has with a greater watermark stays, and repeating it changes nothing.
    async fn merge(&mut self) -> Answer<Merged>;

    /// Ends what went well, so that the next slice can use what this one needed.
    async fn release(self);
}

/// This says what a merge did to the table. A procedure does not say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Merged {
    /// This counts the rows updated, those that were equal included.
    pub updated: u64,
    /// This counts the rows inserted.
    pub inserted: u64,
    /// This counts the rows deleted.
    pub deleted: u64,
}

/// There is no database to merge into: every table goes to files.
#[derive(Debug)]
pub struct NoSinks<B>(std::marker::PhantomData<B>);

impl<B> Default for NoSinks<B> {
    fn default() -> Self {
        Self(std::marker::PhantomData)
    }
}

/// These are rows that are never staged.
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
