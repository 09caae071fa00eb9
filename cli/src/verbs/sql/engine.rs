//! The engines for which `tidemark sql` writes statements.

use clap::ValueEnum;

/// Engines that read the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Engine {
    /// Amazon Athena.
    Athena,
    /// Apache Spark.
    Spark,
    /// DuckDB.
    Duckdb,
    /// Snowflake.
    Snowflake,
    /// Amazon Redshift.
    Redshift,
}
