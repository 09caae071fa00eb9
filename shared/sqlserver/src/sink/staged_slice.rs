//! Stages the rows of a slice in a temporary table, and merges them from there.

use std::fmt;
use std::time::Duration;

use arrow_array::RecordBatch;
use mssql_tds::connection::bulk_copy::{BulkCopy, ColumnMapping};
use mssql_tds::datatypes::bulk_copy_metadata::SqlDbType;
use mssql_tds::datatypes::column_values::ColumnValues;
use mssql_tds::error::Error as DriverError;
use mssql_tds::message::transaction_management::TransactionIsolationLevel;
use tidemark::error::{Answer, Error, ErrorCode, Failure, Fault};
use tidemark::model::names::ObjectName;
use tidemark::model::sink::MergeProcedure;
use tidemark::model::types::Form;
use tidemark::ports::sink_table::{Merged, SliceToMerge, StagedRows};

use super::cells::{Cells, Row};
use super::mapping::SinkTables;
use super::sink_columns::SinkColumn;
use crate::session::{Mssql, MssqlClient, Opened, Session, unlogged, within};
use crate::statements::Statement;
use crate::statements::sink_table::{sink_columns, table_type_columns};
use crate::statements::staging::{Merge, STAGING, drop_staging, lock, session, staged_name, unlock};

/// The number of rows that a procedure is given in one call.
const ROWS_PER_CALL: u64 = 10_000;

/// The rows of a slice in a temporary table of the session.
pub struct StagedSlice {
    /// The session to which the connection returns at the end.
    session: Session<Mssql>,
    connection: Box<Opened<Mssql>>,
    merge: Merge,
    /// The forms of the slice's columns.
    forms: Vec<Form>,
    loaded_rows: u64,
    locked: bool,
}

impl fmt::Debug for StagedSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StagedSlice")
            .field("merge", &self.merge)
            .finish_non_exhaustive()
    }
}

impl StagedSlice {
    /// Reads the columns of the sink table and creates the temporary one. The temporary table and the lock belong to
    /// the server's session, so the slice has a connection of its own.
    pub(super) async fn begin(session_of_sink: Session<Mssql>, slice: &SliceToMerge<'_>) -> Answer<Self> {
        let mut connection = Box::pin(session_of_sink.connect()).await?;
        let table = slice.sink.table(slice.source);
        let described = sink_columns(table);
        let mut tables = SinkTables {
            table: columns(&session_of_sink, &mut connection, &described, "table", table).await?,
            table_type: Vec::new(),
        };
        if let Some(MergeProcedure { table_type, .. }) = &slice.sink.procedure {
            let described = table_type_columns(table_type);
            tables.table_type =
                columns(&session_of_sink, &mut connection, &described, "table type", table_type).await?;
        }
        let merge = match Merge::new(slice, &tables) {
            Ok(merge) => merge,
            Err(error) => return session_of_sink.settle(connection, Err(error.into())).await,
        };
        let mut staged = Self {
            session: session_of_sink,
            connection,
            forms: slice.columns.iter().map(|column| column.form).collect(),
            merge,
            loaded_rows: 0,
            locked: false,
        };
        staged.request(&session()).await?;
        staged.request(&staged.merge.create_staging()).await?;
        Ok(staged)
    }

    /// Runs a statement as a request without parameters, so that what it creates and sets stays in the session.
    async fn request(&mut self, statement: &Statement) -> Answer<()> {
        self.session.request(&mut self.connection, &statement.sql).await
    }

    /// Runs a statement in which triggers or procedures of others run. Returns the last value that it answers.
    async fn execute(&mut self, statement: &Statement) -> Answer<Option<ColumnValues>> {
        let last = self.session.last_value(&mut self.connection, statement).await;
        last.map_err(|failure| self.session.withheld(failure))
    }

    /// Runs a statement that answers, after whatever triggers answer, with the number of rows that it changed.
    async fn changed(&mut self, statement: &Statement) -> Answer<u64> {
        let last = self.execute(statement).await?;
        let rows = last.as_ref().and_then(number);
        rows.and_then(|rows| u64::try_from(rows).ok()).ok_or_else(no_number)
    }

    /// Returns the only row of a statement's answer.
    async fn row(&mut self, statement: &Statement) -> Answer<Vec<ColumnValues>> {
        let rows = self.session.all_rows(&mut self.connection, statement).await?;
        let row = <[_; 1]>::try_from(rows).map(|[row]| row);
        row.map_err(|_| no_number())
    }

    /// Returns the only number of a statement's answer.
    async fn number(&mut self, statement: &Statement) -> Answer<i64> {
        let row = self.row(statement).await?;
        row.first().and_then(number).ok_or_else(no_number)
    }

