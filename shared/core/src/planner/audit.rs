//! The columns that an audit adds to those of a plan: which window a row is of, when that was, and how the row came to be in it.

use crate::error::{Error, ErrorCode, Result};
use crate::model::format::Timestamps;
use crate::model::plan::{Content, Plan};
use crate::model::table::TableSpec;
use crate::model::types::{Column, Form, Fraction, TypeName, WantedForms};
use crate::model::values::{Audit, Operation, Values};

/// The columns in their order, after all others.
const WINDOW: &str = "_tidemark_window";
const COPIED_AT: &str = "_tidemark_copied_at";
const OPERATION: &str = "_tidemark_operation";
/// Digits of a second in the point in time.
const DIGITS: u8 = 6;

/// Adds the columns to a plan, if the table asks for them.
///
/// The point in time is when the window was frozen: it is the same for every attempt at every slice, so that a slice that is copied
/// again is copied as it was, and merging it again changes nothing.
///
/// # Errors
///
/// `InvalidInput` when the source has a column that is called so.
pub(super) fn added(spec: &TableSpec, plan: Plan) -> Result<Plan> {
    if !spec.audit || plan.columns.is_empty() {
        return Ok(plan);
    }
    let is_taken = |column: &&Column| {
        let names = [WINDOW, COPIED_AT, OPERATION];
        names.iter().any(|name| name.eq_ignore_ascii_case(&column.name))
    };
    if let Some(column) = plan.columns.iter().find(is_taken) {
        let message = format!(
            "{} has a column {}, which is what audit calls a column of its own: name it in exclude, or leave audit out",
            spec.table, column.name
        );
        return Err(Error::new(ErrorCode::InvalidInput, message));
    }
    let audits = columns(&plan, spec.wanted_forms())?;
    let columns = plan.columns.iter().cloned().chain(audits).collect();
    let slices = plan.slices.clone();
    Ok(plan.copying(columns, slices))
}

fn columns(plan: &Plan, wanted: WantedForms) -> Result<[Column; 3]> {
    let operation = match plan.content {
        Content::Load { .. } => Operation::Load,
        Content::Interval { .. } if plan.old_watermark.is_none() => Operation::Load,
        Content::Interval { .. } => Operation::Growth,
        Content::Changes { .. } | Content::Unchanged | Content::Superseded { .. } => Operation::Tracked,
    };
    let copied_at = match wanted {
        WantedForms::Exact { .. } => Form::TicksAndOffset(DIGITS),
        WantedForms::Typed { timestamps, .. } => match timestamps {
            Timestamps::Us | Timestamps::Ns => Form::Instant(Fraction::Micros),
            Timestamps::Text => Form::Iso(DIGITS),
        },
    };
    Ok([
        column(
            WINDOW,
            "nvarchar(100)",
            Form::Text,
            Audit::Window(plan.window.to_string()),
        )?,
        column(
            COPIED_AT,
            "datetimeoffset(6)",
            copied_at,
            Audit::CopiedAt(plan.created_at.clone()),
        )?,
        column(OPERATION, "nchar(1)", Form::Text, Audit::Operation(operation))?,
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
