//! The text of single values, written into a byte buffer.
//!
//! Days count from 0001-01-01, and ticks are 100 ns: the units of SQL Server's own types.

/// The number of ticks in a day.
pub const DAY_TICKS: i64 = 86_400 * SECOND_TICKS;
/// The number of ticks in a second.
pub const SECOND_TICKS: i64 = 10_000_000;
/// The number of days from 0001-01-01 to 1970-01-01.
pub const UNIX_EPOCH_DAYS: i64 = 719_162;

/// The text form of a date with a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// `2017-09-01 00:56:00.000`, `…+02:00`: as SQL Server shows it, but without a blank before the offset, which not
    /// every reader takes.
    Sql,
    /// `2017-09-01T00:56:00.000`, `…+02:00`: ISO 8601.
    Iso,
}

/// Returns the last two digits of a number.
#[inline]
const fn two_digits(value: u32) -> [u8; 2] {
    let value = (value % 100) as u8;
    [b'0' + value / 10, b'0' + value % 10]
}

/// Returns the year, month and day of a day number, by Neri and Schneider, "Euclidean affine functions and their
/// application to calendar algorithms" (2023, <https://doi.org/10.1002/spe.3172>).
#[inline]
const fn civil(days: u32) -> (u32, u32, u32) {
    // Days since 0000-03-01, the first day of a 400-year era, in quarters.
    let quarters = 4 * (days + 306) + 3;
    let century = quarters / 146_097;
    let of_century = (quarters % 146_097) | 3;
    let product = 2_939_745 * of_century as u64;
    let year_of_century = (product >> 32) as u32;
    let day_of_year = (product as u32) / 2_939_745 / 4;
    let shifted = 2_141 * day_of_year + 197_913;
    let (month, day) = (shifted >> 16, (shifted & 0xFFFF) / 2_141 + 1);
    let is_of_next_year = day_of_year >= 306;
    let year = 100 * century + year_of_century + is_of_next_year as u32;
    (year, if is_of_next_year { month - 12 } else { month }, day)
}

/// Returns `2017-09-01` for days since 0001-01-01, and the digits of the year before its last four.
#[inline]
fn date_text(days: i64) -> ([u8; 10], u32) {
    let (year, month, day) = civil(u32::try_from(days).unwrap_or(0));
    let ([c, x], [y, z]) = (two_digits(year / 100), two_digits(year));
    let ([m, n], [d, e]) = (two_digits(month), two_digits(day));
    ([c, x, y, z, b'-', m, n, b'-', d, e], year / 10_000)
}

/// Returns `00:56:00.0000000` for ticks of the day.
#[inline]
fn time_text(ticks: u64) -> [u8; 16] {
    const TICKS: u64 = SECOND_TICKS.unsigned_abs();
    let seconds = (ticks / TICKS) as u32;
    let fraction = (ticks % TICKS) as u32;
    let [[h, i], [m, n], [s, t]] = [seconds / 3_600, seconds / 60 % 60, seconds % 60].map(two_digits);
    let [[a, b], [c, d], [e, f], [_, g]] =
        [fraction / 100_000, fraction / 1_000, fraction / 10, fraction % 10].map(two_digits);
    [h, i, b':', m, n, b':', s, t, b'.', a, b, c, d, e, f, g]
}

/// Returns the length of a time with so many digits (0 to 7) after the point.
#[inline]
fn time_length(digits: u8) -> usize {
    match digits {
        0 => 8,
        digits => 9 + usize::from(digits.min(7)),
    }
}

/// Appends a day, `2017-09-01`, given as days since 0001-01-01. A negative number, which no day of SQL Server has, is
/// written as the first day.
pub fn date(out: &mut Vec<u8>, days: i64) {
    let (text, more_years) = date_text(days);
    if more_years > 0 {
        integer(out, more_years);
    }
    out.extend_from_slice(&text);
}

/// Appends a time, given as ticks of the day: `00:56:00.0000000` with `digits` (0 to 7) after the point. Further digits
/// are cut off.
pub fn time(out: &mut Vec<u8>, ticks: i64, digits: u8) {
    out.extend_from_slice(&time_text(ticks.unsigned_abs())[..time_length(digits)]);
}

/// Appends a date and time, given as ticks since 0001-01-01.
pub fn timestamp(out: &mut Vec<u8>, ticks: i64, digits: u8, style: Style) {
    let (day, more_years) = date_text(ticks.div_euclid(DAY_TICKS));
    if more_years > 0 {
        integer(out, more_years);
    }
    let mut text = [0; 27];
    text[..10].copy_from_slice(&day);
    text[10] = match style {
        Style::Sql => b' ',
        Style::Iso => b'T',
    };
    text[11..].copy_from_slice(&time_text(ticks.rem_euclid(DAY_TICKS).unsigned_abs()));
    out.extend_from_slice(&text[..11 + time_length(digits)]);
}