    /// Runs the statements of a merge in the transaction that has been begun.
    async fn change(&mut self) -> Answer<Merged> {
        let mut merged = Merged::default();
        if self.merge.procedure.is_some() {
            self.call_procedure().await?;
            return Ok(merged);
        }
        if let Some(statement) = self.merge.delete() {
            merged.deleted = self.changed(&statement).await?;
        }
        if let Some(statement) = self.merge.update() {
            merged.updated = self.changed(&statement).await?;
        }
        merged.inserted = self.changed(&self.merge.insert()).await?;
        Ok(merged)
    }

    /// Gives the rows to the procedure in several calls.
    async fn call_procedure(&mut self) -> Answer<()> {
        if let Some(statement) = self.merge.drop_older() {
            self.execute(&statement).await?;
        }
        let last = self.number(&self.merge.last_row()).await?;
        let mut from = 0;
        while i64::try_from(from).is_ok_and(|from| from < last) {
            let to = from + ROWS_PER_CALL;
            if let Some(statement) = self.merge.call(from, to) {
                self.execute(&statement).await?;
            }
            from = to;
        }
        Ok(())
    }

    async fn tidy_up(&mut self) -> Answer<()> {
        // The lock is released first, because others wait for it.
        if self.locked && self.number(&unlock(&self.merge.table)).await? != 0 {
            return Err(Error::new(ErrorCode::Internal, "the lock was not held").into());
        }
        self.request(&drop_staging()).await
    }

    /// Checks that every row that was sent has arrived, because the driver counts only what it sends.
    async fn check_arrived(&mut self) -> Answer<()> {
        let arrived = self.number(&self.merge.last_row()).await?;
        if u64::try_from(arrived) == Ok(self.loaded_rows) {
            return Ok(());
        }
        let message = format!("{} rows were sent to the sink but {arrived} arrived", self.loaded_rows);
        Err(Error::new(ErrorCode::Internal, message).into())
    }

    /// Refuses text that its column would change.
    async fn check_texts(&mut self) -> Answer<()> {
        let Some(statement) = self.merge.unheld_texts() else {
            return Ok(());
        };
        let row = self.row(&statement).await?;
        for (at, column) in self.merge.in_code_pages().into_iter().enumerate() {
            let texts = row.get(at).and_then(number).ok_or_else(no_number)?;
            if texts > 0 {
                let name = column.name.as_str();
                let sql_type = column.sql_type;
                let message = format!(
                    "{texts} texts have characters that column {name} of the sink table {}, a {sql_type}, does not hold in the \
                     code page of its collation: make it nvarchar",
                    self.merge.table
                );
                return Err(Error::new(ErrorCode::SchemaMismatch, message).into());
            }
        }
        Ok(())
    }

    /// Refuses rows with different keys that the table treats as equal, because only one of them would remain.
    async fn check_keys(&mut self) -> Answer<()> {
        let Some(statement) = self.merge.merged_keys() else {
            return Ok(());
        };
        let keys = self.number(&statement).await?;
        if keys == 0 {
            return Ok(());
        }
        let columns: Vec<_> = self.merge.collated_keys().map(|key| key.name.as_str()).collect();
        let message = format!(
            "{keys} keys of the sink table {} stand for several rows each, whose keys differ in what the collation of {} does not \
             tell apart (case, blanks at the end, or more): give these columns the source's collation, or a binary one",
            self.merge.table,
            columns.join(", ")
        );
        Err(Error::new(ErrorCode::SchemaMismatch, message).into())
    }

    /// Maps an error of a bulk load. A value that the driver refuses to send does not fit into its column.
    fn not_loaded(&self, error: DriverError) -> Failure {
        match &error {
            DriverError::TypeConversionError(_)
            | DriverError::UsageError(_)
            | DriverError::EncodedValueTooLong { .. } => {
                let message = format!("a value does not fit into the sink table {}", self.merge.table);
                Error::new(ErrorCode::SchemaMismatch, message).into()
            }
            _ => self.session.failure(error),
        }
    }
}

impl StagedRows<RecordBatch> for StagedSlice {
    async fn load(&mut self, batch: RecordBatch) -> Answer<u64> {
        // The limit for a statement of a merge as a whole: a load sends nothing back until its end.
        let limit = self.session.timeouts().silence;
        let names: Vec<_> = (0..self.merge.staged.len()).map(staged_name).collect();
        let mut bulk = BulkCopy::new(&mut self.connection, STAGING)
            // The driver's timeout is off, because `within` limits the load.
            .timeout(Duration::ZERO)
            .keep_nulls(true)
            .table_lock(true);
        for (index, name) in names.iter().enumerate() {
            bulk = bulk.add_column_mapping(ColumnMapping::by_ordinal(index, name.as_str()));
        }
        let described = self.session.ask(bulk.retrieve_destination_metadata()).await?;
        let declared = names.iter().map(|name| {
            let column = described.iter().find(|column| column.column_name == *name);
            column.map_or(SqlDbType::Variant, |column| column.sql_type)
        });
        let columns = self.forms.iter().zip(declared).zip(batch.columns());
        let cells: Vec<_> = columns
            .map(|((form, declared), array)| Cells::new(array, *form, declared))
            .collect();
        let rows = (0..batch.num_rows()).map(|row| Row { cells: &cells, row });
        let loaded = unlogged(within(limit, bulk.write_to_server_zerocopy(rows))).await;
        drop(bulk);
        let loaded = loaded.map_err(|error| self.not_loaded(error))?;
        self.loaded_rows += loaded.rows_affected;
        Ok(loaded.rows_affected)
    }

