//! The server's side of TDS up to the login (MS-TDS): packets, the agreement on encryption, TLS, LOGIN7 and its answer,
//! and the tokens that every server sends. What is answered after that is each server's own business.
//!
//! Only the stand-in of SQL Server and the replaying server use it, for development and tests.

pub mod connection;
pub mod login;
pub mod packet;
mod prelogin;
pub mod reader;
pub mod tokens;
mod wrapped;
