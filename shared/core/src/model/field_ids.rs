//! The ids by which readers know the columns of a table, in whatever order its files have them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::model::names::without_case;
use crate::model::types::Column;

/// The id of every column that any window of a table has had, by the column's name in lower case.
///
/// The map only grows. Each plan freezes it and passes it to the plan of the next window, so that a column keeps its id
/// for the life of the table, and an id is never given to another column.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldIds(BTreeMap<String, i32>);

impl FieldIds {
    /// Gives an id to each of `columns` that has none, in their order.
    pub fn extend(&mut self, columns: &[Column]) {
        let mut last = self.0.values().max().copied().unwrap_or(0);
        for column in columns {
            self.0.entry(without_case(&column.name)).or_insert_with(|| {
                last = last.saturating_add(1);
                last
            });
        }
    }

    /// Returns the id of the column with this name, which is compared without regard to case.
    #[must_use]
    pub fn of(&self, name: &str) -> Option<i32> {
        self.0.get(&without_case(name)).copied()
    }

    /// Returns whether no column has an id. Serde takes it by reference.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::types::{Form, TypeName};
    use crate::model::values::Values;

    fn columns(names: &[&str]) -> Vec<Column> {
        let columns = names.iter().map(|name| Column {
            name: (*name).to_owned(),
            sql_type: TypeName::new("int").unwrap(),
            form: Form::Int32,
            nullable: true,
            values: Values::OfSource,
        });
        columns.collect()
    }

    #[test]
    fn an_id_is_kept_and_never_given_again() {
        let mut ids = FieldIds::default();
        ids.extend(&columns(&["b", "a"]));
        ids.extend(&columns(&["a", "C"]));
        ids.extend(&columns(&["B", "d"]));
        let found: Vec<_> = ["b", "a", "c", "d", "e"].iter().map(|name| ids.of(name)).collect();
        assert_eq!(found, [Some(1), Some(2), Some(3), Some(4), None]);
        let json = serde_json::to_string(&ids).unwrap();
        assert_eq!(json, r#"{"a":2,"b":1,"c":3,"d":4}"#);
        assert_eq!(serde_json::from_str::<FieldIds>(&json).unwrap(), ids);
    }
}
