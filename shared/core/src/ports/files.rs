//! Encoding rows into the bytes of a part.

use crate::error::Result;
use crate::model::field_ids::FieldIds;
use crate::model::format::Format;
use crate::model::types::Column;

/// Makes encoders.
pub trait EncodeFiles {
    /// Rows in memory.
    type Batch;
    /// An encoder of one part, whose bytes go to an `S`.
    type Encoder<S: TakeBytes>: EncodePart<Self::Batch, S>;

    /// Makes an encoder for batches with these columns, which have these ids in file formats that know ids.
    ///
    /// Errors: `UnsupportedType` or `InvalidInput`, with what to change, when the format cannot hold the columns.
    fn encoder<S: TakeBytes>(
        &self,
        columns: &[Column],
        ids: &FieldIds,
        format: &Format,
        bytes: S,
    ) -> Result<Self::Encoder<S>>;
}

/// Encodes the rows of one slice.
pub trait EncodePart<B, S>: Send + 'static {
    /// Encodes one batch. Bytes that are final go on at once.
    ///
    /// Errors: `InvalidInput` when the format cannot hold a value, `Internal` when the columns of the batch are not the
    /// encoder's, and those of [`TakeBytes`].
    fn write(&mut self, batch: &B) -> Result<()>;

    /// Ends the part.
    ///
    /// Errors: `Internal` when the part does not hold the rows written to it, and those of [`TakeBytes`].
    fn finish(self) -> Result<EncodedPart<S>>;
}

/// What an encoder leaves when it is finished.
#[derive(Debug, PartialEq, Eq)]
pub struct EncodedPart<S> {
    /// The number of rows in the part: as its footer says, or as lines were written.
    pub rows: u64,
    /// Where the bytes of the part went.
    pub bytes: S,
}

/// Takes the bytes of a part, in order. They are written to where they stay, so that they are not copied once more.
pub trait TakeBytes: Send + 'static {
    /// Returns the buffer to whose end the next bytes are written. What is in it already stays.
    fn buffer(&mut self) -> &mut Vec<u8>;

    /// Passes on what the buffer has, if that is enough. It is called after every few kilobytes.
    ///
    /// Errors: those of whoever takes the bytes.
    fn pass_on(&mut self) -> Result<()>;
}

/// A part in memory.
impl TakeBytes for Vec<u8> {
    fn buffer(&mut self) -> &mut Vec<u8> {
        self
    }

    fn pass_on(&mut self) -> Result<()> {
        Ok(())
    }
}
