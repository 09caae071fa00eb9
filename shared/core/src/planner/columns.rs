//! The columns that are copied: those a user names, as the server spells them, of types that can be copied.

use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::ledger::keys::partition_keys;
use crate::model::names::{Identifier, ObjectName};
use crate::model::table::{MaskedColumns, TableSpec};
use crate::model::types::Column;
use crate::ports::source::{Access, CatalogColumn, DeclaredColumn, ProbeSource};

/// How many columns an error lists: errors travel in the state machine's payload.
pub(super) const NAMES_SHOWN: usize = 20;

/// What has the name of a column.
pub(super) trait Named {
    /// The name as the server spells it.
    fn name(&self) -> &str;
}

impl Named for DeclaredColumn {
    fn name(&self) -> &str {
        &self.name
    }
}

impl Named for CatalogColumn {
    fn name(&self) -> &str {
        &self.name
    }
}

/// The column a user means: spelled exactly, or, as most collations do not mind, in another case.
pub(super) fn find<'a, C: Named>(table: &ObjectName, columns: &'a [C], name: &Identifier) -> Result<&'a C> {
    let name = name.as_str();
    if let Some(column) = columns.iter().find(|column| column.name() == name) {
        return Ok(column);
    }
    let lower = name.to_lowercase();
    let mut alike = columns.iter().filter(|column| column.name().to_lowercase() == lower);
    match alike.next() {
        // The same column may be there twice, asked for in two spellings.
        Some(column) if alike.all(|other| other.name() == column.name()) => Ok(column),
        _ => {
            let names: Vec<_> = columns.iter().take(NAMES_SHOWN).map(Named::name).collect();
            let message = format!("{table} has no column '{name}'; its columns are {}", names.join(", "));
            Err(Error::new(ErrorCode::SourceRejected, message))
        }
    }
}

/// The columns of a table that its window needs.
pub(super) struct AskedColumns {
    /// As the server describes them.
    pub(super) declared: Vec<DeclaredColumn>,
    /// The names of those to copy; all when absent.
    pub(super) names: Option<Vec<Identifier>>,
}

/// Asks for the columns with these names, or for all that are visible and not excluded, and for the watermark's. No other
/// column is selected from, so that the login needs no right to it.
pub(super) async fn ask<P: ProbeSource>(
    source: &P,
    spec: &TableSpec,
    names: Option<&[Identifier]>,
    watermark: Option<&Identifier>,
) -> Result<AskedColumns> {
    let catalog = source.catalog(&spec.table).await.of(Role::Source)?;
    let (names, watermark) = match catalog {
        Some(catalog) => {
            let watermark = watermark.map(|name| find(&spec.table, &catalog, name)).transpose()?;
            (
                Some(chosen(spec, &catalog, names, watermark)?),
                watermark
                    .map(|column| Identifier::new(column.name.as_str()))
                    .transpose()?,
            )
        }
        None => (names.map(<[Identifier]>::to_vec), watermark.cloned()),
    };
    let asked_for: Option<Vec<&Identifier>> = names.as_ref().map(|names| {
        let others = names.iter().filter(|name| Some(*name) != watermark.as_ref());
        watermark.iter().chain(others).collect()
    });
    let declared = source.columns(&spec.table, asked_for.as_deref(), spec.wanted_forms());
    let declared = declared.await.of(Role::Source)?;
    Ok(AskedColumns { declared, names })
}

/// The names of the columns to copy, as they were declared. Fails by name when one of them, or the watermark, is not what the
/// login would read.
fn chosen(
    spec: &TableSpec,
    catalog: &[CatalogColumn],
    names: Option<&[Identifier]>,
    watermark: Option<&CatalogColumn>,
) -> Result<Vec<Identifier>> {
    let columns: Vec<&CatalogColumn> = match names {
        Some(names) => names
            .iter()
            .map(|name| find(&spec.table, catalog, name))
            .collect::<Result<_>>()?,
        None => {
            let excluded = spec.exclude.iter().map(|name| find(&spec.table, catalog, name));
            let excluded = excluded.collect::<Result<Vec<_>>>()?;
            let visible = catalog
                .iter()
                .filter(|column| column.in_star && !excluded.contains(column));
            visible.collect()
        }
    };
    for column in &columns {
        let is_taken = column.access == Access::Mask && spec.masked_columns == MaskedColumns::Copy;
        if !is_taken {
            check_access(spec, column)?;
        }
    }
    watermark.map_or(Ok(()), |column| check_access(spec, column))?;
    columns
        .iter()
        .map(|column| Identifier::new(column.name.as_str()))
        .collect()
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
            "is masked for this login, which would copy the mask in place of the values: grant it UNMASK, name the column in \
             exclude, or set masked_columns to copy (a watermark must not be masked in any case)",
        ),
        Access::Ciphertext => (
            ErrorCode::UnsupportedType,
            "is encrypted by Always Encrypted, and only its clients have the keys: name the column in exclude",
        ),
    };
    Err(Error::new(code, format!("column {name} of {table} {what}")))
}

