//! Reading the rows of a slice.

use crate::error::Answer;
use crate::model::malformed::MalformedTexts;
use crate::model::rows::Rows;
use crate::model::types::Column;

/// Takes batches of rows in the order they were read.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait TakeBatches<B> {
    /// Takes one batch; waits while there is no room for it. An error ends the reading.
    async fn take(&mut self, batch: B) -> Answer<()>;
}

/// This says what became of a reading that came to its end.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RowsRead {
    /// This says how many rows were read.
    pub rows: u64,
    /// These are the texts in which something was replaced, because it could not be decoded.
    pub malformed_texts: MalformedTexts,
    /// This is the [name](crate::model::record::Record::mask_key) of the key by which columns were hashed. It is none where no column is.
    pub mask_key: Option<String>,
}

impl RowsRead {
    /// Returns that so many rows were read, whose texts are all what their columns say.
    #[must_use]
    pub fn sound(rows: u64) -> Self {
        Self {
            rows,
            ..Self::default()
        }
    }
}

/// This streams rows of the source.
#[expect(async_fn_in_trait, reason = "the callers are generic and in this workspace")]
pub trait ReadRows {
    /// These are rows in memory, a bounded number of them.
    type Batch: Send + 'static;

    /// Reads `rows` with these columns, in this order, each value held in its column's form, and hands them on in batches that
    /// are bounded in rows and bytes. Returns how many rows were read, and which texts could not be decoded.
    ///
    /// Changes are read only while the source has all of them: that is asked before the first row and after the last, and where
    /// the database allows it, all of it is one snapshot. Fails with `ChangeTrackingInvalid` when they may be incomplete, and
    /// with `SchemaMismatch`, before any batch is handed on, when the source does not have these columns.
    async fn read<T: TakeBatches<Self::Batch>>(
        &mut self,
        rows: &Rows<'_>,
        columns: &[Column],
        batches: &mut T,
    ) -> Answer<RowsRead>;
}

/// This says what would be asked for.
pub trait ExplainRows {
    /// Returns the statement by which `rows` with these columns would be read.
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained>;
}

impl<T: ExplainRows> ExplainRows for &T {
    fn explain(&self, rows: &Rows<'_>, columns: &[Column]) -> Answer<Explained> {
        (**self).explain(rows, columns)
    }
}

/// This is a statement that would be run, for people to read. Nothing that is written so is ever read back.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Explained {
    /// This is the statement.
    pub sql: String,
    /// These are the values of its parameters, in order.
    pub parameters: Vec<String>,
}
