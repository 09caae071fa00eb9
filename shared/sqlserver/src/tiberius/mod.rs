//! SQL Server through tiberius: the lookups, the counts, the control table and the merge into another database. Rows are
//! read elsewhere, in `mssql`.

#[cfg(feature = "encode")]
mod cells;
mod changes;
mod control_table;
#[cfg(feature = "encode")]
mod merge;
mod metadata;
mod server;
#[cfg(feature = "encode")]
mod sink_table;
mod slices;
mod source;
mod watermark_text;

pub use control_table::ControlTable;
#[cfg(feature = "encode")]
pub use merge::{SinkServer, StagedSlice};
pub use server::{Connection, KeptConnection, Server};
