//! The columns of a table that a lookup asks for: those that the user chose, checked against what the catalog says of
//! each.

use super::columns::{find, not_excluded};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::model::names::Identifier;
use crate::model::table::{MaskedColumns, TableSpec, Tracking};
use crate::model::unseen::Unseen;
use crate::ports::source::{Access, Catalog, CatalogColumn, Counting, DeclaredColumn, ProbeSource, Veil};

/// The columns of a table that its window needs.
pub(super) struct AskedColumns {
    /// The columns as the server describes them.
    pub(super) declared: Vec<DeclaredColumn>,
    /// The names of the columns to copy; all of them when absent.
    pub(super) names: Option<Vec<Identifier>>,
    /// The number by which the server knows the table.
    pub(super) object: Option<i32>,
    /// What the login may not see of the table.
    pub(super) unseen: Unseen,
    /// The columns that are copied as the masks that the server shows the login.
    pub(super) server_masked: Vec<String>,
    /// Whether the watermark is the time at which a transaction began, and nobody said how long to wait for transactions.
    pub(super) is_unsettled_period: bool,
}

/// The columns that will be asked for, as far as the catalog knows them.
pub(super) struct ChosenColumns {
    catalog: Option<Catalog>,
    names: Option<Vec<Identifier>>,
    watermark: Option<Identifier>,
    /// What the catalog knows of the watermark column.
    pub(super) counting: Option<Counting>,
    /// What the login may not see of the table.
    pub(super) unseen: Unseen,
    server_masked: Vec<String>,
    is_unsettled_period: bool,
}

impl ChosenColumns {
    /// Returns the name of the watermark column, as it was declared where the catalog knows it.
    pub(super) const fn watermark(&self) -> Option<&Identifier> {
        self.watermark.as_ref()
    }
}

/// Asks for the columns with these names or, without names, for all that are visible and not excluded. No other column
/// is selected from, so that the login needs no right to it.
pub(super) async fn ask<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    names: Option<&[Identifier]>,
) -> Result<AskedColumns> {
    describe(source, spec, choose(source, spec, names, None, None).await?).await
}

/// Chooses the columns with these names or, without names, all that are visible and not excluded, and the watermark
/// column, by what the catalog says. The catalog is asked unless `known` holds what it says.
pub(super) async fn choose<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    names: Option<&[Identifier]>,
    watermark: Option<&Identifier>,
    known: Option<&Catalog>,
) -> Result<ChosenColumns> {
    let catalog = match known {
        Some(known) => Some(known.clone()),
        None => {
            let catalogs = source.catalogs(&[&spec.table]).await.of(Role::Source)?;
            catalogs.into_iter().next().flatten()
        }
    };
    let Some(found) = &catalog else {
        tracing::warn!(
            table = %spec.table,
            "The catalog knows nothing of this table, so it was not looked whether columns are masked or rows are hidden from the login."
        );
        return Ok(ChosenColumns {
            catalog,
            names: names.map(<[Identifier]>::to_vec),
            watermark: watermark.cloned(),
            counting: None,
            unseen: Unseen {
                veiled: true,
                policies: true,
                ..Unseen::default()
            },
            server_masked: Vec::new(),
            is_unsettled_period: false,
        });
    };
    found.check_spelling(&spec.table)?;
    let unseen = unseen_of(spec, found)?;
    let watermark = watermark
        .map(|name| find(&spec.table, &found.columns, name))
        .transpose()?;
    let chosen = chosen(spec, &found.columns, names, watermark)?;
    let masked = chosen.iter().filter(|column| is_taken_as_mask(spec, column));
    let server_masked = masked.map(|column| column.name.clone()).collect();
    let names = chosen.iter().map(|column| Identifier::new(column.name.as_str()));
    let names = Some(names.collect::<Result<_>>()?);
    let counting = watermark.and_then(|column| column.counting.clone());
    let is_unsettled_period = watermark.is_some_and(|column| is_unsettled_period(spec, column));
    let watermark = watermark
        .map(|column| Identifier::new(column.name.as_str()))
        .transpose()?;
    Ok(ChosenColumns {
        catalog,
        names,
        watermark,
        counting,
        unseen,
        server_masked,
        is_unsettled_period,
    })
}

/// Returns what the login may not see of a table, and logs it. Fails where masks would surely be copied in place of values.
fn unseen_of(spec: &TableSpec, found: &Catalog) -> Result<Unseen> {
    if found.veil != Veil::None && spec.masked_columns == MaskedColumns::Refuse {
        if found.veil == Veil::Certain {
            return Err(veiled(spec));
        }
        tracing::warn!(
            table = %spec.table,
            "This is a view or is in another database, and what it shows of masked columns would be copied as masks, because the login \
             lacks UNMASK, or is not known to have it there: set masked_columns to copy if that is as it should be."
        );
    }
    let unseen = Unseen {
        filtered: found.is_filtered,
        veiled: found.veil != Veil::None,
        policies: found.is_policy_unseen && !found.is_filtered,
        sources: false,
    };
    if unseen.filtered {
        tracing::warn!(table = %spec.table, "A security policy filters the rows of this table: what it hides from the login is not copied.");
    }
    Ok(unseen)
}

