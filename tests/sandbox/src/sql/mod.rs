//! T-SQL, from text to tokens, statements and typed SQLite SQL, and its execution.

pub mod ast;
pub mod bind;
pub mod catalog;
pub mod connection;
pub mod exec;
pub mod functions;
pub mod lexer;
pub mod parser;
pub mod storage;
pub mod sysviews;
