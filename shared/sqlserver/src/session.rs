//! Connects to a SQL Server, keeps connections, applies timeouts, cancels statements and maps errors, for every use and
//! both drivers. No other module connects.
//!
//! A [`Session`] opens its connection when it is first needed, and again after a failure. Its [`Driver`] does the work
//! on the wire. A warm process [keeps](KeptConnection) the connection for the next invocation.
//!
//! Both drivers log what servers say, including values of rows, so everything a driver does runs without a subscriber.

mod connected;
mod driver;
mod kept_connection;
mod mssql_driver;
#[cfg(test)]
mod sign_in_tests;
mod stranger;
mod tiberius_driver;
#[cfg(test)]
mod tls_tests;

pub use self::connected::{OPEN_AGAIN_AFTER, Session};
pub use self::driver::{Driver, Silence, Timeouts};
pub(crate) use self::driver::{unlogged, within};
pub use self::kept_connection::{KeptConnection, Opened};
pub use self::mssql_driver::{Mssql, MssqlClient};
pub use self::tiberius_driver::{Server, Tiberius, TiberiusClient};
