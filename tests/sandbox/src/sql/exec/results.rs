//! Where results go as they come: onto the wire, or into memory for callers in the same process.

use rusqlite::Row;

use crate::error::{SqlError, SqlResult};
use crate::sql::bind::OutColumn;
use crate::value::{Datum, MAX, Page, Ty, convert, format};

/// A change of the transaction that drivers are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transition {
    /// It has begun, with this descriptor.
    Begun(u64),
    /// It is committed.
    Committed(u64),
    /// It is rolled back.
    RolledBack(u64),
}

/// A receiver of results as they come.
pub trait TakeResults {
    /// Begins a result set.
    ///
    /// Fails when a column cannot be described.
    fn columns(&mut self, columns: &[OutColumn]) -> SqlResult<()>;
    /// Takes a row of the current result set.
    ///
    /// Fails with number 0 when the client has cancelled or is gone.
    fn row(&mut self, row: &Row<'_>) -> SqlResult<()>;
    /// Ends a statement, with its row count if it has one. `rows` is `true` for a statement with a result set.
    fn done(&mut self, count: Option<u64>, rows: bool);
    /// Takes a message.
    fn info(&mut self, message: &SqlError);
    /// Takes an error, which ends its statement.
    fn error(&mut self, error: &SqlError);
    /// Takes a change of the database.
    fn database(&mut self, old: &str, new: &str);
    /// Takes a change of the transaction.
    fn transaction(&mut self, change: Transition);
    /// Takes the beginning (`true`) or the end (`false`) of a procedure. The statements between them are inside it.
    fn nest(&mut self, inside: bool);
    /// Takes the status of a procedure that a batch called.
    fn returned(&mut self, status: i32);
    /// Returns whether the client has asked to stop.
    fn cancelled(&self) -> bool;
}

/// A result set in memory, with every value as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResultSet {
    /// The column names.
    pub columns: Vec<String>,
    /// The rows, in which NULL is `None`.
    pub rows: Vec<Vec<Option<String>>>,
}

/// Results that are collected in memory.
#[derive(Debug, Default)]
pub struct Collected {
    /// The result sets.
    pub sets: Vec<ResultSet>,
    /// The row counts of the statements that have one.
    pub counts: Vec<u64>,
    /// The messages of `PRINT` and `RAISERROR`.
    pub messages: Vec<String>,
    /// The errors.
    pub errors: Vec<SqlError>,
    types: Vec<Ty>,
}

impl TakeResults for Collected {
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

/// Returns a value as text: dates in ISO form, money with four digits, bytes in hexadecimal.
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
    match convert::datum(value, ty, Ty::NVarChar(MAX), Page::Utf16, style)? {
        Datum::Str(s) => Ok(Some(s)),
        _ => Ok(None),
    }
}
