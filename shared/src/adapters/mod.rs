//! The ports over real services, each behind a feature, so that a binary links only what it uses.

#[cfg(feature = "aws")]
pub mod aws;
#[cfg(any(feature = "aws", feature = "rows", feature = "sqlserver"))]
pub mod credential;
#[cfg(feature = "aws")]
pub mod http;
#[cfg(any(feature = "aws", feature = "rows", feature = "sqlserver"))]
pub mod kept;
#[cfg(feature = "rows")]
pub mod mssql;
#[cfg(feature = "aws")]
pub mod s3;
#[cfg(feature = "aws")]
pub mod secrets;
#[cfg(all(feature = "aws", feature = "encode", feature = "sqlserver"))]
pub mod sinks;
#[cfg(feature = "sqlserver")]
pub mod sqlserver;
#[cfg(all(feature = "aws", feature = "sqlserver"))]
pub mod watermarks;
