//! The family of `date`, `time(n)`, `smalldatetime`, `datetime`, `datetime2(n)` and `datetimeoffset(n)`.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType as Wire;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{FixedLenType, TypeInfo, VarLenType};
use tidemark::model::format::Timestamps;
use tidemark::model::table::Clock;
use tidemark::model::types::{Digits, Form, Fraction, WantedForms};
use tidemark::model::watermark::WatermarkKind;

use super::SqlType;
use super::family::{Arguments, Below, Catalogued, Family, InTiberius, Recognised, ServerClock};
use super::temporal_text::{date_and_time_of, date_of, read};

/// The fractional digits of a `datetime`, enough to tell its units of 1/300 s apart.
const DATETIME_DIGITS: Digits = 3;
/// The most fractional digits of a second, which are more than microseconds have.
const MOST_DIGITS: Digits = 7;

/// A type of days, times of day, or both. The number is that of the fractional digits of a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Temporal {
    Date,
    Time(Digits),
    SmallDateTime,
    DateTime,
    DateTime2(Digits),
    DateTimeOffset(Digits),
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

fn declared(name: &str, arguments: Arguments<'_>) -> Option<SqlType> {
    let temporal = match name {
        "time" => Temporal::Time(arguments.fraction_digits()?),
        "datetime2" => Temporal::DateTime2(arguments.fraction_digits()?),
        "datetimeoffset" => Temporal::DateTimeOffset(arguments.fraction_digits()?),
        _ => {
            arguments.none()?;
            match name {
                "date" => Temporal::Date,
                "smalldatetime" => Temporal::SmallDateTime,
                "datetime" => Temporal::DateTime,
                _ => return None,
            }
        }
    };
    Some(SqlType::Temporal(temporal))
}

fn catalogued(described: &Catalogued<'_>) -> Option<SqlType> {
    let digits = || {
        Digits::try_from(described.scale)
            .ok()
            .filter(|digits| *digits <= MOST_DIGITS)
    };
    let temporal = match described.name {
        "time" => Temporal::Time(digits()?),
        "datetime2" => Temporal::DateTime2(digits()?),
        "datetimeoffset" => Temporal::DateTimeOffset(digits()?),
        name => return declared(name, Arguments(None)),
    };
    Some(SqlType::Temporal(temporal))
}

fn described(info: &TypeInfo) -> Option<SqlType> {
    let temporal = match info {
        TypeInfo::FixedLen(FixedLenType::Datetime4) => Temporal::SmallDateTime,
        TypeInfo::FixedLen(FixedLenType::Datetime) => Temporal::DateTime,
        TypeInfo::VarLenSized(context) => {
            let digits = || {
                Digits::try_from(context.len())
                    .ok()
                    .filter(|digits| *digits <= MOST_DIGITS)
            };
            match (context.r#type(), context.len()) {
                (VarLenType::Daten, _) => Temporal::Date,
                (VarLenType::Timen, _) => Temporal::Time(digits()?),
                (VarLenType::Datetimen, 4) => Temporal::SmallDateTime,
                (VarLenType::Datetimen, 8) => Temporal::DateTime,
                (VarLenType::Datetime2, _) => Temporal::DateTime2(digits()?),
                (VarLenType::DatetimeOffsetn, _) => Temporal::DateTimeOffset(digits()?),
                _ => return None,
            }
        }
        _ => return None,
    };
    Some(SqlType::Temporal(temporal))
}

pub(super) fn wire_name(wire: Wire, length: usize) -> Option<&'static str> {
    Some(match (wire, length) {
        (Wire::DateTimeN, 4) => "smalldatetime",
        (Wire::DateTimeN, _) => "datetime",
        _ => return None,
    })
}

impl Temporal {
    /// Returns the number of fractional digits of a second.
    const fn digits_of_second(self) -> Digits {
        match self {
            Self::Date | Self::SmallDateTime => 0,
            Self::DateTime => DATETIME_DIGITS,
            Self::Time(digits) | Self::DateTime2(digits) | Self::DateTimeOffset(digits) => digits,
        }
    }

    /// Returns the form in typed files. A time of day is text, because one column of Parquet's TIME makes a file
    /// unreadable for Spark up to 4.0.
    const fn typed(self, timestamps: Timestamps) -> Form {
        let fraction = match (self.fraction(timestamps), self) {
            (_, Self::Date) => return Form::Date,
            (None, _) | (_, Self::Time(_)) => return Form::Iso(self.digits_of_second()),
            (Some(fraction), _) => fraction,
        };
        match self {
            Self::DateTimeOffset(_) => Form::Instant(fraction),
            _ => Form::Timestamp(fraction),
        }
    }

    /// Returns the unit in which typed files hold the type, or `None` when they hold text.
    const fn fraction(self, timestamps: Timestamps) -> Option<Fraction> {
        match timestamps {
            Timestamps::Text => None,
            Timestamps::Ns if self.digits_of_second() == MOST_DIGITS => Some(Fraction::Nanos),
            Timestamps::Us | Timestamps::Ns => Some(Fraction::Micros),
        }
    }

