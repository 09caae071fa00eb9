//! SQL Server through tiberius: the lookups, the counts and the control table. Rows are read elsewhere, in `mssql`.

mod changes;
mod control_table;
mod metadata;
mod server;
mod slices;
mod source;
mod watermark_text;

pub use control_table::ControlTable;
pub use server::Server;
