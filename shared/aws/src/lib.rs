//! What Tidemark uses of AWS: a bucket in S3, the secrets in Secrets Manager, and the HTTP client below both.
//!
//! `clients` reads the environment that every AWS SDK knows and builds the clients; `bucket` and `secrets` implement the ports
//! of the core with them; `http` is how they speak.

pub mod bucket;
pub mod clients;
mod http;
#[cfg(test)]
mod one_answer;
pub mod secrets;
