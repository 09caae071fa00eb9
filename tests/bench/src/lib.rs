//! What the programs of the benchmark share, and what is tested of it.

pub mod bare_drain;
pub mod hot_loops;
pub mod process;
pub mod report;
pub mod source_side;
pub mod tls_front;
pub mod whole;

/// An error of whatever kind, which ends a measurement.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;
