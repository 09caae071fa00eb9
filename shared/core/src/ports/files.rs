//! Encoding rows into the bytes of a part.

use crate::error::Result;
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::types::Column;

/// Makes encoders.
pub trait EncodeFiles {
    /// Rows in memory.
    type Batch;
    /// An encoder of one part.
    type Encoder: EncodePart<Self::Batch>;

    /// Makes an encoder for batches with these columns, which have these ids in file formats that know ids.
    ///
    /// Errors: `UnsupportedType` or `InvalidInput`, with what to change, when the format cannot hold the columns.
    fn encoder(&self, columns: &[Column], ids: &FieldIds, format: &Format) -> Result<Self::Encoder>;
}

/// Encodes the rows of one slice. It does not know where the bytes go.
pub trait EncodePart<B>: Send + 'static {
    /// Encodes one batch.
    ///
    /// Errors: `InvalidInput` when the format cannot hold a value, `Internal` when the columns of the batch are not the
    /// encoder's.
    fn write(&mut self, batch: &B) -> Result<()>;

    /// Returns how many bytes [`drain`](Self::drain) would give.
    fn pending(&self) -> usize;

    /// Passes the bytes that are final so far to `take`, in order, and forgets them.
    fn drain<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T;

    /// Ends the part.
    ///
    /// Errors: `Internal` when the part does not hold the rows written to it.
    fn finish(self) -> Result<EncodedPart>;
}

/// What an encoder leaves when it is finished.
#[derive(Debug, PartialEq, Eq)]
pub struct EncodedPart {
    /// The bytes that were not drained yet: the end of the part.
    pub bytes: Vec<u8>,
    /// The number of rows in the part: as its footer says, or as lines were written.
    pub rows: u64,
}
