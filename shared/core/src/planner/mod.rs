//! What the next window of a table holds, and how it is cut into slices.
//!
//! `bound` plans by a watermark column, `tracked` by change tracking, and `backfill` plans what is copied again.
//! `asked_columns`, `columns`, `masks`, `audit` and `schema` decide which columns are copied and whether readers can go
//! on. `cut` makes slices of a window, and `split` makes slices of a slice that was too large. `run_limits` decides
//! what fits into one run, and `single_flight` whether it is this run's turn. `examine` asks for what a run would copy, without planning it. Nothing is written here but leases, and
//! the windows of tracked tables, which `tracked` freezes; other plans are frozen by the caller.

mod asked_columns;
mod audit;
pub(crate) mod backfill;
pub(crate) mod bound;
mod columns;
mod cut;
mod cut_points;
pub mod examine;
pub(crate) mod masks;
pub(crate) mod run_limits;
pub(crate) mod schema;
mod shared_connection;
pub(crate) mod single_flight;
pub(crate) mod split;
pub(crate) mod tracked;
mod tracked_columns;

/// How often a window is looked at again because other runs have created documents of it meanwhile. They create fewer
/// than this in that time.
pub(crate) const TRIES: u32 = 16;

pub use self::shared_connection::SharedConnection;
pub(crate) use self::shared_connection::TURN_TIMEOUT;