    const fn exact(self) -> Form {
        let digits = self.digits_of_second();
        match self {
            Self::Date => Form::Date,
            Self::Time(_) => Form::TimeTicks(digits),
            Self::DateTimeOffset(_) => Form::TicksAndOffset(digits),
            Self::SmallDateTime | Self::DateTime | Self::DateTime2(_) => Form::Ticks(digits),
        }
    }

    /// Returns whether values show the time of a wall clock without its time zone.
    pub(super) const fn is_without_zone(self) -> bool {
        matches!(self, Self::SmallDateTime | Self::DateTime | Self::DateTime2(_))
    }
}

impl fmt::Display for Temporal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Date => f.write_str("date"),
            Self::Time(digits) => write!(f, "time({digits})"),
            Self::SmallDateTime => f.write_str("smalldatetime"),
            Self::DateTime => f.write_str("datetime"),
            Self::DateTime2(digits) => write!(f, "datetime2({digits})"),
            Self::DateTimeOffset(digits) => write!(f, "datetimeoffset({digits})"),
        }
    }
}

impl Family for Temporal {
    fn form(&self, wanted: WantedForms) -> Result<Form, String> {
        Ok(match wanted {
            WantedForms::Typed { timestamps, .. } => self.typed(timestamps),
            WantedForms::Exact { .. } => self.exact(),
        })
    }

    fn native(&self, wanted: WantedForms) -> Option<Form> {
        match (self, wanted) {
            (Self::Time(_), WantedForms::Typed { timestamps, .. }) => self.fraction(timestamps).map(Form::Time),
            _ => None,
        }
    }

    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool {
        let (wire, length) = (sent.data_type, sent.type_info.length);
        let has_digits = |digits| sent.get_scale() == Some(digits);
        match *self {
            Self::Date => wire == Wire::DateN,
            Self::Time(digits) => wire == Wire::TimeN && has_digits(digits),
            Self::SmallDateTime => wire == Wire::DateTim4 || (wire == Wire::DateTimeN && length == 4),
            Self::DateTime => wire == Wire::DateTime || (wire == Wire::DateTimeN && length == 8),
            Self::DateTime2(digits) => wire == Wire::DateTime2N && has_digits(digits),
            Self::DateTimeOffset(digits) => wire == Wire::DateTimeOffsetN && has_digits(digits),
        }
    }

    fn watermark(&self) -> Option<WatermarkKind> {
        (!matches!(self, Self::Time(_))).then_some(WatermarkKind::Time)
    }

    /// Accepts a fraction with fewer digits than the type has, or with more if those are zeros.
    fn canonical(&self, text: &str) -> Option<String> {
        match *self {
            Self::Date => date_of(text),
            Self::Time(_) => None,
            // A smalldatetime is a whole minute.
            Self::SmallDateTime => date_and_time_of(text, 0).filter(|text| text.ends_with(":00")),
            // A datetime has units of 1/300 s, which SQL Server shows with these last digits.
            Self::DateTime => date_and_time_of(text, DATETIME_DIGITS).filter(|text| text.ends_with(['0', '3', '7'])),
            Self::DateTime2(digits) => date_and_time_of(text, digits),
            Self::DateTimeOffset(digits) => {
                let text = date_and_time_of(text.strip_suffix('Z')?, digits)?;
                Some(format!("{text}Z"))
            }
        }
    }

    fn clock(&self, clock: Clock) -> Option<ServerClock> {
        match (self, clock) {
            (Self::Time(_), _) => None,
            (Self::DateTimeOffset(_), _) => Some(ServerClock::WithOffset),
            (_, Clock::Utc) => Some(ServerClock::Utc),
            (_, Clock::Local) => Some(ServerClock::Local),
        }
    }

    /// Excludes a day or a minute that is still running: later rows could carry the same value, and the next window
    /// begins after it. A `smalldatetime` rounds to the nearest minute, so half a minute is subtracted first. A day has to
    /// be over on the wall clock, too: west of Greenwich it runs on there when it is over in UTC, and rows may be stamped by
    /// either clock.
    fn below_clock(&self, clock: Clock) -> Option<Below> {
        Some(Below {
            clock: self.clock(clock)?,
            minus_secs: if *self == Self::SmallDateTime { 30 } else { 0 },
            includes_it: !matches!(self, Self::Date | Self::SmallDateTime),
            also_local: *self == Self::Date && clock == Clock::Utc,
        })
    }

    fn holds(&self, source: SqlType) -> bool {
        let SqlType::Temporal(source) = source else {
            return false;
        };
        match (source, *self) {
            (Self::Date | Self::SmallDateTime, Self::DateTime2(_)) | (Self::SmallDateTime, Self::DateTime) => true,
            (Self::DateTime, Self::DateTime2(digits)) => digits >= DATETIME_DIGITS,
            (Self::Time(needed), Self::Time(digits))
            | (Self::DateTime2(needed), Self::DateTime2(digits))
            | (Self::DateTimeOffset(needed), Self::DateTimeOffset(digits)) => needed <= digits,
            (source, sink) => source == sink,
        }
    }
}
