//! Character data: code pages, the collation of names, lengths and cuts.

use std::cmp::Ordering;

use encoding_rs::{EUC_KR, Encoding, GBK, SHIFT_JIS, UTF_8, WINDOWS_1251, WINDOWS_1252};
use tidemark_tds::tokens::{from_utf16, utf16};

/// How the characters of a text become bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Code page 1252, that of the database
    Windows1252,
    /// Code page 1251
    Windows1251,
    /// Code page 936
    Gbk,
    /// Code page 932
    ShiftJis,
    /// Code page 949
    Korean,
    /// Code page 850
    Oem850,
    /// UTF-8
    Utf8,
    /// UTF-16, of the types that begin with `n`
    Utf16,
}

/// The characters of the upper half of code page 850.
const OEM_850: &str = "ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜø£Ø×ƒáíóúñÑªº¿®¬½¼¡«»░▒▓│┤ÁÂÀ©╣║╗╝¢¥┐└┴┬├─┼ãÃ╚╔╩╦╠═╬¤ðÐÊËÈıÍÎÏ┘┌█▄¦Ì▀ÓßÔÒõÕµþÞÚÛÙýÝ¯´\u{ad}±‗¾¶§÷¸°¨·¹³²■\u{a0}";

impl Page {
    /// Returns the code page of this number, or that of the database.
    pub fn of_code(code: i64) -> Page {
        use Page::*;
        let all = [Windows1252, Windows1251, Gbk, ShiftJis, Korean, Oem850, Utf8];
        let page = usize::try_from(code & 0xFF).ok().and_then(|at| all.get(at));
        *page.unwrap_or(&Windows1252)
    }

    fn encoding(self) -> Option<&'static Encoding> {
        let all = [WINDOWS_1252, WINDOWS_1251, GBK, SHIFT_JIS, EUC_KR];
        if self == Page::Utf8 {
            return Some(UTF_8);
        }
        all.get(self as usize).copied()
    }

    /// Encodes text. A character that the code page does not have becomes `?`.
    pub fn encode(self, text: &str) -> Vec<u8> {
        match self.encoding() {
            _ if self == Page::Utf16 => utf16(text),
            _ if text.is_ascii() => text.as_bytes().to_vec(),
            None => text.chars().map(oem_850).collect(),
            Some(encoding) => match encoding.encode(text) {
                (bytes, _, false) => bytes.into_owned(),
                // What cannot be encoded is found one by one.
                _ => {
                    let mut buffer = [0; 4];
                    let one = |c: char| match encoding.encode(c.encode_utf8(&mut buffer)) {
                        (bytes, _, false) => bytes.into_owned(),
                        _ => b"?".to_vec(),
                    };
                    text.chars().flat_map(one).collect()
                }
            },
        }
    }

    /// Decodes text.
    pub fn decode(self, bytes: &[u8]) -> String {
        match self.encoding() {
            Some(encoding) => encoding.decode_without_bom_handling(bytes).0.into_owned(),
            None if self == Page::Utf16 => from_utf16(bytes),
            None => {
                let upper: Vec<char> = OEM_850.chars().collect();
                let one = |b: &u8| b.checked_sub(0x80).map_or(char::from(*b), |at| upper[usize::from(at)]);
                bytes.iter().map(one).collect()
            }
        }
    }

    /// Returns what is kept of a text: characters outside the code page become `?`.
    pub fn narrowed(self, text: String) -> String {
        if text.is_ascii() || matches!(self, Page::Utf8 | Page::Utf16) {
            return text;
        }
        self.decode(&self.encode(&text))
    }

    /// Returns the length in the type's own units: UTF-16 units or bytes of the code page.
    pub fn units(self, text: &str) -> usize {
        match self {
            _ if text.is_ascii() => text.len(),
            Page::Utf16 => text.encode_utf16().count(),
            _ => self.encode(text).len(),
        }
    }

    /// Returns the first `limit` units of a text.
    pub fn cut(self, text: &str, limit: usize) -> &str {
        let mut used = 0;
        for (at, c) in text.char_indices() {
            used += self.units(c.encode_utf8(&mut [0; 4]));
            if used > limit {
                return &text[..at];
            }
        }
        text
    }
}

