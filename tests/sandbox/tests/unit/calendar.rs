//! The unit tests of `src/value/calendar.rs`.

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