/// The column, if its type is one that is copied exactly and its name one that readers see.
fn copied(spec: &TableSpec, column: &DeclaredColumn) -> Result<Column> {
    let (name, table) = (&column.name, &spec.table);
    let form = column.form.as_ref().map_err(|why| {
        let message = format!("column {name} of {table} {why}: name it in exclude, or copy a view that casts it");
        Error::new(ErrorCode::UnsupportedType, message)
    })?;
    let mut keys = partition_keys(spec.layout).iter();
    if let Some(key) = keys
        .find(|key| key.eq_ignore_ascii_case(name))
        .filter(|_| spec.sink.is_none())
    {
        let message = format!(
            "{table} has a column {name}, which is what the files' folders are called ({key}=…), and engines read the folder's \
             name in its place: name it in exclude, or copy a view that calls it otherwise"
        );
        return Err(Error::new(ErrorCode::InvalidInput, message));
    }
    Ok(Column {
        name: name.clone(),
        sql_type: column.sql_type.clone(),
        form: *form,
        nullable: column.nullable,
    })
}

/// The columns with these names, in their order; without names, all that are declared and not excluded.
pub(super) fn selected(
    spec: &TableSpec,
    declared: &[DeclaredColumn],
    names: Option<&[Identifier]>,
) -> Result<Vec<Column>> {
    let Some(names) = names else {
        let mut excluded = Vec::with_capacity(spec.exclude.len());
        for name in &spec.exclude {
            excluded.push(find(&spec.table, declared, name)?.name.as_str());
        }
        let kept = declared
            .iter()
            .filter(|column| !excluded.contains(&column.name.as_str()));
        return kept.map(|column| copied(spec, column)).collect();
    };
    let mut columns: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = copied(spec, find(&spec.table, declared, name)?)?;
        if columns.contains(&column) {
            let message = format!("columns of {} names {} twice", spec.table, column.name);
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        columns.push(column);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::{Form, TypeName};

    fn declared(name: &str) -> DeclaredColumn {
        DeclaredColumn {
            name: name.into(),
            sql_type: TypeName::new("int").unwrap(),
            nullable: false,
            form: Ok(Form::Int32),
            watermark: None,
            cuts: true,
        }
    }

    fn spec(more: &str) -> TableSpec {
        let json = format!(r#"{{"table": "t", "tracking": {{"watermark": {{"column": "id"}}}}{more}}}"#);
        serde_json::from_str(&json).unwrap()
    }

    #[test]
    fn a_column_that_is_called_as_a_partition_key_is_refused() {
        for (more, name, is_taken) in [
            ("", "Tidemark_Window", false),
            ("", "tidemark_load_date", true),
            (r#", "layout": "load_date""#, "tidemark_load_date", false),
            (r#", "exclude": ["TIDEMARK_WINDOW"]"#, "tidemark_window", true),
            (
                r#", "sink": {"sqlserver": {"secret_arn": "a"}}"#,
                "tidemark_window",
                true,
            ),
        ] {
            let columns = selected(&spec(more), &[declared("id"), declared(name)], None);
            assert_eq!(columns.is_ok(), is_taken, "{more} {name}");
            if let Err(error) = columns {
                assert_eq!(error.code(), ErrorCode::InvalidInput);
                assert!(error.to_string().contains(name), "{error}");
            }
        }
    }

    #[test]
    fn names_are_found_in_another_case_and_listed_when_they_are_not() {
        let columns = [declared("Id"), declared("v"), declared("V")];
        let table: ObjectName = "t".parse().unwrap();
        let name = |name: &str| Identifier::new(name).unwrap();
        assert_eq!(find(&table, &columns, &name("ID")).unwrap().name, "Id");
        assert_eq!(find(&table, &columns, &name("V")).unwrap().name, "V");
        let error = find(&table, &columns, &name("w")).unwrap_err();
        assert!(error.to_string().ends_with("its columns are Id, v, V"), "{error}");
    }
}
