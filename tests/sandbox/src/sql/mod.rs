//! T-SQL: text to tokens, tokens to statements, statements to typed SQLite SQL, and their execution.

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
