//! Reads the answers of statements.

use tiberius::Row;
use tidemark::error::{Answer, Failure, Fault};

use crate::session::Server;
use crate::statements::Statement;
use crate::types::{ValueText, value_text};

/// Returns the only row of an answer.
///
/// # Errors
///
/// `Refused` when there is another number of rows.
pub(crate) fn single(rows: &[Row]) -> Answer<&Row> {
    match rows {
        [row] => Ok(row),
        _ => Err(unexpected_answer()),
    }
}

/// Returns a `bigint` of a row.
pub(crate) fn number(row: &Row, column: &str) -> Answer<Option<i64>> {
    row.try_get(column).map_err(|_| unexpected_answer())
}

/// Returns a number of a row that counts something.
pub(crate) fn count(row: &Row, column: &str) -> Answer<u64> {
    counted(number(row, column)?)
}

/// Returns the text of a value of a row, as [`value_text`] reads it.
pub(crate) fn text(row: &Row, column: &str) -> Answer<ValueText> {
    let mut cells = row.cells();
    let cell = cells.find(|(described, _)| described.name() == column);
    cell.map(|(_, data)| value_text(data)).ok_or_else(unexpected_answer)
}

fn counted(number: Option<i64>) -> Answer<u64> {
    let count = number.and_then(|count| u64::try_from(count).ok());
    count.ok_or_else(unexpected_answer)
}

/// Builds the failure for an answer that does not fit the question.
pub(crate) fn unexpected_answer() -> Failure {
    Failure::new(
        Fault::Refused,
        "the server's answer to a lookup does not have the form that was asked for",
    )
}

/// Returns the answer to one of several questions, or `None` when this one failed but the server may answer the others.
///
/// # Errors
///
/// `Unreachable` when the server cannot be reached.
pub(crate) fn unless_unreachable<T>(answer: Answer<T>) -> Answer<Option<T>> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.fault() == Fault::Unreachable => Err(failure),
        Err(failure) => {
            tracing::debug!("One of several questions is not answered: {failure}.");
            Ok(None)
        }
    }
}

impl Server {
    /// Returns the number that a counting statement answers.
    pub(crate) async fn counted(&self, statement: &Statement) -> Answer<u64> {
        let rows = self.rows(statement).await?;
        // The answer is one number, whatever is counted.
        counted(single(&rows)?.try_get(0).map_err(|_| unexpected_answer())?)
    }

    /// Returns the rows of all results of a question to the catalog, or `None` from a server that does not have what is
    /// asked for. Its answer only makes something faster or clearer, so it is no reason to fail.
    ///
    /// # Errors
    ///
    /// Transient failures.
    pub(crate) async fn catalog_rows(&self, statement: &Statement) -> Answer<Option<Vec<Row>>> {
        match self.all_rows(statement).await {
            Ok(rows) => Ok(Some(rows)),
            Err(failure) if failure.is_transient() => Err(failure),
            Err(failure) => {
                tracing::debug!("The catalog does not answer: {failure}.");
                Ok(None)
            }
        }
    }
}
