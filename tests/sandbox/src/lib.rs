//! A stand-in for SQL Server for development and tests: a TDS 7.4 server over SQLite.

pub mod engine;
pub mod error;
pub mod sql;
pub mod value;
