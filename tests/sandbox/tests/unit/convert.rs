//! The unit tests of `src/value/convert/mod.rs`.

use super::*;
use crate::value::calendar::{self, DATETIME_DAY, EPOCH_1900};
use crate::value::format;

fn cast(value: Datum, from: Ty, to: Ty) -> Result<Datum, i32> {
    datum(value, from, to, DEFAULT_STYLE).map_err(|e| e.number)
}

fn of(text: &str, to: Ty) -> Result<Datum, i32> {
    cast(Datum::Str(text.to_owned()), Ty::NVarChar(100), to)
}

#[test]
fn text_to_datetime_lands_on_ticks_and_refuses_a_fourth_digit() {
    let day = calendar::days(2017, 9, 5).unwrap() - EPOCH_1900;
    assert_eq!(
        of("2017-09-05T00:00:00.001", Ty::DateTime),
        Ok(Datum::DateTime(day * DATETIME_DAY))
    );
    assert_eq!(
        of("2017-09-05T00:00:00.002", Ty::DateTime),
        Ok(Datum::DateTime(day * DATETIME_DAY + 1))
    );
    assert_eq!(
        of("2017-09-05T00:00:00.997", Ty::DateTime),
        Ok(Datum::DateTime(day * DATETIME_DAY + 299))
    );
    assert_eq!(
        of("2017-09-05T23:59:59.999", Ty::DateTime),
        Ok(Datum::DateTime((day + 1) * DATETIME_DAY))
    );
    assert_eq!(of("2017-09-05T00:00:00.1234", Ty::DateTime), Err(241));
    assert_eq!(of("2017-13-05T00:00:00", Ty::DateTime), Err(242));
    assert_eq!(of("2017-13-05T00:00:00", Ty::DateTime2(7)), Err(241));
}

#[test]
fn text_to_numbers_fails_with_the_documented_numbers() {
    assert_eq!(of("abc", Ty::Int), Err(245));
    assert_eq!(of("99999999999", Ty::Int), Err(248));
    assert_eq!(of("abc", Ty::BigInt), Err(8114));
    assert_eq!(of("1.25", Ty::Decimal(3, 1)), Ok(Datum::Dec(13, 1)));
    assert_eq!(of("1000", Ty::Decimal(3, 1)), Err(8115));
    assert_eq!(of("x", Ty::Decimal(3, 1)), Err(8114));
    assert_eq!(cast(Datum::Int(70_000), Ty::Int, Ty::SmallInt), Err(220));
}

#[test]
fn guids_read_and_write_the_mixed_endian_text() {
    let text = "6F9619FF-8B86-D011-B42D-00C04FC964FF";
    let Ok(Datum::Guid(wire)) = of(text, Ty::Guid) else {
        panic!("not a guid")
    };
    assert_eq!(wire[0], 0xFF);
    assert_eq!(format::guid(&wire), text);
}
