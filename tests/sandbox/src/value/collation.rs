//! The collations, and how they compare.

use std::cmp::Ordering;

use super::{Page, Ty, text};

/// A collation of text: its name, how it compares, the code page of its varchar, the number of its locale, and that of
/// its sort order if its name begins with `SQL_`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collation {
    name: &'static str,
    rule: Rule,
    page: Page,
    locale: u32,
    sort_id: u8,
}

/// The way in which a collation compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rule {
    /// A collation of the kind `SQL_`, without case. `ß` is `ss` in Unicode text and another character in a code page.
    Sql,
    /// It compares without case, and `ß` is `ss`.
    Insensitive,
    /// It compares with case, and `ß` is `ss`.
    Sensitive,
    /// It compares by code points.
    Binary,
}

/// The collation of the server, of every database and of `tempdb`.
pub const DEFAULT: Collation = Collation {
    sort_id: 52,
    ..of("SQL_Latin1_General_CP1_CI_AS", Rule::Sql, Page::Windows1252, 0x0409)
};

const ALL: [Collation; 15] = [
    DEFAULT,
    Collation {
        sort_id: 42,
        ..of("SQL_Latin1_General_CP850_CI_AS", Rule::Sql, Page::Oem850, 0x0409)
    },
    of("Latin1_General_CI_AS", Rule::Insensitive, Page::Windows1252, 0x0409),
    of("Latin1_General_CS_AS", Rule::Sensitive, Page::Windows1252, 0x0409),
    of("Latin1_General_BIN", Rule::Binary, Page::Windows1252, 0x0409),
    of("Latin1_General_BIN2", Rule::Binary, Page::Windows1252, 0x0409),
    of("Latin1_General_100_CI_AS", Rule::Insensitive, Page::Windows1252, 0x0409),
    of(
        "Latin1_General_100_CI_AS_SC",
        Rule::Insensitive,
        Page::Windows1252,
        0x0409,
    ),
    of(
        "Latin1_General_100_CI_AS_SC_UTF8",
        Rule::Insensitive,
        Page::Utf8,
        0x0409,
    ),
    of("Cyrillic_General_CI_AS", Rule::Insensitive, Page::Windows1251, 0x0419),
    of("Chinese_PRC_CI_AS", Rule::Insensitive, Page::Gbk, 0x0804),
    of("Chinese_PRC_BIN2", Rule::Binary, Page::Gbk, 0x0804),
    of("Japanese_CI_AS", Rule::Insensitive, Page::ShiftJis, 0x0411),
    of("Japanese_XJIS_140_CI_AS", Rule::Insensitive, Page::ShiftJis, 0x0411),
    of("Korean_Wansung_CI_AS", Rule::Insensitive, Page::Korean, 0x0412),
];

const fn of(name: &'static str, rule: Rule, page: Page, locale: u32) -> Collation {
    Collation {
        name,
        rule,
        page,
        locale,
        sort_id: 0,
    }
}

impl Collation {
    /// Returns the collation of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let own = ["database_default", "catalog_default"];
        if own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Some(DEFAULT);
        }
        ALL.into_iter().find(|known| known.name.eq_ignore_ascii_case(name))
    }

    /// Returns the collation that a client sends, or the default for one that is unknown.
    pub fn of_wire(bytes: &[u8]) -> Self {
        let is_utf8 = bytes[3] & 0x04 != 0;
        let is_one = |known: &Self| known.wire() == bytes || is_utf8 && known.page == Page::Utf8;
        ALL.into_iter().find(is_one).unwrap_or(DEFAULT)
    }

    /// Returns the collation on the wire (MS-TDS 2.2.5.1.2).
    pub fn wire(self) -> [u8; 5] {
        let ignores = match self.rule {
            Rule::Sql | Rule::Insensitive => 0x0D,
            Rule::Sensitive => 0x0C,
            Rule::Binary if self.name.ends_with("BIN2") => 0x20,
            Rule::Binary => 0x10,
        };
        let utf8 = u32::from(self.page == Page::Utf8) << 26;
        let version = ["_100_", "_140_"]
            .iter()
            .position(|version| self.name.contains(version));
        let version = version.map_or(0, |at| at as u32 + 2) << 28;
        let [a, b, c, d] = (self.locale | ignores << 20 | utf8 | version).to_le_bytes();
        [a, b, c, d, self.sort_id]
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns how it writes the characters of a type.
    pub fn page(self, ty: Ty) -> Page {
        if ty.is_unicode() { Page::Utf16 } else { self.page }
    }

    /// Returns a type as one number with the code page of its text.
    pub fn code(self, ty: Ty) -> i64 {
        ty.code() | if ty.is_string() { self.page as i64 } else { 0 }
    }

    /// Returns whether it knows characters beyond the first plane, which cannot be combined with text and ntext
    /// (<https://learn.microsoft.com/en-us/sql/relational-databases/collations/collation-and-unicode-support>).
    pub fn is_supplementary(self) -> bool {
        ["_SC", "_UTF8", "_140_"].iter().any(|flag| self.name.contains(flag))
    }

    /// Returns the name of the comparison in SQLite for text of this type.
    pub fn in_sqlite(self, ty: Ty) -> &'static str {
        match self.rule {
            Rule::Sql if !ty.is_unicode() => CODE_PAGE,
            Rule::Sql | Rule::Insensitive => "TSQL_CI",
            Rule::Sensitive => "TSQL_CS",
            Rule::Binary => "TSQL_BIN",
        }
    }
}

