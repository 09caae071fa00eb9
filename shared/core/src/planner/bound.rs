//! The plan of one table's next window, from what the source says of the table.

use std::cmp::Ordering;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::{Identifier, ObjectName};
use tidemark::ledger::{Plan, Previous, Slice, SliceBounds, VERSION, WindowName};
use tidemark::ports::source::{DeclaredColumn, Growth, Maximum, ProbeSource, SliceSource, WatermarkColumn};
use tidemark::query::Interval;
use tidemark::schema::{self, Change, OnSchemaChange};
use tidemark::steps::LookedUp;
use tidemark::table::{NullWatermark, TableSpec, WatermarkTracking};
use tidemark::types::Column;
use tidemark::watermark::{self, Watermark};

use crate::slicing;
use crate::{Note, Run};

/// How many columns an error lists: errors travel in the state machine's payload.
const NAMES_SHOWN: usize = 20;

/// What the probe of a table found.
pub(crate) struct Probed {
    pub(crate) next: Found,
    pub(crate) note: Option<Note>,
}

/// Whether there is a next window.
pub(crate) enum Found {
    Unchanged,
    Grown(Box<Plan>),
}

/// Asks the source about the table and plans its next window.
pub(crate) async fn probe<P: ProbeSource + SliceSource>(
    source: &P,
    table: &LookedUp,
    tracking: &WatermarkTracking,
    run: Run<'_>,
) -> Result<Probed> {
    let spec = &table.spec;
    let asked_for = asked_for(spec, &tracking.column);
    let declared = source.columns(&spec.table, asked_for.as_deref()).await?;
    let column = known(spec, find(&spec.table, &declared, &tracking.column)?)?;
    watermark::check_type(column.sql_type).map_err(|error| in_column(spec, &column.name, &error))?;
    let columns = selected(spec, &declared, spec.columns.as_deref())?;
    let old = old_watermark(table, &column)?;

    let name = Identifier::new(column.name.as_str())?;
    let watermark_column = WatermarkColumn {
        table: &spec.table,
        name: &name,
        column: &column,
        clock: tracking.clock,
        filter: spec.filter.as_ref(),
    };
    let Growth {
        maximum,
        future_rows,
        null_rows,
        held_back,
    } = source.growth(&watermark_column, old.as_ref()).await?;
    let with_nulls = old.is_none() && tracking.null_watermark == NullWatermark::FirstLoad;
    let null_rows = if with_nulls { 0 } else { null_rows };
    let note = (null_rows + future_rows > 0 || held_back).then(|| Note {
        table: spec.table.clone(),
        null_rows,
        future_rows,
        held_back,
    });
    if null_rows + future_rows > 0 {
        tracing::warn!(table = %spec.table, null_rows, future_rows, "Rows without a watermark, or stamped in the future, are not in this window.");
    }
    if held_back {
        tracing::warn!(table = %spec.table, "A transaction that is still open holds the window back: what was committed since it began waits for its end.");
    }

    let new = match maximum {
        None
        | Some(Maximum {
            ordering: Ordering::Equal,
            ..
        }) => {
            return Ok(Probed {
                next: Found::Unchanged,
                note,
            });
        }
        Some(Maximum {
            ordering: Ordering::Less,
            watermark,
        }) => return Err(regression(spec, old.as_ref(), &watermark)),
        Some(Maximum {
            ordering: Ordering::Greater,
            watermark,
        }) => watermark,
    };
    let interval = Interval {
        table: &spec.table,
        column: &name,
        old: old.as_ref(),
        new: &new,
        with_nulls,
        key: None,
        filter: spec.filter.as_ref(),
    };
    let cut = slicing::cut(source, spec, &declared, &interval).await?;
    let new = cut.new.unwrap_or_else(|| new.clone());
    let interval = Interval { new: &new, ..interval };
    let slice = |bounds: SliceBounds| Slice {
        query: bounds.interval(&interval).rows(&columns),
        guard: None,
        bounds: Some(bounds),
    };
    let plan = Plan {
        version: VERSION,
        table: spec.table.clone(),
        window: WindowName::from_old(old.as_ref()),
        tracking: spec.tracking.clone(),
        slices: cut.slices.into_iter().map(slice).collect(),
        count: Some(interval.count()),
        seed: None,
        tracked_since: None,
        supersedes: None,
        superseded_by: None,
        schema: schema::fingerprint(&columns),
        columns,
        format: spec.format.clone(),
        timestamps: spec.timestamps,
        filter: spec.filter.clone(),
        layout: spec.layout,
        watermark_name: spec.watermark_name.clone(),
        sink: spec.sink.clone(),
        run_id: run.id.to_owned(),
        created_at: run.created_at.to_owned(),
        new_watermark: new,
        old_watermark: old,
    };
    Ok(Probed {
        next: Found::Grown(Box::new(plan)),
        note,
    })
}

