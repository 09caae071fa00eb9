//! Encoding rows into the bytes of a part.

use crate::error::Result;
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::types::Column;

/// This makes encoders.
pub trait EncodeFiles {
    /// This says what rows come as.
    type Batch;
    /// This is an encoder of one part.
    type Encoder: EncodePart<Self::Batch>;

    /// Returns an encoder for batches with these columns, which have these ids in files that know ids.
    ///
    /// Errors: `UnsupportedType` or `InvalidInput` when the format cannot hold them, with what to change.
    fn encoder(&self, columns: &[Column], ids: &FieldIds, format: &Format) -> Result<Self::Encoder>;
}

/// This encodes the rows of one slice. Where the bytes go is not its business.
pub trait EncodePart<B>: Send + 'static {
    /// Encodes one batch.
    ///
    /// Errors: `InvalidInput` when the format cannot hold a value, `Internal` when the batch is not of the encoder's columns.
    fn write(&mut self, batch: &B) -> Result<()>;

    /// Returns how many bytes [`drain`](Self::drain) would give.
    fn pending(&self) -> usize;

    /// Gives the bytes that are final so far, in order, and forgets them.
    fn drain<T>(&mut self, take: impl FnOnce(&[u8]) -> T) -> T;

    /// Ends the part.
    ///
    /// Errors: `Internal` when the part does not hold the rows written to it.
    fn finish(self) -> Result<EncodedPart>;
}

/// This says what an encoder leaves when it is finished.
#[derive(Debug, PartialEq, Eq)]
pub struct EncodedPart {
    /// These are the bytes that were not drained yet; the end of the part.
    pub bytes: Vec<u8>,
    /// These are the rows in the part: as its footer says, or as lines written.
    pub rows: u64,
}
