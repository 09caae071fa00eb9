//! Where results go: the wire, or memory for callers in the same process.

use rusqlite::Row;

use crate::error::{SqlError, SqlResult};
use crate::sql::bind::OutColumn;
use crate::value::{Datum, Ty, convert, format};

/// A change of the transaction that drivers are told of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// Begun, with its descriptor.
    Begun(u64),
    /// Committed.
    Committed(u64),
    /// Rolled back.
    RolledBack(u64),
}

/// Receives results as they come.
pub trait Sink {
    /// A result set begins.
    ///
    /// # Errors
    /// When a column cannot be described.
    fn columns(&mut self, columns: &[OutColumn]) -> SqlResult<()>;
    /// A row of the current result set.
    ///
    /// # Errors
    /// Number 0 when the client has cancelled or gone.
    fn row(&mut self, row: &Row<'_>) -> SqlResult<()>;
    /// A statement ended, with its row count if it has one; true for a statement with a result set.
    fn done(&mut self, count: Option<u64>, rows: bool);
    /// A message.
    fn info(&mut self, message: &SqlError);
    /// An error, and the end of its statement.
    fn error(&mut self, error: &SqlError);
    /// The database changed.
    fn database(&mut self, old: &str, new: &str);
    /// The transaction changed.
    fn transaction(&mut self, change: Transition);
    /// A procedure begins (true) or ends (false); between them statements are inside it.
    fn nest(&mut self, inside: bool);
    /// A procedure of a batch returned.
    fn returned(&mut self, status: i32);
    /// Whether the client has asked to stop.
    fn cancelled(&self) -> bool;
}

/// A result set in memory, every value as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// The column names.
    pub columns: Vec<String>,
    /// The rows; NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Collects results in memory.
#[derive(Debug, Default)]
pub struct Collected {
    /// The result sets.
    pub sets: Vec<ResultSet>,
    /// Row counts of the statements that have one.
    pub counts: Vec<u64>,
    /// Messages of `PRINT` and its like.
    pub messages: Vec<String>,
    /// The errors.
    pub errors: Vec<SqlError>,
    types: Vec<Ty>,
}

impl Sink for Collected {
    fn columns(&mut self, columns: &[OutColumn]) -> SqlResult<()> {
        self.types = columns.iter().map(|c| c.ty).collect();
        self.sets.push(ResultSet {
            columns: columns.iter().map(|c| c.name.clone()).collect(),
            rows: Vec::new(),
        });
        Ok(())
    }

    fn row(&mut self, row: &Row<'_>) -> SqlResult<()> {
        let mut values = Vec::with_capacity(self.types.len());
        for (at, ty) in self.types.iter().enumerate() {
            values.push(as_text(Datum::read(row.get_ref(at)?, *ty)?, *ty)?);
        }
        if let Some(set) = self.sets.last_mut() {
            set.rows.push(values);
        }
        Ok(())
    }

    fn done(&mut self, count: Option<u64>, _: bool) {
        self.counts.extend(count);
    }

    fn info(&mut self, message: &SqlError) {
        self.messages.push(message.message.clone());
    }

    fn error(&mut self, error: &SqlError) {
        self.errors.push(error.clone());
    }

    fn database(&mut self, _: &str, _: &str) {}

    fn transaction(&mut self, _: Transition) {}

    fn nest(&mut self, _: bool) {}

    fn returned(&mut self, _: i32) {}

    fn cancelled(&self) -> bool {
        false
    }
}

/// A value as text: dates in ISO form, money with four digits, bytes in hexadecimal.
fn as_text(value: Datum, ty: Ty) -> SqlResult<Option<String>> {
    if value == Datum::Null {
        return Ok(None);
    }
    let style = match ty {
        _ if ty.is_temporal() => 121,
        Ty::Money | Ty::SmallMoney => 2,
        _ if ty.is_binary() => 1,
        Ty::Float | Ty::Real => {
            if let Datum::F64(f) = value {
                return Ok(Some(f.to_string()));
            }
            format::DEFAULT_STYLE
        }
        _ => format::DEFAULT_STYLE,
    };
    match convert::datum(value, ty, Ty::NVarChar(crate::value::MAX), style)? {
        Datum::Str(s) => Ok(Some(s)),
        _ => Ok(None),
    }
}
