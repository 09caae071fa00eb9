//! This crate is what Tidemark uses of AWS: a bucket in S3, the secrets in Secrets Manager, tokens for databases, and
//! the HTTP client below them.
//!
//! `clients` reads the environment that every AWS SDK knows and builds the clients; `bucket` and `secrets` implement the ports
//! of the core with them; `tokens` implements the port for who signs in without a password; `stacks` says what
//! is deployed; `service` asks the services that have no SDK here; `http` is how all of them speak.

pub mod bucket;
pub mod clients;
mod http;
#[cfg(test)]
mod one_answer;
pub mod secrets;
mod service;
pub mod stacks;
pub mod tokens;
