//! A moment, as every document of the ledger has it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::format_description::well_known::Rfc3339;
use time::{OffsetDateTime, UtcOffset};

use crate::error::{Error, ErrorCode, Result};
use crate::model::names::printable;

/// A moment, written as RFC 3339 in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Moment(OffsetDateTime);

impl Moment {
    /// Takes a time to the second, which is all that is written.
    #[must_use]
    pub fn of(time: OffsetDateTime) -> Self {
        let utc = time.checked_to_offset(UtcOffset::UTC).unwrap_or(time);
        Self(utc.replace_nanosecond(0).unwrap_or(utc))
    }

    /// Returns the time.
    #[must_use]
    pub const fn time(self) -> OffsetDateTime {
        self.0
    }

    /// Returns the microseconds since 1970-01-01.
    #[must_use]
    pub const fn micros(self) -> i64 {
        self.0.unix_timestamp() * 1_000_000 + self.0.microsecond() as i64
    }

    /// Returns the day in UTC, `2017-09-05`. It has nothing but digits and hyphens, so it can stand in a key.
    #[must_use]
    pub fn day(self) -> String {
        let (year, month, day) = self.0.to_calendar_date();
        format!("{year:04}-{:02}-{day:02}", u8::from(month))
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (hour, minute, second, micros) = self.0.to_hms_micro();
        write!(f, "{}T{hour:02}:{minute:02}:{second:02}", self.day())?;
        if micros > 0 {
            write!(f, ".{micros:06}")?;
        }
        f.write_str("Z")
    }
}

impl FromStr for Moment {
    type Err = Error;

    /// Reads RFC 3339, to the microsecond.
    ///
    /// # Errors
    ///
    /// `InvalidInput` when the text is no point in time, or its year in UTC has not four digits.
    fn from_str(text: &str) -> Result<Self> {
        let read = || {
            let utc = OffsetDateTime::parse(text, &Rfc3339)
                .ok()?
                .checked_to_offset(UtcOffset::UTC)?;
            let moment = utc.replace_microsecond(utc.microsecond()).ok()?;
            (0..=9999).contains(&moment.year()).then_some(Self(moment))
        };
        read().ok_or_else(|| {
            let message = format!("'{}' is no point in time as in RFC 3339", printable(text));
            Error::new(ErrorCode::InvalidInput, message)
        })
    }
}

impl Serialize for Moment {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Moment {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    #[test]
    fn a_moment_is_taken_to_the_second_and_written_as_it_was_read() {
        let moment = Moment::of(datetime!(2026-11-29 14:00:01.5 +2));
        assert_eq!(moment.day(), "2026-11-29");
        assert_eq!(serde_json::to_value(moment).unwrap(), "2026-11-29T12:00:01Z");
        for text in ["2026-11-29T12:00:01Z", "2026-11-29T14:00:01+02:00"] {
            assert_eq!(serde_json::from_value::<Moment>(text.into()).unwrap(), moment, "{text}");
        }
        let fine: Moment = "1970-01-01T00:00:01.000002Z".parse().unwrap();
        assert_eq!(
            (fine.micros(), fine.to_string()),
            (1_000_002, "1970-01-01T00:00:01.000002Z".into())
        );
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "yesterday",
            "2026-11-29",
            "../2026-11-29T12:00:01Z",
            "9999-12-31T23:59:59-01:00",
        ] {
            assert!(serde_json::from_value::<Moment>(text.into()).is_err(), "{text}");
        }
    }
}
