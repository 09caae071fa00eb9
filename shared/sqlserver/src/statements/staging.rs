//! The statements of a merge into a table of another database, and what they are built from.
//!
//! The staging table is a temporary table of the session, so it needs no permissions and disappears with the session.
//! It is created in a request without parameters, because one that `sp_executesql` creates is dropped when that ends
//! (<https://learn.microsoft.com/en-us/sql/t-sql/statements/create-table-transact-sql>, temporary tables).
//!
//! The types of its columns are those of the source if a bulk load takes them unchanged. Text always has an `n` type, because a bulk
//! load does not say which code page its bytes are in. The legacy types and XML are loaded as the `(max)` type of their
//! values, a CLR type as its bytes, and a row version as eight bytes. The merge converts them.

use std::fmt;
use std::str::FromStr;

use tidemark::error::{Error, ErrorCode, Result};
use tidemark::model::names::{Identifier, ObjectName, printable};
use tidemark::model::sink::MergeProcedure;

use super::conversions::{cast, of_text};
use super::statement::{Quoted, Statement};
use crate::types::{Conversion, SqlType};

/// The name of the staging table.
pub(crate) const STAGING: &str = "#tidemark";
/// The time that a slice waits for another that is merged into the same table, in milliseconds.
const LOCK_TIMEOUT_MS: u32 = 600_000;

/// Sets the session so that an error rolls the whole transaction back. The setting stays for the next slice that uses
/// the connection.
pub(crate) fn session() -> Statement {
    Statement::new("SET XACT_ABORT ON")
}

/// Takes the lock under which one slice at a time is merged into a table, or waits for it. Answers one row, a negative
/// number if the lock was not granted. The session owns the lock, so that it outlives the transaction and ends with the
/// connection
/// (<https://learn.microsoft.com/en-us/sql/relational-databases/system-stored-procedures/sp-getapplock-transact-sql>).
pub(crate) fn lock(table: &ObjectName) -> Statement {
    let sql = format!(
        "DECLARE @name nvarchar(255) = CONCAT(N'tidemark ', OBJECT_ID(@P1)), @result int; \
         EXEC @result = sp_getapplock @Resource = @name, @LockMode = 'Exclusive', @LockOwner = 'Session', \
         @LockTimeout = {LOCK_TIMEOUT_MS}; SELECT @result AS [result]"
    );
    Statement::with(sql, &[&table.quoted()])
}

/// Releases the lock. Answers one row: 0 if the lock was held.
pub(crate) fn unlock(table: &ObjectName) -> Statement {
    let sql = "DECLARE @name nvarchar(255) = CONCAT(N'tidemark ', OBJECT_ID(@P1)), @result int; \
               EXEC @result = sp_releaseapplock @Resource = @name, @LockOwner = 'Session'; SELECT @result AS [result]";
    Statement::with(sql, &[&table.quoted()])
}

/// Drops the staging table of the session with its rows.
pub(crate) fn drop_staging() -> Statement {
    Statement::new(format!("DROP TABLE {STAGING}"))
}

/// A column of the sink table, or of the table type, and the staged column that fills it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MappedColumn {
    /// The name as the server spells it.
    pub name: Identifier,
    /// The number of the staged column.
    pub staged: usize,
    /// The type of the column.
    pub sql_type: SqlType,
    /// The collation, for text.
    pub collation: Option<Collation>,
    /// Whether NULL is allowed.
    pub nullable: bool,
    /// Whether it is the identity column.
    pub identity: bool,
}

/// The name of a collation. It consists of letters, digits and underscores, because a statement takes it only without
/// brackets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Collation(String);

impl FromStr for Collation {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        if !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
            return Ok(Self(name.to_owned()));
        }
        let message = format!("'{}' is not the name of a collation", printable(name));
        Err(Error::new(ErrorCode::SchemaMismatch, message))
    }
}

impl fmt::Display for Collation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Returns the name of a column in the staging table.
pub(crate) fn staged_name(index: usize) -> String {
    format!("c{index}")
}

/// A column of the staging table, which has those of the slice in the same order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedColumn {
    /// The type in the staging table.
    pub sql_type: SqlType,
    /// The collation in the staging table, for text.
    pub collation: Option<Collation>,
}