/// Appends a date and time with its offset, given as ticks in UTC and the offset in minutes. It is written in local
/// time.
pub fn timestamp_with_offset(out: &mut Vec<u8>, utc_ticks: i64, offset_minutes: i16, digits: u8, style: Style) {
    let local = utc_ticks + i64::from(offset_minutes) * 60 * SECOND_TICKS;
    timestamp(out, local, digits, style);
    let sign = if offset_minutes < 0 { b'-' } else { b'+' };
    let minutes = u32::from(offset_minutes.unsigned_abs());
    let ([h, i], [m, n]) = (two_digits(minutes / 60), two_digits(minutes % 60));
    out.extend_from_slice(&[sign, h, i, b':', m, n]);
}

/// Appends the exact text of `unscaled / 10^scale`, with all `scale` digits.
pub fn decimal(out: &mut Vec<u8>, unscaled: i128, scale: u8) {
    if unscaled < 0 {
        out.push(b'-');
    }
    let mut buffer = itoa::Buffer::new();
    let magnitude = unscaled.unsigned_abs();
    // Nearly all magnitudes fit 64 bits, and their digits are found several times as fast.
    let digits = match u64::try_from(magnitude) {
        Ok(short) => buffer.format(short).as_bytes(),
        Err(_) => buffer.format(magnitude).as_bytes(),
    };
    let scale = usize::from(scale);
    match digits.len().checked_sub(scale) {
        Some(whole) if whole > 0 => {
            out.extend_from_slice(&digits[..whole]);
            if scale > 0 {
                out.push(b'.');
                out.extend_from_slice(&digits[whole..]);
            }
        }
        _ => {
            out.extend_from_slice(b"0.");
            out.extend(std::iter::repeat_n(b'0', scale - digits.len()));
            out.extend_from_slice(digits);
        }
    }
}