/// Returns the byte of one character in code page 850.
fn oem_850(c: char) -> u8 {
    let upper = || {
        OEM_850
            .chars()
            .position(|have| have == c)
            .and_then(|at| u8::try_from(0x80 + at).ok())
    };
    u8::try_from(c).ok().filter(u8::is_ascii).or_else(upper).unwrap_or(b'?')
}

/// Compares by the server's collation: case-insensitive, trailing blanks ignored, then by code point.
pub fn compare(a: &str, b: &str) -> Ordering {
    let a = a.trim_end_matches(' ');
    let b = b.trim_end_matches(' ');
    if a.is_ascii() && b.is_ascii() {
        return a
            .bytes()
            .map(|c| c.to_ascii_lowercase())
            .cmp(b.bytes().map(|c| c.to_ascii_lowercase()));
    }
    a.chars()
        .flat_map(char::to_lowercase)
        .cmp(b.chars().flat_map(char::to_lowercase))
}

/// Returns whether two names of objects or columns are the same by [`compare`].
pub fn same(a: &str, b: &str) -> bool {
    compare(a, b) == Ordering::Equal
}

/// Returns whether a text is `LIKE` a pattern, with `%`, `_`, `[a-z]`, `[^a-z]` and an escape character,
/// case-insensitively.
pub fn like(text: &str, pattern: &str, escape: Option<char>) -> bool {
    let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
    let pattern: Vec<char> = pattern.chars().flat_map(char::to_lowercase).collect();
    like_at(&text, &pattern, escape)
}

fn like_at(text: &[char], pattern: &[char], escape: Option<char>) -> bool {
    let Some((&head, rest)) = pattern.split_first() else {
        return text.iter().all(|c| *c == ' ');
    };
    if Some(head) == escape {
        return match (rest.split_first(), text.split_first()) {
            (Some((want, rest)), Some((have, text))) => want == have && like_at(text, rest, escape),
            _ => false,
        };
    }
    match head {
        '%' => (0..=text.len()).any(|n| like_at(&text[n..], rest, escape)),
        '_' => !text.is_empty() && like_at(&text[1..], rest, escape),
        '[' => {
            let Some(end) = rest.iter().position(|c| *c == ']') else {
                return false;
            };
            let (Some((have, text)), set) = (text.split_first(), &rest[..end]) else {
                return false;
            };
            in_set(*have, set) && like_at(text, &rest[end + 1..], escape)
        }
        _ => text.first() == Some(&head) && like_at(&text[1..], rest, escape),
    }
}

fn in_set(c: char, set: &[char]) -> bool {
    let (negated, set) = match set.split_first() {
        Some(('^', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    let mut at = 0;
    while at < set.len() {
        if at + 2 < set.len() && set[at + 1] == '-' {
            found |= (set[at]..=set[at + 2]).contains(&c);
            at += 3;
        } else {
            found |= set[at] == c;
            at += 1;
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn single_bytes_round_trip_and_what_a_code_page_lacks_is_a_question_mark() {
        let every: Vec<u8> = (0..=255).collect();
        for page in [Page::Windows1252, Page::Oem850] {
            assert_eq!(page.encode(&page.decode(&every)), every, "{page:?}");
        }
        assert_eq!(Page::Windows1252.encode("€ü漢"), [0x80, 0xFC, b'?']);
        assert_eq!(Page::Gbk.narrowed("中a€ñ".to_owned()), "中a€?");
        assert_eq!((Page::Gbk.units("中a"), Page::Gbk.cut("中中", 3)), (3, "中"));
    }

    #[test]
    fn comparison_ignores_case_and_trailing_blanks() {
        assert!(same("Orders ", "ORDERS"));
        assert!(same("ÄÖ", "äö"));
        assert!(!same("a b", "ab"));
    }

    #[test]
    fn like_knows_sets_and_escapes() {
        assert!(like("Hello", "h%O", None));
        assert!(like("a5", "a[0-9]", None));
        assert!(!like("a5", "a[^0-9]", None));
        assert!(like("50%", "50!%", Some('!')));
        assert!(!like("505", "50!%", Some('!')));
    }
}
