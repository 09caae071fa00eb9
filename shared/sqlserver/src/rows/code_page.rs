//! Finds the code page of the varchar text of a collation, and decodes text in it.
//!
//! A SQL Server collation (`SQL_…`) has a sort id, which determines its code page. A Windows collation has the language
//! of its locale, and above it bits for the sort order, which do not affect the code page
//! (<https://learn.microsoft.com/en-us/sql/t-sql/statements/windows-collation-name-transact-sql>). Any other collation
//! has no code page here, because its text would have to be guessed.

use encoding_rs::Encoding;
use mssql_tds::datatypes::sql_string::{EncodingType, ResolvedEncoding};
use mssql_tds::token::tokens::SqlCollation;

use super::double_byte::Differences;

/// The lower 16 bits, which hold the language; the four bits above them hold the sort order.
const LANGUAGE: u32 = 0xFFFF;
/// The lower ten bits of a language, which name it without its region.
const WITHOUT_REGION: u32 = 0x3FF;
/// Vietnamese, whose code page no sort id has.
const VIETNAMESE: u32 = 0x042A;

/// A code page of Windows.
#[derive(Debug, Clone, Copy)]
pub struct CodePage {
    encoding: ResolvedEncoding,
    differences: Option<&'static Differences>,
}

impl CodePage {
    /// Returns the code page of the varchar text of a collation, or `None` when it is not known.
    pub fn of(collation: SqlCollation) -> Option<Self> {
        let encoding = encoding(collation)?;
        let differences = encoding.as_encoding_rs().and_then(Differences::of);
        Some(Self { encoding, differences })
    }

    /// Appends `bytes` as UTF-8. Returns `true` when something was malformed and replaced.
    pub fn append(self, out: &mut Vec<u8>, bytes: &[u8]) -> bool {
        let append = |out: &mut Vec<u8>, bytes: &[u8]| {
            let (text, was_malformed) = self.encoding.decode_without_bom_handling(bytes);
            out.extend_from_slice(text.as_bytes());
            was_malformed
        };
        match self.differences {
            Some(differences) => differences.append(out, bytes, append),
            None => append(out, bytes),
        }
    }
}

/// Returns the encoding of the varchar text of a collation, or `None` when it is not known.
fn encoding(collation: SqlCollation) -> Option<ResolvedEncoding> {
    if collation.utf8() {
        return Some(encoding_rs::UTF_8.into());
    }
    if collation.sort_id > 0 {
        return by_sort_id(collation);
    }
    of_language(collation.info & LANGUAGE).map(ResolvedEncoding::from)
}

/// Looks a sort id up in the driver's table. Where the table has no entry, the driver takes the language instead; the
/// language given to it is Vietnamese, so a Vietnamese answer means that the sort id is unknown.
fn by_sort_id(collation: SqlCollation) -> Option<ResolvedEncoding> {
    let known = SqlCollation {
        info: VIETNAMESE,
        ..collation
    };
    let resolved = EncodingType::LcidBased(known).resolved_encoding()?;
    let is_unknown = resolved.as_encoding_rs() == Some(encoding_rs::WINDOWS_1258);
    (!is_unknown).then_some(resolved)
}

/// Returns the ANSI code page of a Windows language. Languages that Windows supports in Unicode only have no code page,
/// and SQL Server has no varchar in them.
fn of_language(language: u32) -> Option<&'static Encoding> {
    Some(match language {
        // Chinese: simplified, then traditional.
        0x0804 | 0x1004 => encoding_rs::GBK,
        0x0404 | 0x0C04 | 0x1404 => encoding_rs::BIG5,
        // Languages that are written in two scripts: Serbian, Bosnian, Azeri and Uzbek in Cyrillic, then those in Latin
        // script whose code page is not that of their language family.
        0x0C1A | 0x1C1A | 0x201A | 0x281A | 0x301A | 0x082C | 0x0843 => encoding_rs::WINDOWS_1251,
        0x042C | 0x0443 => encoding_rs::WINDOWS_1254,
        0..=WITHOUT_REGION => return None,
        _ => of_language_without_region(language & WITHOUT_REGION)?,
    })
}

