//! Names of columns and tables, read from text. The adapter of the source knows how they are quoted in a statement, and
//! `ledger::keys` how they stand in a key.

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};

/// SQL Server's limit for the length of a name (`sysname` is `nvarchar(128)`).
const MAX_UTF16_UNITS: usize = 128;

/// The least likeness, from 0 to 1, of a name that may have been meant.
const LIKE_ENOUGH: f64 = 0.7;

/// Returns whether two names are the same but for upper and lower case. Most collations take such names for one.
#[must_use]
pub fn is_alike(one: &str, other: &str) -> bool {
    one == other || without_case(one) == without_case(other)
}

/// Returns what all names that are [alike](is_alike) have in common, for sets and maps of names.
#[must_use]
pub fn without_case(name: &str) -> String {
    name.to_lowercase()
}

/// Returns a text as messages quote it: with an escape in place of every character that would steer a terminal.
#[must_use]
pub fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(steers) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 8);
    for c in text.chars() {
        if steers(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

/// Returns whether a character controls a terminal, or turns the direction of the text after it.
#[must_use]
pub fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{061C}' | '\u{200E}' | '\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Returns the name that is most like `name`, if one is like it enough. Upper and lower case are the same.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name = without_case(name);
    let known = known.into_iter();
    let likeness = known.map(|known| (strsim::jaro_winkler(&name, &without_case(known)), known));
    let best = likeness.max_by(|one, other| one.0.total_cmp(&other.0));
    best.filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
        .map(|(_, known)| known)
}

/// An identifier, for example a column's name, without any quoting.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Identifier(String);

impl Identifier {
    /// Takes `name` as it is.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when no SQL Server object can have this name: it is empty, longer than 128 UTF-16 units, or
    /// contains a zero character.
    pub fn new(name: impl Into<String>) -> Result<Self, Error> {
        let name = name.into();
        let units = name.encode_utf16().count();
        let reason = if name.is_empty() {
            "is empty"
        } else if units > MAX_UTF16_UNITS {
            "is longer than SQL Server's 128 characters"
        } else if name.contains('\0') {
            "contains a zero character"
        } else {
            return Ok(Self(name));
        };
        Err(Error::new(
            ErrorCode::InvalidInput,
            format!("the name '{}' {reason}", printable(&name)),
        ))
    }

    /// Returns the name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Identifier {
    type Error = Error;

    fn try_from(name: String) -> Result<Self, Error> {
        Self::new(name)
    }
}

impl From<Identifier> for String {
    fn from(name: Identifier) -> Self {
        name.0
    }
}

/// A two-part object name, `schema.object`. The schema is `dbo` when it is not given.
///
/// Its text form brackets a part only where it has to (`dbo.orders`, `dbo.[order lines]`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ObjectName {
    schema: Identifier,
    name: Identifier,
}

impl ObjectName {
    /// Makes the name of an object in a schema.
    #[must_use]
    pub const fn new(schema: Identifier, name: Identifier) -> Self {
        Self { schema, name }
    }

    /// Returns the schema's name.
    #[must_use]
    pub fn schema(&self) -> &Identifier {
        &self.schema
    }

    /// Returns the object's name within the schema.
    #[must_use]
    pub fn name(&self) -> &Identifier {
        &self.name
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (part, separator) in [(&self.schema, "."), (&self.name, "")] {
            let plain = part
                .as_str()
                .chars()
                .all(|c| c.is_alphanumeric() || matches!(c, '_' | '#' | '$' | '@'));
            if plain {
                f.write_str(part.as_str())?;
            } else {
                write!(f, "[{}]", part.as_str().replace(']', "]]"))?;
            }
            f.write_str(separator)?;
        }
        Ok(())
    }
}

impl FromStr for ObjectName {
    type Err = Error;

