//! The columns of an audit: which window a row is of, when that window was frozen, and how the row came to be in it.

use crate::model::format::Timestamps;
use crate::model::moment::Moment;
use crate::model::types::{Column, Form, Fraction, TypeName, WantedForms};
use crate::model::values::{Audit, Operation, Values};

/// The names of the columns in their order. They stand after all other columns.
pub const COLUMNS: [&str; 3] = ["_tidemark_window", "_tidemark_copied_at", "_tidemark_operation"];
/// The digits after the second in the point in time.
const DIGITS: u8 = 6;

/// What an audit says of the rows of one window.
#[derive(Debug, Clone, Copy)]
pub struct Copied<'a> {
    /// The name of the window.
    pub window: &'a str,
    /// When the window was frozen. It is the same for every attempt at every slice, so that a slice
    /// that is copied again is copied as it was, and merging it again changes nothing.
    pub at: Moment,
    /// How the rows came to be in the window.
    pub operation: Operation,
}

/// The types of the columns, as the server of the source would declare them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTypes {
    /// That of a text of at most 100 characters, for the window.
    pub window: TypeName,
    /// That of a point in time with its offset from UTC, for when the window was frozen.
    pub copied_at: TypeName,
    /// That of one letter, for the operation.
    pub operation: TypeName,
}

/// Returns the columns as a plan has them.
#[must_use]
pub fn columns(copied: Copied<'_>, types: AuditTypes, wanted: WantedForms) -> [Column; 3] {
    let at = match wanted {
        WantedForms::Exact { .. } => Form::TicksAndOffset(DIGITS),
        WantedForms::Typed { timestamps, .. } => match timestamps {
            Timestamps::Us | Timestamps::Ns => Form::Instant(Fraction::Micros),
            Timestamps::Text => Form::Iso(DIGITS),
        },
    };
    let [window, copied_at, operation] = COLUMNS;
    let audited = Audit::Window(copied.window.to_owned());
    [
        column(window, types.window, Form::Text, audited),
        column(copied_at, types.copied_at, at, Audit::CopiedAt(copied.at)),
        column(
            operation,
            types.operation,
            Form::Text,
            Audit::Operation(copied.operation),
        ),
    ]
}

fn column(name: &str, sql_type: TypeName, form: Form, audit: Audit) -> Column {
    Column {
        name: name.to_owned(),
        sql_type,
        form,
        nullable: false,
        values: Values::Audit(audit),
    }
}
