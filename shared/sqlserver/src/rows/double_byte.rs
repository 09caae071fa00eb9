//! Knows what Windows' code pages of two bytes a character have otherwise than the encodings of the web that have their
//! names.
//!
//! SQL Server's text has the code pages of Windows. The encodings of the web (<https://encoding.spec.whatwg.org>) give
//! some of the same bytes to other characters: Big5 those of Hong Kong, and GBK sequences of four bytes. Windows has
//! characters for private use there, in which its users keep the characters that they make themselves
//! (<https://learn.microsoft.com/en-us/windows/win32/intl/end-user-defined-characters>,
//! <https://www.unicode.org/Public/MAPPINGS/VENDORS/MICSFT/WindowsBestFit>).

use std::ops::RangeInclusive;

use encoding_rs::Encoding;

/// What Windows has otherwise for some bytes: a character, or none.
type Other = Option<char>;

/// The differences of one code page.
#[derive(Debug)]
pub struct Differences {
    /// The first bytes of pairs.
    leads: &'static [RangeInclusive<u8>],
    /// The differences of single bytes.
    single: fn(u8) -> Option<Other>,
    /// The differences of pairs.
    pair: fn(u8, u8) -> Option<Other>,
    /// Whether a first byte and a digit begin a sequence of four bytes in the encoding of the web. Windows has none.
    has_fours: bool,
}

const SHIFT_JIS: Differences = Differences {
    leads: &[0x81..=0x9F, 0xE0..=0xFC],
    single: |byte| match byte {
        0xA0 => Some(private(0xF8F0)),
        0xFD..=0xFF => Some(private(0xF8F1 + u32::from(byte - 0xFD))),
        _ => None,
    },
    pair: |_, _| None,
    has_fours: false,
};

const GBK: Differences = Differences {
    leads: &[0x81..=0xFE],
    single: |_| None,
    // The web has an ideographic space here, as at A1A1.
    pair: |lead, trail| (lead == 0xA3 && trail == 0xA0).then_some(private(0xE5E5)),
    has_fours: true,
};

const KOREAN: Differences = Differences {
    leads: &[0x81..=0xFE],
    single: |_| None,
    pair: |lead, trail| match (lead, trail) {
        (0xC9, 0xA1..=0xFE) => Some(private(0xE000 + u32::from(trail - 0xA1))),
        (0xFE, 0xA1..=0xFE) => Some(private(0xE05E + u32::from(trail - 0xA1))),
        _ => None,
    },
    has_fours: false,
};

const BIG5: Differences = Differences {
    leads: &[0x81..=0xFE],
    single: |_| None,
    pair: |lead, trail| match (lead, trail) {
        (0xF9, 0xFE) => Some(Some('\u{2593}')),
        // Control pictures, which Windows does not have.
        (0xA3, 0xC0..=0xE0) => Some(None),
        (0xFA..=0xFE, _) => of_big5_user(0xE000, lead - 0xFA, trail),
        (0x8E..=0xA0, _) => of_big5_user(0xE311, lead - 0x8E, trail),
        (0x81..=0x8D, _) => of_big5_user(0xEEB8, lead - 0x81, trail),
        (0xC6, 0xA1..=0xFE) => Some(private(0xF6B1 + u32::from(trail - 0xA1))),
        (0xC7..=0xC8, _) => of_big5_user(0xF70F, lead - 0xC7, trail),
        _ => None,
    },
    has_fours: false,
};

/// Returns the character for private use of a pair in a range of Big5 whose first one has the number `first`.
fn of_big5_user(first: u32, row: u8, trail: u8) -> Option<Other> {
    /// The number of pairs with one first byte.
    const IN_ROW: u32 = 157;
    let place = match trail {
        0x40..=0x7E => trail - 0x40,
        0xA1..=0xFE => trail - 0xA1 + 63,
        _ => return None,
    };
    Some(private(first + IN_ROW * u32::from(row) + u32::from(place)))
}

const fn private(number: u32) -> Other {
    char::from_u32(number)
}

impl Differences {
    /// Returns the differences of Windows' code page from an encoding of the web, if there are any.
    pub fn of(encoding: &'static Encoding) -> Option<&'static Self> {
        if encoding == encoding_rs::SHIFT_JIS {
            Some(&SHIFT_JIS)
        } else if encoding == encoding_rs::GBK {
            Some(&GBK)
        } else if encoding == encoding_rs::EUC_KR {
            Some(&KOREAN)
        } else if encoding == encoding_rs::BIG5 {
            Some(&BIG5)
        } else {
            None
        }
    }

    /// Returns how many bytes the first character of `bytes` takes, and what Windows has otherwise for them.
    fn first(&self, bytes: &[u8]) -> (usize, Option<Other>) {
        match bytes {
            [lead, trail, ..] if self.leads.iter().any(|leads| leads.contains(lead)) => match trail {
                b'0'..=b'9' if self.has_fours => (1, Some(None)),
                _ => (2, (self.pair)(*lead, *trail)),
            },
            [byte, ..] => (1, (self.single)(*byte)),
            [] => (0, None),
        }
    }

    /// Appends `bytes` as UTF-8. Returns `true` when something was malformed. `append_as_on_the_web` does the same for
    /// bytes without differences.
    pub fn append(
        &self,
        out: &mut Vec<u8>,
        bytes: &[u8],
        append_as_on_the_web: impl Fn(&mut Vec<u8>, &[u8]) -> bool,
    ) -> bool {
        let (mut was_malformed, mut done, mut at) = (false, 0, 0);
        while at < bytes.len() {
            let (width, other) = self.first(&bytes[at..]);
            if let Some(other) = other {
                was_malformed |= append_as_on_the_web(out, &bytes[done..at]) | other.is_none();
                let character = other.unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                done = at + width;
            }
            at += width;
        }
        was_malformed | append_as_on_the_web(out, &bytes[done..])
    }
}
