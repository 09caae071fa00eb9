//! Reading the rows of a slice.

use crate::error::Answer;
use crate::model::malformed::MalformedTexts;
use crate::model::rows::Rows;
use crate::model::types::Column;

/// Takes batches of rows in the order they were read.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait TakeBatches<B> {
    /// Takes one batch, and waits while there is no room for it. An error ends the reading.
    async fn take(&mut self, batch: B) -> Answer<()>;

    /// Waits until no batch that was taken waits any more. A reader of large batches asks for that before it makes
    /// another one, so that fewer of them are in memory. Nothing waits where a batch is done with when it is taken.
    async fn catch_up(&mut self) -> Answer<()> {
        Ok(())
    }
}

/// What was read, when the reading came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowsRead {
    /// The number of rows that were read.
    pub rows: u64,
    /// The number of texts in which something was replaced, because it could not be decoded.
    pub malformed_texts: MalformedTexts,
    /// The [name](crate::model::record::Record::mask_key) of the key with which columns were hashed, or `None` when no
    /// column was.
    pub mask_key: Option<String>,
}

impl RowsRead {
    /// Makes the result for so many rows, all of whose texts could be decoded.
    #[must_use]
    pub fn sound(rows: u64) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }
}

/// Streams rows of the source.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadRows {
    /// A bounded number of rows in memory.
    type Batch: Send + 'static;

    /// Reads `rows` with these columns, in this order, each value held in its column's form, and hands them on in
    /// batches that are bounded in rows and bytes. Returns how many rows were read, and which texts could not be
    /// decoded.
    ///
    /// Changes are read only while the source has all of them: that is checked before the first row and after the last
    /// and, where the database allows it, everything is read in one snapshot. Fails with `ChangeTrackingInvalid` when
    /// changes may be incomplete, and with `SchemaMismatch`, before any batch is handed on, when the source does not
    /// have these columns.
    async fn read<T: TakeBatches<Self::Batch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<RowsRead>;
}

/// Shows the statements that would be run.
pub trait ExplainRows {
    /// Returns the statement by which `rows` with these columns would be read.
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained>;
}

impl<T: ExplainRows> ExplainRows for &T {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        (**self).explain(rows, columns)
    }
}

/// A statement that would be run, for people to read. It is never read back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explained {
    /// The text of the statement.
    pub sql: String,
    /// The values of its parameters, in order.
    pub parameters: Vec<String>,
}
