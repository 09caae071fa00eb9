//! The columns that an audit adds to those of a plan.

use crate::error::{Error, ErrorCode, Result};
use crate::model::audit::{COLUMNS, Copied, columns};
use crate::model::names::is_alike;
use crate::model::plan::{Content, Plan};
use crate::model::table::TableSpec;
use crate::model::types::Column;
use crate::model::values::Operation;
use crate::ports::source::KnowTypes;

/// Adds the columns of an audit to a plan, if the table asks for them.
///
/// # Errors
///
/// `InvalidInput` when the source has a column with the name of one of them.
pub(super) fn added(source: &impl KnowTypes, spec: &TableSpec, plan: Plan) -> Result<Plan> {
    if !spec.audit || plan.columns.is_empty() {
        return Ok(plan);
    }
    let is_taken = |column: &&Column| COLUMNS.iter().any(|name| is_alike(name, &column.name));
    if let Some(column) = plan.columns.iter().find(is_taken) {
        return Err(Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
            format!(
                "{table} has a column {}, which is what audit calls a column of its own: name it in exclude, or leave audit out",
                column.name
            )
        }));
    }
    let copied = Copied {
        window: plan.window.as_str(),
        at: plan.created_at,
        operation: match plan.content {
            Content::Load { .. } => Operation::Load,
            Content::Interval { .. } if plan.old_watermark.is_none() || plan.supersedes().is_some() => Operation::Load,
            Content::Interval { .. } => Operation::Growth,
            Content::Changes { .. } | Content::Unchanged | Content::Superseded { .. } => Operation::Tracked,
        },
    };
    let columns = plan
        .columns
        .iter()
        .cloned()
        .chain(columns(copied, source.audit_types(), spec.wanted_forms()))
        .collect();
    let slices = plan.slices.clone();
    Ok(plan.copying(columns, slices))
}
