//! The plan of a table's next window by its watermark column: how far has the column grown?

use std::cmp::Ordering;

use super::asked_columns::{self, AskedColumns};
use super::audit;
use super::columns::{find, selected};
use super::cut;
use super::cut_points::Window;
use super::masks::{self, Found};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::model::lookup::{LookedUp, Note};
use crate::model::names::Identifier;
use crate::model::plan::{Author, Content, Plan, WindowBounds};
use crate::model::rows::{Closed, Interval};
use crate::model::table::{NullWatermark, TableSpec, WatermarkTracking};
use crate::model::types::Column;
use crate::model::watermark::{StoreType, Watermark, WatermarkKind};
use crate::model::window::WindowName;
use crate::ports::source::{CutSource, DeclaredColumn, Growth, Maximum, ProbeSource, WatermarkColumn};

/// This says what the probe of a table found.
pub(crate) struct Probed {
    /// This is the plan of the next window; `None` when the column has not grown.
    pub(crate) next: Option<Box<Plan>>,
    /// These are rows that no window selects.
    pub(crate) note: Option<Note>,
}

/// Asks the source about the table and plans its next window or, in place of that one, a full load.
pub(crate) async fn probe<P: ProbeSource + CutSource>(
    source: &P,
    table: &LookedUp,
    tracking: &WatermarkTracking,
    in_place_of: Option<&WindowName>,
    author: Author<'_>,
) -> Result<Probed> {
    let spec = &table.spec;
    let Described {
        declared,
        columns,
        column,
        kind,
        is_filtered,
    } = describe(source, spec, tracking).await?;
    let column = &column;
    let old = old_watermark(source, table, column)?;
    let name = Identifier::new(column.name.as_str())?;
    let growth = growth(source, spec, tracking, &name, column, old.as_ref()).await?;
    // A full load has every row, wherever its window starts.
    let above = old.as_ref().filter(|_| in_place_of.is_none());
    let with_nulls = above.is_none() && tracking.null_watermark == NullWatermark::FirstLoad;
    let note = note(spec, &growth, with_nulls, is_filtered);
    let Some(new) = reached(spec, old.as_ref(), growth.maximum)? else {
        return Ok(Probed { next: None, note });
    };
    let interval = Interval {
        table: &spec.table,
        column: &name,
        old: above,
        new: &new,
        closed: Closed::default(),
        with_nulls,
        key: None,
        filter: spec.filter.as_ref(),
    };
    let window = Window {
        interval,
        is_exact: kind == WatermarkKind::Exact,
    };
    let mut cut = cut::cut(source, spec, &declared, &window).await?;
    if in_place_of.is_some() {
        cut = cut.without_early_end();
    }
    let bounds = WindowBounds {
        window: in_place_of.map_or_else(|| WindowName::from_old(old.as_ref()), WindowName::reinit),
        new: cut.new.unwrap_or_else(|| new.clone()),
        old: old.clone(),
    };
    let content = Content::Interval {
        column: name.clone(),
        with_nulls,
        in_place_of: in_place_of.cloned(),
    };
    let plan = Plan::new(spec, bounds, content, author).copying(columns, cut.slices);
    let plan = Plan {
        settle_seconds: tracking.settle_seconds(kind),
        ..audit::added(spec, plan)?
    };
    Ok(Probed {
        next: Some(Box::new(plan)),
        note,
    })
}

/// These are the columns of a table that is tracked by a watermark.
pub(super) struct Described {
    /// These are the columns as the server describes them, with the watermark's.
    pub(super) declared: Vec<DeclaredColumn>,
    /// They are those that are copied.
    pub(super) columns: Vec<Column>,
    /// This is the watermark's.
    pub(super) column: DeclaredColumn,
    /// This says what it counts.
    pub(super) kind: WatermarkKind,
    /// This says whether a security policy may hide rows from the login.
    pub(super) is_filtered: bool,
}

