//! The family of `decimal(p,s)`, which `numeric(p,s)` is too, `money` and `smallmoney`.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, FixedLenType, TypeInfo, VarLenType};
use tidemark::model::types::{Form, WantedForms};
use tidemark::model::value_text;
use tidemark::model::watermark::WatermarkKind;

use super::SqlType;
use super::family::{Arguments, Catalogued, Family, InTiberius, Precision, Recognised, ValueText};

/// The most digits of a number.
const MOST_DIGITS: u8 = 38;
/// The number of digits of `money` and `smallmoney` after the point.
pub(crate) const MONEY_SCALE: u8 = 4;

/// A type of exact numbers with digits after the point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExactNumber {
    /// `decimal(precision, scale)`.
    Decimal(Precision),
    /// `money`.
    Money,
    /// `smallmoney`.
    SmallMoney,
}

pub(super) const RECOGNISED: Recognised = Recognised {
    declared,
    catalogued: Some(catalogued),
};

/// How the driver of lookups shows these types.
pub(super) const IN_TIBERIUS: InTiberius = InTiberius {
    described,
    read: Some(read),
};

fn decimal(declared: Precision) -> Option<SqlType> {
    let is_one = (1..=MOST_DIGITS).contains(&declared.precision) && declared.scale <= declared.precision;
    is_one.then_some(SqlType::ExactNumber(ExactNumber::Decimal(declared)))
}

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    if name == "decimal" {
        return decimal(arguments.precision_and_scale()?);
    }
    arguments.none()?;
    match name {
        "money" => Some(SqlType::ExactNumber(ExactNumber::Money)),
        "smallmoney" => Some(SqlType::ExactNumber(ExactNumber::SmallMoney)),
        _ => None,
    }
}

fn catalogued(described: &Catalogued<'_>) -> Option<SqlType> {
    match described.name {
        "decimal" | "numeric" => decimal(Precision {
            precision: described.precision.try_into().ok()?,
            scale: described.scale.try_into().ok()?,
        }),
        name => declared(name, Arguments(None)),
    }
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    let number = match info {
        &TypeInfo::VarLenSizedPrecision { precision, scale, .. } => return decimal(Precision { precision, scale }),
        TypeInfo::FixedLen(FixedLenType::Money) => ExactNumber::Money,
        TypeInfo::FixedLen(FixedLenType::Money4) => ExactNumber::SmallMoney,
        TypeInfo::VarLenSized(context) => match (context.r#type(), context.len()) {
            (VarLenType::Money, 8) => ExactNumber::Money,
            (VarLenType::Money, 4) => ExactNumber::SmallMoney,
            _ => return None,
        },
        _ => return None,
    };
    Some(SqlType::ExactNumber(number))
}

pub(super) fn wire_name(wire: Wire, length: usize) -> Option<&'static str> {
    Some(match (wire, length) {
        (Wire::MoneyN, 4) => "smallmoney",
        (Wire::MoneyN, _) => "money",
        _ => return None,
    })
}

/// Reads a decimal. Money is not read, because the driver has already made it a float.
fn read(data: &ColumnData<'_>) -> Option<ValueText> {
    let ColumnData::Numeric(value) = data else {
        return None;
    };
    let text = value.map(|value| {
        let mut text = Vec::new();
        value_text::decimal(&mut text, value.value(), value.scale());
        String::from_utf8_lossy(&text).into_owned()
    });
    Some(Ok(text))
}

impl ExactNumber {
    /// Returns the precision of the decimal as which values are selected, because drivers decode money through a float.
    const fn as_decimal(self) -> Precision {
        match self {
            Self::Decimal(precision) => precision,
            Self::Money => Precision {
                precision: 19,
                scale: MONEY_SCALE,
            },
            Self::SmallMoney => Precision {
                precision: 10,
                scale: MONEY_SCALE,
            },
        }
    }
}

impl fmt::Display for ExactNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Decimal(Precision { precision, scale }) => write!(f, "decimal({precision},{scale})"),
            Self::Money => f.write_str("money"),
            Self::SmallMoney => f.write_str("smallmoney"),
        }
    }
}

impl Family for ExactNumber {
    fn form(&self, _: WantedForms) -> Result<Form, String> {
        let Precision { precision, scale } = self.as_decimal();
        Ok(Form::Decimal { precision, scale })
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        let (wire, length) = (sent.data_type, sent.type_info.length);
        let Precision { precision, scale } = self.as_decimal();
        let is_decimal = matches!(wire, Wire::Decimal | Wire::Numeric | Wire::DecimalN | Wire::NumericN)
            && sent.get_scale() == Some(scale)
            && sent.get_precision().is_some_and(|sent| sent <= precision);
        is_decimal
            || match self {
                Self::Decimal(_) => false,
                Self::Money => wire == Wire::Money || (wire == Wire::MoneyN && length == 8),
                Self::SmallMoney => wire == Wire::Money4 || (wire == Wire::MoneyN && length == 4),
            }
    }

    fn selected(&self) -> Option<SqlType> {
        match self {
            Self::Decimal(_) => None,
            Self::Money | Self::SmallMoney => Some(SqlType::ExactNumber(Self::Decimal(self.as_decimal()))),
        }
    }

    fn watermark(&self) -> Option<WatermarkKind> {
        matches!(self, Self::Decimal(_)).then_some(WatermarkKind::Number)
    }

    /// Writes all digits of the scale, so that `-1.5` at scale 2 becomes `-1.50`. More digits than the type holds are
    /// refused.
    fn canonical(&self, text: &str) -> Option<String> {
        let Self::Decimal(Precision { precision, scale }) = *self else {
            return None;
        };
        let (precision, scale) = (usize::from(precision), usize::from(scale));
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => ("-", digits),
            None => ("", text),
        };
        let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
        let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(fraction) {
            return None;
        }
        let whole = whole.trim_start_matches('0');
        let fraction = fraction.trim_end_matches('0');
        if whole.len() > precision - scale || fraction.len() > scale {
            return None;
        }
        let is_zero = whole.is_empty() && fraction.is_empty();
        let sign = if is_zero { "" } else { sign };
        let whole = if whole.is_empty() { "0" } else { whole };
        Some(if scale == 0 {
            format!("{sign}{whole}")
        } else {
            format!("{sign}{whole}.{fraction:0<scale$}")
        })
    }

    fn precision(&self) -> Option<Precision> {
        Some(self.as_decimal())
    }

    fn holds(&self, source: SqlType) -> bool {
        match (source, self) {
            (_, Self::Decimal(own)) => source.precision().is_some_and(|needed| own.holds(needed)),
            (SqlType::ExactNumber(Self::SmallMoney), Self::Money) => true,
            // Not every number of 19 digits fits into `money`, which has 64 bits.
            (SqlType::ExactNumber(source), _) => source == *self,
            _ => false,
        }
    }
}
