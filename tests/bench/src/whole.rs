//! The rows of a whole table by its key, which is its watermark too, and the slices of them.

use tidemark::error::Error;
use tidemark::model::names::{Identifier, ObjectName};
use tidemark::model::rows::{Closed, Interval};
use tidemark::model::slice::KeyBounds;
use tidemark::model::types::TypeName;
use tidemark::model::watermark::Watermark;

/// The key of every table, which counts from 1.
pub const KEY: &str = "id";
/// The type of the key.
const TYPE: &str = "bigint";

/// Returns the watermark at which every window ends.
///
/// # Errors
///
/// None occurs for this type and value.
pub fn end() -> Result<Watermark, Error> {
    Watermark::new(TypeName::new(TYPE)?, i64::MAX.to_string())
}

/// The names and the bound of an interval that has all rows.
#[derive(Debug)]
pub struct Whole {
    table: ObjectName,
    column: Identifier,
    end: Watermark,
}

impl Whole {
    /// Makes it for a table of this name.
    ///
    /// # Errors
    ///
    /// Fails when the name is not that of a table.
    pub fn of(table: &str) -> Result<Self, Error> {
        Ok(Self {
            table: table.parse()?,
            column: Identifier::new(KEY)?,
            end: end()?,
        })
    }

    /// Returns the interval.
    #[must_use]
    pub fn interval(&self) -> Interval<'_> {
        Interval {
            table: &self.table,
            column: &self.column,
            old: None,
            new: &self.end,
            closed: Closed::default(),
            with_nulls: false,
            key: None,
            filter: None,
        }
    }

    /// Returns so many slices that share `rows` rows evenly. The first and the last are open at their ends.
    ///
    /// # Errors
    ///
    /// None occurs for this type of key.
    pub fn slices(&self, rows: u64, count: u64) -> Result<Vec<KeyBounds>, Error> {
        let bound = |nth: u64| -> Result<Option<Watermark>, Error> {
            if nth == 0 || nth == count {
                return Ok(None);
            }
            Watermark::new(TypeName::new(TYPE)?, (rows * nth / count).to_string()).map(Some)
        };
        let slice = |nth| {
            Ok(KeyBounds {
                column: self.column.clone(),
                above: bound(nth)?,
                up_to: bound(nth + 1)?,
            })
        };
        (0..count).map(slice).collect()
    }
}
