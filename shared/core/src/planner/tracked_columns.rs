//! The columns of a tracked table: those asked for, always its key, and the two that describe the change.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::identifier::Identifier;
use tidemark::ports::changes::ProbeChanges;
use tidemark::ports::source::{DeclaredColumn, ProbeSource};
use tidemark::query::change_tracking::{self, OPERATION_COLUMN, VERSION_COLUMN};
use tidemark::steps::Turns;
use tidemark::table::TableSpec;
use tidemark::types::Column;

use crate::planning::{find, selected};

/// The columns of a table.
pub(super) struct Columns {
    /// The names of its key's.
    pub(super) key: Vec<String>,
    /// Those asked for.
    pub(super) declared: Vec<DeclaredColumn>,
    /// Those to copy, without the two that describe the change.
    pub(super) copied: Vec<Column>,
}

/// Asks for the columns: those named and, before them, what they lack of the key.
pub(super) async fn ask<P: ProbeSource + ProbeChanges>(source: &P, spec: &TableSpec, turns: &Turns) -> Result<Columns> {
    let key = turns.take(source.primary_key(&spec.table)).await?;
    let asked_for = match &spec.columns {
        None => None,
        Some(listed) => {
            let is_listed = |name: &String| {
                let name = name.to_lowercase();
                listed.iter().any(|column| column.as_str().to_lowercase() == name)
            };
            let missing = key.iter().filter(|name| !is_listed(name));
            let missing = missing.map(|name| Identifier::new(name.as_str()));
            let names = missing.chain(listed.iter().cloned().map(Ok));
            Some(names.collect::<Result<Vec<_>>>()?)
        }
    };
    let only: Option<Vec<&Identifier>> = asked_for.as_ref().map(|names| names.iter().collect());
    let declared = turns.take(source.columns(&spec.table, only.as_deref())).await?;
    let mut copied = selected(spec, &declared, asked_for.as_deref())?;
    // As the columns are spelled in the answer, which need not be as the key spells them.
    let mut names = Vec::with_capacity(key.len());
    for name in key {
        names.push(find(&spec.table, &declared, &Identifier::new(name)?)?.name.clone());
    }
    if let Some(name) = names
        .iter()
        .find(|name| copied.iter().all(|column| column.name != **name))
    {
        let message = format!(
            "exclude of {} names {name}, a column of the key, which every change needs",
            spec.table
        );
        return Err(Error::new(ErrorCode::InvalidInput, message));
    }
    for column in &mut copied {
        refuse_own_names(spec, &column.name)?;
        // A deleted row has nothing but its key.
        column.nullable = !names.contains(&column.name);
    }
    Ok(Columns {
        key: names,
        declared,
        copied,
    })
}

/// The columns as files have them.
pub(super) fn in_files(mut copied: Vec<Column>) -> Vec<Column> {
    copied.extend(change_tracking::columns());
    copied
}

fn refuse_own_names(spec: &TableSpec, name: &str) -> Result<()> {
    let mut own = [VERSION_COLUMN, OPERATION_COLUMN].iter();
    if !own.any(|own| own.eq_ignore_ascii_case(name)) {
        return Ok(());
    }
    let message = format!(
        "{} has a column {name}, which is what the files call the change itself: leave it out by naming the others in \
         columns",
        spec.table
    );
    Err(Error::new(ErrorCode::InvalidInput, message))
}
