//! Converts character values of the wire to UTF-8.
//!
//! Malformed text causes neither an error nor a panic: SQL Server stores lone surrogates and undefined bytes of a code
//! page without complaint, and one such value must not block a table. Each malformed piece becomes U+FFFD, and the
//! values with such pieces are counted.

use mssql_tds::datatypes::sql_string::{EncodingType, ResolvedEncoding};
use mssql_tds::token::tokens::SqlCollation;

use super::code_page;

/// The error for text in a collation whose code page is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCodePage {
    /// The collation of the text.
    pub collation: SqlCollation,
}

/// The encoding of a column's text. It is looked up when the collation changes, so once for a column.
#[derive(Debug, Default)]
pub struct WireText {
    known: Option<(SqlCollation, ResolvedEncoding)>,
}

/// The way to decode a value.
#[derive(Debug, Clone, Copy)]
pub enum Decoding {
    Utf16,
    Utf8,
    /// The bytes are already UTF-8.
    AsIs,
    CodePage(ResolvedEncoding),
}

impl WireText {
    /// Determines how `bytes` of this encoding are decoded.
    pub fn decoding(&mut self, bytes: &[u8], encoding: EncodingType) -> Result<Decoding, UnknownCodePage> {
        Ok(match encoding {
            EncodingType::Utf16 => Decoding::Utf16,
            EncodingType::Utf8 | EncodingType::DelayedSet => Decoding::Utf8,
            // Every code page of SQL Server is ASCII in its lower half.
            EncodingType::LcidBased(_) if bytes.is_ascii() => Decoding::AsIs,
            EncodingType::LcidBased(collation) => Decoding::CodePage(self.resolved(collation)?),
        })
    }

    fn resolved(&mut self, collation: SqlCollation) -> Result<ResolvedEncoding, UnknownCodePage> {
        match self.known {
            Some((known, resolved)) if known == collation => Ok(resolved),
            _ => {
                let resolved = code_page::encoding(collation).ok_or(UnknownCodePage { collation })?;
                self.known = Some((collation, resolved));
                Ok(resolved)
            }
        }
    }
}

impl Decoding {
    /// Appends `bytes` as UTF-8. Returns `true` when something was malformed and replaced.
    pub fn append(self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        match self {
            Self::Utf16 => utf16(out, bytes),
            Self::Utf8 => utf8(out, bytes),
            Self::AsIs => {
                out.extend_from_slice(bytes);
                false
            }
            Self::CodePage(resolved) => {
                let (text, was_malformed) = resolved.decode_without_bom_handling(bytes);
                out.extend_from_slice(text.as_bytes());
                was_malformed
            }
        }
    }
}

fn utf8(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut was_malformed = false;
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice("\u{FFFD}".as_bytes());
            was_malformed = true;
        }
    }
    was_malformed
}

/// The number of UTF-16 units that are examined together.
const BLOCK_UNITS: usize = 64;

/// Appends UTF-16LE, which is mostly ASCII in practice: ASCII is converted a block at a time, in loops that the
/// compiler can vectorize.
fn utf16(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    out.reserve(bytes.len() / 2);
    let mut rest = bytes;
    let mut was_malformed = false;
    loop {
        let (units, _) = rest[..rest.len().min(2 * BLOCK_UNITS)].as_chunks::<2>();
        let ascii = ascii_units(units);
        out.extend(units[..ascii].iter().map(|unit| unit[0]));
        rest = &rest[2 * ascii..];
        if ascii == units.len() && !units.is_empty() {
            continue;
        }
        // Characters that are not ASCII usually follow one another: some letters of a word, or a whole text.
        loop {
            match next_scalar(rest) {
                Some((Ok(character), _)) if character.is_ascii() => break,
                Some((Ok(character), after)) => {
                    out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                    rest = after;
                }
                Some((Err(Malformed), after)) => {
                    out.extend_from_slice("\u{FFFD}".as_bytes());
                    was_malformed = true;
                    rest = after;
                }
                None => return was_malformed,
            }
        }
    }
}

