//! AWS for Tidemark: buckets in S3, secrets in Secrets Manager, tokens for databases, and the HTTP client below them.
//!
//! `clients` reads the environment variables of the AWS SDKs and builds the clients. `bucket` and `secrets` implement
//! the core's ports with them, and `tokens` the port for logins without a password. `stacks` reads what is deployed.
//! `service` sends requests to services without an SDK here, and `http` is the client of all of them.

pub mod bucket;
pub mod clients;
mod http;
#[cfg(test)]
mod one_answer;
mod reason;
pub mod secrets;
mod service;
pub mod stacks;
pub mod tokens;
