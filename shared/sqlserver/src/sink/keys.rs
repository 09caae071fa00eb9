//! Finds the keys that identify a row in a sink table.

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::{Identifier, ObjectName, is_alike};
use tidemark::model::sink::SqlServerSink;
use tidemark::model::types::Column;
use tidemark::model::values::{Mask, Values};

use super::sink_columns::SinkTable;
use crate::statements::staging::MappedColumn;

impl SinkTable<'_> {
    /// Returns the configured keys, or else those of the primary key. Only if keys are `optional` can there be none.
    pub(super) fn keys(&self, sink: &SqlServerSink, columns: &[Column], optional: bool) -> Result<Vec<MappedColumn>> {
        let primary: Vec<&str> = self
            .columns
            .iter()
            .filter(|column| column.primary_key)
            .map(|column| column.name.as_str())
            .collect();
        let names: Vec<&str> = if sink.keys.is_empty() {
            primary
        } else {
            sink.keys.iter().map(Identifier::as_str).collect()
        };
        if names.is_empty() && !optional {
            let message = format!(
                "{} has no primary key: name the columns that identify a row in the sink's keys",
                self.what
            );
            return Err(Error::new(ErrorCode::InvalidInput, message));
        }
        let mut keys = Vec::new();
        for name in names {
            let spelled = &self.find(name)?.name;
            let index = position(columns, spelled).ok_or_else(|| {
                self.mismatch(&format!(
                    "has the key column {spelled}, which is not among the copied columns: copy it, or name other keys"
                ))
            })?;
            if let Values::Masked(mask @ (Mask::Null | Mask::Last4)) = columns[index].values {
                let message = format!(
                    "{} has the key column {spelled}, and the mask {} makes one row of many there: use hash, which keeps different \
                     values different, or name other keys",
                    self.what,
                    mask.name()
                );
                return Err(Error::new(ErrorCode::InvalidInput, message));
            }
            let key = self.map(&columns[index], index)?;
            if !key.sql_type.can_be_key() {
                return Err(self.mismatch(&format!(
                    "has the key column {spelled} as {}, which cannot be compared",
                    key.sql_type
                )));
            }
            keys.push(key);
        }
        Ok(keys)
    }

    /// Refuses keys that are not exactly the source's primary key, `of_source`. A deletion has values only in these
    /// columns, so with more columns it would delete nothing, and with fewer it would also delete rows of other keys.
    pub(super) fn check_tracked(
        &self,
        source: &ObjectName,
        columns: &[Column],
        of_source: &[usize],
        keys: &[MappedColumn],
    ) -> Result<()> {
        let same = of_source
            .iter()
            .all(|index| keys.iter().any(|key| key.staged == *index))
            && keys.iter().all(|key| of_source.contains(&key.staged));
        if same {
            return Ok(());
        }
        let of_source: Vec<_> = of_source.iter().map(|index| columns[*index].name.as_str()).collect();
        let keys: Vec<_> = keys.iter().map(|key| key.name.as_str()).collect();
        let message = format!(
            "{} has the keys ({}), and change tracking names deleted rows by the primary key of {source}, ({}): name these in \
             the sink's keys",
            self.what,
            keys.join(", "),
            of_source.join(", ")
        );
        Err(Error::new(ErrorCode::InvalidInput, message))
    }
}

/// Returns the number of the column with this name, spelled exactly or else in another case.
pub(super) fn position(columns: &[Column], name: &str) -> Option<usize> {
    let exact = columns.iter().position(|column| column.name == name);
    exact.or_else(|| columns.iter().position(|column| is_alike(&column.name, name)))
}
