//! Converts character values of the wire to UTF-8.
//!
//! Malformed text causes neither an error nor a panic: SQL Server stores lone surrogates and undefined bytes of a code
//! page without complaint, and one such value must not block a table. Each malformed piece becomes U+FFFD, and the
//! values with such pieces are counted.

use mssql_tds::datatypes::sql_string::EncodingType;
use mssql_tds::token::tokens::SqlCollation;

use super::code_page::CodePage;

/// The text that stands for what is malformed: U+FFFD.
const REPLACEMENT: &str = "\u{FFFD}";

/// The error for text in a collation whose code page is not known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownCodePage {
    /// The collation of the text.
    pub collation: SqlCollation,
}

/// The encoding of a column's text. It is looked up when the collation changes, so once for a column.
#[derive(Debug, Default)]
pub struct WireText {
    known: Option<(SqlCollation, CodePage)>,
}

/// The way to decode a value.
#[derive(Debug, Clone, Copy)]
pub enum Decoding {
    Utf16,
    Utf8,
    /// The bytes are already UTF-8.
    AsIs,
    CodePage(CodePage),
}

impl WireText {
    /// Determines how `bytes` of this encoding are decoded.
    pub fn decoding(&mut self, bytes: &[u8], encoding: EncodingType) -> Result<Decoding, UnknownCodePage> {
        Ok(match encoding {
            EncodingType::Utf16 => Decoding::Utf16,
            EncodingType::Utf8 | EncodingType::DelayedSet => Decoding::Utf8,
            // Every code page of SQL Server is ASCII in its lower half.
            EncodingType::LcidBased(_) if bytes.is_ascii() => Decoding::AsIs,
            EncodingType::LcidBased(collation) => Decoding::CodePage(self.page(collation)?),
        })
    }

    fn page(&mut self, collation: SqlCollation) -> Result<CodePage, UnknownCodePage> {
        match self.known {
            Some((known, page)) if known == collation => Ok(page),
            _ => {
                let page = CodePage::of(collation).ok_or(UnknownCodePage { collation })?;
                self.known = Some((collation, page));
                Ok(page)
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
            Self::CodePage(page) => page.append(out, bytes),
        }
    }
}

fn utf8(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut was_malformed = false;
    for chunk in bytes.utf8_chunks() {
        out.extend_from_slice(chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(REPLACEMENT.as_bytes());
            was_malformed = true;
        }
    }
    was_malformed
}

/// The units that are decoded one by one before a group of ASCII is looked for again.
const SINGLE_UNITS: usize = 4;

/// Appends UTF-16LE text and returns whether something malformed was replaced. Most text is ASCII, which is taken in
/// groups. The crates that convert UTF-16 by SIMD want aligned units, so the bytes would be copied first.
fn utf16(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let (mut units, half_unit) = bytes.as_chunks::<2>();
    out.reserve(units.len());
    let mut was_malformed = false;
    while !units.is_empty() {
        while let Some((group, rest)) = units.split_first_chunk::<16>()
            && let Some(text) = ascii(group)
        {
            out.extend_from_slice(&text);
            units = rest;
        }
        if let Some((group, rest)) = units.split_first_chunk::<8>()
            && let Some(text) = ascii(group)
        {
            out.extend_from_slice(&text);
            units = rest;
        }
        if let Some((group, rest)) = units.split_first_chunk::<4>()
            && let Some(text) = ascii(group)
        {
            out.extend_from_slice(&text);
            units = rest;
        }
        for _ in 0..SINGLE_UNITS.min(units.len()) {
            let Some((unit, rest)) = units.split_first() else { break };
            let unit = u16::from_le_bytes(*unit);
            if let Ok(ascii @ ..0x80) = u8::try_from(unit) {
                out.push(ascii);
                units = rest;
                continue;
            }
            let next = units.iter().take(2).map(|unit| u16::from_le_bytes(*unit));
            let character = match char::from_u32(unit.into())
                .map(Ok)
                .or_else(|| char::decode_utf16(next).next())
            {
                Some(Ok(character)) => character,
                Some(Err(_)) | None => {
                    was_malformed = true;
                    char::REPLACEMENT_CHARACTER
                }
            };
            out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            units = &units[character.len_utf16()..];
        }
    }
    if !half_unit.is_empty() {
        out.extend_from_slice(REPLACEMENT.as_bytes());
        was_malformed = true;
    }
    was_malformed
}

/// Returns the text of units that are all ASCII, and `None` for others.
#[inline]
fn ascii<const N: usize>(units: &[[u8; 2]; N]) -> Option<[u8; N]> {
    let (mut all, mut text) = (0, [0; N]);
    // With iterators the compiler makes code that takes twice as long.
    for index in 0..N {
        let unit = u16::from_le_bytes(units[index]);
        all |= unit;
        text[index] = unit.to_le_bytes()[0];
    }
    (all < 0x80).then_some(text)
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
    fn characters_and_halves_of_pairs_are_decoded_wherever_a_group_ends() {
        for before in 0..=33 {
            for units in [
                vec![0xD83D, 0xDE00],
                vec![0xD83D],
                vec![0xDE00],
                vec![0xE9],
                vec![0x4E2D],
            ] {
                for after in 0..33 {
                    let ascii = |count| std::iter::repeat_n(u16::from(b'a'), count);
                    let units: Vec<u16> = ascii(before).chain(units.iter().copied()).chain(ascii(after)).collect();
                    let (text, was_malformed) = decoded(&utf16_bytes(units.iter().copied()), EncodingType::Utf16);
                    assert_eq!(text, String::from_utf16_lossy(&units));
                    assert_eq!(was_malformed, String::from_utf16(&units).is_err());
                }
            }
        }
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
