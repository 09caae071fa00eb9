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
    /// The minutes by which its clock goes forward in spring, and back in autumn.
    shift: i16,
    /// When it goes forward.
    spring: Turn,
    /// When it goes back.
    autumn: Turn,
}

/// When a clock turns: a month, a day of it from which on the first Sunday is meant, and the minutes from the midnight with
/// which that Sunday begins in UTC.
type Turn = (i64, i64, i64);

/// The rule of the European Union.
const EUROPE: [Turn; 2] = [(3, 25, 60), (10, 25, 60)];

/// The zones that the server knows. A real one knows about 140.
pub const ZONES: [Zone; 9] = [
    zone("UTC", 0, 0, EUROPE),
    zone("Central European Standard Time", 60, 60, EUROPE),
    zone("Romance Standard Time", 60, 60, EUROPE),
    zone("GTB Standard Time", 120, 60, EUROPE),
    zone("Eastern Standard Time", -300, 60, [(3, 8, 420), (11, 1, 360)]),
    zone("Newfoundland Standard Time", -210, 60, [(3, 8, 330), (11, 1, 270)]),
    zone("Pacific SA Standard Time", -240, 60, [(9, 1, 240), (4, 1, 180)]),
    zone("AUS Eastern Standard Time", 600, 60, [(10, 1, -480), (4, 1, -480)]),
    zone("Lord Howe Standard Time", 630, 30, [(10, 1, -510), (4, 1, -540)]),
];

const fn zone(name: &'static str, standard: i16, shift: i16, [spring, autumn]: [Turn; 2]) -> Zone {
    Zone {
        name,
        standard,
        shift,
        spring,
        autumn,
    }
}

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
        let (spring, autumn) = (moment(year, self.spring), moment(year, self.autumn));
        let is_summer = match spring < autumn {
            true => (spring..autumn).contains(&utc),
            false => !(autumn..spring).contains(&utc),
        };
        self.standard + if is_summer { self.shift } else { 0 }
    }
}

/// Returns the moment of a turn in a year.
fn moment(year: i64, (month, day, minutes): Turn) -> i64 {
    let from = calendar::days(year, month, day).unwrap_or(0);
    // 0001-01-01 was a Monday.
    (from + 6 - from % 7) * DAY + minutes * 60 * SECOND
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
