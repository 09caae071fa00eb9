//! The watermark store a deployment chose.

use std::sync::Arc;

use super::s3::S3Store;
use super::secrets::Secrets;
use super::sqlserver::{ControlTable, KeptConnection, Server};
use crate::config::WatermarkConfig;
use crate::error::{ErrorCode, Result};
use crate::ledger::Pointers;
use crate::ports::watermarks::{MoveWatermarks, Moved, ReadWatermarks, StoredWatermark, WatermarkKey};
use crate::watermark::Watermark;

/// Either store behind the ports.
#[derive(Debug)]
pub enum Watermarks<'a> {
    /// A control table.
    Sql(Box<ControlTable>),
    /// Objects beside the ledger.
    S3(Pointers<'a, S3Store>),
}

impl<'a> Watermarks<'a> {
    /// The store of `config`; a control table's login is read now, its server reached when needed, over the connection in
    /// `kept` if there is one.
    pub async fn open(
        config: &WatermarkConfig,
        secrets: &Arc<Secrets>,
        kept: &KeptConnection,
        store: &'a S3Store,
        prefix: &'a str,
    ) -> Result<Self> {
        match config {
            WatermarkConfig::S3 => Ok(Self::S3(Pointers::new(store, prefix))),
            WatermarkConfig::Sql {
                server,
                table,
                procedure,
            } => {
                let login = secrets.credential(server).await.map_err(|error| match error.code() {
                    ErrorCode::SourceUnavailable => error.recoded(ErrorCode::WatermarkStoreUnavailable),
                    _ => error,
                })?;
                let server = Server::new(login).keeping(kept);
                Ok(Self::Sql(Box::new(ControlTable::new(
                    server,
                    table.clone(),
                    procedure.clone(),
                ))))
            }
        }
    }
}

impl ReadWatermarks for Watermarks<'_> {
    async fn stored(&self, key: &WatermarkKey) -> Result<StoredWatermark> {
        match self {
            Self::Sql(store) => store.stored(key).await,
            Self::S3(store) => store.stored(key).await,
        }
    }

    fn takes_turns(&self) -> bool {
        match self {
            Self::Sql(store) => store.takes_turns(),
            Self::S3(store) => store.takes_turns(),
        }
    }
}

impl MoveWatermarks for Watermarks<'_> {
    async fn advance(&self, key: &WatermarkKey, expected: &StoredWatermark, new: &Watermark) -> Result<Moved> {
        match self {
            Self::Sql(store) => store.advance(key, expected, new).await,
            Self::S3(store) => store.advance(key, expected, new).await,
        }
    }
}
