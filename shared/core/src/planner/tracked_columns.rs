//! The columns of a tracked table: those asked for, always those of its key, and the two that describe the change.

use super::asked_columns::{self, AskedColumns};
use super::columns::{find, selected};
use super::masks::{self, Found};
use crate::error::{Error, ErrorCode, OfRole, Result, Role};
use crate::model::lookup::Note;
use crate::model::names::{Identifier, is_alike};
use crate::model::table::TableSpec;
use crate::model::types::Column;
use crate::model::unseen::Unseen;
use crate::ports::changes::{ChangeColumns, ProbeChanges};
use crate::ports::source::{DeclaredColumn, ProbeSource};
use crate::shared_connection::SharedConnection;

/// The columns of a tracked table.
pub(super) struct TableColumns {
    /// The names of the columns of its key.
    pub(super) key: Vec<String>,
    /// The columns that were asked for, as the server describes them.
    pub(super) declared: Vec<DeclaredColumn>,
    /// The columns in the files: those to copy, then the two that describe the change.
    pub(super) in_files: Vec<Column>,
    /// What the login may not see of the table.
    pub(super) unseen: Unseen,
}

impl TableColumns {
    /// Returns the note about a table of which the login may not see every row.
    pub(super) fn note(&self, spec: &TableSpec) -> Option<Note> {
        Note::with_unseen(None, spec, self.unseen)
    }
}

/// Asks for the columns: those that the user names and, before them, those of the key that the user does not name.
pub(super) async fn ask<P: ProbeSource + ProbeChanges>(
    source: &P,
    spec: &TableSpec,
    connection: &SharedConnection,
) -> Result<TableColumns> {
    let key = async { source.primary_key(&spec.table).await.of(Role::Source) };
    let key = connection.take_turn(key).await?;
    let names = names_to_ask(spec, &key)?;
    let asked = asked_columns::ask(source, spec, names.as_deref());
    let AskedColumns {
        mut declared,
        names,
        unseen,
        server_masked,
        ..
    } = connection.take_turn(asked).await?;
    let mut copied = selected(spec, &declared, names.as_deref())?;
    masks::take(&mut declared, &mut copied, &server_masked);
    // The names are taken as the columns are spelled in the answer, which may differ from the key's spelling.
    let mut spelled = Vec::with_capacity(key.len());
    for name in key {
        spelled.push(find(&spec.table, &declared, &Identifier::new(name)?)?.name.clone());
    }
    let is_copied = |name: &&String| copied.iter().any(|column| column.name == **name);
    if let Some(name) = spelled.iter().find(|name| !is_copied(name)) {
        return Err(Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
            format!("exclude of {table} names {name}, a column of the key, which every change needs")
        }));
    }
    let ChangeColumns { version, operation } = source.change_columns(spec.wanted_forms());
    for column in &mut copied {
        if [&version, &operation]
            .iter()
            .any(|own| is_alike(&own.name, &column.name))
        {
            return Err(own_name(spec, &column.name));
        }
        // A deleted row has nothing but its key.
        column.nullable = !spelled.contains(&column.name);
    }
    let found = Found {
        watermark: None,
        key: &spelled,
        has_mask_key: source.has_mask_key(),
    };
    masks::mask(spec, &mut declared, &mut copied, found)?;
    copied.extend([version, operation]);
    Ok(TableColumns {
        key: spelled,
        declared,
        in_files: copied,
        unseen,
    })
}

/// Returns the names to ask for, or `None` for all columns.
fn names_to_ask(spec: &TableSpec, key: &[String]) -> Result<Option<Vec<Identifier>>> {
    let Some(listed) = &spec.columns else {
        return Ok(None);
    };
    let is_listed = |name: &String| listed.iter().any(|column| is_alike(column.as_str(), name));
    let missing = key.iter().filter(|name| !is_listed(name));
    let missing = missing.map(|name| Identifier::new(name.as_str()));
    let names = missing.chain(listed.iter().cloned().map(Ok));
    names.collect::<Result<_>>().map(Some)
}

fn own_name(spec: &TableSpec, name: &str) -> Error {
    Error::about(ErrorCode::InvalidInput, &spec.table, |table| {
        format!(
            "{table} has a column {name}, which is what the files call the change itself: leave it out by naming the others in \
             columns"
        )
    })
}
