//! The name of a window: where the window starts, as one text that is safe in any key.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorCode};
use crate::model::names::printable;
use crate::model::watermark::Watermark;

/// The most bytes of a window's name.
const MAX_BYTES: usize = 100;
/// The beginning of the name of a full load in place of another window.
const REINIT: &str = "reinit-";
/// The beginning of the name of a backfill.
const BACKFILL: &str = "backfill-";

/// The name of a window. It is `initial` when the window starts at nothing, else `from-` and a safe text form of where
/// it starts; `reinit-` and the name of another window for a full load that is copied in place of that one; `backfill-`
/// and a number for an interval that is copied again beside the chain.
///
/// It does not depend on the column's type: trailing zeros of a fraction and leading zeros of a number are dropped, and
/// a date stands for its midnight. A watermark in a control table of one type and the same watermark in a column of
/// another type therefore name the same window. Partition values that engines read from the name are always text.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct WindowName(String);

impl WindowName {
    /// Returns the name of a first load.
    #[must_use]
    pub fn initial() -> Self {
        Self("initial".into())
    }

    /// Returns the name of the window that starts after `watermark`.
    #[must_use]
    pub fn after(watermark: &Watermark) -> Self {
        Self::after_text(watermark.value())
    }

    /// Returns the name of the full load that is copied in place of window `expired`.
    #[must_use]
    pub fn reinit(expired: &Self) -> Self {
        Self(format!("{REINIT}{expired}"))
    }

    /// Returns whether this is the name of a full load in place of another window.
    #[must_use]
    pub fn is_reinit(&self) -> bool {
        self.0.starts_with(REINIT)
    }

    /// Returns the name of the backfill with this number, which counts from 1.
    #[must_use]
    pub fn backfill(number: u32) -> Self {
        Self(format!("{BACKFILL}{number}"))
    }

    /// Returns the number of a backfill, or `None` for any other window.
    #[must_use]
    pub fn backfill_number(&self) -> Option<u32> {
        let number = self.0.strip_prefix(BACKFILL)?;
        number.parse().ok().filter(|number| Self::backfill(*number) == *self)
    }

    /// Returns the name of the window that starts after the watermark with this text, whatever its type.
    ///
    /// A character that no watermark has becomes `_`, which no window has in its name: a store may hold anything.
    #[must_use]
    pub fn after_text(value: &str) -> Self {
        let (text, zone) = match value.strip_suffix('Z') {
            Some(text) => (text, "Z"),
            None => (value, ""),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let whole = if is_date(whole) {
            format!("{whole}T00-00-00")
        } else {
            plain_number(whole).unwrap_or_else(|| whole.replace(':', "-"))
        };
        let fraction = match fraction.trim_end_matches('0') {
            "" => String::new(),
            fraction => format!(".{}", fraction.replace(':', "-")),
        };
        let name = format!("from-{whole}{fraction}{zone}");
        Self(name.replace(|c: char| !is_safe(c), "_"))
    }

    /// Returns the name of the window that starts at what a store holds: after this text, or at nothing.
    #[must_use]
    pub fn after_stored(value: Option<&str>) -> Self {
        value.map_or_else(Self::initial, Self::after_text)
    }

    /// Returns the name of the window that starts after `old`, or at nothing when there is no old watermark.
    #[must_use]
    pub fn from_old(old: Option<&Watermark>) -> Self {
        old.map_or_else(Self::initial, Self::after)
    }

    /// Returns the name as it stands in keys.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Watermark {
    /// Returns whether a stored text, of whatever type, stands for this value: both name the same window.
    #[must_use]
    pub fn is(&self, stored: &str) -> bool {
        WindowName::after(self) == WindowName::after_text(stored)
    }
}

/// Returns whether the name of a window may have this character.
const fn is_safe(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '.')
}

/// Returns whether the text has the form of a date, `2017-09-05`. A number has at most one hyphen.
fn is_date(text: &str) -> bool {
    let is_of_one = |byte: u8| byte.is_ascii_digit() || byte == b'-';
    text.len() == 10 && text.bytes().all(is_of_one) && text.bytes().filter(|&byte| byte == b'-').count() == 2
}

