//! The unit tests of `src/value/parse.rs`.

use super::*;

fn at(y: i64, m: i64, d: i64, time: i64) -> (Option<i64>, i64) {
    (calendar::days(y, m, d), time * calendar::SECOND)
}

#[test]
fn the_documented_forms_are_read() {
    for (text, want) in [
        ("9/1/2017 12:56:00 AM", at(2017, 9, 1, 56 * 60)),
        ("1/1/2010 12:00:00 AM", at(2010, 1, 1, 0)),
        ("1/1/2015 0:00:00 AM", at(2015, 1, 1, 0)),
        ("2017-09-08T00:00:00Z", at(2017, 9, 8, 0)),
        ("20170908 11:00 pm", at(2017, 9, 8, 23 * 3600)),
        ("2017-09-08 01:02:03", at(2017, 9, 8, 3723)),
        ("", at(1900, 1, 1, 0)),
    ] {
        let got = moment(text).unwrap();
        assert_eq!((got.date, got.time), want, "{text}");
    }
    assert_eq!(moment("2017-09-08 01:02:03.1234567 +05:30").unwrap().offset, Some(330));
    assert_eq!(moment("12:30").unwrap().date, None);
}

#[test]
fn what_is_no_date_is_told_from_what_is_out_of_range() {
    assert_eq!(moment("soon"), Err(Bad::Syntax));
    assert_eq!(moment("2017-09-08x"), Err(Bad::Syntax));
    assert_eq!(moment("13/13/2017"), Err(Bad::Range));
    assert_eq!(moment("2017-02-29"), Err(Bad::Range));
    assert_eq!(moment("2017-09-08 24:00:00"), Err(Bad::Range));
}
