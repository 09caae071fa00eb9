//! The staging table: as what a value travels, and how a bulk load declares it.
//!
//! Its types are those of the source where a bulk load takes them as they are. Text is always `n` text, because a bulk load
//! does not say in which code page its bytes are. The legacy types and XML travel as the `(max)` type of their values, a
//! CLR type as its bytes, a row version as the eight bytes that it is; the merge converts them.

use async_trait::async_trait;
use mssql_tds::connection::metadata_retriever::MetadataRetriever;
use mssql_tds::connection::tds_client::TdsClient;
use mssql_tds::core::TdsResult;
use mssql_tds::datatypes::bulk_copy_metadata::{BulkCopyColumnMetadata, SqlDbType, TypeLength};
use tidemark::error::{Error, ErrorCode, Result};

use super::sink_columns::Collation;
use crate::types::SqlType;

/// A column of the staging table, in the order of the slice. Its name there is `c0`, `c1`, ….
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StagedColumn {
    /// The type in the staging table.
    pub sql_type: SqlType,
    /// The collation in the staging table, of text.
    pub collation: Option<Collation>,
}

impl StagedColumn {
    /// A column for values of the source's type on their way into the sink's.
    pub(super) fn new(source: SqlType, sink: SqlType, collation: Option<Collation>) -> Self {
        let sql_type = source.staged_for(sink);
        Self {
            collation: collation.filter(|_| sql_type.is_text()),
            sql_type,
        }
    }

    /// The column as a bulk load declares it, by this name.
    ///
    /// # Errors
    ///
    /// `Internal` for a type that nothing is staged as.
    pub(super) fn declared(&self, name: &str) -> Result<BulkCopyColumnMetadata> {
        use SqlDbType as Wire;
        let (wire, length) = match self.sql_type {
            SqlType::Bit => (Wire::Bit, 1),
            SqlType::TinyInt => (Wire::TinyInt, 1),
            SqlType::SmallInt => (Wire::SmallInt, 2),
            SqlType::Int => (Wire::Int, 4),
            SqlType::BigInt => (Wire::BigInt, 8),
            SqlType::Decimal { precision, .. } => (Wire::Decimal, decimal_bytes(precision)),
            SqlType::SmallMoney => (Wire::SmallMoney, 4),
            SqlType::Money => (Wire::Money, 8),
            SqlType::Real => (Wire::Real, 4),
            SqlType::Float => (Wire::Float, 8),
            // In bytes.
            SqlType::NVarChar(Some(length)) => (Wire::NVarChar, i32::from(length) * 2),
            SqlType::NVarChar(None) => (Wire::NVarChar, MAX),
            SqlType::Binary(length) => (Wire::Binary, length.into()),
            SqlType::VarBinary(Some(length)) => (Wire::VarBinary, length.into()),
            SqlType::VarBinary(None) => (Wire::VarBinary, MAX),
            SqlType::Date => (Wire::Date, 3),
            SqlType::Time(_) => (Wire::Time, 5),
            SqlType::SmallDateTime => (Wire::SmallDateTime, 4),
            SqlType::DateTime => (Wire::DateTime, 8),
            SqlType::DateTime2(_) => (Wire::DateTime2, 8),
            SqlType::DateTimeOffset(_) => (Wire::DateTimeOffset, 10),
            SqlType::UniqueIdentifier => (Wire::UniqueIdentifier, 16),
            other => {
                let message = format!("nothing is staged as {other}");
                return Err(Error::new(ErrorCode::Internal, message));
            }
        };
        // Never of fixed length: those types have no NULL, and a `binary` would be sent without its length.
        let length_type = if length == MAX {
            TypeLength::Plp
        } else {
            TypeLength::Variable(length)
        };
        let (precision, scale) = match self.sql_type {
            SqlType::Decimal { precision, scale } => (precision, scale),
            SqlType::Time(digits) | SqlType::DateTime2(digits) | SqlType::DateTimeOffset(digits) => (0, digits),
            _ => (0, 0),
        };
        let column = BulkCopyColumnMetadata::new(name, wire, wire.to_bulk_copy_tds_type())
            .with_length(length, length_type)
            .with_precision_scale(precision, scale);
        Ok(match &self.collation {
            Some(collation) => column.with_collation_name(collation.to_string()),
            None => column,
        })
    }
}

/// What stands for `(max)` on the wire (MS-TDS 2.2.5.4.2, USHORTMAXLEN).
const MAX: i32 = 0xFFFF;

/// A decimal on the wire: its sign and as many bytes as its digits take (MS-TDS 2.2.5.5.1.6).
const fn decimal_bytes(precision: u8) -> i32 {
    match precision {
        ..=9 => 5,
        10..=19 => 9,
        20..=28 => 13,
        _ => 17,
    }
}

/// The columns of the staging table for a bulk load, which need not be asked for.
pub(super) struct KnownColumns(pub(super) Vec<BulkCopyColumnMetadata>);

#[async_trait]
impl MetadataRetriever for KnownColumns {
    async fn retrieve_metadata(
        &mut self,
        _: &mut TdsClient,
        _: &str,
        _: u32,
    ) -> TdsResult<Vec<BulkCopyColumnMetadata>> {
        Ok(self.0.clone())
    }
}
