//! What a family of types has to say of each of its types, and how it recognises them.

use std::fmt;

use mssql_tds::datatypes::sqldatatypes::TdsDataType;
use mssql_tds::query::metadata::ColumnMetadata;
use tiberius::{ColumnData, TypeInfo};
use tidemark::model::table::Clock;
use tidemark::model::types::{Form, WantedForms};
use tidemark::model::watermark::WatermarkKind;

use super::SqlType;

/// This says how far a window stays behind the server's clock.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldBack {
    /// It does not stay behind.
    No,
    /// One hour, because the clock is about to go through an hour for a second time.
    OneHour,
}

/// This is one type of a family. What has a default is what few types can do. `Display` is the type as a statement
/// declares it.
pub(super) trait Family: fmt::Display {
    /// Returns how values are held, or why they cannot be copied, as the end of a sentence about the column.
    fn form(&self, wanted: WantedForms) -> Result<Form, String>;

    /// Returns the form that typed files have for the type, where `form` is another, which more readers open.
    fn native(&self, _wanted: WantedForms) -> Option<Form> {
        None
    }

    /// Returns whether a column of mssql-tds carries the values exactly.
    fn is_carried_by(&self, sent: &ColumnMetadata) -> bool;

    /// Returns the expression by which `value` is selected, where the value as it is would not arrive exactly.
    fn selected(&self, _value: &str) -> Option<String> {
        None
    }

    /// Returns what a column counts that is the watermark of its table; `None` when it cannot be.
    fn watermark(&self) -> Option<WatermarkKind> {
        None
    }

    /// Returns whether the values of a key can cut slices.
    fn cuts(&self) -> bool {
        self.watermark().is_some()
    }

    /// Returns the canonical text of a value that cuts slices, or is a watermark; `None` when `text` is no value of the type.
    fn canonical(&self, _text: &str) -> Option<String> {
        None
    }

    /// Returns the type of a variable that holds a value to compare with.
    fn of_variable(&self) -> String {
        self.to_string()
    }

    /// Returns the expression for the value that a parameter has as text.
    fn of_parameter(&self, parameter: &str) -> String {
        format!("CAST({parameter} AS {self})")
    }

    /// Returns the expression for the value in a variant, which is only compared after it is cast.
    fn of_variant(&self, value: &str) -> String {
        format!("CAST({value} AS {self})")
    }

    /// Returns the server's clock in this type; `None` for what is no time.
    fn clock(&self, _clock: Clock) -> Option<String> {
        None
    }

    /// Returns the condition on a watermark that keeps a window below the server's clock; `None` for what is no time.
    fn below_clock(&self, _clock: Clock, _held: HeldBack) -> Option<String> {
        None
    }

    /// Digits before and after the point of an exact number.
    fn digits(&self) -> Option<(u8, u8)> {
        None
    }

    /// Returns whether a column of this type holds every value of another type as it is, without rounding, cutting or
    /// padding, when the server converts it implicitly.
    fn holds(&self, source: SqlType) -> bool;

    /// Returns whether values can be compared and are of a limited length, as those of a merge's key.
    fn can_be_key(&self) -> bool {
        true
    }

    /// Returns the type as which values are staged for a column of type `sink`, where it is not this one.
    fn staged_for(&self, _sink: SqlType) -> Option<SqlType> {
        None
    }

    /// Returns the type as which values of a legacy type are compared and assigned.
    fn assigned_as(&self) -> Option<SqlType> {
        None
    }

    /// Returns the expression that makes a value of a staged text, where a cast does not.
    fn of_staged_text(&self, _value: &str) -> Option<String> {
        None
    }
}

/// This says how the types of a family are recognised.
pub(super) struct Recognised {
    /// This is in the text that declares a type.
    pub(super) declared: fn(&str, Arguments<'_>) -> Option<SqlType>,
    /// This is in the catalog.
    pub(super) catalogued: fn(&Catalogued<'_>) -> Option<SqlType>,
    /// This is in the description of a column that tiberius gives.
    pub(super) described: fn(&TypeInfo) -> Option<SqlType>,
    /// This is the name of a type of mssql-tds that stands for several, by its length.
    pub(super) wire_name: fn(TdsDataType, usize) -> Option<&'static str>,
    /// This is the text of a value that tiberius gives, canonical where it can be a watermark.
    pub(super) read: fn(&ColumnData<'_>) -> Option<ValueText>,
}

/// This is the text of a value, none for NULL; or what is wrong with it, as the end of a sentence.
pub(crate) type ValueText = Result<Option<String>, &'static str>;

/// This is a type as `sys.columns` describes it.
pub(super) struct Catalogued<'a> {
    /// This is its name.
    pub(super) name: &'a str,
    /// This is `max_length`: bytes, -1 for `(max)`.
    pub(super) length: i32,
    /// This is `precision`
    pub(super) precision: i32,
    /// This is `scale`
    pub(super) scale: i32,
}

/// This says what stands in parentheses after the name of a type.
#[derive(Clone, Copy)]
pub(super) struct Arguments<'a>(pub(super) Option<&'a str>);

impl Arguments<'_> {
    /// Nothing does.
    pub(super) fn none(self) -> Option<()> {
        self.0.is_none().then_some(())
    }

    /// Returns a length of at most so many characters or bytes.
    pub(super) fn length(self, most: u16) -> Option<u16> {
        let length = self.0?.parse().ok()?;
        (1..=most).contains(&length).then_some(length)
    }

    /// Returns a length, or `max`, which is none.
    pub(super) fn length_or_max(self, most: u16) -> Option<Option<u16>> {
        match self.0 {
            Some("max") => Some(None),
            _ => self.length(most).map(Some),
        }
    }

    /// Digits of a second's fraction.
    pub(super) fn fraction_digits(self) -> Option<u8> {
        self.0?.parse().ok().filter(|digits| *digits <= 7)
    }

    /// Digits in all, and after the point.
    pub(super) fn precision_and_scale(self) -> Option<(u8, u8)> {
        let (precision, scale) = self.0?.split_once(',')?;
        Some((precision.parse().ok()?, scale.parse().ok()?))
    }
}

/// Returns the text of a value as a family reads it: `None` for NULL.
pub(super) fn read_as_is(value: Option<impl fmt::Display>) -> Option<ValueText> {
    Some(Ok(value.map(|value| value.to_string())))
}

/// Returns a family without types of mssql-tds that stand for several.
pub(super) fn no_wire_name(_: TdsDataType, _: usize) -> Option<&'static str> {
    None
}

/// Returns a family of whose values no text is read.
pub(super) fn unread(_: &ColumnData<'_>) -> Option<ValueText> {
    None
}