    /// Reads `name`, `schema.name` and their bracketed forms.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the text has another form, more than two parts, or a part that is no name.
    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = Vec::new();
        let mut rest = text;
        loop {
            let (part, after) = first_part(rest).ok_or_else(|| {
                let message = format!("'{text}' is not a table name: write name, schema.name or [schema].[name]");
                Error::new(ErrorCode::InvalidInput, message)
            })?;
            parts.push(Identifier::new(part)?);
            match after {
                Some(after) => rest = after,
                None => break,
            }
        }
        match <[Identifier; 2]>::try_from(parts) {
            Ok([schema, name]) => Ok(Self { schema, name }),
            Err(mut parts) if parts.len() == 1 => Ok(Self {
                schema: Identifier("dbo".into()),
                name: parts.remove(0),
            }),
            Err(_) => {
                let message = format!(
                    "'{text}' has more than two parts: write schema.table, because the database is that of the login"
                );
                Err(Error::new(ErrorCode::InvalidInput, message))
            }
        }
    }
}

/// Returns the first part of a dotted name and what follows its dot; `None` when the text is malformed.
fn first_part(text: &str) -> Option<(String, Option<&str>)> {
    let Some(bracketed) = text.strip_prefix('[') else {
        let (part, after) = match text.split_once('.') {
            Some((part, after)) => (part, Some(after)),
            None => (text, None),
        };
        return (!part.contains(['[', ']', '"'])).then(|| (part.to_owned(), after));
    };
    let mut part = String::new();
    let mut rest = bracketed;
    loop {
        let end = rest.find(']')?;
        part.push_str(&rest[..end]);
        rest = &rest[end + 1..];
        if let Some(after) = rest.strip_prefix(']') {
            part.push(']');
            rest = after;
        } else if rest.is_empty() {
            return Some((part, None));
        } else {
            return rest.strip_prefix('.').map(|after| (part, Some(after)));
        }
    }
}

impl TryFrom<String> for ObjectName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ObjectName> for String {
    fn from(name: ObjectName) -> Self {
        name.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_message_quotes_a_name_as_it_is_but_for_what_steers_a_terminal() {
        assert!(matches!(printable("Größe 表 'x'"), Cow::Borrowed("Größe 表 'x'")));
        assert_eq!(printable("a\x1b[31m\nb\u{202e}ü"), "a\\u{1b}[31m\\nb\\u{202e}ü");
        let long = "Größe".repeat(40);
        let error = Identifier::new(long.as_str()).unwrap_err();
        assert!(error.to_string().contains(&long), "{error}");
    }

    #[test]
    fn names_that_differ_by_case_only_are_alike_in_every_alphabet() {
        for (one, other) in [("Id", "iD"), ("Größe", "GRÖßE"), ("ΚΩΔ", "κωδ"), ("имя", "ИМЯ")] {
            assert!(is_alike(one, other), "{one} {other}");
            assert_eq!(without_case(one), without_case(other));
        }
        assert!(!is_alike("Größe", "Grosse"));
    }

    #[test]
    fn names_are_read_and_shown() {
        let cases = [
            ("orders", "dbo", "orders", "dbo.orders"),
            ("sales.orders", "sales", "orders", "sales.orders"),
            ("[sales].[order lines]", "sales", "order lines", "sales.[order lines]"),
            ("[a.b].[c]]d]", "a.b", "c]d", "[a.b].[c]]d]"),
            ("dbo.Größe", "dbo", "Größe", "dbo.Größe"),
            (
                "x'; DROP TABLE t --",
                "dbo",
                "x'; DROP TABLE t --",
                "dbo.[x'; DROP TABLE t --]",
            ),
        ];
        for (text, schema, table, shown) in cases {
            let name: ObjectName = text.parse().unwrap();
            assert_eq!((name.schema().as_str(), name.name().as_str()), (schema, table));
            assert_eq!(name.to_string(), shown);
        }
    }

    #[test]
    fn what_is_no_name_is_refused() {
        for text in [
            "",
            ".",
            "a.",
            ".a",
            "a.b.c",
            "[a",
            "[a]b",
            "a]b",
            "a\u{0}b",
            &"x".repeat(129),
        ] {
            let error = text.parse::<ObjectName>().unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput, "{text}");
        }
    }

    proptest! {
        #[test]
        fn the_text_form_reads_back(schema in "[^\\x00]{1,60}", name in "[^\\x00]{1,60}") {
            let written = ObjectName { schema: Identifier(schema), name: Identifier(name) };
            prop_assert_eq!(&written.to_string().parse::<ObjectName>().unwrap(), &written);
        }
    }
}
