//! The columns that are copied: those that a user names, as the server spells them, of types that can be copied.

use std::collections::HashMap;

use crate::error::{Error, ErrorCode, Result};
use crate::ledger::keys::partition_keys;
use crate::model::format::FileTypes;
use crate::model::names::{Identifier, ObjectName, is_alike, without_case};
use crate::model::table::TableSpec;
use crate::model::types::{Column, Form};
use crate::model::values::Values;
use crate::ports::source::{CatalogColumn, DeclaredColumn};

/// The most columns that an error lists, because errors travel in the state machine's payload.
pub(super) const NAMES_SHOWN: usize = 20;

/// A description that has the name of a column.
pub(super) trait Named {
    /// Returns the name as the server spells it.
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

/// Finds the column that a user means: the one spelled exactly so or, because most collations ignore case, one in
/// another case.
///
/// Errors: `SourceRejected`, listing columns of the table, when there is none or more than one.
pub(super) fn find<'a, C: Named>(table: &ObjectName, columns: &'a [C], name: &Identifier) -> Result<&'a C> {
    let name = name.as_str();
    if let Some(column) = columns.iter().find(|column| column.name() == name) {
        return Ok(column);
    }
    let mut alike = columns.iter().filter(|column| is_alike(column.name(), name));
    match alike.next() {
        // The same column may be there twice, because it was asked for in two spellings.
        Some(column) if alike.all(|other| other.name() == column.name()) => Ok(column),
        _ => {
            let names: Vec<_> = columns.iter().take(NAMES_SHOWN).map(Named::name).collect();
            let names = names.join(", ");
            Err(Error::about(ErrorCode::SourceRejected, table, |table| {
                format!("{table} has no column '{name}'; its columns are {names}")
            }))
        }
    }
}

/// Returns whether `spec` itself leaves a column of this name out.
pub(super) fn is_left_out(spec: &TableSpec, name: &Identifier) -> bool {
    let is_it = |other: &Identifier| is_alike(other.as_str(), name.as_str());
    spec.exclude.iter().any(is_it) || spec.columns.as_ref().is_some_and(|columns| !columns.iter().any(is_it))
}

/// Returns the columns that are not excluded. Fails when an excluded column does not exist.
pub(super) fn not_excluded<'a, C: Named>(spec: &TableSpec, columns: &'a [C]) -> Result<Vec<&'a C>> {
    let excluded = spec
        .exclude
        .iter()
        .map(|name| find(&spec.table, columns, name).map(Named::name));
    let excluded = excluded.collect::<Result<Vec<_>>>()?;
    Ok(columns
        .iter()
        .filter(|column| !excluded.contains(&column.name()))
        .collect())
}

/// The forms that a user chooses for single columns, by the names that the server spells.
type OwnTypes<'a> = Vec<(&'a str, FileTypes)>;

fn types_of_no_column(spec: &TableSpec, name: &str) -> Error {
    Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
        format!("column_types of {table} names {name}, which is not copied: leave it out of column_types")
    })
}

fn own_types<'a>(spec: &TableSpec, declared: &'a [DeclaredColumn]) -> Result<OwnTypes<'a>> {
    let chosen = spec.column_types.iter().map(|(name, types)| {
        let column = find(&spec.table, declared, name).map_err(|error| match is_left_out(spec, name) {
            true => types_of_no_column(spec, name.as_str()),
            false => error.context("column_types"),
        })?;
        Ok((column.name.as_str(), *types))
    });
    chosen.collect()
}

/// Returns the form in which a column is held: the native one, where there is one and it is asked for.
fn form(spec: &TableSpec, column: &DeclaredColumn, own_types: &OwnTypes<'_>) -> Result<Form> {
    let (name, table) = (&column.name, &spec.table);
    let form = column.form.as_ref().map_err(|why| {
        Error::about(ErrorCode::UnsupportedType, table, |table| {
            format!("column {name} of {table} {why}: name it in exclude, or copy a view that casts it")
        })
    })?;
    let own = own_types.iter().find(|(own, _)| own == name).map(|(_, types)| *types);
    match (own.unwrap_or(spec.types), column.native) {
        (FileTypes::Native, Some(native)) => Ok(native),
        (FileTypes::Native, None) if own.is_some() => Err(Error::about(ErrorCode::InvalidInput, table, |table| {
            format!(
                "column_types asks for the native form of {name} of {table}, and a column of type {} has but one form in these \
                 files: leave it out of column_types",
                column.sql_type
            )
        })),
        (FileTypes::Portable | FileTypes::Native, _) => Ok(*form),
    }
}

/// Returns the column, if its type can be copied exactly and readers can see its name.
fn copied(spec: &TableSpec, column: &DeclaredColumn, own_types: &OwnTypes<'_>) -> Result<Column> {
    let (name, table) = (&column.name, &spec.table);
    let form = form(spec, column, own_types)?;
    let mut keys = partition_keys(spec.layout).iter();
    if let Some(key) = keys.find(|key| is_alike(key, name)).filter(|_| spec.sink.is_none()) {
        return Err(Error::about(ErrorCode::InvalidInput, table, |table| {
            format!(
                "{table} has a column {name}, which is what the files' folders are called ({key}=…), and engines read the folder's \
                 name in its place: name it in exclude, or copy a view that calls it otherwise"
            )
        }));
    }
    Ok(Column {
        name: name.clone(),
        sql_type: column.sql_type.clone(),
        form,
        nullable: column.nullable,
        values: Values::OfSource,
    })
}