/// Lets the server describe the columns that were chosen.
pub(super) async fn describe<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    chosen: ChosenColumns,
) -> Result<AskedColumns> {
    let ChosenColumns {
        catalog,
        names,
        watermark,
        unseen,
        server_masked,
        is_unsettled_period,
        ..
    } = chosen;
    let asked_for: Option<Vec<&Identifier>> = names.as_ref().map(|names| {
        let others = names.iter().filter(|name| Some(*name) != watermark.as_ref());
        watermark.iter().chain(others).collect()
    });
    let declared = source.columns(&spec.table, asked_for.as_deref(), catalog.as_ref(), spec.wanted_forms());
    let declared = declared.await.of(Role::Source)?;
    Ok(AskedColumns {
        declared,
        names,
        object: catalog.and_then(|catalog| catalog.object),
        unseen,
        server_masked,
        is_unsettled_period,
    })
}

/// Returns whether the watermark is the time at which a transaction began, and nobody said how long to wait for transactions. Logs
/// it, because rows of a transaction that is open for longer than the wait are left out.
fn is_unsettled_period(spec: &TableSpec, watermark: &CatalogColumn) -> bool {
    let is_waited_for = match &spec.tracking {
        Tracking::Watermark(tracking) => tracking.settle_seconds.is_some(),
        Tracking::ChangeTracking(_) => true,
    };
    let is_unsettled = watermark.is_period_start && !is_waited_for;
    if is_unsettled {
        tracing::warn!(
            table = %spec.table, column = watermark.name,
            "The watermark is the start of a period, which is the time at which a transaction began: the rows of a transaction that is open for \
             more than 30 s are left out. Set settle_seconds to the length of the longest transaction."
        );
    }
    is_unsettled
}

fn veiled(spec: &TableSpec) -> Error {
    Error::about(ErrorCode::SourceRejected, &spec.table, |table| {
        format!(
            "{table} is a view of a database with masked columns, and this login lacks UNMASK and does not see whether the view shows \
             any: their masks would be copied in place of the values. Grant it UNMASK, or VIEW DEFINITION on the view and on what it \
             reads so that this is seen, or set masked_columns to copy"
        )
    })
}

/// Returns the columns to copy. Fails, naming the column, when the login does not
/// read the stored values of one of them or of the watermark.
fn chosen<'a>(
    spec: &TableSpec,
    catalog: &'a [CatalogColumn],
    names: Option<&[Identifier]>,
    watermark: Option<&CatalogColumn>,
) -> Result<Vec<&'a CatalogColumn>> {
    let columns = named(spec, catalog, names)?;
    columns
        .iter()
        .filter(|column| !is_taken_as_mask(spec, column))
        .try_for_each(|column| check_access(spec, column))?;
    watermark.map_or(Ok(()), |column| check_access(spec, column))?;
    Ok(columns)
}

/// Returns the columns with these names or, without names, all that are visible and not excluded.
fn named<'a>(
    spec: &TableSpec,
    catalog: &'a [CatalogColumn],
    names: Option<&[Identifier]>,
) -> Result<Vec<&'a CatalogColumn>> {
    match names {
        Some(names) => names.iter().map(|name| find(&spec.table, catalog, name)).collect(),
        None => {
            let kept = not_excluded(spec, catalog)?.into_iter();
            Ok(kept.filter(|column| column.in_star).collect())
        }
    }
}

/// Returns whether the mask of a column is to be copied in place of its values.
fn is_taken_as_mask(spec: &TableSpec, column: &CatalogColumn) -> bool {
    column.access == Access::Mask && spec.masked_columns == MaskedColumns::Copy
}

/// Returns the columns, among those that `spec` chooses and the watermark, of which this login does not read the stored
/// values.
pub(super) fn unreadable<'a>(
    spec: &TableSpec,
    catalog: &'a [CatalogColumn],
    watermark: Option<&Identifier>,
) -> Result<Vec<&'a CatalogColumn>> {
    let chosen = named(spec, catalog, spec.columns.as_deref())?.into_iter();
    let mut columns: Vec<_> = chosen.filter(|column| !is_taken_as_mask(spec, column)).collect();
    if let Some(name) = watermark {
        columns.push(find(&spec.table, catalog, name)?);
    }
    columns.retain(|column| column.access != Access::Values);
    Ok(columns)
}

/// Refuses a column from which this login does not read the values that are stored.
fn check_access(spec: &TableSpec, column: &CatalogColumn) -> Result<()> {
    let (name, table) = (&column.name, &spec.table);
    let (code, what) = match column.access {
        Access::Values => return Ok(()),
        Access::Nothing => (
            ErrorCode::SourceRejected,
            "may not be read by this login: grant it SELECT on the column, or name the column in exclude",
        ),
        Access::Mask => (
            ErrorCode::SourceRejected,
            "is masked for this login, or computed in a table with a masked column, so that the mask would be copied in place of the \
             values: grant it UNMASK, name the column in exclude, or set masked_columns to copy (a watermark must not be masked in any case)",
        ),
        Access::Ciphertext => (
            ErrorCode::UnsupportedType,
            "is encrypted by Always Encrypted, and only its clients have the keys: name the column in exclude",
        ),
    };
    Err(Error::about(code, table, |table| {
        format!("column {name} of {table} {what}")
    }))
}
