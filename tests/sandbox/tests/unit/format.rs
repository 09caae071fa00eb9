//! The unit tests of `src/value/format.rs`.

use super::*;

#[test]
fn numbers_read_as_the_server_writes_them() {
    assert_eq!(decimal(-5, 2), "-0.05");
    assert_eq!(money(12_345_678_900, 4, 0), "1234567.89");
    assert_eq!(general(0.1), "0.1");
    assert_eq!(general(123_456_789.0), "1.23457e+008");
    assert_eq!(general(1.5), "1.5");
}

#[test]
fn datetime_shows_milliseconds_of_its_ticks() {
    let base = (calendar::days(2017, 9, 1).unwrap() - EPOCH_1900) * DATETIME_DAY;
    let show = |ticks: i64| text(&Datum::DateTime(base + ticks), Ty::DateTime, 121).unwrap();
    assert_eq!(show(0), "2017-09-01 00:00:00.000");
    assert_eq!(show(1), "2017-09-01 00:00:00.003");
    assert_eq!(show(2), "2017-09-01 00:00:00.007");
    assert_eq!(show(299), "2017-09-01 00:00:00.997");
    assert_eq!(
        text(&Datum::DateTime(base), Ty::DateTime, DEFAULT_STYLE).unwrap(),
        "Sep  1 2017 12:00AM"
    );
}
