//! The collations, and how they compare.

use std::cmp::Ordering;

use super::{Ty, text};

/// A collation of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collation {
    name: &'static str,
    rule: Rule,
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
    name: "SQL_Latin1_General_CP1_CI_AS",
    rule: Rule::Sql,
};

const ALL: [(&str, Rule); 8] = [
    ("Latin1_General_CI_AS", Rule::Insensitive),
    ("Latin1_General_CS_AS", Rule::Sensitive),
    ("Latin1_General_BIN", Rule::Binary),
    ("Latin1_General_BIN2", Rule::Binary),
    ("Latin1_General_100_CI_AS", Rule::Insensitive),
    ("Latin1_General_100_CI_AS_SC", Rule::Insensitive),
    ("Latin1_General_100_CI_AS_SC_UTF8", Rule::Insensitive),
    ("Japanese_XJIS_140_CI_AS", Rule::Insensitive),
];

impl Collation {
    /// Returns the collation of this name, in any case.
    pub fn named(name: &str) -> Option<Self> {
        let own = ["database_default", "catalog_default", DEFAULT.name];
        if own.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return Some(DEFAULT);
        }
        let known = ALL.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        known.map(|(name, rule)| Self { name, rule: *rule })
    }

    /// Returns its name.
    pub fn name(self) -> &'static str {
        self.name
    }

    /// Returns whether it knows characters beyond the first plane, which cannot be combined with text and ntext
    /// (<https://learn.microsoft.com/en-us/sql/relational-databases/collations/collation-and-unicode-support>).
    pub fn is_supplementary(self) -> bool {
        ["_SC", "_UTF8", "_140_"].iter().any(|flag| self.name.contains(flag))
    }

    /// Returns whether its code page is 1252, the only one of the stand-in.
    pub fn is_latin(self) -> bool {
        self.name.contains("Latin1") && !self.name.ends_with("_UTF8")
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
#[path = "../../tests/unit/collation.rs"]
mod tests;
