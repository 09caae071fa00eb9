//! What Tidemark uses of AWS: a bucket in S3, the secrets in Secrets Manager, tokens for databases, and the HTTP client below.
//!
//! `clients` reads the environment that every AWS SDK knows and builds the clients; `bucket` and `secrets` implement the ports
//! of the core with them; `tokens` implements the port for who signs in without a password; `stacks` says what is deployed; `http` is how they speak.

pub mod bucket;
pub mod clients;
mod http;
#[cfg(test)]
mod one_answer;
mod query;
pub mod secrets;
pub mod stacks;
pub mod tokens;