/// Counts the ASCII units at the beginning.
#[inline]
fn ascii_units(units: &[[u8; 2]]) -> usize {
    let is_ascii = |unit: &[u8; 2]| u16::from_le_bytes(*unit) < 0x80;
    if units.iter().fold(0, |bits, unit| bits | u16::from_le_bytes(*unit)) < 0x80 {
        return units.len();
    }
    units.iter().position(|unit| !is_ascii(unit)).unwrap_or(units.len())
}

struct Malformed;

/// Returns the first character of UTF-16LE text and what follows it.
fn next_scalar(bytes: &[u8]) -> Option<(Result<char, Malformed>, &[u8])> {
    if bytes.is_empty() {
        return None;
    }
    let Some((unit, after)) = bytes.split_first_chunk::<2>() else {
        // One byte is left, which is half a unit.
        return Some((Err(Malformed), &[]));
    };
    let unit = u16::from_le_bytes(*unit);
    if let Some(character) = char::from_u32(unit.into()) {
        return Some((Ok(character), after));
    }
    if let Some((low, beyond)) = after.split_first_chunk::<2>() {
        let pair = [unit, u16::from_le_bytes(*low)];
        if let Some(Ok(character)) = char::decode_utf16(pair).next() {
            return Some((Ok(character), beyond));
        }
    }
    Some((Err(Malformed), after))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(bytes: &[u8], encoding: EncodingType) -> (String, bool) {
        let mut out = Vec::new();
        let decoding = WireText::default().decoding(bytes, encoding).unwrap();
        let was_malformed = decoding.append(&mut out, bytes);
        (String::from_utf8(out).unwrap(), was_malformed)
    }

    fn utf16_bytes(units: impl IntoIterator<Item = u16>) -> Vec<u8> {
        units.into_iter().flat_map(u16::to_le_bytes).collect()
    }

    #[test]
    fn lone_surrogates_and_half_units_are_replaced() {
        for (units, expected) in [
            (vec![0xD800], "\u{FFFD}"),
            (vec![0xDC00, 0x41], "\u{FFFD}A"),
            (vec![0xD83D, 0xD83D, 0xDE00], "\u{FFFD}😀"),
            (vec![0xD83D, 0x41], "\u{FFFD}A"),
        ] {
            assert_eq!(
                decoded(&utf16_bytes(units), EncodingType::Utf16),
                (expected.to_owned(), true)
            );
        }
        assert_eq!(decoded(b"A\0B", EncodingType::Utf16), ("A\u{FFFD}".to_owned(), true));
    }

    #[test]
    fn malformed_utf8_is_replaced() {
        assert_eq!(decoded(b"a\xFFb", EncodingType::Utf8), ("a\u{FFFD}b".to_owned(), true));
    }

    #[test]
    fn a_code_page_is_decoded_by_its_collation() {
        // Sort id 52 is SQL_Latin1_General_CP1_CI_AS (code page 1252), 105 is Cyrillic (1251).
        for (sort_id, expected) in [(52, "é"), (105, "й")] {
            let collation = SqlCollation {
                info: 0x0409,
                lcid_language_id: 0x0409,
                col_flags: 0,
                sort_id,
            };
            assert_eq!(
                decoded(b"\xE9", EncodingType::LcidBased(collation)),
                (expected.to_owned(), false)
            );
        }
    }

    proptest! {
        #[test]
        fn any_text_survives_utf16(text: String) {
            let bytes = utf16_bytes(text.encode_utf16());
            prop_assert_eq!(decoded(&bytes, EncodingType::Utf16), (text, false));
        }

        #[test]
        fn any_units_decode_as_the_standard_library_does(units: Vec<u16>) {
            let (text, was_malformed) = decoded(&utf16_bytes(units.iter().copied()), EncodingType::Utf16);
            prop_assert_eq!(text, String::from_utf16_lossy(&units));
            prop_assert_eq!(was_malformed, String::from_utf16(&units).is_err());
        }
    }
}
