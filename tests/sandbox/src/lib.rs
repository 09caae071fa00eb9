//! A stand-in for SQL Server for development and tests: a TDS 7.4 server over SQLite.

mod attention;
mod clock;
mod engine;
mod error;
mod fault;
mod locks;
mod messages;
mod sandbox;
mod server;
mod sql;
mod tds;
mod tls;
mod value;

pub use error::SqlError;
pub use fault::{Action, Fault};
pub use sandbox::{Error, OpenSession, Options, Sandbox};
pub use sql::exec::{Collected, ResultSet};