impl StagedColumn {
    /// Makes the column for values of the type `source` that go into a column of the type `sink`.
    pub(crate) fn new(source: SqlType, sink: SqlType, collation: Option<Collation>) -> Self {
        let sql_type = source.staged_for(sink);
        Self {
            collation: collation.filter(|_| sql_type.is_text()),
            sql_type,
        }
    }
}

/// The merge of staged rows into a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Merge {
    /// The sink table.
    pub table: ObjectName,
    /// The columns of the staging table.
    pub staged: Vec<StagedColumn>,
    /// The columns that are written: those of the sink table or, for a procedure, of its table type.
    pub columns: Vec<MappedColumn>,
    /// The columns of the sink table that identify a row. Only for a procedure can there be none.
    pub keys: Vec<MappedColumn>,
    /// The watermark column of the sink table. A row there with a greater watermark is not updated.
    pub watermark: Option<MappedColumn>,
    /// The number of the staged column that shows which of several rows is the newest.
    pub newest: usize,
    /// The number of the staged column that shows whether a row is a deletion.
    pub operation: Option<usize>,
    /// The procedure that does the merge, if it is not done by keys.
    pub procedure: Option<MergeProcedure>,
}

impl Merge {
    /// Returns the columns that an update writes: all except the keys.
    pub(crate) fn updated(&self) -> impl Iterator<Item = &MappedColumn> {
        self.columns
            .iter()
            .filter(|column| !self.keys.iter().any(|key| key.name == column.name))
    }

    /// Returns the columns that hold text in a code page, which may lack characters of the source. For a procedure
    /// these include the keys, which belong to the table and not to the table type.
    #[must_use]
    pub(crate) fn in_code_pages(&self) -> Vec<&MappedColumn> {
        let in_code_page = |column: &&MappedColumn| column.sql_type.is_in_code_page();
        let keys = self.keys.iter().filter(|_| self.procedure.is_some());
        self.columns.iter().chain(keys).filter(in_code_page).collect()
    }

    /// Returns the keys that are text. Their collation may treat different texts as equal.
    pub(crate) fn collated_keys(&self) -> impl Iterator<Item = &MappedColumn> {
        self.keys.iter().filter(|key| key.sql_type.is_text())
    }

    /// Returns whether rows are inserted with a value for the identity column.
    #[must_use]
    pub(crate) fn inserts_identity(&self) -> bool {
        self.columns.iter().any(|column| column.identity)
    }

    /// Creates the staging table: the number of the row, and the columns of the slice, named by their numbers.
    pub(crate) fn create_staging(&self) -> Statement {
        let columns: Vec<_> = self.staged.iter().enumerate().map(staged_definition).collect();
        Statement::new(format!(
            "CREATE TABLE {STAGING} ([row] bigint IDENTITY(1,1) NOT NULL PRIMARY KEY, {})",
            columns.join(", ")
        ))
    }

    /// Asks for one row: for each of [`Merge::in_code_pages`] the number of staged texts that its code page, or its
    /// length in bytes, cannot hold. `None` without such columns.
    ///
    /// SQL Server replaces characters that a code page lacks without an error. So text is converted there and back, and
    /// compared by its bytes.
    pub(crate) fn unheld_texts(&self) -> Option<Statement> {
        let counts: Vec<_> = self
            .in_code_pages()
            .into_iter()
            .map(|column| {
                let name = format!("[s].{}", staged_name(column.staged).quoted());
                let kept = format!("CAST({} AS nvarchar(max))", self.value(column));
                format!(
                    "COUNT_BIG(CASE WHEN CAST({kept} AS varbinary(max)) <> \
                     CAST(CAST({name} AS nvarchar(max)) AS varbinary(max)) THEN 1 END)"
                )
            })
            .collect();
        if counts.is_empty() {
            return None;
        }
        Some(Statement::new(format!(
            "SELECT {} FROM {STAGING} AS [s]",
            counts.join(", ")
        )))
    }

