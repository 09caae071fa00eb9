//! Builds the audit columns as arrays: the same value for every row of a window, or the change of each row as change
//! tracking reports it.

use std::sync::Arc;

use arrow_array::{ArrayRef, FixedSizeBinaryArray, StringArray, TimestampMicrosecondArray};
use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::types::{Column, Form, Fraction};
use tidemark::model::value_text::{self, DAY_TICKS, Style, UNIX_EPOCH_DAYS};
use tidemark::model::values::{Audit, Operation, Values};

use super::column_builder::arrow_failed;

/// The number of 100 ns ticks in a microsecond.
const MICRO_TICKS: i64 = 10;

/// Builds the array of an audit column for `rows` rows. `last` is the last column of the source, which for a tracked
/// table says how each row changed.
///
/// # Errors
///
/// `LedgerInvalid` when the plan, which is read from the bucket, has something else than an audit in that column.
pub fn array(column: &Column, rows: usize, last: Option<&ArrayRef>) -> Result<ArrayRef> {
    let audit = match &column.values {
        Values::Audit(audit) => audit,
        Values::OfSource | Values::ServerMask | Values::Masked(_) => return Err(invalid(column)),
    };
    match audit {
        Audit::Window(window) => Ok(texts(window, rows)),
        Audit::CopiedAt(moment) => moments(column, moment.micros(), rows),
        Audit::Operation(Operation::Load) => Ok(texts("I", rows)),
        Audit::Operation(Operation::Growth) => Ok(texts("U", rows)),
        Audit::Operation(Operation::Tracked) => last.cloned().ok_or_else(|| invalid(column)),
    }
}

fn texts(text: &str, rows: usize) -> ArrayRef {
    Arc::new(StringArray::from_iter_values(std::iter::repeat_n(text, rows)))
}

fn moments(column: &Column, micros: i64, rows: usize) -> Result<ArrayRef> {
    let ticks = micros * MICRO_TICKS + UNIX_EPOCH_DAYS * DAY_TICKS;
    Ok(match column.form {
        Form::Instant(Fraction::Micros) => {
            Arc::new(TimestampMicrosecondArray::from(vec![micros; rows]).with_timezone("UTC"))
        }
        Form::Iso(digits) => {
            let mut text = Vec::new();
            value_text::timestamp_with_offset(&mut text, ticks, 0, digits, Style::Iso);
            texts(&String::from_utf8_lossy(&text), rows)
        }
        Form::TicksAndOffset(_) => {
            let mut bytes = ticks.to_le_bytes().to_vec();
            bytes.extend_from_slice(&0_i16.to_le_bytes());
            let values = std::iter::repeat_n(bytes, rows);
            Arc::new(FixedSizeBinaryArray::try_from_iter(values).map_err(arrow_failed)?)
        }
        _ => return Err(invalid(column)),
    })
}

fn invalid(column: &Column) -> Error {
    let message = format!(
        "the plan has a value for the audit column '{}' that Tidemark does not write: restore plan.json",
        column.name
    );
    Error::new(ErrorCode::LedgerInvalid, message)
}