/// Asks for the columns of the table.
pub(super) async fn describe<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    tracking: &WatermarkTracking,
) -> Result<Described> {
    let asked = asked_columns::ask(source, spec, spec.columns.as_deref(), Some(&tracking.column));
    let AskedColumns {
        mut declared,
        names,
        is_filtered,
    } = asked.await?;
    let mut columns = selected(spec, &declared, names.as_deref())?;
    let column = find(&spec.table, &declared, &tracking.column)?.clone();
    let found = Found {
        watermark: Some(&column.name),
        key: &[],
        has_mask_key: source.has_mask_key(),
    };
    masks::mask(spec, &mut declared, &mut columns, found)?;
    let kind = column.watermark.ok_or_else(|| no_watermark(spec, &column))?;
    Ok(Described {
        declared,
        columns,
        column,
        kind,
        is_filtered,
    })
}

async fn growth<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    tracking: &WatermarkTracking,
    name: &Identifier,
    column: &DeclaredColumn,
    old: Option<&Watermark>,
) -> Result<Growth> {
    let column = WatermarkColumn {
        table: &spec.table,
        name,
        sql_type: &column.sql_type,
        nullable: column.nullable,
        clock: tracking.clock,
        filter: spec.filter.as_ref(),
    };
    source.growth(&column, old).await.of(Role::Source)
}

/// Rows that the window does not select, told in the log, too.
fn note(spec: &TableSpec, growth: &Growth, with_nulls: bool, filtered: bool) -> Option<Note> {
    let Growth {
        future_rows, held_back, ..
    } = *growth;
    let null_rows = if with_nulls { 0 } else { growth.null_rows };
    if null_rows + future_rows > 0 {
        tracing::warn!(table = %spec.table, null_rows, future_rows, "Rows without a watermark, or stamped in the future, are not in this window.");
    }
    if held_back {
        tracing::warn!(table = %spec.table, "A transaction that is still open holds the window back: what was committed since it began waits for its end.");
    }
    (null_rows + future_rows > 0 || held_back || filtered).then(|| Note {
        table: spec.table.clone(),
        null_rows,
        future_rows,
        held_back,
        filtered,
    })
}

/// Returns how far the column has grown; `None` when it has not.
fn reached(spec: &TableSpec, old: Option<&Watermark>, maximum: Option<Maximum>) -> Result<Option<Watermark>> {
    let Some(Maximum { watermark, ordering }) = maximum else {
        return Ok(None);
    };
    match ordering {
        Ordering::Equal => Ok(None),
        Ordering::Greater => Ok(Some(watermark)),
        Ordering::Less => {
            let old = old.map_or("none", Watermark::value);
            let message = format!(
                "the stored watermark of {} is {old}, above the source's maximum {watermark}: was the source restored, reseeded \
                 or emptied? If its present content is right, start the table over (docs/how-to/repair.md)",
                spec.table
            );
            Err(Error::new(ErrorCode::WatermarkRegression, message))
        }
    }
}

/// Returns where the window starts: after the last committed window, or at the stored watermark.
fn old_watermark<P: ProbeSource>(source: &P, table: &LookedUp, column: &DeclaredColumn) -> Result<Option<Watermark>> {
    let (spec, store_type) = (&table.spec, &table.stored.store_type);
    let DeclaredColumn { name, sql_type, .. } = column;
    if let StoreType::Typed(store) = store_type
        && !source.holds(store, sql_type)
    {
        let message = format!(
            "the control table keeps watermarks as {store}, which cannot hold every value of {}.{name}, a {sql_type}: use the \
             control table of infra/sql, or WATERMARK_STORE=s3",
            spec.table
        );
        return Err(Error::new(ErrorCode::InvalidConfig, message));
    }
    let old = table.old_text().map(|text| source.watermark(sql_type, text));
    old.transpose().map_err(|error| {
        let context = format_args!("column {name} of {}", spec.table).to_string();
        error.recoded(ErrorCode::InvalidConfig).context(context)
    })
}

fn no_watermark(spec: &TableSpec, column: &DeclaredColumn) -> Error {
    let message = format!(
        "column {} of {}: a column of type {} cannot be a watermark: use a date, smalldatetime, datetime, datetime2, \
         datetimeoffset, integer, decimal or rowversion column that grows with every insert and update",
        column.name, spec.table, column.sql_type
    );
    Error::new(ErrorCode::UnsupportedType, message)
}
