//! Tidemark copies what changed in SQL Server tables since the last run to object storage.
//!
//! This crate holds what the four functions share. The domain (`error`, `types`, …) knows no SDK and no runtime; ports
//! are traits; adapters implement them, each behind a feature of its own.

pub mod adapters;
#[cfg(feature = "encode")]
pub mod encode;
pub mod error;
pub mod format;
pub mod ports;
pub mod query;
#[cfg(feature = "encode")]
pub mod shape;
pub mod sqlserver_errors;
pub mod types;
