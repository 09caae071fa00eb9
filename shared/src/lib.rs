//! Tidemark copies what changed in SQL Server tables since the last run to object storage.
//!
//! This crate holds what the four functions share. The domain knows no SDK and no runtime; `ports` are traits, split by
//! permission; `adapters` implement them, each behind a feature of its own; `runner` runs a step in Lambda or by hand.

pub mod adapters;
pub mod checksum;
pub mod config;
#[cfg(feature = "encode")]
pub mod encode;
pub mod error;
pub mod format;
pub mod identifier;
pub mod ledger;
pub mod login;
#[cfg(feature = "lambda")]
pub mod logs;
pub mod merging;
pub mod ports;
pub mod predicate;
pub mod query;
#[cfg(feature = "lambda")]
pub mod runner;
pub mod schema;
#[cfg(feature = "encode")]
pub mod shape;
pub mod sink;
pub mod sqlserver_errors;
pub mod steps;
pub mod table;
pub mod telemetry;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod types;
pub mod watermark;
