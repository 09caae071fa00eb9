//! Watermarks and the windows that begin after them.

use proptest::prelude::*;
use proptest::sample::select;
use tidemark::model::types::TypeName;
use tidemark::model::value_text;
use tidemark::model::watermark::Watermark;
use tidemark::model::window::WindowName;

/// Texts of characters that watermarks have.
const NEAR_WATERMARK: &str = "(?s:[-+0-9.:TZ /e]{0,40}|.{0,20})";

/// The kinds of watermarks, by how their texts look.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Whole(&'static str),
    Decimal { precision: u8, scale: u8 },
    RowVersion,
    Date,
    Moment { digits: u8, is_utc: bool },
}

impl Kind {
    fn sql_type(self) -> String {
        match self {
            Self::Whole(name) => name.to_owned(),
            Self::Decimal { precision, scale } => format!("decimal({precision},{scale})"),
            Self::RowVersion => "rowversion".to_owned(),
            Self::Date => "date".to_owned(),
            Self::Moment { digits, is_utc: true } => format!("datetimeoffset({digits})"),
            Self::Moment { digits, is_utc: false } => format!("datetime2({digits})"),
        }
    }
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![
        select(vec!["tinyint", "smallint", "int", "bigint"]).prop_map(Kind::Whole),
        Just(Kind::RowVersion),
        Just(Kind::Date),
        (0..=7_u8, any::<bool>()).prop_map(|(digits, is_utc)| Kind::Moment { digits, is_utc }),
        (1..=38_u8)
            .prop_flat_map(|precision| (Just(precision), 0..=precision))
            .prop_map(|(precision, scale)| Kind::Decimal { precision, scale }),
    ]
}

/// Makes a value in its canonical text.
fn canonical(kind: Kind) -> BoxedStrategy<String> {
    // A day that every month has.
    let day = || {
        (1..=9999_u32, 1..=12_u32, 1..=28_u32).prop_map(|(year, month, day)| format!("{year:04}-{month:02}-{day:02}"))
    };
    match kind {
        Kind::Whole("tinyint") => any::<u8>().prop_map(|value| value.to_string()).boxed(),
        Kind::Whole("smallint") => any::<i16>().prop_map(|value| value.to_string()).boxed(),
        Kind::Whole("int") => any::<i32>().prop_map(|value| value.to_string()).boxed(),
        Kind::Whole(_) => any::<i64>().prop_map(|value| value.to_string()).boxed(),
        Kind::Decimal { precision, scale } => decimal(precision, scale).boxed(),
        Kind::RowVersion => any::<u64>().prop_map(|value| format!("0x{value:016X}")).boxed(),
        Kind::Date => day().boxed(),
        Kind::Moment { digits, is_utc } => {
            let clock = (0..24_u32, 0..60_u32, 0..60_u32).prop_map(|(h, m, s)| format!("{h:02}:{m:02}:{s:02}"));
            let fraction = (0..10_u32.pow(digits.into())).prop_map(move |units| match digits {
                0 => String::new(),
                _ => format!(".{units:0width$}", width = usize::from(digits)),
            });
            let zone = if is_utc { "Z" } else { "" };
            (day(), clock, fraction)
                .prop_map(move |(day, clock, fraction)| format!("{day}T{clock}{fraction}{zone}"))
                .boxed()
        }
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

fn read(kind: Kind, text: &str) -> Watermark {
    Watermark::new(TypeName::new(kind.sql_type()).unwrap(), text).unwrap()
}

/// Makes any watermark.
pub fn watermark() -> impl Strategy<Value = Watermark> {
    let value = kind().prop_flat_map(|kind| (Just(kind), canonical(kind)));
    value.prop_map(|(kind, text)| read(kind, &text))
}

/// Makes two watermarks of one type.
fn two_watermarks() -> impl Strategy<Value = (Watermark, Watermark)> {
    let values = kind().prop_flat_map(|kind| (Just(kind), canonical(kind), canonical(kind)));
    values.prop_map(|(kind, one, other)| (read(kind, &one), read(kind, &other)))
}

proptest! {
    #[test]
    fn any_text_is_carried_as_it_is_or_refused(text in NEAR_WATERMARK) {
        if let Ok(watermark) = Watermark::new(TypeName::new("int").unwrap(), text.as_str()) {
            prop_assert_eq!(watermark.value(), text.as_str());
            let json = serde_json::to_string(&watermark).unwrap();
            prop_assert_eq!(&serde_json::from_str::<Watermark>(&json).unwrap(), &watermark);
            let window = WindowName::after(&watermark);
            prop_assert_eq!(&WindowName::try_from(window.to_string()).unwrap(), &window);
        }
    }

    #[test]
    fn any_watermark_keeps_its_type_and_text(watermark in watermark()) {
        let json = serde_json::to_value(&watermark).unwrap();
        let expected = serde_json::json!({ "type": watermark.sql_type().as_str(), "value": watermark.value() });
        prop_assert_eq!(&json, &expected);
        prop_assert_eq!(serde_json::from_value::<Watermark>(json).unwrap(), watermark);
    }

    #[test]
    fn different_watermarks_begin_different_windows((one, other) in two_watermarks()) {
        prop_assert_eq!(one == other, WindowName::after(&one) == WindowName::after(&other));
    }

    #[test]
    fn a_window_is_named_safely_whatever_a_store_holds(text in "(?s:.{0,60})") {
        let named = WindowName::after_text(&text).to_string();
        prop_assert!(named.chars().all(|c| c.is_ascii_alphanumeric() || "-._".contains(c)), "{}", named);
        if let Ok(window) = WindowName::try_from(text.clone()) {
            prop_assert_eq!(window.as_str(), text.as_str());
        }
    }
}
