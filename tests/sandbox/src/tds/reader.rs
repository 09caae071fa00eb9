//! Reading little-endian fields of a message.

use crate::error::{SqlError, SqlResult};
use crate::value::text;

/// A position in a payload.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

/// 4002, the payload is not what the protocol says.
pub fn incorrect() -> SqlError {
    SqlError::of(4002, &[])
}

impl<'a> Reader<'a> {
    /// A reader of a payload.
    pub fn new(payload: &'a [u8]) -> Self {
        Reader { rest: payload }
    }

    /// Whether all has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The bytes not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// The next byte, not taken.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Some bytes.
    ///
    /// # Errors
    /// 4002 if there are fewer.
    pub fn bytes(&mut self, count: usize) -> SqlResult<&'a [u8]> {
        if count > self.rest.len() {
            return Err(incorrect());
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> SqlResult<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| incorrect())
    }

    /// One byte.
    ///
    /// # Errors
    /// 4002 at the end, as all readers.
    pub fn u8(&mut self) -> SqlResult<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Two bytes.
    ///
    /// # Errors
    /// 4002 at the end.
    pub fn u16(&mut self) -> SqlResult<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Four bytes.
    ///
    /// # Errors
    /// 4002 at the end.
    pub fn u32(&mut self) -> SqlResult<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Eight bytes.
    ///
    /// # Errors
    /// 4002 at the end.
    pub fn u64(&mut self) -> SqlResult<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Some characters of UTF-16.
    ///
    /// # Errors
    /// 4002 at the end.
    pub fn utf16(&mut self, characters: usize) -> SqlResult<String> {
        Ok(text::from_utf16(self.bytes(characters * 2)?))
    }

    /// Text with a length byte.
    ///
    /// # Errors
    /// 4002 at the end.
    pub fn b_varchar(&mut self) -> SqlResult<String> {
        let count = usize::from(self.u8()?);
        self.utf16(count)
    }

    /// Text with a two-byte length.
    ///
    /// # Errors
    /// 4002 at the end.
    pub fn us_varchar(&mut self) -> SqlResult<String> {
        let count = usize::from(self.u16()?);
        self.utf16(count)
    }

    /// Skips ALL_HEADERS.
    ///
    /// # Errors
    /// 4002 if its length is wrong.
    pub fn all_headers(&mut self) -> SqlResult<()> {
        let total = usize::try_from(self.u32()?).map_err(|_| incorrect())?;
        self.bytes(total.checked_sub(4).ok_or_else(incorrect)?)?;
        Ok(())
    }
}
