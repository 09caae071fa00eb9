//! SQL Server for Tidemark: its types, its statements, its drivers and its errors.
//!
//! `types` has everything about each type, and `statements` the SQL text. Only `session` connects, and only `errors`
//! maps errors. The ports are implemented on top of these: `source` and `catalog` (lookups and counts), `control_table`
//! (the watermark store), `rows` (reading slices, with `masks`), and `sink` (merging slices into another database).

mod answers;
mod catalog;
pub mod control_table;
mod definition;
pub mod errors;
pub mod inventory;
pub mod login;
pub mod masks;
mod references;
pub mod rows;
pub mod session;
mod since;
pub mod sink;
pub mod source;
mod statements;
pub mod types;

pub use self::statements::{Quoted, with_values};
