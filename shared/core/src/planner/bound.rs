//! The plan of a table's next window by its watermark column, which depends on how far that column has grown.

use std::cmp::Ordering;

use super::asked_columns::{self, AskedColumns, ChosenColumns};
use super::audit;
use super::columns::{find, selected};
use super::cut;
use super::cut_points::Window;
use super::masks::{self, Found};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::model::lookup::{LookedUp, Note};
use crate::model::names::{Identifier, printable};
use crate::model::plan::{Author, Content, Plan, WindowBounds};
use crate::model::rows::{Closed, Interval};
use crate::model::table::{NullWatermark, TableSpec, WatermarkTracking};
use crate::model::types::{Column, TypeName};
use crate::model::unseen::Unseen;
use crate::model::watermark::{StoreType, Watermark, WatermarkKind};
use crate::model::window::WindowName;
use crate::ports::source::{
    Catalog, Counting, CutSource, DeclaredColumn, Growth, Maximum, ProbeSource, WatermarkColumn,
};

/// What the probe of a table found.
pub(crate) struct Probed {
    /// The plan of the next window, or `None` when the column has not grown.
    pub(crate) next: Option<Box<Plan>>,
    /// The rows that no window selects, when there are any.
    pub(crate) note: Option<Note>,
}

/// The window that is planned next: a window of this table or, in place of that window, a full load.
#[derive(Clone, Copy)]
pub(crate) struct Next<'a> {
    /// The table.
    pub(crate) table: &'a LookedUp,
    /// How the table is tracked.
    pub(crate) tracking: &'a WatermarkTracking,
    /// The window that a full load is copied in place of.
    pub(crate) in_place_of: Option<&'a WindowName>,
    /// The run that plans.
    pub(crate) author: Author<'a>,
}

impl Next<'_> {
    /// Returns where the rows begin. A full load has every row, wherever its window starts.
    fn above<'a>(&self, old: Option<&'a Watermark>) -> Option<&'a Watermark> {
        old.filter(|_| self.in_place_of.is_none())
    }

    fn with_nulls(&self, old: Option<&Watermark>) -> bool {
        self.above(old).is_none() && self.tracking.null_watermark == NullWatermark::FirstLoad
    }

    /// Returns a note of the rows that the window does not select, if there are any.
    fn note(&self, measured: &Measured, unseen: Unseen) -> Option<Note> {
        let with_nulls = self.with_nulls(measured.old.as_ref());
        let spec = &self.table.spec;
        let note = note(spec, &measured.growth, with_nulls).map(|note| Note {
            is_incomplete: note.null_rows > 0 && self.tracking.null_watermark == NullWatermark::Skip,
            ..note
        });
        Note::with_unseen(note, spec, unseen)
    }
}

/// Asks the source about the table and plans its next window.
///
/// When the catalog is known, a table is first asked only how far it has grown. What the next window would copy is
/// described only when there is one.
pub(crate) async fn probe<P: ProbeSource + CutSource>(
    source: &P,
    next: Next<'_>,
    catalog: Option<&Catalog>,
) -> Result<Probed> {
    let Next { table, tracking, .. } = next;
    let chosen = choose(source, &table.spec, tracking, catalog).await?;
    let unseen = chosen.unseen;
    let mut seen = None;
    if let (Some(name), Some(counting)) = (chosen.watermark(), &chosen.counting) {
        let measured = measure(source, next, name, counting).await?;
        if measured.new.is_none() {
            let note = next.note(&measured, measured.unseen(unseen));
            return Ok(Probed { next: None, note });
        }
        seen = Some((counting.clone(), measured));
    }
    let described = describe(source, &table.spec, tracking, chosen).await?;
    let counting = Counting {
        sql_type: described.column.sql_type.clone(),
        nullable: described.column.nullable,
    };
    let measured = match seen {
        Some((seen, measured)) if seen == counting => measured,
        _ => {
            let name = Identifier::new(described.column.name.as_str())?;
            measure(source, next, &name, &counting).await?
        }
    };
    let unseen = measured.unseen(unseen);
    let note = next.note(&measured, unseen);
    let described = Described { unseen, ..described };
    let plan = match &measured.new {
        Some(new) => Some(Box::new(
            plan(source, next, described, measured.old.as_ref(), new).await?,
        )),
        None => None,
    };
    Ok(Probed { next: plan, note })
}

