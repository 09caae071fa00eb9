//! The proleptic Gregorian calendar in whole days, and the two clocks' tick lengths.

/// 100 ns ticks in a day.
pub const DAY: i64 = 864_000_000_000;
/// 100 ns ticks in a second.
pub const SECOND: i64 = 10_000_000;
/// `datetime` ticks (1/300 s) in a day.
pub const DATETIME_DAY: i64 = 300 * 86_400;
/// 1900-01-01 in days since 0001-01-01.
pub const EPOCH_1900: i64 = 693_595;
/// 1970-01-01 in days since 0001-01-01.
pub const EPOCH_1970: i64 = 719_162;
/// 9999-12-31 in days since 0001-01-01.
pub const LAST_DAY: i64 = 3_652_058;
/// 1753-01-01 in days since 0001-01-01: the first day of `datetime`.
pub const FIRST_DATETIME_DAY: i64 = 639_905;

/// True for leap years.
pub fn is_leap(year: i64) -> bool {
    year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
}

/// Days of a month, 0 for a month that does not exist.
pub fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 => 28 + i64::from(is_leap(year)),
        _ => 0,
    }
}

/// Days since 0001-01-01 of a valid date, none for one that does not exist.
pub fn days(year: i64, month: i64, day: i64) -> Option<i64> {
    if !(1..=9999).contains(&year) || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let y = if month <= 2 { year - 1 } else { year };
    let era = y.div_euclid(400);
    let yoe = y.rem_euclid(400);
    let doy = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    let doe = yoe * 365 + yoe / 4 - yoe / 100 + doy;
    Some(era * 146_097 + doe - 306)
}

/// Year, month and day of days since 0001-01-01.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let z = days + 306;
    let era = z.div_euclid(146_097);
    let doe = z.rem_euclid(146_097);
    let yoe = (doe - doe / 1460 + doe / 36_524 - doe / 146_096) / 365;
    let doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    let mp = (5 * doy + 2) / 153;
    let day = doy - (153 * mp + 2) / 5 + 1;
    let month = if mp < 10 { mp + 3 } else { mp - 9 };
    let year = yoe + era * 400 + i64::from(month <= 2);
    (year, month, day)
}

/// Rounds 100 ns ticks to a scale of 0 to 7 digits, half up.
pub fn round_ticks(ticks: i64, scale: u8) -> i64 {
    let unit = 10_i64.pow(u32::from(7_u8.saturating_sub(scale)));
    (ticks + unit / 2).div_euclid(unit) * unit
}

/// 100 ns ticks since 0001-01-01 to `datetime` ticks since 1900-01-01, to the nearest.
pub fn to_datetime_ticks(ticks: i64) -> i64 {
    let day = ticks.div_euclid(DAY) - EPOCH_1900;
    let rest = ticks.rem_euclid(DAY);
    day * DATETIME_DAY + (rest * 3 + 50_000).div_euclid(100_000)
}

/// `datetime` ticks since 1900-01-01 to 100 ns ticks since 0001-01-01.
pub fn from_datetime_ticks(ticks: i64) -> i64 {
    let day = ticks.div_euclid(DATETIME_DAY) + EPOCH_1900;
    let rest = ticks.rem_euclid(DATETIME_DAY);
    day * DAY + (rest * 200_000 + 3).div_euclid(6)
}

/// The time since 0001-01-01 UTC in 100 ns ticks.
pub fn utc_now() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    EPOCH_1970 * DAY + i64::try_from(since.as_nanos() / 100).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_and_civil_are_inverse_over_the_whole_range() {
        assert_eq!(days(1, 1, 1), Some(0));
        assert_eq!(days(1900, 1, 1), Some(EPOCH_1900));
        assert_eq!(days(1970, 1, 1), Some(EPOCH_1970));
        assert_eq!(days(1753, 1, 1), Some(FIRST_DATETIME_DAY));
        assert_eq!(days(9999, 12, 31), Some(LAST_DAY));
        for day in (0..=LAST_DAY).step_by(37) {
            let (y, m, d) = civil(day);
            assert_eq!(days(y, m, d), Some(day));
        }
    }

    #[test]
    fn datetime_ticks_are_thirds_of_a_hundredth() {
        assert_eq!(from_datetime_ticks(1), EPOCH_1900 * DAY + 33_333);
        assert_eq!(from_datetime_ticks(2), EPOCH_1900 * DAY + 66_667);
        for ticks in 0..600 {
            assert_eq!(to_datetime_ticks(from_datetime_ticks(ticks)), ticks);
        }
    }
}