    async fn lock(&mut self) -> Answer<()> {
        let granted = self.number(&lock(&self.merge.table)).await?;
        if granted >= 0 {
            self.locked = true;
            return Ok(());
        }
        let message = format!(
            "other slices are merged into {} for too long (sp_getapplock answered {granted})",
            self.merge.table
        );
        Err(Failure::new(Fault::Conflict, message))
    }

    async fn merge(&mut self) -> Answer<Merged> {
        self.check_arrived().await?;
        self.check_texts().await?;
        self.check_keys().await?;
        if let Some(statement) = self.merge.keep_newest() {
            self.execute(&statement).await?;
        }
        let Self {
            session, connection, ..
        } = self;
        let begin = async |client: &mut MssqlClient| {
            client
                .begin_transaction(TransactionIsolationLevel::NoChange, None)
                .await
        };
        session.ask_or_cancel(connection, begin).await?;
        // After an error the connection is dropped, and the transaction with it.
        let merged = self.change().await?;
        let Self {
            session, connection, ..
        } = self;
        let commit = async |client: &mut MssqlClient| client.commit_transaction(None, None).await;
        session.ask_or_cancel(connection, commit).await?;
        Ok(merged)
    }

    /// Undoes the changes of the session, so that its connection can be kept. If that fails, the connection is closed.
    async fn release(mut self) {
        if let Err(failure) = self.tidy_up().await {
            tracing::debug!("The connection to the sink is not kept: {failure}.");
            return;
        }
        self.session.give_back(self.connection).await;
    }
}

/// Reads the columns of a table or of a table type of the sink.
async fn columns(
    session: &Session<Mssql>,
    connection: &mut Opened<Mssql>,
    statement: &Statement,
    kind: &str,
    name: &ObjectName,
) -> Answer<Vec<SinkColumn>> {
    let described = session.all_rows(connection, statement).await?;
    if described.is_empty() {
        let message = format!(
            "the sink's database has no {kind} {name}, or the login may not see it: create it, or grant the rights"
        );
        return Err(Failure::new(Fault::Refused, message));
    }
    let not_understood = || {
        let message = "the server's description of the sink table does not have the form that was asked for";
        Failure::new(Fault::Refused, message)
    };
    let columns = described.iter().map(|row| {
        let column = SinkColumn::read(row).ok_or_else(not_understood)?;
        Ok(column?)
    });
    columns.collect()
}

const fn number(value: &ColumnValues) -> Option<i64> {
    match value {
        ColumnValues::BigInt(number) => Some(*number),
        ColumnValues::Int(number) => Some(*number as i64),
        _ => None,
    }
}

fn no_number() -> Failure {
    Failure::new(Fault::Refused, "the sink did not answer with a number")
}

#[cfg(test)]
mod tests {
    use tidemark_replay::server::{Answer, Replay};
    use tidemark_replay::tokens::{columns, done, end, row, short};

    use super::*;
    use crate::login::Login;

    /// A trigger may count and answer, and an `int` arrives as what `@@ROWCOUNT` is.
    #[tokio::test]
    async fn what_a_trigger_changes_and_answers_is_not_counted() {
        let number = |number: u32| {
            [
                columns(&[("rows", vec![0x26, 4])]),
                row(&[short(&number.to_le_bytes())]),
            ]
            .concat()
        };
        let more = 0x11;
        let tokens = [
            done(0xFF, more, 50),
            number(99),
            done(0xFF, more, 1),
            done(0xFF, more, 2),
            number(2),
            end(1),
        ];
        let server = Replay::start(Answer::Tokens {
            tokens: tokens.concat(),
            hangs_up: false,
        });
        let login = Login::new("127.0.0.1", server.port(), "u", "p", "d");
        let session = Session::with_driver(Mssql::unencrypted(), login);
        let mut connection = session.connect().await.unwrap();
        let statement = Statement::new("UPDATE …");
        let last = session.last_value(&mut connection, &statement).await.unwrap();
        assert_eq!(last, Some(ColumnValues::Int(2)));
    }
}