    /// Removes all but the newest row of each key from the staging table. Of equally new rows the one that was read
    /// last stays. `None` without keys.
    pub(crate) fn keep_newest(&self) -> Option<Statement> {
        if self.keys.is_empty() {
            return None;
        }
        Some(Statement::new(format!(
            "DELETE [o] FROM {STAGING} AS [o] JOIN (SELECT [s].[row], ROW_NUMBER() OVER (PARTITION BY {} ORDER BY [s].{} DESC, \
             [s].[row] DESC) AS [n] FROM {STAGING} AS [s]) AS [d] ON [d].[row] = [o].[row] WHERE [d].[n] > 1",
            self.key_values(),
            staged_name(self.newest).quoted()
        )))
    }

    /// Asks for one row: the number of the table's keys that stand for several staged rows, because the collation
    /// treats different texts as equal. `None` without keys that are text.
    pub(crate) fn merged_keys(&self) -> Option<Statement> {
        let differing: Vec<_> = self
            .collated_keys()
            .map(|key| {
                let bytes = format!(
                    "CAST(CAST([s].{} AS nvarchar(max)) AS varbinary(max))",
                    staged_name(key.staged).quoted()
                );
                format!("MIN({bytes}) <> MAX({bytes})")
            })
            .collect();
        if differing.is_empty() {
            return None;
        }
        Some(Statement::new(format!(
            "SELECT COUNT_BIG(*) AS [keys] FROM (SELECT 1 AS [n] FROM {STAGING} AS [s] GROUP BY {} HAVING {}) AS [d]",
            self.key_values(),
            differing.join(" OR ")
        )))
    }

    /// Deletes the rows of the table that are deletions in the staging table. `None` without change tracking.
    pub(crate) fn delete(&self) -> Option<Statement> {
        let operation = self.operation?;
        Some(counted(&format!(
            "DELETE [t] FROM {} AS [t] JOIN {STAGING} AS [s] ON {} WHERE [s].{} = N'D'",
            self.table.quoted(),
            self.same_keys(),
            staged_name(operation).quoted()
        )))
    }

    /// Updates the rows of the table that are not newer. The ranges of the keys stay locked until the insertion,
    /// because the older row of somebody who inserts one in between would stay. `None` when there are only keys.
    pub(crate) fn update(&self) -> Option<Statement> {
        let sets: Vec<_> = self
            .updated()
            .map(|column| format!("{} = {}", column.name.quoted(), self.value(column)))
            .collect();
        if sets.is_empty() {
            return None;
        }
        let mut conditions = Vec::new();
        if let Some(watermark) = &self.watermark {
            let there = format!("[t].{}", watermark.name.quoted());
            conditions.push(format!("({there} IS NULL OR {there} <= {})", self.value(watermark)));
        }
        conditions.extend(self.not_deleted());
        Some(counted(&format!(
            "UPDATE [t] SET {} FROM {} AS [t] WITH (UPDLOCK, HOLDLOCK) JOIN {STAGING} AS [s] ON {}{}",
            sets.join(", "),
            self.table.quoted(),
            self.same_keys(),
            condition(&conditions)
        )))
    }

    /// Inserts the rows that the table does not have. The ranges of the keys are locked, so that nobody else inserts
    /// them meanwhile.
    pub(crate) fn insert(&self) -> Statement {
        let table = self.table.quoted();
        let mut conditions = vec![format!(
            "NOT EXISTS (SELECT 1 FROM {table} AS [t] WITH (UPDLOCK, HOLDLOCK) WHERE {})",
            self.same_keys()
        )];
        conditions.extend(self.not_deleted());
        let insert = format!(
            "INSERT INTO {table} ({}) SELECT {} FROM {STAGING} AS [s]{}",
            names(&self.columns),
            self.values(),
            condition(&conditions)
        );
        let mut insert = counted(&insert);
        if self.inserts_identity() {
            // All is one request, because the setting ends with the statement's scope.
            insert.sql = format!(
                "SET IDENTITY_INSERT {table} ON; {}; SET IDENTITY_INSERT {table} OFF",
                insert.sql
            );
        }
        insert
    }

    /// Removes the rows from the staging table of which the table has newer ones, for a procedure, which may not
    /// compare. `None` without a watermark column.
    pub(crate) fn drop_older(&self) -> Option<Statement> {
        let watermark = self.watermark.as_ref()?;
        let (there, staged) = (format!("[t].{}", watermark.name.quoted()), self.value(watermark));
        Some(Statement::new(format!(
            "DELETE [s] FROM {STAGING} AS [s] JOIN {} AS [t] WITH (UPDLOCK, HOLDLOCK) ON {} \
             WHERE {there} > {staged} OR ({there} IS NOT NULL AND {staged} IS NULL)",
            self.table.quoted(),
            self.same_keys()
        )))
    }

