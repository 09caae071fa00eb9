//! Tests properties of every text of a watermark. `PROPTEST_CASES` sets how many texts are tried for each.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use proptest::prelude::*;
use proptest::sample::select;
use tidemark::model::types::TypeName;
use tidemark::model::value_text;
use tidemark::model::watermark::Watermark;
use tidemark::ports::source::KnowTypes;
use tidemark_sqlserver::login::Login;
use tidemark_sqlserver::session::Server;

/// Texts with the characters that matter to the parsers.
const NEAR_WATERMARK: &str = "(?s:[-+0-9.:TZ /e]{0,40}|.{0,20})";

/// Makes a server to which nobody connects.
fn server() -> Server {
    Server::new(Login::new("localhost", 1, "u", "p", "d"))
}

fn sql_type(text: &str) -> TypeName {
    TypeName::new(text).unwrap()
}

fn watermark_type() -> impl Strategy<Value = String> {
    let plain = [
        "tinyint",
        "smallint",
        "int",
        "bigint",
        "date",
        "smalldatetime",
        "datetime",
        "rowversion",
    ];
    prop_oneof![
        select(plain.to_vec()).prop_map(str::to_owned),
        (0..=7_u8).prop_map(|digits| format!("datetime2({digits})")),
        (0..=7_u8).prop_map(|digits| format!("datetimeoffset({digits})")),
        (1..=38_u8)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| format!("decimal({precision},{scale})")),
    ]
}

/// Returns the numbers in a type's parentheses.
fn arguments(sql_type: &str) -> Vec<u8> {
    let inside = sql_type.split(['(', ')', ',']).skip(1);
    inside.filter_map(|number| number.parse().ok()).collect()
}

/// Generates a value of the type in its canonical text, without the code that reads it.
fn canonical(sql_type: &str) -> BoxedStrategy<String> {
    let day = |years: std::ops::RangeInclusive<u32>| {
        // Every month has these days.
        (years, 1..=12_u32, 1..=28_u32).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
    };
    let clock = || (0..24_u32, 0..60_u32, 0..60_u32).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
    let fraction = |digits: u8| {
        (0..10_u32.pow(digits.into())).prop_map(move |units| match digits {
            0 => String::new(),
            _ => format!(".{units:0width$}", width = usize::from(digits)),
        })
    };
    match (sql_type.split('(').next().unwrap(), arguments(sql_type).as_slice()) {
        ("tinyint", _) => any::<u8>().prop_map(|value| value.to_string()).boxed(),
        ("smallint", _) => any::<i16>().prop_map(|value| value.to_string()).boxed(),
        ("int", _) => any::<i32>().prop_map(|value| value.to_string()).boxed(),
        ("bigint", _) => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        ("decimal", &[precision, scale]) => decimal(precision, scale).boxed(),
        ("rowversion", _) => any::<u64>().prop_map(|value| format!("0x{value:016X}")).boxed(),
        ("date", _) => day(1..=9999).boxed(),
        ("smalldatetime", _) => (day(1900..=2078), 0..24_u32, 0..60_u32)
            .prop_map(|(day, h, m)| format!("{day}T{h:02}:{m:02}:00"))
            .boxed(),
        ("datetime", _) => (day(1753..=9999), clock(), 0..300_u32)
            .prop_map(|(day, clock, ticks)| format!("{day}T{clock}.{:03}", (ticks * 10 + 1) / 3))
            .boxed(),
        ("datetime2", &[digits]) => (day(1..=9999), clock(), fraction(digits))
            .prop_map(|(day, clock, fraction)| format!("{day}T{clock}{fraction}"))
            .boxed(),
        ("datetimeoffset", &[digits]) => (day(1..=9999), clock(), fraction(digits))
            .prop_map(|(day, clock, fraction)| format!("{day}T{clock}{fraction}Z"))
            .boxed(),
        (other, _) => panic!("{other} is no type of a watermark"),
    }
}

fn decimal(precision: u8, scale: u8) -> impl Strategy<Value = String> {
    let limit = 10_i128.pow(precision.into());
    (1 - limit..limit).prop_map(move |unscaled| {
        let mut text = Vec::new();
        value_text::decimal(&mut text, unscaled, scale);
        String::from_utf8(text).unwrap()
    })
}

fn typed_watermark() -> impl Strategy<Value = (TypeName, String)> {
    watermark_type().prop_flat_map(|name| (Just(sql_type(&name)), canonical(&name)))
}

proptest! {
    #[test]
    fn any_text_is_a_watermark_in_one_form_or_none(name in watermark_type(), text in NEAR_WATERMARK) {
        let (server, name) = (server(), sql_type(&name));
        if let Ok(watermark) = server.watermark(&name, &text) {
            prop_assert_eq!(&server.watermark(&name, watermark.value()).unwrap(), &watermark);
        }
    }

    #[test]
    fn any_value_of_a_watermark_keeps_its_text((name, text) in typed_watermark()) {
        let watermark = server().watermark(&name, &text).unwrap();
        prop_assert_eq!(watermark, Watermark::new(name, text).unwrap());
    }
}