/// Makes the plan of the window up to `new`.
async fn plan<P: ProbeSource + CutSource>(
    source: &P,
    next: Next<'_>,
    described: Described,
    old: Option<&Watermark>,
    new: &Watermark,
) -> Result<Plan> {
    let Next {
        table,
        tracking,
        in_place_of,
        author,
    } = next;
    let spec = &table.spec;
    check_filter(source, spec).await?;
    let Described {
        declared,
        columns,
        column,
        kind,
        object,
        unseen,
        ..
    } = described;
    let name = Identifier::new(column.name)?;
    let with_nulls = next.with_nulls(old);
    let interval = Interval {
        table: &spec.table,
        column: &name,
        old: next.above(old),
        new,
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
        window: in_place_of.map_or_else(|| WindowName::from_old(old), WindowName::reinit),
        new: cut.new.unwrap_or_else(|| new.clone()),
        old: old.cloned(),
    };
    let content = Content::Interval {
        column: name,
        with_nulls,
        in_place_of: in_place_of.cloned(),
    };
    let plan = Plan::new(spec, bounds, content, author).copying(columns, cut.slices);
    Ok(Plan {
        settle_seconds: tracking.settle_seconds(kind),
        object,
        unseen,
        ..audit::added(source, spec, plan)?
    })
}

/// Has the server look at the condition of a table, which it sees before a window is frozen with it: a frozen window is
/// copied with the condition that it was frozen with and with no other.
///
/// Errors: `InvalidInput` when the server refuses the condition.
pub(super) async fn check_filter<P: ProbeSource>(source: &P, spec: &TableSpec) -> Result<()> {
    let Some(filter) = &spec.filter else {
        return Ok(());
    };
    let accepted = source.accepts(&spec.table, filter).await.of(Role::Source);
    accepted.map_err(|error| match error.code() {
        ErrorCode::SourceRejected => error
            .recoded(ErrorCode::InvalidInput)
            .context_about(&spec.table, |table| format!("the `where` of {table} is refused")),
        _ => error,
    })
}

/// The columns of a table that is tracked by a watermark.
pub(super) struct Described {
    /// The columns as the server describes them, including the watermark column.
    pub(super) declared: Vec<DeclaredColumn>,
    /// The columns that are copied.
    pub(super) columns: Vec<Column>,
    /// The watermark column.
    pub(super) column: DeclaredColumn,
    /// The kind of values that it holds.
    pub(super) kind: WatermarkKind,
    /// The number by which the server knows the table.
    pub(super) object: Option<i32>,
    /// What the login may not see of the table.
    pub(super) unseen: Unseen,
    /// Whether the watermark is the time at which a transaction began, and nobody said how long to wait for transactions.
    pub(super) is_unsettled_period: bool,
}

/// Asks for the columns of the table.
pub(super) async fn columns<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    tracking: &WatermarkTracking,
) -> Result<Described> {
    let chosen = choose(source, spec, tracking, None).await?;
    describe(source, spec, tracking, chosen).await
}

async fn choose<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    tracking: &WatermarkTracking,
    catalog: Option<&Catalog>,
) -> Result<ChosenColumns> {
    asked_columns::choose(source, spec, spec.columns.as_deref(), Some(&tracking.column), catalog).await
}

async fn describe<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    tracking: &WatermarkTracking,
    chosen: ChosenColumns,
) -> Result<Described> {
    let AskedColumns {
        mut declared,
        names,
        object,
        unseen,
        server_masked,
        is_unsettled_period,
    } = asked_columns::describe(source, spec, chosen).await?;
    let mut columns = selected(spec, &declared, names.as_deref())?;
    masks::take(&mut declared, &mut columns, &server_masked);
    let column = find(&spec.table, &declared, &tracking.column)?.clone();
    let found = Found {
        watermark: Some(&column.name),
        key: &[],
        has_mask_key: source.has_mask_key(),
    };
    masks::mask(spec, &mut declared, &mut columns, found)?;
    let kind = column
        .watermark
        .ok_or_else(|| no_watermark(spec, &column, source.watermark_types()))?;
    Ok(Described {
        declared,
        columns,
        column,
        kind,
        object,
        unseen,
        is_unsettled_period,
    })
}

/// How far a table has grown.
struct Measured {
    /// Where the window starts.
    old: Option<Watermark>,
    growth: Growth,
    /// Where the window ends, or `None` when the column has not grown.
    new: Option<Watermark>,
}

impl Measured {
    /// Adds what the login does not see of the rows that were measured.
    fn unseen(&self, columns: Unseen) -> Unseen {
        Unseen {
            sources: self.growth.sources_unseen,
            ..columns
        }
    }
}

