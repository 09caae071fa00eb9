//! The effect of an error on its batch and transaction, and constraint errors in the server's words.

use super::{Flow, Session, TakeResults};
use crate::error::{SqlError, SqlResult};
use crate::sql::catalog::{self, Table};

/// The errors that end a statement and let the batch go on.
const STATEMENT_ONLY: [i32; 24] = [
    220, 232, 242, 244, 248, 515, 517, 535, 544, 547, 2601, 2627, 2628, 2714, 2812, 3621, 3701, 3902, 3903, 8115, 8134,
    8152, 8169, 15233,
];

/// Returns whether the transaction cannot be committed after an error.
fn dooms(number: i32) -> bool {
    matches!(number, 241 | 245 | 1205 | 3951 | 3952 | 3960 | 3961 | 8114)
}

impl Session {
    /// Reports an error outside of any `TRY`, and returns whether the batch goes on. It does after an error that was
    /// `raised` by `RAISERROR`, unlike after the same error of `THROW`.
    pub(super) fn report(&mut self, error: &SqlError, raised: bool, results: &mut dyn TakeResults) -> Flow {
        self.last_error = error.number;
        self.rowcount = 0;
        results.error(error);
        let goes_on = (STATEMENT_ONLY.contains(&error.number) || raised) && error.class < 19;
        if matches!(error.number, 515 | 547 | 2601 | 2627 | 2628 | 8152 | 8115) {
            results.info(&SqlError::of(3621, &[]).at(error.line));
        }
        let rolls_back = dooms(error.number) || self.options.xact_abort && !raised;
        if rolls_back && self.trancount > 0 {
            self.rollback_all(results);
        }
        if goes_on && (raised || !self.options.xact_abort) {
            Flow::Next
        } else {
            Flow::Abort
        }
    }

    /// Notes an error that a `TRY` is about to catch.
    pub(super) fn note_caught(&mut self, error: &SqlError) {
        self.last_error = error.number;
        if (dooms(error.number) || self.options.xact_abort) && self.trancount > 0 {
            self.doomed = true;
        }
    }

    /// Puts the names of the table and the constraint into a constraint error of SQLite.
    pub(super) fn constraint_error(&self, error: SqlError, table: &Table, verb: &str) -> SqlError {
        match self.worded(&error, table, verb) {
            Ok(Some(message)) => message,
            _ => error,
        }
    }

    fn worded(&self, error: &SqlError, table: &Table, verb: &str) -> SqlResult<Option<SqlError>> {
        let place = table.place();
        let full = format!("{}.{}.{}", table.db, table.schema, table.name);
        Ok(match error.number {
            515 => {
                let column = error
                    .message
                    .strip_prefix(&format!("{}.", place.stored_name()))
                    .unwrap_or(&error.message);
                Some(SqlError::of(515, &[&column, &full, &verb]))
            }
            2627 => catalog::violated_index(self.conn(), table, &error.message)?.map(|index| {
                let object = format!("{}.{}", table.schema, table.name);
                if index.constraint {
                    let kind = if index.primary { "PRIMARY KEY" } else { "UNIQUE KEY" };
                    SqlError::of(2627, &[&kind, &index.name, &object])
                } else {
                    SqlError::of(2601, &[&object, &index.name])
                }
            }),
            547 if !error.message.starts_with("The ") => Some(SqlError::of(
                547,
                &[&verb, &error.message, &table.db, &table.schema, &table.name],
            )),
            _ => None,
        })
    }
}
