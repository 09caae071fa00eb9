//! The reader of a message's fields, which are little-endian.

use std::fmt;

use crate::tokens::from_utf16;

/// The error of a payload that is not what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a message is not what the protocol says")
    }
}

impl std::error::Error for Malformed {}

/// The result of reading.
pub type Read<T> = Result<T, Malformed>;

/// A position in a payload.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Makes a reader of a payload.
    pub fn new(payload: &'a [u8]) -> Self {
        Reader { rest: payload }
    }

    /// Returns whether everything has been read.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the bytes that are not read yet.
    pub fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Returns the next byte without taking it.
    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    /// Takes `count` bytes.
    ///
    /// Fails with [`Malformed`] if there are fewer.
    pub fn bytes(&mut self, count: usize) -> Read<&'a [u8]> {
        if count > self.rest.len() {
            return Err(Malformed);
        }
        let (head, tail) = self.rest.split_at(count);
        self.rest = tail;
        Ok(head)
    }

    fn array<const N: usize>(&mut self) -> Read<[u8; N]> {
        self.bytes(N)?.try_into().map_err(|_| Malformed)
    }

    /// Takes one byte.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn u8(&mut self) -> Read<u8> {
        Ok(self.array::<1>()?[0])
    }

    /// Takes a number of two bytes.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn u16(&mut self) -> Read<u16> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// Takes a number of four bytes.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn u32(&mut self) -> Read<u32> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Takes a number of eight bytes.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn u64(&mut self) -> Read<u64> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Takes `characters` code units of UTF-16.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn utf16(&mut self, characters: usize) -> Read<String> {
        Ok(from_utf16(self.bytes(characters * 2)?))
    }

    /// Takes text with a length byte.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn b_varchar(&mut self) -> Read<String> {
        let count = usize::from(self.u8()?);
        self.utf16(count)
    }

    /// Takes text with a two-byte length.
    ///
    /// Fails with [`Malformed`] at the end.
    pub fn us_varchar(&mut self) -> Read<String> {
        let count = usize::from(self.u16()?);
        self.utf16(count)
    }

    /// Skips ALL_HEADERS.
    ///
    /// Fails with [`Malformed`] if its length is wrong.
    pub fn all_headers(&mut self) -> Read<()> {
        let total = usize::try_from(self.u32()?).map_err(|_| Malformed)?;
        self.bytes(total.checked_sub(4).ok_or(Malformed)?)?;
        Ok(())
    }
}
