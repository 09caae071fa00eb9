//! The proleptic Gregorian calendar in whole days, and the ticks of the two kinds of clocks.

use time::{Date, Month};

/// The Julian day of 0001-01-01.
const FIRST_JULIAN_DAY: i32 = 1_721_426;
/// The 100 ns ticks in a day.
pub const DAY: i64 = 864_000_000_000;
/// The 100 ns ticks in a second.
pub const SECOND: i64 = 10_000_000;
/// The `datetime` ticks (1/300 s) in a day.
pub const DATETIME_DAY: i64 = 300 * 86_400;
/// The date 1900-01-01 in days since 0001-01-01.
pub const EPOCH_1900: i64 = 693_595;
/// The date 1970-01-01 in days since 0001-01-01.
pub const EPOCH_1970: i64 = 719_162;
/// The date 9999-12-31 in days since 0001-01-01.
pub const LAST_DAY: i64 = 3_652_058;
/// The first day of `datetime`, 1753-01-01, in days since 0001-01-01.
pub const FIRST_DATETIME_DAY: i64 = 639_905;

/// Returns the number of days of a month.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    let (year, month) = (
        i32::try_from(year).unwrap_or_default(),
        u8::try_from(month).unwrap_or_default(),
    );
    Month::try_from(month).map_or(0, |month| i64::from(month.length(year)))
}

/// Returns the days since 0001-01-01, or `None` when it is no date between then and 9999-12-31.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    let (year, month) = (i32::try_from(year).ok()?, u8::try_from(month).ok()?);
    let date = Date::from_calendar_date(year, Month::try_from(month).ok()?, u8::try_from(day).ok()?).ok()?;
    Some(i64::from(date.to_julian_day() - FIRST_JULIAN_DAY)).filter(|days| (0..=LAST_DAY).contains(days))
}

/// Returns the year, month and day of a number of days since 0001-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let julian = i32::try_from(days.clamp(0, LAST_DAY)).unwrap_or_default() + FIRST_JULIAN_DAY;
    let (year, month, day) = Date::from_julian_day(julian).unwrap_or(Date::MIN).to_calendar_date();
    (i64::from(year), i64::from(u8::from(month)), i64::from(day))
}

/// Rounds 100 ns ticks to a scale of 0 to 7 digits, half up.
pub fn round_ticks(ticks: i64, scale: u8) -> i64 {
    let unit = 10_i64.pow(u32::from(7_u8.saturating_sub(scale)));
    (ticks + unit / 2).div_euclid(unit) * unit
}

/// Converts 100 ns ticks since 0001-01-01 to `datetime` ticks since 1900-01-01, to the nearest.
pub fn to_datetime_ticks(ticks: i64) -> i64 {
    let day = ticks.div_euclid(DAY) - EPOCH_1900;
    let rest = ticks.rem_euclid(DAY);
    day * DATETIME_DAY + (rest * 3 + 50_000).div_euclid(100_000)
}

/// Converts `datetime` ticks since 1900-01-01 to 100 ns ticks since 0001-01-01.
pub fn from_datetime_ticks(ticks: i64) -> i64 {
    let day = ticks.div_euclid(DATETIME_DAY) + EPOCH_1900;
    let rest = ticks.rem_euclid(DATETIME_DAY);
    day * DAY + (rest * 200_000 + 3).div_euclid(6)
}

/// Returns the time since 0001-01-01 UTC in 100 ns ticks.
pub fn utc_now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    EPOCH_1970 * DAY + i64::try_from(since.as_nanos() / 100).unwrap_or(0)
}
