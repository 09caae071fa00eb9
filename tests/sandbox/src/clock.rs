//! The server's clock and its time zone. A test may set both.

use crate::error::{SqlError, SqlResult};
use crate::value::calendar::{self, DAY, SECOND};
use crate::value::{MAX, Ty, convert};

/// A time zone.
#[derive(Debug)]
pub struct Zone {
    /// Its name, as Windows has it.
    pub name: &'static str,
    /// Its minutes from UTC in winter.
    pub standard: i16,
    /// Whether its clock goes forward in March and back in October, as in the European Union.
    has_summer: bool,
}

/// The zones that the server knows. A real one knows about 140.
pub const ZONES: [Zone; 2] = [
    Zone {
        name: "UTC",
        standard: 0,
        has_summer: false,
    },
    Zone {
        name: "Central European Standard Time",
        standard: 60,
        has_summer: true,
    },
];

impl Zone {
    /// Returns the zone of this name.
    ///
    /// Fails with 9820 when there is none.
    pub fn named(name: &str) -> SqlResult<&'static Zone> {
        let found = ZONES.iter().find(|zone| zone.name.eq_ignore_ascii_case(name));
        found.ok_or_else(|| SqlError::of(9820, &[&name]))
    }

    /// Returns the minutes from UTC at a moment, which is in 100 ns since 0001-01-01 UTC.
    pub fn offset(&self, utc: i64) -> i16 {
        let (year, ..) = calendar::civil(utc.div_euclid(DAY));
        let is_summer = self.has_summer && (one_of_last_sunday(year, 3)..one_of_last_sunday(year, 10)).contains(&utc);
        self.standard + if is_summer { 60 } else { 0 }
    }
}

/// Returns the moment 01:00 UTC on the last Sunday of a month of 31 days.
fn one_of_last_sunday(year: i64, month: i64) -> i64 {
    // 0001-01-01 was a Monday.
    let last = calendar::days(year, month, 31).unwrap_or(0);
    (last - (last + 1) % 7) * DAY + 3_600 * SECOND
}

/// The clock of the server.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    /// The moment at which it stands, or `None` for a clock that runs.
    standing: Option<i64>,
    /// The zone of its wall clock.
    pub zone: &'static Zone,
}

impl Default for Clock {
    fn default() -> Self {
        Clock {
            standing: None,
            zone: &ZONES[0],
        }
    }
}

impl Clock {
    /// Makes a clock that stands at a moment, which is text without a zone and means UTC.
    ///
    /// Fails with 241 when the text is no moment, and with 9820 when there is no such zone.
    pub fn standing(utc: &str, zone: &str) -> SqlResult<Clock> {
        let text = rusqlite::types::ValueRef::Text(utc.as_bytes());
        let moment = convert::convert(text, Ty::VarChar(MAX), Ty::DateTime2(7))?;
        let standing = match moment {
            rusqlite::types::Value::Integer(ticks) => Some(ticks),
            _ => None,
        };
        let zone = Zone::named(zone)?;
        Ok(Clock { standing, zone })
    }

    /// Returns a clock that stands at what this one shows now.
    pub fn read(&self) -> Clock {
        Clock {
            standing: Some(self.now()),
            ..*self
        }
    }

    /// Returns the moment, in 100 ns since 0001-01-01 UTC.
    pub fn now(&self) -> i64 {
        self.standing.unwrap_or_else(calendar::utc_now)
    }
}
