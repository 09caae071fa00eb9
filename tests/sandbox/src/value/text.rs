//! Character data: code page 1252, the collation of names, lengths and cuts.

use std::cmp::Ordering;

/// The characters of 0x80 to 0x9F in code page 1252. The five unassigned bytes stand for themselves.
const HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}', '\u{90}', '‘', '’',
    '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Returns the byte of one character in code page 1252, or `?` where it has none.
pub fn byte_of(c: char) -> u8 {
    let code = u32::from(c);
    match u8::try_from(code) {
        Ok(b) if !(0x80..0xA0).contains(&b) => b,
        _ => HIGH
            .iter()
            .position(|h| *h == c)
            .and_then(|i| u8::try_from(0x80 + i).ok())
            .unwrap_or(b'?'),
    }
}

/// Returns the character of a byte of code page 1252.
pub fn char_of(b: u8) -> char {
    match b {
        0x80..=0x9F => HIGH[usize::from(b - 0x80)],
        _ => char::from(b),
    }
}

/// Encodes text in code page 1252.
pub fn to_bytes(text: &str) -> Vec<u8> {
    text.chars().map(byte_of).collect()
}

/// Decodes text of code page 1252.
pub fn from_bytes(bytes: &[u8]) -> String {
    bytes.iter().map(|b| char_of(*b)).collect()
}

/// Returns what `varchar` keeps of a text: characters outside the code page become `?`.
pub fn narrowed(text: String) -> String {
    if text.is_ascii() {
        text
    } else {
        text.chars().map(|c| char_of(byte_of(c))).collect()
    }
}

/// Returns the length in the type's own units: UTF-16 units or bytes of the code page.
pub fn units(text: &str, unicode: bool) -> usize {
    if text.is_ascii() {
        text.len()
    } else if unicode {
        text.chars().map(char::len_utf16).sum()
    } else {
        text.chars().count()
    }
}

/// Returns the first `limit` units of a text.
pub fn cut(text: &str, limit: usize, unicode: bool) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += if unicode { c.len_utf16() } else { 1 };
        if used > limit {
            return &text[..at];
        }
    }
    text
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
#[path = "../../tests/unit/text.rs"]
mod tests;