/// A collation and its weight
/// (<https://learn.microsoft.com/en-us/sql/t-sql/statements/collation-precedence-transact-sql>).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Label {
    /// The collation.
    pub collation: Collation,
    /// Whether it comes from `COLLATE` and not from a column.
    pub explicit: bool,
}

impl Label {
    /// Returns the collation by which two expressions are compared, or an error with both when they do not agree.
    pub fn of_both(a: Option<Label>, b: Option<Label>) -> Result<Option<Label>, (Collation, Collation)> {
        let (Some(one), Some(other)) = (a, b) else {
            return Ok(a.or(b));
        };
        if one.explicit != other.explicit {
            return Ok(Some(if one.explicit { one } else { other }));
        }
        if one.collation == other.collation {
            return Ok(Some(one));
        }
        Err((one.collation, other.collation))
    }
}

/// The comparison of names, and of text in a code page by collations of the kind `SQL_`.
const CODE_PAGE: &str = "TSQL";

/// A comparison of two texts.
pub type Compare = fn(&str, &str) -> Ordering;

/// The comparisons, by their names in SQLite.
pub const IN_SQLITE: [(&str, Compare); 4] = [
    (CODE_PAGE, text::compare),
    ("TSQL_CI", |a, b| text::compare(&expanded(a), &expanded(b))),
    ("TSQL_CS", |a, b| trimmed(&expanded(a)).cmp(trimmed(&expanded(b)))),
    ("TSQL_BIN", |a, b| trimmed(a).cmp(trimmed(b))),
];

fn trimmed(text: &str) -> &str {
    text.trim_end_matches(' ')
}

fn expanded(text: &str) -> std::borrow::Cow<'_, str> {
    if text.is_ascii() || !text.contains('ß') {
        return text.into();
    }
    text.replace('ß', "ss").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn equal(collation: &str, ty: Ty, a: &str, b: &str) -> bool {
        let wanted = Collation::named(collation).map(|c| c.in_sqlite(ty));
        let found = IN_SQLITE.iter().find(|(name, _)| Some(*name) == wanted);
        found.is_some_and(|(_, compare)| compare(a, b) == Ordering::Equal)
    }

    #[test]
    fn collations_differ_in_case_and_in_what_is_one_character() {
        let (wide, narrow) = (Ty::NVarChar(10), Ty::VarChar(10));
        assert!(equal("sql_latin1_general_cp1_ci_as", wide, "Straße", "STRASSE "));
        assert!(!equal("SQL_Latin1_General_CP1_CI_AS", narrow, "Straße", "strasse"));
        assert!(equal("Latin1_General_CI_AS", narrow, "Straße", "strasse"));
        assert!(equal("Latin1_General_CS_AS", narrow, "Straße", "Strasse"));
        assert!(!equal("Latin1_General_CS_AS", wide, "a", "A"));
        assert!(equal("Latin1_General_BIN2", wide, "a ", "a"));
        assert!(!equal("Latin1_General_BIN2", wide, "ß", "ss"));
        assert_eq!(Collation::named("nonsense"), None);
    }

    #[test]
    fn the_bytes_on_the_wire_tell_collations_apart() {
        assert_eq!(DEFAULT.wire(), tidemark_tds::login::LATIN1);
        for (at, one) in ALL.iter().enumerate() {
            let first = ALL.iter().position(|other| other.wire() == one.wire());
            assert!(first == Some(at) || one.name.ends_with("_SC"), "{}", one.name);
        }
        assert_eq!(Collation::of_wire(&[0x04, 0x08, 0xD0, 0, 0]).name, "Chinese_PRC_CI_AS");
    }
}
