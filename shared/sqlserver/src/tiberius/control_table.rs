//! The `sql` watermark store: a control table and the procedure that updates it, as in the tutorials.

use tiberius::{ColumnData, Row};
use tokio::sync::OnceCell;

use super::{Server, metadata, watermark_text};
use crate::error::{Error, ErrorCode, Result};
use crate::identifier::{Identifier, ObjectName};
use crate::ports::source::CountSource;
use crate::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks, StoredWatermark, WatermarkKey};
use crate::query::{self, ControlColumn};
use crate::types::SqlType;
use crate::watermark::{StoreType, Watermark};

/// The column of the control table that names the table, in both tutorials.
const NAME_COLUMN: &str = "TableName";

/// The longest text of a watermark: a decimal of 38 digits with its sign and point.
const LONGEST_TEXT: u16 = 40;

/// A control table: `TableName`, then the column of the watermark; further columns are left alone.
#[derive(Debug)]
pub struct ControlTable {
    server: Server,
    table: ObjectName,
    procedure: ObjectName,
    value_column: OnceCell<ValueColumn>,
}

/// The watermark column.
#[derive(Debug)]
struct ValueColumn {
    name: Identifier,
    store_type: StoreType,
    position: usize,
}

impl ControlTable {
    /// The control table `table` on `server`, moved by `procedure`.
    #[must_use]
    pub const fn new(server: Server, table: ObjectName, procedure: ObjectName) -> Self {
        Self {
            server,
            table,
            procedure,
            value_column: OnceCell::const_new(),
        }
    }

    async fn describe(&self) -> Result<ValueColumn> {
        let name = self.table.quoted();
        let columns = self
            .server
            .with_connection(async |connection| connection.column_metadata(&name, &["*"]).await)
            .await
            .map_err(stored_elsewhere)?;
        let has_name = columns
            .iter()
            .any(|column| column.col_name().eq_ignore_ascii_case(NAME_COLUMN));
        let mut others = columns
            .iter()
            .enumerate()
            .filter(|(_, c)| !c.col_name().eq_ignore_ascii_case(NAME_COLUMN));
        let (Some((position, value)), true) = (others.next(), has_name) else {
            return Err(self.unusable("it needs a column TableName and one for the watermark"));
        };
        let store_type = match metadata::declared(value).sql_type {
            Ok(SqlType::VarChar(Some(n)) | SqlType::NVarChar(Some(n)) | SqlType::Char(n) | SqlType::NChar(n))
                if n < LONGEST_TEXT =>
            {
                let name = value.col_name();
                return Err(self.unusable(&format!("its column {name} is shorter than {LONGEST_TEXT} characters")));
            }
            Ok(SqlType::VarChar(_) | SqlType::NVarChar(_) | SqlType::Char(_) | SqlType::NChar(_)) => StoreType::Text,
            Ok(sql_type) => StoreType::Typed(sql_type),
            Err(name) => return Err(self.unusable(&format!("its column {} has the type {name}", value.col_name()))),
        };
        let name = Identifier::new(value.col_name())?;
        Ok(ValueColumn {
            name,
            store_type,
            position,
        })
    }

    async fn value_column(&self) -> Result<&ValueColumn> {
        self.value_column.get_or_try_init(|| self.describe()).await
    }

    /// The row of the table, and the name it goes by.
    async fn row(&self, key: &WatermarkKey) -> Result<(String, Option<Row>)> {
        let mut names = key.names();
        let mut found: Option<(String, Row)> = None;
        for name in &names {
            let query = query::stored_watermark(&self.table, name);
            for row in self.server.rows(&query).await.map_err(stored_elsewhere)? {
                if let Some((other, _)) = &found {
                    return Err(self.unusable(&format!("it has rows for both '{other}' and '{name}': keep one")));
                }
                found = Some((name.clone(), row));
            }
        }
        let first = names.swap_remove(0);
        Ok(found.map_or((first, None), |(name, row)| (name, Some(row))))
    }

    async fn read(&self, key: &WatermarkKey) -> Result<(String, StoredWatermark)> {
        let &ValueColumn {
            store_type, position, ..
        } = self.value_column().await?;
        let (name, row) = self.row(key).await?;
        let data = row
            .as_ref()
            .and_then(|row| row.cells().nth(position))
            .map(|(_, data)| data);
        let value = data.map_or(Ok(None), |data: &ColumnData<'_>| {
            watermark_text::read(data).map_err(|what| self.unusable(&format!("its watermark is {what}")))
        })?;
        Ok((name, StoredWatermark { store_type, value }))
    }

    /// Whether the procedure compares the expected value itself. A server that has no `sys.parameters` says no.
    async fn procedure_compares(&self) -> Result<bool> {
        match self.server.count(&query::expected_parameter(&self.procedure)).await {
            Ok(parameters) => Ok(parameters > 0),
            Err(error) if error.code().is_retryable() => Err(stored_elsewhere(error)),
            Err(_) => Ok(false),
        }
    }

    fn unusable(&self, what: &str) -> Error {
        Error::new(
            ErrorCode::InvalidConfig,
            format!("the control table {} (WATERMARK_TABLE) is unusable: {what}", self.table),
        )
    }
}

/// The driver's errors with the codes of the watermark store.
fn stored_elsewhere(error: Error) -> Error {
    let code = match error.code() {
        // A statement on one row that takes too long waits for somebody who holds the row.
        ErrorCode::SourceUnavailable | ErrorCode::DeadlineExceeded => ErrorCode::WatermarkStoreUnavailable,
        ErrorCode::SourceRejected => ErrorCode::WatermarkRejected,
        other => other,
    };
    error.recoded(code).context("watermark store")
}

impl ReadWatermarks for ControlTable {
    async fn stored(&self, key: &WatermarkKey) -> Result<StoredWatermark> {
        self.read(key).await.map(|(_, stored)| stored)
    }
}

impl MoveWatermarks for ControlTable {
    /// The procedure of this project compares the expected value itself. For the tutorials' procedures, which do not, the
    /// comparison and the call are one transaction that holds the row.
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Result<Moved> {
        let (name, stored) = self.read(key).await?;
        if stored != *expected {
            return Ok(Moved::Changed);
        }
        let procedure = &self.procedure;
        let expected_value = expected.value.as_deref();
        let query = if self.procedure_compares().await? {
            query::move_watermark(procedure, new, &name, expected_value)
        } else {
            let column = self.value_column().await?;
            let control = ControlColumn {
                table: &self.table,
                column: &column.name,
                store_type: column.store_type,
            };
            query::move_watermark_if(&control, procedure, new, &name, expected_value)
        };
        let moved = self.server.rows(&query).await;
        let (_, written) = self.read(key).await?;
        if let Err(error) = moved {
            // The procedure refuses when the value is no longer the expected one; so may anything else be the reason.
            return if written == *expected {
                Err(stored_elsewhere(error))
            } else {
                Ok(Moved::Changed)
            };
        }
        match &written.value {
            Some(value) if Watermark::new(new.sql_type(), value).is_ok_and(|written| written == *new) => {
                Ok(Moved::Moved)
            }
            None => Err(self.unusable(&format!(
                "the procedure {} moved nothing: insert a row for '{name}' whose watermark is NULL, or use a procedure that \
                 inserts",
                self.procedure
            ))),
            value if *value == expected.value => Err(self.unusable(&format!(
                "the procedure {} did not move the watermark of '{name}': check its parameters, (value, table name)",
                self.procedure
            ))),
            Some(_) => Ok(Moved::Changed),
        }
    }
}