/// Appends an integer.
pub fn integer(out: &mut Vec<u8>, value: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

/// Appends the shortest text that is read back as the same `real` or `float`.
pub fn float(out: &mut Vec<u8>, value: impl zmij::Float) {
    out.extend_from_slice(zmij::Buffer::new().format(value).as_bytes());
}

/// Appends a UUID, `6F9619FF-8B86-D011-B42D-00C04FC964FF`, from its bytes in the order of the text.
pub fn uuid(out: &mut Vec<u8>, bytes: &[u8; 16]) {
    let mut text = [b'-'; 36];
    let digits = digits(bytes);
    text[..8].copy_from_slice(&digits[..8]);
    text[9..13].copy_from_slice(&digits[8..12]);
    text[14..18].copy_from_slice(&digits[12..16]);
    text[19..23].copy_from_slice(&digits[16..20]);
    text[24..].copy_from_slice(&digits[20..]);
    out.extend_from_slice(&text);
}

/// Appends bytes in hexadecimal: `0x00000000000007D1`.
pub fn hex(out: &mut Vec<u8>, bytes: &[u8]) {
    out.reserve(2 + bytes.len() * 2);
    out.extend_from_slice(b"0x");
    let (pieces, rest) = bytes.as_chunks::<16>();
    for piece in pieces {
        out.extend_from_slice(&digits(piece));
    }
    for byte in rest {
        out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
    }
}

/// Returns the hexadecimal digits of bytes. Four bytes become eight digits in one number, without a table.
#[inline]
fn digits(bytes: &[u8; 16]) -> [u8; 32] {
    let mut digits = [0; 32];
    for (eight, four) in digits.as_chunks_mut::<8>().0.iter_mut().zip(bytes.as_chunks::<4>().0) {
        let number = u64::from(u32::from_be_bytes(*four));
        // Each four bits get a byte of their own.
        let number = (number | number << 16) & 0x0000_FFFF_0000_FFFF;
        let number = (number | number << 8) & 0x00FF_00FF_00FF_00FF;
        let number = (number | number << 4) & 0x0F0F_0F0F_0F0F_0F0F;
        // One in each byte that is more than nine. Its letter lies seven places after where a digit would be.
        let letters = (number + 0x0606_0606_0606_0606) >> 4 & 0x0101_0101_0101_0101;
        *eight = (number + 0x3030_3030_3030_3030 + letters * 7).to_be_bytes();
    }
    digits
}

const fn digit(value: u8) -> u8 {
    value + if value < 10 { b'0' } else { b'A' - 10 }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        write(&mut out);
        String::from_utf8(out).unwrap()
    }

    /// 9999-12-31
    const LAST_DAY: i64 = 3_652_058;

    #[test]
    fn dates_and_times_at_their_edges() {
        for (days, expected) in [
            (0, "0001-01-01"),
            (LAST_DAY, "9999-12-31"),
            (UNIX_EPOCH_DAYS, "1970-01-01"),
            (693_595, "1900-01-01"),
            (730_178, "2000-02-29"),
        ] {
            assert_eq!(text(|out| date(out, days)), expected);
        }
        for (ticks, digits, expected) in [
            (0, 0, "00:00:00"),
            (DAY_TICKS - 1, 7, "23:59:59.9999999"),
            (DAY_TICKS - 1, 3, "23:59:59.999"),
            (12_345, 7, "00:00:00.0012345"),
        ] {
            assert_eq!(text(|out| time(out, ticks, digits)), expected);
        }
        let last = LAST_DAY * DAY_TICKS + DAY_TICKS - 1;
        assert_eq!(
            text(|out| timestamp(out, last, 7, Style::Sql)),
            "9999-12-31 23:59:59.9999999"
        );
        assert_eq!(text(|out| timestamp(out, 0, 0, Style::Iso)), "0001-01-01T00:00:00");
    }

    #[test]
    fn each_day_follows_the_one_before() {
        let mut expected = (1, 1, 1);
        for days in 0..=3_652_058 {
            assert_eq!(civil(days), expected);
            let (year, month, day) = expected;
            let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
            let last = match month {
                2 => 28 + u32::from(is_leap_year),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (_, day) if day == last => (year, month + 1, 1),
                _ => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn an_offset_is_written_with_the_local_time() {
        let utc = UNIX_EPOCH_DAYS * DAY_TICKS;
        for (offset, style, expected) in [
            (120, Style::Sql, "1970-01-01 02:00:00.0000000+02:00"),
            (-570, Style::Iso, "1969-12-31T14:30:00.0000000-09:30"),
            (0, Style::Iso, "1970-01-01T00:00:00.0000000+00:00"),
            (-1, Style::Sql, "1969-12-31 23:59:00.0000000-00:01"),
        ] {
            assert_eq!(text(|out| timestamp_with_offset(out, utc, offset, 7, style)), expected);
        }
    }

    #[test]
    fn decimals_keep_every_digit() {
        for (unscaled, scale, expected) in [
            (0, 0, "0"),
            (0, 4, "0.0000"),
            (5, 1, "0.5"),
            (-5, 2, "-0.05"),
            (123_456, 3, "123.456"),
            (-123_456, 0, "-123456"),
            (9_223_372_036_854_775_807, 4, "922337203685477.5807"),
            (-9_223_372_036_854_775_808, 4, "-922337203685477.5808"),
            (10_i128.pow(38) - 1, 38, "0.99999999999999999999999999999999999999"),
            (1 - 10_i128.pow(38), 0, "-99999999999999999999999999999999999999"),
        ] {
            assert_eq!(text(|out| decimal(out, unscaled, scale)), expected);
        }
    }

    #[test]
    fn bytes_floats_and_guids() {
        assert_eq!(text(|out| hex(out, &[0, 0, 7, 0xD1])), "0x000007D1");
        assert_eq!(text(|out| hex(out, &[])), "0x");
        let guid: [u8; 16] = [
            0x6F, 0x96, 0x19, 0xFF, 0x8B, 0x86, 0xD0, 0x11, 0xB4, 0x2D, 0, 0xC0, 0x4F, 0xC9, 0x64, 0xFF,
        ];
        assert_eq!(text(|out| uuid(out, &guid)), "6F9619FF-8B86-D011-B42D-00C04FC964FF");
        assert_eq!(text(|out| float(out, 0.1_f32)), "0.1");
        assert_eq!(text(|out| float(out, 1.0_f64)), "1.0");
        assert_eq!(text(|out| integer(out, i64::MIN)), "-9223372036854775808");
    }

    proptest! {
        #[test]
        fn a_date_is_the_calendars(days in 0..=LAST_DAY) {
            let expected = time::Date::from_julian_day(1_721_426 + i32::try_from(days).unwrap()).unwrap();
            prop_assert_eq!(text(|out| date(out, days)), expected.to_string());
        }

        #[test]
        fn a_float_reads_back_to_the_last_bit(bits: u64) {
            let value = f64::from_bits(bits);
            prop_assume!(value.is_finite());
            let read: f64 = text(|out| float(out, value)).parse().unwrap();
            prop_assert_eq!(read.to_bits(), bits);
        }

        #[test]
        fn a_decimal_reads_back(unscaled in -(10_i128.pow(38) - 1)..10_i128.pow(38), scale in 0_u8..=38) {
            let written = text(|out| decimal(out, unscaled, scale));
            let read: i128 = written.replace('.', "").parse().unwrap();
            prop_assert_eq!(read, unscaled);
            prop_assert_eq!(written.split_once('.').map_or(0, |(_, fraction)| fraction.len()), usize::from(scale));
        }

        #[test]
        fn a_time_reads_back(ticks in 0..DAY_TICKS) {
            let written = text(|out| time(out, ticks, 7));
            let number = |range: std::ops::Range<usize>| written[range].parse::<i64>().unwrap();
            let seconds = number(0..2) * 3_600 + number(3..5) * 60 + number(6..8);
            prop_assert_eq!(seconds * SECOND_TICKS + number(9..16), ticks);
        }
    }
}
