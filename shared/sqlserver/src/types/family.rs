//! The trait of the types of a family, and the functions by which a family recognises its types.

use std::fmt;

use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, TypeInfo};
use tidemark::model::table::Clock;
use tidemark::model::types::{Form, WantedForms};
use tidemark::model::watermark::WatermarkKind;

use super::SqlType;

/// How the server makes a value of a type from its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conversion {
    /// By a cast.
    Cast,
    /// By a conversion of style 1: text with `0x` becomes the bytes it shows, and a document keeps its white space.
    Style1,
}

/// A clock of the server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerClock {
    /// The time in UTC.
    Utc,
    /// The time of the server's wall clock.
    Local,
    /// The time of the server's wall clock, with its difference from UTC.
    WithOffset,
}

/// The server's clock as the upper bound of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Below {
    /// The clock, converted to the type of the time.
    pub(crate) clock: ServerClock,
    /// The seconds that are subtracted from the clock first, because the conversion rounds up.
    pub(crate) minus_secs: u8,
    /// Whether a time that equals the clock is below the bound.
    pub(crate) includes_it: bool,
    /// Whether the wall clock bounds the time as well. Where it is behind, values that it stamps may still be to come
    /// although the other clock has passed them.
    pub(crate) also_local: bool,
}

/// The most digits that an exact number has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Precision {
    /// The number of digits in all.
    pub(super) precision: u8,
    /// The number of digits after the point.
    pub(super) scale: u8,
}

impl Precision {
    /// Returns whether numbers of this precision are all numbers of the other one.
    pub(super) const fn holds(self, other: Self) -> bool {
        other.scale <= self.scale && other.precision - other.scale <= self.precision - self.scale
    }
}

/// A type of a family. The methods with a default concern only few types. `Display` writes the type as a statement
/// declares it.
pub(super) trait Family: fmt::Display {
    /// Returns the form of the values, or the reason why they cannot be copied, as the end of a sentence about the
    /// column.
    fn form(&self, wanted: WantedForms) -> Result<Form, String>;

    /// Returns the native form in typed files, if it differs from [`form`](Self::form), which more readers open.
    fn native(&self, _wanted: WantedForms) -> Option<Form> {
        None
    }

    /// Returns whether a result's column of mssql-tds carries the values exactly.
    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool;

    /// Returns whether each value has a type of its own, so that values of every type arrive in a column of this one.
    fn is_of_any_type(&self) -> bool {
        false
    }

    /// Returns the type as which values are selected, if they would not arrive exactly as they are.
    fn selected(&self) -> Option<SqlType> {
        None
    }

    /// Returns what a watermark column of this type counts, or `None` when the type cannot be a watermark.
    fn watermark(&self) -> Option<WatermarkKind> {
        None
    }

    /// Returns whether windows can be cut into slices at values of this type.
    fn cuts(&self) -> bool {
        self.watermark().is_some()
    }

    /// Returns the canonical text of a watermark or a value at which slices are cut, or `None` when `text` is not a
    /// value of the type.
    fn canonical(&self, _text: &str) -> Option<String> {
        None
    }

    /// Returns the type of a variable that holds a value for comparisons, if it cannot be this one.
    fn of_variable(&self) -> Option<SqlType> {
        None
    }

    /// Returns how the server makes a value from its text.
    fn of_text(&self) -> Conversion {
        Conversion::Cast
    }

    /// Returns the server's clock to compare values with, or `None` when the type is not a time.
    fn clock(&self, _clock: Clock) -> Option<ServerClock> {
        None
    }

    /// Returns the bound that keeps a watermark below the server's clock, or `None` when the type is not a time.
    fn below_clock(&self, _clock: Clock) -> Option<Below> {
        None
    }

    /// Returns the most digits of a number, or `None` when the type is not one of exact numbers.
    fn precision(&self) -> Option<Precision> {
        None
    }