/// Returns the columns with these names, in their order; without names, all that are declared and not excluded.
pub(super) fn selected(
    spec: &TableSpec,
    declared: &[DeclaredColumn],
    names: Option<&[Identifier]>,
) -> Result<Vec<Column>> {
    let own_types = own_types(spec, declared)?;
    let columns = named(spec, declared, names, &own_types)?;
    if columns.is_empty() {
        return Err(Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
            format!("no column of {table} is left to copy: name at least one in columns, or fewer in exclude")
        }));
    }
    let is_copied = |name: &str| columns.iter().any(|column| column.name == name);
    if let Some((name, _)) = own_types.iter().find(|(name, _)| !is_copied(name)) {
        return Err(types_of_no_column(spec, name));
    }
    if spec.sink.is_none() {
        check_cases(spec, &columns)?;
    }
    Ok(columns)
}

/// Refuses names that differ by case only: engines that ignore case take them for one column, or cannot open the file.
fn check_cases(spec: &TableSpec, columns: &[Column]) -> Result<()> {
    let mut seen = HashMap::with_capacity(columns.len());
    for column in columns {
        if let Some(other) = seen.insert(without_case(&column.name), &column.name) {
            return Err(Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
                format!(
                    "{table} has the columns {other} and {}, whose names differ by case only, and engines that do not mind case cannot \
                     open files with both: name one of them in exclude, or copy a view that calls it otherwise",
                    column.name
                )
            }));
        }
    }
    Ok(())
}

fn named(
    spec: &TableSpec,
    declared: &[DeclaredColumn],
    names: Option<&[Identifier]>,
    own_types: &OwnTypes<'_>,
) -> Result<Vec<Column>> {
    let Some(names) = names else {
        let kept = not_excluded(spec, declared)?.into_iter();
        return kept.map(|column| copied(spec, column, own_types)).collect();
    };
    let mut columns: Vec<Column> = Vec::with_capacity(names.len());
    for name in names {
        let column = copied(spec, find(&spec.table, declared, name)?, own_types)?;
        if columns.contains(&column) {
            return Err(Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
                format!(
                    "the field `columns` of {table} names {} twice: take one out",
                    column.name
                )
            }));
        }
        columns.push(column);
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::TypeName;

    fn declared(name: &str) -> DeclaredColumn {
        DeclaredColumn {
            name: name.into(),
            sql_type: TypeName::new("int").unwrap(),
            nullable: false,
            form: Ok(Form::Int32),
            native: None,
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
            // The Kelvin sign, whose lower case is an ordinary `k`.
            ("", "tidemar\u{212A}_window", false),
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
    fn a_table_of_which_no_column_is_left_is_refused_before_its_window_is_frozen() {
        for more in [r#", "exclude": ["ID", "v"]"#, r#", "columns": []"#] {
            let spec = spec(more);
            let error = selected(&spec, &[declared("id"), declared("v")], spec.columns.as_deref()).unwrap_err();
            assert_eq!(error.code(), ErrorCode::InvalidInput);
            assert!(
                error.to_string().contains("no column of dbo.t is left to copy"),
                "{error}"
            );
        }
    }

    #[test]
    fn names_that_differ_by_case_only_are_refused_where_rows_become_files() {
        let columns = [declared("id"), declared("Straße"), declared("STRAßE")];
        for (more, is_taken) in [
            ("", false),
            (r#", "exclude": ["Straße"]"#, true),
            (r#", "columns": ["id", "STRAßE"]"#, true),
            (r#", "sink": {"sqlserver": {"secret_arn": "a"}}"#, true),
        ] {
            let spec = spec(more);
            let selected = selected(&spec, &columns, spec.columns.as_deref());
            assert_eq!(selected.is_ok(), is_taken, "{more}");
            if let Err(error) = selected {
                assert_eq!(error.code(), ErrorCode::InvalidInput);
                assert!(error.to_string().contains("Straße and STRAßE"), "{error}");
            }
        }
    }

    #[test]
    fn a_form_is_chosen_for_the_table_and_for_single_columns() {
        let columns = || {
            let native = |name| DeclaredColumn {
                form: Ok(Form::Text),
                native: Some(Form::Uuid),
                ..declared(name)
            };
            [declared("id"), native("A"), native("b")]
        };
        let (text, uuid) = (Form::Text, Form::Uuid);
        for (more, forms) in [
            ("", [text, text]),
            (r#", "types": "native""#, [uuid, uuid]),
            (
                r#", "types": "native", "column_types": {"b": "portable"}"#,
                [uuid, text],
            ),
            (r#", "column_types": {"a": "native"}"#, [uuid, text]),
        ] {
            let selected = selected(&spec(more), &columns(), None).unwrap();
            let found: Vec<Form> = selected.iter().map(|column| column.form).collect();
            assert_eq!(found[1..], forms, "{more}");
        }
        for (more, code, said) in [
            (
                r#", "column_types": {"id": "native"}"#,
                ErrorCode::InvalidInput,
                "a column of type int has but one form",
            ),
            (
                r#", "column_types": {"c": "native"}"#,
                ErrorCode::SourceRejected,
                "has no column 'c'",
            ),
            (
                r#", "column_types": {"a": "native"}, "exclude": ["A"]"#,
                ErrorCode::InvalidInput,
                "names A, which is not copied",
            ),
        ] {
            let error = selected(&spec(more), &columns(), None).unwrap_err();
            assert_eq!(error.code(), code, "{more}");
            assert!(error.to_string().contains(said), "{error}");
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
