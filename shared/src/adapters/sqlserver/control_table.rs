//! The `sql` watermark store: a control table and the procedure that updates it, as in the tutorials.

use tiberius::{ColumnData, Row};
use tokio::sync::OnceCell;

use super::{Server, metadata, watermark_text};
use crate::error::{Error, ErrorCode, Result};
use crate::identifier::ObjectName;
use crate::ports::source::CountSource;
use crate::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks, StoredWatermark, WatermarkKey};
use crate::query::{self, Expected};
use crate::types::SqlType;
use crate::watermark::{StoreType, Watermark};

/// The column of the control table that names the table, in both tutorials.
const NAME_COLUMN: &str = "TableName";

/// A control table: `TableName`, then the column of the watermark; further columns are left alone.
#[derive(Debug)]
pub struct ControlTable {
    server: Server,
    table: ObjectName,
    procedure: ObjectName,
    value_column: OnceCell<ValueColumn>,
}

/// The type and position of the watermark column.
type ValueColumn = (StoreType, usize);

impl ControlTable {
    /// The control table `table` on `server`, moved by `procedure`, called positionally `(value, table name)`.
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
            Ok(SqlType::VarChar(_) | SqlType::NVarChar(_) | SqlType::Char(_) | SqlType::NChar(_)) => StoreType::Text,
            Ok(sql_type) => StoreType::Typed(sql_type),
            Err(name) => return Err(self.unusable(&format!("its column {} has the type {name}", value.col_name()))),
        };
        Ok((store_type, position))
    }

    /// The row of the table, and the name it goes by.
    async fn row(&self, key: &WatermarkKey) -> Result<(String, Option<Row>)> {
        let mut names = match &key.name {
            Some(name) => vec![name.clone()],
            None => vec![key.table.to_string()],
        };
        if key.name.is_none() && key.table.schema().as_str() == "dbo" {
            names.push(key.table.name().as_str().to_owned());
        }
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
        let (store_type, position) = *self.value_column.get_or_try_init(|| self.describe()).await?;
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

    /// Whether the procedure takes a third parameter. A server that does not show its parameters counts as not.
    async fn procedure_compares(&self) -> bool {
        let parameters = self.server.count(&query::procedure_parameters(&self.procedure)).await;
        parameters.is_ok_and(|parameters| parameters >= 3)
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
        ErrorCode::SourceUnavailable => ErrorCode::WatermarkStoreUnavailable,
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
    /// A procedure with a third parameter compares the expected value itself. The tutorials' procedures have two, so it
    /// is compared before the call; a concurrent move between the two leads to a pointer that lags behind the
    /// manifests, which the next run rolls forward.
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Result<Moved> {
        let (name, stored) = self.read(key).await?;
        if stored != *expected {
            return Ok(Moved::Changed);
        }
        let compared = match &expected.value {
            _ if !self.procedure_compares().await => Expected::NotCompared,
            None => Expected::None,
            Some(value) => Expected::Value(value),
        };
        let moved = self
            .server
            .rows(&query::move_watermark(&self.procedure, new, &name, compared))
            .await;
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