/// Returns a whole number without leading zeros, or a hexadecimal one in capitals; `None` for anything else.
fn plain_number(text: &str) -> Option<String> {
    if let Some(digits) = text.strip_prefix("0x") {
        let is_hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hex.then(|| format!("0x{}", digits.to_ascii_uppercase()));
    }
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits = digits.trim_start_matches('0');
    Some(format!("{sign}{}", if digits.is_empty() { "0" } else { digits }))
}

impl fmt::Display for WindowName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for WindowName {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        let kind = text.trim_start_matches(REINIT);
        let is_backfill = Self(text.clone()).backfill_number().is_some();
        let is_one = kind == "initial" || kind.starts_with("from-") || is_backfill;
        if !is_one || text.len() > MAX_BYTES || !text.chars().all(is_safe) {
            let message = format!("'{}' is not the name of a window", printable(&text));
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        Ok(Self(text))
    }
}

impl From<WindowName> for String {
    fn from(name: WindowName) -> Self {
        name.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::TypeName;

    fn watermark(sql_type: &str, value: &str) -> Watermark {
        Watermark::new(TypeName::new(sql_type).unwrap(), value).unwrap()
    }

    #[test]
    fn a_window_is_named_by_where_it_starts() {
        let cases = [
            ("datetime", "2010-01-01T00:00:00.000", "from-2010-01-01T00-00-00"),
            ("datetime", "2017-09-05T08:06:00.003", "from-2017-09-05T08-06-00.003"),
            (
                "datetime2(7)",
                "2017-09-05T08:06:00.0030000",
                "from-2017-09-05T08-06-00.003",
            ),
            (
                "datetime2(7)",
                "2017-09-05T08:06:00.1234567",
                "from-2017-09-05T08-06-00.1234567",
            ),
            (
                "datetimeoffset(3)",
                "2017-09-05T08:06:00.100Z",
                "from-2017-09-05T08-06-00.1Z",
            ),
            ("bigint", "-9223372036854775808", "from--9223372036854775808"),
            ("int", "100", "from-100"),
            ("int", "0", "from-0"),
            ("decimal(5,2)", "1.50", "from-1.5"),
            ("decimal(5,2)", "-0.50", "from--0.5"),
            ("decimal(5,2)", "42.00", "from-42"),
            ("date", "2017-09-05", "from-2017-09-05T00-00-00"),
            ("smalldatetime", "2017-09-05T00:00:00", "from-2017-09-05T00-00-00"),
            ("int", "-123456789", "from--123456789"),
            ("rowversion", "0x00000000000007E4", "from-0x00000000000007E4"),
        ];
        for (sql_type, value, name) in cases {
            assert_eq!(WindowName::after(&watermark(sql_type, value)).as_str(), name);
            assert!(WindowName::try_from(name.to_owned()).is_ok());
        }
        assert_eq!(WindowName::from_old(None).as_str(), "initial");
        let reinit = WindowName::reinit(&WindowName::after_text("42"));
        assert_eq!(WindowName::try_from("reinit-from-42".to_owned()).unwrap(), reinit);
    }

    #[test]
    fn a_stored_text_of_another_type_stands_for_the_same_value() {
        let moment = watermark("datetime2(7)", "2017-09-05T08:06:00.1000000");
        assert!(moment.is("2017-09-05T08:06:00.100"));
        assert!(!moment.is("2017-09-05T08:06:00.101"));
        assert!(watermark("int", "42").is("042"));
        assert!(watermark("int", "42").is("42.00"));
        assert!(!watermark("int", "42").is("-42"));
        assert!(watermark("date", "2017-09-05").is("2017-09-05T00:00:00.000"));
    }

    #[test]
    fn a_window_name_from_an_event_cannot_leave_its_table() {
        for number in [1, 42] {
            let name = WindowName::backfill(number);
            assert_eq!(
                WindowName::try_from(name.to_string()).unwrap().backfill_number(),
                Some(number)
            );
        }
        for text in [
            "backfill-",
            "backfill-x",
            "backfill-01",
            "reinit-backfill-1",
            "",
            "../x",
            "from-a/b",
            "_x",
            "from-a b",
            "from-%2F",
            "42",
            "reinit-",
        ] {
            assert!(WindowName::try_from(text.to_owned()).is_err(), "{text}");
        }
    }
}