    /// Returns whether a column of this type holds every value of type `source` unchanged, without rounding, cutting or
    /// padding, when the server converts it implicitly.
    fn holds(&self, source: SqlType) -> bool;

    /// Returns whether values can be compared and have a limited length, as a merge's key requires.
    fn can_be_key(&self) -> bool {
        true
    }

    /// Returns the type in which values are staged for a column of type `sink`, if it is another one.
    fn staged_for(&self, _sink: SqlType) -> Option<SqlType> {
        None
    }

    /// Returns the type in which values of a legacy type are compared and assigned.
    fn assigned_as(&self) -> Option<SqlType> {
        None
    }
}

/// The functions by which a family recognises its types.
pub(super) struct Recognised {
    /// Recognises a type by the text that declares it.
    pub(super) declared: fn(&str, Arguments<'_>) -> Option<SqlType>,
    /// Recognises a type by its description in the catalog. `None` where its name says everything.
    pub(super) catalogued: Option<fn(&Catalogued<'_>) -> Option<SqlType>>,
}

/// The functions by which a family recognises what tiberius receives. They are apart from [`Recognised`], so that a
/// function that reads rows does not have the code of the other driver.
pub(super) struct InTiberius {
    /// Recognises a type by the description of a result's column.
    pub(super) described: fn(&TypeInfo) -> Option<SqlType>,
    /// Reads the text of a value; the text is canonical where the type can be a watermark. `None` for a family whose
    /// values are never read as text.
    pub(super) read: Option<fn(&ColumnData<'_>) -> Option<ValueText>>,
}

/// The text of a value, `None` for NULL, or an error that says what is wrong with it, as the end of a sentence.
pub(crate) type ValueText = Result<Option<String>, &'static str>;

/// A type as `sys.columns` describes it.
pub(super) struct Catalogued<'a> {
    /// The name of the type.
    pub(super) name: &'a str,
    /// The column `max_length`: bytes, or -1 for `(max)`.
    pub(super) length: i32,
    /// The column `precision`.
    pub(super) precision: i32,
    /// The column `scale`.
    pub(super) scale: i32,
}

/// The text in parentheses after the name of a type, or `None` without parentheses.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a>(pub(super) Option<&'a str>);

impl Arguments<'_> {
    /// Checks that there are no parentheses.
    pub(super) fn none(self) -> Option<()> {
        self.0.is_none().then_some(())
    }

    /// Reads a length of at most `most` characters or bytes.
    pub(super) fn length(self, most: u16) -> Option<u16> {
        let length = self.0?.parse().ok()?;
        (1..=most).contains(&length).then_some(length)
    }

    /// Reads a length of at most `most`, or `max`, which becomes `None`.
    pub(super) fn length_or_max(self, most: u16) -> Option<Option<u16>> {
        match self.0 {
            Some("max") => Some(None),
            _ => self.length(most).map(Some),
        }
    }

    /// Reads the number of digits in a fraction of a second.
    pub(super) fn fraction_digits(self) -> Option<u8> {
        self.0?.parse().ok().filter(|digits| *digits <= 7)
    }

    /// Reads the number of digits in all, and that of the digits after the point.
    pub(super) fn precision_and_scale(self) -> Option<Precision> {
        let (precision, scale) = self.0?.split_once(',')?;
        Some(Precision {
            precision: precision.parse().ok()?,
            scale: scale.parse().ok()?,
        })
    }
}

/// Formats a value with `Display`, as the result of a family's `read`.
pub(super) fn read_as_is(value: Option<impl fmt::Display>) -> Option<ValueText> {
    Some(Ok(value.map(|value| value.to_string())))
}

/// Returns whether a type with a limit to its length holds every value of one with this length. Without a length, both
/// are as long as can be.
pub(super) fn is_long_enough(limit: Option<u16>, needed: Option<u16>) -> bool {
    limit.is_none_or(|limit| needed.is_some_and(|needed| needed <= limit))
}
