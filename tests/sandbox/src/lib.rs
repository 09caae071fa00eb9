//! A stand-in for SQL Server for development and tests: a TDS 7.4 server over SQLite.

pub mod engine;
pub mod error;
pub mod fault;
pub mod locks;
pub mod sandbox;
pub mod server;
pub mod sql;
pub mod tds;
pub mod tls;
pub mod value;

pub use error::SqlError;
pub use fault::{Action, Fault};
pub use sandbox::{Error, OpenSession, Options, Sandbox};
pub use sql::exec::{Collected, ResultSet};
pub use tds::prelogin::Encryption;