/// Compares the columns of a plan with those of the window before it.
///
/// Errors: `SchemaMismatch` when the table's policy does not take a change.
pub(crate) fn check_schema(spec: &TableSpec, previous: &Previous, plan: &Plan) -> Result<()> {
    let changes = schema::changes(&previous.columns, &plan.columns, &plan.format);
    let refused: Vec<&Change> = changes
        .iter()
        .filter(|change| match spec.on_schema_change {
            Some(OnSchemaChange::Continue) => false,
            Some(OnSchemaChange::Fail) => true,
            None => !change.is_compatible(),
        })
        .collect();
    if refused.is_empty() {
        if !changes.is_empty() {
            tracing::warn!(table = %spec.table, changes = names(&changes), "The columns are not those of the last window.");
        }
        return Ok(());
    }
    let message = format!(
        "the columns of {} are not those of its last window {}: {}. Put them back, or set on_schema_change to continue, \
         for one run or for good",
        spec.table,
        previous.window,
        names(refused)
    );
    Err(Error::new(ErrorCode::SchemaMismatch, message))
}

fn names<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    let names: Vec<String> = changes.into_iter().take(NAMES_SHOWN).map(ToString::to_string).collect();
    names.join(", ")
}

/// The columns a probe asks for: all, or those to copy and the watermark's, so that rights to those suffice.
fn asked_for<'a>(spec: &'a TableSpec, watermark: &'a Identifier) -> Option<Vec<&'a Identifier>> {
    let columns = spec.columns.as_ref()?;
    let others = columns.iter().filter(|column| *column != watermark);
    Some(std::iter::once(watermark).chain(others).collect())
}

/// The column a user means: spelled exactly, or, as most collations do not mind, in another case.
pub(crate) fn find<'a>(
    table: &ObjectName,
    declared: &'a [DeclaredColumn],
    name: &Identifier,
) -> Result<&'a DeclaredColumn> {
    let name = name.as_str();
    if let Some(column) = declared.iter().find(|column| column.name == name) {
        return Ok(column);
    }
    let lower = name.to_lowercase();
    let mut alike = declared.iter().filter(|column| column.name.to_lowercase() == lower);
    match alike.next() {
        // The same column may be there twice, asked for in two spellings.
        Some(column) if alike.all(|other| other.name == column.name) => Ok(column),
        _ => {
            let names: Vec<_> = declared
                .iter()
                .take(NAMES_SHOWN)
                .map(|column| column.name.as_str())
                .collect();
            let message = format!("{table} has no column '{name}'; its columns are {}", names.join(", "));
            Err(Error::new(ErrorCode::SourceRejected, message))
        }
    }
}

/// The column, if its type is one Tidemark copies exactly.
pub(crate) fn known(spec: &TableSpec, column: &DeclaredColumn) -> Result<Column> {
    match &column.sql_type {
        Ok(sql_type) => Ok(Column {
            name: column.name.clone(),
            sql_type: *sql_type,
            nullable: column.nullable,
        }),
        Err(name) => Err(Error::new(
            ErrorCode::UnsupportedType,
            format!(
                "column {} of {} has the type {name}, which cannot be copied exactly: name it in exclude, or copy a view that casts it",
                column.name, spec.table
            ),
        )),
    }
}

/// The columns with these names, in their order; without names, all that are declared and not excluded.
pub(crate) fn selected(
    spec: &TableSpec,
    declared: &[DeclaredColumn],
    names: Option<&[Identifier]>,
) -> Result<Vec<Column>> {
    match names {
        None => {
            let mut excluded = Vec::with_capacity(spec.exclude.len());
            for name in &spec.exclude {
                excluded.push(find(&spec.table, declared, name)?.name.as_str());
            }
            let kept = declared
                .iter()
                .filter(|column| !excluded.contains(&column.name.as_str()));
            kept.map(|column| known(spec, column)).collect()
        }
        Some(names) => {
            let mut columns: Vec<Column> = Vec::with_capacity(names.len());
            for name in names {
                let column = known(spec, find(&spec.table, declared, name)?)?;
                if columns.contains(&column) {
                    let message = format!("columns of {} names {} twice", spec.table, column.name);
                    return Err(Error::new(ErrorCode::InvalidInput, message));
                }
                columns.push(column);
            }
            Ok(columns)
        }
    }
}

/// Where the window starts: after the last committed window, or at the stored watermark.
fn old_watermark(table: &LookedUp, column: &Column) -> Result<Option<Watermark>> {
    let LookedUp {
        spec,
        stored,
        committed,
        ..
    } = table;
    if !stored.store_type.holds(column.sql_type) {
        return Err(Error::new(
            ErrorCode::InvalidConfig,
            format!(
                "the control table keeps watermarks as {}, which cannot hold every value of {}.{}, a {}: use the control \
                 table of infra/sql, or WATERMARK_STORE=s3",
                stored.store_type, spec.table, column.name, column.sql_type
            ),
        ));
    }
    let text = committed
        .as_ref()
        .map(|committed| committed.new_watermark.value())
        .or(stored.value.as_deref());
    text.map(|text| Watermark::new(column.sql_type, text))
        .transpose()
        .map_err(|error| in_column(spec, &column.name, &error).recoded(ErrorCode::InvalidConfig))
}

fn in_column(spec: &TableSpec, column: &str, error: &Error) -> Error {
    Error::new(error.code(), format!("column {column} of {}: {error}", spec.table))
}

fn regression(spec: &TableSpec, old: Option<&Watermark>, maximum: &Watermark) -> Error {
    let old = old.map_or("none", Watermark::value);
    Error::new(
        ErrorCode::WatermarkRegression,
        format!(
            "the stored watermark of {} is {old}, above the source's maximum {maximum}: was the source restored, reseeded \
             or emptied? If its present content is right, start the table over (docs/operations.md)",
            spec.table
        ),
    )
}