fn of_language_without_region(language: u32) -> Option<&'static Encoding> {
    Some(match language {
        // Danish, German, English, Spanish, Finnish, French, Icelandic, Italian, Dutch, Norwegian, Portuguese, Romansh,
        // Swedish, Indonesian, Basque, Sorbian, Georgian in the modern sort, Faroese, Sami, Malay, Swahili, Welsh,
        // Galician, Tamazight, Frisian, Filipino, Greenlandic, Mapudungan, Mohawk, Breton, Corsican.
        0x06
        | 0x07
        | 0x09..=0x0C
        | 0x0F
        | 0x10
        | 0x13
        | 0x14
        | 0x16
        | 0x17
        | 0x1D
        | 0x21
        | 0x2D
        | 0x2E
        | 0x37
        | 0x38
        | 0x3B
        | 0x3E
        | 0x41
        | 0x52
        | 0x56
        | 0x5F
        | 0x62
        | 0x64
        | 0x6F
        | 0x7A
        | 0x7C
        | 0x7E
        | 0x83 => encoding_rs::WINDOWS_1252,
        // Czech, Hungarian, Polish, Romanian, Croatian and its Latin relatives, Slovak, Albanian, Slovenian, Turkmen.
        0x05 | 0x0E | 0x15 | 0x18 | 0x1A | 0x1B | 0x1C | 0x24 | 0x42 => encoding_rs::WINDOWS_1250,
        // Bulgarian, Russian, Ukrainian, Belarusian, Macedonian, Kazakh, Kyrgyz, Tatar, Mongolian, Bashkir, Yakut.
        0x02 | 0x19 | 0x22 | 0x23 | 0x2F | 0x3F | 0x40 | 0x44 | 0x50 | 0x6D | 0x85 => encoding_rs::WINDOWS_1251,
        0x08 => encoding_rs::WINDOWS_1253,
        0x1F => encoding_rs::WINDOWS_1254,
        0x0D => encoding_rs::WINDOWS_1255,
        // Arabic, Urdu, Persian, Uighur, Dari.
        0x01 | 0x20 | 0x29 | 0x80 | 0x8C => encoding_rs::WINDOWS_1256,
        // Estonian, Latvian, Lithuanian.
        0x25..=0x27 => encoding_rs::WINDOWS_1257,
        0x2A => encoding_rs::WINDOWS_1258,
        0x1E => encoding_rs::WINDOWS_874,
        0x11 => encoding_rs::SHIFT_JIS,
        0x12 => encoding_rs::EUC_KR,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::digest::{Context, SHA256};

    use super::*;

    fn of(info: u32, sort_id: u8) -> Option<&'static str> {
        let collation = SqlCollation {
            info,
            lcid_language_id: 0,
            col_flags: (info >> 20) as u8,
            sort_id,
        };
        encoding(collation).map(|resolved| resolved.as_encoding_rs().map_or("OEM", Encoding::name))
    }

    /// Each documented Windows collation, by the bits of its locale and sort order.
    #[test]
    fn every_windows_collation_has_the_code_page_that_is_documented() {
        let pages: [(&str, &[u32]); 13] = [
            (
                "windows-1250",
                &[
                    0x0405, 0x040E, 0x1_040E, 0x0415, 0x0418, 0x041A, 0x041B, 0x041C, 0x0424, 0x0442, 0x081A, 0x141A,
                    0x241A,
                ],
            ),
            (
                "windows-1251",
                &[
                    0x0402, 0x0419, 0x0422, 0x0423, 0x042F, 0x043F, 0x0444, 0x046D, 0x0485, 0x082C, 0x0C1A, 0x201A,
                    0x281A,
                ],
            ),
            (
                "windows-1252",
                &[
                    0x0406, 0x1_0407, 0x0409, 0x040A, 0x0C0A, 0x040B, 0x040C, 0x040F, 0x0410, 0x0414, 0x0417, 0x041D,
                    0x042D, 0x042E, 0x1_0437, 0x043B, 0x083B, 0x0452, 0x0462, 0x047A, 0x047C, 0x047E, 0x0483, 0x085F,
                ],
            ),
            ("windows-1253", &[0x0408]),
            ("windows-1254", &[0x041F, 0x042C, 0x0443]),
            ("windows-1255", &[0x040D]),
            ("windows-1256", &[0x0401, 0x0420, 0x0429, 0x0480, 0x048C]),
            ("windows-1257", &[0x0425, 0x0426, 0x0427, 0x0827]),
            ("windows-1258", &[0x042A]),
            ("windows-874", &[0x041E]),
            ("Shift_JIS", &[0x0411, 0x1_0411, 0x4_0411]),
            ("EUC-KR", &[0x0412, 0x1_0412]),
            ("GBK", &[0x0804, 0x2_0804]),
        ];
        for (page, languages) in pages {
            for language in languages {
                assert_eq!(of(*language, 0), Some(page), "0x{language:05X}");
            }
        }
        for language in [0x0404, 0x3_0404, 0x0C04, 0x1404, 0x2_1404] {
            assert_eq!(of(language, 0), Some("Big5"), "0x{language:05X}");
        }
        // Collations for Unicode only, and numbers that are no collation.
        for language in [
            0x0439, 0x043A, 0x0445, 0x044D, 0x0451, 0x0453, 0x0454, 0x045A, 0x0461, 0x0463, 0x0465, 0x0481, 0, 9,
            0xFFFF,
        ] {
            assert_eq!(of(language, 0), None, "0x{language:05X}");
        }
    }

    /// Each sort id of the list of Microsoft's drivers, with 122 and 210 to 217, which SQL Server 2022 has besides, and each
    /// number that is none
    /// (<https://learn.microsoft.com/en-us/sql/t-sql/statements/sql-server-collation-name-transact-sql>).
    #[test]
    fn a_sort_id_stands_for_its_code_page_whatever_the_language() {
        let byte = |sort_id: u8, language: u32| {
            let page = page(language, sort_id);
            decoded(page, b"\xE0").unwrap_or_default()
        };
        for sort_id in 1..=255 {
            let expected = match sort_id {
                30..=34 | 40..=44 | 49 | 55..=61 => Some("OEM"),
                50..=54 | 71..=75 | 183..=186 | 210..=217 => Some("windows-1252"),
                80..=97 => Some("windows-1250"),
                104..=108 => Some("windows-1251"),
                112..=114 | 120..=122 | 124 => Some("windows-1253"),
                128..=130 => Some("windows-1254"),
                136..=138 => Some("windows-1255"),
                144..=146 => Some("windows-1256"),
                152..=160 => Some("windows-1257"),
                192 | 193 | 200 => Some("Shift_JIS"),
                194 | 195 | 201 => Some("EUC-KR"),
                196 | 197 | 202 => Some("Big5"),
                198 | 199 | 203 => Some("GBK"),
                204..=206 => Some("windows-874"),
                _ => None,
            };
            for language in [0x0409, 0x0411] {
                assert_eq!(of(language, sort_id), expected, "{sort_id}");
            }
            // Both are pages of OEM, and have other letters here.
            match sort_id {
                30..=34 => assert_eq!(byte(sort_id, 0x0409), "α", "{sort_id}"),
                40..=44 | 49 | 55..=61 => assert_eq!(byte(sort_id, 0x0409), "Ó", "{sort_id}"),
                _ => {}
            }
        }
    }

    #[test]
    fn a_utf8_collation_is_utf8_in_every_language() {
        let utf8 = 0x0400_0000;
        assert_eq!(of(utf8 | 0x0439, 0), Some("UTF-8"));
        assert_eq!(of(utf8 | 0x0409, 0), Some("UTF-8"));
    }

    /// Returns the text of some bytes, or `None` when anything in them is malformed.
    fn decoded(page: CodePage, bytes: &[u8]) -> Option<String> {
        let mut out = Vec::new();
        let was_malformed = page.append(&mut out, bytes);
        (!was_malformed).then(|| String::from_utf8(out).unwrap())
    }

    fn page(info: u32, sort_id: u8) -> CodePage {
        let collation = SqlCollation {
            info,
            lcid_language_id: 0,
            col_flags: 0,
            sort_id,
        };
        CodePage::of(collation).unwrap()
    }

    /// The hashes were made of the codecs of Python (cp1250 to cp1258, cp874, cp437, cp850, cp932, gb18030, cp949, cp950),
    /// with what Windows has beyond them: the control characters of undefined bytes below A0, U+05BA for CA in 1255, the
    /// ranges for private use in 949 and 950, and for 19 pairs of 936 the characters of the present GB18030.
    #[test]
    fn every_byte_and_every_pair_of_bytes_is_what_windows_has_for_it() {
        for (number, info, sort_id, expected) in [
            (1250, 0x0405, 0, "a4414d201d265144449f2d8cfea0b5ff"),
            (1251, 0x0419, 0, "96ea5bfd5def6782458f79bdffeb4182"),
            (1252, 0x0409, 0, "8c7771ef9eb6dd8b22862a2069ab93e1"),
            (1253, 0x0408, 0, "71e3351e8b4278d42887eb4cd577a23f"),
            (1254, 0x041F, 0, "7e5927846f5e366569ea91ceb70bd9f9"),
            (1255, 0x040D, 0, "d094b9b9136e3455578541f57f74274e"),
            (1256, 0x0401, 0, "b9e810b9136bafde152b69dc0af276a5"),
            (1257, 0x0425, 0, "c777c9ff8b04592a38d23f82618ab590"),
            (1258, 0x042A, 0, "5d1ad664fd04da33d409d909a226b685"),
            (874, 0x041E, 0, "0a1aec48ea856fa651ea3ef6c32c4963"),
            (437, 0x0409, 30, "3451d28088ef77385e0dfe8839be40db"),
            (850, 0x0409, 40, "ae2aff5778792a119e8e581276048df3"),
            (932, 0x0411, 0, "a7dee26fee164c5d473d98b1eef66f3c"),
            (936, 0x0804, 0, "2a8a36fc914824eac594d5e4b08a749f"),
            (949, 0x0412, 0, "1ee737caf59c2c46ff8bf60abfd12a29"),
            (950, 0x0404, 0, "a80ccc5922ab1a3e6aa8f276629d54fe"),
        ] {
            let page = page(info, sort_id);
            let mut known = Context::new(&SHA256);
            let mut add = |bytes: &[u8]| {
                for byte in bytes {
                    known.update(format!("{byte:02x}").as_bytes());
                }
                let text = decoded(page, bytes);
                known.update(format!(":{}\n", text.as_deref().unwrap_or("-")).as_bytes());
            };
            (0..=0xFF).for_each(|byte| add(&[byte]));
            if matches!(number, 932 | 936 | 949 | 950) {
                (0x80..=0xFF).for_each(|lead| (0..=0xFF).for_each(|trail| add(&[lead, trail])));
            }
            let hash: Vec<String> = known
                .finish()
                .as_ref()
                .iter()
                .map(|byte| format!("{byte:02x}"))
                .collect();
            assert_eq!(&hash.concat()[..32], expected, "code page {number}");
        }
    }

    #[test]
    fn characters_of_users_stay_apart_from_those_around_them() {
        let big5 = page(0x0404, 0);
        let text = b"a\xFA\x40\xF9\xFEb\xA4\x40\xC6\xA1\x81\x40";
        assert_eq!(
            decoded(big5, text).as_deref(),
            Some("a\u{E000}\u{2593}b\u{4E00}\u{F6B1}\u{EEB8}")
        );
        assert_eq!(decoded(big5, b"\xA3\xC0"), None, "a picture of a control character");
        assert_eq!(decoded(big5, b"\xA4"), None, "half a character");
        // The encoding of the web reads U+0080 here.
        let mut out = Vec::new();
        assert!(page(0x0804, 0).append(&mut out, b"\x81\x30\x81\x30"));
        assert_eq!(String::from_utf8(out).unwrap(), "\u{FFFD}0\u{FFFD}0");
    }
}
