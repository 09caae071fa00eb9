//! SQL Server for Tidemark: everything that knows its types, its statements, its drivers and its errors.
//!
//! `types` is the home of each type; `statements` holds the only SQL text; `session` is the one way to connect and `errors`
//! the one place where errors get a meaning. On these stand the ports: `source` and `catalog` (lookups and counts),
//! `control_table` (the watermark store), `rows` (reading slices, with `masks`), `sink` (merging them into another database).

mod answers;
mod catalog;
pub mod control_table;
pub mod errors;
pub mod inventory;
pub mod login;
pub mod masks;
mod moment;
pub mod rows;
pub mod session;
pub mod sink;
pub mod source;
mod statements;
pub mod types;