    /// Asks for one row: the number of the last row in the staging table.
    pub(crate) fn last_row(&self) -> Statement {
        Statement::new(format!(
            "SELECT COALESCE(MAX([row]), CAST(0 AS bigint)) AS [rows] FROM {STAGING}"
        ))
    }

    /// Calls the procedure with the staged rows that are numbered above `from` and up to `to`, in that order, as its
    /// first parameter. `None` without a procedure.
    pub(crate) fn call(&self, from: u64, to: u64) -> Option<Statement> {
        let MergeProcedure { name, table_type } = self.procedure.as_ref()?;
        let sql = format!(
            "DECLARE @rows AS {}; INSERT INTO @rows ({}) SELECT {} FROM {STAGING} AS [s] \
             WHERE [s].[row] > CAST(@P1 AS bigint) AND [s].[row] <= CAST(@P2 AS bigint) ORDER BY [s].[row]; \
             IF @@ROWCOUNT > 0 EXEC {} @rows",
            table_type.quoted(),
            names(&self.columns),
            self.values(),
            name.quoted()
        );
        Some(Statement::with(sql, &[&from.to_string(), &to.to_string()]))
    }

    fn same_keys(&self) -> String {
        let keys: Vec<_> = self
            .keys
            .iter()
            .map(|key| {
                let (there, staged) = (format!("[t].{}", key.name.quoted()), self.value(key));
                if key.nullable {
                    // NULL equals NULL here; otherwise each repetition would insert a row without a key again.
                    format!("EXISTS (SELECT {there} INTERSECT SELECT {staged})")
                } else {
                    format!("{there} = {staged}")
                }
            })
            .collect();
        keys.join(" AND ")
    }

    /// Returns the staged values of the keys as the table compares them.
    fn key_values(&self) -> String {
        let values: Vec<_> = self.keys.iter().map(|key| self.value(key)).collect();
        values.join(", ")
    }

    fn not_deleted(&self) -> Option<String> {
        let operation = self.operation?;
        Some(format!("[s].{} <> N'D'", staged_name(operation).quoted()))
    }

    fn values(&self) -> String {
        let values: Vec<_> = self.columns.iter().map(|column| self.value(column)).collect();
        values.join(", ")
    }

    /// Returns a staged value in the type and the collation of its column, so that it is compared as it will be stored.
    fn value(&self, column: &MappedColumn) -> String {
        let mut value = format!("[s].{}", staged_name(column.staged).quoted());
        let Some(staged) = self.staged.get(column.staged) else {
            return value;
        };
        if staged.sql_type.is_text() && column.sql_type.of_text() == Conversion::Style1 {
            return of_text(&value, column.sql_type);
        }
        // The collation comes before the cast, because it determines the code page of the cast.
        if let Some(collation) = &column.collation
            && staged.collation.as_ref() != Some(collation)
        {
            value = format!("{value} COLLATE {collation}");
        }
        let wanted = column.sql_type.assigned_as();
        if wanted == staged.sql_type {
            value
        } else {
            cast(&value, wanted)
        }
    }
}

/// Makes a statement that answers with the number of rows that it has changed itself, whatever triggers change.
fn counted(sql: &str) -> Statement {
    Statement::new(format!("{sql}; SELECT @@ROWCOUNT AS [rows]"))
}

fn staged_definition((index, column): (usize, &StagedColumn)) -> String {
    let StagedColumn {
        sql_type, collation, ..
    } = column;
    // A collation is one of the server's own names, and cannot be in brackets.
    let collation = collation
        .as_ref()
        .map_or_else(String::new, |collation| format!(" COLLATE {collation}"));
    format!("{} {sql_type}{collation} NULL", staged_name(index).quoted())
}

fn names(columns: &[MappedColumn]) -> String {
    let names: Vec<_> = columns.iter().map(|column| column.name.quoted()).collect();
    names.join(", ")
}

fn condition(conditions: &[String]) -> String {
    if conditions.is_empty() {
        String::new()
    } else {
        format!(" WHERE {}", conditions.join(" AND "))
    }
}