async fn measure<P: ProbeSource>(
    source: &P,
    next: Next<'_>,
    name: &Identifier,
    counting: &Counting,
) -> Result<Measured> {
    let Next { table, tracking, .. } = next;
    let spec = &table.spec;
    let old = old_watermark(source, table, name, &counting.sql_type)?;
    let column = WatermarkColumn {
        table: &spec.table,
        name,
        sql_type: &counting.sql_type,
        nullable: counting.nullable,
        clock: tracking.clock,
        filter: spec.filter.as_ref(),
    };
    let growth = match source.growth(&column, old.as_ref()).await.of(Role::Source) {
        Err(error) if error.code() == ErrorCode::SourceRejected => {
            check_filter(source, spec).await?;
            return Err(error);
        }
        growth => growth?,
    };
    let new = reached(spec, old.as_ref(), growth.maximum.as_ref())?;
    Ok(Measured { old, growth, new })
}

/// Returns a note of the rows that the window does not select, if there are any, and logs them.
fn note(spec: &TableSpec, growth: &Growth, with_nulls: bool) -> Option<Note> {
    let Growth {
        future_rows, held_back, ..
    } = *growth;
    let null_rows = if with_nulls { 0 } else { growth.null_rows };
    if null_rows + future_rows > 0 {
        tracing::warn!(table = %spec.table, null_rows, future_rows, "Rows without a watermark, or stamped in the future, are not in this window.");
    }
    if growth.sources_unseen {
        tracing::warn!(
            table = %spec.table,
            "The login does not see everything that this view reads. Rows of another database would be left out, because a rowversion counts \
             the changes of one: grant the login VIEW DEFINITION on what the view reads, or create it WITH SCHEMABINDING."
        );
    }
    if held_back {
        tracing::warn!(table = %spec.table, "A transaction that is still open holds the window back: what was committed since it began waits for its end.");
    }
    (null_rows + future_rows > 0 || held_back).then(|| Note {
        null_rows,
        future_rows,
        held_back,
        ..Note::of(spec.table.clone())
    })
}

/// Returns how far the column has grown, or `None` when it has not.
///
/// Errors: `WatermarkRegression` when the maximum is below `old`.
fn reached(spec: &TableSpec, old: Option<&Watermark>, maximum: Option<&Maximum>) -> Result<Option<Watermark>> {
    let Some(Maximum { watermark, ordering }) = maximum else {
        return Ok(None);
    };
    match ordering {
        Ordering::Equal => Ok(None),
        Ordering::Greater => Ok(Some(watermark.clone())),
        Ordering::Less => {
            let old = old.map_or("none", Watermark::value);
            let error = Error::about(ErrorCode::WatermarkRegression, &spec.table, |table| {
                format!(
                    "the stored watermark of {table} is {old}, above the source's maximum {watermark}: was the source restored, \
                     reseeded or emptied?"
                )
            });
            let advice =
                "If its present content is right, start the table over (`tidemark reset`, docs/how-to/repair.md).";
            Err(error.advised(advice))
        }
    }
}

/// Returns where the window starts: after the last committed window, or at the stored watermark.
///
/// Errors: `InvalidConfig` when the store's type cannot hold every watermark, or holds a value that is not one.
fn old_watermark<P: ProbeSource>(
    source: &P,
    table: &LookedUp,
    name: &Identifier,
    sql_type: &TypeName,
) -> Result<Option<Watermark>> {
    let (spec, store_type, name) = (&table.spec, &table.stored.store_type, name.as_str());
    if let StoreType::Typed(store) = store_type
        && !source.holds(store, sql_type)
    {
        return Err(Error::about(ErrorCode::InvalidConfig, &spec.table, |table| {
            format!(
                "the control table keeps watermarks as {store}, which cannot hold every value of the column {name} of {table}, a \
                 {sql_type}: use the control table of infra/sql, or WATERMARK_STORE=s3"
            )
        }));
    }
    let old = table.old_text().map(|text| source.watermark(sql_type, text));
    old.transpose().map_err(|error| match error.code() {
        ErrorCode::InvalidInput => {
            let stored = printable(table.old_text().unwrap_or_default());
            Error::about(ErrorCode::InvalidConfig, &spec.table, |table| {
                format!(
                    "'{stored}' is stored for {table}, and is no value of its column {name}, a {sql_type}: the table was tracked by \
                     another column before. Start it over (`tidemark reset`), or put that column back into tracking"
                )
            })
        }
        _ => error
            .recoded(ErrorCode::InvalidConfig)
            .context_about(&spec.table, |table| format!("column {name} of {table}")),
    })
}

fn no_watermark(spec: &TableSpec, column: &DeclaredColumn, types: &str) -> Error {
    Error::about(ErrorCode::UnsupportedType, &spec.table, |table| {
        format!(
            "column {} of {table}: a column of type {} cannot be a watermark: use a {types} column that grows with every insert and \
             update",
            column.name, column.sql_type
        )
    })
}
