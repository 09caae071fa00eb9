//! The columns of an audit: which window a row is of, when that window was frozen, and how the row came to be in it.

use crate::error::Result;
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

/// Returns the columns as a plan has them.
///
/// # Errors
///
/// None in practice: an error would mean that one of the constant type names here is invalid.
pub fn columns(copied: Copied<'_>, wanted: WantedForms) -> Result<[Column; 3]> {
    let at = match wanted {
        WantedForms::Exact { .. } => Form::TicksAndOffset(DIGITS),
        WantedForms::Typed { timestamps, .. } => match timestamps {
            Timestamps::Us | Timestamps::Ns => Form::Instant(Fraction::Micros),
            Timestamps::Text => Form::Iso(DIGITS),
        },
    };
    let [window, copied_at, operation] = COLUMNS;
    Ok([
        column(
            window,
            "nvarchar(100)",
            Form::Text,
            Audit::Window(copied.window.to_owned()),
        )?,
        column(copied_at, "datetimeoffset(6)", at, Audit::CopiedAt(copied.at))?,
        column(operation, "nchar(1)", Form::Text, Audit::Operation(copied.operation))?,
    ])
}

fn column(name: &str, sql_type: &str, form: Form, audit: Audit) -> Result<Column> {
    Ok(Column {
        name: name.to_owned(),
        sql_type: TypeName::new(sql_type)?,
        form,
        nullable: false,
        values: Values::Audit(audit),
    })
}
